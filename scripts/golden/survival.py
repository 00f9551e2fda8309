"""Golden values for the trial statistics. Usage: survival.py OUTPUT.json

Data sets are small and fixed; resampling uses the same 32-bit generator as the Rust test.
"""

import json
import platform
import sys
import warnings

import lifelines
import numpy as np
import pandas as pd
import scipy
import sksurv
import statsmodels
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import logrank_test, multivariate_logrank_test
from lifelines.utils import restricted_mean_survival_time
from scipy import stats
from sksurv.compare import compare_survival
from sksurv.nonparametric import kaplan_meier_estimator
from sksurv.util import Surv
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight, survdiff
from statsmodels.stats.proportion import proportion_confint

warnings.filterwarnings("ignore")


class Xorshift:
    """Marsaglia's xorshift32, and Lemire's unbiased integers below a bound."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        x = self.state
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        self.state = x
        return x

    def below(self, bound):
        threshold = (-bound) % (1 << 32) % bound
        while True:
            product = self.next() * bound
            if product & 0xFFFFFFFF >= threshold:
                return product >> 32

    def uniform(self):
        return (self.next() + 0.5) / 2**32


def months(text):
    """'6.5,54c' -> times and events; c marks a censored time."""
    parts = text.split(",")
    return {
        "times": [float(p.rstrip("c")) for p in parts],
        "events": [not p.endswith("c") for p in parts],
    }


def synthetic(n, seed, unit, censoring):
    """Exponential times on a coarse grid (ties) with covariates, a stratum and censoring."""
    random = Xorshift(seed)
    rows = {"times": [], "events": [], "arm": [], "age": [], "marker": [], "stratum": []}
    for i in range(n):
        arm, age, marker = i % 2, 40 + 45 * random.uniform(), 2 * random.uniform() - 1
        stratum = int(3 * random.uniform())
        rate = 0.05 * (1 + 0.5 * stratum) * np.exp(-0.6 * arm + 0.02 * (age - 60) + 0.5 * marker)
        event, censor = -np.log(random.uniform()) / rate, censoring * random.uniform()
        rows["times"].append(float(np.ceil(min(event, censor) / unit) * unit))
        rows["events"].append(bool(event <= censor))
        rows["arm"].append(float(arm))
        rows["age"].append(round(age, 1))
        rows["marker"].append(round(marker, 3))
        rows["stratum"].append(stratum)
    return rows


DATA = {
    "standard": months("6.5,3.2,32,9,26,15,25,19.6,4,14.8,9,17.3,13.8,17.7,7,4.2"),
    "adaptive": months("30.6,53.1,11,38,42.8,30.1,17,10.7,54c,25.4,50c,20.4,31.4,35.5c,10.8,23c"),
    "ties": months("1,1,1,2,2c,2c,3,3,3,3c,4,4c,5,5,6c,6"),
    "heavy": months("1c,2,2c,3c,3c,4,5c,6c,7c,8c,9,9c,10c,12c,12c,15c"),
    "short": months("2,2,3,3,4,5,5,5c,6,7"),
}
REGRESSION = {
    "coarse": synthetic(60, 20240607, 2.0, 60.0),
    "fine": synthetic(120, 777, 0.01, 25.0),
}


def curve(d):
    t, e = np.array(d["times"]), np.array(d["events"])
    km = KaplanMeierFitter().fit(t, e)
    table = km.event_table.iloc[1:]
    band = km.confidence_interval_.iloc[1:].to_numpy()
    sm = SurvfuncRight(t, e.astype(int))
    grid, survival, limits = kaplan_meier_estimator(
        e, t, conf_type="log-log", conf_level=0.95
    )
    horizon = 0.8 * t.max()
    return {
        "time": table.index.tolist(),
        "at_risk": table["at_risk"].tolist(),
        "events": table["observed"].tolist(),
        "censored": table["censored"].tolist(),
        "survival": km.survival_function_.iloc[1:, 0].tolist(),
        "low": band[:, 0].tolist(),
        "high": band[:, 1].tolist(),
        "median_first": km.median_survival_time_,
        "statsmodels": {
            "time": sm.surv_times.tolist(),
            "survival": sm.surv_prob.tolist(),
            "standard_error": sm.surv_prob_se.tolist(),
        },
        "sksurv": {
            "time": grid.tolist(),
            "survival": survival.tolist(),
            "low": limits[0].tolist(),
            "high": limits[1].tolist(),
        },
        "horizon": horizon,
        "restricted_mean": restricted_mean_survival_time(km, t=horizon),
    }


def pooled(names):
    times = np.concatenate([DATA[n]["times"] for n in names])
    events = np.concatenate([DATA[n]["events"] for n in names])
    group = np.concatenate([[i] * len(DATA[n]["times"]) for i, n in enumerate(names)])
    return times, events.astype(bool), group


def compare(names):
    times, events, group = pooled(names)
    ll = multivariate_logrank_test(times, group, events)
    sk = compare_survival(Surv.from_arrays(events, times), group)
    sm = survdiff(times, events.astype(int), group)
    return {
        "groups": names,
        "lifelines": {"statistic": ll.test_statistic, "p_value": ll.p_value},
        "sksurv": {"statistic": float(sk[0]), "p_value": float(sk[1])},
        "statsmodels": {"statistic": float(sm[0]), "p_value": float(sm[1])},
    }


def stratified(d):
    times, events = np.array(d["times"]), np.array(d["events"]).astype(int)
    sm = survdiff(times, events, np.array(d["arm"]), strata=np.array(d["stratum"]))
    return {"statistic": float(sm[0]), "p_value": float(sm[1])}


def regression(d, columns, strata):
    frame = pd.DataFrame({c: d[c] for c in columns})
    frame["times"], frame["events"] = d["times"], d["events"]
    if strata:
        frame["stratum"] = d["stratum"]
    fit = CoxPHFitter().fit(
        frame, "times", "events", strata=["stratum"] if strata else None,
        fit_options={"precision": 1e-13, "r_precision": 1e-16, "max_steps": 200},
    )
    ph = PHReg(
        np.array(d["times"]), pd.DataFrame({c: d[c] for c in columns}), status=np.array(d["events"]).astype(int),
        ties="efron", strata=np.array(d["stratum"]) if strata else None,
    ).fit(method="newton", maxiter=100, tol=1e-14)
    return {
        "columns": columns,
        "strata": strata,
        "lifelines": {
            "coefficients": fit.params_.tolist(),
            "standard_errors": fit.standard_errors_.tolist(),
            "p_values": fit.summary["p"].tolist(),
            "low": fit.summary["exp(coef) lower 95%"].tolist(),
            "high": fit.summary["exp(coef) upper 95%"].tolist(),
            "log_likelihood": fit.log_likelihood_,
            "likelihood_ratio": float(fit.log_likelihood_ratio_test().test_statistic),
        },
        "statsmodels": {
            "coefficients": np.asarray(ph.params).tolist(),
            "standard_errors": np.asarray(ph.bse).tolist(),
            "log_likelihood": float(ph.llf),
        },
    }


def two_arm_regression(treated, control):
    times = DATA[treated]["times"] + DATA[control]["times"]
    d = {
        "times": times,
        "events": DATA[treated]["events"] + DATA[control]["events"],
        "arm": [1.0] * len(DATA[treated]["times"]) + [0.0] * len(DATA[control]["times"]),
    }
    return {"treated": treated, "control": control} | regression(d, ["arm"], False)


PAIRED = {
    "before": [14.2, 11.5, 18.3, 9.7, 22.1, 13.4, 16.8, 10.9, 19.5, 12.6, 15.7, 20.4],
    "after": [12.9, 11.9, 15.1, 9.2, 17.8, 13.3, 13.9, 11.8, 16.2, 12.0, 13.3, 16.7],
    "tied": [13.2, 11.5, 17.3, 9.2, 21.1, 13.9, 15.8, 10.9, 18.5, 12.1, 14.7, 20.9],
}
SECOND = [8.1, 12.4, 9.9, 15.2, 7.4, 10.8, 13.1, 9.0, 11.7]


def interval(result):
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def resampled():
    before, after, second = (np.array(x) for x in (PAIRED["before"], PAIRED["after"], SECOND))
    cases = {
        "mean_of_logs": ((np.log(before),), lambda a: a.mean(), False),
        "ratio_of_means": ((before, after), lambda a, b: a.mean() / b.mean(), True),
        "difference_of_means": ((before, second), lambda a, b: a.mean() - b.mean(), False),
    }
    out = {}
    for name, (samples, statistic, paired) in cases.items():
        random = Xorshift(2463534242)
        draws = []
        for _ in range(1000):
            picks, index = [], None
            for s in samples:
                if index is None or not paired:
                    index = [random.below(len(s)) for _ in range(len(s))]
                picks.append(s[index])
            draws.append(statistic(*picks))
        held = type("Held", (), {"bootstrap_distribution": np.array(draws)})()
        out[name] = {"seed": 2463534242, "resamples": 1000, "statistic": float(statistic(*samples))}
        for method, key in (("percentile", "percentile"), ("BCa", "bias_corrected")):
            def vectorised(*arrays, axis=-1):
                flat = [np.moveaxis(np.asarray(a), axis, -1) for a in arrays]
                if flat[0].ndim == 1:
                    return statistic(*flat)
                return np.apply_along_axis(lambda a: statistic(a), -1, flat[0]) if len(flat) == 1 else (
                    flat[0].mean(-1) / flat[1].mean(-1) if name == "ratio_of_means"
                    else flat[0].mean(-1) - flat[1].mean(-1)
                )
            out[name][key] = interval(stats.bootstrap(
                samples, vectorised, paired=paired, vectorized=True, n_resamples=0,
                bootstrap_result=held, method=method, confidence_level=0.95,
            ))
    return out


def main():
    proportions = [
        {
            "successes": x, "trials": n, "level": level,
            "clopper_pearson": [float(v) for v in proportion_confint(x, n, 1 - level, "beta")],
            "wilson": [float(v) for v in proportion_confint(x, n, 1 - level, "wilson")],
            "scipy_exact": interval_of(x, n, level, "exact"),
            "scipy_wilson": interval_of(x, n, level, "wilson"),
        }
        for x, n, level in [
            (0, 16, 0.95), (16, 16, 0.95), (7, 16, 0.95), (12, 32, 0.9),
            (3, 1000, 0.99), (4980, 10000, 0.95), (1, 1, 0.95),
        ]
    ]
    before, after, tied = (PAIRED[k] for k in ("before", "after", "tied"))
    exact = stats.wilcoxon(before, after, alternative="two-sided", method="exact")
    approximate = stats.wilcoxon(
        before, tied, zero_method="wilcox", correction=True, method="asymptotic"
    )
    paired = stats.ttest_rel(before, after)
    ci = paired.confidence_interval(0.95)
    one = stats.ttest_1samp(before, 0).confidence_interval(0.9)
    output = {
        "versions": {
            "python": platform.python_version(),
            "lifelines": lifelines.__version__,
            "scikit-survival": sksurv.__version__,
            "statsmodels": statsmodels.__version__,
            "scipy": scipy.__version__,
            "numpy": np.__version__,
            "pandas": pd.__version__,
        },
        "data": DATA,
        "regression_data": REGRESSION,
        "paired_data": PAIRED | {"second": SECOND},
        "curves": {name: curve(d) for name, d in DATA.items()},
        "log_rank": [
            compare(["standard", "adaptive"]), compare(["ties", "short"]),
            compare(["ties", "heavy", "short"]),
            compare(["standard", "adaptive", "heavy", "short"]),
        ],
        "stratified_log_rank": {name: stratified(d) for name, d in REGRESSION.items()},
        "cox": {
            name: [
                regression(d, ["arm"], False), regression(d, ["arm", "age", "marker"], False),
                regression(d, ["arm", "age", "marker"], True),
            ]
            for name, d in REGRESSION.items()
        },
        "hazard_ratio": [two_arm_regression("adaptive", "standard"), two_arm_regression("ties", "short")],
        "proportions": proportions,
        "signed_rank": {
            "exact": {"positive": 78 - exact.statistic, "p_value": exact.pvalue},
            "approximate": {"p_value": approximate.pvalue},
        },
        "paired_difference": {"p_value": paired.pvalue, "low": ci.low, "high": ci.high},
        "mean_interval_90": {"low": one.low, "high": one.high},
        "bootstrap": resampled(),
        "summary": {
            "quantiles": {str(p): float(np.quantile(before, p)) for p in (0, 0.05, 0.25, 0.5, 0.75, 0.9, 1)},
            "mean": float(np.mean(before)), "sd": float(np.std(before, ddof=1)),
            "rmse": float(np.sqrt(np.mean((np.array(before) - after) ** 2))),
        },
    }
    with open(sys.argv[1], "w") as file:
        json.dump(clean(output), file, indent=1, allow_nan=False, default=encode)
        file.write("\n")


def interval_of(x, n, level, method):
    ci = stats.binomtest(x, n).proportion_ci(level, method=method)
    return [float(ci.low), float(ci.high)]


def encode(value):
    return value.item()


def clean(value):
    """JSON has no NaN or infinity: they become null."""
    if isinstance(value, dict):
        return {k: clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


if __name__ == "__main__":
    main()
