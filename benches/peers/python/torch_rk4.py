"""Classic RK4 written by hand in PyTorch, batched over patients: state [state, patient].

One step is compiled by torch.compile where that works, and runs eagerly where it does not; on a
CUDA device the steps between two events are captured once as a CUDA graph, or launching thousands
of small kernels would be most of the time."""

import os
import sys

import torch

from base import Base, versions
from case import Unavailable
from models import Maths


def configure(device, precision, threads):
    if device == "cuda" and not torch.cuda.is_available():
        raise Unavailable("PyTorch sees no CUDA device")
    torch.set_num_threads(threads)
    precision = precision or "f32"
    return precision, torch.float64 if precision == "f64" else torch.float32


def describe_device(device):
    return "cpu" if device == "cpu" else f"cuda ({torch.cuda.get_device_name()})"


MATHS = Maths(floor=lambda x, c: x.clamp(min=c), exp=torch.exp)


class Peer(Base):
    def __init__(self, case, device, precision, threads, **_):
        self.case = case
        self.precision, dtype = configure(device, precision, threads)
        self.device = describe_device(device)
        self.versions = versions("torch")
        self.cuda = device == "cuda"
        # Parameters stay on the device between runs.
        self.y0 = torch.tensor(case.initial, dtype=dtype, device=device)
        self.p = torch.tensor(case.values, dtype=dtype, device=device)
        self.segments = case.segments()
        self.out = torch.empty((len(case.times), *self.y0.shape), dtype=dtype, device=device)
        stacked = case.model.stacked

        def step(y, p, h: float):
            k1 = stacked(torch, y, p, MATHS)
            k2 = stacked(torch, y + h / 2 * k1, p, MATHS)
            k3 = stacked(torch, y + h / 2 * k2, p, MATHS)
            k4 = stacked(torch, y + h * k3, p, MATHS)
            return y + h / 6 * (k1 + 2 * (k2 + k3) + k4)

        self.step, how = self.compiled(step)
        self.graphs = {}
        if self.cuda:
            how += self.capture()
        self.method = f"RK4, fixed step, {how}"

    def compiled(self, step):
        """Compiled if that works here (it needs a C++ compiler, or Triton), else as it is."""
        if os.environ.get("POSOLOGY_PEERS_EAGER"):
            return step, "eager as asked"
        try:
            # dynamic=False: lengths of steps are few, and constants in the compiled code.
            candidate = torch.compile(step, dynamic=False)
            with torch.no_grad():
                for _, h in {self.kind(s) for s in self.segments}:
                    candidate(self.y0, self.p, h)
            return candidate, "torch.compile"
        except Exception as error:
            print(f"torch.compile: {error}", file=sys.stderr)
            return step, f"eager (torch.compile: {type(error).__name__})"

    @torch.no_grad()
    def capture(self):
        """A CUDA graph for each kind of stretch; it works on the one buffer `self.y`."""
        self.y = self.y0.clone()
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _, h in {self.kind(s) for s in self.segments}:
                    self.y.copy_(self.step(self.y, self.p, h))
            torch.cuda.current_stream().wait_stream(side)
            for segment in self.segments:
                kind = self.kind(segment)
                if kind not in self.graphs:
                    graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(graph):
                        for _ in range(segment.steps):
                            self.y.copy_(self.step(self.y, self.p, kind[1]))
                    self.graphs[kind] = graph
            return " in CUDA graphs"
        except Exception as error:
            print(f"CUDA graph: {error}", file=sys.stderr)
            self.graphs = {}
            return f" without CUDA graphs ({type(error).__name__})"

    @staticmethod
    def kind(segment):
        # Rounded: lengths that differ in the last bit would each be compiled.
        return segment.steps, round((segment.end - segment.start) / segment.steps, 12)

    @torch.no_grad()
    def simulate(self, count):
        if self.graphs:
            y = self.y.copy_(self.y0)
        else:
            y = self.y0.clone()
        for segment in self.segments:
            for state, amount in segment.doses:
                y[state] += amount
            kind = self.kind(segment)
            if self.graphs:
                self.graphs[kind].replay()
            else:
                for _ in range(segment.steps):
                    y = self.step(y, self.p, kind[1])
            if segment.output is not None:
                self.out[segment.output] = y
        # A copy: on the CPU, the next run would write into the same memory. It waits for the device.
        return self.out.to("cpu", copy=True).numpy()

    def arranged(self, outputs):
        return outputs.transpose(2, 0, 1)
