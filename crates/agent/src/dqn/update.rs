//! Steps of the optimiser on minibatches of the replay ring. Nothing returns to the host.

use std::sync::Arc;

use burn::tensor::Tensor;
use posology_kernels::device::Device;
use posology_kernels::dqn::loss::{self as kernel, part};
use posology_kernels::dqn::target;
use posology_kernels::policy::OutputLayout;
use posology_kernels::update::adam::{Adam, Change};
use posology_kernels::update::{grid, group, sums};

use super::replay::{Replay, Sampling};
use crate::bridge;
use crate::error::AgentError;
use crate::ops::loss::attach::with_gradient;
use crate::ops::sums::{argument, sum_rows};
use crate::policy::PolicyNetwork;
use crate::ppo::shuffle::gather;
use crate::rollout::Buffer;

/// What the loss of a minibatch takes, `n` samples on the device; see the kernel.
#[derive(Clone, Debug)]
pub struct QBatch {
    pub samples: usize,
    pub layout: Arc<OutputLayout>,
    /// `[heads][n]`
    pub action: Buffer,
    /// `[heads][n]` of what is seen afterwards.
    pub mask: Buffer,
    /// `[1][n]` each.
    pub returns: Buffer,
    pub follow: Buffer,
    pub weight: Buffer,
}

/// What the fused kernel leaves on the device.
#[derive(Clone, Debug)]
pub struct QLoss {
    /// `[rows of the layout][n]`
    pub gradient: Buffer,
    /// `[part::ALL][n]`
    pub parts: Buffer,
    /// `[1]` sum of the weights.
    pub total: Buffer,
}

/// The loss of double Q-learning and its gradient with respect to `outputs`; all three outputs are
/// `[rows of the layout][n]`.
pub fn double_q_loss(
    device: &Device,
    outputs: &Buffer,
    chooser: &Buffer,
    target: &Buffer,
    batch: &QBatch,
    width: f32,
) -> QLoss {
    let (client, n) = (&device.client, batch.samples);
    let found = QLoss {
        total: sum_rows(device, &batch.weight),
        gradient: Buffer::empty(client, batch.layout.rows(), n),
        parts: Buffer::empty(client, part::ALL, n),
    };
    // SAFETY: the shapes are those that the kernel documents; threads beyond are checked.
    unsafe {
        kernel::double_q_loss::launch_unchecked(
            client,
            grid(n),
            group(),
            argument(outputs),
            argument(chooser),
            argument(target),
            argument(&batch.action),
            argument(&batch.mask),
            argument(&batch.returns),
            argument(&batch.follow),
            argument(&batch.weight),
            argument(&found.total),
            argument(&found.gradient),
            argument(&found.parts),
            n as u32,
            width,
            batch.layout.clone(),
        );
    }
    found
}

/// Add the means of a loss's parts to `tally`, `[part::ALL][1]`; `first` begins anew.
fn tally(device: &Device, loss: &QLoss, tally: &Buffer, first: bool) {
    let n = loss.parts.columns;
    let blocks = sums::blocks(n);
    let partial = Buffer::empty(&device.client, part::ALL, blocks);
    // SAFETY: the shapes are those that the kernels document; threads beyond are checked.
    unsafe {
        sums::partial_sums::launch_unchecked(
            &device.client,
            grid(part::ALL * blocks),
            group(),
            argument(&loss.parts),
            argument(&partial),
            part::ALL as u32,
            n as u32,
            blocks as u32,
        );
        kernel::tally::launch_unchecked(
            &device.client,
            grid(part::ALL),
            group(),
            argument(&partial),
            argument(&loss.total),
            argument(tally),
            part::ALL as u32,
            blocks as u32,
            u32::from(first),
        );
    }
}

/// `to` moves `share` of the way to `from`.
pub fn follow(device: &Device, from: &Buffer, to: &Buffer, share: f64) {
    // SAFETY: both have the words of `to`; threads beyond are checked.
    unsafe {
        target::follow::launch_unchecked(
            &device.client,
            grid(to.len()),
            group(),
            argument(from),
            argument(to),
            to.len() as u32,
            share as f32,
        );
    }
}

