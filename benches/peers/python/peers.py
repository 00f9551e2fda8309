"""Peers of the throughput comparison written in Python: `peers.py PEER CASE.json [--device cuda]
[--precision f64]`. Speaks one JSON document a line, see ../README.md."""

import argparse
import importlib
import json
import os
import sys
import time
import traceback

# module, and the name of the method where a module has several
PEERS = {
    "scipy-lsoda": ("scipy_lsoda", None),
    "roadrunner": ("roadrunner_peer", None),
    "diffrax-fixed": ("diffrax_peer", "fixed"),
    "diffrax-tsit5": ("diffrax_peer", "tsit5"),
    "diffrax-kvaerno5": ("diffrax_peer", "kvaerno5"),
    "jax-rk4": ("jax_rk4", None),
    "torch-rk4": ("torch_rk4", None),
    "torchdiffeq-rk4": ("torchdiffeq_rk4", None),
    "cuda-rk4": ("cuda_rk4", None),
}


def restrict(threads):
    """Keeps to `threads` cores (0: all). Thread pools of the libraries follow the affinity, so it is
    set before any of them is imported."""
    cores = sorted(os.sched_getaffinity(0))
    if threads:
        os.sched_setaffinity(0, cores[:threads])
    count = len(os.sched_getaffinity(0))
    os.environ["OMP_NUM_THREADS"] = str(count)
    return count


def first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def prepare(args):
    started = time.perf_counter()
    with open(args.case) as file:
        threads = restrict(json.load(file).get("threads", 0))
    if args.peer == "cuda-rk4":
        pass  # has no other device
    elif args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["JAX_PLATFORMS"] = "cpu"
    else:
        os.environ["JAX_PLATFORMS"] = "cuda"

    from case import Case

    module, variant = PEERS[args.peer]
    peer = importlib.import_module(module).Peer(
        Case(args.case), variant=variant, device=args.device, precision=args.precision, threads=threads)
    # Twice: the first run compiles, the second meets warm caches and allocators. Peers that
    # compile nothing, and take a patient after the other, run a few patients.
    for _ in range(2):
        peer.simulate(peer.warm_up_patients)
    ready = {
        "ready": True, "peer": args.peer, "versions": peer.versions, "precision": peer.precision,
        "method": peer.method, "device": peer.device, "threads": threads,
        "setup_seconds": time.perf_counter() - started, "note": peer.note,
    }
    return peer, ready


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("case")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["f32", "f64"])
    args = parser.parse_args()

    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(document):
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    from case import Unavailable

    try:
        peer, ready = prepare(args)
    except Unavailable as error:
        return answer({"unavailable": str(error)})
    except ImportError as error:
        return answer({"unavailable": f"missing package: {error}"})
    except Exception as error:  # a missing GPU or compiler shows itself in many exceptions
        traceback.print_exc()
        return answer({"unavailable": f"{type(error).__name__}: {first_line(error)}"})
    answer(ready)

    outputs = None
    for line in sys.stdin:
        word, *rest = line.strip().split(maxsplit=1)[:2] or [""]
        if word == "run":
            count = int(rest[0]) if rest else None
            try:
                before = time.perf_counter()
                outputs = peer.simulate(count)
                seconds = time.perf_counter() - before
            except Exception as error:
                traceback.print_exc()
                answer({"error": f"{type(error).__name__}: {error}"})
                continue
            done = {"seconds": seconds}
            if count is not None:
                done["patients"] = min(count, peer.case.patients) if peer.per_patient else peer.case.patients
            answer(done)
        elif word == "results":
            if outputs is None:
                answer({"error": "no run yet"})
                continue
            answer({"written": peer.case.write(peer.arranged(outputs), rest[0])})
        elif word == "quit":
            break
        elif word:
            answer({"error": f"no command {word}"})
    peer.close()


if __name__ == "__main__":
    main()
