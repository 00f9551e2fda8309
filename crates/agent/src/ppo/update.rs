//! One update of the policy: epochs over minibatches of whole sequences.
//!
//! Nothing returns to the host. What the update was like stays in small buffers, which the caller
//! reads once; the early stop and the clipping are decided on the device
//! ([`posology_kernels::update::adam`]).

use std::sync::Arc;

use burn::tensor::{Int, Tensor};
use posology_kernels::device::Device;
use posology_kernels::policy::NetworkShape;
use posology_kernels::update::adam::{Adam, Change};
use posology_kernels::update::loss::part;

use super::advantage::Advantages;
use super::plain::plain_update;
use super::shuffle::{gather, places};
use crate::bridge;
use crate::error::AgentError;
use crate::ops::loss::{LossBatch, LossParameters, safe_ppo_loss};
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
    /// Network, loss and optimiser in plain tensor operations: a comparison for benchmarks.
    pub unfused: bool,
}

/// What is learnt from.
#[derive(Clone, Copy, Debug)]
pub struct Learned<'a> {
    pub rollout: &'a Rollout,
    /// Normalised.
    pub advantages: &'a Advantages,
    /// One word per cost.
    pub multipliers: &'a Buffer,
}

impl Learned<'_> {
    /// The lanes of every minibatch of an update, in their order.
    pub(super) fn minibatches<'b>(
        &self,
        device: &'b Device,
        plan: &'b UpdatePlan,
    ) -> impl Iterator<Item = Buffer> + 'b {
        let lanes = self.rollout.lanes;
        let count = lanes / plan.minibatches.max(1);
        (0..plan.epochs * plan.minibatches).map(move |at| {
            let (epoch, part) = (at / plan.minibatches, at % plan.minibatches);
            let stream = (plan.update as u32).wrapping_mul(plan.epochs as u32) + epoch as u32;
            let seed = plan.seed ^ SHUFFLE;
            places(device, seed, stream, lanes, part * count, count)
        })
    }
}

/// The decisions of some lanes.
pub(super) struct Minibatch {
    pub steps: usize,
    /// `[inputs, steps * lanes]`
    pub inputs: Tensor<2>,
    /// `[state][lanes]`
    pub core: Buffer,
    /// `[steps][lanes]`
    pub started: Buffer,
    pub loss: LossBatch,
}

impl Minibatch {
    /// A copy of the lanes `chosen`.
    pub fn new(device: &Device, shape: &NetworkShape, from: &Learned<'_>, chosen: &Buffer) -> Self {
        let (rollout, advantages) = (from.rollout, from.advantages);
        let steps = rollout.steps;
        let seen = |from: &Buffer| gather(device, from, chosen, steps + 1, steps);
        let done = |from: &Buffer| gather(device, from, chosen, steps, steps);
        let layout = Arc::new(shape.outputs.clone());
        // what nobody looks at is not copied
        let needs_hidden = shape.sees_hidden > 0 || layout.beliefs > 0;
        let hidden = if needs_hidden {
            seen(&rollout.hidden)
        } else {
            Buffer::empty(&device.client, 0, 0)
        };
        let mut inputs = bridge::tensor(device, &seen(&rollout.observation));
        if shape.sees_hidden > 0 {
            inputs = Tensor::cat(vec![inputs, bridge::tensor(device, &hidden)], 0);
        }
        Self {
            steps,
            inputs,
            core: gather(device, &rollout.core, chosen, 1, 1),
            started: seen(&rollout.started),
            loss: LossBatch {
                samples: steps * chosen.columns,
                layout,
                action: done(&rollout.action),
                mask: seen(&rollout.mask),
                log_prob: done(&rollout.log_prob),
                advantage: done(&advantages.advantage),
                returns: done(&advantages.returns),
                hidden,
                weight: done(&advantages.weight),
                multipliers: from.multipliers.clone(),
            },
        }
    }

    /// `[steps, lanes]`: 0 where an episode begins, 1 elsewhere.
    pub fn carried(&self, device: &Device) -> Tensor<2> {
        let started: Tensor<2, Int> = bridge::integers(device, &self.started);
        let lanes = self.started.columns / self.steps.max(1);
        started.equal_elem(0).float().reshape([self.steps, lanes])
    }
}

/// Learn from a rollout. `parameters` is the memory of the network's parameters, which the
/// optimiser changes in place. Gives the metrics of each minibatch (rows as in [`part`]), in order,
/// on the device.
///
/// # Errors
/// When tensors are not on the kernels' device.
pub fn update(
    device: &Device,
    network: &PolicyNetwork,
    parameters: &Buffer,
    adam: &Adam,
    from: &Learned<'_>,
    plan: &UpdatePlan,
) -> Result<Vec<Buffer>, AgentError> {
    if plan.unfused {
        return plain_update(device, network, parameters, adam, from, plan);
    }
    let mut all = Vec::with_capacity(plan.epochs * plan.minibatches);
    for chosen in from.minibatches(device, plan) {
        let batch = Minibatch::new(device, network.shape(), from, &chosen);
        let outputs = network.forward_sequence(
            device,
            batch.inputs,
            bridge::tensor(device, &batch.core),
            &batch.started,
            batch.steps,
        )?;
        let (loss, metrics) = safe_ppo_loss(device, outputs, &batch.loss, &plan.loss)?;
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
            all.is_empty(),
        );
        all.push(metrics);
    }
    Ok(all)
}

pub(super) fn elsewhere() -> AgentError {
    AgentError::Option {
        key: "network".to_owned(),
        value: "parameters".to_owned(),
        cause: "not on the kernels' device, or without gradients".to_owned(),
    }
}
