//! One decision of every lane: dose, integrate to the next decision, measure, reward, end, reset.

use std::sync::Arc;

use cubecl::prelude::*;

use super::interval::{advance, clock};
use super::plan::{DecisionPlan, Reset, SCALARS};
use crate::elementary::ln;
use crate::evaluate::evaluate;
use crate::random::philox4x32_10;
use crate::simulate::{STREAM_VISITS, final_summary, start_summaries, with_error};

/// Philox stream of missed observations.
pub const STREAM_MISSED: u32 = 8;
/// Philox stream of ends that a hazard draws.
pub const STREAM_HAZARD: u32 = 14;
/// Philox stream of the reward's weights, where they are drawn for every episode.
pub const STREAM_WEIGHTS: u32 = 15;

// Bits of `flags`.
/// The transition ended in a terminal state (progression, death, toxicity).
pub const TERMINATED: u32 = 1;
/// The transition ended by the horizon; what follows has value.
pub const TRUNCATED: u32 = 2;
/// The patient's state left the numbers; counts as truncated.
pub const DIVERGED: u32 = 4;
/// The action was ignored, because the lane was being reset: not a sample.
pub const RESET: u32 = 8;
/// The first episode of a lane was cut short so that lanes are out of phase; its totals are no
/// episode's.
pub const CUT: u32 = 16;

/// Phases that the lanes of a staggered environment are spread over.
const PHASES: u32 = 64;

/// Phases of a lane.
const RUNNING: u32 = 0;
const ENDED: u32 = 1;

/// Where between its ends the weight of term `number` lies for a patient, on [0, 1).
#[cube]
fn uniform(patient: u32, #[comptime] number: u32, seed_lo: u32, seed_hi: u32) -> f32 {
    let mut words = Array::<u32>::new(4usize);
    words[0] = patient;
    words[1] = 0u32;
    words[2] = comptime![STREAM_WEIGHTS].runtime();
    words[3] = comptime![number].runtime();
    philox4x32_10(&mut words, seed_lo, seed_hi);
    f32::cast_from(words[0] >> 8u32) * (1.0f32 / 16_777_216.0f32)
}

/// An exponential variate of mean 1: a hazard strikes in the interval over which its integral
/// passes it, because what is left of the waiting time is exponential again.
#[cube]
fn waiting(
    patient: u32,
    decision: u32,
    #[comptime] number: u32,
    seed_lo: u32,
    seed_hi: u32,
) -> f32 {
    let mut words = Array::<u32>::new(4usize);
    words[0] = patient;
    words[1] = decision;
    words[2] = comptime![STREAM_HAZARD].runtime();
    words[3] = comptime![number].runtime();
    philox4x32_10(&mut words, seed_lo, seed_hi);
    // on (0, 1], so that its logarithm is finite
    let u = f32::cast_from((words[0] >> 8u32) + 1u32) * (1.0f32 / 16_777_216.0f32);
    -ln(u)
}

/// What the slots of measurements and of their freshness hold after decision `number`, in turns.
#[cube]
fn measure(
    slots: &Array<f32>,
    x: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    patient: u32,
    number: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<DecisionPlan>,
) -> Sequence<f32> {
    let n = comptime![plan.measured.len()];
    let mut measured = Sequence::<f32>::new();
    if comptime![n > 0] {
        let seen = evaluate(
            x,
            slots,
            carried,
            inputs,
            time,
            tad,
            comptime![plan.plan.observe()],
        );
        #[unroll]
        for k in 0..n {
            let slot = comptime![plan.plan.program.observe_slots[k]];
            let rule = comptime![plan.measured[k]];
            let mut value = with_error(
                seen[k],
                patient,
                number,
                STREAM_VISITS,
                comptime![k as u32],
                seed_lo,
                seed_hi,
                comptime![plan.plan.program.observe_noise[k]],
            );
            if comptime![rule.lloq.is_some()] {
                let limit = comptime![f64::from_bits(rule.lloq.unwrap_or(0)) as f32];
                value = f32::max(value, limit.runtime());
            }
            let mut due = number % comptime![rule.every.max(1)] == 0u32;
            if comptime![f64::from_bits(rule.missed) > 0.0] {
                // the first observation is always made: there is nothing before it
                let mut words = Array::<u32>::new(4usize);
                words[0] = patient;
                words[1] = number;
                words[2] = comptime![STREAM_MISSED].runtime();
                words[3] = comptime![k as u32].runtime();
                philox4x32_10(&mut words, seed_lo, seed_hi);
                let u = f32::cast_from(words[0] >> 8u32) * (1.0f32 / 16_777_216.0f32);
                let share = comptime![f64::from_bits(rule.missed) as f32];
                due = due && (number == 0u32 || u >= share.runtime());
            }
            measured.push(select(due, value, slots[slot]));
            measured.push(select(due, 1.0f32, 0.0f32));
        }
    }
    measured
}

