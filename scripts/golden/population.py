"""Golden values for crates/cohort/tests/population_golden.rs: physiology and distributions.

The physiology is written out here a second time, from the papers' formulae and not from the Rust;
the truncated distributions come from scipy.stats, by its quadrature.

    python3 scripts/golden/population.py crates/cohort/tests/golden/population.json
"""

import json
import math
import platform
import sys

import numpy
import scipy
from scipy import integrate, stats


def ckd_epi(scr, age, female):
    # Levey 2009: 141 x min(Scr/k, 1)^a x max(Scr/k, 1)^-1.209 x 0.993^age x 1.018 if female
    if female:
        return _ckd(scr, age, 0.7, -0.329) * 1.018
    return _ckd(scr, age, 0.9, -0.411)


def _ckd(scr, age, k, a):
    if scr <= k:
        return 141 * (scr / k) ** a * 0.993**age
    return 141 * (scr / k) ** -1.209 * 0.993**age


def ffm(height, weight, female):
    bmi = weight / height**2
    if female:
        return 9.27e3 * weight / (8.78e3 + 244 * bmi)
    return 9.27e3 * weight / (6.68e3 + 216 * bmi)


# ICRP 89 reference masses (kg), man and woman
MAN = dict(height=1.76, weight=73.0, adipose=14.5, skin=3.3, brain=1.45, liver=1.8, kidneys=0.31, co=6.5, liver_flow=0.255)
WOMAN = dict(height=1.63, weight=60.0, adipose=19.0, skin=2.3, brain=1.3, liver=1.4, kidneys=0.275, co=5.9, liver_flow=0.27)


def anatomy(height, weight, female):
    ref = WOMAN if female else MAN
    lbw, lbw_ref = ffm(height, weight, female), ffm(ref["height"], ref["weight"], female)
    adipose = ref["adipose"] * (weight - lbw) / (ref["weight"] - lbw_ref)
    skin = ref["skin"] * math.sqrt(height * weight / 36) / math.sqrt(ref["height"] * ref["weight"] / 36)
    sv = (weight - adipose - ref["brain"] - skin) / (ref["weight"] - ref["adipose"] - ref["brain"] - ref["skin"])
    return dict(
        height=height, weight=weight, female=female, ffm=lbw, adipose=adipose, skin=skin,
        brain=ref["brain"], liver=ref["liver"] * sv, kidneys=ref["kidneys"] * sv,
        cardiac_output=ref["co"] * sv, liver_flow=ref["co"] * sv * ref["liver_flow"],
    )


def truncated(distribution, low, high, spec):
    mass = distribution.cdf(high) - distribution.cdf(low)
    mean = distribution.expect(lambda x: x, lb=low, ub=high, epsabs=1e-13, epsrel=1e-12, limit=500) / mass
    second = distribution.expect(lambda x: (x - mean) ** 2, lb=low, ub=high, epsabs=1e-13, epsrel=1e-12, limit=500) / mass
    median = distribution.ppf(distribution.cdf(low) + mass / 2)
    return dict(spec=spec, low=low, high=high, mean=mean, sd=math.sqrt(second), median=float(median))


def expected_range(n):
    value, _ = integrate.quad(lambda x: 1 - stats.norm.cdf(x) ** n - stats.norm.sf(x) ** n, -12, 12, limit=1000, epsabs=1e-12)
    return value


def main():
    cases = [(s, a, f) for s in (0.4, 0.7, 0.71, 0.9, 1.3, 4.0) for a in (25, 54, 81.5) for f in (0, 1)]
    people = [(1.6, 55.0, 1), (1.63, 60.0, 1), (1.72, 110.0, 1), (1.76, 73.0, 0), (1.9, 70.0, 0), (1.7, 140.0, 0), (1.5, 45.0, 0)]
    sigma = math.sqrt(math.log(1 + (3.3 / 22.8) ** 2))
    bmi = stats.lognorm(s=sigma, scale=math.exp(math.log(22.8) - sigma**2 / 2))
    tumour_sd = math.log(78 / 0.27) / expected_range(10)
    out = dict(
        versions=dict(python=platform.python_version(), numpy=numpy.__version__, scipy=scipy.__version__),
        ckd_epi=[dict(creatinine=s, age=a, female=f, gfr=ckd_epi(s, a, f)) for s, a, f in cases],
        anatomy=[anatomy(*p) for p in people],
        truncated=[
            truncated(stats.norm(1.72, 0.075), 1.6, 1.75, "normal = { mean = 1.72, sd = 0.075 }"),
            truncated(stats.norm(0, 1), 2.0, 5.0, "normal = { mean = 0, sd = 1 }"),
            truncated(bmi, 16, 24, "lognormal = { mean = 22.8, sd = 3.3 }"),
            truncated(stats.lognorm(s=tumour_sd, scale=1.73), 0.27, 78, "lognormal = { median = 1.73, range = [0.27, 78], n = 10 }"),
            truncated(stats.lognorm(s=math.sqrt(math.log(1.16)), scale=1.34), 0.3, 4.5, "lognormal = { median = 1.34, cv = 0.4 }"),
            truncated(stats.uniform(-1, 5), 0, 3, "uniform = { low = -1, high = 4 }"),
            truncated(stats.expon(scale=2.5), 0.5, 6, "exponential = { mean = 2.5 }"),
        ],
        ranges=[dict(n=n, d2=expected_range(n)) for n in (2, 10, 49, 240, 888)],
    )
    with open(sys.argv[1], "w") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


main()
