//! The forward kernel of the adjoint: a stretch of every patient's timeline, onto the tape.

use std::sync::Arc;

use cubecl::prelude::*;

use super::AdjointPlan;
use super::look::look;
use crate::evaluate::evaluate;
use crate::integrate::rk4::{self, Rk4Options};
use crate::integrate::{guarded_sum, vanish};
use crate::simulate::{final_summary, latch, start_summaries};
use crate::timeline::{ACTION_WORDS, NO_SCALE, ROW_WORDS, code};

/// Integers of a context: row, action, steps taken in the row plus one (0 before its look), next
/// record, looks so far, entries on the tape, and whether the timeline goes on.
pub(crate) const PLACE: usize = 7;
/// Real numbers beside the states: time, time after dose, and what their sums lost.
pub(crate) const CLOCK: usize = 4;
/// Steps of a row from one entry of the tape to the next. Software adapters write memory word by word
/// and lane by lane, which takes longer than taking the steps of a block once more.
pub(crate) const BLOCK: u32 = 8;

/// Rows of a context, `[rows][n]`: states, what their sums lost, accumulators, margins, deciding
/// looks, slots, inputs, clock, place.
pub(crate) fn context_rows(plan: &AdjointPlan) -> usize {
    first_rows(plan)[8] + PLACE
}

/// First row of each part of a context.
pub(crate) fn first_rows(plan: &AdjointPlan) -> [usize; 9] {
    let program = &plan.plan.program;
    let (all, acc) = (program.n_integrated(), program.accumulators.len());
    let lengths = [
        all,
        all,
        acc,
        plan.plan.margin_count(),
        acc,
        program.n_slots,
        program.n_inputs,
        CLOCK,
    ];
    let mut first = [0; 9];
    for (k, length) in lengths.into_iter().enumerate() {
        first[k + 1] = first[k] + length;
    }
    first
}

#[cube]
fn put(
    to: &mut [u32],
    from: &Array<f32>,
    #[comptime] first: usize,
    #[comptime] len: usize,
    n: usize,
    i: usize,
) {
    #[unroll]
    for s in 0..len {
        to[(first + s) * n + i] = u32::reinterpret(from[s]);
    }
}

#[cube]
fn get(
    from: &mut [u32],
    to: &mut Array<f32>,
    #[comptime] first: usize,
    #[comptime] len: usize,
    n: usize,
    i: usize,
) {
    #[unroll]
    for s in 0..len {
        to[s] = f32::reinterpret(from[(first + s) * n + i]);
    }
}

