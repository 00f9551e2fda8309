"""Sets and time courses of the nanoparticle database from its published files (see SOURCE.md beside them).

    python scripts/data/nanoparticles.py nano_tumour/model_dataset.csv nano_tumour/timecourse.csv configs/data
"""
import csv
import math
import sys
from pathlib import Path

sets, courses, out = sys.argv[1], sys.argv[2], Path(sys.argv[3]) / "nano_tumour"

# values of the mouse and its tumour, under the names of the model
VALUES = ["BW", "TW", "QTC", "VTC", "BVT", "PT", "PATC", "KTRESmax", "KTRES50", "KTRESn", "KTRESrelease"]
UNITS = {"BW": "g", "TW": "g", "KTRESmax": "1/h", "KTRES50": "h", "KTRESrelease": "1/h"}
# what the authors tabulate, to compare with
RESULTS = ["DE24", "DE168", "Demax"]

rows = sorted(csv.DictReader(open(sets)), key=lambda row: int(float(row["ID"])))


def descriptors(row):
    """What is known of a particle and its tumour before anything is measured; 0 where it is not reported."""
    def log(name, typical):
        return f"{math.log(float(row[name]) / typical):.5g}" if row[name] not in ("", "0.0") else "0"
    cancer = row["CT"].lower()
    flags = {
        "inorganic": row["Type"] == "Inorganic",
        "active": row["TS"] == "Active",
        # the file's code, whose meaning it does not state: 0, 1, 2
        "charge1": row["Charge"] == "1.0",
        "charge2": row["Charge"] == "2.0",
        "rod": row["Shape"] == "Rod",
        "allograft": row["TM"].startswith("Allograft"),
        "orthotopic": row["TM"].endswith("Orthotopic"),
        "breast": cancer == "breast",
        "liver": cancer == "liver",
        "cervix": cancer == "cervix",
        "skin": cancer == "skin",
        "colon": cancer == "colon",
    }
    values = {name: str(int(value)) for name, value in flags.items()}
    values["ln_size"] = log("HD", 100)
    values["ln_weight"] = log("TW", 0.2)
    values["ln_dose"] = log("Dose", 8)
    return values


with open(out / "sets.csv", "w", newline="") as file:
    write = csv.writer(file, lineterminator="\n")
    write.writerow(["ID"] + [f"{name} ({UNITS[name]})" if name in UNITS else name for name in VALUES])
    for row in rows:
        write.writerow([int(float(row["ID"]))] + [row[name] for name in VALUES])

with open(out / "results.csv", "w", newline="") as file:
    write = csv.writer(file, lineterminator="\n")
    write.writerow(["ID"] + RESULTS)
    for row in rows:
        write.writerow([int(float(row["ID"]))] + [row[name] for name in RESULTS])

measured = {}
for row in csv.DictReader(open(courses)):
    value = row["Tumor"] if float(row["Tumor"]) else "0"
    measured.setdefault(int(float(row["ID"])), []).append((float(row["Time"]), value))
with open(out / "courses.csv", "w", newline="") as file:
    write = csv.writer(file, lineterminator="\n")
    names = list(descriptors(rows[0]))
    mouse = ["BW", "QTC", "VTC"]
    write.writerow(["ID", "TIME (h)", "AMT", "EVID", "DV (%)"]
                   + [f"{name} ({UNITS[name]})" if name in UNITS else name for name in mouse] + names)
    for row in rows:
        own = int(float(row["ID"]))
        ends = [row[name] for name in mouse] + list(descriptors(row).values())
        # shares of the dose are what was measured, so the dose is 100 %
        write.writerow([own, "0", "100", "1", "."] + ends)
        for time, value in sorted(measured[own]):
            write.writerow([own, f"{time:g}", ".", "0", value] + ends)
