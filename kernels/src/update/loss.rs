//! The fused safe update: one thread takes one sample through every part of the loss and leaves the
//! gradient with respect to all of the network's outputs.
//!
//! With ratio `r = pi(a) / pi_old(a)`, constrained advantage
//! `A = (A_r - sum_k lambda_k A_k) / (1 + sum_k lambda_k)` and weights `w` of sum `W`:
//!
//! ```text
//! loss = 1/W sum_i w_i ( - min(r A, clip(r, 1 - e, 1 + e) A)                 Schulman 2017, eq. 7
//!                        + c_v 1/2 (V - R)^2                                 value
//!                        + c_c sum_k mean_q |rank_q - [R_k < theta_kq]| H(R_k - theta_kq) / kappa
//!                        - c_e sum_h entropy_h
//!                        + c_b mean_p Gaussian negative log-likelihood )     belief
//! ```
//!
//! The Lagrangian's advantage is as in Ray, Achiam and Amodei (2019) and Stooke, Achiam and Abbeel
//! (2020); the quantile regression with Huber's loss `H` of width kappa as in Dabney et al. (2018,
//! equation 10), with `rank_q = (q + 1/2) / Q`. The log-probability of a squashed Gaussian action is
//! that of the fraction, with the slope of the squashing; its entropy is that of the normal number
//! before the squashing, which has a closed form.

use std::sync::Arc;

use cubecl::prelude::*;

use super::squashed::{HALF_LN_TAU, unsquash};
use crate::elementary::ln;
use crate::policy::{Head, OutputLayout};

/// Rows of loss parts: what each sample adds to the metrics.
pub mod part {
    /// The whole loss.
    pub const LOSS: usize = 0;
    /// Minus the clipped surrogate.
    pub const POLICY: usize = 1;
    /// Half of the squared error of the value.
    pub const VALUE: usize = 2;
    pub const ENTROPY: usize = 3;
    pub const BELIEF: usize = 4;
    /// `r - 1 - ln r`, whose mean is the divergence from the old policy (Schulman 2020).
    pub const KL: usize = 5;
    /// 1 where the ratio is outside of the clip.
    pub const CLIPPED: usize = 6;
    pub const RETURN: usize = 7;
    pub const RETURN_SQUARE: usize = 8;
    /// Quantile loss of the first cost's critic; the others follow.
    pub const COSTS: usize = 9;
}

/// Rows of parts with `costs` constraints.
pub fn parts(costs: usize) -> usize {
    part::COSTS + costs
}

/// Logarithms of ratios are kept within this, so that no ratio overflows.
pub const LARGEST_LOG_RATIO: f32 = 20.0;
/// Bounds of the logarithm of a belief's variance.
pub const LOG_VARIANCE: (f32, f32) = (-6.0, 4.0);

