"""Diffrax, vmapped over patients: classic RK4 with constant steps, Tsit5 and Kvaerno5 with adaptive
steps.

Diffrax has no dose events, so each stretch between doses is one solve, with constant steps each
stretch of one step size; a scan over the stretches keeps it at one compilation. The models do not
depend on time, so each solve starts at 0, which spares f32 the rounding of long times. Nothing is
differentiated, hence no checkpoints and no limit on steps."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from base import Base, versions
from case import Unavailable
from jax_rk4 import MATHS, configure, describe_device


class RK4(diffrax.AbstractERK):
    """The classic tableau: Diffrax brings none of four stages and order four. It has no error
    estimate, and constant steps need none."""

    tableau = diffrax.ButcherTableau(
        c=np.array([1 / 2, 1 / 2, 1]),
        b_sol=np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6]),
        b_error=np.zeros(4),
        a_lower=(np.array([1 / 2]), np.array([0, 1 / 2]), np.array([0, 0, 1])),
    )
    # Outputs lie at the ends of steps, up to rounding of time, so any interpolation does.
    interpolation_cls = diffrax.ThirdOrderHermitePolynomialInterpolation.from_k

    def order(self, terms):
        return 4


class Peer(Base):
    def __init__(self, case, variant, device, precision, **_):
        self.case = case
        # Newton's iterations to a tolerance below 1e-5 end near what f32 resolves: steps are then
        # rejected, and f32 takes longer than f64.
        self.precision, dtype = configure(device, precision, "f64" if variant == "kvaerno5" else "f32")
        self.device = describe_device()
        self.versions = versions("diffrax", "jax", "jaxlib", "equinox")
        model = case.model

        adaptive = diffrax.PIDController(rtol=case.rtol, atol=case.atol)
        solver, controller, self.method = {
            "fixed": (RK4(), diffrax.ConstantStepSize(), "RK4 tableau, ConstantStepSize"),
            "tsit5": (diffrax.Tsit5(), adaptive, "Tsit5, PIDController"),
            "kvaerno5": (diffrax.Kvaerno5(), adaptive, "Kvaerno5, PIDController"),
        }[variant]
        term = diffrax.ODETerm(lambda t, y, p: model.stacked(jnp, y, p, MATHS))

        intervals = case.intervals(case.changes() if variant == "fixed" else ())
        # Stretches with fewer outputs than others ask for the end again.
        most = max(1, max(len(i[3]) for i in intervals))
        given = np.zeros((len(intervals), len(model.states)))
        at = np.zeros((len(intervals), most))
        kept = []
        for row, (start, end, doses, times) in enumerate(intervals):
            for state, amount in doses:
                given[row, state] += amount
            at[row] = end - start
            at[row, :len(times)] = np.array(times) - start
            kept += [row * most + i for i in range(len(times))]
        length = np.array([end - start for start, end, *_ in intervals])
        dt = np.array([case.dt(start) for start, *_ in intervals])
        table = tuple(jnp.asarray(a, dtype) for a in (given, length, at, dt))
        kept = np.array(kept)

        def one(y, p):
            def stretch(y, x):
                doses, length, times, dt = x
                dt0 = dt if variant == "fixed" else None
                solution = diffrax.diffeqsolve(
                    term, solver, 0.0, length, dt0, y + doses, p,
                    saveat=diffrax.SaveAt(subs=[diffrax.SubSaveAt(ts=times), diffrax.SubSaveAt(t1=True)]),
                    stepsize_controller=controller,
                    adjoint=diffrax.ForwardMode(),
                    max_steps=None,
                    throw=False,
                )
                out, end = solution.ys
                good = solution.result == diffrax.RESULTS.successful
                return end[0], (out, good)

            _, (out, good) = jax.lax.scan(stretch, y, table)
            return out.reshape(-1, len(model.states))[kept], jnp.all(good)

        self._run = jax.jit(jax.vmap(one))
        # Parameters stay on the device between runs.
        self._y0 = jnp.asarray(case.initial.T, dtype)
        self._p = jnp.asarray(case.values.T, dtype)

    def simulate(self, count):
        out, good = jax.block_until_ready(self._run(self._y0, self._p))
        if not np.all(good):
            raise Unavailable(f"{int(np.sum(~np.asarray(good)))} patients did not reach the end")
        return np.asarray(out)
