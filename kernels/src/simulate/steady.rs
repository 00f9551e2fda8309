//! The search for a periodic steady state: one look at the end of every cycle.
//!
//! Repeating a cycle until nothing changes stops too early where kinetics are slow: if every cycle
//! takes a share of 1 % off the distance, a change of 1e-6 leaves 1e-4 to go. So the distance is
//! estimated from the ratio of successive changes, and where one mode of decay dominates, the
//! state moves to the limit of the geometric series (Aitken 1926) and the search goes on there.

use std::sync::Arc;

use cubecl::prelude::*;

use super::plan::Plan;

/// Estimated relative distance to the steady state at which the search ends.
const TOLERANCE: f32 = 1e-6;
/// Relative change in a cycle that is rounding.
const ROUNDING: f32 = 1e-8;

/// Values that the search keeps: per integrated value its last end of a cycle, what that had lost,
/// and the last change; then the ratio of changes.
pub(crate) fn memory(plan: &Plan) -> usize {
    3 * plan.program.n_integrated() + 1
}

/// Look at the state `x` (and what its sums have lost) after pass number `passes`, counted from 1.
/// Returns whether it is steady; otherwise `x` may be moved ahead.
#[cube]
pub fn settle(
    x: &mut Array<f32>,
    lost: &mut Array<f32>,
    memory: &mut Array<f32>,
    passes: u32,
    #[comptime] plan: Arc<Plan>,
) -> bool {
    let n = comptime![plan.program.n_states];
    let all = comptime![plan.program.n_integrated()];
    let again = passes > 1u32;
    let mut change = Array::<f32>::new(n);
    let mut along = 0.0f32;
    let mut before = 0.0f32;
    #[unroll]
    for s in 0..n {
        // the sums' compensation counts: it holds what is below an ulp of the state
        let moved = (x[s] - memory[s]) - (lost[s] - memory[comptime![all + s]]);
        change[s] = select(again, moved, 0.0f32);
        let size = f32::abs(x[s]);
        let unit = select(size > 0.0f32, 1.0f32 / size, 0.0f32);
        let then = memory[comptime![2 * all + s]] * unit;
        along += change[s] * unit * then;
        before += then * then;
    }
    let ratio = along / f32::max(before, f32::MIN_POSITIVE);
    // does one mode dominate, so that every state changes by the same ratio?
    let mut off = 0.0f32;
    let mut size = 0.0f32;
    #[unroll]
    for s in 0..n {
        let scale = f32::abs(x[s]);
        let unit = select(scale > 0.0f32, 1.0f32 / scale, 0.0f32);
        let now = change[s] * unit;
        let gap = now - ratio * memory[comptime![2 * all + s]] * unit;
        off += gap * gap;
        size += now * now;
    }
    let room = 1.0f32 - ratio;
    let single = before > 0.0f32
        && ratio > 0.0f32
        && ratio < 0.999_99f32
        && off <= 0.01f32 * room * room * size;
    let known = select(single, ratio, memory[comptime![3 * all]]);
    memory[comptime![3 * all]] = known;
    let reach = f32::max(known / (1.0f32 - known), 1.0f32);
    let mut steady = again;
    #[unroll]
    for s in 0..n {
        let moved = f32::abs(change[s]);
        let here = f32::abs(x[s]);
        steady = steady && (moved * reach <= TOLERANCE * here || moved <= ROUNDING * here);
    }
    let gain = ratio / room;
    let mut ahead = single && !steady;
    #[unroll]
    for s in 0..n {
        let signed = comptime![plan.program.signed[s]];
        if comptime![!signed] {
            ahead = ahead && x[s] + gain * change[s] >= 0.0f32;
        }
    }
    #[unroll]
    for s in 0..n {
        if ahead {
            x[s] += gain * change[s];
            lost[s] = 0.0f32;
        }
        memory[s] = x[s];
        memory[comptime![all + s]] = lost[s];
        memory[comptime![2 * all + s]] = select(ahead, 0.0f32, change[s]);
    }
    steady
}