/// Loss parts and gradient, one thread per sample.
///
/// | buffer | shape |
/// |---|---|
/// | `outputs` | `[rows][n]` of the network, rows as in [`OutputLayout`] |
/// | `action` | `[heads][n]` index of the level, or the fraction |
/// | `mask` | `[heads][n]` bit `l` is set where level `l` is allowed; 0 allows all |
/// | `old_log_prob`, `weight` | `[n]` |
/// | `advantage`, `returns` | `[1 + costs][n]` |
/// | `hidden` | `[beliefs][n]` the truth |
/// | `multipliers` | `[costs]` |
/// | `total` | `[1]` sum of the weights |
/// | `gradient` | `[rows][n]` of the mean loss |
/// | `parts` | `[parts(costs)][n]` times the weight |
#[cube(launch_unchecked)]
pub fn safe_ppo_loss(
    outputs: &[f32],
    action: &[f32],
    mask: &[u32],
    old_log_prob: &[f32],
    advantage: &[f32],
    returns: &[f32],
    hidden: &[f32],
    weight: &[f32],
    multipliers: &[f32],
    total: &[f32],
    gradient: &mut [f32],
    parts: &mut [f32],
    samples: u32,
    clip: f32,
    value_coefficient: f32,
    cost_coefficient: f32,
    entropy_coefficient: f32,
    belief_coefficient: f32,
    kappa: f32,
    #[comptime] layout: Arc<OutputLayout>,
) {
    let i = ABSOLUTE_POS;
    let n = samples as usize;
    if i >= n {
        terminate!();
    }
    let w = weight[i];
    let live = w > 0.0f32;
    let share = select(live, w / select(live, total[0], 1.0f32), 0.0f32);

    // of every policy row: derivative of the log-probability, then of the entropy
    let heads = comptime![layout.heads.len()];
    let rows = comptime![layout.policy_rows().max(1)];
    let mut d_log_prob = Array::<f32>::new(rows);
    let mut d_entropy = Array::<f32>::new(rows);
    let mut log_prob = 0.0f32;
    let mut entropy = 0.0f32;
    #[unroll]
    for h in 0..heads {
        let row = comptime![layout.head_row(h)];
        let levels = comptime![match layout.heads[h] {
            Head::Categorical { levels } => levels as usize,
            Head::Gaussian => 0,
        }];
        if comptime![levels > 0] {
            let given = mask[h * n + i];
            let allowed = select(given == 0u32, 0xFFFF_FFFFu32, given);
            let chosen = u32::cast_from(action[h * n + i]);
            let lowest = comptime![f32::MIN];
            let mut largest = lowest.runtime();
            #[unroll]
            for l in 0..levels {
                let at = comptime![row + l];
                let logit = outputs[at * n + i];
                d_entropy[at] = logit;
                let open = (allowed & comptime![1u32 << l]) != 0u32;
                largest = select(open, f32::max(largest, logit), largest);
            }
            let mut sum = 0.0f32;
            #[unroll]
            for l in 0..levels {
                let at = comptime![row + l];
                let open = (allowed & comptime![1u32 << l]) != 0u32;
                let mass = select(open, f32::exp(d_entropy[at] - largest), 0.0f32);
                d_log_prob[at] = mass;
                sum += mass;
            }
            let log_sum = largest + ln(sum);
            let scale = 1.0f32 / sum;
            let mut own = 0.0f32;
            #[unroll]
            for l in 0..levels {
                let at = comptime![row + l];
                let open = (allowed & comptime![1u32 << l]) != 0u32;
                let log_p = d_entropy[at] - log_sum;
                let p = d_log_prob[at] * scale;
                own -= select(open, p * log_p, 0.0f32);
                let is_chosen = chosen == comptime![l as u32];
                log_prob += select(is_chosen, log_p, 0.0f32);
                d_log_prob[at] = select(is_chosen, 1.0f32, 0.0f32) - p;
                // of the entropy, without its own value, which is not yet complete
                d_entropy[at] = select(open, log_p, 0.0f32);
            }
            #[unroll]
            for l in 0..levels {
                let at = comptime![row + l];
                let is_chosen = chosen == comptime![l as u32];
                let p = select(is_chosen, 1.0f32, 0.0f32) - d_log_prob[at];
                d_entropy[at] = -p * (d_entropy[at] + own);
            }
            entropy += own;
        } else {
            let next = comptime![row + 1];
            let (lowest, highest) = comptime![Head::LOG_SD];
            let raw = outputs[next * n + i];
            let log_sd = f32::min(f32::max(raw, lowest), highest);
            let inside = raw >= lowest && raw <= highest;
            let precision = f32::exp(-log_sd);
            let inner = unsquash(action[h * n + i]);
            let z = (inner.normal - outputs[row * n + i]) * precision;
            log_prob += -0.5f32 * z * z - log_sd - HALF_LN_TAU - inner.log_slope;
            entropy += log_sd + HALF_LN_TAU + 0.5f32;
            d_log_prob[row] = z * precision;
            d_log_prob[next] = select(inside, z * z - 1.0f32, 0.0f32);
            d_entropy[row] = 0.0f32;
            d_entropy[next] = select(inside, 1.0f32, 0.0f32);
        }
    }

    // the constrained advantage and the clipped surrogate
    let mut constrained = advantage[i];
    let mut price = 1.0f32;
    let costs = comptime![layout.costs];
    #[unroll]
    for k in 0..costs {
        constrained -= multipliers[k] * advantage[comptime![k + 1] * n + i];
        price += multipliers[k];
    }
    constrained /= price;
    let apart = log_prob - old_log_prob[i];
    let log_ratio = f32::min(f32::max(apart, -LARGEST_LOG_RATIO), LARGEST_LOG_RATIO);
    let ratio = f32::exp(log_ratio);
    let bounded = f32::min(f32::max(ratio, 1.0f32 - clip), 1.0f32 + clip) * constrained;
    let free = ratio * constrained;
    let cut = bounded < free;
    let policy = -select(cut, bounded, free);
    let slope = select(cut || log_ratio != apart, 0.0f32, -free);
    // r - 1 - ln r, by its series where the difference would cancel
    let d = log_ratio;
    let series = d * d * (0.5f32 + d * (1.0f32 / 6.0f32 + d * (1.0f32 / 24.0f32 + d / 120.0f32)));
    let divergence = select(f32::abs(d) < 0.1f32, series, ratio - 1.0f32 - d);
    #[unroll]
    for row in 0..comptime![layout.policy_rows()] {
        let slope_here = slope * d_log_prob[row] - entropy_coefficient * d_entropy[row];
        gradient[row * n + i] = select(live, share * slope_here, 0.0f32);
    }

    let value_row = comptime![layout.value_row()];
    let target = returns[i];
    let off = outputs[value_row * n + i] - target;
    gradient[value_row * n + i] = select(live, share * value_coefficient * off, 0.0f32);

    let quantiles = comptime![layout.quantiles];
    let per_quantile = comptime![1.0 / (layout.quantiles.max(1) as f32)];
    let mut critics = 0.0f32;
    #[unroll]
    for k in 0..costs {
        let cost = returns[comptime![k + 1] * n + i];
        let mut sum = 0.0f32;
        #[unroll]
        for q in 0..quantiles {
            let row = comptime![layout.quantile_row(k, q)];
            let rank = comptime![(q as f32 + 0.5) * per_quantile];
            let u = cost - outputs[row * n + i];
            let side = select(u < 0.0f32, 1.0f32 - rank, rank.runtime());
            let near = f32::min(f32::max(u, -kappa), kappa);
            // Huber over kappa: near (u - near / 2) / kappa
            sum += side * near * (u - 0.5f32 * near) / kappa;
            let pull = -share * cost_coefficient * per_quantile * side * near / kappa;
            gradient[row * n + i] = select(live, pull, 0.0f32);
        }
        let mean = sum * per_quantile;
        critics += mean;
        parts[comptime![part::COSTS + k] * n + i] = select(live, w * mean, 0.0f32);
    }

    let beliefs = comptime![layout.beliefs];
    let per_belief = comptime![1.0 / (layout.beliefs.max(1) as f32)];
    let mut belief = 0.0f32;
    #[unroll]
    for p in 0..beliefs {
        let mean_row = comptime![layout.belief_mean_row(p)];
        let spread_row = comptime![layout.belief_log_variance_row(p)];
        let (lowest, highest) = comptime![LOG_VARIANCE];
        let raw = outputs[spread_row * n + i];
        let log_variance = f32::min(f32::max(raw, lowest), highest);
        let inside = raw >= lowest && raw <= highest;
        let miss = outputs[mean_row * n + i] - hidden[p * n + i];
        let pull = miss * f32::exp(-log_variance);
        belief += (0.5f32 * (log_variance + miss * pull) + HALF_LN_TAU) * per_belief;
        let scale = share * belief_coefficient * per_belief;
        let widen = select(inside, 0.5f32 - 0.5f32 * miss * pull, 0.0f32);
        gradient[mean_row * n + i] = select(live, scale * pull, 0.0f32);
        gradient[spread_row * n + i] = select(live, scale * widen, 0.0f32);
    }

    let value = 0.5f32 * off * off;
    let loss = policy + value_coefficient * value + cost_coefficient * critics
        - entropy_coefficient * entropy
        + belief_coefficient * belief;
    let clipped = select(f32::abs(ratio - 1.0f32) > clip, 1.0f32, 0.0f32);
    parts[comptime![part::LOSS] * n + i] = select(live, w * loss, 0.0f32);
    parts[comptime![part::POLICY] * n + i] = select(live, w * policy, 0.0f32);
    parts[comptime![part::VALUE] * n + i] = select(live, w * value, 0.0f32);
    parts[comptime![part::ENTROPY] * n + i] = select(live, w * entropy, 0.0f32);
    parts[comptime![part::BELIEF] * n + i] = select(live, w * belief, 0.0f32);
    parts[comptime![part::KL] * n + i] = select(live, w * divergence, 0.0f32);
    parts[comptime![part::CLIPPED] * n + i] = select(live, w * clipped, 0.0f32);
    parts[comptime![part::RETURN] * n + i] = select(live, w * target, 0.0f32);
    parts[comptime![part::RETURN_SQUARE] * n + i] = select(live, w * target * target, 0.0f32);
}
