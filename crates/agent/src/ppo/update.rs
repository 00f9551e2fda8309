//! One update of the policy: epochs over minibatches of whole sequences.
//!
//! Nothing returns to the host. What the update was like stays in small buffers, which the caller
//! reads once; the early stop and the clipping are decided on the device
//! ([`posology_kernels::update::adam`]).

use std::sync::Arc;

use burn::tensor::Tensor;
use posology_kernels::device::Device;
use posology_kernels::update::adam::{Adam, Change};
use posology_kernels::update::loss::part;

use super::advantage::Advantages;
use super::shuffle::{gather, places};
use crate::bridge;
use crate::error::AgentError;
use crate::ops::loss::{LossBatch, LossParameters, safe_ppo_loss, unfused_loss};
use crate::policy::PolicyNetwork;
use crate::rollout::{Buffer, Rollout};

/// Key of the shuffles, apart from that of patients and actions.
const SHUFFLE: u64 = 0x5348_5546_464C_4531;

/// How an update goes through its decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdatePlan {
    pub epochs: usize,
    /// Parts of an epoch; they divide the lanes.
    pub minibatches: usize,
    pub seed: u64,
    /// Number of the update, so that every one is shuffled anew.
    pub update: u64,
    /// Learning rate.
    pub rate: f32,
    pub loss: LossParameters,
    /// The loss in plain tensor operations: a comparison for benchmarks.
    pub unfused: bool,
}

/// Learn from a rollout. `parameters` is the memory of the network's parameters, which the
/// optimiser changes in place; `advantages` are normalised; `multipliers` has one word per cost.
/// Gives the metrics of each minibatch (rows as in [`part`]), in order, on the device.
///
/// # Errors
/// When tensors are not on the kernels' device.
#[allow(clippy::too_many_arguments)]
pub fn update(
    device: &Device,
    network: &PolicyNetwork,
    parameters: &Buffer,
    adam: &Adam,
    rollout: &Rollout,
    advantages: &Advantages,
    multipliers: &Buffer,
    plan: &UpdatePlan,
) -> Result<Vec<Buffer>, AgentError> {
    let (steps, lanes) = (rollout.steps, rollout.lanes);
    let count = lanes / plan.minibatches.max(1);
    let mut all = Vec::with_capacity(plan.epochs * plan.minibatches);
    for epoch in 0..plan.epochs {
        let stream = (plan.update as u32).wrapping_mul(plan.epochs as u32) + epoch as u32;
        for part in 0..plan.minibatches {
            let seed = plan.seed ^ SHUFFLE;
            let chosen = places(device, seed, stream, lanes, part * count, count);
            let metrics = minibatch(
                device,
                network,
                parameters,
                adam,
                rollout,
                advantages,
                multipliers,
                plan,
                &chosen,
                steps,
                all.is_empty(),
            )?;
            all.push(metrics);
        }
    }
    Ok(all)
}

/// Forward, loss, backward and one step of the optimiser on the lanes `chosen`.
#[allow(clippy::too_many_arguments)]
fn minibatch(
    device: &Device,
    network: &PolicyNetwork,
    parameters: &Buffer,
    adam: &Adam,
    rollout: &Rollout,
    advantages: &Advantages,
    multipliers: &Buffer,
    plan: &UpdatePlan,
    chosen: &Buffer,
    steps: usize,
    first: bool,
) -> Result<Buffer, AgentError> {
    let count = chosen.columns;
    let seen = |from: &Buffer| gather(device, from, chosen, steps + 1, steps);
    let done = |from: &Buffer| gather(device, from, chosen, steps, steps);
    let shape = network.shape();
    let hidden = seen(&rollout.hidden);
    let core = gather(device, &rollout.core, chosen, 1, 1);
    let batch = LossBatch {
        samples: steps * count,
        layout: Arc::new(shape.outputs.clone()),
        action: done(&rollout.action),
        mask: seen(&rollout.mask),
        log_prob: done(&rollout.log_prob),
        advantage: done(&advantages.advantage),
        returns: done(&advantages.returns),
        hidden: hidden.clone(),
        weight: done(&advantages.weight),
        multipliers: multipliers.clone(),
    };
    let mut inputs = bridge::tensor(device, &seen(&rollout.observation));
    if shape.sees_hidden > 0 {
        inputs = Tensor::cat(vec![inputs, bridge::tensor(device, &hidden)], 0);
    }
    let outputs = network.forward_sequence(
        device,
        inputs,
        bridge::tensor(device, &core),
        &seen(&rollout.started),
        steps,
    )?;
    let (loss, metrics) = if plan.unfused {
        let (loss, metrics) = unfused_loss(device, outputs, &batch, &plan.loss);
        (loss, bridge::buffer(metrics).ok_or_else(elsewhere)?)
    } else {
        safe_ppo_loss(device, outputs, &batch, &plan.loss)?
    };
    let gradients = loss.backward();
    let gradient = network.parameters.val().grad(&gradients);
    let gradient = gradient.and_then(bridge::buffer).ok_or_else(elsewhere)?;
    let change = Change {
        handle: &metrics.handle,
        len: metrics.len(),
        word: part::KL,
    };
    adam.step(
        device,
        &parameters.handle,
        &gradient.handle,
        &change,
        plan.rate,
        first,
    );
    Ok(metrics)
}

fn elsewhere() -> AgentError {
    AgentError::Option {
        key: "network".to_owned(),
        value: "parameters".to_owned(),
        cause: "not on the kernels' device, or without gradients".to_owned(),
    }
}
