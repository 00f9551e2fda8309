"""Rates of the models, written once for numbers, JAX tracers and torch tensors.

`rates` takes states and parameters one by one (a fused loop, or plain numbers); `stacked` takes them
as arrays [state, ...] and [parameter, ...], as a user of tensors would write it. `maths` holds the
functions that each library names differently.
"""

import math
from typing import Callable, NamedTuple

LN2 = math.log(2)


class Maths(NamedTuple):
    floor: Callable  # floor(x, c): the larger of a state-dependent x and a constant c
    exp: Callable


class Model(NamedTuple):
    states: list[str]
    parameters: list[str]
    rates: Callable
    stacked: Callable


def twelve_state(y, p, maths):
    (depot, central, peripheral, metabolite, tumour, effector, cytokine,
     precursors, transit1, transit2, transit3, circulating) = y
    (ka, k10, k12, k21, V, dosing, km, growth, capacity, kill, ec50, sE, pE, half, mE, dE,
     ksyn, kdeg, ktr, slope, gamma, N0) = p
    concentration = central / V
    effect = concentration / (concentration + ec50)
    feedback = (N0 / maths.floor(circulating, 0.001)) ** gamma
    proliferation = ktr * precursors * maths.floor(1 - slope * concentration, 0.0) * feedback
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


def sensitive_resistant(y, p, maths):
    drug, sensitive, resistant = y
    kel, rS, rR, capacity, onS, onR, emax, ec50 = p
    effect = emax * drug / (ec50 + drug)
    return [
        -kel * drug,
        rS * sensitive * (1 - (sensitive + onS * resistant) / capacity) - effect * sensitive,
        rR * resistant * (1 - (resistant + onR * sensitive) / capacity),
    ]


def lu177_psma(y, p, maths):
    # Time in h; parameters in the units of their source. `tad` is the time after the last dose, a
    # state of its own: every dose sets it back.
    (blood, salivary, kidney, liver, tumour, other, _, _, _, _, _,
     unrepaired_kidney, _, unrepaired_salivary, _, unrepaired_tumour, _, _, cells, psa, tad) = y
    (k10, V1, k12, k21, Bmax, k13, k31, k14, k41, k15, k51, k16, k61, vol_k15, CRCL_ref, VOL_ref, _,
     half_life, S_tumour, S_exponent, S_kidney, S_salivary, S_liver, S_marrow, alpha_beta_kidney,
     T_repair_kidney, alpha_beta_salivary, T_repair_salivary, alpha_tumour, alpha_beta_tumour,
     T_repair_tumour, _, proliferation, cell_death, psa_loss, _, _, _, CRCL, TUM_VOL) = p
    excretion = k10 * CRCL / CRCL_ref * blood
    to_salivary = k12 * (1 - salivary / Bmax) * blood - k21 * salivary
    to_kidney = k13 * blood - k31 * kidney
    to_liver = k14 * blood - k41 * liver
    to_tumour = k15 * (TUM_VOL / VOL_ref) ** vol_k15 * blood - k51 * tumour
    to_other = k16 * blood - k61 * other
    remaining = maths.exp(-LN2 / 24 * tad / half_life)  # half-life in d
    q_tumour = 3.6 * S_tumour * (TUM_VOL / VOL_ref) ** -S_exponent * tumour * remaining  # mGy/s
    q_kidney = 60 * S_kidney * kidney * remaining  # Gy/min
    q_salivary = 3.6 * S_salivary * salivary * remaining  # mGy/s
    bed_tumour = q_tumour * (1 + 2 * unrepaired_tumour / alpha_beta_tumour)
    return [
        -excretion - to_salivary - to_kidney - to_liver - to_tumour - to_other,
        to_salivary,
        to_kidney,
        to_liver,
        to_tumour,
        to_other,
        q_tumour,
        q_kidney,
        q_salivary,
        1e-3 * S_liver * liver * remaining,  # mGy/h
        S_marrow * blood / V1 * remaining,
        q_kidney - LN2 / T_repair_kidney * unrepaired_kidney,
        q_kidney * (1 + 2 * unrepaired_kidney / alpha_beta_kidney),
        q_salivary - LN2 / T_repair_salivary * unrepaired_salivary,
        q_salivary * (1 + 2 * unrepaired_salivary / alpha_beta_salivary),
        q_tumour - 60 * LN2 / T_repair_tumour * unrepaired_tumour,  # min
        bed_tumour,
        excretion,
        ((proliferation - cell_death) / 24 - alpha_tumour * bed_tumour) * cells,  # 1/d
        psa_loss / 24 * (cells - psa),  # 1/d
        1 + 0 * tad,
    ]


def chain(y, p, maths):
    k, vmax, km, *kin = p
    out = [-k * y[0] - vmax * y[0] / (km + y[0])]
    for i in range(1, len(y)):
        out.append(kin[i - 1] * y[i - 1] - k * y[i] - vmax * y[i] / (km + y[i]))
    return out


def chain_stacked(xp, y, p, maths):
    # A chain is one expression over all of its states.
    k, vmax, km = p[0], p[1], p[2]
    lost = k * y + vmax * y / (km + y)
    return xp.concat([-lost[:1], p[3:] * y[:-1] - lost[1:]])


def by_rows(rates):
    return lambda xp, y, p, maths: xp.stack(rates(list(y), list(p), maths))


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
    "lu177-psma-siebinga": Model(
        "blood salivary kidney liver tumour other dose_tumour dose_kidney dose_salivary dose_liver "
        "dose_marrow unrepaired_kidney bed_kidney unrepaired_salivary bed_salivary unrepaired_tumour "
        "bed_tumour excreted cells psa_relative tad".split(),
        "k10 V1 k12 k21 Bmax k13 k31 k14 k41 k15 k51 k16 k61 vol_k15 CRCL_ref VOL_ref bias half_life "
        "S_tumour S_exponent S_kidney S_salivary S_liver S_marrow alpha_beta_kidney T_repair_kidney "
        "alpha_beta_salivary T_repair_salivary alpha_tumour alpha_beta_tumour T_repair_tumour PSA0 "
        "proliferation cell_death psa_loss shape_death scale_death psa_death CRCL TUM_VOL".split(),
        lu177_psma,
        by_rows(lu177_psma),
    ),
    "chain-20": chain_model(20),
    "chain-40": chain_model(40),
}
