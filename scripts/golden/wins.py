"""Hierarchical endpoints: data, and brute-force references (used by comparisons.py).

Every pair is compared in plain Python; the first-order variance is the sample variance (divisor n)
of each patient's share of wins and losses, written with numpy.cov.
"""

import numpy as np

from survival import Xorshift


def hierarchy(n, seed, unit):
    random = Xorshift(seed)
    rows = {"arm": [], "stratum": [], "death": [], "died": [], "progression": [], "progressed": [], "score": []}
    for i in range(n):
        arm, stratum = i % 2, int(2 * random.uniform())
        end = 6 + 18 * random.uniform()
        death = -np.log(random.uniform()) / (0.04 * (1 - 0.4 * arm) * (1 + stratum))
        progression = -np.log(random.uniform()) / (0.08 * (1 - 0.3 * arm))
        stop = min(death, end)
        rows["arm"].append(arm)
        rows["stratum"].append(stratum)
        rows["death"].append(float(np.ceil(stop / unit) * unit))
        rows["died"].append(bool(death <= end))
        rows["progression"].append(float(np.ceil(min(progression, stop) / unit) * unit))
        rows["progressed"].append(bool(progression <= stop))
        rows["score"].append(int(5 * random.uniform() + 1.2 * arm))
    return rows


DATA = {"coarse": hierarchy(61, 31415, 1.0), "fine": hierarchy(120, 27182, 0.001)}


def endpoints(d, margins):
    return [
        (np.array(d["death"]), np.array(d["died"]), margins[0]),
        (np.array(d["progression"]), np.array(d["progressed"]), margins[1]),
        (np.array(d["score"], dtype=float), np.ones(len(d["score"]), bool), margins[2]),
    ]


def verdict(columns, i, j):
    for value, event, margin in columns:
        if event[j] and value[i] > value[j] + margin:
            return 1
        if event[i] and value[j] > value[i] + margin:
            return -1
    return 0


def brute_force(d, margins):
    columns, arm = endpoints(d, margins), np.array(d["arm"])
    treated, control = np.flatnonzero(arm == 1), np.flatnonzero(arm == 0)
    signs = np.array([[verdict(columns, i, j) for j in control] for i in treated])
    wins, losses = signs > 0, signs < 0
    n, m = signs.shape
    covariance = np.cov(wins.mean(1), losses.mean(1), ddof=0) / n + np.cov(wins.mean(0), losses.mean(0), ddof=0) / m
    w, l = wins.mean(), losses.mean()
    log_ratio = np.array([1 / w, -1 / l])
    benefit = np.array([1.0, -1.0])
    p = 0.5 + 0.5 * (w - l)
    scores = np.array([sum(verdict(columns, i, j) for j in range(len(arm)) if j != i) for i in range(len(arm))])
    t = scores[treated].sum()
    v = n * m / ((n + m) * (n + m - 1)) * (scores**2).sum()
    size = min(n, m)
    matched = np.array([verdict(columns, i, j) for i, j in zip(treated[:size], control[:size])])
    a, b = int((matched > 0).sum()), int((matched < 0).sum())
    share = a / (a + b)
    error = np.sqrt(share * (1 - share) / (a + b))
    limits = [share - 1.959963984540054 * error, share + 1.959963984540054 * error]
    return {
        "margins": margins,
        "wins": int(wins.sum()), "losses": int(losses.sum()),
        "win_ratio": [w / l, float(np.sqrt(log_ratio @ covariance @ log_ratio))],
        "net_benefit": [w - l, float(np.sqrt(benefit @ covariance @ benefit))],
        "win_odds": [p / (1 - p), float(np.sqrt(benefit @ covariance @ benefit) / 2 / (p * (1 - p)))],
        "finkelstein_schoenfeld": [float(t), float(v), float(t / np.sqrt(v))],
        "matched": {"wins": a, "losses": b, "win_ratio": a / b, "limits": [x / (1 - x) for x in limits],
                    "z": (share - 0.5) / error},
    }


def golden():
    return {
        "wins_data": DATA,
        "wins": {name: [brute_force(d, m) for m in ([0, 0, 0], [1.5, 0.5, 1])] for name, d in DATA.items()},
    }
