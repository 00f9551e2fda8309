//! Drawing an action of one head, with its log-probability.

use cubecl::prelude::*;

use super::{Head, OutputLayout};
use crate::elementary::ln;
use crate::random::{normal_from_words, philox4x32_10};

/// Philox stream of actions.
pub const STREAM_ACTIONS: u32 = 6;
/// A fraction stays this far from 0 and 1, so that its normal is finite.
pub const NEAREST: f32 = 1e-6;
/// ln(2 pi) / 2
const HALF_LN_TAU: f32 = 0.918_938_5;
/// ln 2
const LN_2: f32 = core::f32::consts::LN_2;
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

/// The action of a head and its log-probability, from `outputs[rows][n]` of `lane`.
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
        let mut logits = Array::<f32>::new(levels);
        let mut largest = f32::new(LOWEST);
        let mut best = 0u32;
        #[unroll]
        for l in 0..levels {
            let allowed = ((mask >> comptime![l as u32]) & 1u32) == 1u32;
            let logit = select(allowed, outputs[(row + l) * n + lane], LOWEST);
            best = select(logit > largest, comptime![l as u32], best);
            largest = f32::max(largest, logit);
            logits[l] = logit;
        }
        let mut sum = 0.0f32;
        #[unroll]
        for l in 0..levels {
            let allowed = ((mask >> comptime![l as u32]) & 1u32) == 1u32;
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
            let allowed = ((mask >> comptime![l as u32]) & 1u32) == 1u32;
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
        let sd = f32::exp(log_sd);
        let drawn = mean + sd * noise;
        let bounded = f32::max(f32::min(2.0f32 * drawn, 30.0f32), -30.0f32);
        let fraction = 1.0f32 / (1.0f32 + f32::exp(-bounded));
        let a = f32::max(f32::min(fraction, comptime![1.0 - NEAREST]), NEAREST);
        // of the fraction that is stored, so that learning finds the same number
        let (below, above) = (ln(a), ln(1.0f32 - a));
        let z = (0.5f32 * (below - above) - mean) / sd;
        result[0] = a;
        result[1] = -0.5f32 * z * z - log_sd - HALF_LN_TAU - LN_2 - below - above;
    }
    result
}
