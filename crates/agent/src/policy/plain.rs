//! The policy network in plain tensor operations, as a program that has Burn alone would write it:
//! what the network of own kernels is compared with, in tests and in `posology bench train`.
//!
//! Every layer is a matrix product of all gates together. The core takes one step after the other,
//! and each step drives it anew: cutting the steps out of one large product is slower, because the
//! derivative of each cut is a matrix of zeros as large as the whole.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::shape::NetworkShape;

/// Matrix `[outputs, inputs]` and bias `[outputs, 1]`.
#[derive(Clone, Debug)]
struct Linear {
    weight: Tensor<2>,
    bias: Tensor<2>,
}

impl Linear {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.weight.clone().matmul(x) + self.bias.clone()
    }
}

/// A policy network whose weights are tensors of their own.
#[derive(Clone, Debug)]
pub struct PlainNetwork {
    hidden: usize,
    encoder: Linear,
    core: Linear,
    recurrent: Option<Linear>,
    output: Linear,
}

impl PlainNetwork {
    /// With these weights, in the order of [`PlainNetwork::split`].
    pub fn new(shape: &NetworkShape, weights: Vec<Tensor<2>>) -> Option<Self> {
        let mut weights = weights.into_iter();
        let mut linear = || {
            Some(Linear {
                weight: weights.next()?,
                bias: weights.next()?,
            })
        };
        let (encoder, core) = (linear()?, linear()?);
        let recurrent = if shape.recurrent {
            Some(linear()?)
        } else {
            None
        };
        Some(Self {
            hidden: shape.hidden,
            encoder,
            core,
            recurrent,
            output: linear()?,
        })
    }

    /// One vector of parameters as matrices and biases, layer by layer; or anything that is laid
    /// out as parameters are.
    pub fn split(shape: &NetworkShape, parameters: &Tensor<1>) -> Vec<Tensor<2>> {
        let at = shape.offsets();
        let gates = shape.gates() * shape.hidden;
        let mut layers = vec![
            (at.encoder_weight, shape.encoder, shape.inputs),
            (at.encoder_bias, shape.encoder, 1),
            (at.core_weight, gates, shape.encoder),
            (at.core_bias, gates, 1),
        ];
        if shape.recurrent {
            layers.push((at.recurrent_weight, gates, shape.hidden));
            layers.push((at.recurrent_bias, gates, 1));
        }
        layers.push((at.output_weight, shape.rows(), shape.hidden));
        layers.push((at.output_bias, shape.rows(), 1));
        let cut = |(first, rows, columns): (usize, usize, usize)| {
            let part = parameters.clone().narrow(0, first, rows * columns);
            part.reshape([rows, columns])
        };
        layers.into_iter().map(cut).collect()
    }

    /// What [`PlainNetwork::split`] cut, as one vector again.
    pub fn join(parts: &[Tensor<2>]) -> Tensor<1> {
        let flat = |part: &Tensor<2>| part.clone().reshape([-1]);
        Tensor::cat(parts.iter().map(flat).collect(), 0)
    }

    /// Outputs `[rows, steps * lanes]` for inputs `[inputs, steps * lanes]`, decision by decision.
    /// `core` `[state, lanes]` is the state before the first one; `carried`, `[steps or more, lanes]`,
    /// is 0 where an episode begins and the state is zero, and 1 elsewhere.
    pub fn forward_sequence(
        &self,
        inputs: Tensor<2>,
        core: Tensor<2>,
        carried: Tensor<2>,
        steps: usize,
    ) -> Tensor<2> {
        let lanes = inputs.dims()[1] / steps.max(1);
        let drive = |x: Tensor<2>| self.core.forward(self.encoder.forward(x).tanh());
        let Some(held) = &self.recurrent else {
            return self.output.forward(drive(inputs).tanh());
        };
        let hidden = self.hidden;
        let mut states = Vec::with_capacity(steps);
        let mut state = core;
        for t in 0..steps {
            let x = drive(inputs.clone().narrow(1, t * lanes, lanes));
            let before = state * carried.clone().narrow(0, t, 1);
            let h = held.forward(before.clone());
            let gate = |all: &Tensor<2>, g: usize| all.clone().narrow(0, g * hidden, hidden);
            let reset = sigmoid(gate(&x, 0) + gate(&h, 0));
            let keep = sigmoid(gate(&x, 1) + gate(&h, 1));
            let new = (gate(&x, 2) + reset * gate(&h, 2)).tanh();
            state = new.clone() + keep * (before - new);
            states.push(state.clone());
        }
        self.output.forward(Tensor::cat(states, 1))
    }
}
