//! The fused simulation kernel: one thread takes one patient through his whole timeline.
//!
//! Everything a patient needs lives in registers; the kernel reads his slots once, walks the rows
//! of his timeline and writes records, final states and summaries. Buffers are structure-of-arrays,
//! `[row][patient]`.

mod context;
mod error;
mod plan;
mod steady;
mod summaries;

use std::sync::Arc;

use cubecl::prelude::*;

use crate::evaluate::evaluate;
use crate::integrate::{guarded_sum, rk4, vanish};
use crate::timeline::{
    FLAG_FROZEN_CLOCK, FLAG_UNTIL_STEADY, NO_SCALE, SLOT_SHIFT, STEPS_JOINED, code,
};

pub(crate) use self::context::context_rows;
use self::context::{SCALARS, load, store};
pub(crate) use self::error::with_error;
pub(crate) use self::plan::RUNNING;
pub use self::plan::{KernelOptions, Plan, STREAM_RESIDUAL, STREAM_VISITS, Status};
pub(crate) use self::plan::{result_rows, status_place};
use self::steady::settle;
pub(crate) use self::summaries::{accumulate, final_summary, latch, start_summaries};

/// Steps between two looks at a patient's health.
const STEPS_PER_CHECK: u32 = 32;

/// Integrate every patient through his timeline.
///
/// | buffer | shape |
/// |---|---|
/// | `values` | `[(n_slots + n_scales) / 4][n][4]` slots, then dose scales, rounded up |
/// | `keys` | `[n][4]` timeline, first record, patient number |
/// | `offsets` | `[timelines][2]` first row, end |
/// | `rows`, `actions` | timelines in compressed rows; a row is two vectors, an action one |
/// | `floors` | `[n_states / 4][4]` lowest value a state may take, below zero, rounded up |
/// | `result` | `[(n_states + accumulators + 3) / 4][n][4]` final states, summaries, time reached, status, records stored, rounded up |
/// | `records` | `[outputs / W][record_total][W]` |
/// | `context` | `[context_rows][n]` what a later launch needs; one word if not resumable |
///
/// All of them move in vectors, because software adapters reach memory in a loop over lanes for each
/// access, however wide it is (`results/performance.md`).
///
/// `budget` bounds the loop iterations of one launch: software adapters end a shader's loops after
/// 65,535 iterations without a word, and display drivers end kernels that take seconds. A patient
/// whose budget is spent is stored in `context` and goes on where he was in the next launch
/// (`resume` = 1).
#[cube(launch_unchecked)]
pub fn simulate<W: Size>(
    values: &[Vector<f32, Const<4>>],
    keys: &[Vector<u32, Const<4>>],
    offsets: &[Vector<u32, Const<2>>],
    rows: &[Vector<u32, Const<4>>],
    actions: &[Vector<u32, Const<4>>],
    floors: &[Vector<f32, Const<4>>],
    result: &mut [Vector<u32, Const<4>>],
    records: &mut [Vector<f32, W>],
    context: &mut [u32],
    n: u32,
    record_stride: u32,
    record_total: u32,
    seed_lo: u32,
    seed_hi: u32,
    zero: u32,
    budget: u32,
    resume: u32,
    #[comptime] plan: Arc<Plan>,
    #[comptime] options: KernelOptions,
) {
    let i = ABSOLUTE_POS;
    let n = n as usize;
    if i >= n {
        terminate!();
    }
    let n_states = comptime![plan.program.n_states];
    let n_all = comptime![plan.program.n_integrated()];
    let n_slots = comptime![plan.program.n_slots];
    let n_inputs = comptime![plan.program.n_inputs];
    let n_carried = comptime![plan.program.setup.outputs.len()];
    let n_acc = comptime![plan.program.accumulators.len()];
    let n_records = comptime![plan.program.record.outputs.len()];
    let width = W::value();
    let monitored = comptime![!plan.program.monitor.outputs.is_empty()];

    let mut slots = Array::<f32>::new(comptime![n_slots.max(1)]);
    let mut carried = Array::<f32>::new(comptime![n_carried.max(1)]);
    let mut inputs = Array::<f32>::new(comptime![n_inputs.max(1)]);
    let mut x = Array::<f32>::new(n_all);
    let mut lost = Array::<f32>::new(n_all);
    let mut good = Array::<f32>::new(n_all);
    let mut good_lost = Array::<f32>::new(n_all);
    let mut acc = Array::<f32>::new(comptime![n_acc.max(1)]);
    let mut good_acc = Array::<f32>::new(comptime![n_acc.max(1)]);
    let n_margins = comptime![plan.margin_count()];
    let mut margin = Array::<f32>::new(comptime![n_margins.max(1)]);
    let mut good_margin = Array::<f32>::new(comptime![n_margins.max(1)]);
    // steady states only: the state set aside, and what the search keeps from cycle to cycle
    let n_steady = comptime![if options.steady_state { n_all } else { 1 }];
    let mut aside = Array::<f32>::new(n_steady);
    let n_memory = comptime![if options.steady_state {
        steady::memory(&plan)
    } else {
        1
    }];
    let mut cycle = Array::<f32>::new(n_memory);

    #[unroll]
    for block in 0..comptime![n_slots.div_ceil(4)] {
        let four = values[block * n + i];
        #[unroll]
        for e in 0..comptime![(n_slots - 4 * block).min(4)] {
            slots[comptime![4 * block + e]] = four.extract(e);
        }
    }
    #[unroll]
    for s in 0..n_inputs {
        inputs[s] = 0.0f32;
    }
    #[unroll]
    for s in 0..n_all {
        x[s] = 0.0f32;
        lost[s] = 0.0f32;
    }
    let n_lowest = comptime![if options.keep_floors { n_states } else { 1 }];
    let mut lowest = Array::<f32>::new(n_lowest);
    if comptime![options.keep_floors] {
        #[unroll]
        for block in 0..comptime![n_states.div_ceil(4)] {
            let four = floors[block];
            #[unroll]
            for e in 0..comptime![(n_states - 4 * block).min(4)] {
                lowest[comptime![4 * block + e]] = four.extract(e);
            }
        }
    }
    start_summaries(&mut acc, &mut margin, comptime![plan.clone()]);
    if comptime![options.steady_state] {
        #[unroll]
        for s in 0..n_all {
            aside[s] = 0.0f32;
        }
        #[unroll]
        for s in 0..n_memory {
            cycle[s] = 0.0f32;
        }
    }

    let key = keys[i];
    let span = offsets[key.extract(0usize) as usize];
    let mut record_at = key.extract(1usize);
    let patient = key.extract(2usize);
    let mut record_number = 0u32;
    let mut time = 0.0f32;
    let mut time_lost = 0.0f32;
    let mut tad = 0.0f32;
    let mut tad_lost = 0.0f32;
    let mut health = 0u32;
    // carried values are computed where they are used: in the loop over actions if those may change a
    // slot, else here, as a pass of that loop costs all it holds
    let mut stale = comptime![plan.changes_slots()].runtime();
    let mut passes = 0u32;

    let mut row = span.extract(0usize);
    let end_row = span.extract(1usize);
    let mut remaining = 0u32;
    let mut within_row = false;
    let mut fuel = budget;
    let mut already_done = false;
    if comptime![options.resumable] {
        if resume == 1u32 {
            let status = result[comptime![status_place(&plan).0] * n + i];
            already_done = status.extract(comptime![status_place(&plan).1]) != RUNNING;
            let scalars = load(
                context,
                &mut x,
                &mut lost,
                &mut acc,
                &mut margin,
                &mut slots,
                &mut inputs,
                &mut aside,
                &mut cycle,
                n,
                i,
                comptime![plan.clone()],
                comptime![options.steady_state],
            );
            time = f32::reinterpret(scalars[0]);
            time_lost = f32::reinterpret(scalars[1]);
            tad = f32::reinterpret(scalars[2]);
            tad_lost = f32::reinterpret(scalars[8]);
            row = scalars[3];
            remaining = scalars[4];
            passes = scalars[5];
            record_at = scalars[6];
            record_number = scalars[7];
            within_row = remaining > 0u32;
        }
    }
    if already_done {
        terminate!();
    }
    if comptime![!plan.changes_slots()] {
        carry(
            &mut carried,
            &x,
            &slots,
            &inputs,
            time,
            tad,
            comptime![plan.clone()],
        );
    }
    if row < end_row && fuel > 0u32 {
        let mut stretch = rows[2usize * row as usize];
        let mut repeat = Vector::<u32, Const<4>>::new(0u32);
        if comptime![options.repeats] {
            repeat = rows[2usize * row as usize + 1];
        }
        while {
            let mut action = stretch.extract(0usize);
            let end_action = stretch.extract(1usize);
            if within_row {
                action = end_action;
            }
            // at least once: a test at the beginning would cost as much as a pass
            while {
                if comptime![plan.changes_slots()] {
                    if stale {
                        carry(
                            &mut carried,
                            &x,
                            &slots,
                            &inputs,
                            time,
                            tad,
                            comptime![plan.clone()],
                        );
                        stale = false;
                    }
                }
                let acts = action < end_action;
                let words = actions[select(acts, action, 0u32) as usize];
                let kind = select(acts, words.extract(0usize), code::NOTHING);
                let mut index = words.extract(1usize);
                let mut value = f32::reinterpret(words.extract(2usize));
                if comptime![options.scales] {
                    let scale = select(acts, words.extract(3usize), NO_SCALE);
                    if scale != NO_SCALE {
                        let place = comptime![n_slots as u32] + scale;
                        let four = values[(place >> 2u32) as usize * n + i];
                        let lane = place & 3u32;
                        let low = select(lane == 0u32, four.extract(0usize), four.extract(1usize));
                        let high = select(lane == 2u32, four.extract(2usize), four.extract(3usize));
                        value *= select(lane < 2u32, low, high);
                    }
                }
                let mut given = true;
                if comptime![!plan.program.dose_slots.is_empty()] {
                    if kind != code::OBSERVE {
                        let by = index >> SLOT_SHIFT;
                        index &= comptime![(1u32 << SLOT_SHIFT) - 1];
                        let mut level = 1.0f32;
                        #[unroll]
                        for k in 0..comptime![plan.program.dose_slots.len()] {
                            let slot = comptime![plan.program.dose_slots[k]];
                            level = select(by == comptime![slot as u32 + 1], slots[slot], level);
                        }
                        value *= level;
                        given = level > 0.0f32;
                    }
                }
                if kind == code::RESET || kind == code::BEGIN_STEADY_STATE {
                    if comptime![options.steady_state] {
                        if kind == code::BEGIN_STEADY_STATE {
                            #[unroll]
                            for s in 0..n_all {
                                aside[s] = x[s];
                            }
                            #[unroll]
                            for s in 0..n_memory {
                                cycle[s] = 0.0f32;
                            }
                        }
                    }
                    let start = evaluate(
                        &x,
                        &slots,
                        &carried,
                        &inputs,
                        time,
                        tad,
                        comptime![plan.init()],
                    );
                    #[unroll]
                    for s in 0..n_states {
                        x[s] = start[s];
                    }
                    #[unroll]
                    for s in 0..n_all {
                        lost[s] = 0.0f32;
                    }
                    #[unroll]
                    for s in 0..n_inputs {
                        inputs[s] = 0.0f32;
                    }
                } else if kind == code::BOLUS {
                    // compensated: over many cycles the rounding of equal doses adds up
                    #[unroll]
                    for s in 0..n_states {
                        let added = select(index == comptime![s as u32], value, 0.0f32) - lost[s];
                        let total = guarded_sum(
                            x[s],
                            added,
                            zero,
                            comptime![options.step.guard_compensation],
                        );
                        lost[s] = (total - x[s]) - added;
                        x[s] = total;
                    }
                } else if kind == code::SET_RATE {
                    #[unroll]
                    for s in 0..n_inputs {
                        inputs[s] = select(index == comptime![s as u32], value, inputs[s]);
                    }
                } else if kind == code::ADD_RATE {
                    #[unroll]
                    for s in 0..n_inputs {
                        inputs[s] += select(index == comptime![s as u32], value, 0.0f32);
                    }
                } else if kind == code::DOSE {
                    tad = select(given, 0.0f32, tad);
                    tad_lost = select(given, 0.0f32, tad_lost);
                } else if kind == code::CLOCK {
                    time = value;
                } else if kind == code::LATCH {
                    if comptime![monitored] {
                        latch(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            index,
                            &mut acc,
                            comptime![plan.clone()],
                        );
                    }
                } else if kind == code::RECORD {
                    if comptime![n_records > 0] {
                        let outputs = evaluate(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            comptime![plan.record()],
                        );
                        #[unroll]
                        for block in 0..comptime![n_records / width] {
                            let mut stored = Vector::<f32, W>::new(0.0f32);
                            #[unroll]
                            for e in 0..width {
                                let k = comptime![block * width + e];
                                let noise = comptime![if options.residual_error {
                                    plan.program.noise[k]
                                } else {
                                    None
                                }];
                                stored.insert(
                                    e,
                                    with_error(
                                        outputs[k],
                                        patient,
                                        record_number,
                                        STREAM_RESIDUAL,
                                        comptime![k as u32],
                                        seed_lo,
                                        seed_hi,
                                        noise,
                                    ),
                                );
                            }
                            records[block * record_total as usize + record_at as usize] = stored;
                        }
                    }
                    record_at += record_stride;
                    record_number += 1u32;
                } else if kind == code::OBSERVE {
                    if comptime![!plan.program.observe_slots.is_empty()] {
                        let seen = evaluate(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            comptime![plan.observe()],
                        );
                        #[unroll]
                        for k in 0..comptime![plan.program.observe_slots.len()] {
                            let slot = comptime![plan.program.observe_slots[k]];
                            slots[slot] = with_error(
                                seen[k],
                                patient,
                                index,
                                STREAM_VISITS,
                                comptime![k as u32],
                                seed_lo,
                                seed_hi,
                                comptime![plan.program.observe_noise[k]],
                            );
                        }
                        stale = true;
                    }
                } else if kind == code::RULE {
                    if comptime![!plan.program.rule_slots.is_empty()] {
                        let decided = evaluate(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            comptime![plan.rule()],
                        );
                        #[unroll]
                        for k in 0..comptime![plan.program.rule_slots.len()] {
                            let slot = comptime![plan.program.rule_slots[k]];
                            slots[slot] = decided[k];
                        }
                        stale = true;
                    }
                } else if kind == code::SET_SLOT {
                    if comptime![plan.program.varying] {
                        #[unroll]
                        for s in 0..n_slots {
                            slots[s] = select(index == comptime![s as u32], value, slots[s]);
                        }
                        stale = true;
                    }
                } else if kind == code::END_STEADY_STATE {
                    if comptime![options.steady_state] {
                        let superpose = select(index == 1u32, 1.0f32, 0.0f32);
                        let start = evaluate(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            comptime![plan.init()],
                        );
                        #[unroll]
                        for s in 0..n_states {
                            x[s] += superpose * (aside[s] - start[s]);
                        }
                        #[unroll]
                        for s in n_states..n_all {
                            x[s] = aside[s];
                        }
                        #[unroll]
                        for s in 0..n_all {
                            lost[s] = 0.0f32;
                        }
                    }
                }
                action += 1u32;
                action < end_action || stale
            } {}

            if comptime![monitored] {
                let frozen = (repeat.extract(2usize) & FLAG_FROZEN_CLOCK) != 0u32;
                if !frozen && !within_row {
                    accumulate(
                        &x,
                        &slots,
                        &carried,
                        &inputs,
                        time,
                        tad,
                        0.0f32,
                        zero,
                        &mut acc,
                        &mut margin,
                        comptime![plan.clone()],
                        comptime![options.step.guard_compensation],
                    );
                }
            }

            // rows without actions are walked here: what actions may do costs as much as doing it where
            // no branch is jumped over
            while {
                let steps = stretch.extract(2usize);
                let h = f32::reinterpret(stretch.extract(3usize));
                let repeat_rows = repeat.extract(0usize);
                let flags = repeat.extract(2usize);
                let mut clock = 1.0f32;
                if comptime![options.repeats] {
                    clock = select((flags & FLAG_FROZEN_CLOCK) == 0u32, 1.0f32, 0.0f32);
                }
                if !within_row {
                    remaining = steps & !STEPS_JOINED;
                }
                within_row = false;
                let mut stride = comptime![STEPS_PER_CHECK].runtime();
                if remaining > 0u32 && fuel > 0u32 {
                    while {
                        // a copy to return to, should the next steps leave the model's domain
                        #[unroll]
                        for s in 0..n_all {
                            good[s] = x[s];
                            good_lost[s] = lost[s];
                        }
                        #[unroll]
                        for k in 0..n_acc {
                            good_acc[k] = acc[k];
                        }
                        #[unroll]
                        for k in 0..n_margins {
                            good_margin[k] = margin[k];
                        }
                        let good_time = time;
                        let good_time_lost = time_lost;
                        let good_tad = tad;
                        let good_tad_lost = tad_lost;
                        let count = u32::min(stride, remaining);
                        let mut done = 0u32;
                        while {
                            rk4::step(
                                &mut x,
                                &mut lost,
                                &slots,
                                &carried,
                                &inputs,
                                time,
                                tad,
                                h,
                                zero,
                                comptime![plan.rates()],
                                comptime![options.step],
                            );
                            if comptime![plan.program.needs_time] {
                                let advance = h * clock - time_lost;
                                let later = guarded_sum(
                                    time,
                                    advance,
                                    zero,
                                    comptime![options.step.guard_compensation],
                                );
                                time_lost = (later - time) - advance;
                                time = later;
                                let passed = h - tad_lost;
                                let after = guarded_sum(
                                    tad,
                                    passed,
                                    zero,
                                    comptime![options.step.guard_compensation],
                                );
                                tad_lost = (after - tad) - passed;
                                tad = after;
                            }
                            if comptime![monitored] {
                                if clock > 0.0f32 {
                                    accumulate(
                                        &x,
                                        &slots,
                                        &carried,
                                        &inputs,
                                        time,
                                        tad,
                                        h,
                                        zero,
                                        &mut acc,
                                        &mut margin,
                                        comptime![plan.clone()],
                                        comptime![options.step.guard_compensation],
                                    );
                                }
                            }
                            done += 1u32;
                            done < count
                        } {}
                        if comptime![!plan.program.needs_time] {
                            let span = h * f32::cast_from(count);
                            let advance = span * clock - time_lost;
                            let later = guarded_sum(
                                time,
                                advance,
                                zero,
                                comptime![options.step.guard_compensation],
                            );
                            time_lost = (later - time) - advance;
                            time = later;
                            let passed = span - tad_lost;
                            let after = guarded_sum(
                                tad,
                                passed,
                                zero,
                                comptime![options.step.guard_compensation],
                            );
                            tad_lost = (after - tad) - passed;
                            tad = after;
                        }
                        if comptime![options.resumable] {
                            let spent = count * comptime![options.iterations_per_step()] + 1u32;
                            fuel -= u32::min(spent, fuel);
                        }
                        let mut found = 0u32;
                        #[unroll]
                        for s in 0..n_all {
                            let finite =
                                (u32::reinterpret(x[s]) & 0x7F80_0000u32) != 0x7F80_0000u32;
                            found = select(finite, found, 1u32);
                        }
                        #[unroll]
                        for s in 0..n_states {
                            let signed = comptime![plan.program.signed[s]];
                            if comptime![!signed] {
                                let floor = if comptime![options.keep_floors] {
                                    lowest[s]
                                } else {
                                    floors[comptime![s / 4]].extract(comptime![s % 4])
                                };
                                let below = found == 0u32 && x[s] < floor;
                                found = select(below, 2u32, found);
                            }
                        }
                        if found > 0u32 {
                            #[unroll]
                            for s in 0..n_all {
                                x[s] = good[s];
                                lost[s] = good_lost[s];
                            }
                            #[unroll]
                            for k in 0..n_acc {
                                acc[k] = good_acc[k];
                            }
                            #[unroll]
                            for k in 0..n_margins {
                                margin[k] = good_margin[k];
                            }
                            time = good_time;
                            time_lost = good_time_lost;
                            tad = good_tad;
                            tad_lost = good_tad_lost;
                            if count == 1u32 {
                                health = found;
                                remaining = 0u32;
                            } else {
                                // again, step by step, to find the last good state
                                stride = 1u32;
                            }
                        } else {
                            remaining -= count;
                            vanish(&mut x, &mut lost, n_states);
                        }
                        remaining > 0u32 && fuel > 0u32
                    } {}
                }

                let mut next = select(remaining == 0u32, row + 1u32, row);
                if comptime![options.resumable] {
                    let spent = stretch.extract(1usize) + 3u32 - stretch.extract(0usize);
                    fuel -= u32::min(spent, fuel);
                }
                if comptime![options.repeats] {
                    if repeat_rows > 0u32 && remaining == 0u32 {
                        passes += 1u32;
                        let mut again = passes < repeat.extract(1usize);
                        if comptime![options.steady_state] {
                            if (flags & FLAG_UNTIL_STEADY) != 0u32 {
                                let steady = settle(
                                    &mut x,
                                    &mut lost,
                                    &mut cycle,
                                    passes,
                                    comptime![plan.clone()],
                                );
                                if !again && !steady && health == 0u32 {
                                    health = 3u32;
                                }
                                again = again && !steady;
                            }
                        }
                        if again {
                            next = row + 1u32 - repeat_rows;
                        } else {
                            passes = 0u32;
                        }
                    }
                }
                row = select(health == 0u32, next, end_row);
                let goes_on = (steps & STEPS_JOINED) != 0u32
                    && remaining == 0u32
                    && row < end_row
                    && fuel > 0u32;
                let at = 2usize * u32::min(row, end_row - 1u32) as usize;
                stretch = rows[at];
                if comptime![options.repeats] {
                    repeat = rows[at + 1];
                }
                goes_on
            } {}
            row < end_row && fuel > 0u32
        } {}
    }

    if comptime![options.resumable] {
        if row < end_row {
            let mut scalars = Array::<u32>::new(comptime![SCALARS]);
            scalars[0] = u32::reinterpret(time);
            scalars[1] = u32::reinterpret(time_lost);
            scalars[2] = u32::reinterpret(tad);
            scalars[8] = u32::reinterpret(tad_lost);
            scalars[3] = row;
            scalars[4] = remaining;
            scalars[5] = passes;
            scalars[6] = record_at;
            scalars[7] = record_number;
            store(
                context,
                &x,
                &lost,
                &acc,
                &margin,
                &slots,
                &inputs,
                &aside,
                &cycle,
                &scalars,
                n,
                i,
                comptime![plan.clone()],
                comptime![options.steady_state],
            );
            let mut four = Vector::<u32, Const<4>>::new(0u32);
            four.insert(comptime![status_place(&plan).1], RUNNING);
            result[comptime![status_place(&plan).0] * n + i] = four;
            terminate!();
        }
    }

    let n_rows = comptime![result_rows(&plan)];
    #[unroll]
    for block in 0..comptime![n_rows.div_ceil(4)] {
        let mut four = Vector::<u32, Const<4>>::new(0u32);
        #[unroll]
        for e in 0..comptime![(n_rows - 4 * block).min(4)] {
            let k = comptime![4 * block + e];
            if comptime![k < n_states] {
                four.insert(e, u32::reinterpret(x[k]));
            } else if comptime![k < n_states + n_acc] {
                let total =
                    final_summary(&x, &acc, comptime![k - n_states], comptime![plan.clone()]);
                four.insert(e, u32::reinterpret(total));
            } else if comptime![k == n_states + n_acc] {
                four.insert(e, u32::reinterpret(time));
            } else if comptime![k == n_states + n_acc + 1] {
                four.insert(e, health);
            } else {
                four.insert(e, record_number);
            }
        }
        result[block * n + i] = four;
    }
}

/// Compute what depends on slots only, for all that reads it.
#[cube]
fn carry(
    carried: &mut Array<f32>,
    x: &Array<f32>,
    slots: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    #[comptime] plan: Arc<Plan>,
) {
    let fresh = evaluate(x, slots, slots, inputs, time, tad, comptime![plan.setup()]);
    #[unroll]
    for c in 0..comptime![plan.program.setup.outputs.len()] {
        carried[c] = fresh[c];
    }
}