/// Integrate every patient until his timeline ends or the tape is full.
///
/// | buffer | shape |
/// |---|---|
/// | `values` | `[n_slots + n_scales][n]` slots, then dose scales |
/// | `keys` | `[2][n]` timeline, first record |
/// | `offsets`, `rows`, `actions` | timelines in compressed rows, without repeats |
/// | `result` | `[n_states + accumulators][n]` at the end |
/// | `records` | `[outputs][record_total]` |
/// | `tape` | `[capacity][width][n]` |
/// | `from`, `to` | `[context_rows][n]` context at the start of the stretch and at its end |
///
/// With `fresh` = 1 the stretch is the first, and `from` is written.
#[cube(launch_unchecked)]
pub fn trace(
    values: &[f32],
    keys: &[u32],
    offsets: &[u32],
    rows: &[u32],
    actions: &[u32],
    result: &mut [f32],
    records: &mut [f32],
    tape: &mut [f32],
    from: &mut [u32],
    to: &mut [u32],
    n: u32,
    record_stride: u32,
    record_total: u32,
    zero: u32,
    capacity: u32,
    budget: u32,
    fresh: u32,
    #[comptime] plan: Arc<AdjointPlan>,
    #[comptime] options: Rk4Options,
) {
    let i = ABSOLUTE_POS;
    let n = n as usize;
    if i >= n {
        terminate!();
    }
    let n_states = comptime![plan.plan.program.n_states];
    let n_all = comptime![plan.plan.program.n_integrated()];
    let n_slots = comptime![plan.plan.program.n_slots];
    let n_inputs = comptime![plan.plan.program.n_inputs];
    let n_carried = comptime![plan.plan.program.setup.outputs.len()];
    let n_acc = comptime![plan.plan.program.accumulators.len()];
    let n_margins = comptime![plan.plan.margin_count()];
    let n_records = comptime![plan.plan.program.record.outputs.len()];
    let width = comptime![plan.width()];
    let timed = comptime![plan.plan.program.needs_time];
    let looks = comptime![plan.looks()];
    let at = comptime![first_rows(&plan)];

    let mut slots = Array::<f32>::new(comptime![n_slots.max(1)]);
    let mut carried = Array::<f32>::new(comptime![n_carried.max(1)]);
    let mut inputs = Array::<f32>::new(comptime![n_inputs.max(1)]);
    let mut x = Array::<f32>::new(n_all);
    let mut lost = Array::<f32>::new(n_all);
    let mut acc = Array::<f32>::new(comptime![n_acc.max(1)]);
    let mut margin = Array::<f32>::new(comptime![n_margins.max(1)]);
    let mut decided = Array::<u32>::new(comptime![n_acc.max(1)]);
    let mut clock = Array::<f32>::new(comptime![CLOCK]);
    let mut place = Array::<u32>::new(comptime![PLACE]);

    let timeline = keys[i] as usize;
    let end_row = offsets[timeline + 1];
    if fresh == 1u32 {
        #[unroll]
        for s in 0..n_slots {
            slots[s] = values[s * n + i];
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
        start_summaries(&mut acc, &mut margin, comptime![plan.plan.clone()]);
        #[unroll]
        for k in 0..n_acc {
            decided[k] = 0xFFFF_FFFFu32;
        }
        #[unroll]
        for k in 0..comptime![CLOCK] {
            clock[k] = 0.0f32;
        }
        place[0] = offsets[timeline];
        let first = select(offsets[timeline] < end_row, offsets[timeline], 0u32);
        place[1] = rows[(first * ROW_WORDS) as usize];
        place[2] = 0u32;
        place[3] = keys[n + i];
        place[4] = 0u32;
        place[5] = 0u32;
        place[6] = 1u32;
        keep(
            from,
            &x,
            &lost,
            &acc,
            &margin,
            &decided,
            &slots,
            &inputs,
            &clock,
            &place,
            n,
            i,
            plan.clone(),
        );
    } else {
        get(from, &mut x, comptime![at[0]], n_all, n, i);
        get(from, &mut lost, comptime![at[1]], n_all, n, i);
        get(from, &mut acc, comptime![at[2]], n_acc, n, i);
        get(from, &mut margin, comptime![at[3]], n_margins, n, i);
        get(from, &mut slots, comptime![at[5]], n_slots, n, i);
        get(from, &mut inputs, comptime![at[6]], n_inputs, n, i);
        get(from, &mut clock, comptime![at[7]], comptime![CLOCK], n, i);
        #[unroll]
        for k in 0..n_acc {
            decided[k] = from[(comptime![at[4]] + k) * n + i];
        }
        #[unroll]
        for k in 0..comptime![PLACE] {
            place[k] = from[(comptime![at[8]] + k) * n + i];
        }
    }

    let mut time = clock[0];
    let mut time_lost = clock[1];
    let mut tad = clock[2];
    let mut tad_lost = clock[3];
    let mut row = place[0];
    let mut action = place[1];
    let mut position = place[2];
    let mut record_at = place[3];
    let mut number = place[4];
    let mut entries = 0u32;
    let mut fuel = budget;
    let mut stale = true;
    let mut full = false;
    // the most that one action or look may push
    let reserve = comptime![n_inputs as u32 + 2];

    while row < end_row && !full {
        let word = (row * ROW_WORDS) as usize;
        let end_action = rows[word + 1];
        let steps = rows[word + 2];
        let h = f32::reinterpret(rows[word + 3]);

        // at least once: carried values are computed here and nowhere else
        while {
            if stale {
                let new = evaluate(
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
                    carried[c] = new[c];
                }
                stale = false;
            }
            let waits = action < end_action;
            let room = entries + reserve <= capacity && fuel >= BLOCK;
            let acts = waits && room;
            full = waits && !room;
            let base = select(acts, action * ACTION_WORDS, 0u32) as usize;
            let kind = select(acts, actions[base], code::NOTHING);
            let index = actions[base + 1];
            let scale = select(acts, actions[base + 3], NO_SCALE);
            let mut value = f32::reinterpret(actions[base + 2]);
            if scale != NO_SCALE {
                value *= values[(comptime![n_slots as u32] + scale) as usize * n + i];
            }
            if kind == code::RESET {
                #[unroll]
                for s in 0..n_inputs {
                    tape[((entries + comptime![s as u32]) as usize * width) * n + i] = inputs[s];
                    inputs[s] = 0.0f32;
                }
                entries += comptime![n_inputs as u32];
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
                for s in 0..n_states {
                    x[s] = start[s];
                }
                #[unroll]
                for s in 0..n_all {
                    lost[s] = 0.0f32;
                }
            } else if kind == code::BOLUS {
                #[unroll]
                for s in 0..n_states {
                    let added = select(index == comptime![s as u32], value, 0.0f32) - lost[s];
                    let total =
                        guarded_sum(x[s], added, zero, comptime![options.guard_compensation]);
                    lost[s] = (total - x[s]) - added;
                    x[s] = total;
                }
            } else if kind == code::SET_RATE || kind == code::ADD_RATE {
                let mut old = 0.0f32;
                let kept = select(kind == code::SET_RATE, 0.0f32, 1.0f32);
                #[unroll]
                for s in 0..n_inputs {
                    let here = index == comptime![s as u32];
                    old = select(here, inputs[s], old);
                    inputs[s] = select(here, kept * inputs[s] + value, inputs[s]);
                }
                tape[(entries as usize * width) * n + i] = old;
                entries += 1u32;
            } else if kind == code::SET_SLOT {
                let mut old = 0.0f32;
                #[unroll]
                for s in 0..n_slots {
                    let here = index == comptime![s as u32];
                    old = select(here, slots[s], old);
                    slots[s] = select(here, value, slots[s]);
                }
                tape[(entries as usize * width) * n + i] = old;
                entries += 1u32;
                stale = true;
            } else if kind == code::DOSE {
                tad = 0.0f32;
                tad_lost = 0.0f32;
            } else if kind == code::CLOCK {
                time = value;
            } else if kind == code::RECORD || kind == code::LATCH {
                #[unroll]
                for s in 0..n_all {
                    tape[(entries as usize * width + s) * n + i] = x[s];
                }
                if comptime![timed] {
                    tape[(entries as usize * width + n_all) * n + i] = time;
                    tape[(entries as usize * width + n_all + 1) * n + i] = tad;
                }
                entries += 1u32;
                if kind == code::LATCH {
                    if comptime![n_acc > 0] {
                        latch(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            index,
                            &mut acc,
                            comptime![plan.plan.clone()],
                        );
                    }
                } else {
                    if comptime![n_records > 0] {
                        let outputs = evaluate(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            comptime![plan.plan.record()],
                        );
                        #[unroll]
                        for k in 0..n_records {
                            records[comptime![k as u32] as usize * record_total as usize
                                + record_at as usize] = outputs[k];
                        }
                    }
                    record_at += record_stride;
                }
            }
            if acts {
                action += 1u32;
            }
            fuel -= u32::min(1u32, fuel);
            (action < end_action && !full) || stale
        } {}

        if position == 0u32 && !full {
            if comptime![looks] {
                #[unroll]
                for s in 0..n_all {
                    tape[(entries as usize * width + s) * n + i] = x[s];
                }
                if comptime![timed] {
                    tape[(entries as usize * width + n_all) * n + i] = time;
                    tape[(entries as usize * width + n_all + 1) * n + i] = tad;
                }
                entries += 1u32;
                look(
                    &x,
                    &slots,
                    &carried,
                    &inputs,
                    time,
                    tad,
                    0.0f32,
                    zero,
                    number,
                    &mut acc,
                    &mut margin,
                    &mut decided,
                    comptime![plan.clone()],
                    comptime![options.guard_compensation],
                );
                number += 1u32;
            }
            position = 1u32;
        }

        // whole blocks: the walk back begins where a block begins
        if position > 0u32 && position <= steps && entries < capacity && fuel >= BLOCK {
            while {
                vanish(&mut x, &mut lost, n_all);
                #[unroll]
                for s in 0..n_all {
                    tape[(entries as usize * width + s) * n + i] = x[s];
                }
                if comptime![timed] {
                    tape[(entries as usize * width + n_all) * n + i] = time;
                    tape[(entries as usize * width + n_all + 1) * n + i] = tad;
                }
                entries += 1u32;
                let count = u32::min(BLOCK, steps + 1u32 - position);
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
                        comptime![plan.plan.rates()],
                        options,
                    );
                    if comptime![timed] {
                        let advance = h - time_lost;
                        let later =
                            guarded_sum(time, advance, zero, comptime![options.guard_compensation]);
                        let passed = h - tad_lost;
                        let after =
                            guarded_sum(tad, passed, zero, comptime![options.guard_compensation]);
                        time_lost = (later - time) - advance;
                        time = later;
                        tad_lost = (after - tad) - passed;
                        tad = after;
                    }
                    if comptime![looks] {
                        look(
                            &x,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            h,
                            zero,
                            number,
                            &mut acc,
                            &mut margin,
                            &mut decided,
                            comptime![plan.clone()],
                            comptime![options.guard_compensation],
                        );
                        number += 1u32;
                    }
                    done += 1u32;
                    done < count
                } {}
                position += count;
                fuel -= count;
                position > 0u32 && position <= steps && entries < capacity && fuel >= BLOCK
            } {}
        }
        if position > steps {
            row += 1u32;
            position = 0u32;
            full = fuel < BLOCK;
        } else {
            full = true;
        }
    }

    place[0] = row;
    place[1] = action;
    place[2] = position;
    place[3] = record_at;
    place[4] = number;
    place[5] = entries;
    place[6] = select(row < end_row, 1u32, 0u32);
    clock[0] = time;
    clock[1] = time_lost;
    clock[2] = tad;
    clock[3] = tad_lost;
    keep(
        to,
        &x,
        &lost,
        &acc,
        &margin,
        &decided,
        &slots,
        &inputs,
        &clock,
        &place,
        n,
        i,
        plan.clone(),
    );
    #[unroll]
    for s in 0..n_states {
        result[s * n + i] = x[s];
    }
    #[unroll]
    for k in 0..n_acc {
        result[(n_states + k) * n + i] = final_summary(&x, &acc, k, comptime![plan.plan.clone()]);
    }
}

