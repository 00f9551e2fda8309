"""Golden values of means, ranks, regressions, subgroups and power (used by comparisons.py)."""

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from lifelines.statistics import power_under_cph
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.weightstats import ttost_ind

from survival import Xorshift


def trial(n, seed):
    """A continuous and a binary outcome with an arm, covariates and three subgroups."""
    random = Xorshift(seed)
    normal = lambda: sum(random.uniform() for _ in range(12)) - 6
    rows = {"arm": [], "group": [], "age": [], "baseline": [], "change": [], "response": [], "auc": []}
    for i in range(n):
        arm, group = i % 2, int(3 * random.uniform())
        age, baseline = 40 + 40 * random.uniform(), 10 + 2 * normal()
        change = 0.6 * baseline + 1.5 * arm * (1 + group) - 0.02 * age + 2 * normal()
        logit = -0.5 + 0.5 * arm * (1 + 0.7 * group) + 0.03 * (age - 60)
        rows["arm"].append(arm)
        rows["group"].append(group)
        rows["age"].append(round(age, 2))
        rows["baseline"].append(round(baseline, 3))
        rows["change"].append(round(change, 3))
        rows["response"].append(bool(random.uniform() < 1 / (1 + np.exp(-logit))))
        rows["auc"].append(round(float(np.exp(1.2 + 0.1 * arm + 0.35 * normal())), 4))
    return rows


TRIALS = {"small": trial(24, 8), "medium": trial(150, 2024)}
RANKS = {
    "exact": ([12.1, 15.3, 9.8, 20.4, 17.7, 13.2, 18.8], [8.9, 11.5, 10.2, 14.9, 7.3, 9.1, 16.4, 6.6]),
    "ties": ([3, 5, 5, 7, 8, 8, 9, 12], [1, 2, 3, 3, 5, 6, 8, 8, 9]),
    "large": ([round(0.37 * i % 7.3 + 0.01 * i, 4) for i in range(49)],
              [round(0.53 * i % 6.1 + 0.013 * i + 0.0005, 4) for i in range(45)]),
    "larger": ([round(0.37 * i % 7.3 + 0.01 * i, 4) for i in range(80)],
               [round(0.53 * i % 6.1 + 0.013 * i + 0.0005, 4) for i in range(70)]),
    "one": ([4.5], [1.0, 2.0, 5.0]),
}


def compare(a, b, pooled):
    test = stats.ttest_ind(a, b, equal_var=pooled)
    out = {"t": test.statistic, "degrees": test.df, "p": test.pvalue}
    for level in (0.95, 0.9):
        ci = test.confidence_interval(level)
        out[str(level)] = [ci.low, ci.high]
    return out


def means(d):
    arm = np.array(d["arm"])
    split = lambda key: (np.array(d[key])[arm == 1], np.array(d[key])[arm == 0])
    (a, b), (u, v) = split("change"), split("auc")
    logs = np.log(u), np.log(v)
    frame = pd.DataFrame(d)
    ancova = smf.ols("change ~ arm + baseline + age", frame).fit()
    logit = smf.logit("response ~ arm + age + baseline", frame.assign(response=frame.response.astype(int))).fit(
        disp=0, method="newton", tol=1e-14, maxiter=100)
    reduced = smf.ols("change ~ arm + C(group)", frame).fit()
    full = smf.ols("change ~ arm * C(group)", frame).fit()
    f, p, degrees = full.compare_f_test(reduced)
    main = smf.logit("response ~ arm + C(group)", frame.assign(response=frame.response.astype(int))).fit(
        disp=0, method="newton", tol=1e-14, maxiter=100)
    return {
        "welch": compare(a, b, False), "student": compare(a, b, True),
        "ratio_welch": compare(*logs, False), "ratio_pooled": compare(*logs, True),
        "equivalence": ttost_ind(*logs, np.log(0.8), np.log(1.25), usevar="pooled")[0],
        "ancova": {"coefficients": ancova.params[1:].tolist(), "errors": ancova.bse[1:].tolist(),
                   "p": ancova.pvalues[1:].tolist(), "low": ancova.conf_int()[0][1:].tolist(),
                   "high": ancova.conf_int()[1][1:].tolist(), "residual": ancova.ssr, "degrees": ancova.df_resid},
        "logistic": {"coefficients": logit.params[1:].tolist(), "errors": logit.bse[1:].tolist(),
                     "log_likelihood": logit.llf, "null": logit.llnull},
        "interaction_f": [f, p, degrees, full.df_resid],
        "additive_logistic": main.llf,
    }


def ranks(a, b):
    test = stats.mannwhitneyu(a, b, alternative="two-sided", method="auto")
    differences = np.subtract.outer(a, b).ravel()
    return {"first": list(a), "second": list(b), "statistic": test.statistic,
            "exact": stats.mannwhitneyu(a, b, method="exact").pvalue,
            "asymptotic": stats.mannwhitneyu(a, b, method="asymptotic").pvalue,
            "shift": float(np.median(differences))}


def power():
    normal = NormalIndPower()
    return {
        "freedman": [
            {"treated": n, "control": m, "rates": [p, q], "hazard_ratio": h, "alpha": alpha,
             "power": power_under_cph(n, m, p, q, h, alpha)}
            for n, m, p, q, h, alpha in ((200, 200, 0.5, 0.6, 0.7, 0.05), (300, 150, 0.4, 0.4, 1.4, 0.1), (50, 80, 1, 1, 0.5, 0.01))
        ],
        "means": [
            {"difference": d, "sd": s, "treated": n, "control": m, "alpha": alpha,
             # the statsmodels power of the larger alternative has one tail, at half of alpha
             "power": normal.power(d / s, n, alpha / 2, ratio=m / n, alternative="larger")}
            for d, s, n, m, alpha in ((2.0, 5.0, 100, 100, 0.05), (1.0, 2.0, 40, 80, 0.1))
        ],
    }


def golden():
    return {
        "trials": TRIALS,
        "means": {name: means(d) for name, d in TRIALS.items()},
        "ranks": {name: ranks(a, b) for name, (a, b) in RANKS.items()},
        "power": power(),
    }
