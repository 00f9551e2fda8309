"""libRoadRunner (CVODE, BDF), one patient at a time, on all cores.

The model is Antimony text, compiled once by LLVM before the processes are forked. A patient is a
reset, his parameters and initial values, and one `simulate`; doses are events of the model."""

import numpy as np
import antimony
import roadrunner

from base import versions
from pool import Pooled

# Names of parameters that Antimony reserves.
RENAMED = {"gamma": "exponent"}

TWELVE_STATE = """
concentration := central / V
effect := concentration / (concentration + ec50)
feedback := (N0 / max(circulating, 0.001))^exponent
proliferation := ktr * precursors * max(1 - slope * concentration, 0) * feedback
depot' = -ka*depot
central' = ka*depot + dosing + k21*peripheral - k10*central - k12*central
peripheral' = k12*central - k21*peripheral
metabolite' = k10*central - km*metabolite
tumour' = growth*tumour*(1 - tumour/capacity) - kill*effect*tumour - mE*effector*tumour
effector' = sE + pE*effector*tumour/(half + tumour) - dE*effector
cytokine' = ksyn*effector - kdeg*cytokine
precursors' = proliferation - ktr*precursors
transit1' = ktr*precursors - ktr*transit1
transit2' = ktr*transit1 - ktr*transit2
transit3' = ktr*transit2 - ktr*transit3
circulating' = ktr*transit3 - ktr*circulating
"""

SENSITIVE_RESISTANT = """
effect := emax*drug / (ec50 + drug)
drug' = -kel*drug
sensitive' = rS*sensitive*(1 - (sensitive + onS*resistant)/capacity) - effect*sensitive
resistant' = rR*resistant*(1 - (resistant + onR*sensitive)/capacity)
"""


# Units as in models.py.
LU177_PSMA = """
excretion := k10*CRCL/CRCL_ref*blood
to_salivary := k12*(1 - salivary/Bmax)*blood - k21*salivary
to_kidney := k13*blood - k31*kidney
to_liver := k14*blood - k41*liver
to_tumour := k15*(TUM_VOL/VOL_ref)^vol_k15*blood - k51*tumour
to_other := k16*blood - k61*other
remaining := exp(-ln(2)/24*tad/half_life)
q_tumour := 3.6*S_tumour*(TUM_VOL/VOL_ref)^(-S_exponent)*tumour*remaining
q_kidney := 60*S_kidney*kidney*remaining
q_salivary := 3.6*S_salivary*salivary*remaining
rate_tumour := q_tumour*(1 + 2*unrepaired_tumour/alpha_beta_tumour)
blood' = -excretion - to_salivary - to_kidney - to_liver - to_tumour - to_other
salivary' = to_salivary
kidney' = to_kidney
liver' = to_liver
tumour' = to_tumour
other' = to_other
dose_tumour' = q_tumour
dose_kidney' = q_kidney
dose_salivary' = q_salivary
dose_liver' = 1e-3*S_liver*liver*remaining
dose_marrow' = S_marrow*blood/V1*remaining
unrepaired_kidney' = q_kidney - ln(2)/T_repair_kidney*unrepaired_kidney
bed_kidney' = q_kidney*(1 + 2*unrepaired_kidney/alpha_beta_kidney)
unrepaired_salivary' = q_salivary - ln(2)/T_repair_salivary*unrepaired_salivary
bed_salivary' = q_salivary*(1 + 2*unrepaired_salivary/alpha_beta_salivary)
unrepaired_tumour' = q_tumour - 60*ln(2)/T_repair_tumour*unrepaired_tumour
bed_tumour' = rate_tumour
excreted' = excretion
cells' = ((proliferation - cell_death)/24 - alpha_tumour*rate_tumour)*cells
psa_relative' = psa_loss/24*(cells - psa_relative)
tad' = 1
"""


def chain(n):
    lines = ["x01' = -k*x01 - vmax*x01/(km + x01)"]
    for i in range(2, n + 1):
        x = f"x{i:02}"
        lines.append(f"{x}' = kin{i:02}*x{i - 1:02} - k*{x} - vmax*{x}/(km + {x})")
    return "\n".join(lines)


RATES = {
    "twelve-state": TWELVE_STATE,
    "sensitive-resistant": SENSITIVE_RESISTANT,
    "lu177-psma-siebinga": LU177_PSMA,
    "chain-20": chain(20),
    "chain-40": chain(40),
}


def renamed(names):
    return [RENAMED.get(name, name) for name in names]


def antimony_text(case):
    states, parameters = case.model.states, renamed(case.model.parameters)
    lines = ["model peer", f"species {', '.join(states)}", RATES[case.name]]
    lines += [f"{name} = {float(value)!r}" for name, value in zip(states, case.initial[:, 0])]
    lines += [f"{name} = {float(value)!r}" for name, value in zip(parameters, case.values[:, 0])]
    # An event fires when its condition becomes true; `>` rather than `>=`, so that an output at the
    # time of a dose comes before the dose. Doses at time 0 are part of the initial values.
    # One event takes all doses of its time: two would both start from the state before them.
    times = sorted({time for time, *_ in case.doses if 0 < time < case.duration})
    for i, time in enumerate(times):
        given = {}
        for at, state, amount in case.doses:
            if at == time:
                given[states[state]] = given.get(states[state], 0.0) + float(amount)
        changes = ", ".join(f"{name} = {name} + {amount!r}" for name, amount in given.items())
        lines.append(f"dose{i}: at (time > {float(time)!r}): {changes}")
    return "\n".join(lines + ["end"])


class Peer(Pooled):
    method = "CVODE (BDF)"

    def __init__(self, case, threads, **_):
        self.case = case
        self.versions = versions("libroadrunner", "antimony")
        self.note = "one patient at a time, doses as events, one process a core"
        antimony.clearPreviousLoads()
        if antimony.loadAntimonyString(antimony_text(case)) < 0:
            raise ValueError(antimony.getLastError())
        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_ERROR)
        runner = roadrunner.RoadRunner(antimony.getSBMLString(antimony.getMainModuleName()))
        runner.setIntegrator("cvode")
        runner.integrator.relative_tolerance = case.rtol
        runner.integrator.absolute_tolerance = case.atol
        runner.timeCourseSelections = case.model.states
        self.runner = runner

        model = runner.model
        parameters = list(model.getGlobalParameterIds())
        species = list(model.getFloatingSpeciesIds())
        self.parameter_at = [parameters.index(p) for p in renamed(case.model.parameters)]
        self.species_at = [species.index(s) for s in case.model.states]
        self.values, self.initial = case.values.T.copy(), case.initial.T.copy()
        for time, state, amount in case.doses:
            if time == 0:
                self.initial[:, state] += amount
        # Outputs after the start, and the end of the simulation.
        self.asked = [0.0, *case.times]
        if self.asked[-1] < case.duration:
            self.asked.append(case.duration)
        self.start(threads)

    def one(self, patient):
        runner = self.runner
        runner.reset()
        runner.model.setGlobalParameterValues(self.parameter_at, self.values[patient])
        runner.model.setFloatingSpeciesConcentrations(self.species_at, self.initial[patient])
        return np.array(runner.simulate(times=self.asked))[1:1 + len(self.case.times)]
