"""One case of the comparison: who is simulated, with which doses, and what is asked for."""

import json
import math
import pathlib
from typing import NamedTuple

import numpy as np

from models import MODELS


class Unavailable(Exception):
    """The peer cannot run this case here; the text says why."""


class Segment(NamedTuple):
    """A stretch without events: doses at its start, `steps` equal steps, maybe an output at its end."""

    start: float
    end: float
    steps: int
    doses: list[tuple[int, float]]
    output: int | None


class Case:
    """States and parameters are in the order of the model here; `write` restores the file's order."""

    def __init__(self, path):
        path = pathlib.Path(path)
        data = json.loads(path.read_text())
        self.name = data["model"]
        if self.name not in MODELS:
            raise Unavailable(f"no model {self.name} here; there are {', '.join(MODELS)}")
        self.model = MODELS[self.name]
        self.patients = data["patients"]
        self.duration = data["duration"]
        # Pieces of the step by time after a dose, or after the start: (until, dt).
        self.steps = [(piece.get("until", math.inf), piece["dt"]) for piece in data["steps"]]
        self.times = data["times"]
        self.method = data["method"]
        self.rtol, self.atol = data["rtol"], data["atol"]
        self.threads = data.get("threads", 0)

        states, parameters = data["states"], data["parameters"]
        for what, there, here in (("states", states, self.model.states),
                                  ("parameters", parameters, self.model.parameters)):
            if sorted(there) != sorted(here):
                raise Unavailable(f"{what} of the case {there} are not those of {self.name} {here}")

        def array(key, names, order):
            raw = np.fromfile(path.parent / data[key], dtype="<f8")
            raw = raw.reshape(len(names), self.patients)
            return np.ascontiguousarray(raw[[names.index(n) for n in order]])

        self.values = array("values", parameters, self.model.parameters)
        self.initial = array("initial", states, self.model.states)
        self.doses = [(d["time"], self.model.states.index(states[d["state"]]), d["amount"])
                      for d in data["doses"]]
        self._file_order = [self.model.states.index(s) for s in states]

    def last_dose(self, time):
        return max((d[0] for d in self.doses if d[0] <= time), default=0.0)

    def dt(self, time):
        """The step that begins at a time."""
        after = time - self.last_dose(time)
        return next(dt for until, dt in self.steps if after < until - 1e-9)

    def changes(self):
        """Times at which the step changes other than by a dose."""
        starts = {0.0, *(d[0] for d in self.doses)}
        found = {start + until for start in starts for until, _ in self.steps if until < math.inf}
        return sorted(t for t in found if t < self.duration and t - self.last_dose(t) > 0
                      and self.dt(t) != self.dt(t - 1e-6))

    def segments(self):
        """The stretches between events; a dose acts after an output at its time, before the steps."""
        points = sorted({0.0, self.duration, *self.times, *self.changes(), *(d[0] for d in self.doses)})
        points = [t for t in points if t <= self.duration]
        out = []
        for start, end in zip(points, points[1:]):
            steps = max(1, math.ceil((end - start) / self.dt(start) - 1e-6))
            doses = [(state, amount) for time, state, amount in self.doses if time == start]
            output = self.times.index(end) if end in self.times else None
            out.append(Segment(start, end, steps, doses, output))
        return out

    def intervals(self, also=()):
        """The stretches between doses (`also`: and these times), for solvers that give outputs within
        one call: start, end, doses at the start, and the output times after the start up to the end."""
        cuts = sorted({0.0, self.duration, *also, *(d[0] for d in self.doses if d[0] < self.duration)})
        out = []
        for start, end in zip(cuts, cuts[1:]):
            doses = [(state, amount) for time, state, amount in self.doses if time == start]
            out.append((start, end, doses, [t for t in self.times if start < t <= end]))
        return out

    def write(self, outputs, path):
        """`outputs` is [patient][time][state] in the model's order."""
        outputs = np.asarray(outputs, dtype="<f8")[:, :, self._file_order]
        outputs.tofile(path)
        return outputs.size
