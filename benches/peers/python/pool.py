"""A pool of processes for libraries that simulate one patient at a time."""

import multiprocessing

import numpy as np

from base import Base

_peer = None


def _chunk(bounds):
    return np.stack([_peer.one(i) for i in range(*bounds)])


class Pooled(Base):
    """`one(patient)` returns [time][state]. The processes are forked once, with the compiled model in
    them; only indices go out and only outputs come back."""

    per_patient = True
    warm_up_patients = 16
    precision = "f64"

    def start(self, threads):
        global _peer
        _peer = self
        self.processes = threads
        self.pool = multiprocessing.get_context("fork").Pool(threads) if threads > 1 else None

    def simulate(self, count):
        count = min(count or self.case.patients, self.case.patients)
        if self.pool is None:
            return _chunk((0, count))
        # A few chunks a process: even loads, and little traffic.
        size = max(1, -(-count // (4 * self.processes)))
        chunks = [(a, min(a + size, count)) for a in range(0, count, size)]
        return np.concatenate(self.pool.map(_chunk, chunks, chunksize=1))

    def close(self):
        if self.pool is not None:
            self.pool.terminate()
            self.pool.join()
