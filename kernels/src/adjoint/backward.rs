//! The backward kernel: a stretch of every patient's timeline, from its end to its start.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::program::Accumulator;

use super::AdjointPlan;
use super::look::look_back;
use super::reverse::{Reverse, reverse};
use super::trace::{BLOCK, PLACE, first_rows};
use crate::evaluate::{evaluate, values};
use crate::integrate::rk4::Rk4Options;
use crate::integrate::{VANISHING, guarded_sum};
use crate::timeline::{ACTION_WORDS, NO_SCALE, ROW_WORDS, code};

/// Rows of the gradient, `[rows][n]`: parameters and covariates (slots), dose scales, initial states;
/// then what the next launch needs: adjoints of states and integrals, what their sums lost, adjoints
/// of infusion rates, of summaries, of time and time after dose, of the length of the row in
/// progress.
pub(crate) fn gradient_rows(plan: &AdjointPlan, n_scales: usize) -> [usize; 9] {
    let program = &plan.plan.program;
    let (all, acc) = (program.n_integrated(), program.accumulators.len());
    let lengths = [
        program.n_slots,
        n_scales,
        program.n_states,
        all,
        all,
        program.n_inputs,
        acc,
        3,
    ];
    let mut first = [0; 9];
    for (k, length) in lengths.into_iter().enumerate() {
        first[k + 1] = first[k] + length;
    }
    first
}

/// One step of length `h` from `x`, backwards: `bar` holds the adjoint of what the step gave and
/// becomes that of `x`; `extra` is added to it. Returns the adjoint of `h`.
///
/// Stages in reverse, with `k_bar = w h bar + r h s_bar` of the following stage (w weights, r nodes of
/// the method) and `s_bar = J(s)^T k_bar`.
#[cube]
fn step_back(
    x: &Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    h: f32,
    zero: u32,
    bar: &mut Array<f32>,
    bar_lost: &mut Array<f32>,
    extra: &Array<f32>,
    slot_bar: &mut Array<f32>,
    carried_bar: &mut Array<f32>,
    carried_lost: &mut Array<f32>,
    input_bar: &mut Array<f32>,
    clock: &mut Array<f32>,
    #[comptime] rates: Arc<Reverse>,
    #[comptime] n_carried: usize,
    #[comptime] options: Rk4Options,
) -> f32 {
    let n = comptime![rates.block.outputs.len()];
    // what one step adds to the adjoints of carried values; the sum over the steps is compensated
    let mut carried_step = Array::<f32>::new(comptime![n_carried.max(1)]);
    #[unroll]
    for c in 0..n_carried {
        carried_step[c] = 0.0f32;
    }
    // what the stages are evaluated at, and their slopes, [stage][state]
    let mut stages = Array::<f32>::new(comptime![4 * n]);
    let mut slopes = Array::<f32>::new(comptime![4 * n]);
    let mut stage = Array::<f32>::new(n);
    #[unroll]
    for s in 0..n {
        stage[s] = x[s];
    }
    #[unroll(options.unroll_stages)]
    for k in 0..4usize {
        let node = select(k == 0usize, 0.0f32, select(k == 3usize, 1.0f32, 0.5f32));
        let reach = select(k == 2usize, h, 0.5f32 * h);
        let slope = evaluate(
            &stage,
            slots,
            carried,
            inputs,
            time + node * h,
            tad + node * h,
            comptime![rates.block.clone()],
        );
        #[unroll]
        for s in 0..n {
            stages[k * n + s] = stage[s];
            slopes[k * n + s] = slope[s];
            stage[s] = fma(reach, slope[s], x[s]);
        }
    }
    let mut total = Array::<f32>::new(n);
    let mut stage_bar = Array::<f32>::new(n);
    let mut slope_bar = Array::<f32>::new(n);
    let mut stage_clock = Array::<f32>::new(2usize);
    let mut h_bar = clock[0] + clock[1];
    #[unroll]
    for s in 0..n {
        total[s] = extra[s];
        stage_bar[s] = 0.0f32;
    }
    #[unroll(options.unroll_stages)]
    for back in 0..4usize {
        let k = 3usize - back;
        let node = select(k == 0usize, 0.0f32, select(k == 3usize, 1.0f32, 0.5f32));
        // of the stage after this one
        let reach = select(k == 3usize, 0.0f32, select(k == 2usize, 1.0f32, 0.5f32));
        let outer = k == 0usize || k == 3usize;
        let weight = select(outer, 1.0f32 / 6.0f32, 1.0f32 / 3.0f32);
        #[unroll]
        for s in 0..n {
            let per_step = fma(weight, bar[s], reach * stage_bar[s]);
            h_bar = fma(per_step, slopes[k * n + s], h_bar);
            slope_bar[s] = h * per_step;
            stage[s] = stages[k * n + s];
        }
        #[unroll]
        for s in 0..n {
            stage_bar[s] = 0.0f32;
        }
        stage_clock[0] = 0.0f32;
        stage_clock[1] = 0.0f32;
        let v = values(
            &stage,
            slots,
            carried,
            inputs,
            time + node * h,
            tad + node * h,
            comptime![rates.block.clone()],
        );
        reverse(
            &v,
            &slope_bar,
            &mut stage_bar,
            slot_bar,
            &mut carried_step,
            input_bar,
            &mut stage_clock,
            comptime![rates.clone()],
        );
        #[unroll]
        for s in 0..n {
            total[s] += stage_bar[s];
        }
        h_bar = fma(node, stage_clock[0] + stage_clock[1], h_bar);
        clock[0] += stage_clock[0];
        clock[1] += stage_clock[1];
    }
    #[unroll]
    for s in 0..n {
        let added = total[s] - bar_lost[s];
        let sum = guarded_sum(bar[s], added, zero, comptime![options.guard_compensation]);
        let gone = f32::abs(sum) < VANISHING;
        bar_lost[s] = select(gone, 0.0f32, (sum - bar[s]) - added);
        bar[s] = select(gone, 0.0f32, sum);
    }
    #[unroll]
    for c in 0..n_carried {
        let added = carried_step[c] - carried_lost[c];
        let sum = guarded_sum(
            carried_bar[c],
            added,
            zero,
            comptime![options.guard_compensation],
        );
        carried_lost[c] = (sum - carried_bar[c]) - added;
        carried_bar[c] = sum;
    }
    h_bar
}

