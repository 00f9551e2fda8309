//! From a network's outputs: what the critics expect, and an action with its log-probability.

use cubecl::prelude::*;

use super::{Head, OutputLayout};
use crate::elementary::ln;
use crate::random::{normal_from_words, philox4x32_10};
use crate::update::squashed::{EDGE, log_density};

/// Philox stream of actions.
pub const STREAM_ACTIONS: u32 = 6;
/// Below every logit.
const LOWEST: f32 = -3.0e38;

/// One head among the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    head: Head,
    /// First row of the outputs.
    row: usize,
    /// Number of the head.
    number: u32,
}

/// Head `h` of a layout.
pub fn decision(outputs: &OutputLayout, h: usize) -> Decision {
    Decision {
        head: outputs.heads[h],
        row: outputs.head_row(h),
        number: h as u32,
    }
}

/// The action of a head and its log-probability, from `outputs[rows][n]` of `lane`. A mask without
/// a bit allows every level.
#[cube]
pub fn decide(
    outputs: &mut [f32],
    mask: u32,
    n: usize,
    lane: usize,
    number: u32,
    step: u32,
    deterministic: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] decision: Decision,
) -> Array<f32> {
    let mut words = Array::<u32>::new(4usize);
    words[0] = number;
    words[1] = step;
    words[2] = STREAM_ACTIONS;
    words[3] = comptime![decision.number].runtime();
    philox4x32_10(&mut words, seed_lo, seed_hi);
    let mut result = Array::<f32>::new(2usize);
    let row = comptime![decision.row];
    let levels = comptime![match decision.head {
        Head::Categorical { levels } => levels as usize,
        Head::Gaussian => 0,
    }];
    if comptime![levels > 0] {
        let open = select(mask == 0u32, 0xFFFF_FFFFu32, mask);
        let mut logits = Array::<f32>::new(levels);
        let mut largest = f32::new(LOWEST);
        let mut best = 0u32;
        #[unroll]
        for l in 0..levels {
            let allowed = ((open >> comptime![l as u32]) & 1u32) == 1u32;
            let logit = select(allowed, outputs[(row + l) * n + lane], LOWEST);
            best = select(logit > largest, comptime![l as u32], best);
            largest = f32::max(largest, logit);
            logits[l] = logit;
        }
        let mut sum = 0.0f32;
        #[unroll]
        for l in 0..levels {
            let allowed = ((open >> comptime![l as u32]) & 1u32) == 1u32;
            sum += select(allowed, f32::exp(logits[l] - largest), 0.0f32);
        }
        // 24 bits in [0, 1); where rounding keeps every partial sum below it, the mode is taken
        let target = f32::cast_from(words[0] >> 8u32) * (1.0f32 / 16_777_216.0f32) * sum;
        let mut chosen = best;
        let mut chosen_logit = largest;
        let mut found = deterministic == 1u32;
        let mut partial = 0.0f32;
        #[unroll]
        for l in 0..levels {
            let allowed = ((open >> comptime![l as u32]) & 1u32) == 1u32;
            partial += select(allowed, f32::exp(logits[l] - largest), 0.0f32);
            let here = allowed && !found && target < partial;
            chosen = select(here, comptime![l as u32], chosen);
            chosen_logit = select(here, logits[l], chosen_logit);
            found = found || here;
        }
        result[0] = f32::cast_from(chosen);
        result[1] = (chosen_logit - largest) - ln(sum);
    } else {
        let mean = outputs[row * n + lane];
        let given = outputs[(row + 1) * n + lane];
        let log_sd = f32::max(
            f32::min(given, comptime![Head::LOG_SD.1]),
            comptime![Head::LOG_SD.0],
        );
        let noise = select(
            deterministic == 1u32,
            0.0f32,
            normal_from_words(words[0], words[1]),
        );
        let drawn = mean + f32::exp(log_sd) * noise;
        let bounded = f32::max(f32::min(2.0f32 * drawn, 30.0f32), -30.0f32);
        let fraction = 1.0f32 / (1.0f32 + f32::exp(-bounded));
        let a = f32::max(f32::min(fraction, comptime![1.0 - EDGE]), EDGE);
        result[0] = a;
        result[1] = log_density(a, mean, log_sd);
    }
    result
}

/// What the critics expect: the value, then the mean of each cost's quantiles.
#[cube]
pub(super) fn expect(
    outputs: &mut [f32],
    value: &mut [f32],
    n: usize,
    more: usize,
    now: usize,
    lane: usize,
    #[comptime] layout: OutputLayout,
) {
    value[now + lane] = outputs[comptime![layout.value_row()] * n + lane];
    let quantiles = comptime![layout.quantiles];
    #[unroll]
    for k in 0..comptime![layout.costs] {
        let mut sum = 0.0f32;
        for q in 0..comptime![quantiles as u32] {
            let row = comptime![layout.quantile_row(k, 0)] + q as usize;
            sum += outputs[row * n + lane];
        }
        value[comptime![1 + k] * more + now + lane] = sum / comptime![quantiles as f32];
    }
}
