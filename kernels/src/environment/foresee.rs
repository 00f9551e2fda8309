//! The look-ahead shield: a twin of every lane, and the doses that it would not bear.
//!
//! The twin is the typical patient of the model with the lane's covariates and the doses that the
//! lane has had. Nothing hidden goes into it, so a clinic could have it. It is integrated beside the
//! patient; before each decision every level of a shielded action is tried on it, followed by the
//! least level, and a level whose predicted toxicity passes its limit is masked. The least level
//! stays allowed, so no mask is empty.

use std::sync::Arc;

use cubecl::prelude::*;

use super::decide::RESET;
use super::interval::{advance, clock};
use super::plan::DecisionPlan;
use crate::evaluate::evaluate;
use crate::integrate::rk4::Rk4Options;
use crate::simulate::{Plan, final_summary, start_summaries};

/// What a shielded action must not do to the twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Foreseen {
    /// Factor of the action.
    pub factor: usize,
    /// Accumulator of the twin's program.
    pub accumulator: usize,
    /// Intervals that are looked ahead.
    pub intervals: u32,
    /// f64 bits, coherent units.
    pub limit: u64,
    /// The prediction must not fall below the limit, instead of rising above it.
    pub below: bool,
}

/// What the kernel is built with besides the task's plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Foresight {
    /// The task's equations with what is predicted as accumulators; slots as in the task.
    pub plan: Arc<Plan>,
    /// Slots that are parameters, first in the slots: the twin has the typical values.
    pub parameters: usize,
    /// The twin is the patient himself: an upper bound of what any shield can do, not a shield that
    /// anyone could have.
    pub oracle: bool,
    pub rules: Vec<Foreseen>,
    pub step: Rk4Options,
}

impl Foresight {
    /// Rows of the twins' context: states, what they lost, the clock.
    pub fn context_rows(&self) -> usize {
        2 * self.plan.program.n_integrated() + clock::WORDS
    }

    /// Intervals that a launch integrates.
    pub fn intervals(&self, task: &DecisionPlan) -> u64 {
        let of = |rule: &Foreseen| {
            u64::from(rule.intervals) * task.factors[rule.factor].levels.len() as u64
        };
        1 + self.rules.iter().map(of).sum::<u64>()
    }
}

/// What setup computes of the slots.
#[cube]
fn settle(
    carried: &mut Array<f32>,
    slots: &Array<f32>,
    x: &Array<f32>,
    inputs: &Array<f32>,
    clock: &Array<f32>,
    #[comptime] plan: Arc<Plan>,
) {
    let values = evaluate(
        x,
        slots,
        slots,
        inputs,
        clock[clock::TIME],
        clock[clock::TAD],
        comptime![plan.setup()],
    );
    #[unroll]
    for c in 0..comptime![plan.program.setup.outputs.len()] {
        carried[c] = values[c];
    }
}

