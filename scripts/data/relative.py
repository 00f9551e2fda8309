"""PSA relative to each man's largest visible reading, which is what the published fits of Zhang 2022 minimise.

    python scripts/data/relative.py configs/data/abiraterone/psa.csv 0.6 relative.csv

The share of visible readings is that of `posology forecast --keep-share`, rounded up.
"""
import csv
import math
import sys

source, share, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
rows = list(csv.DictReader(open(source)))
readings = {}
for row in rows:
    readings.setdefault(row["ID"], []).append(float(row["DV (ng/mL)"]))
largest = {name: max(own[: math.ceil(share * len(own))]) for name, own in readings.items()}
with open(out, "w", newline="") as file:
    write = csv.writer(file, lineterminator="\n")
    write.writerow(["ID", "TIME (d)", "DV", "DVID", "on", "largest (ng/mL)"])
    for row in rows:
        own = largest[row["ID"]]
        write.writerow([row["ID"], row["TIME (d)"], float(row["DV (ng/mL)"]) / own, "relPSA", row["on"], own])
