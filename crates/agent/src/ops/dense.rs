//! A dense layer over many columns, forward and backward by own kernels.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use posology_kernels::dense::{self, Layer, Part, Target};
use posology_kernels::device::Device;

use super::{Found, handle, tensor_like};
use crate::error::AgentError;

/// `w x + b`, `[outputs, columns]`, for `w` `[outputs, inputs]`, `b` `[outputs]` and `x`
/// `[inputs, columns]`; differentiable by all three, first derivatives only.
///
/// # Errors
/// When the shapes do not fit each other.
pub fn dense(
    device: &Device,
    w: Tensor<2>,
    b: Tensor<1>,
    x: Tensor<2>,
) -> Result<Tensor<2>, AgentError> {
    dense_on(Target::of(device), w, b, x)
}

/// As [`dense()`], with launches as for another adapter, for tests.
///
/// # Errors
/// As [`dense()`].
pub fn dense_on(
    target: Target,
    w: Tensor<2>,
    b: Tensor<1>,
    x: Tensor<2>,
) -> Result<Tensor<2>, AgentError> {
    let [outputs, inputs] = w.dims();
    let [given, columns] = x.dims();
    let words = 4 * columns * inputs.max(outputs);
    if given != inputs
        || b.dims() != [outputs]
        || outputs * inputs * columns == 0
        || u32::try_from(words).is_err()
    {
        return Err(AgentError::Option {
            key: "layer".to_owned(),
            value: format!("{outputs} x {inputs}"),
            cause: format!("it cannot take {given} rows of {columns} columns"),
        });
    }
    let layer = Layer {
        outputs,
        inputs,
        columns,
    };
    Ok(Tensor::from_dispatch(<Dispatch as DenseOps>::dense(
        w.into_dispatch(),
        b.into_dispatch(),
        x.into_dispatch(),
        target,
        layer,
    )))
}

/// The operation on a backend's own tensors.
#[backend_extension(Cube, Autodiff)]
pub trait DenseOps: Backend {
    fn dense(
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        x: FloatTensor<Self>,
        target: Target,
        layer: Layer,
    ) -> FloatTensor<Self>;

    /// The derivative by `x`, from the derivative by the outputs.
    fn dense_input(
        w: FloatTensor<Self>,
        d: FloatTensor<Self>,
        target: Target,
        layer: Layer,
    ) -> FloatTensor<Self>;

    /// The derivatives by `w` and `b`.
    fn dense_weights(
        x: FloatTensor<Self>,
        d: FloatTensor<Self>,
        target: Target,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl DenseOps for CubeBackend {
    fn dense(
        w: CubeTensor,
        b: CubeTensor,
        x: CubeTensor,
        target: Target,
        layer: Layer,
    ) -> CubeTensor {
        let like = x.clone();
        let w = Part::all(&handle(w), layer.outputs * layer.inputs);
        let b = Part::all(&handle(b), layer.outputs);
        let y = dense::forward(&like.client, target, layer, (&w, &b), &handle(x), false);
        tensor_like(&like, y, [layer.outputs, layer.columns])
    }

    fn dense_input(w: CubeTensor, d: CubeTensor, target: Target, layer: Layer) -> CubeTensor {
        let like = d.clone();
        let w = Part::all(&handle(w), layer.outputs * layer.inputs);
        let d_x = dense::backward(&like.client, target, layer, &w, &handle(d), None);
        tensor_like(&like, d_x, [layer.inputs, layer.columns])
    }

    fn dense_weights(
        x: CubeTensor,
        d: CubeTensor,
        target: Target,
        layer: Layer,
    ) -> (CubeTensor, CubeTensor) {
        let like = d.clone();
        let (x, d) = (handle(x), handle(d));
        let found = Found::new(&like, layer.outputs, layer.inputs);
        let (a, b) = ((&d, layer.outputs), (&x, layer.inputs));
        dense::sums(&like.client, target, &[a], b, layer.columns, found.place());
        found.tensors(&like)
    }
}

#[derive(Debug)]
struct DenseBackward;

impl<B: Backend + DenseOps> Backward<B, 3> for DenseBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, Target, Layer);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d = grads.consume::<B>(&ops.node);
        let (w, x, target, layer) = ops.state;
        let [by_w, by_b, by_x] = ops.parents;
        if by_w.is_some() || by_b.is_some() {
            let (d_w, d_b) = B::dense_weights(x, d.clone(), target, layer);
            if let Some(parent) = by_w {
                grads.register::<B>(parent.id, d_w);
            }
            if let Some(parent) = by_b {
                grads.register::<B>(parent.id, d_b);
            }
        }
        if let Some(parent) = by_x {
            grads.register::<B>(parent.id, B::dense_input(w, d, target, layer));
        }
    }
}

impl<B: Backend + DenseOps, C: CheckpointStrategy> DenseOps for Autodiff<B, C> {
    fn dense(
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        x: FloatTensor<Self>,
        target: Target,
        layer: Layer,
    ) -> FloatTensor<Self> {
        let nodes = [w.node(), b.node(), x.node()];
        let [w, b, x] = [w, b, x].map(|tensor| tensor.into_primitive());
        match DenseBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::dense(w.clone(), b, x.clone(), target, layer);
                prepared.finish((w, x, target, layer), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::dense(w, b, x, target, layer)),
        }
    }

    fn dense_input(
        w: FloatTensor<Self>,
        d: FloatTensor<Self>,
        target: Target,
        layer: Layer,
    ) -> FloatTensor<Self> {
        let (w, d) = (w.into_primitive(), d.into_primitive());
        Self::from_inner(B::dense_input(w, d, target, layer))
    }

    fn dense_weights(
        x: FloatTensor<Self>,
        d: FloatTensor<Self>,
        target: Target,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, d) = (x.into_primitive(), d.into_primitive());
        let (w, b) = B::dense_weights(x, d, target, layer);
        (Self::from_inner(w), Self::from_inner(b))
    }
}
