//! Policies without a network: a rule over what each lane has in its slots, and chance.

use std::sync::Arc;

use cubecl::prelude::*;

use super::plan::{DecisionPlan, Rule, SCALARS};
use crate::evaluate::evaluate;
use crate::random::philox4x32_10;

/// Actions at decision `t`, `[factors][steps][n]`: the allowed level nearest to what the rule
/// asks for (the lower one of two), or the fraction of the largest dose.
#[cube(launch_unchecked)]
pub fn follow(
    context: &[u32],
    mask: &[u32],
    action: &mut [f32],
    n: u32,
    steps: u32,
    t: u32,
    #[comptime] rule: Rule,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let n_all = comptime![rule.plan.plan.program.n_integrated()];
    let n_slots = comptime![rule.plan.plan.program.n_slots];
    let mut x = Array::<f32>::new(n_all);
    let mut slots = Array::<f32>::new(comptime![n_slots.max(1)]);
    let mut inputs = Array::<f32>::new(1usize);
    inputs[0] = 0.0f32;
    #[unroll]
    for s in 0..n_all {
        x[s] = f32::reinterpret(context[s * lanes + i]);
    }
    #[unroll]
    for s in 0..n_slots {
        slots[s] = f32::reinterpret(context[(2 * n_all + s) * lanes + i]);
    }
    let scalars_at = comptime![2 * n_all + n_slots];
    let time = f32::reinterpret(context[(scalars_at + 3) * lanes + i]);
    let tad = f32::reinterpret(context[(scalars_at + comptime![SCALARS - 2]) * lanes + i]);
    let wanted = evaluate(
        &x,
        &slots,
        &slots,
        &inputs,
        time,
        tad,
        comptime![rule.block.clone()],
    );
    let all = steps as usize * lanes;
    let more = all + lanes;
    let now = t as usize * lanes + i;
    #[unroll]
    for f in 0..comptime![rule.plan.factors.len()] {
        let factor = comptime![rule.plan.factors[f].clone()];
        let mut chosen = 0.0f32;
        if comptime![factor.levels.is_empty()] {
            let share = comptime![1.0 / f64::from_bits(factor.largest)] as f32;
            chosen = f32::min(f32::max(wanted[f] * share, 0.0f32), 1.0f32);
        } else {
            let allowed = mask[f * more + now];
            let mut nearest = f32::MAX.runtime();
            #[unroll]
            for l in 0..comptime![factor.levels.len()] {
                let level = comptime![f64::from_bits(factor.levels[l]) as f32];
                let distance = f32::abs(wanted[f] - level);
                let bit = (allowed >> comptime![l as u32]) & 1u32;
                let better = bit == 1u32 && distance < nearest;
                chosen = select(better, comptime![l as f32].runtime(), chosen);
                nearest = select(better, distance, nearest);
            }
        }
        action[f * all + now] = chosen;
    }
}

/// Philox stream of random actions.
pub const STREAM_WANDER: u32 = 9;

/// Actions at decision `t` drawn uniformly: among the allowed levels, or from 0..1.
#[cube(launch_unchecked)]
pub fn wander(
    mask: &[u32],
    action: &mut [f32],
    n: u32,
    steps: u32,
    t: u32,
    number: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<DecisionPlan>,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let all = steps as usize * lanes;
    let more = all + lanes;
    let now = t as usize * lanes + i;
    #[unroll]
    for f in 0..comptime![plan.factors.len()] {
        let mut words = Array::<u32>::new(4usize);
        words[0] = i as u32;
        words[1] = number;
        words[2] = comptime![STREAM_WANDER].runtime();
        words[3] = comptime![f as u32].runtime();
        philox4x32_10(&mut words, seed_lo, seed_hi);
        let u = f32::cast_from(words[0] >> 8u32) * (1.0f32 / 16_777_216.0f32);
        let levels = comptime![plan.factors[f].levels.len()];
        let mut chosen = u;
        if comptime![levels > 0] {
            let allowed = mask[f * more + now];
            let mut count = 0.0f32;
            #[unroll]
            for l in 0..levels {
                count += f32::cast_from((allowed >> comptime![l as u32]) & 1u32);
            }
            // the level at which this many allowed ones have been passed
            let wanted = f32::floor(u * count);
            let mut passed = 0.0f32;
            chosen = 0.0f32;
            #[unroll]
            for l in 0..levels {
                let bit = f32::cast_from((allowed >> comptime![l as u32]) & 1u32);
                let here = bit > 0.0f32 && passed == wanted;
                chosen = select(here, comptime![l as f32].runtime(), chosen);
                passed += bit;
            }
        }
        action[f * all + now] = chosen;
    }
}
