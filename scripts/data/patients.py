"""Event tables (NM-TRAN) of real patients from the published files (see SOURCE.md beside each).

    python scripts/data/patients.py tumour_size/lesions.csv abiraterone/psa.csv configs/data
"""
import csv
import sys
from pathlib import Path

lesions, psa, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])

rows = []
for row in csv.DictReader(open(lesions)):
    # a patient is known by study and number; arms are written without the prefix
    rows.append((row["Study"], row["PatientID"], float(row["TreatmentDay"]), row["TargetLesionLongDiam_mm"].strip(),
                 row["StudyArm"]))
patients = sorted({(study, patient) for study, patient, *_ in rows})
with open(out / "tumour_size" / "lesions.csv", "w", newline="") as file:
    write = csv.writer(file, lineterminator="\n")
    write.writerow(["ID", "TIME (d)", "AMT", "DV (mm)", "ARM"])
    for number, key in enumerate(patients, 1):
        own = sorted((r for r in rows if r[:2] == key), key=lambda r: r[2])
        # treatment starts at time zero: a dose of 1, before the reading of that day if there is one
        started = False
        for _, _, day, size, arm in own:
            if day >= 0 and not started:
                write.writerow([f"S{key[0]}-{number}", "0", "1", ".", arm])
                started = True
            write.writerow([f"S{key[0]}-{number}", f"{day:g}", ".", size or ".", arm])

with open(out / "abiraterone" / "psa.csv", "w", newline="") as file:
    write = csv.writer(file, lineterminator="\n")
    write.writerow(["ID", "TIME (d)", "DV (ng/mL)", "on", "ADAPTIVE"])
    for row in csv.DictReader(open(psa)):
        write.writerow([row["patient"], row["day"], row["PSA"], row["abi_on"], int(row["arm"] != "SOC")])
