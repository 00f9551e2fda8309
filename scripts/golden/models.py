"""Golden values for tests of the model library. Usage: models.py

Independent integration (scipy, LSODA, relative tolerance 1e-10) of the printed equations and
parameters, and the least-squares fit of cardiac risk. Prints what crates/model/tests/library
compares with; nothing is shared with the Rust code.
"""

import platform

import numpy as np
import scipy
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares
from scipy.stats import norm


def friberg(count, base, mtt, slope, gamma, concentration):
    """Rates of the proliferating pool, three transit compartments and the circulating count."""
    ktr = 4 / mtt
    p, a, b, c, circulating = count
    growth = (1 - slope * concentration) * (base / circulating) ** gamma - 1
    return [ktr * p * growth, ktr * (p - a), ktr * (a - b), ktr * (b - c), ktr * (c - circulating)]


def paclitaxel(t, y, rate):
    """Wahlby 2004 with the pharmacokinetics of Friberg 2002; umol, h."""
    cl, v1, q, v2 = 285, 290, 204, 995
    cp = y[0] / v1
    exchange = q * (cp - y[1] / v2)
    return [rate - cl * cp - exchange, exchange, *friberg(y[2:], 5.47, 131, 48.6, 0.22, cp)]


def docetaxel(t, y, rate):
    """Kloft 2006 with the pharmacokinetics of Quartino 2014; mg, h."""
    v1, k10, k12, k21, k13, k31 = 7.4, 5.2, 1.06, 1.51, 1.26, 0.084
    cp = y[0] / v1 / 808 * 1000
    central = rate - (k10 + k12 + k13) * y[0] + k21 * y[1] + k31 * y[2]
    drug = [central, k12 * y[0] - k21 * y[1], k13 * y[0] - k31 * y[2]]
    return [*drug, *friberg(y[3:], 5.21965, 84.1791, 15.5711, 0.144543, cp)]


def course(rates, start, amount, hours, every, doses):
    """Hourly times and counts over a course."""
    y, times, counts = np.array(start, float), [], []
    for k in range(doses):
        begin, end = k * every, (k + 1) * every
        for a, b, rate in ((begin, begin + hours, amount / hours), (begin + hours, end, 0.0)):
            at = np.unique(np.append(np.arange(np.ceil(a), b + 1e-9), b))
            options = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-12, "t_eval": at}
            solution = solve_ivp(rates, (a, b), y, args=(rate,), **options)
            times.extend(solution.t)
            counts.extend(solution.y[-1])
            y = solution.y[:, -1]
    return np.array(times), np.array(counts)


def show(what, times, counts):
    lowest = counts.argmin()
    late = counts[times >= 1344]
    after = f", lowest from week 8 {late.min():.5f}" if late.size else ""
    print(f"{what}: nadir {counts[lowest]:.5f} on day {times[lowest] / 24:.2f}{after}")


print(f"python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}")
for dose, hours, every, doses in ((175, 3, 504, 1), (175, 3, 504, 4), (80, 1, 168, 12)):
    amount = dose * 1.8 / 853.9 * 1000
    start = [0, 0] + [5.47] * 5
    show(f"paclitaxel {dose} mg/m2 x {doses}", *course(paclitaxel, start, amount, hours, every, doses))
for dose in (75, 100):
    start = [0, 0, 0] + [5.21965] * 5
    show(f"docetaxel {dose} mg/m2", *course(docetaxel, start, dose * 1.8, 1, 504, 1))

# cumulative risk of heart failure, Swain 2003
doses, risks = np.array([400.0, 500, 550, 700]), np.array([0.05, 0.16, 0.26, 0.48])
forms = {
    "log-normal": lambda q, d: norm.cdf((np.log(d) - q[0]) / np.exp(q[1])),
    "log-logistic": lambda q, d: 1 / (1 + np.exp(-(np.log(d) - q[0]) / np.exp(q[1]))),
    "Weibull": lambda q, d: 1 - np.exp(-np.exp((np.log(d) - q[0]) / np.exp(q[1]))),
    "logistic": lambda q, d: 1 / (1 + np.exp(-(d - np.exp(q[0])) / np.exp(q[1] + 6))),
}
for name, form in forms.items():
    fit = least_squares(lambda q: form(q, doses) - risks, [6.5, -1.0], xtol=1e-14, ftol=1e-14)
    rms = np.sqrt(np.mean(fit.fun**2))
    print(f"{name}: location {np.exp(fit.x[0]):.2f}, scale {np.exp(fit.x[1]):.4f}, rms {rms:.4f}, residuals {fit.fun.round(4)}")
# ejection fraction: 11 % under PLD and hazard ratio 3.16, both at 500 mg/m2
sd = 0.365
conventional = norm.ppf(1 - 0.89**3.16)
print(f"weight of PLD {np.exp(sd * (norm.ppf(0.11) - conventional)):.4f}, median {500 * np.exp(-sd * conventional):.1f}")
