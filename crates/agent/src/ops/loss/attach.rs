//! A value whose gradient is known beforehand.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::BufferArg;
use posology_kernels::update::sums::{SCALED_PER_THREAD, scale};
use posology_kernels::update::{grid, group};

#[backend_extension(Cube, Autodiff)]
pub trait KnownGradient: Backend {
    /// `value`, `[1]`, as a function of `input` whose derivative is `gradient`.
    fn known_gradient(
        input: FloatTensor<Self>,
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `gradient` times the one number of `upstream`; the memory of `gradient` may be used.
    fn chained(gradient: FloatTensor<Self>, upstream: FloatTensor<Self>) -> FloatTensor<Self> {
        let ones = Shape::from(vec![1; gradient.shape().num_dims()]);
        Self::float_mul(gradient, Self::float_reshape(upstream, ones))
    }
}

impl KnownGradient for CubeBackend {
    fn known_gradient(
        _input: FloatTensor<Self>,
        value: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        value
    }

    fn chained(gradient: FloatTensor<Self>, upstream: FloatTensor<Self>) -> FloatTensor<Self> {
        let (gradient, upstream) = (into_contiguous(gradient), into_contiguous(upstream));
        let words = gradient.meta.shape().num_elements();
        // SAFETY: `gradient` has `words` words and `upstream` one; the kernel checks the former.
        unsafe {
            scale::launch_unchecked(
                &gradient.client,
                grid(words.div_ceil(SCALED_PER_THREAD)),
                group(),
                BufferArg::from_raw_parts(gradient.handle.clone(), words),
                BufferArg::from_raw_parts(upstream.handle.clone(), 1),
                words as u32,
            );
        }
        gradient
    }
}

#[derive(Debug)]
struct Known;

impl<B: Backend + KnownGradient> Backward<B, 1> for Known {
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let upstream = grads.consume::<B>(&ops.node);
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::chained(ops.state, upstream));
        }
    }
}

impl<B: Backend + KnownGradient, C: CheckpointStrategy> KnownGradient for Autodiff<B, C> {
    fn known_gradient(
        input: FloatTensor<Self>,
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (value, gradient) = (value.into_primitive(), gradient.into_primitive());
        match Known
            .prepare::<C>([input.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish(gradient, value),
            OpsKind::UnTracked(prepared) => prepared.finish(value),
        }
    }
}

/// `value` as a function of `input` whose derivative is `gradient`, of the shape of `input`.
pub fn with_gradient<const D: usize>(
    input: Tensor<D>,
    value: Tensor<1>,
    gradient: Tensor<D>,
) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as KnownGradient>::known_gradient(
        input.into_dispatch(),
        value.into_dispatch(),
        gradient.into_dispatch(),
    ))
}
