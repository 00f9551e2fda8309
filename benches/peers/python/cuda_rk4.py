"""RK4 written by hand in CUDA C++ (../cuda/rk4.cu), called through its C interface."""

import ctypes
import os
import pathlib
import sys

import numpy as np

from base import Base
from case import Unavailable

LIBRARY = pathlib.Path(os.environ.get("POSOLOGY_PEERS", sys.prefix), "lib", "librk4.so")


def array(values, dtype):
    return np.ascontiguousarray(values, dtype)


def pointer(values):
    kind = ctypes.c_float if values.dtype == np.float32 else ctypes.c_int
    return values.ctypes.data_as(ctypes.POINTER(kind))


def number(version):
    return f"{version // 1000}.{version % 1000 // 10}"


class Peer(Base):
    method = "RK4, fixed step, one kernel"
    precision = "f32"
    note = "a thread is a patient, state in registers; plain f32 sums"

    def __init__(self, case, **_):
        self.case = case
        if not LIBRARY.exists():
            raise Unavailable(f"{LIBRARY} is not built: it needs nvcc when the peers are set up")
        self.library = ctypes.CDLL(str(LIBRARY))
        for function in ("rk4_device", "rk4_prepare", "rk4_run"):
            getattr(self.library, function).restype = ctypes.c_char_p
        name = ctypes.create_string_buffer(256)
        built, driver = ctypes.c_int(), ctypes.c_int()
        self.call("rk4_device", name, len(name), ctypes.byref(built), ctypes.byref(driver))
        self.device = f"cuda ({name.value.decode()})"
        self.versions = {"cuda": number(built.value), "driver": number(driver.value)}

        segments = case.segments()
        doses = np.zeros((len(segments), len(case.model.states)), np.float32)
        for row, segment in zip(doses, segments):
            for state, amount in segment.doses:
                row[state] += amount
        values, initial = array(case.values, np.float32), array(case.initial, np.float32)
        steps = array([s.steps for s in segments], np.int32)
        lengths = array([(s.end - s.start) / s.steps for s in segments], np.float32)
        rows = array([-1 if s.output is None else s.output for s in segments], np.int32)
        out = ctypes.POINTER(ctypes.c_float)()
        self.call("rk4_prepare", case.name.encode(), case.patients, len(initial), len(values),
                  pointer(values), pointer(initial), len(segments), pointer(steps), pointer(lengths),
                  pointer(rows), pointer(doses), len(case.times), ctypes.byref(out))
        shape = (len(case.times), len(initial), case.patients)
        self.out = np.ctypeslib.as_array(out, shape)

    def call(self, function, *arguments):
        error = getattr(self.library, function)(*arguments)
        if error is not None:
            raise Unavailable(f"CUDA: {error.decode()}")

    def simulate(self, count):
        self.call("rk4_run")
        return self.out

    def arranged(self, outputs):
        return outputs.transpose(2, 0, 1)
