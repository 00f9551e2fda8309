"""torchdiffeq's fixed-step RK4, batched over patients: state [state, patient], eager.

Its `rk4` is the 3/8 rule: as many stages and the same order as the classic one. Each stretch between
doses is one solve, with a grid of equal steps."""

import torch
import torchdiffeq

from base import Base, versions
from torch_rk4 import MATHS, configure, describe_device


class Peer(Base):
    method = "rk4 (3/8 rule), fixed step"

    def __init__(self, case, device, precision, threads, **_):
        self.case = case
        self.precision, dtype = configure(device, precision, threads)
        self.device = describe_device(device)
        self.versions = versions("torchdiffeq", "torch")
        self.note = "eager"
        self.y0 = torch.tensor(case.initial, dtype=dtype, device=device)
        p = torch.tensor(case.values, dtype=dtype, device=device)
        self.f = lambda t, y: case.model.stacked(torch, y, p, MATHS)

        # Models do not depend on time, so each solve starts at 0. Times are f64: the solver finds
        # its steps by comparing times.
        self.solves = []
        segments = case.segments()
        for start, end, doses, times in case.intervals():
            grid = [0.0]
            for s in (s for s in segments if start <= s.start < end):
                grid += [s.start - start + (s.end - s.start) * i / s.steps for i in range(1, s.steps + 1)]
            at = [0.0, *(t - start for t in times)]
            if at[-1] < end - start:
                at.append(end - start)
            tensors = (torch.tensor(a, dtype=torch.float64, device=device) for a in (at, grid))
            self.solves.append((doses, len(times), *tensors))

    @torch.no_grad()
    def simulate(self, count):
        y = self.y0.clone()
        out = []
        for doses, wanted, at, grid in self.solves:
            for state, amount in doses:
                y[state] += amount
            solution = torchdiffeq.odeint(
                self.f, y, at, method="rk4",
                options={"grid_constructor": lambda f, y0, t, grid=grid: grid})
            out.append(solution[1:1 + wanted])
            y = solution[-1].clone()
        return torch.cat(out).cpu().numpy()

    def arranged(self, outputs):
        return outputs.transpose(2, 0, 1)
