"""Golden values for dose-finding designs that the R packages lack. Usage: dose_finding.py OUTPUT.json

Keyboard decisions by enumerating keys with scipy's beta distribution, posterior probabilities of
overdose of a CRM by adaptive quadrature, isotonic regression by scipy.
"""

import json
import platform
import sys
from math import exp, log, sqrt

import numpy as np
import scipy
from scipy.integrate import quad
from scipy.optimize import isotonic_regression
from scipy.stats import beta

rng = np.random.default_rng(7)


def keyboard(target, half, n, y):
    """-1 escalate, 0 stay, 1 de-escalate."""
    low, high = target - half, target + half
    keys = [(low, high, 0)]
    a = low
    while a - 2 * half > -1e-9:
        keys.append((max(a - 2 * half, 0), a, -1))
        a -= 2 * half
    b = high
    while b + 2 * half < 1 + 1e-9:
        keys.append((b, min(b + 2 * half, 1), 1))
        b += 2 * half
    mass = [(beta.cdf(v, y + 1, n - y + 1) - beta.cdf(u, y + 1, n - y + 1), side) for u, v, side in keys]
    return max(mass)[1]


tables = []
for target, half in ((0.2, 0.05), (0.3, 0.05), (0.25, 0.04)):
    rows = [[keyboard(target, half, n, y) for y in range(n + 1)] for n in range(1, 31)]
    tables.append(dict(target=target, halfwidth=half, decisions=rows))

posteriors = []
for _ in range(40):
    doses = int(rng.integers(2, 7))
    skeleton = np.sort(rng.uniform(0.02, 0.8, doses)).tolist()
    target = float(rng.choice([0.2, 0.25, 0.3]))
    sd = float(rng.choice([0.75, sqrt(1.34), 1.34]))
    n = rng.integers(0, 8, doses)
    y = rng.binomial(n, rng.uniform(0, 0.7))
    n[0] += 1

    def density(a):
        value = -0.5 * (a / sd) ** 2
        for p, count, toxic in zip(skeleton, n, y):
            power = log(p) * exp(a)
            value += toxic * power + (count - toxic) * np.log(-np.expm1(power)) if count > 0 else 0.0
        return exp(value)

    limits = [log(log(target) / log(p)) for p in skeleton]
    points = np.linspace(-10 * sd, 10 * sd, 81)

    def integral(u, v, f=density):
        cuts = [u] + [float(x) for x in points if u < x < v] + [v]
        return sum(quad(f, a, b, epsabs=0, epsrel=1e-12, limit=200)[0] for a, b in zip(cuts, cuts[1:]))

    total = integral(-10 * sd, 10 * sd)
    mean = integral(-10 * sd, 10 * sd, lambda a: a * density(a)) / total
    posteriors.append(dict(
        skeleton=skeleton, target=target, sd=sd, patients=n.tolist(), toxicities=y.tolist(), mean=mean,
        overdose=[integral(-10 * sd, float(np.clip(v, -10 * sd, 10 * sd))) / total for v in limits]))

regressions = []
for _ in range(60):
    count = int(rng.integers(1, 9))
    values = rng.choice([rng.uniform(0, 1, count), np.round(rng.uniform(0, 1, count), 1)])
    weights = rng.uniform(0.1, 20, count)
    regressions.append(dict(values=values.tolist(), weights=weights.tolist(),
                            fitted=isotonic_regression(values, weights=weights).x.tolist()))

json.dump(dict(versions=dict(python=platform.python_version(), scipy=scipy.__version__, numpy=np.__version__),
               keyboard=tables, posteriors=posteriors, isotonic=regressions), open(sys.argv[1], "w"))
