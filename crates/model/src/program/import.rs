//! Expressions copied into the graph that a program is lowered from.

use std::collections::HashMap;

use crate::graph::{Binary, Graph, Node, NodeId, Unary};

/// Copies expressions into a fresh graph, turning division by a patient's constant into a
/// multiplication by its reciprocal, which `setup` computes once.
pub(super) struct Import<'a> {
    source: &'a Graph,
    map: HashMap<NodeId, NodeId>,
    classes: Classes,
}

/// Which nodes of a growing graph read a state, an infusion or the time.
#[derive(Default)]
struct Classes {
    dynamic: Vec<bool>,
}

impl Classes {
    fn is_static(&mut self, graph: &Graph, id: NodeId) -> bool {
        for next in self.dynamic.len()..=id.index() {
            let node = graph.node(NodeId(next as u32));
            let dynamic = is_dynamic_leaf(&node)
                || node.operands().any(|operand| self.dynamic[operand.index()]);
            self.dynamic.push(dynamic);
        }
        !self.dynamic[id.index()]
    }
}

impl<'a> Import<'a> {
    pub fn of(source: &'a Graph) -> Self {
        Self {
            source,
            map: HashMap::new(),
            classes: Classes::default(),
        }
    }

    pub fn node(&mut self, target: &mut Graph, root: NodeId) -> NodeId {
        for id in self.source.reachable(&[root]) {
            if self.map.contains_key(&id) {
                continue;
            }
            let of = |map: &HashMap<NodeId, NodeId>, id: NodeId| map[&id];
            let copy = match self.source.node(id) {
                Node::Const(bits) => target.constant(f64::from_bits(bits)),
                Node::State(i) => target.state(i as usize),
                Node::Slot(i) => target.slot(i as usize),
                Node::Input(i) => target.input(i as usize),
                Node::Seed(i) => target.seed(i as usize),
                Node::Time => target.time(),
                Node::Tad => target.tad(),
                Node::Unary(op, a) => target.unary(op, of(&self.map, a)),
                Node::Binary(Binary::Div, a, b) => {
                    let (a, b) = (of(&self.map, a), of(&self.map, b));
                    if self.classes.is_static(target, b) && !self.classes.is_static(target, a) {
                        let inverse = target.unary(Unary::Recip, b);
                        target.mul(a, inverse)
                    } else {
                        target.div(a, b)
                    }
                }
                Node::Binary(Binary::Pow, a, b) => {
                    let (a, b) = (of(&self.map, a), of(&self.map, b));
                    self.power(target, a, b)
                }
                Node::Binary(op, a, b) => target.binary(op, of(&self.map, a), of(&self.map, b)),
                Node::Select(c, a, b) => {
                    target.select(of(&self.map, c), of(&self.map, a), of(&self.map, b))
                }
            };
            self.map.insert(id, copy);
        }
        self.map[&root]
    }

    /// A power as the step loop is to compute it.
    ///
    /// Of a quotient with a constant numerator (the feedback `(base/circulating)^gamma` of every
    /// Friberg chain) the division goes: `(p/x)^c = exp(c (ln|p| - ln(x sgn p)))`, whose first
    /// logarithm `setup` computes. Signs, zeros and NaN come out as in the quotient.
    fn power(&mut self, graph: &mut Graph, base: NodeId, exponent: NodeId) -> NodeId {
        let Node::Binary(Binary::Div, p, x) = graph.node(base) else {
            return graph.pow(base, exponent);
        };
        if !self.classes.is_static(graph, p) || self.classes.is_static(graph, x) {
            return graph.pow(base, exponent);
        }
        let size = graph.unary(Unary::Abs, p);
        let log_p = graph.unary(Unary::Ln, size);
        let (zero, one, minus_one) = (
            graph.constant(0.0),
            graph.constant(1.0),
            graph.constant(-1.0),
        );
        let negative = graph.binary(Binary::Lt, p, zero);
        let sign = graph.select(negative, minus_one, one);
        let signed = graph.mul(x, sign);
        let log_x = graph.unary(Unary::Ln, signed);
        let difference = graph.sub(log_p, log_x);
        let product = graph.mul(exponent, difference);
        graph.unary(Unary::Exp, product)
    }
}

pub(super) fn is_dynamic_leaf(node: &Node) -> bool {
    matches!(
        node,
        Node::State(_) | Node::Input(_) | Node::Seed(_) | Node::Time | Node::Tad
    )
}