/// Bring every lane's twin to the lane's time and restrict the mask of its next decision.
///
/// | buffer | shape |
/// |---|---|
/// | `context` | of the lanes, as `decide` has just written it |
/// | `twins` | `[Foresight::context_rows][n]`, in place |
/// | `typical` | `[parameters]` of the typical patient |
/// | `rows`, `actions` | the doses and steps of one interval |
/// | `flags` | `[steps][n]`, read at `t` unless `begin` |
/// | `started`, `mask` | `[..][steps + 1][n]` at `t + 1` (at 0 if `begin`); the mask is restricted |
#[cube(launch_unchecked)]
pub(super) fn foresee(
    context: &[u32],
    twins: &mut [u32],
    typical: &[f32],
    rows: &[u32],
    actions: &[u32],
    flags: &[u32],
    started: &[u32],
    mask: &mut [u32],
    n: u32,
    steps: u32,
    t: u32,
    n_rows: u32,
    zero: u32,
    begin: u32,
    #[comptime] task: Arc<DecisionPlan>,
    #[comptime] sight: Foresight,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let n_states = comptime![sight.plan.program.n_states];
    let n_all = comptime![sight.plan.program.n_integrated()];
    let n_slots = comptime![sight.plan.program.n_slots];
    let n_inputs = comptime![sight.plan.program.n_inputs];
    let n_acc = comptime![sight.plan.program.accumulators.len()];
    let n_margins = comptime![sight.plan.margin_count()];
    let n_carried = comptime![sight.plan.program.setup.outputs.len()];
    let of_lane = comptime![task.plan.program.n_integrated()];

    let all = steps as usize * lanes;
    let more = all + lanes;
    let next = select(begin == 1u32, 0u32, t + 1u32) as usize * lanes + i;
    let fresh = started[next] == 1u32;
    if begin == 0u32 && !fresh {
        // a lane that rests has no next decision
        if (flags[t as usize * lanes + i] & RESET) != 0u32 {
            terminate!();
        }
    }

    let mut x = Array::<f32>::new(n_all);
    let mut lost = Array::<f32>::new(n_all);
    let mut slots = Array::<f32>::new(comptime![n_slots.max(1)]);
    let mut carried = Array::<f32>::new(comptime![n_carried.max(1)]);
    let mut inputs = Array::<f32>::new(comptime![n_inputs.max(1)]);
    let mut acc = Array::<f32>::new(comptime![n_acc.max(1)]);
    let mut margin = Array::<f32>::new(comptime![n_margins.max(1)]);
    let mut time = Array::<f32>::new(comptime![clock::WORDS]);
    #[unroll]
    for s in 0..n_slots {
        if comptime![s < sight.parameters && !sight.oracle] {
            slots[s] = typical[s];
        } else {
            slots[s] = f32::reinterpret(context[(2 * of_lane + s) * lanes + i]);
        }
    }
    #[unroll]
    for s in 0..n_inputs {
        inputs[s] = 0.0f32;
    }
    #[unroll]
    for s in 0..n_all {
        x[s] = f32::reinterpret(twins[s * lanes + i]);
        lost[s] = f32::reinterpret(twins[(n_all + s) * lanes + i]);
    }
    #[unroll]
    for k in 0..comptime![clock::WORDS] {
        time[k] = f32::reinterpret(twins[(2 * n_all + k) * lanes + i]);
    }

    if fresh {
        #[unroll]
        for k in 0..comptime![clock::WORDS] {
            time[k] = 0.0f32;
        }
        settle(
            &mut carried,
            &slots,
            &x,
            &inputs,
            &time,
            comptime![sight.plan.clone()],
        );
        let start = evaluate(
            &x,
            &slots,
            &carried,
            &inputs,
            time[clock::TIME],
            time[clock::TAD],
            comptime![sight.plan.init()],
        );
        #[unroll]
        for s in 0..n_all {
            lost[s] = 0.0f32;
            if comptime![s < n_states] {
                x[s] = start[s];
            } else {
                x[s] = 0.0f32;
            }
        }
    } else {
        // the doses that the patient has just had are still in their slots
        settle(
            &mut carried,
            &slots,
            &x,
            &inputs,
            &time,
            comptime![sight.plan.clone()],
        );
        start_summaries(&mut acc, &mut margin, comptime![sight.plan.clone()]);
        advance(
            &mut x,
            &mut lost,
            &slots,
            &carried,
            &mut time,
            &mut acc,
            &mut margin,
            rows,
            actions,
            n_rows,
            zero,
            comptime![sight.plan.clone()],
            comptime![sight.step],
        );
        let mut broken = false;
        #[unroll]
        for s in 0..n_all {
            broken = broken || (u32::reinterpret(x[s]) & 0x7F80_0000u32) == 0x7F80_0000u32;
        }
        #[unroll]
        for s in 0..n_all {
            let before = f32::reinterpret(twins[s * lanes + i]);
            let before_lost = f32::reinterpret(twins[(n_all + s) * lanes + i]);
            x[s] = select(broken, before, x[s]);
            lost[s] = select(broken, before_lost, lost[s]);
        }
    }
    #[unroll]
    for s in 0..n_all {
        twins[s * lanes + i] = u32::reinterpret(x[s]);
        twins[(n_all + s) * lanes + i] = u32::reinterpret(lost[s]);
    }
    #[unroll]
    for k in 0..comptime![clock::WORDS] {
        twins[(2 * n_all + k) * lanes + i] = u32::reinterpret(time[k]);
    }

    #[unroll]
    for r in 0..comptime![sight.rules.len()] {
        let rule = comptime![sight.rules[r]];
        let factor = comptime![task.factors[rule.factor].clone()];
        let levels = comptime![factor.levels.len() as u32];
        let least = comptime![factor.least()];
        let limit = comptime![f64::from_bits(rule.limit) as f32];
        let mut allowed = mask[comptime![rule.factor] * more + next];
        let mut level = 0u32;
        while level < levels {
            #[unroll]
            for s in 0..n_all {
                x[s] = select(
                    comptime![s < n_states],
                    f32::reinterpret(twins[s * lanes + i]),
                    0.0f32,
                );
                lost[s] = select(
                    comptime![s < n_states],
                    f32::reinterpret(twins[(n_all + s) * lanes + i]),
                    0.0f32,
                );
            }
            #[unroll]
            for k in 0..comptime![clock::WORDS] {
                time[k] = f32::reinterpret(twins[(2 * n_all + k) * lanes + i]);
            }
            start_summaries(&mut acc, &mut margin, comptime![sight.plan.clone()]);
            let mut interval = 0u32;
            while interval < comptime![rule.intervals] {
                // the other actions at their least: each drug is judged by itself
                #[unroll]
                for f in 0..comptime![task.factors.len()] {
                    let of = comptime![task.factors[f].clone()];
                    let low = comptime![of.value(of.least()) as f32];
                    let mut value = low.runtime();
                    if comptime![f == rule.factor] {
                        #[unroll]
                        for l in 0..comptime![of.levels.len()] {
                            let tried = comptime![of.value(l) as f32];
                            let here = level == comptime![l as u32] && interval == 0u32;
                            value = select(here, tried.runtime(), value);
                        }
                    }
                    slots[comptime![of.slot]] = value;
                }
                let given = evaluate(
                    &x,
                    &slots,
                    &slots,
                    &inputs,
                    time[clock::TIME],
                    time[clock::TAD],
                    comptime![task.act.clone()],
                );
                #[unroll]
                for k in 0..comptime![task.act_slots.len()] {
                    slots[comptime![task.act_slots[k]]] = given[k];
                }
                settle(
                    &mut carried,
                    &slots,
                    &x,
                    &inputs,
                    &time,
                    comptime![sight.plan.clone()],
                );
                advance(
                    &mut x,
                    &mut lost,
                    &slots,
                    &carried,
                    &mut time,
                    &mut acc,
                    &mut margin,
                    rows,
                    actions,
                    n_rows,
                    zero,
                    comptime![sight.plan.clone()],
                    comptime![sight.step],
                );
                interval += 1u32;
            }
            let found = final_summary(
                &x,
                &acc,
                comptime![rule.accumulator],
                comptime![sight.plan.clone()],
            );
            // what is no number is not within a limit
            let mut within = (u32::reinterpret(found) & 0x7F80_0000u32) != 0x7F80_0000u32;
            #[unroll]
            for s in 0..n_all {
                within = within && (u32::reinterpret(x[s]) & 0x7F80_0000u32) != 0x7F80_0000u32;
            }
            if comptime![rule.below] {
                within = within && found >= limit;
            } else {
                within = within && found <= limit;
            }
            let bit = 1u32 << level;
            let forbidden = !within && level != comptime![least as u32];
            allowed = select(forbidden, allowed & !bit, allowed);
            level += 1u32;
        }
        let none = allowed == 0u32;
        mask[comptime![rule.factor] * more + next] =
            select(none, comptime![1u32 << least].runtime(), allowed);
    }
}
