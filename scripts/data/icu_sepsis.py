"""Tables of configs/tasks/data/icu_sepsis from the package icu-sepsis 2.0.1 (PyPI, MIT).

    pip install numpy; pip download --no-deps icu-sepsis==2.0.1; unzip icu_sepsis-*.whl
    python scripts/data/icu_sepsis.py icu_sepsis/envs/assets configs/tasks/data/icu_sepsis

The package holds probabilities; they are quotients of counts of patients, and the counts are
recovered here exactly (every quotient is within 1e-12 of the package's number, or the script
fails). Rows of inadmissible actions are the plain mean of the state's admissible rows, which the
script checks; they are not written.
"""

import sys
from pathlib import Path

import numpy as np

assets, out = Path(sys.argv[1]), Path(sys.argv[2])
data = np.load(assets / "dynamics.npz")
transition, reward = data["tx_mat"], data["r_mat"]
states, actions = transition.shape[:2]
ENDS = [713, 714, 715]  # death, survival, behind both


def counts(probabilities):
    """The smallest whole numbers with these quotients."""
    for total in range(1, 200_000):
        scaled = probabilities * total
        rounded = np.round(scaled)
        if rounded.min() >= 1 and np.abs(scaled - rounded).max() < 1e-7:
            assert np.abs(rounded / rounded.sum() - probabilities).max() < 1e-12
            return rounded.astype(int)
    raise SystemExit("these probabilities are not counts")


def words(row):
    present = np.flatnonzero(row)
    return " ".join(f"{k}:{n}" for k, n in zip(present, counts(row[present])))


lines = (assets / "admissible_actions.txt").read_text().splitlines()
admissible = [[int(word) for word in line.split()] for line in lines[1 : states + 1]]
expected = np.zeros_like(reward)
expected[:, :, 714] = 1.0
living = [s for s in range(states) if s not in ENDS]
assert np.array_equal(reward[living], expected[living])

with open(out / "transitions.csv", "w") as file:
    file.write("state,action,counts\n")
    for s in living:
        mean = transition[s, admissible[s]].mean(axis=0)
        for a in range(actions):
            if a in admissible[s]:
                file.write(f"{s},{a},{words(transition[s, a])}\n")
            else:
                assert np.abs(transition[s, a] - mean).max() < 1e-12

with open(out / "start.csv", "w") as file:
    file.write(f"counts\n{words(data['d_0'])}\n")

with open(out / "expert.csv", "w") as file:
    file.write("state,counts\n")
    for s in living:
        file.write(f"{s},{words(data['expert_policy'][s])}\n")

# centres of the clusters, standardised over the living states, and SOFA
centres = data["state_cluster_centers"][living]
centres = (centres - centres.mean(axis=0)) / centres.std(axis=0)
sofa = data["sofa_scores"][living]
with open(out / "centres.csv", "w") as file:
    names = [f"centre {k + 1}" for k in range(centres.shape[1])]
    file.write(",".join(["state", "SOFA / 10", *names]) + "\n")
    for s in living:
        values = [sofa[s] / 10, *centres[s]]
        file.write(",".join([str(s)] + [f"{v:.3f}" for v in values]) + "\n")
