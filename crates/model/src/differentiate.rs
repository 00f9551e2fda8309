//! Symbolic derivatives on the expression graph, by reverse accumulation.
//!
//! Results are nodes of the same graph, so shared subexpressions stay shared and every lowering
//! of a derivative is the lowering of an ordinary expression.

use crate::graph::{Binary, Graph, Node, NodeId, Unary};

/// `sum_i seeds[i] * d roots[i] / d wrt[j]`, one node per `wrt` (a constant zero where nothing depends on it).
pub fn vector_jacobian_product(
    graph: &mut Graph,
    roots: &[NodeId],
    seeds: &[NodeId],
    wrt: &[NodeId],
) -> Vec<NodeId> {
    let order = graph.reachable(roots);
    let zero = graph.constant(0.0);
    let size = graph.len();

    // only nodes between the roots and a variable of interest carry an adjoint
    let mut active = vec![false; size];
    for &variable in wrt {
        active[variable.index()] = true;
    }
    for &id in &order {
        if graph
            .node(id)
            .operands()
            .any(|operand| active[operand.index()])
        {
            active[id.index()] = true;
        }
    }

    let mut adjoint = vec![zero; size];
    for (&root, &seed) in roots.iter().zip(seeds) {
        adjoint[root.index()] = graph.add(adjoint[root.index()], seed);
    }
    for &id in order.iter().rev() {
        let seed = adjoint[id.index()];
        if seed == zero || !active[id.index()] {
            continue;
        }
        for (operand, share) in local_adjoints(graph, id, seed) {
            if active[operand.index()] {
                adjoint[operand.index()] = graph.add(adjoint[operand.index()], share);
            }
        }
    }
    wrt.iter()
        .map(|variable| adjoint[variable.index()])
        .collect()
}

/// What node `id` with adjoint `seed` passes to each of its operands.
fn local_adjoints(graph: &mut Graph, id: NodeId, seed: NodeId) -> Vec<(NodeId, NodeId)> {
    let zero = graph.constant(0.0);
    match graph.node(id) {
        Node::Unary(op, a) => {
            let share = match op {
                Unary::Neg => graph.neg(seed),
                Unary::Recip => {
                    let square = graph.mul(id, id);
                    let product = graph.mul(seed, square);
                    graph.neg(product)
                }
                Unary::Exp => graph.mul(seed, id),
                Unary::Ln => graph.div(seed, a),
                Unary::Log10 => {
                    let scaled = graph.div(seed, a);
                    let factor = graph.constant(std::f64::consts::LOG10_E);
                    graph.mul(scaled, factor)
                }
                Unary::Sqrt => {
                    let half = graph.constant(0.5);
                    let numerator = graph.mul(seed, half);
                    graph.div(numerator, id)
                }
                Unary::Abs => {
                    let negative = graph.binary(Binary::Lt, a, zero);
                    let minus = graph.neg(seed);
                    graph.select(negative, minus, seed)
                }
                Unary::Tanh => {
                    let one = graph.constant(1.0);
                    let square = graph.mul(id, id);
                    let slope = graph.sub(one, square);
                    graph.mul(seed, slope)
                }
                Unary::Not => zero,
            };
            vec![(a, share)]
        }
        Node::Binary(op, a, b) => match op {
            Binary::Add => vec![(a, seed), (b, seed)],
            Binary::Sub => {
                let minus = graph.neg(seed);
                vec![(a, seed), (b, minus)]
            }
            Binary::Mul => {
                let to_a = graph.mul(seed, b);
                let to_b = graph.mul(seed, a);
                vec![(a, to_a), (b, to_b)]
            }
            Binary::Div => {
                let to_a = graph.div(seed, b);
                let product = graph.mul(to_a, id);
                let to_b = graph.neg(product);
                vec![(a, to_a), (b, to_b)]
            }
            Binary::Pow => {
                let one = graph.constant(1.0);
                let lower = graph.sub(b, one);
                let power = graph.pow(a, lower);
                let slope = graph.mul(b, power);
                let to_a = graph.mul(seed, slope);
                let log = graph.unary(Unary::Ln, a);
                let growth = graph.mul(id, log);
                let to_b = graph.mul(seed, growth);
                vec![(a, to_a), (b, to_b)]
            }
            Binary::Min | Binary::Max => {
                let comparison = if op == Binary::Min {
                    Binary::Le
                } else {
                    Binary::Ge
                };
                let first = graph.binary(comparison, a, b);
                let to_a = graph.select(first, seed, zero);
                let to_b = graph.select(first, zero, seed);
                vec![(a, to_a), (b, to_b)]
            }
            // piecewise constant
            Binary::Lt
            | Binary::Le
            | Binary::Gt
            | Binary::Ge
            | Binary::Eq
            | Binary::Ne
            | Binary::And
            | Binary::Or => Vec::new(),
        },
        Node::Select(condition, a, b) => {
            let to_a = graph.select(condition, seed, zero);
            let to_b = graph.select(condition, zero, seed);
            vec![(a, to_a), (b, to_b)]
        }
        _ => Vec::new(),
    }
}

/// One structurally non-zero entry of a Jacobian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JacobianEntry {
    pub row: usize,
    pub column: usize,
    pub value: NodeId,
}

/// The non-zero entries of `d roots / d states`, row by row.
pub fn jacobian(graph: &mut Graph, roots: &[NodeId], n_states: usize) -> Vec<JacobianEntry> {
    let states: Vec<NodeId> = (0..n_states).map(|i| graph.state(i)).collect();
    let one = graph.constant(1.0);
    let mut entries = Vec::new();
    for (row, &root) in roots.iter().enumerate() {
        let gradient = vector_jacobian_product(graph, &[root], &[one], &states);
        for (column, value) in gradient.into_iter().enumerate() {
            if graph.as_constant(value) != Some(0.0) {
                entries.push(JacobianEntry { row, column, value });
            }
        }
    }
    entries
}
