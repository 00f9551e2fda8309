"""Classic RK4 written by hand in JAX: one compiled loop over all steps, vmapped over patients.

The state is a tuple of scalars, not a vector: after vmap every operation is elementwise over
patients, and XLA can fuse a whole step."""

import jax
import jax.numpy as jnp
import numpy as np

from base import Base, versions
from case import Unavailable
from models import Maths

MATHS = Maths(floor=jnp.maximum, exp=jnp.exp)


def configure(device, precision, default="f32"):
    precision = precision or default
    jax.config.update("jax_enable_x64", precision == "f64")
    try:
        jax.devices("cuda" if device == "cuda" else "cpu")
    except (RuntimeError, AssertionError) as error:
        raise Unavailable(f"JAX sees no {device} device") from error
    return precision, jnp.float64 if precision == "f64" else jnp.float32


def describe_device():
    found = jax.devices()[0]
    return "cpu" if found.platform == "cpu" else f"cuda ({found.device_kind})"


class Peer(Base):
    method = "RK4, fixed step"

    def __init__(self, case, device, precision, **_):
        self.case = case
        self.precision, dtype = configure(device, precision)
        self.device = describe_device()
        self.versions = versions("jax", "jaxlib")
        rates = case.model.rates
        segments = case.segments()
        states = range(len(case.model.states))

        def step(y, p, h):
            def f(y):
                return rates(y, p, MATHS)

            def along(k, a):
                return tuple(y[i] + a * k[i] for i in states)

            k1 = f(y)
            k2 = f(along(k1, h / 2))
            k3 = f(along(k2, h / 2))
            k4 = f(along(k3, h))
            return tuple(y[i] + h / 6 * (k1[i] + 2 * (k2[i] + k3[i]) + k4[i]) for i in states)

        given = np.zeros((len(segments), len(states)))
        for row, segment in zip(given, segments):
            for state, amount in segment.doses:
                row[state] += amount
        given = jnp.asarray(given, dtype)
        counts = {s.steps for s in segments}
        h = [(s.end - s.start) / s.steps for s in segments]

        def one(y, p):
            def stretch(y, x):
                doses, steps, h = x
                y = tuple(y[i] + doses[i] for i in states)
                # Equal stretches have a constant trip count, which spares a GPU the question
                # after each step whether there is another.
                trips = segments[0].steps if len(counts) == 1 else steps
                y = jax.lax.fori_loop(0, trips, lambda _, y: step(y, p, h), y)
                return y, y

            table = (given, jnp.asarray([s.steps for s in segments]), jnp.asarray(h, dtype))
            _, out = jax.lax.scan(stretch, y, table)
            kept = np.array([i for i, s in enumerate(segments) if s.output is not None])
            return tuple(o[kept] for o in out)

        self._run = jax.jit(jax.vmap(one, out_axes=1))
        # Parameters stay on the device between runs.
        self._y0 = tuple(jnp.asarray(row, dtype) for row in case.initial)
        self._p = tuple(jnp.asarray(row, dtype) for row in case.values)

    def simulate(self, count):
        return [np.asarray(state) for state in jax.block_until_ready(self._run(self._y0, self._p))]

    def arranged(self, outputs):
        return np.stack(outputs).transpose(2, 1, 0)