/// Take every patient back through the stretch between two contexts.
///
/// | buffer | shape |
/// |---|---|
/// | `values` … `actions`, `tape` | as in [`super::trace::trace`] |
/// | `from`, `to` | contexts at the start of the stretch and at its end |
/// | `end` | context at the end of the run, which knows the look that decided each summary |
/// | `seeds` | `[n_states + accumulators][n]`, then `[outputs][record_total]`: adjoints of the results |
/// | `gradient` | see [`gradient_rows`] |
/// | `regimen` | `[row_count + action_count][n]` adjoints of the rows' durations and of the actions' values; one word where not wanted |
///
/// With `fresh` = 1 the stretch is the last one, and the gradient begins.
#[cube(launch_unchecked)]
pub fn backward(
    value_rows: &[f32],
    keys: &[u32],
    offsets: &[u32],
    rows: &[u32],
    actions: &[u32],
    tape: &[f32],
    from: &[u32],
    to: &[u32],
    end: &[u32],
    seeds: &[f32],
    gradient: &mut [f32],
    regimen: &mut [f32],
    n: u32,
    record_stride: u32,
    record_total: u32,
    row_count: u32,
    zero: u32,
    fresh: u32,
    #[comptime] plan: Arc<AdjointPlan>,
    #[comptime] n_scales: usize,
    #[comptime] wants_regimen: bool,
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
    let n_records = comptime![plan.plan.program.record.outputs.len()];
    let n_monitor = comptime![plan.plan.program.monitor.outputs.len()];
    let width = comptime![plan.width()];
    let timed = comptime![plan.plan.program.needs_time];
    let looks = comptime![plan.looks()];
    let varying = comptime![plan.plan.program.varying];
    let at = comptime![first_rows(&plan)];
    let g = comptime![gradient_rows(&plan, n_scales)];

    let mut slots = Array::<f32>::new(comptime![n_slots.max(1)]);
    let mut carried = Array::<f32>::new(comptime![n_carried.max(1)]);
    let mut inputs = Array::<f32>::new(comptime![n_inputs.max(1)]);
    let mut x = Array::<f32>::new(n_all);
    let mut after = Array::<f32>::new(n_all);
    // states of a block, [step][state]
    let mut path = Array::<f32>::new(comptime![BLOCK as usize * n_all]);
    let mut bar = Array::<f32>::new(n_all);
    let mut bar_lost = Array::<f32>::new(n_all);
    let mut extra = Array::<f32>::new(n_all);
    let mut slot_bar = Array::<f32>::new(comptime![n_slots.max(1)]);
    let mut carried_bar = Array::<f32>::new(comptime![n_carried.max(1)]);
    let mut carried_lost = Array::<f32>::new(comptime![n_carried.max(1)]);
    let mut input_bar = Array::<f32>::new(comptime![n_inputs.max(1)]);
    let mut acc_bar = Array::<f32>::new(comptime![n_acc.max(1)]);
    let mut decided = Array::<u32>::new(comptime![n_acc.max(1)]);
    let mut clock = Array::<f32>::new(2usize);
    let mut clock_before = Array::<f32>::new(2usize);
    let mut start = Array::<u32>::new(comptime![PLACE]);
    let mut place = Array::<u32>::new(comptime![PLACE]);
    let mut start_bar = Array::<f32>::new(n_states);
    let mut h_sum = 0.0f32;

    #[unroll]
    for k in 0..comptime![PLACE] {
        start[k] = from[(comptime![at[8]] + k) * n + i];
        place[k] = to[(comptime![at[8]] + k) * n + i];
    }
    #[unroll]
    for k in 0..n_acc {
        decided[k] = end[(comptime![at[4]] + k) * n + i];
    }
    #[unroll]
    for s in 0..n_slots {
        slots[s] = f32::reinterpret(to[(comptime![at[5]] + s) * n + i]);
    }
    #[unroll]
    for s in 0..n_inputs {
        inputs[s] = f32::reinterpret(to[(comptime![at[6]] + s) * n + i]);
    }
    #[unroll]
    for c in 0..n_carried {
        carried_bar[c] = 0.0f32;
        carried_lost[c] = 0.0f32;
    }
    clock_before[0] = 0.0f32;
    clock_before[1] = 0.0f32;
    if fresh == 1u32 {
        #[unroll]
        for s in 0..n_slots {
            slot_bar[s] = 0.0f32;
        }
        #[unroll]
        for s in 0..n_inputs {
            input_bar[s] = 0.0f32;
        }
        #[unroll]
        for s in 0..n_all {
            bar[s] = 0.0f32;
            bar_lost[s] = 0.0f32;
        }
        #[unroll]
        for s in 0..n_states {
            bar[s] = seeds[s * n + i];
            start_bar[s] = 0.0f32;
        }
        #[unroll]
        for k in 0..n_acc {
            acc_bar[k] = seeds[(n_states + k) * n + i];
            let integral = comptime![match plan.plan.program.accumulators[k] {
                Accumulator::Integral(j) => Some(n_states + j as usize),
                _ => None,
            }];
            if comptime![integral.is_some()] {
                bar[comptime![integral.unwrap_or(0)]] += acc_bar[k];
            }
        }
        #[unroll]
        for k in 0..n_scales {
            gradient[(comptime![g[1]] + k) * n + i] = 0.0f32;
        }
        clock[0] = 0.0f32;
        clock[1] = 0.0f32;
    } else {
        #[unroll]
        for s in 0..n_slots {
            slot_bar[s] = gradient[s * n + i];
        }
        #[unroll]
        for s in 0..n_states {
            start_bar[s] = gradient[(comptime![g[2]] + s) * n + i];
        }
        #[unroll]
        for s in 0..n_all {
            bar[s] = gradient[(comptime![g[3]] + s) * n + i];
            bar_lost[s] = gradient[(comptime![g[4]] + s) * n + i];
        }
        #[unroll]
        for s in 0..n_inputs {
            input_bar[s] = gradient[(comptime![g[5]] + s) * n + i];
        }
        #[unroll]
        for k in 0..n_acc {
            acc_bar[k] = gradient[(comptime![g[6]] + k) * n + i];
        }
        clock[0] = gradient[comptime![g[7]] * n + i];
        clock[1] = gradient[comptime![g[7] + 1] * n + i];
        h_sum = gradient[comptime![g[7] + 2] * n + i];
    }

    let timeline = keys[i] as usize;
    let first_row = offsets[timeline];
    let end_row = offsets[timeline + 1];
    let mut row = place[0];
    let mut action = place[1];
    let mut position = place[2];
    let mut record_at = place[3];
    let mut number = place[4];
    let mut entries = place[5];
    let mut walking =
        end_row > first_row && (row > start[0] || action > start[1] || position > start[2]);
    if walking && position == 0u32 && row > start[0] {
        // the end of a row is the start of the next
        let here = select(row < end_row, row, row - 1u32);
        let first_action = select(
            row < end_row,
            rows[(here * ROW_WORDS) as usize],
            rows[(here * ROW_WORDS + 1u32) as usize],
        );
        if action == first_action {
            row -= 1u32;
            position = rows[(row * ROW_WORDS + 2u32) as usize] + 1u32;
        }
    }
    let mut stale = true;
    let mut flush = false;
    while walking {
        let word = (row * ROW_WORDS) as usize;
        let first_action = rows[word];
        let steps = rows[word + 2];
        let h = f32::reinterpret(rows[word + 3]);
        let in_start = row == start[0];
        let lowest = select(in_start, start[2], 0u32);
        let lowest_action = select(in_start, start[1], first_action);

        if stale {
            let new = evaluate(
                &x,
                &slots,
                &slots,
                &inputs,
                0.0f32,
                0.0f32,
                comptime![plan.plan.setup()],
            );
            #[unroll]
            for c in 0..n_carried {
                carried[c] = new[c];
            }
            stale = false;
        }

        if position > 1u32 && position > lowest {
            while {
                // steps of the row before this place, and where their last block begins
                let taken = position - 1u32;
                let count = taken - (taken - 1u32) / BLOCK * BLOCK;
                entries -= 1u32;
                #[unroll]
                for s in 0..n_all {
                    after[s] = tape[(entries as usize * width + s) * n + i];
                }
                let mut first_time = 0.0f32;
                let mut first_tad = 0.0f32;
                if comptime![timed] {
                    first_time = tape[(entries as usize * width + n_all) * n + i];
                    first_tad = tape[(entries as usize * width + n_all + 1) * n + i];
                }
                // the block once more: its states, and the last one's successor where it is looked at
                let mut j = 0u32;
                let ends = comptime![if looks { 0u32 } else { 1u32 }];
                while {
                    #[unroll]
                    for s in 0..n_all {
                        x[s] = after[s];
                        #[unroll]
                        for k in 0..comptime![BLOCK as usize] {
                            let at = comptime![k * n_all] + s;
                            path[at] = select(j == comptime![k as u32], x[s], path[at]);
                        }
                    }
                    j += 1u32;
                    if j + ends <= count {
                        let gone = f32::cast_from(j - 1u32) * h;
                        forward(
                            &x,
                            &mut after,
                            &slots,
                            &carried,
                            &inputs,
                            first_time + gone,
                            first_tad + gone,
                            h,
                            comptime![plan.rates.clone()],
                            options,
                        );
                    }
                    j < count
                } {}
                while {
                    j -= 1u32;
                    position -= 1u32;
                    #[unroll]
                    for s in 0..n_all {
                        let mut here = path[s];
                        #[unroll]
                        for k in 1..comptime![BLOCK as usize] {
                            here = select(
                                j == comptime![k as u32],
                                path[comptime![k * n_all] + s],
                                here,
                            );
                        }
                        x[s] = here;
                        extra[s] = 0.0f32;
                    }
                    let gone = f32::cast_from(j) * h;
                    let time = first_time + gone;
                    let tad = first_tad + gone;
                    if comptime![looks] {
                        number -= 1u32;
                        h_sum += look_back(
                            &x,
                            &after,
                            &slots,
                            &carried,
                            &inputs,
                            time,
                            tad,
                            h,
                            number,
                            &acc_bar,
                            &decided,
                            &mut extra,
                            &mut bar,
                            &mut slot_bar,
                            &mut carried_bar,
                            &mut input_bar,
                            &mut clock,
                            &mut clock_before,
                            comptime![plan.clone()],
                        );
                    }
                    h_sum += step_back(
                        &x,
                        &slots,
                        &carried,
                        &inputs,
                        time,
                        tad,
                        h,
                        zero,
                        &mut bar,
                        &mut bar_lost,
                        &extra,
                        &mut slot_bar,
                        &mut carried_bar,
                        &mut carried_lost,
                        &mut input_bar,
                        &mut clock,
                        comptime![plan.rates.clone()],
                        n_carried,
                        options,
                    );
                    clock[0] += clock_before[0];
                    clock[1] += clock_before[1];
                    clock_before[0] = 0.0f32;
                    clock_before[1] = 0.0f32;
                    #[unroll]
                    for s in 0..n_all {
                        after[s] = x[s];
                    }
                    j > 0u32
                } {}
                position > 1u32 && position > lowest
            } {}
        }

        if position == 1u32 && lowest == 0u32 {
            position = 0u32;
            if comptime![looks] {
                entries -= 1u32;
                number -= 1u32;
                #[unroll]
                for s in 0..n_all {
                    x[s] = tape[(entries as usize * width + s) * n + i];
                    extra[s] = 0.0f32;
                }
                let mut time = 0.0f32;
                let mut tad = 0.0f32;
                if comptime![timed] {
                    time = tape[(entries as usize * width + n_all) * n + i];
                    tad = tape[(entries as usize * width + n_all + 1) * n + i];
                }
                look_back(
                    &x,
                    &x,
                    &slots,
                    &carried,
                    &inputs,
                    time,
                    tad,
                    0.0f32,
                    number,
                    &acc_bar,
                    &decided,
                    &mut extra,
                    &mut bar,
                    &mut slot_bar,
                    &mut carried_bar,
                    &mut input_bar,
                    &mut clock,
                    &mut clock_before,
                    comptime![plan.clone()],
                );
                clock_before[0] = 0.0f32;
                clock_before[1] = 0.0f32;
            }
            if comptime![wants_regimen] {
                let share = h_sum / f32::max(f32::cast_from(steps), 1.0f32);
                regimen[(row - first_row) as usize * n + i] += share;
            }
            h_sum = 0.0f32;
        }

        if position == 0u32 && action > lowest_action {
            while {
                action -= 1u32;
                let base = (action * ACTION_WORDS) as usize;
                let kind = actions[base];
                let index = actions[base + 1];
                let scale = actions[base + 3];
                let value = f32::reinterpret(actions[base + 2]);
                let mut factor = 1.0f32;
                if scale != NO_SCALE {
                    factor = value_rows[(comptime![n_slots as u32] + scale) as usize * n + i];
                }
                let mut given = 0.0f32;
                if kind == code::RESET {
                    #[unroll]
                    for s in 0..n_inputs {
                        let place = comptime![(n_inputs - s) as u32];
                        inputs[s] = tape[((entries - place) as usize * width) * n + i];
                        input_bar[s] = 0.0f32;
                    }
                    entries -= comptime![n_inputs as u32];
                    let mut first_bar = Array::<f32>::new(n_states);
                    #[unroll]
                    for s in 0..n_states {
                        first_bar[s] = bar[s];
                        start_bar[s] += bar[s];
                        bar[s] = 0.0f32;
                        extra[s] = 0.0f32;
                    }
                    #[unroll]
                    for s in 0..n_all {
                        bar_lost[s] = 0.0f32;
                    }
                    let v = values(
                        &x,
                        &slots,
                        &carried,
                        &inputs,
                        0.0f32,
                        0.0f32,
                        comptime![plan.plan.init()],
                    );
                    reverse(
                        &v,
                        &first_bar,
                        &mut extra,
                        &mut slot_bar,
                        &mut carried_bar,
                        &mut input_bar,
                        &mut clock_before,
                        comptime![plan.init.clone()],
                    );
                    clock_before[0] = 0.0f32;
                    clock_before[1] = 0.0f32;
                } else if kind == code::BOLUS {
                    #[unroll]
                    for s in 0..n_states {
                        given = select(index == comptime![s as u32], bar[s], given);
                    }
                } else if kind == code::SET_RATE || kind == code::ADD_RATE {
                    entries -= 1u32;
                    let old = tape[(entries as usize * width) * n + i];
                    let kept = select(kind == code::SET_RATE, 0.0f32, 1.0f32);
                    #[unroll]
                    for s in 0..n_inputs {
                        let here = index == comptime![s as u32];
                        given = select(here, input_bar[s], given);
                        input_bar[s] = select(here, kept * input_bar[s], input_bar[s]);
                        inputs[s] = select(here, old, inputs[s]);
                    }
                } else if kind == code::SET_SLOT {
                    if comptime![varying] {
                        flush = true;
                    }
                } else if kind == code::DOSE {
                    clock[1] = 0.0f32;
                } else if kind == code::CLOCK {
                    clock[0] = 0.0f32;
                } else if kind == code::RECORD || kind == code::LATCH {
                    entries -= 1u32;
                    #[unroll]
                    for s in 0..n_all {
                        x[s] = tape[(entries as usize * width + s) * n + i];
                    }
                    let mut time = 0.0f32;
                    let mut tad = 0.0f32;
                    if comptime![timed] {
                        time = tape[(entries as usize * width + n_all) * n + i];
                        tad = tape[(entries as usize * width + n_all + 1) * n + i];
                    }
                    if kind == code::RECORD {
                        record_at -= record_stride;
                        if comptime![n_records > 0] {
                            let mut record_bar = Array::<f32>::new(n_records);
                            #[unroll]
                            for k in 0..n_records {
                                record_bar[k] = seeds[comptime![n_states + n_acc] * n
                                    + k * record_total as usize
                                    + record_at as usize];
                            }
                            let v = values(
                                &x,
                                &slots,
                                &carried,
                                &inputs,
                                time,
                                tad,
                                comptime![plan.plan.record()],
                            );
                            reverse(
                                &v,
                                &record_bar,
                                &mut bar,
                                &mut slot_bar,
                                &mut carried_bar,
                                &mut input_bar,
                                &mut clock,
                                comptime![plan.record.clone()],
                            );
                        }
                    } else {
                        if comptime![n_monitor > 0] {
                            let mut latch_bar = Array::<f32>::new(n_monitor);
                            #[unroll]
                            for o in 0..n_monitor {
                                latch_bar[o] = 0.0f32;
                            }
                            #[unroll]
                            for k in 0..n_acc {
                                let output = comptime![match plan.plan.program.accumulators[k] {
                                    Accumulator::Latch(o) => Some(o as usize),
                                    _ => None,
                                }];
                                if comptime![output.is_some()] {
                                    let here = index == comptime![k as u32];
                                    latch_bar[comptime![output.unwrap_or(0)]] +=
                                        select(here, acc_bar[k], 0.0f32);
                                    // a later latch has overwritten the earlier ones
                                    acc_bar[k] = select(here, 0.0f32, acc_bar[k]);
                                }
                            }
                            let v = values(
                                &x,
                                &slots,
                                &carried,
                                &inputs,
                                time,
                                tad,
                                comptime![plan.plan.monitor()],
                            );
                            reverse(
                                &v,
                                &latch_bar,
                                &mut bar,
                                &mut slot_bar,
                                &mut carried_bar,
                                &mut input_bar,
                                &mut clock,
                                comptime![plan.monitor.clone()],
                            );
                        }
                    }
                }
                if comptime![varying] {
                    if flush {
                        // what has gathered belongs to the values that this action set
                        #[unroll]
                        for c in 0..n_carried {
                            carried_lost[c] = 0.0f32;
                        }
                        through_setup(
                            &slots,
                            &mut slot_bar,
                            &mut carried_bar,
                            &x,
                            &inputs,
                            plan.clone(),
                        );
                        entries -= 1u32;
                        let old = tape[(entries as usize * width) * n + i];
                        #[unroll]
                        for s in 0..n_slots {
                            let here = index == comptime![s as u32];
                            given = select(here, slot_bar[s], given);
                            slot_bar[s] = select(here, 0.0f32, slot_bar[s]);
                            slots[s] = select(here, old, slots[s]);
                        }
                        let new = evaluate(
                            &x,
                            &slots,
                            &slots,
                            &inputs,
                            0.0f32,
                            0.0f32,
                            comptime![plan.plan.setup()],
                        );
                        #[unroll]
                        for c in 0..n_carried {
                            carried[c] = new[c];
                        }
                        flush = false;
                    }
                }
                if scale != NO_SCALE {
                    gradient[(comptime![g[1] as u32] + scale) as usize * n + i] += given * value;
                }
                if comptime![wants_regimen] {
                    let first_of_all = rows[(first_row * ROW_WORDS) as usize];
                    regimen[(row_count + action - first_of_all) as usize * n + i] += given * factor;
                }
                position == 0u32 && action > lowest_action
            } {}
        }

        if position <= lowest && action <= lowest_action {
            if row > start[0] {
                row -= 1u32;
                position = rows[(row * ROW_WORDS + 2u32) as usize] + 1u32;
                action = rows[(row * ROW_WORDS + 1u32) as usize];
            } else {
                walking = false;
            }
        }
    }

    through_setup(
        &slots,
        &mut slot_bar,
        &mut carried_bar,
        &x,
        &inputs,
        plan.clone(),
    );
    #[unroll]
    for s in 0..n_slots {
        gradient[s * n + i] = slot_bar[s];
    }
    #[unroll]
    for s in 0..n_states {
        gradient[(comptime![g[2]] + s) * n + i] = start_bar[s];
    }
    #[unroll]
    for s in 0..n_all {
        gradient[(comptime![g[3]] + s) * n + i] = bar[s];
        gradient[(comptime![g[4]] + s) * n + i] = bar_lost[s];
    }
    #[unroll]
    for s in 0..n_inputs {
        gradient[(comptime![g[5]] + s) * n + i] = input_bar[s];
    }
    #[unroll]
    for k in 0..n_acc {
        gradient[(comptime![g[6]] + k) * n + i] = acc_bar[k];
    }
    gradient[comptime![g[7]] * n + i] = clock[0];
    gradient[comptime![g[7] + 1] * n + i] = clock[1];
    gradient[comptime![g[7] + 2] * n + i] = h_sum;
}

