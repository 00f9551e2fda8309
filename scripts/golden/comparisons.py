"""Golden values for comparisons of arms: data sets, and what the Python packages give.

Usage: comparisons.py SURVIVAL.json OUTPUT.json, where SURVIVAL.json is the output of survival.py
(its regression data are used again).
"""

import json
import platform
import sys
import warnings

import lifelines
import numpy as np
import pandas as pd
import scipy
import statsmodels
from lifelines import AalenJohansenFitter, CoxPHFitter
from lifelines.statistics import logrank_test

import means
import tables
import wins
from survival import Xorshift, clean, encode

warnings.filterwarnings("ignore")


def competing_risks(n, seed, unit, censoring, groups):
    """Two causes with rates that depend on the group, on a grid so that times tie."""
    random = Xorshift(seed)
    rows = {"times": [], "causes": [], "group": [], "stratum": []}
    for i in range(n):
        group, stratum = i % groups, int(2 * random.uniform())
        rates = [0.06 * (1 + 0.6 * group), 0.05 * (1 + 0.4 * stratum), 0.01]
        event = [-np.log(random.uniform()) / rate for rate in rates]
        censor = censoring * random.uniform()
        first = int(np.argmin(event))
        seen = min(event) <= censor
        rows["times"].append(float(np.ceil(min(event[first], censor) / unit) * unit))
        rows["causes"].append(first + 1 if seen else 0)
        rows["group"].append(group)
        rows["stratum"].append(stratum)
    return rows


COMPETING = {
    "coarse": competing_risks(60, 4711, 1.0, 30.0, 2),
    "fine": competing_risks(90, 1234, 0.00001, 40.0, 3),
    "to_the_end": competing_risks(40, 99, 0.5, 1e9, 2),
}


def incidence(d):
    """lifelines breaks ties at random, so that only data without ties are compared."""
    t, c = np.array(d["times"]), np.array(d["causes"])
    if len(set(t)) < len(t):
        return None
    out = {}
    for cause in (1, 2):
        fit = AalenJohansenFitter(calculate_variance=True).fit(t, c, event_of_interest=cause)
        out[str(cause)] = {
            "time": fit.cumulative_density_.index.tolist()[1:],
            "incidence": fit.cumulative_density_.iloc[1:, 0].tolist(),
            "variance": np.ravel(fit.variance_)[1:].tolist(),
        }
    return out


def weighted_log_rank(d):
    t, e, arm = (np.array(d[k]) for k in ("times", "events", "arm"))
    out = []
    for rho, gamma in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5)):
        test = logrank_test(
            t[arm == 1], t[arm == 0], e[arm == 1], e[arm == 0],
            weightings="fleming-harrington", p=rho, q=gamma,
        )
        out.append({"rho": rho, "gamma": gamma, "statistic": test.test_statistic, "p_value": test.p_value})
    return out


def scaled_residuals(d):
    """Scaled Schoenfeld residuals, in the order of time."""
    columns = ["arm", "age", "marker"]
    frame = pd.DataFrame({c: d[c] for c in columns})
    frame["times"], frame["events"] = d["times"], d["events"]
    fit = CoxPHFitter().fit(frame, "times", "events", fit_options={"precision": 1e-13, "r_precision": 1e-16, "max_steps": 200})
    residuals = fit.compute_residuals(frame, "scaled_schoenfeld")
    order = np.argsort(frame["times"][residuals.index].to_numpy(), kind="stable")
    return residuals.to_numpy()[order].tolist()


def main():
    with open(sys.argv[1]) as file:
        regression = json.load(file)["regression_data"]
    output = {
        "versions": {
            "python": platform.python_version(),
            "lifelines": lifelines.__version__,
            "statsmodels": statsmodels.__version__,
            "scipy": scipy.__version__,
            "numpy": np.__version__,
            "pandas": pd.__version__,
        },
        **tables.golden(),
        **means.golden(),
        **wins.golden(),
        "competing_data": COMPETING,
        "incidence": {name: incidence(d) for name, d in COMPETING.items()},
        "weighted_log_rank": {name: weighted_log_rank(d) for name, d in regression.items()},
        "scaled_residuals": scaled_residuals(regression["fine"]),
    }
    with open(sys.argv[2], "w") as file:
        json.dump(clean(output), file, indent=1, allow_nan=False, default=encode)
        file.write("\n")


if __name__ == "__main__":
    main()
