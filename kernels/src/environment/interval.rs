//! One decision interval of a lane: its doses, and its steps.

use std::sync::Arc;

use cubecl::prelude::*;

use crate::integrate::rk4::{self, Rk4Options};
use crate::integrate::{guarded_sum, vanish};
use crate::simulate::{Plan, accumulate};
use crate::timeline::{ACTION_WORDS, ROW_WORDS, SLOT_SHIFT, code};

/// Steps between two looks for states that have vanished.
const STEPS_PER_LOOK: u32 = 32;

/// A lane's clock: time, what its sum has lost, time after dose, what that has lost.
pub(super) mod clock {
    pub const TIME: usize = 0;
    pub const LOST: usize = 1;
    pub const TAD: usize = 2;
    pub const TAD_LOST: usize = 3;
    pub const WORDS: usize = 4;
}

/// Take a lane through one interval, whose doses and steps are `rows` and `actions`. Dose levels
/// are read from `slots`; states and integrals, what their sums have lost, the clock and the
/// accumulators are changed in place.
#[cube]
pub(super) fn advance(
    states: &mut Array<f32>,
    lost: &mut Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    clock: &mut Array<f32>,
    acc: &mut Array<f32>,
    margin: &mut Array<f32>,
    rows: &[u32],
    actions: &[u32],
    n_rows: u32,
    zero: u32,
    #[comptime] plan: Arc<Plan>,
    #[comptime] step: Rk4Options,
) {
    let n_states = comptime![plan.program.n_states];
    let n_inputs = comptime![plan.program.n_inputs];
    let monitored = comptime![!plan.program.monitor.outputs.is_empty()];
    let n_all = comptime![plan.program.n_integrated()];
    // a parameter that is changed cannot be lent to what only reads
    let mut x = Array::<f32>::new(n_all);
    #[unroll]
    for s in 0..n_all {
        x[s] = states[s];
    }
    // no infusion runs over the end of an interval
    let mut inputs = Array::<f32>::new(comptime![n_inputs.max(1)]);
    #[unroll]
    for s in 0..n_inputs {
        inputs[s] = 0.0f32;
    }
    let mut time = clock[clock::TIME];
    let mut time_lost = clock[clock::LOST];
    let mut tad = clock[clock::TAD];
    let mut tad_lost = clock[clock::TAD_LOST];
    let mut row = 0u32;
    if row < n_rows {
        while {
            let at = (row * ROW_WORDS) as usize;
            let mut event = rows[at];
            let end_event = rows[at + 1];
            let mut remaining = rows[at + 2];
            let h = f32::reinterpret(rows[at + 3]);
            if event < end_event {
                while {
                    let word = (event * ACTION_WORDS) as usize;
                    let kind = actions[word];
                    let by = actions[word + 1] >> SLOT_SHIFT;
                    let index = actions[word + 1] & comptime![(1u32 << SLOT_SHIFT) - 1];
                    let mut level = 1.0f32;
                    #[unroll]
                    for k in 0..comptime![plan.program.dose_slots.len()] {
                        let slot = comptime![plan.program.dose_slots[k]];
                        level = select(by == comptime![slot as u32 + 1], slots[slot], level);
                    }
                    let value = f32::reinterpret(actions[word + 2]) * level;
                    if kind == code::BOLUS {
                        #[unroll]
                        for s in 0..n_states {
                            let added =
                                select(index == comptime![s as u32], value, 0.0f32) - lost[s];
                            let total =
                                guarded_sum(x[s], added, zero, comptime![step.guard_compensation]);
                            lost[s] = (total - x[s]) - added;
                            x[s] = total;
                        }
                    } else if kind == code::ADD_RATE {
                        #[unroll]
                        for s in 0..n_inputs {
                            inputs[s] += select(index == comptime![s as u32], value, 0.0f32);
                        }
                    } else if kind == code::SET_RATE {
                        #[unroll]
                        for s in 0..n_inputs {
                            inputs[s] = select(index == comptime![s as u32], value, inputs[s]);
                        }
                    } else if kind == code::DOSE {
                        tad = select(level > 0.0f32, 0.0f32, tad);
                        tad_lost = select(level > 0.0f32, 0.0f32, tad_lost);
                    }
                    event += 1u32;
                    event < end_event
                } {}
            }
            if comptime![monitored] {
                accumulate(
                    &x,
                    slots,
                    carried,
                    &inputs,
                    time,
                    tad,
                    0.0f32,
                    zero,
                    acc,
                    margin,
                    comptime![plan.clone()],
                    comptime![step.guard_compensation],
                );
            }
            if remaining > 0u32 {
                while {
                    let count = u32::min(remaining, comptime![STEPS_PER_LOOK]);
                    let mut done = 0u32;
                    while {
                        rk4::step(
                            &mut x,
                            lost,
                            slots,
                            carried,
                            &inputs,
                            time,
                            tad,
                            h,
                            zero,
                            comptime![plan.rates()],
                            comptime![step],
                        );
                        let advance = h - time_lost;
                        let later =
                            guarded_sum(time, advance, zero, comptime![step.guard_compensation]);
                        time_lost = (later - time) - advance;
                        time = later;
                        let passed = h - tad_lost;
                        let after =
                            guarded_sum(tad, passed, zero, comptime![step.guard_compensation]);
                        tad_lost = (after - tad) - passed;
                        tad = after;
                        if comptime![monitored] {
                            accumulate(
                                &x,
                                slots,
                                carried,
                                &inputs,
                                time,
                                tad,
                                h,
                                zero,
                                acc,
                                margin,
                                comptime![plan.clone()],
                                comptime![step.guard_compensation],
                            );
                        }
                        done += 1u32;
                        done < count
                    } {}
                    remaining -= count;
                    vanish(&mut x, lost, n_states);
                    remaining > 0u32
                } {}
            }
            row += 1u32;
            row < n_rows
        } {}
    }
    #[unroll]
    for s in 0..n_all {
        states[s] = x[s];
    }
    clock[clock::TIME] = time;
    clock[clock::LOST] = time_lost;
    clock[clock::TAD] = tad;
    clock[clock::TAD_LOST] = tad_lost;
}
