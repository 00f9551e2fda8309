//! The policy network over whole sequences, with gradients.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{DType, Device, Int, Shape, Tensor, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::initial;
use super::shape::NetworkShape;
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
    pub fn new(shape: NetworkShape, seed: u64, device: &Device) -> Self {
        let parameters = initial::parameters(&shape, seed);
        Self::with_parameters(shape, parameters, device)
    }

    /// A network with these weights, `shape.offsets().total` of them.
    pub fn with_parameters(shape: NetworkShape, parameters: Vec<f32>, device: &Device) -> Self {
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
    /// `core` `[state, lanes]` is the state before the first decision (no rows without memory);
    /// `started`, `[steps or more, lanes]`, says where it is zero because an episode begins.
    pub fn forward_sequence(
        &self,
        inputs: Tensor<2>,
        core: Tensor<2>,
        started: &Buffer,
        steps: usize,
        lanes: usize,
    ) -> Tensor<2> {
        let (shape, at) = (&self.shape, self.shape.offsets());
        let all = self.parameters.val();
        let matrix = |from: usize, rows: usize, columns: usize| {
            let view = all.clone().slice([from..from + rows * columns]);
            view.reshape([rows, columns])
        };
        let (encoder, hidden) = (shape.encoder, shape.hidden);
        let encoded = (matrix(at.encoder_weight, encoder, shape.inputs).matmul(inputs)
            + matrix(at.encoder_bias, encoder, 1))
        .tanh();
        let gates = shape.gates() * hidden;
        let driven =
            matrix(at.core_weight, gates, encoder).matmul(encoded) + matrix(at.core_bias, gates, 1);
        let states = if shape.recurrent {
            let u = matrix(at.recurrent_weight, gates, hidden);
            let c = all
                .clone()
                .slice([at.recurrent_bias..at.recurrent_bias + gates]);
            recurrent(driven, u, c, core, started, steps, lanes)
        } else {
            driven.tanh()
        };
        matrix(at.output_weight, shape.rows(), hidden).matmul(states)
            + matrix(at.output_bias, shape.rows(), 1)
    }
}

/// The states `[hidden, steps * lanes]` of a gated recurrent unit.
fn recurrent(
    driven: Tensor<2>,
    u: Tensor<2>,
    c: Tensor<1>,
    core: Tensor<2>,
    started: &Buffer,
    steps: usize,
    lanes: usize,
) -> Tensor<2> {
    let [gates, _] = driven.dims();
    let hidden = gates / 3;
    let c = c.reshape([gates, 1]);
    let keep = keeps(&driven, started, steps * lanes);
    let mut h = core;
    let mut states = Vec::with_capacity(steps);
    for t in 0..steps {
        let now = t * lanes..(t + 1) * lanes;
        if let Some(keep) = &keep {
            h = h * keep.clone().slice([0..1, now.clone()]);
        }
        let x = driven.clone().slice([0..gates, now]);
        let y = u.clone().matmul(h.clone()) + c.clone();
        let part =
            |of: &Tensor<2>, g: usize| of.clone().slice([g * hidden..(g + 1) * hidden, 0..lanes]);
        let r = sigmoid(part(&x, 0) + part(&y, 0));
        let z = sigmoid(part(&x, 1) + part(&y, 1));
        let n = (part(&x, 2) + r * part(&y, 2)).tanh();
        h = n.clone() + z * (h - n);
        states.push(h.clone());
    }
    Tensor::cat(states, 1)
}

/// 0 where an episode begins, `[1, count]`.
fn keeps(like: &Tensor<2>, started: &Buffer, count: usize) -> Option<Tensor<2>> {
    let autodiff = like.is_autodiff();
    let near = like
        .clone()
        .inner()
        .try_into_primitive::<CubeBackend>()
        .ok()?;
    let flags = CubeTensor::new_contiguous(
        near.client,
        near.device,
        Shape::from([1, started.len()]),
        started.handle.clone(),
        DType::U32,
    );
    let flags = Tensor::<2, Int>::from_primitive::<CubeBackend>(flags);
    let keep: Tensor<2> = 1.0 - flags.slice([0..1, 0..count]).float();
    Some(if autodiff { keep.autodiff() } else { keep })
}
