//! The recurrent core over a whole sequence: one launch forward, one backward.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use posology_kernels::dense::Part;
use posology_kernels::device::Device;
use posology_kernels::recurrent::{self, Inputs, Sequence, Target};

use super::{Found, handle, tensor_like};
use crate::bridge;
use crate::error::AgentError;
use crate::rollout::Buffer;

/// The states `[H, steps * lanes]` of a gated recurrent unit after each step, column
/// `step * lanes + lane`, differentiable by `xw`, `u`, `c` and `h0`.
///
/// `xw` is `[3H, steps * lanes]` (what the inputs give, bias included; gates r, z, n), `u` `[3H, H]`,
/// `c` `[3H]`, `h0` `[H, lanes]` the state before the first step. `started` is
/// `[at least steps][lanes]` u32: where it is not 0 the state is zero before the step, whatever `h0`
/// holds there. Equations: [`posology_kernels::recurrent`]. First derivatives only.
///
/// # Errors
/// When the shapes do not fit each other, or `H` is not a multiple of
/// [`recurrent::UNITS_MULTIPLE`].
pub fn gru_sequence(
    device: &Device,
    xw: Tensor<2>,
    u: Tensor<2>,
    c: Tensor<1>,
    h0: Tensor<2>,
    started: &Buffer,
    steps: usize,
) -> Result<Tensor<2>, AgentError> {
    gru_sequence_on(Target::of(device), device, xw, u, c, h0, started, steps)
}

/// As [`gru_sequence`], with launches as for another adapter or with another budget, for tests.
///
/// # Errors
/// As [`gru_sequence`].
#[allow(clippy::too_many_arguments)]
pub fn gru_sequence_on(
    target: Target,
    device: &Device,
    xw: Tensor<2>,
    u: Tensor<2>,
    c: Tensor<1>,
    h0: Tensor<2>,
    started: &Buffer,
    steps: usize,
) -> Result<Tensor<2>, AgentError> {
    let [hidden, lanes] = h0.dims();
    let sequence = Sequence {
        hidden,
        steps,
        lanes,
    };
    let fits = xw.dims() == [3 * hidden, steps * lanes]
        && u.dims() == [3 * hidden, hidden]
        && c.dims() == [3 * hidden]
        && started.len() >= steps * lanes;
    if !fits || !sequence.is_supported() {
        return Err(AgentError::Option {
            key: "hidden".to_owned(),
            value: hidden.to_string(),
            cause: format!(
                "the recurrent core takes a multiple of {} units and tensors of {hidden} units, \
                 {steps} steps and {lanes} lanes; its inputs are {:?}, its matrix {:?}",
                recurrent::UNITS_MULTIPLE,
                xw.dims(),
                u.dims(),
            ),
        });
    }
    // the words travel as a tensor of floats, of which only the memory is used
    let started = bridge::tensor_of(device, started, [started.len()]);
    Ok(Tensor::from_dispatch(<Dispatch as GruOps>::gru(
        xw.into_dispatch(),
        u.into_dispatch(),
        c.into_dispatch(),
        h0.into_dispatch(),
        started.into_dispatch(),
        target,
        sequence,
    )))
}

/// The operation on a backend's own tensors.
#[backend_extension(Cube, Autodiff)]
pub trait GruOps: Backend {
    /// The states alone.
    fn gru(
        xw: FloatTensor<Self>,
        u: FloatTensor<Self>,
        c: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        started: FloatTensor<Self>,
        target: Target,
        sequence: Sequence,
    ) -> FloatTensor<Self>;

    /// The states, and what the backward pass needs.
    fn gru_forward(
        xw: FloatTensor<Self>,
        u: FloatTensor<Self>,
        c: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        started: FloatTensor<Self>,
        target: Target,
        sequence: Sequence,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Derivatives by `xw`, `u`, `c` and `h0`.
    #[allow(clippy::too_many_arguments)]
    fn gru_backward(
        u: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        started: FloatTensor<Self>,
        out: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        d_out: FloatTensor<Self>,
        target: Target,
        sequence: Sequence,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );
}

fn run(
    [xw, u, c, h0, started]: [CubeTensor; 5],
    target: Target,
    sequence: Sequence,
    save: bool,
) -> (CubeTensor, CubeTensor) {
    let like = xw.clone();
    let (rows, hidden) = (3 * sequence.hidden, sequence.hidden);
    let inputs = Inputs {
        xw: handle(xw),
        u: Part::all(&handle(u), rows * hidden),
        c: Part::all(&handle(c), rows),
        h0: handle(h0),
        started: handle(started),
    };
    let done = recurrent::forward(&like.client, target, sequence, &inputs, save);
    let columns = sequence.columns();
    let saved = if save { 4 * hidden * columns } else { 1 };
    (
        tensor_like(&like, done.out, [hidden, columns]),
        tensor_like(&like, done.saved, [saved]),
    )
}

impl GruOps for CubeBackend {
    fn gru(
        xw: CubeTensor,
        u: CubeTensor,
        c: CubeTensor,
        h0: CubeTensor,
        started: CubeTensor,
        target: Target,
        sequence: Sequence,
    ) -> CubeTensor {
        run([xw, u, c, h0, started], target, sequence, false).0
    }

