//! Summaries, accumulated while a patient is integrated.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::program::{Accumulator, NOT_REACHED};

use super::plan::Plan;
use crate::evaluate::evaluate;
use crate::integrate::guarded_sum;

/// Feed the monitored expressions at one instant into the accumulators. `h` is the time since the
/// last look, 0 just after an event.
#[cube]
pub fn accumulate(
    x: &Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    h: f32,
    zero: u32,
    acc: &mut Array<f32>,
    margin: &mut Array<f32>,
    #[comptime] plan: Arc<Plan>,
    #[comptime] guard_compensation: bool,
) {
    let v = evaluate(
        x,
        slots,
        carried,
        inputs,
        time,
        tad,
        comptime![plan.monitor()],
    );
    let n = comptime![plan.program.accumulators.len()];
    #[unroll]
    for k in 0..n {
        let (kind, at) = comptime![match plan.program.accumulators[k] {
            Accumulator::Min(i) => (0u32, i as usize),
            Accumulator::Max(i) => (1u32, i as usize),
            Accumulator::TimeWhile(i) => (2u32, i as usize),
            Accumulator::FirstTime(i) => (3u32, i as usize),
            Accumulator::Last(i) => (4u32, i as usize),
            Accumulator::Latch(_) | Accumulator::Integral(_) | Accumulator::Grade { .. } =>
                (5u32, 0usize),
        }];
        if comptime![kind == 0] {
            acc[k] = f32::min(acc[k], v[at]);
        } else if comptime![kind == 1] {
            acc[k] = f32::max(acc[k], v[at]);
        } else if comptime![kind == 2] {
            let before = margin[k];
            let now = v[at];
            // the margin is taken as linear within a step
            let change = f32::abs(now - before);
            let part = select(change > 0.0f32, f32::max(before, now) / change, 1.0f32);
            let crossed = (before > 0.0f32) != (now > 0.0f32);
            let whole = select(now > 0.0f32, h, 0.0f32);
            // compensated: a long run adds many equal small spans
            let at_lost = comptime![n + plan.time_whiles_before(k)];
            let span = select(crossed, h * part, whole) - margin[at_lost];
            let total = guarded_sum(acc[k], span, zero, comptime![guard_compensation]);
            margin[at_lost] = (total - acc[k]) - span;
            acc[k] = total;
            margin[k] = now;
        } else if comptime![kind == 3] {
            let before = margin[k];
            let now = v[at];
            let rise = now - before;
            let ahead = select(rise > 0.0f32, now / rise, 0.0f32);
            let back = select(before > 0.0f32, 0.0f32, h * f32::min(ahead, 1.0f32));
            let unset = acc[k] == NOT_REACHED;
            acc[k] = select(unset && now > 0.0f32, time - back, acc[k]);
            margin[k] = now;
        } else if comptime![kind == 4] {
            acc[k] = v[at];
        }
    }
}

/// Store the value of `Latch` accumulator number `index`, as it is between two actions.
#[cube]
pub fn latch(
    x: &Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    index: u32,
    acc: &mut Array<f32>,
    #[comptime] plan: Arc<Plan>,
) {
    let v = evaluate(
        x,
        slots,
        carried,
        inputs,
        time,
        tad,
        comptime![plan.monitor()],
    );
    #[unroll]
    for k in 0..comptime![plan.program.accumulators.len()] {
        let at = comptime![match plan.program.accumulators[k] {
            Accumulator::Latch(i) => Some(i as usize),
            _ => None,
        }];
        if comptime![at.is_some()] {
            acc[k] = select(
                index == comptime![k as u32],
                v[comptime![at.unwrap_or(0)]],
                acc[k],
            );
        }
    }
}

/// Values before the first look.
#[cube]
pub fn start_summaries(acc: &mut Array<f32>, margin: &mut Array<f32>, #[comptime] plan: Arc<Plan>) {
    let n_acc = comptime![plan.program.accumulators.len()];
    #[unroll]
    for k in 0..n_acc {
        let start = comptime![match plan.program.accumulators[k] {
            Accumulator::Min(_) => f32::MAX,
            Accumulator::Max(_) => f32::MIN,
            Accumulator::FirstTime(_) | Accumulator::Latch(_) => NOT_REACHED,
            _ => 0.0f32,
        }];
        acc[k] = start.runtime();
    }
    #[unroll]
    for k in 0..comptime![plan.margin_count()] {
        margin[k] = 0.0f32;
    }
}

/// The value reported for accumulator `k`.
#[cube]
pub fn final_summary(
    x: &Array<f32>,
    acc: &Array<f32>,
    #[comptime] k: usize,
    #[comptime] plan: Arc<Plan>,
) -> f32 {
    let integral = comptime![match plan.program.accumulators[k] {
        Accumulator::Integral(j) => Some(plan.program.n_states + j as usize),
        _ => None,
    }];
    let grade = comptime![match &plan.program.accumulators[k] {
        Accumulator::Grade {
            of,
            below,
            thresholds,
            grades,
        } => Some((
            *of as usize,
            *below,
            thresholds
                .iter()
                .map(|t| f64::from_bits(*t) as f32)
                .zip(grades.iter().map(|g| f32::from(*g)))
                .collect::<Vec<(f32, f32)>>(),
        )),
        _ => None,
    }];
    let mut stored = acc[k];
    if comptime![integral.is_some()] {
        stored = x[comptime![integral.unwrap_or(0)]];
    }
    if comptime![grade.is_some()] {
        let (of, below, levels) = comptime![grade.clone().unwrap_or_default()];
        stored = 0.0f32;
        #[unroll]
        for level in 0..comptime![levels.len()] {
            let (threshold, value) = comptime![levels[level]];
            if comptime![below] {
                stored = select(acc[of] < threshold, value.runtime(), stored);
            } else {
                stored = select(acc[of] > threshold, value.runtime(), stored);
            }
        }
    }
    stored
}
