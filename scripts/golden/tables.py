"""Golden values of two-arm tables, multiplicity and power (used by comparisons.py)."""

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

# events and patients of the treated arm, then of the control arm
TABLES = [
    (7, 16, 12, 16), (30, 100, 45, 110), (1, 50, 9, 48), (0, 20, 5, 22), (5, 5, 2, 9),
    (250, 1000, 310, 1005), (3, 8, 3, 8), (56, 70, 48, 80), (12, 12, 10, 10), (0, 9, 0, 11),
]
STRATA = [
    [(10, 40, 18, 42), (5, 30, 9, 28), (12, 25, 11, 30)],
    [(1, 3, 0, 2), (2, 4, 1, 4), (0, 2, 1, 3), (3, 5, 1, 5), (0, 4, 2, 4)],
    [(40, 100, 30, 100), (10, 50, 20, 60)],
]
P_VALUES = [[0.01, 0.04, 0.03, 0.005, 0.2], [0.02, 0.02, 0.02], [0.9, 0.6, 0.0001, 0.6], [0.03]]


def score_limits(x1, n1, x2, n2, z, ratio):
    """Limits where the score statistic is z, with the restricted likelihood maximised numerically.

    The score limits of statsmodels 0.15 are off in the third digit (its root search stops early);
    these agree with DescTools 0.99.59, BinomDiffCI "mn" and BinomRatioCI "koopman", to the digits
    that it keeps.
    """

    def excess(value):
        # rate of the treated arm when that of the control arm is p
        first = (lambda p: value * p) if ratio else (lambda p: p + value)
        slope = value if ratio else 1.0
        low, high = (0.0, min(1.0, 1 / value)) if ratio else (max(0.0, -value), min(1.0, 1 - value))

        def gradient(p):
            terms = ((x1, first(p), slope), (x1 - n1, 1 - first(p), slope), (x2, p, 1), (x2 - n2, 1 - p, 1))
            return sum(count * factor / at for count, at, factor in terms if count != 0)

        inside = 1e-9 * (high - low)
        if gradient(low + inside) <= 0:
            p = low
        elif gradient(high - inside) >= 0:
            p = high
        else:
            p = optimize.brentq(gradient, low + inside, high - inside, xtol=1e-16, rtol=1e-15)
        q = first(p)
        variance = q * (1 - q) / n1 + (value**2 if ratio else 1) * p * (1 - p) / n2
        if not ratio:
            variance *= (n1 + n2) / (n1 + n2 - 1)
        gap = x1 / n1 - value * x2 / n2 if ratio else x1 / n1 - x2 / n2 - value
        return gap**2 / max(variance, 1e-300) - z**2

    centre = (x1 / n1) / (x2 / n2) if ratio else x1 / n1 - x2 / n2
    bottom, top = (1e-9, 1e4) if ratio else (-1 + 1e-5, 1 - 1e-5)

    def root(a, b):
        return float(optimize.brentq(excess, a, b, xtol=1e-15, rtol=1e-14))

    low = root(bottom, centre) if centre > bottom and excess(bottom) > 0 else (0.0 if ratio else -1.0)
    high = root(max(centre, bottom), top) if excess(top) > 0 and centre < top else 1.0
    return [low, high]


def table(x1, n1, x2, n2):
    out = {"counts": [x1, n1, x2, n2], "difference": {}, "ratio": {}}
    for level in (0.95, 0.9):
        alpha = 1 - level
        key = str(level)
        def interval(method, compare):
            low, high = confint_proportions_2indep(x1, n1, x2, n2, method=method, compare=compare, alpha=alpha)
            return [float(low), float(high)]

        out["difference"][key] = {
            "newcombe": interval("newcomb", "diff"),
            "wald": interval("wald", "diff"),
        }
        z = stats.norm.ppf(1 - alpha / 2)
        out["difference"][key]["score"] = score_limits(x1, n1, x2, n2, z, False)
        if x2 > 0:
            out["ratio"][key] = {"koopman": score_limits(x1, n1, x2, n2, z, True)}
        if x1 > 0 and x2 > 0:
            out["ratio"][key] |= {"katz": interval("log", "ratio")}
    if min(x1, n1 - x1, x2, n2 - x2) > 0:
        t = Table2x2([[x1, n1 - x1], [x2, n2 - x2]])
        out["odds_ratio"] = [t.oddsratio, *t.oddsratio_confint(0.05)]
    counts = [[x1, n1 - x1], [x2, n2 - x2]]
    out["fisher"] = stats.fisher_exact(counts).pvalue
    if 0 < x1 + x2 < n1 + n2:
        for key, correction in (("chi_squared", False), ("yates", True)):
            test = stats.chi2_contingency(counts, correction=correction)
            out[key] = [test.statistic, test.pvalue]
        exact = stats.contingency.odds_ratio(counts, kind="conditional")
        ci = exact.confidence_interval(0.95)
        out["exact_odds_ratio"] = [exact.statistic, ci.low, ci.high]
    return out


def stratified(tables):
    arrays = [np.array([[x1, n1 - x1], [x2, n2 - x2]], dtype=float) for x1, n1, x2, n2 in tables]
    t = StratifiedTable(arrays)
    test = t.test_null_odds(correction=False)
    return {
        "tables": tables,
        "odds_ratio": [t.oddsratio_pooled, *t.oddsratio_pooled_confint(0.05)],
        "risk_ratio": t.riskratio_pooled,
        "test": [test.statistic, test.pvalue],
        "tarone": [t.test_equal_odds(adjust=True).statistic, t.test_equal_odds(adjust=True).pvalue],
    }


def multiplicity(p):
    return {"p": p} | {
        name: multipletests(p, method=method)[1].tolist()
        for name, method in (("bonferroni", "bonferroni"), ("holm", "holm"), ("hochberg", "simes-hochberg"))
    }


def golden():
    return {
        "tables": [table(*counts) for counts in TABLES],
        "strata": [stratified(tables) for tables in STRATA],
        "multiplicity": [multiplicity(p) for p in P_VALUES],
    }