    fn gru_forward(
        xw: CubeTensor,
        u: CubeTensor,
        c: CubeTensor,
        h0: CubeTensor,
        started: CubeTensor,
        target: Target,
        sequence: Sequence,
    ) -> (CubeTensor, CubeTensor) {
        run([xw, u, c, h0, started], target, sequence, true)
    }

    fn gru_backward(
        u: CubeTensor,
        h0: CubeTensor,
        started: CubeTensor,
        out: CubeTensor,
        saved: CubeTensor,
        d_out: CubeTensor,
        target: Target,
        sequence: Sequence,
    ) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
        let like = out.clone();
        let state = recurrent::State {
            u: Part::all(&handle(u), 3 * sequence.hidden * sequence.hidden),
            h0: handle(h0),
            started: handle(started),
        };
        let forward = recurrent::Forward {
            out: handle(out),
            saved: handle(saved),
        };
        let d_out = handle(d_out);
        let hidden = sequence.hidden;
        let made = Found::new(&like, 3 * hidden, hidden);
        let found = recurrent::backward(
            &like.client,
            target,
            sequence,
            &state,
            &forward,
            &d_out,
            made.place(),
        );
        let (u, c) = made.tensors(&like);
        (
            tensor_like(&like, found.xw, [3 * hidden, sequence.columns()]),
            u,
            c,
            tensor_like(&like, found.h0, [hidden, sequence.lanes]),
        )
    }
}

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct Kept<B: Backend> {
    u: FloatTensor<B>,
    h0: FloatTensor<B>,
    started: FloatTensor<B>,
    out: FloatTensor<B>,
    saved: FloatTensor<B>,
    target: Target,
    sequence: Sequence,
}

#[derive(Debug)]
struct GruBackward;

impl<B: Backend + GruOps> Backward<B, 4> for GruBackward {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d_out = grads.consume::<B>(&ops.node);
        let kept = ops.state;
        let (xw, u, c, h0) = B::gru_backward(
            kept.u,
            kept.h0,
            kept.started,
            kept.out,
            kept.saved,
            d_out,
            kept.target,
            kept.sequence,
        );
        for (parent, gradient) in ops.parents.into_iter().zip([xw, u, c, h0]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: Backend + GruOps, C: CheckpointStrategy> GruOps for Autodiff<B, C> {
    fn gru(
        xw: FloatTensor<Self>,
        u: FloatTensor<Self>,
        c: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        started: FloatTensor<Self>,
        target: Target,
        sequence: Sequence,
    ) -> FloatTensor<Self> {
        let nodes = [xw.node(), u.node(), c.node(), h0.node()];
        let [xw, u, c, h0, started] = [xw, u, c, h0, started].map(|tensor| tensor.into_primitive());
        match GruBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (out, saved) = B::gru_forward(
                    xw,
                    u.clone(),
                    c,
                    h0.clone(),
                    started.clone(),
                    target,
                    sequence,
                );
                let kept = Kept {
                    u,
                    h0,
                    started,
                    out: out.clone(),
                    saved,
                    target,
                    sequence,
                };
                prepared.finish(kept, out)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::gru(xw, u, c, h0, started, target, sequence))
            }
        }
    }

    fn gru_forward(
        xw: FloatTensor<Self>,
        u: FloatTensor<Self>,
        c: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        started: FloatTensor<Self>,
        target: Target,
        sequence: Sequence,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [xw, u, c, h0, started] = [xw, u, c, h0, started].map(|tensor| tensor.into_primitive());
        let (out, saved) = B::gru_forward(xw, u, c, h0, started, target, sequence);
        (Self::from_inner(out), Self::from_inner(saved))
    }

    fn gru_backward(
        u: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        started: FloatTensor<Self>,
        out: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        d_out: FloatTensor<Self>,
        target: Target,
        sequence: Sequence,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let [u, h0, started, out, saved, d_out] =
            [u, h0, started, out, saved, d_out].map(|tensor| tensor.into_primitive());
        let (xw, u, c, h0) = B::gru_backward(u, h0, started, out, saved, d_out, target, sequence);
        (
            Self::from_inner(xw),
            Self::from_inner(u),
            Self::from_inner(c),
            Self::from_inner(h0),
        )
    }
}
