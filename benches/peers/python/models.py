"""Rates of the models, written once for numbers, JAX tracers and torch tensors.

`rates` takes states and parameters one by one (a fused loop, or plain numbers); `stacked` takes them
as arrays [state, ...] and [parameter, ...], as a user of tensors would write it. `floor(x, c)` is
the larger of a state-dependent x and a constant c: each library names it differently.
"""

from typing import Callable, NamedTuple


class Model(NamedTuple):
    states: list[str]
    parameters: list[str]
    rates: Callable
    stacked: Callable


def twelve_state(y, p, floor):
    (depot, central, peripheral, metabolite, tumour, effector, cytokine,
     precursors, transit1, transit2, transit3, circulating) = y
    (ka, k10, k12, k21, V, dosing, km, growth, capacity, kill, ec50, sE, pE, half, mE, dE,
     ksyn, kdeg, ktr, slope, gamma, N0) = p
    concentration = central / V
    effect = concentration / (concentration + ec50)
    feedback = (N0 / floor(circulating, 0.001)) ** gamma
    proliferation = ktr * precursors * floor(1 - slope * concentration, 0.0) * feedback
    return [
        -ka * depot,
        ka * depot + dosing + k21 * peripheral - k10 * central - k12 * central,
        k12 * central - k21 * peripheral,
        k10 * central - km * metabolite,
        growth * tumour * (1 - tumour / capacity) - kill * effect * tumour - mE * effector * tumour,
        sE + pE * effector * tumour / (half + tumour) - dE * effector,
        ksyn * effector - kdeg * cytokine,
        proliferation - ktr * precursors,
        ktr * precursors - ktr * transit1,
        ktr * transit1 - ktr * transit2,
        ktr * transit2 - ktr * transit3,
        ktr * transit3 - ktr * circulating,
    ]


def sensitive_resistant(y, p, floor):
    drug, sensitive, resistant = y
    kel, rS, rR, capacity, onS, onR, emax, ec50 = p
    effect = emax * drug / (ec50 + drug)
    return [
        -kel * drug,
        rS * sensitive * (1 - (sensitive + onS * resistant) / capacity) - effect * sensitive,
        rR * resistant * (1 - (resistant + onR * sensitive) / capacity),
    ]


def chain(y, p, floor):
    k, vmax, km, *kin = p
    out = [-k * y[0] - vmax * y[0] / (km + y[0])]
    for i in range(1, len(y)):
        out.append(kin[i - 1] * y[i - 1] - k * y[i] - vmax * y[i] / (km + y[i]))
    return out


def chain_stacked(xp, y, p, floor):
    # A chain is one expression over all of its states.
    k, vmax, km = p[0], p[1], p[2]
    lost = k * y + vmax * y / (km + y)
    return xp.concat([-lost[:1], p[3:] * y[:-1] - lost[1:]])


def by_rows(rates):
    return lambda xp, y, p, floor: xp.stack(rates(list(y), list(p), floor))


def chain_model(n):
    states = [f"x{i:02}" for i in range(1, n + 1)]
    parameters = ["k", "vmax", "km"] + [f"kin{i:02}" for i in range(2, n + 1)]
    return Model(states, parameters, chain, chain_stacked)


MODELS = {
    "twelve-state": Model(
        "depot central peripheral metabolite tumour effector cytokine precursors transit1 transit2 "
        "transit3 circulating".split(),
        "ka k10 k12 k21 V dosing km growth capacity kill ec50 sE pE half mE dE ksyn kdeg ktr slope "
        "gamma N0".split(),
        twelve_state,
        by_rows(twelve_state),
    ),
    "sensitive-resistant": Model(
        "drug sensitive resistant".split(),
        "kel rS rR capacity onS onR emax ec50".split(),
        sensitive_resistant,
        by_rows(sensitive_resistant),
    ),
    "chain-20": chain_model(20),
    "chain-40": chain_model(40),
}
