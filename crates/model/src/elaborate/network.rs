//! A correction's network and its terms as expressions of the graph.

use crate::correction::{Activation, Form, Network};
use crate::graph::{Binary, Graph, NodeId, Unary};

/// The outputs of `network` at `inputs` (latents after the expressions); `weights` in the order of
/// [`Network::weight_names`].
pub(super) fn outputs(
    graph: &mut Graph,
    network: &Network,
    inputs: &[NodeId],
    weights: &[NodeId],
) -> Vec<NodeId> {
    let sizes = network.sizes();
    let mut values = inputs.to_vec();
    let mut rest = weights;
    for (layer, pair) in sizes.windows(2).enumerate() {
        let (own, after) = rest.split_at(rest.len().min((pair[0] + 1) * pair[1]));
        rest = after;
        let units = own.chunks(pair[0] + 1);
        let hidden = layer < network.layers;
        values = units
            .map(|unit| {
                let sum = sum(graph, unit, &values);
                if hidden {
                    activate(graph, network.activation, sum)
                } else {
                    sum
                }
            })
            .collect();
    }
    values
}

/// Bias, then a product per input; the bias is the last of `unit`.
fn sum(graph: &mut Graph, unit: &[NodeId], inputs: &[NodeId]) -> NodeId {
    let zero = graph.constant(0.0);
    let bias = unit.last().copied().unwrap_or(zero);
    unit.iter()
        .zip(inputs)
        .fold(bias, |total, (&weight, &input)| {
            let product = graph.mul(weight, input);
            graph.add(total, product)
        })
}

/// In forms that neither overflow nor lose digits in single precision.
fn activate(graph: &mut Graph, activation: Activation, x: NodeId) -> NodeId {
    match activation {
        Activation::Tanh => graph.unary(Unary::Tanh, x),
        Activation::Softplus => {
            let (zero, one) = (graph.constant(0.0), graph.constant(1.0));
            let size = graph.unary(Unary::Abs, x);
            let fall = graph.neg(size);
            let small = graph.unary(Unary::Exp, fall);
            let sum = graph.add(one, small);
            let log = graph.unary(Unary::Ln, sum);
            let ramp = graph.binary(Binary::Max, x, zero);
            graph.add(ramp, log)
        }
        Activation::Swish => {
            let (one, half) = (graph.constant(1.0), graph.constant(0.5));
            let half_x = graph.mul(half, x);
            let tanh = graph.unary(Unary::Tanh, half_x);
            let twice = graph.add(one, tanh);
            graph.mul(half_x, twice)
        }
    }
}

/// What an output adds to the rate of `state`.
pub(super) fn term(
    graph: &mut Graph,
    form: Form,
    scale: f64,
    floor: Option<f64>,
    state: NodeId,
    output: NodeId,
) -> NodeId {
    let (scale, zero) = (graph.constant(scale), graph.constant(0.0));
    let share = graph.unary(Unary::Tanh, output);
    let bounded = graph.mul(scale, share);
    match (form, floor) {
        (Form::Relative, _) => graph.mul(bounded, state),
        (Form::Absolute, None) => bounded,
        (Form::Absolute, Some(floor)) => {
            // a stage of a step may look below 0, where the quotient would have a pole
            let floor = graph.constant(floor);
            let present = graph.binary(Binary::Max, state, zero);
            let full = graph.add(present, floor);
            let fade = graph.div(present, full);
            let faded = graph.mul(bounded, fade);
            let falling = graph.binary(Binary::Lt, bounded, zero);
            graph.select(falling, faded, bounded)
        }
    }
}
