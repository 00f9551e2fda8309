//! Summaries under the adjoint: which look decided each, and what it passes back.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::program::Accumulator;

use super::AdjointPlan;
use super::reverse::reverse;
use crate::evaluate::values;
use crate::simulate::accumulate;

/// Feed the monitored expressions into the accumulators, as the simulation does, and note the number
/// of this look where it decides an accumulator.
#[cube]
pub fn look(
    x: &Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    h: f32,
    zero: u32,
    number: u32,
    acc: &mut Array<f32>,
    margin: &mut Array<f32>,
    decided: &mut Array<u32>,
    #[comptime] plan: Arc<AdjointPlan>,
    #[comptime] guard_compensation: bool,
) {
    let n = comptime![plan.plan.program.accumulators.len()];
    let mut before = Array::<f32>::new(comptime![n.max(1)]);
    #[unroll]
    for k in 0..n {
        before[k] = acc[k];
    }
    accumulate(
        x,
        slots,
        carried,
        inputs,
        time,
        tad,
        h,
        zero,
        acc,
        margin,
        comptime![plan.plan.clone()],
        guard_compensation,
    );
    #[unroll]
    for k in 0..n {
        let last = comptime![matches!(
            plan.plan.program.accumulators[k],
            Accumulator::Last(_)
        )];
        if comptime![last] {
            decided[k] = number;
        } else {
            decided[k] = select(acc[k] != before[k], number, decided[k]);
        }
    }
}

/// Pass the adjoints `bars` of the accumulators back through look `number`: to the state `after` it
/// looked at (`after_bar`, `clock`), and, through crossings, to the state `x` a step of length `h`
/// before (`x_bar`, `clock_before`). Returns the adjoint of `h`.
#[cube]
pub fn look_back(
    x: &Array<f32>,
    after: &Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    h: f32,
    number: u32,
    bars: &Array<f32>,
    decided: &Array<u32>,
    x_bar: &mut Array<f32>,
    after_bar: &mut Array<f32>,
    slot_bar: &mut Array<f32>,
    carried_bar: &mut Array<f32>,
    input_bar: &mut Array<f32>,
    clock: &mut Array<f32>,
    clock_before: &mut Array<f32>,
    #[comptime] plan: Arc<AdjointPlan>,
) -> f32 {
    let n = comptime![plan.plan.program.accumulators.len()];
    let n_outputs = comptime![plan.plan.program.monitor.outputs.len().max(1)];
    let mut h_bar = 0.0f32;
    let now = values(
        after,
        slots,
        carried,
        inputs,
        time + h,
        tad + h,
        comptime![plan.plan.monitor()],
    );
    let mut seeds = Array::<f32>::new(n_outputs);
    let mut seeds_before = Array::<f32>::new(n_outputs);
    #[unroll]
    for o in 0..n_outputs {
        seeds[o] = 0.0f32;
        seeds_before[o] = 0.0f32;
    }
    if comptime![plan.crosses()] {
        let then = values(
            x,
            slots,
            carried,
            inputs,
            time,
            tad,
            comptime![plan.plan.monitor()],
        );
        #[unroll]
        for k in 0..n {
            let (kind, at) = comptime![match plan.plan.program.accumulators[k] {
                Accumulator::TimeWhile(i) => (1u32, i as usize),
                Accumulator::FirstTime(i) => (2u32, i as usize),
                _ => (0u32, 0usize),
            }];
            if comptime![kind > 0] {
                let op = comptime![plan.plan.program.monitor.outputs[at] as usize];
                let b = then[op];
                let m = now[op];
                let square = (m - b) * (m - b);
                let crossed = (b > 0.0f32) != (m > 0.0f32) && square > 0.0f32;
                if comptime![kind == 1] {
                    // h max(b, m)/|m - b| of the step lies above
                    let falls = b > 0.0f32;
                    let to_m = select(falls, b, -b) / square;
                    let to_b = select(falls, -m, m) / square;
                    let part = f32::max(b, m) / f32::abs(m - b);
                    let scale = bars[k] * h;
                    seeds[at] += select(crossed, scale * to_m, 0.0f32);
                    seeds_before[at] += select(crossed, scale * to_b, 0.0f32);
                    let whole = select(m > 0.0f32, 1.0f32, 0.0f32);
                    h_bar += bars[k] * select(crossed, part, whole);
                } else {
                    // time + h - h m/(m - b)
                    let bar = select(decided[k] == number, bars[k], 0.0f32);
                    let inside = crossed && h > 0.0f32;
                    let scale = select(inside, bar * h / square, 0.0f32);
                    seeds[at] += scale * b;
                    seeds_before[at] -= scale * m;
                    let back = select(inside, m / (m - b), 0.0f32);
                    clock[0] += bar;
                    h_bar -= bar * back;
                }
            }
        }
        reverse(
            &then,
            &seeds_before,
            x_bar,
            slot_bar,
            carried_bar,
            input_bar,
            clock_before,
            comptime![plan.monitor.clone()],
        );
    }
    #[unroll]
    for k in 0..n {
        let at = comptime![match plan.plan.program.accumulators[k] {
            Accumulator::Min(i) | Accumulator::Max(i) | Accumulator::Last(i) => Some(i as usize),
            _ => None,
        }];
        if comptime![at.is_some()] {
            seeds[comptime![at.unwrap_or(0)]] += select(decided[k] == number, bars[k], 0.0f32);
        }
    }
    reverse(
        &now,
        &seeds,
        after_bar,
        slot_bar,
        carried_bar,
        input_bar,
        clock,
        comptime![plan.monitor.clone()],
    );
    h_bar
}