/// What learns.
pub struct Student<'a> {
    pub network: &'a PolicyNetwork,
    /// The memory of the network's parameters, which the optimiser changes in place.
    pub parameters: &'a Buffer,
    /// Parameters of the target network, the same length.
    pub target: &'a Buffer,
    pub adam: &'a Adam,
    /// `[part::ALL][1]` sums of the means over the steps of an update.
    pub tally: &'a Buffer,
}

/// The steps of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QPlan {
    /// How minibatches are drawn; `number` is that of the first step in the run.
    pub sampling: Sampling,
    pub steps: u64,
    pub rate: f32,
    pub width: f32,
    pub target_every: u64,
    pub target_share: f64,
    /// Steps of the run before this update.
    pub before: u64,
}

/// Learn from the ring.
///
/// # Errors
/// When tensors are not on the kernels' device.
pub fn update(
    device: &Device,
    student: &Student<'_>,
    replay: &Replay,
    plan: &QPlan,
) -> Result<(), AgentError> {
    for step in 0..plan.steps {
        let number = plan.before + step;
        let sampling = Sampling {
            number: number as u32,
            ..plan.sampling
        };
        minibatch(device, student, replay, plan, &sampling, step == 0)?;
        if (number + 1).is_multiple_of(plan.target_every) {
            follow(
                device,
                student.parameters,
                student.target,
                plan.target_share,
            );
        }
    }
    Ok(())
}

fn minibatch(
    device: &Device,
    student: &Student<'_>,
    replay: &Replay,
    plan: &QPlan,
    how: &Sampling,
    first: bool,
) -> Result<(), AgentError> {
    let network = student.network;
    let shape = network.shape();
    let sample = replay.draw(device, how);
    let at = |from: &Buffer, places: &Buffer| gather(device, from, places, 1, 1);
    let batch = QBatch {
        samples: how.batch,
        layout: Arc::new(shape.outputs.clone()),
        action: at(&replay.action, &sample.place),
        mask: at(&replay.mask, &sample.next),
        returns: sample.returns,
        follow: sample.follow,
        weight: sample.weight,
    };
    let inputs = |places: &Buffer| {
        let seen = bridge::tensor(device, &at(&replay.observation, places));
        if shape.sees_hidden == 0 {
            return seen;
        }
        let told = bridge::tensor(device, &at(&replay.hidden, places));
        Tensor::cat(vec![seen, told], 0)
    };
    // a network without memory reads neither the state of a core nor where episodes begin
    let unused = Buffer::empty(&device.client, 1, how.batch);
    let values = |network: &PolicyNetwork, inputs: Tensor<2>| {
        let core = bridge::tensor(device, &unused);
        network.forward_sequence(device, inputs, core, &unused, 1)
    };
    let plain = |outputs: Tensor<2>| bridge::buffer(outputs).ok_or_else(elsewhere);
    let afterwards = inputs(&sample.next);
    let chooser = plain(values(
        &fixed(device, network, student.parameters),
        afterwards.clone(),
    )?)?;
    let target = plain(values(&fixed(device, network, student.target), afterwards)?)?;
    let outputs = values(network, inputs(&sample.place))?;
    let now = plain(outputs.clone().inner())?;
    let found = double_q_loss(device, &now, &chooser, &target, &batch, plan.width);
    tally(device, &found, student.tally, first);
    let loss = bridge::tensor_of(device, student.tally, [part::ALL]).narrow(0, 0, 1);
    let gradient = bridge::tensor(device, &found.gradient);
    let gradients = with_gradient(outputs, loss, gradient).backward();
    let gradient = network.parameters.val().grad(&gradients);
    let gradient = gradient.and_then(bridge::buffer).ok_or_else(elsewhere)?;
    let change = Change {
        handle: &found.total.handle,
        len: found.total.len(),
        word: 0,
    };
    student.adam.step(
        device,
        &student.parameters.handle,
        &gradient.handle,
        &change,
        plan.rate,
        first,
    );
    Ok(())
}

/// The network with these parameters, without gradients and without a copy.
fn fixed(device: &Device, network: &PolicyNetwork, parameters: &Buffer) -> PolicyNetwork {
    let words = parameters.rows * parameters.columns;
    let tensor = bridge::tensor_of(device, parameters, [words]);
    network.with_tensor(tensor)
}

fn elsewhere() -> AgentError {
    AgentError::Option {
        key: "network".to_owned(),
        value: "parameters".to_owned(),
        cause: "not on the kernels' device, or without gradients".to_owned(),
    }
}
