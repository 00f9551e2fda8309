//! The loss of the safe update in plain tensor operations: what the fused kernel is compared with.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use posology_kernels::device::Device;
use posology_kernels::policy::Head;
use posology_kernels::update::loss::{LARGEST_LOG_RATIO, LOG_VARIANCE, part, parts};
use posology_kernels::update::squashed::{EDGE, HALF_LN_TAU};

use super::{LossBatch, LossParameters};
use crate::bridge::{integers, tensor, tensor_device};

/// Logit of a level that is not allowed.
const CLOSED: f32 = -1e9;

/// Log-probabilities and entropies `[1, n]` of one head.
fn head(
    device: &Device,
    outputs: &Tensor<2>,
    batch: &LossBatch,
    h: usize,
) -> (Tensor<2>, Tensor<2>) {
    let (row, n) = (batch.layout.head_row(h), batch.samples);
    let action = tensor(device, &batch.action).slice([h..h + 1, 0..n]);
    match batch.layout.heads[h] {
        Head::Categorical { levels } => {
            let levels = levels as usize;
            let logits = outputs.clone().slice([row..row + levels, 0..n]);
            let bits = integers(device, &batch.mask)
                .slice([h..h + 1, 0..n])
                .expand([levels, n]);
            let place = Tensor::<1, Int>::arange(0..levels as i64, &tensor_device(device))
                .reshape([levels, 1])
                .expand([levels, n]);
            let closed = bits
                .clone()
                .bitwise_right_shift(place)
                .bitwise_and_scalar(1)
                .equal_elem(0)
                .bool_and(bits.not_equal_elem(0));
            let log_p = log_softmax(logits.mask_fill(closed, CLOSED), 0);
            let entropy = (log_p.clone().exp() * log_p.clone()).sum_dim(0).neg();
            (log_p.gather(0, action.int()), entropy)
        }
        Head::Gaussian => {
            let (lowest, highest) = Head::LOG_SD;
            let mean = outputs.clone().slice([row..row + 1, 0..n]);
            let log_sd = outputs
                .clone()
                .slice([row + 1..row + 2, 0..n])
                .clamp(lowest, highest);
            let fraction = action.clamp(EDGE, 1.0 - EDGE);
            let log_a = fraction.clone().log();
            let log_rest = (fraction.neg() + 1.0).log();
            let normal = (log_a.clone() - log_rest.clone()) * 0.5;
            let z = (normal - mean) * log_sd.clone().neg().exp();
            let log_slope = log_a + log_rest + core::f32::consts::LN_2;
            let log_prob = z.square() * -0.5 - log_sd.clone() - log_slope - HALF_LN_TAU;
            (log_prob, log_sd + (HALF_LN_TAU + 0.5))
        }
    }
}

/// The loss `[1]` and the metrics, rows as in [`part`], of the same arithmetic as
/// [`super::fused_loss`], by tensor operations and automatic differentiation.
///
/// Samples without weight must hold numbers here: nothing else leaves a sum when it is multiplied
/// by zero.
pub fn unfused_loss(
    device: &Device,
    outputs: Tensor<2>,
    batch: &LossBatch,
    parameters: &LossParameters,
) -> (Tensor<1>, Tensor<1>) {
    let (layout, n) = (&batch.layout, batch.samples);
    let (costs, quantiles) = (layout.costs, layout.quantiles);
    let weight = tensor(device, &batch.weight);
    let total = weight.clone().sum();
    let mean = |x: Tensor<2>| (x * weight.clone()).sum() / total.clone();
    let zeros = || Tensor::<2>::zeros([1, n], &tensor_device(device));

    let (mut log_prob, mut entropy) = (zeros(), zeros());
    for h in 0..layout.heads.len() {
        let (one, spread) = head(device, &outputs, batch, h);
        log_prob = log_prob + one;
        entropy = entropy + spread;
    }

    let advantage = tensor(device, &batch.advantage);
    let mut constrained = advantage.clone().slice([0..1, 0..n]);
    if costs > 0 {
        let multipliers = tensor(device, &batch.multipliers).reshape([costs, 1]);
        let priced = (advantage.slice([1..costs + 1, 0..n]) * multipliers.clone()).sum_dim(0);
        constrained = (constrained - priced) / (multipliers.sum_dim(0) + 1.0);
    }
    let old = tensor(device, &batch.log_prob);
    let log_ratio = (log_prob - old).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO);
    let ratio = log_ratio.clone().exp();
    let bounded = ratio
        .clone()
        .clamp(1.0 - parameters.clip, 1.0 + parameters.clip);
    let policy = (ratio.clone() * constrained.clone())
        .min_pair(bounded * constrained)
        .neg();

    let returns = tensor(device, &batch.returns);
    let target = returns.clone().slice([0..1, 0..n]);
    let at = layout.value_row();
    let value = (outputs.clone().slice([at..at + 1, 0..n]) - target.clone()).square() * 0.5;

    let mut critics = Vec::with_capacity(costs);
    for k in 0..costs {
        let at = layout.quantile_row(k, 0);
        let theta = outputs.clone().slice([at..at + quantiles, 0..n]);
        let u = returns.clone().slice([k + 1..k + 2, 0..n]) - theta;
        let ranks: Vec<f32> = (0..quantiles)
            .map(|q| (q as f32 + 0.5) / quantiles as f32)
            .collect();
        let ranks = Tensor::<2>::from_data(
            TensorData::new(ranks, [quantiles, 1]),
            &tensor_device(device),
        );
        let below = u.clone().lower_elem(0.0).float();
        let side = (ranks - below).abs();
        let near = u.clone().clamp(-parameters.kappa, parameters.kappa);
        let huber = near.clone() * (u - near * 0.5) / parameters.kappa;
        critics.push((side * huber).mean_dim(0));
    }

    let mut belief = zeros();
    if layout.beliefs > 0 {
        let (means, spreads) = (layout.belief_mean_row(0), layout.belief_log_variance_row(0));
        let miss = outputs.clone().slice([means..spreads, 0..n]) - tensor(device, &batch.hidden);
        let log_variance = outputs
            .slice([spreads..spreads + layout.beliefs, 0..n])
            .clamp(LOG_VARIANCE.0, LOG_VARIANCE.1);
        let each = (miss.square() * log_variance.clone().neg().exp() + log_variance) * 0.5;
        belief = (each + HALF_LN_TAU).mean_dim(0);
    }

    let mut loss = policy.clone() + value.clone() * parameters.value
        - entropy.clone() * parameters.entropy
        + belief.clone() * parameters.belief;
    for critic in &critics {
        loss = loss + critic.clone() * parameters.cost;
    }
    let loss = mean(loss);

    let divergence = ratio.clone() - 1.0 - log_ratio;
    let clipped = (ratio - 1.0).abs().greater_elem(parameters.clip).float();
    let mut rows = vec![loss.clone().inner(); parts(costs)];
    let mut put = |row: usize, x: Tensor<2>| rows[row] = mean(x.inner());
    put(part::POLICY, policy);
    put(part::VALUE, value);
    put(part::ENTROPY, entropy);
    put(part::BELIEF, belief);
    put(part::KL, divergence);
    put(part::CLIPPED, clipped);
    put(part::RETURN, target.clone());
    put(part::RETURN_SQUARE, target.square());
    for (k, critic) in critics.into_iter().enumerate() {
        put(part::COSTS + k, critic);
    }
    (loss, Tensor::cat(rows, 0))
}
