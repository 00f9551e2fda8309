//! The policy network over whole sequences, with gradients.

use burn::module::{Module, Param};
use burn::tensor::{Device as TensorDevice, Tensor, TensorData};
use posology_kernels::device::Device;

use super::initial;
use super::shape::NetworkShape;
use crate::error::AgentError;
use crate::ops::network::network_sequence;
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

    /// Outputs `[rows, steps * lanes]` for inputs `[inputs, steps * lanes]`, decision by decision,
    /// differentiable by the parameters.
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
        let parameters = self.parameters.val();
        network_sequence(
            device,
            &self.shape,
            parameters,
            inputs,
            core,
            started,
            steps,
        )
    }
}
