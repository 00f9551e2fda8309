//! The policy network over whole sequences, with gradients.

use burn::module::{Module, Param};
use burn::tensor::{Device as TensorDevice, Tensor, TensorData};
use posology_kernels::device::Device;

use super::initial;
use super::shape::NetworkShape;
use crate::error::AgentError;
use crate::ops::dense::dense;
use crate::ops::gru::gru_sequence;
use crate::rollout::Buffer;

/// A policy network; all its weights are one vector, so that the optimiser, the norm of the
/// gradient, a checkpoint and the kernel of inference see one buffer.
#[derive(Module, Debug)]
pub struct PolicyNetwork {
    /// `[offsets().total]`, laid out as [`NetworkShape::offsets`] says.
    pub parameters: Param<Tensor<1>>,
    #[module(skip)]
    shape: NetworkShape,
}

impl PolicyNetwork {
    /// The first network of a seed; on a device with autodiff it learns.
    pub fn new(shape: NetworkShape, seed: u64, device: &TensorDevice) -> Self {
        let parameters = initial::parameters(&shape, seed);
        Self::with_parameters(shape, parameters, device)
    }

    /// A network with these weights, `shape.offsets().total` of them.
    pub fn with_parameters(
        shape: NetworkShape,
        parameters: Vec<f32>,
        device: &TensorDevice,
    ) -> Self {
        let length = parameters.len();
        let tensor = Tensor::from_data(TensorData::new(parameters, [length]), device);
        let tensor = if tensor.is_autodiff() {
            tensor.require_grad()
        } else {
            tensor
        };
        Self {
            parameters: Param::from_tensor(tensor),
            shape,
        }
    }

    /// The same network with this tensor as its parameters, which may be shared memory.
    #[must_use]
    pub fn with_tensor(&self, parameters: Tensor<1>) -> Self {
        Self {
            parameters: Param::from_tensor(parameters),
            shape: self.shape.clone(),
        }
    }

    pub fn shape(&self) -> &NetworkShape {
        &self.shape
    }

    /// The weights as the buffer that [`super::Actor`] reads; the same memory.
    pub fn buffer(&self) -> Option<Buffer> {
        let tensor = self.parameters.val();
        crate::bridge::buffer(if tensor.is_autodiff() {
            tensor.inner()
        } else {
            tensor
        })
    }

    /// Outputs `[rows, steps * lanes]` for inputs `[inputs, steps * lanes]`, decision by decision.
    ///
    /// `core` `[state, lanes]` is the state before the first decision (unused without memory);
    /// `started`, `[steps or more, lanes]`, says where it is zero because an episode begins.
    ///
    /// # Errors
    /// When lengths do not fit each other.
    pub fn forward_sequence(
        &self,
        device: &Device,
        inputs: Tensor<2>,
        core: Tensor<2>,
        started: &Buffer,
        steps: usize,
    ) -> Result<Tensor<2>, AgentError> {
        let (shape, at) = (&self.shape, self.shape.offsets());
        let all = self.parameters.val();
        let learning = all.is_autodiff();
        let beside = |data: Tensor<2>| if learning { data.autodiff() } else { data };
        let matrix = |from: usize, rows: usize, columns: usize| {
            let view = all.clone().narrow(0, from, rows * columns);
            view.reshape([rows, columns])
        };
        let vector = |from: usize, rows: usize| all.clone().narrow(0, from, rows);
        let (encoder, hidden) = (shape.encoder, shape.hidden);
        let encoded = dense(
            device,
            matrix(at.encoder_weight, encoder, shape.inputs),
            vector(at.encoder_bias, encoder),
            beside(inputs),
        )?
        .tanh();
        let gates = shape.gates() * hidden;
        let driven = dense(
            device,
            matrix(at.core_weight, gates, encoder),
            vector(at.core_bias, gates),
            encoded,
        )?;
        let states = if shape.recurrent {
            let u = matrix(at.recurrent_weight, gates, hidden);
            let c = vector(at.recurrent_bias, gates);
            gru_sequence(device, driven, u, c, beside(core), started, steps)?
        } else {
            driven.tanh()
        };
        dense(
            device,
            matrix(at.output_weight, shape.rows(), hidden),
            vector(at.output_bias, shape.rows()),
            states,
        )
    }
}
