//! The update in plain tensor operations: what the update of own kernels is compared with.
//!
//! The same minibatches go through the network, the loss, automatic differentiation, clipping by the
//! global norm and Adam as a program that has Burn alone would write them: weights are tensors of
//! their own, the constants of Adam are the host's, and nothing is read back unless an update may
//! stop early.

use burn::tensor::Tensor;
use posology_kernels::device::Device;
use posology_kernels::policy::act::copy;
use posology_kernels::update::adam::{self, Adam, STATE_WORDS};
use posology_kernels::update::loss::part;
use posology_kernels::update::{grid, group};

use super::update::{Learned, Minibatch, UpdatePlan, elsewhere};
use crate::bridge;
use crate::error::AgentError;
use crate::ops::loss::unfused_loss;
use crate::ops::sums::argument;
use crate::policy::PolicyNetwork;
use crate::policy::plain::PlainNetwork;
use crate::rollout::Buffer;

/// As [`super::update::update`], except that the norms of gradients are not kept.
///
/// # Errors
/// As there.
pub fn plain_update(
    device: &Device,
    network: &PolicyNetwork,
    parameters: &Buffer,
    adam: &Adam,
    from: &Learned<'_>,
    plan: &UpdatePlan,
) -> Result<Vec<Buffer>, AgentError> {
    let shape = network.shape();
    let cut = |buffer: &Buffer| {
        let flat = bridge::tensor_of(device, buffer, [adam.n]);
        PlainNetwork::split(shape, &flat)
    };
    let memory = |handle: &cubecl::server::Handle, len: usize| Buffer {
        handle: handle.clone(),
        rows: 1,
        columns: len,
    };
    let (first, second) = (memory(&adam.first, adam.n), memory(&adam.second, adam.n));
    let state = memory(&adam.state, STATE_WORDS);
    let mut words = state.floats(&device.client)?;
    let mut weights = cut(parameters);
    let mut moments: Vec<(Tensor<2>, Tensor<2>)> =
        cut(&first).into_iter().zip(cut(&second)).collect();
    let mut all = Vec::new();
    let mut steps = 0;
    for chosen in from.minibatches(device, plan) {
        let batch = Minibatch::new(device, shape, from, &chosen);
        let learning: Vec<Tensor<2>> = weights
            .iter()
            .map(|weight| weight.clone().autodiff().require_grad())
            .collect();
        let plain = PlainNetwork::new(shape, learning.clone()).ok_or_else(elsewhere)?;
        let outputs = plain.forward_sequence(
            batch.inputs.clone().autodiff(),
            bridge::tensor(device, &batch.core).autodiff(),
            batch.carried(device).autodiff(),
            batch.steps,
        );
        let (loss, metrics) = unfused_loss(device, outputs, &batch.loss, &plan.loss);
        all.push(bridge::buffer(metrics.clone()).ok_or_else(elsewhere)?);
        if adam.options.target > 0.0 {
            let change = metrics.narrow(0, part::KL, 1).into_scalar::<f32>();
            words[adam::CHANGE] = change;
            if change > adam.options.target {
                break;
            }
        }
        let gradients = loss.backward();
        let gradients: Option<Vec<Tensor<2>>> = learning
            .iter()
            .map(|weight| weight.grad(&gradients))
            .collect();
        let gradients = gradients.ok_or_else(elsewhere)?;
        words[adam::POWER_1] *= adam.options.beta_1;
        words[adam::POWER_2] *= adam.options.beta_2;
        let powers = (words[adam::POWER_1], words[adam::POWER_2]);
        step(
            adam,
            powers,
            plan.rate,
            &mut weights,
            &mut moments,
            gradients,
        );
        steps += 1;
    }
    words[adam::STEPS] = steps as f32;
    words[adam::POISONED] = 0.0;
    let (firsts, seconds): (Vec<_>, Vec<_>) = moments.into_iter().unzip();
    for (parts, to) in [
        (&weights, parameters),
        (&firsts, &first),
        (&seconds, &second),
    ] {
        let joined = bridge::buffer(PlainNetwork::join(parts)).ok_or_else(elsewhere)?;
        put(device, &joined, to);
    }
    let words: Vec<u32> = words.iter().map(|word| word.to_bits()).collect();
    let words = Buffer::from_words(&device.client, &words, 1, STATE_WORDS);
    put(device, &words, &state);
    Ok(all)
}

/// Clipping and one step of Adam.
fn step(
    adam: &Adam,
    (power_1, power_2): (f32, f32),
    rate: f32,
    weights: &mut [Tensor<2>],
    moments: &mut [(Tensor<2>, Tensor<2>)],
    gradients: Vec<Tensor<2>>,
) {
    let options = adam.options;
    let squares = gradients.iter().map(|g| g.clone().square().sum());
    let norm = Tensor::cat(squares.collect(), 0).sum().sqrt();
    let scale = norm.recip().mul_scalar(options.max_norm).clamp_max(1.0);
    let scale = scale.reshape([1, 1]);
    let root = (1.0 - power_2).sqrt();
    let factor = rate * root / (1.0 - power_1);
    for ((weight, (first, second)), g) in weights.iter_mut().zip(moments).zip(gradients) {
        let g = g * scale.clone();
        *first = first.clone() * options.beta_1 + g.clone() * (1.0 - options.beta_1);
        *second = second.clone() * options.beta_2 + g.square() * (1.0 - options.beta_2);
        let spread = second.clone().sqrt() + options.epsilon * root;
        *weight = weight.clone() - first.clone() * factor / spread;
    }
}

/// Copy the words of a buffer to another one of the same length.
fn put(device: &Device, from: &Buffer, to: &Buffer) {
    // SAFETY: both buffers have the words that they say; the kernel goes by the second's length.
    unsafe {
        copy::launch_unchecked(
            &device.client,
            grid(to.len()),
            group(),
            argument(from),
            argument(to),
        );
    }
}