/// Pass the adjoints of carried values on to the slots they were made of.
#[cube]
fn through_setup(
    slots: &Array<f32>,
    slot_bar: &mut Array<f32>,
    carried_bar: &mut Array<f32>,
    x: &Array<f32>,
    inputs: &Array<f32>,
    #[comptime] plan: Arc<AdjointPlan>,
) {
    let n_carried = comptime![plan.plan.program.setup.outputs.len()];
    if comptime![n_carried > 0] {
        let v = values(
            x,
            slots,
            slots,
            inputs,
            0.0f32,
            0.0f32,
            comptime![plan.plan.setup()],
        );
        // a setup block reads slots only
        let mut none = Array::<f32>::new(1usize);
        let mut more = Array::<f32>::new(1usize);
        let mut nothing = Array::<f32>::new(1usize);
        let mut clock = Array::<f32>::new(2usize);
        let mut seeds = Array::<f32>::new(n_carried);
        #[unroll]
        for c in 0..n_carried {
            seeds[c] = carried_bar[c];
        }
        reverse(
            &v,
            &seeds,
            &mut none,
            slot_bar,
            &mut more,
            &mut nothing,
            &mut clock,
            comptime![plan.setup.clone()],
        );
        #[unroll]
        for c in 0..n_carried {
            carried_bar[c] = 0.0f32;
        }
    }
}

/// The state after one step, uncompensated: where a summary was looked at.
#[cube]
fn forward(
    x: &Array<f32>,
    after: &mut Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    h: f32,
    #[comptime] rates: Arc<Reverse>,
    #[comptime] options: Rk4Options,
) {
    let n = comptime![rates.block.outputs.len()];
    let mut stage = Array::<f32>::new(n);
    #[unroll]
    for s in 0..n {
        stage[s] = x[s];
        after[s] = x[s];
    }
    #[unroll(options.unroll_stages)]
    for k in 0..4usize {
        let node = select(k == 0usize, 0.0f32, select(k == 3usize, 1.0f32, 0.5f32));
        let reach = select(k == 2usize, h, 0.5f32 * h);
        let outer = k == 0usize || k == 3usize;
        let weight = h * select(outer, 1.0f32 / 6.0f32, 1.0f32 / 3.0f32);
        let slope = evaluate(
            &stage,
            slots,
            carried,
            inputs,
            time + node * h,
            tad + node * h,
            comptime![rates.block.clone()],
        );
        #[unroll]
        for s in 0..n {
            after[s] = fma(weight, slope[s], after[s]);
            stage[s] = fma(reach, slope[s], x[s]);
        }
    }
}
