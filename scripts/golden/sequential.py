"""Golden values for group-sequential designs. Usage: sequential.py OUTPUT.json

A second implementation that shares nothing with the Rust code: two and three looks by adaptive
quadrature over the joint normal density of the statistics themselves, five looks by the
multivariate normal distribution function of scipy (Genz).
"""

import json
import platform
import sys
from math import erfc, sqrt

import numpy as np
import scipy
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm


def upper(z):
    return 0.5 * erfc(z / sqrt(2))


def accept_two(t, b, drift=0.0):
    """P(|Z1| < b1, |Z2| < b2) for information t[0], t[1]."""
    r = sqrt(t[0] / t[1])
    s = sqrt(1 - r * r)

    def inner(z):
        centre = r * (z - drift * sqrt(t[0])) + drift * sqrt(t[1])
        return norm.pdf(z - drift * sqrt(t[0])) * (norm.cdf((b[1] - centre) / s) - norm.cdf((-b[1] - centre) / s))

    return quad(inner, -b[0], b[0], epsabs=1e-13, epsrel=1e-13, limit=200)[0]


def accept_three(t, b, drift=0.0):
    """P(|Z1| < b1, |Z2| < b2, |Z3| < b3): condition on the middle look."""

    def side(z, k):
        # Z1 given Z2 (a bridge), or Z3 given Z2 (a step)
        if k == 0:
            r = sqrt(t[0] / t[1])
            centre = drift * sqrt(t[0]) + r * (z - drift * sqrt(t[1]))
        else:
            r = sqrt(t[1] / t[2])
            centre = drift * sqrt(t[2]) + r * (z - drift * sqrt(t[1]))
        s = sqrt(1 - r * r)
        return norm.cdf((b[k] - centre) / s) - norm.cdf((-b[k] - centre) / s)

    return quad(lambda z: norm.pdf(z - drift * sqrt(t[1])) * side(z, 0) * side(z, 2), -b[1], b[1],
                epsabs=1e-13, epsrel=1e-13, limit=200)[0]


def accept(t, b, drift=0.0):
    return {2: accept_two, 3: accept_three}[len(t)](t, b, drift)


def constant(t, alpha, exponent):
    boundary = lambda c: [c * x**exponent for x in t]
    c = brentq(lambda c: 1 - accept(t, boundary(c)) - alpha, 1.0, 6.0, xtol=1e-13, rtol=1e-14)
    return boundary(c)


def obrien_fleming_spent(alpha, t):
    """Two-sided Lan-DeMets: twice the one-sided function at alpha / 2."""
    return 4 * upper(norm.isf(alpha / 4) / sqrt(t))


def spending(t, alpha):
    spent = [obrien_fleming_spent(alpha, x) for x in t]
    bounds = [norm.isf(spent[0] / 2)]
    for k in range(1, len(t)):
        bounds.append(brentq(lambda z: 1 - accept(t[: k + 1], bounds + [z]) - spent[k], 0.5, 9, xtol=1e-13, rtol=1e-14))
    return bounds


designs = []
for alpha in (0.05, 0.01):
    for t in ([0.5, 1.0], [1 / 3, 2 / 3, 1.0], [0.3, 0.75, 1.0]):
        for kind, bounds in (
            ("obrien-fleming", constant(t, alpha, -0.5)),
            ("pocock", constant(t, alpha, 0.0)),
            ("lan-demets-of", spending(t, alpha)),
        ):
            drift = 3.0
            designs.append(dict(kind=kind, looks=t, alpha=alpha, critical=bounds, drift=drift,
                                power=1 - accept(t, bounds, drift)))

# five looks, two-sided 0.05: probability that |Z| stays inside the published constants' boundary
five = []
for name, bounds in (("pocock", [2.413] * 5), ("obrien-fleming", [2.040 * sqrt(5 / k) for k in range(1, 6)])):
    t = np.arange(1, 6) / 5
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    inside = multivariate_normal(np.zeros(5), correlation, seed=1, maxpts=5_000_000, abseps=1e-9, releps=1e-9).cdf(
        np.array(bounds), lower_limit=-np.array(bounds))
    five.append(dict(kind=name, critical=bounds, level=1 - inside))

json.dump(
    dict(versions=dict(python=platform.python_version(), scipy=scipy.__version__), designs=designs, five=five),
    open(sys.argv[1], "w"), indent=1)
