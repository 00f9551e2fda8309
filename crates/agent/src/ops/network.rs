//! The policy network over whole sequences as one operation: own kernels forward and backward, and
//! the gradient by the one vector of parameters without a copy of any of its parts.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::server::Handle;
use posology_kernels::dense::{self, Layer, Part, Place};
use posology_kernels::device::Device;
use posology_kernels::recurrent::{self, Inputs, Sequence, State, Target};

use super::{handle, tensor_like};
use crate::bridge;
use crate::error::AgentError;
use crate::policy::NetworkShape;
use crate::rollout::Buffer;

/// Outputs `[rows, steps * lanes]` of a policy network, differentiable by its parameters only.
///
/// `parameters` is laid out as [`NetworkShape::offsets`] says, `inputs` is `[inputs, steps * lanes]`,
/// `core` `[state, lanes]` the state before the first step (unused without memory), `started`
/// `[steps or more][lanes]`. First derivatives only.
///
/// # Errors
/// When lengths do not fit each other, or the core is not one that the kernels take.
pub fn network_sequence(
    device: &Device,
    shape: &NetworkShape,
    parameters: Tensor<1>,
    inputs: Tensor<2>,
    core: Tensor<2>,
    started: &Buffer,
    steps: usize,
) -> Result<Tensor<2>, AgentError> {
    let [given, columns] = inputs.dims();
    let lanes = columns / steps.max(1);
    let sequence = Sequence {
        hidden: shape.hidden,
        steps,
        lanes,
    };
    let widest = shape
        .inputs
        .max(shape.gates() * shape.hidden)
        .max(shape.rows());
    let fits = given == shape.inputs
        && columns > 0
        && columns == steps * lanes
        && parameters.dims() == [shape.offsets().total]
        && started.len() >= columns
        && u32::try_from(4 * widest * columns).is_ok();
    let remembers = core.dims() == [shape.hidden, lanes] && sequence.is_supported();
    if !fits || (shape.recurrent && !remembers) {
        return Err(AgentError::Option {
            key: "network".to_owned(),
            value: format!("{} units", shape.hidden),
            cause: format!(
                "it takes {} inputs of whole steps, and a recurrent core a state for every lane and \
                 a multiple of {} units; given are inputs {:?} of {steps} steps and states {:?}",
                shape.inputs,
                recurrent::UNITS_MULTIPLE,
                inputs.dims(),
                core.dims(),
            ),
        });
    }
    let course = Course {
        shape: shape.clone(),
        target: Target::of(device),
        sequence,
    };
    // the words travel as a tensor of floats, of which only the memory is used
    let started = bridge::tensor_of(device, started, [started.len()]);
    Ok(Tensor::from_dispatch(<Dispatch as NetworkOps>::network(
        parameters.into_dispatch(),
        inputs.into_dispatch(),
        core.into_dispatch(),
        started.into_dispatch(),
        course,
    )))
}

/// What is computed, apart from the numbers.
#[derive(Clone, Debug)]
pub struct Course {
    shape: NetworkShape,
    target: Target,
    sequence: Sequence,
}

impl Course {
    /// Its dense layers: encoder, core, outputs.
    fn layers(&self) -> [Layer; 3] {
        let (shape, columns) = (&self.shape, self.sequence.columns());
        let sizes = [
            (shape.encoder, shape.inputs),
            (shape.gates() * shape.hidden, shape.encoder),
            (shape.rows(), shape.hidden),
        ];
        sizes.map(|(outputs, inputs)| Layer {
            outputs,
            inputs,
            columns,
        })
    }

    /// Where the matrices and biases of encoder, core, outputs and recurrent part begin.
    fn places(&self) -> [(usize, usize); 4] {
        let at = self.shape.offsets();
        [
            (at.encoder_weight, at.encoder_bias),
            (at.core_weight, at.core_bias),
            (at.output_weight, at.output_bias),
            (at.recurrent_weight, at.recurrent_bias),
        ]
    }

    /// The words of `all` parameters from `first` on.
    fn part(&self, all: &Handle, first: usize) -> Part {
        Part {
            handle: all.clone(),
            first,
            len: self.shape.offsets().total,
        }
    }
}

/// The operation on a backend's own tensors.
#[backend_extension(Cube, Autodiff)]
pub trait NetworkOps: Backend {
    /// The outputs alone.
    fn network(
        parameters: FloatTensor<Self>,
        inputs: FloatTensor<Self>,
        core: FloatTensor<Self>,
        started: FloatTensor<Self>,
        course: Course,
    ) -> FloatTensor<Self>;

