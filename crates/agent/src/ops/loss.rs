//! The loss of the safe update, fused into one kernel, and the same in plain tensor operations.
//!
//! What is computed stands in [`posology_kernels::update::loss`].

pub(crate) mod attach;
mod unfused;

use std::sync::Arc;

use burn::tensor::Tensor;
use posology_kernels::device::{Device, DeviceError};
use posology_kernels::policy::OutputLayout;
use posology_kernels::update::loss::{self as kernel, part};
use posology_kernels::update::{grid, group};

pub use self::unfused::unfused_loss;
use super::sums::{argument, mean_rows, sum_rows};
use crate::bridge;
use crate::error::AgentError;
use crate::rollout::Buffer;

/// Coefficients of the loss. They are arguments of the kernel, so changing them builds nothing.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LossParameters {
    /// How far the ratio of new to old probability may leave 1 (Schulman 2017).
    pub clip: f32,
    /// Of half of the value's squared error.
    pub value: f32,
    /// Of the cost critics' quantile losses.
    pub cost: f32,
    /// Of the entropy, which is to be large.
    pub entropy: f32,
    /// Of the belief's negative log-likelihood, a mean over the hidden quantities.
    pub belief: f32,
    /// Error beyond which a cost critic's loss is linear, in the cost's unit.
    pub kappa: f32,
}

impl Default for LossParameters {
    fn default() -> Self {
        Self {
            clip: 0.2,
            value: 0.5,
            cost: 0.5,
            entropy: 0.01,
            belief: 0.1,
            kappa: 1.0,
        }
    }
}

/// The samples of a minibatch, `n` of them, on the device.
#[derive(Clone, Debug)]
pub struct LossBatch {
    pub samples: usize,
    pub layout: Arc<OutputLayout>,
    /// `[heads][n]` f32: index of the level, or the fraction.
    pub action: Buffer,
    /// `[heads][n]` u32: bit `l` is set where level `l` is allowed; 0 allows all.
    pub mask: Buffer,
    /// `[n]` log-probability of the action when it was drawn.
    pub log_prob: Buffer,
    /// `[1 + costs][n]`, normalised.
    pub advantage: Buffer,
    /// `[1 + costs][n]`
    pub returns: Buffer,
    /// `[beliefs][n]`
    pub hidden: Buffer,
    /// `[n]` 1 for a sample, 0 for what is none.
    pub weight: Buffer,
    /// `[costs]`, not negative.
    pub multipliers: Buffer,
}

/// Means over the samples, as [`LossMetrics::read`] takes them from the device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossMetrics {
    pub loss: f32,
    /// Minus the clipped surrogate.
    pub policy: f32,
    /// Half of the squared error of the value.
    pub value: f32,
    /// Of all heads, nat.
    pub entropy: f32,
    /// Negative log-likelihood per hidden quantity, nat.
    pub belief: f32,
    /// Estimated divergence from the policy that drew the actions, nat (Schulman 2020, k3).
    pub kl: f32,
    /// Share of samples whose ratio is outside of the clip.
    pub clipped: f32,
    /// Variance of the returns.
    pub return_variance: f32,
    /// Quantile losses of the costs.
    pub costs: Vec<f32>,
}

impl LossMetrics {
    /// From the numbers that the loss leaves on the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(device: &Device, metrics: &Buffer) -> Result<Self, DeviceError> {
        Ok(Self::from_rows(&metrics.floats(&device.client)?))
    }

    /// From these numbers, rows as in [`part`]; missing ones are 0.
    pub fn from_rows(rows: &[f32]) -> Self {
        let row = |at: usize| rows.get(at).copied().unwrap_or_default();
        let mean = row(part::RETURN);
        Self {
            loss: row(part::LOSS),
            policy: row(part::POLICY),
            value: row(part::VALUE),
            entropy: row(part::ENTROPY),
            belief: row(part::BELIEF),
            kl: row(part::KL),
            clipped: row(part::CLIPPED),
            return_variance: (row(part::RETURN_SQUARE) - mean * mean).max(0.0),
            costs: rows.get(part::COSTS..).unwrap_or_default().to_vec(),
        }
    }

    /// Share of the returns' variance that the value explains; below 0 if it is worse than a
    /// constant.
    pub fn explained_variance(&self) -> f32 {
        if self.return_variance > 0.0 {
            1.0 - 2.0 * self.value / self.return_variance
        } else {
            0.0
        }
    }
}

/// What the fused kernel leaves on the device.
#[derive(Clone, Debug)]
pub struct FusedLoss {
    /// `[rows of the layout][n]`: of the loss with respect to the network's outputs.
    pub gradient: Buffer,
    /// `[rows of part][1]`, means over the samples, the loss first.
    pub metrics: Buffer,
}

/// The loss and its gradient with respect to `outputs`, `[rows of the layout][n]`.
pub fn fused_loss(
    device: &Device,
    outputs: &Buffer,
    batch: &LossBatch,
    parameters: &LossParameters,
) -> FusedLoss {
    let (client, n) = (&device.client, batch.samples);
    let rows = batch.layout.rows();
    let total = sum_rows(device, &batch.weight);
    let gradient = Buffer::empty(client, rows, n);
    let parts = Buffer::empty(client, kernel::parts(batch.layout.costs), n);
    // SAFETY: the shapes are those that the kernel documents; threads beyond are checked.
    unsafe {
        kernel::safe_ppo_loss::launch_unchecked(
            client,
            grid(n),
            group(),
            argument(outputs),
            argument(&batch.action),
            argument(&batch.mask),
            argument(&batch.log_prob),
            argument(&batch.advantage),
            argument(&batch.returns),
            argument(&batch.hidden),
            argument(&batch.weight),
            argument(&batch.multipliers),
            argument(&total),
            argument(&gradient),
            argument(&parts),
            n as u32,
            parameters.clip,
            parameters.value,
            parameters.cost,
            parameters.entropy,
            parameters.belief,
            parameters.kappa,
            batch.layout.clone(),
        );
    }
    FusedLoss {
        metrics: mean_rows(device, &parts, &total),
        gradient,
    }
}

/// As [`fused_loss`], as a differentiable operation: the loss, whose gradient reaches `outputs`,
/// `[rows of the layout, n]`, and the metrics.
///
/// # Errors
/// [`AgentError::Option`] when `outputs` has another shape or is on another kind of backend.
pub fn safe_ppo_loss(
    device: &Device,
    outputs: Tensor<2>,
    batch: &LossBatch,
    parameters: &LossParameters,
) -> Result<(Tensor<1>, Buffer), AgentError> {
    let wanted = [batch.layout.rows(), batch.samples];
    let refused = |cause: &str| AgentError::Option {
        key: "outputs".to_owned(),
        value: format!("{:?}", outputs.dims()),
        cause: cause.to_owned(),
    };
    if outputs.dims() != wanted {
        return Err(refused(&format!("the loss takes {wanted:?}")));
    }
    let Some(plain) = bridge::buffer(outputs.clone().inner()) else {
        return Err(refused("not on the kernels' device"));
    };
    let fused = fused_loss(device, &plain, batch, parameters);
    let rows = fused.metrics.rows;
    let loss = bridge::tensor_of(device, &fused.metrics, [rows]).narrow(0, 0, 1);
    let gradient = bridge::tensor(device, &fused.gradient);
    Ok((
        attach::with_gradient(outputs, loss, gradient),
        fused.metrics,
    ))
}