/// Whether a state has left the numbers, or fallen below its floor.
#[cube]
fn unhealthy(x: &Array<f32>, floors: &[f32], #[comptime] plan: Arc<DecisionPlan>) -> bool {
    let mut found = false;
    #[unroll]
    for s in 0..comptime![plan.plan.program.n_integrated()] {
        let infinite = (u32::reinterpret(x[s]) & 0x7F80_0000u32) == 0x7F80_0000u32;
        found = found || infinite;
    }
    #[unroll]
    for s in 0..comptime![plan.plan.program.n_states] {
        if comptime![!plan.plan.program.signed[s]] {
            found = found || x[s] < floors[s];
        }
    }
    found
}

/// One decision of every lane.
///
/// | buffer | shape |
/// |---|---|
/// | `context` | `[DecisionPlan::context_rows][n]` what a lane carries from decision to decision |
/// | `pool` | `[own_slots][pool_size]` patients; patient `p` is column `(p - first_patient) mod pool_size` |
/// | `floors` | `[n_states]` as in [`crate::simulate`] |
/// | `rows`, `actions` | the doses and steps of one interval, as in [`crate::timeline`] |
/// | `weights` | `[2][terms]` of the reward, from where to where: equal unless drawn |
/// | `action` | `[factors][steps][n]` |
/// | `observation`, `mask`, `started`, `hidden` | `[..][steps + 1][n]`, written at `t + 1` (at 0 if `begin`) |
/// | `reward`, `terms`, `cost`, `flags` | `[..][steps][n]`, written at `t` |
///
/// Neighbouring `copies` lanes play the same patient.
#[cube(launch_unchecked)]
pub fn decide(
    context: &mut [u32],
    pool: &[f32],
    floors: &[f32],
    rows: &[u32],
    actions: &[u32],
    weights: &[f32],
    action: &[f32],
    observation: &mut [f32],
    mask: &mut [u32],
    started: &mut [u32],
    hidden: &mut [f32],
    reward: &mut [f32],
    terms: &mut [f32],
    cost: &mut [f32],
    flags: &mut [u32],
    n: u32,
    steps: u32,
    t: u32,
    n_rows: u32,
    pool_size: u32,
    first_patient: u32,
    copies: u32,
    horizon: u32,
    seed_lo: u32,
    seed_hi: u32,
    zero: u32,
    begin: u32,
    #[comptime] plan: Arc<DecisionPlan>,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let n_states = comptime![plan.plan.program.n_states];
    let n_all = comptime![plan.plan.program.n_integrated()];
    let n_slots = comptime![plan.plan.program.n_slots];
    let n_inputs = comptime![plan.plan.program.n_inputs];
    let n_carried = comptime![plan.plan.program.setup.outputs.len()];
    let n_acc = comptime![plan.plan.program.accumulators.len()];
    let n_margins = comptime![plan.plan.margin_count()];
    let n_memory = comptime![plan.memory_slots.len()];
    let scalars_at = comptime![2 * n_all + n_slots];

    let mut x = Array::<f32>::new(n_all);
    let mut lost = Array::<f32>::new(n_all);
    let mut slots = Array::<f32>::new(comptime![n_slots.max(1)]);
    let mut carried = Array::<f32>::new(comptime![n_carried.max(1)]);
    let mut inputs = Array::<f32>::new(comptime![n_inputs.max(1)]);
    let mut acc = Array::<f32>::new(comptime![n_acc.max(1)]);
    let mut margin = Array::<f32>::new(comptime![n_margins.max(1)]);
    #[unroll]
    for s in 0..n_all {
        x[s] = f32::reinterpret(context[s * lanes + i]);
        lost[s] = f32::reinterpret(context[(n_all + s) * lanes + i]);
    }
    #[unroll]
    for s in 0..n_slots {
        slots[s] = f32::reinterpret(context[(2 * n_all + s) * lanes + i]);
    }
    #[unroll]
    for s in 0..n_inputs {
        inputs[s] = 0.0f32;
    }
    let mut phase = context[scalars_at * lanes + i];
    let mut patient = context[(scalars_at + 1) * lanes + i];
    let mut decision = context[(scalars_at + 2) * lanes + i];
    let mut now_at = Array::<f32>::new(comptime![clock::WORDS]);
    #[unroll]
    for k in 0..comptime![clock::WORDS] {
        now_at[k] = f32::reinterpret(context[(scalars_at + 3 + k) * lanes + i]);
    }
    let mut time = now_at[clock::TIME];
    let mut tad = now_at[clock::TAD];

    let all = steps as usize * lanes;
    let more = all + lanes;
    let now = t as usize * lanes + i;
    let mut flag = 0u32;
    let mut fresh = begin == 1u32;
    if fresh {
        patient = first_patient + i as u32 / copies;
        phase = RUNNING.runtime();
    } else if phase == ENDED {
        flag = RESET.runtime();
        if comptime![plan.reset == Reset::NextStep] {
            fresh = true;
            patient += n / copies;
        }
    }

    if begin == 0u32 && flag == 0u32 {
        // the action, as the policy gave it, then the doses that the shield lets through
        #[unroll]
        for f in 0..comptime![plan.factors.len()] {
            let chosen = action[f * all + now];
            let factor = comptime![plan.factors[f].clone()];
            if comptime![factor.levels.is_empty()] {
                let largest = comptime![f64::from_bits(factor.largest) as f32];
                slots[comptime![factor.slot]] = chosen * largest;
            } else {
                let level = u32::cast_from(chosen);
                let mut value = 0.0f32;
                #[unroll]
                for l in 0..comptime![factor.levels.len()] {
                    let of = comptime![f64::from_bits(factor.levels[l]) as f32];
                    value = select(level == comptime![l as u32], of.runtime(), value);
                }
                slots[comptime![factor.slot]] = value;
            }
        }
        let given = evaluate(
            &x,
            &slots,
            &slots,
            &inputs,
            time,
            tad,
            comptime![plan.act.clone()],
        );
        #[unroll]
        for k in 0..comptime![plan.act_slots.len()] {
            slots[comptime![plan.act_slots[k]]] = given[k];
        }
        let values = evaluate(
            &x,
            &slots,
            &slots,
            &inputs,
            time,
            tad,
            comptime![plan.plan.setup()],
        );
        #[unroll]
        for c in 0..n_carried {
            carried[c] = values[c];
        }
        start_summaries(&mut acc, &mut margin, comptime![plan.plan.clone()]);
        // integrals are of the interval
        #[unroll]
        for s in n_states..n_all {
            x[s] = 0.0f32;
            lost[s] = 0.0f32;
        }

        advance(
            &mut x,
            &mut lost,
            &slots,
            &carried,
            &mut now_at,
            &mut acc,
            &mut margin,
            rows,
            actions,
            n_rows,
            zero,
            comptime![plan.plan.clone()],
            comptime![plan.step],
        );
        time = now_at[clock::TIME];
        tad = now_at[clock::TAD];
        decision += 1u32;

        if unhealthy(&x, floors, comptime![plan.clone()]) {
            flag = comptime![DIVERGED | TRUNCATED].runtime();
            // back to where the interval began, which is still in the context
            #[unroll]
            for s in 0..n_all {
                x[s] = f32::reinterpret(context[s * lanes + i]);
                lost[s] = f32::reinterpret(context[(n_all + s) * lanes + i]);
            }
        }
        #[unroll]
        for k in 0..n_acc {
            let watched = final_summary(&x, &acc, k, comptime![plan.plan.clone()]);
            let slot = comptime![plan.watch_slots[k]];
            slots[slot] = select(flag == 0u32, watched, slots[slot]);
        }
        #[unroll]
        for k in 0..comptime![plan.hazards.len()] {
            let hazard = comptime![plan.hazards[k]];
            let drawn = waiting(patient, decision, comptime![k as u32], seed_lo, seed_hi);
            let strikes = flag == 0u32 && slots[comptime![hazard.slot]] > drawn;
            slots[comptime![hazard.struck]] = select(strikes, 1.0f32, 0.0f32);
        }
        let measured = measure(
            &slots,
            &x,
            &carried,
            &inputs,
            time,
            tad,
            patient,
            decision,
            seed_lo,
            seed_hi,
            comptime![plan.clone()],
        );
        #[unroll]
        for k in 0..comptime![plan.measured.len()] {
            let slot = comptime![plan.plan.program.observe_slots[k]];
            slots[slot] = measured[comptime![2 * k]];
            let fresh_slot = comptime![plan.measured[k].fresh];
            if comptime![fresh_slot.is_some()] {
                slots[comptime![fresh_slot.unwrap_or(0)]] = measured[comptime![2 * k + 1]];
            }
        }
        let found = evaluate(
            &x,
            &slots,
            &carried,
            &inputs,
            time,
            tad,
            comptime![plan.outcome.clone()],
        );
        #[unroll]
        for k in 0..n_memory {
            slots[comptime![plan.memory_slots[k]]] = found[k];
        }
        let mut total = 0.0f32;
        #[unroll]
        for k in 0..comptime![plan.terms] {
            let term = found[comptime![n_memory + k]];
            terms[k * all + now] = term;
            let own = comptime![plan.weight_slots[k]];
            let mut weight = weights[k];
            if comptime![own.is_some()] {
                weight = slots[comptime![own.unwrap_or(0)]];
            }
            total += weight * term;
        }
        reward[now] = total;
        let costs_at = comptime![n_memory + plan.terms];
        #[unroll]
        for k in 0..comptime![plan.costs] {
            cost[k * all + now] = found[comptime![costs_at + k]];
        }
        let ends_at = comptime![costs_at + plan.costs];
        let mut terminal = false;
        let mut truncated = decision >= horizon;
        let mut cut_short = false;
        if comptime![plan.staggered] {
            let phase_of = i as u32 % comptime![PHASES];
            let until = (phase_of + 1u32) * horizon / comptime![PHASES];
            let in_first = patient - first_patient < n / copies;
            cut_short = in_first && !truncated && decision >= until;
            truncated = truncated || cut_short;
        }
        #[unroll]
        for k in 0..comptime![plan.terminal] {
            terminal = terminal || found[comptime![ends_at + k]] != 0.0f32;
        }
        let cuts_at = comptime![ends_at + plan.terminal];
        #[unroll]
        for k in 0..comptime![plan.truncating] {
            truncated = truncated || found[comptime![cuts_at + k]] != 0.0f32;
        }
        #[unroll]
        for k in 0..comptime![plan.hazards.len()] {
            let hazard = comptime![plan.hazards[k]];
            let strikes = slots[comptime![hazard.struck]] == 1.0f32;
            if comptime![hazard.truncates] {
                truncated = truncated || strikes;
            } else {
                terminal = terminal || strikes;
            }
        }
        if flag == 0u32 {
            let cut = select(truncated, TRUNCATED.runtime(), 0u32);
            flag = select(terminal, TERMINATED.runtime(), cut);
            if comptime![plan.staggered] {
                flag += select(cut_short && !terminal, CUT.runtime(), 0u32);
            }
        }
        if flag != 0u32 {
            phase = ENDED.runtime();
            if comptime![plan.reset == Reset::SameStep] {
                fresh = true;
                patient += n / copies;
            }
        }
        flags[now] = flag;
    } else if begin == 0u32 {
        #[unroll]
        for k in 0..comptime![plan.terms] {
            terms[k * all + now] = 0.0f32;
        }
        reward[now] = 0.0f32;
        #[unroll]
        for k in 0..comptime![plan.costs] {
            cost[k * all + now] = 0.0f32;
        }
        flags[now] = flag;
    }

    if fresh {
        let column = ((patient - first_patient) % pool_size) as usize;
        #[unroll]
        for s in 0..n_slots {
            if comptime![s < plan.own_slots] {
                slots[s] = pool[s * pool_size as usize + column];
            } else if comptime![!plan.kept_slots.contains(&s)] {
                slots[s] = 0.0f32;
            }
        }
        #[unroll]
        for k in 0..comptime![plan.terms] {
            let own = comptime![plan.weight_slots[k]];
            if comptime![own.is_some()] {
                let (low, high) = (weights[k], weights[comptime![plan.terms + k]]);
                let u = uniform(patient, comptime![k as u32], seed_lo, seed_hi);
                slots[comptime![own.unwrap_or(0)]] = low + (high - low) * u;
            }
        }
        phase = RUNNING.runtime();
        decision = 0u32;
        #[unroll]
        for k in 0..comptime![clock::WORDS] {
            now_at[k] = 0.0f32;
        }
        time = 0.0f32;
        tad = 0.0f32;
        let values = evaluate(
            &x,
            &slots,
            &slots,
            &inputs,
            time,
            tad,
            comptime![plan.plan.setup()],
        );
        #[unroll]
        for c in 0..n_carried {
            carried[c] = values[c];
        }
        let start = evaluate(
            &x,
            &slots,
            &carried,
            &inputs,
            time,
            tad,
            comptime![plan.plan.init()],
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
        let measured = measure(
            &slots,
            &x,
            &carried,
            &inputs,
            time,
            tad,
            patient,
            decision,
            seed_lo,
            seed_hi,
            comptime![plan.clone()],
        );
        #[unroll]
        for k in 0..comptime![plan.measured.len()] {
            let slot = comptime![plan.plan.program.observe_slots[k]];
            slots[slot] = measured[comptime![2 * k]];
            let fresh_slot = comptime![plan.measured[k].fresh];
            if comptime![fresh_slot.is_some()] {
                slots[comptime![fresh_slot.unwrap_or(0)]] = measured[comptime![2 * k + 1]];
            }
        }
        let memory = evaluate(
            &x,
            &slots,
            &carried,
            &inputs,
            time,
            tad,
            comptime![plan.begin.clone()],
        );
        #[unroll]
        for k in 0..n_memory {
            slots[comptime![plan.memory_slots[k]]] = memory[k];
        }
    }

    let seen = evaluate(
        &x,
        &slots,
        &carried,
        &inputs,
        time,
        tad,
        comptime![plan.look.clone()],
    );
    let next = select(begin == 1u32, 0u32, t + 1u32) as usize * lanes + i;
    #[unroll]
    for k in 0..comptime![plan.features] {
        observation[k * more + next] = seen[k];
    }
    #[unroll]
    for f in 0..comptime![plan.factors.len()] {
        let mut allowed = comptime![plan.all_levels(f)].runtime();
        #[unroll]
        for m in 0..comptime![plan.masks.len()] {
            let rule = comptime![plan.masks[m]];
            if comptime![rule.factor == f] {
                let forbidden = seen[comptime![rule.output]] == 0.0f32;
                let bit = comptime![1u32 << rule.level];
                allowed = select(forbidden, allowed & comptime![!bit], allowed);
            }
        }
        mask[f * more + next] = allowed;
    }
    let hidden_at = comptime![plan.features + plan.conditions];
    #[unroll]
    for k in 0..comptime![plan.hidden] {
        hidden[k * more + next] = seen[comptime![hidden_at + k]];
    }
    started[next] = select(fresh, 1u32, 0u32);

    #[unroll]
    for s in 0..n_all {
        context[s * lanes + i] = u32::reinterpret(x[s]);
        context[(n_all + s) * lanes + i] = u32::reinterpret(lost[s]);
    }
    #[unroll]
    for s in 0..n_slots {
        context[(2 * n_all + s) * lanes + i] = u32::reinterpret(slots[s]);
    }
    let mut scalars = Array::<u32>::new(comptime![SCALARS]);
    scalars[0] = phase;
    scalars[1] = patient;
    scalars[2] = decision;
    #[unroll]
    for k in 0..comptime![clock::WORDS] {
        scalars[3 + k] = u32::reinterpret(now_at[k]);
    }
    #[unroll]
    for k in 0..SCALARS {
        context[(scalars_at + k) * lanes + i] = scalars[k];
    }
}