    /// The outputs, then what the backward pass needs: codes of the encoder, states, gates.
    fn network_forward(
        parameters: FloatTensor<Self>,
        inputs: FloatTensor<Self>,
        core: FloatTensor<Self>,
        started: FloatTensor<Self>,
        course: Course,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );

    /// The derivative by the parameters.
    #[allow(clippy::too_many_arguments)]
    fn network_backward(
        parameters: FloatTensor<Self>,
        inputs: FloatTensor<Self>,
        core: FloatTensor<Self>,
        started: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        states: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        d_outputs: FloatTensor<Self>,
        course: Course,
    ) -> FloatTensor<Self>;
}

/// What a forward pass leaves.
struct Passed {
    outputs: Handle,
    codes: Handle,
    states: Handle,
    gates: Handle,
}

fn forward(
    client: &Client,
    [parameters, inputs, core, started]: [Handle; 4],
    course: &Course,
    save: bool,
) -> Passed {
    let (target, [encoder, driving, output]) = (course.target, course.layers());
    let [at_encoder, at_core, at_output, at_recurrent] = course.places();
    let parts = |(weights, bias)| {
        (
            course.part(&parameters, weights),
            course.part(&parameters, bias),
        )
    };
    let layer = |layer, at, x: &Handle, tanh| {
        let (w, b) = parts(at);
        dense::forward(client, target, layer, (&w, &b), x, tanh)
    };
    let codes = layer(encoder, at_encoder, &inputs, true);
    let driven = layer(driving, at_core, &codes, !course.shape.recurrent);
    let (states, gates) = if course.shape.recurrent {
        let (u, c) = parts(at_recurrent);
        let inputs = Inputs {
            xw: driven,
            u,
            c,
            h0: core,
            started,
        };
        let done = recurrent::forward(client, target, course.sequence, &inputs, save);
        (done.out, done.saved)
    } else {
        (driven.clone(), driven)
    };
    Passed {
        outputs: layer(output, at_output, &states, false),
        codes,
        states,
        gates,
    }
}

fn backward(
    client: &Client,
    [parameters, inputs, core, started]: [Handle; 4],
    passed: Passed,
    course: &Course,
) -> Handle {
    let (target, [encoder, driving, output]) = (course.target, course.layers());
    let [at_encoder, at_core, at_output, at_recurrent] = course.places();
    let (len, recurrent) = (course.shape.offsets().total, course.shape.recurrent);
    let gradient = client.empty(4 * len);
    let to = |(weights, bias)| Place {
        handle: &gradient,
        len,
        weights,
        bias,
    };
    let by_weights = |layer: Layer, at, d: &Handle, x: &Handle| {
        let (outputs, inputs) = ((d, layer.outputs), (x, layer.inputs));
        dense::sums(client, target, &[outputs], inputs, layer.columns, to(at));
    };
    let by_input = |layer, at: (usize, usize), d: &Handle, values: Option<&Handle>| {
        let w = course.part(&parameters, at.0);
        dense::backward(client, target, layer, &w, d, values)
    };
    let Passed {
        outputs: d,
        codes,
        states,
        gates,
    } = passed;
    by_weights(output, at_output, &d, &states);
    let bent = (!recurrent).then_some(&states);
    let d = by_input(output, at_output, &d, bent);
    let d = if recurrent {
        let state = State {
            u: course.part(&parameters, at_recurrent.0),
            h0: core,
            started,
        };
        let done = recurrent::Forward {
            out: states,
            saved: gates,
        };
        let to = to(at_recurrent);
        recurrent::backward(client, target, course.sequence, &state, &done, &d, to).xw
    } else {
        d
    };
    by_weights(driving, at_core, &d, &codes);
    let d = by_input(driving, at_core, &d, Some(&codes));
    by_weights(encoder, at_encoder, &d, &inputs);
    gradient
}

impl NetworkOps for CubeBackend {
    fn network(
        parameters: CubeTensor,
        inputs: CubeTensor,
        core: CubeTensor,
        started: CubeTensor,
        course: Course,
    ) -> CubeTensor {
        let like = inputs.clone();
        let given = [parameters, inputs, core, started].map(handle);
        let outputs = forward(&like.client, given, &course, false).outputs;
        tensor_like(
            &like,
            outputs,
            [course.shape.rows(), course.sequence.columns()],
        )
    }

