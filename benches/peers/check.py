"""Checks peers against a reference in f64 (SciPy's DOP853, tolerance 1e-10): `check.py [--patients 8]
[--uneven] [--cuda] [PEER ...]`. Makes its own cases, speaks the protocol, prints the largest error of
each peer scaled by each state's range, and exits with 1 if a fixed-step peer is off by more than 1e-4
or an adaptive one by more than 100 times its relative tolerance."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import numpy as np
from scipy.integrate import solve_ivp

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))

from case import Case  # noqa: E402
from models import MODELS as MODELS_HERE  # noqa: E402
from scipy_lsoda import MATHS  # noqa: E402

MODELS = {
    "twelve-state": HERE.parent / "engine/twelve-state.toml",
    "sensitive-resistant": HERE / "models/sensitive-resistant.toml",
    "lu177-psma-siebinga": HERE.parent.parent / "configs/models/lu177-psma-siebinga.toml",
    "chain-20": HERE / "models/chain-20.toml",
    "chain-40": HERE / "models/chain-40.toml",
}
FIXED = ["jax-rk4", "diffrax-fixed", "torch-rk4", "torchdiffeq-rk4", "cuda-rk4"]
ADAPTIVE = ["scipy-lsoda", "roadrunner", "diffrax-tsit5", "diffrax-kvaerno5", "diffsol", "pharmsol"]
RUST = ["diffsol", "pharmsol"]
RTOL, ATOL = 1e-5, 1e-7


def command(peer, case):
    if peer in RUST:
        folder = os.environ.get("POSOLOGY_PEERS", sys.prefix)
        return [pathlib.Path(folder, "bin", "posology-peers"), peer, case]
    return [sys.executable, HERE / "python/peers.py", peer, case]


def write_case(folder, name, patients, method, duration, uneven, undosed):
    """A case as the driver writes it. `uneven`: outputs and doses at no common distance; `undosed`: no dose."""
    model = tomllib.loads(MODELS[name].read_text())
    covariates = {name: {"value": c["reference"]} for name, c in model.get("covariates", {}).items()}
    constants = model["parameters"] | covariates
    states, parameters = list(model["states"]), list(constants)
    random = np.random.default_rng(1)
    centre = np.array([p["value"] for p in constants.values()])
    values = centre[:, None] * np.exp(0.15 * random.standard_normal((len(centre), patients)))
    start = [[float(s.get("init", 0))] for s in model["states"].values()]
    clocked = "tad" in MODELS_HERE[name].states
    if clocked:
        states.append("tad")
        start.append([0.0])
    initial = np.repeat(start, patients, axis=1)
    values.astype("<f8").tofile(folder / "values.f64")
    initial.astype("<f8").tofile(folder / "initial.f64")
    if uneven:
        times = [0.5, 1.0, 3.5, 6.0, 6.02, 11.5, 12.0, duration]
        doses = [(0.0, 20.0), (3.5, 5.0), (7.0, 30.0), (7.0, 2.0)]
    else:
        times = [float(t) for t in range(1, int(duration) + 1)]
        doses = [(0.0, 20.0), (12.0, 30.0)]
    if undosed:
        doses = []
    doses = [(t, 0, a) for t, a in doses]
    if clocked:
        given = sorted({0.0, *(t for t, *_ in doses)})
        doses += [(b, len(states) - 1, a - b) for a, b in zip(given, given[1:])]
    path = folder / "case.json"
    path.write_text(json.dumps({
        "model": name, "patients": patients, "states": states, "parameters": parameters,
        "values": "values.f64", "initial": "initial.f64",
        "doses": [{"time": t, "state": s, "amount": a} for t, s, a in doses],
        "duration": duration, "steps": [{"until": 4.0, "dt": 0.02}, {"dt": 0.04}], "times": times, "method": method,
        "rtol": RTOL, "atol": ATOL, "threads": 0,
    }))
    return path


def reference(path):
    """[patient][time][state]; the models' states are in the order of their files."""
    case = Case(path)
    out = []
    for i in range(case.patients):
        y, p, rows = case.initial[:, i].copy(), case.values[:, i], []
        for start, end, doses, times in case.intervals():
            for state, amount in doses:
                y[state] += amount
            solved = solve_ivp(lambda t, y: case.model.rates(y, p, MATHS), (start, end), y, "DOP853",
                               t_eval=sorted({*times, end}), rtol=1e-10, atol=1e-12)
            rows += list(solved.y.T[:len(times)])
            y = solved.y[:, -1].copy()
        out.append(rows)
    return np.array(out)


class Process:
    def __init__(self, arguments, log):
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=log, text=True)

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"unavailable": "ended without an answer"}

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                pass
        return self.process.wait(timeout=60)


def check(peer, name, path, expected, extra, folder):
    """One row of the table, and whether it is right."""
    try:
        with open(folder / f"{peer}.log", "w") as log:
            process = Process([*command(peer, path), *extra], log)
            ready = process.read()
            if "unavailable" in ready:
                process.end()
                return f"{name:20} {peer:17} unavailable: {ready['unavailable']}", True
            runs = [process.ask("run") for _ in range(3)]
            wrong = [run for run in runs if "seconds" not in run]
            if wrong:
                process.end()
                return f"{name:20} {peer:17} {wrong[0]}", False
            seconds = min(run["seconds"] for run in runs)
            written = process.ask(f"results {folder / 'out.f64'}")["written"]
            code = process.end()
    except FileNotFoundError as error:
        return f"{name:20} {peer:17} not built: {error.filename}", True
    found = np.fromfile(folder / "out.f64", dtype="<f8")
    if written != expected.size or found.size != expected.size or code != 0:
        return f"{name:20} {peer:17} wrote {written} of {expected.size}, exit {code}", False
    found = found.reshape(expected.shape)
    # f32 resolves no small change of a state: one that hardly moves is held to a tenth of its size
    size = np.max(np.abs(expected), axis=(0, 1))
    scale = np.maximum(np.ptp(expected, axis=(0, 1)), 0.1 * size + 1e-12)
    error = np.max(np.abs(found - expected) / scale)
    limit = 1e-4 if peer in FIXED else 100 * RTOL
    good = bool(error <= limit)  # false for NaN
    return (f"{name:20} {peer:17} {ready['precision']:4} {error:9.2e} {'ok' if good else 'OFF':4}"
            f"{seconds:10.4f} s {ready['setup_seconds']:7.1f} s  {ready['method']}, {ready['device']}, "
            f"{json.dumps(ready['versions'])}"), good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peers", nargs="*", default=FIXED + ADAPTIVE)
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--uneven", action="store_true", help="outputs and doses at no common distance")
    parser.add_argument("--undosed", action="store_true", help="no dose")
    parser.add_argument("--cuda", action="store_true", help="run the Python peers on a CUDA device")
    args = parser.parse_args()

    good = True
    print(f"{'model':20} {'peer':17}      error      seconds   setup")
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            path = write_case(folder, name, args.patients, "rk4-fixed", 20.0, args.uneven, args.undosed)
            expected = reference(path)
            for peer in args.peers:
                extra = ["--device", "cuda"] if args.cuda and peer not in RUST else []
                row, right = check(peer, name, path, expected, extra, folder)
                good &= right
                print(row, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