/// Store a context.
#[cube]
fn keep(
    to: &mut [u32],
    x: &Array<f32>,
    lost: &Array<f32>,
    acc: &Array<f32>,
    margin: &Array<f32>,
    decided: &Array<u32>,
    slots: &Array<f32>,
    inputs: &Array<f32>,
    clock: &Array<f32>,
    place: &Array<u32>,
    n: usize,
    i: usize,
    #[comptime] plan: Arc<AdjointPlan>,
) {
    let at = comptime![first_rows(&plan)];
    put(to, x, comptime![at[0]], comptime![at[1] - at[0]], n, i);
    put(to, lost, comptime![at[1]], comptime![at[2] - at[1]], n, i);
    put(to, acc, comptime![at[2]], comptime![at[3] - at[2]], n, i);
    put(to, margin, comptime![at[3]], comptime![at[4] - at[3]], n, i);
    put(to, slots, comptime![at[5]], comptime![at[6] - at[5]], n, i);
    put(to, inputs, comptime![at[6]], comptime![at[7] - at[6]], n, i);
    put(to, clock, comptime![at[7]], comptime![CLOCK], n, i);
    #[unroll]
    for k in 0..comptime![at[5] - at[4]] {
        to[(comptime![at[4]] + k) * n + i] = decided[k];
    }
    #[unroll]
    for k in 0..comptime![PLACE] {
        to[(comptime![at[8]] + k) * n + i] = place[k];
    }
}
