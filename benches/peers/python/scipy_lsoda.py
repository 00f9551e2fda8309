"""SciPy's LSODA, one patient at a time, on all cores.

`odeint` rather than `solve_ivp`: its loop is compiled, only the rates are Python. The rates work on
Python numbers, which for a few states are faster than NumPy arrays."""

import math

import numpy as np
from scipy.integrate import odeint

from base import versions
from models import Maths
from pool import Pooled

MATHS = Maths(floor=max, exp=math.exp)


class Peer(Pooled):
    method = "LSODA (odeint)"

    def __init__(self, case, threads, precision, device, **_):
        self.case = case
        self.versions = versions("scipy", "numpy")
        self.note = "one patient at a time, Python rates, one process a core"
        self.intervals = case.intervals()
        # Rows by patient, so that a patient's numbers lie together.
        self.values, self.initial = case.values.T.copy(), case.initial.T.copy()
        self.start(threads)

    def one(self, patient):
        p = self.values[patient].tolist()
        rates = self.case.model.rates
        y = self.initial[patient].copy()
        out = []

        def f(t, y):
            return rates(y.tolist(), p, MATHS)

        for start, end, doses, times in self.intervals:
            for state, amount in doses:
                y[state] += amount
            at = [start, *times] if times and times[-1] == end else [start, *times, end]
            solution = odeint(f, y, at, rtol=self.case.rtol, atol=self.case.atol, tfirst=True,
                              mxstep=100_000)
            out.append(solution[1:1 + len(times)])
            y = solution[-1].copy()
        return np.concatenate(out)
