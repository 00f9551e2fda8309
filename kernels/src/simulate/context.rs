//! What a patient takes from one launch into the next.

use std::sync::Arc;

use cubecl::prelude::*;

use super::plan::Plan;
use super::steady::memory;

/// Scalars kept per patient: time, what its sum lost, time after dose, row, steps left in the row,
/// passes of the group, next record, records so far, what the sum of time after dose lost.
pub(crate) const SCALARS: usize = 9;

/// Rows of the context buffer, `[rows][n]`.
pub(crate) fn context_rows(plan: &Plan, steady_state: bool) -> usize {
    let program = &plan.program;
    let steady = if steady_state {
        program.n_integrated() + memory(plan)
    } else {
        0
    };
    2 * program.n_integrated()
        + program.accumulators.len()
        + plan.margin_count()
        + program.n_slots
        + program.n_inputs
        + steady
        + SCALARS
}

#[cube]
fn put(
    context: &mut [u32],
    values: &Array<f32>,
    #[comptime] first: usize,
    #[comptime] len: usize,
    n: usize,
    i: usize,
) {
    #[unroll]
    for s in 0..len {
        context[(first + s) * n + i] = u32::reinterpret(values[s]);
    }
}

#[cube]
fn get(
    context: &mut [u32],
    values: &mut Array<f32>,
    #[comptime] first: usize,
    #[comptime] len: usize,
    n: usize,
    i: usize,
) {
    #[unroll]
    for s in 0..len {
        values[s] = f32::reinterpret(context[(first + s) * n + i]);
    }
}

/// First row of each part: states, lost, accumulators, margins, slots, inputs, aside, cycle, scalars.
fn layout(plan: &Plan, steady_state: bool) -> [usize; 10] {
    let program = &plan.program;
    let (all, acc) = (program.n_integrated(), program.accumulators.len());
    let (aside, cycle) = if steady_state {
        (all, memory(plan))
    } else {
        (0, 0)
    };
    let margins = plan.margin_count();
    let lengths = [
        all,
        all,
        acc,
        margins,
        program.n_slots,
        program.n_inputs,
        aside,
        cycle,
        SCALARS,
    ];
    let mut first = [0; 10];
    for (k, length) in lengths.into_iter().enumerate() {
        first[k + 1] = first[k] + length;
    }
    first
}

/// Store patient `i`.
#[cube]
pub fn store(
    context: &mut [u32],
    x: &Array<f32>,
    lost: &Array<f32>,
    acc: &Array<f32>,
    margin: &Array<f32>,
    slots: &Array<f32>,
    inputs: &Array<f32>,
    aside: &Array<f32>,
    cycle: &Array<f32>,
    scalars: &Array<u32>,
    n: usize,
    i: usize,
    #[comptime] plan: Arc<Plan>,
    #[comptime] steady_state: bool,
) {
    let at = comptime![layout(&plan, steady_state)];
    put(context, x, comptime![at[0]], comptime![at[1] - at[0]], n, i);
    put(
        context,
        lost,
        comptime![at[1]],
        comptime![at[2] - at[1]],
        n,
        i,
    );
    put(
        context,
        acc,
        comptime![at[2]],
        comptime![at[3] - at[2]],
        n,
        i,
    );
    put(
        context,
        margin,
        comptime![at[3]],
        comptime![at[4] - at[3]],
        n,
        i,
    );
    put(
        context,
        slots,
        comptime![at[4]],
        comptime![at[5] - at[4]],
        n,
        i,
    );
    put(
        context,
        inputs,
        comptime![at[5]],
        comptime![at[6] - at[5]],
        n,
        i,
    );
    put(
        context,
        aside,
        comptime![at[6]],
        comptime![at[7] - at[6]],
        n,
        i,
    );
    put(
        context,
        cycle,
        comptime![at[7]],
        comptime![at[8] - at[7]],
        n,
        i,
    );
    #[unroll]
    for s in 0..SCALARS {
        context[(comptime![at[8]] + s) * n + i] = scalars[s];
    }
}

/// Load patient `i`; returns the scalars.
#[cube]
pub fn load(
    context: &mut [u32],
    x: &mut Array<f32>,
    lost: &mut Array<f32>,
    acc: &mut Array<f32>,
    margin: &mut Array<f32>,
    slots: &mut Array<f32>,
    inputs: &mut Array<f32>,
    aside: &mut Array<f32>,
    cycle: &mut Array<f32>,
    n: usize,
    i: usize,
    #[comptime] plan: Arc<Plan>,
    #[comptime] steady_state: bool,
) -> Array<u32> {
    let at = comptime![layout(&plan, steady_state)];
    get(context, x, comptime![at[0]], comptime![at[1] - at[0]], n, i);
    get(
        context,
        lost,
        comptime![at[1]],
        comptime![at[2] - at[1]],
        n,
        i,
    );
    get(
        context,
        acc,
        comptime![at[2]],
        comptime![at[3] - at[2]],
        n,
        i,
    );
    get(
        context,
        margin,
        comptime![at[3]],
        comptime![at[4] - at[3]],
        n,
        i,
    );
    get(
        context,
        slots,
        comptime![at[4]],
        comptime![at[5] - at[4]],
        n,
        i,
    );
    get(
        context,
        inputs,
        comptime![at[5]],
        comptime![at[6] - at[5]],
        n,
        i,
    );
    get(
        context,
        aside,
        comptime![at[6]],
        comptime![at[7] - at[6]],
        n,
        i,
    );
    get(
        context,
        cycle,
        comptime![at[7]],
        comptime![at[8] - at[7]],
        n,
        i,
    );
    let mut scalars = Array::<u32>::new(SCALARS);
    #[unroll]
    for s in 0..SCALARS {
        scalars[s] = context[(comptime![at[8]] + s) * n + i];
    }
    scalars
}