    fn network_forward(
        parameters: CubeTensor,
        inputs: CubeTensor,
        core: CubeTensor,
        started: CubeTensor,
        course: Course,
    ) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
        let like = inputs.clone();
        let given = [parameters, inputs, core, started].map(handle);
        let passed = forward(&like.client, given, &course, true);
        let (shape, columns) = (&course.shape, course.sequence.columns());
        let of = |handle, rows: usize| tensor_like(&like, handle, [rows, columns]);
        let saved = if shape.recurrent {
            4 * shape.hidden
        } else {
            shape.hidden
        };
        (
            of(passed.outputs, shape.rows()),
            of(passed.codes, shape.encoder),
            of(passed.states, shape.hidden),
            of(passed.gates, saved),
        )
    }

    fn network_backward(
        parameters: CubeTensor,
        inputs: CubeTensor,
        core: CubeTensor,
        started: CubeTensor,
        codes: CubeTensor,
        states: CubeTensor,
        gates: CubeTensor,
        d_outputs: CubeTensor,
        course: Course,
    ) -> CubeTensor {
        let like = d_outputs.clone();
        let passed = Passed {
            outputs: handle(d_outputs),
            codes: handle(codes),
            states: handle(states),
            gates: handle(gates),
        };
        let given = [parameters, inputs, core, started].map(handle);
        let gradient = backward(&like.client, given, passed, &course);
        tensor_like(&like, gradient, [course.shape.offsets().total])
    }
}

/// What the backward pass needs of the forward pass: its arguments, then codes, states and gates.
#[derive(Clone, Debug)]
struct Kept<B: Backend> {
    given: [FloatTensor<B>; 4],
    passed: [FloatTensor<B>; 3],
    course: Course,
}

#[derive(Debug)]
struct NetworkBackward;

impl<B: Backend + NetworkOps> Backward<B, 1> for NetworkBackward {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let d = grads.consume::<B>(&ops.node);
        if let Some(parent) = parent {
            let Kept {
                given: [parameters, inputs, core, started],
                passed: [codes, states, gates],
                course,
            } = ops.state;
            let gradient = B::network_backward(
                parameters, inputs, core, started, codes, states, gates, d, course,
            );
            grads.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: Backend + NetworkOps, C: CheckpointStrategy> NetworkOps for Autodiff<B, C> {
    fn network(
        parameters: FloatTensor<Self>,
        inputs: FloatTensor<Self>,
        core: FloatTensor<Self>,
        started: FloatTensor<Self>,
        course: Course,
    ) -> FloatTensor<Self> {
        let nodes = [parameters.node()];
        let given = [parameters, inputs, core, started].map(|tensor| tensor.into_primitive());
        let [parameters, inputs, core, started] = given.clone();
        match NetworkBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (outputs, codes, states, gates) =
                    B::network_forward(parameters, inputs, core, started, course.clone());
                let kept = Kept {
                    given,
                    passed: [codes, states, gates],
                    course,
                };
                prepared.finish(kept, outputs)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::network(parameters, inputs, core, started, course))
            }
        }
    }

    fn network_forward(
        parameters: FloatTensor<Self>,
        inputs: FloatTensor<Self>,
        core: FloatTensor<Self>,
        started: FloatTensor<Self>,
        course: Course,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let [parameters, inputs, core, started] =
            [parameters, inputs, core, started].map(|tensor| tensor.into_primitive());
        let (outputs, codes, states, gates) =
            B::network_forward(parameters, inputs, core, started, course);
        (
            Self::from_inner(outputs),
            Self::from_inner(codes),
            Self::from_inner(states),
            Self::from_inner(gates),
        )
    }

    fn network_backward(
        parameters: FloatTensor<Self>,
        inputs: FloatTensor<Self>,
        core: FloatTensor<Self>,
        started: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        states: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        d_outputs: FloatTensor<Self>,
        course: Course,
    ) -> FloatTensor<Self> {
        let [parameters, inputs, core, started, codes, states, gates, d] = [
            parameters, inputs, core, started, codes, states, gates, d_outputs,
        ]
        .map(|tensor| tensor.into_primitive());
        Self::from_inner(B::network_backward(
            parameters, inputs, core, started, codes, states, gates, d, course,
        ))
    }
}
