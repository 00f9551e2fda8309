//! Operation lists from a graph.

use std::collections::HashMap;

use super::import::is_dynamic_leaf;
use super::{Block, Kind, Op};
use crate::graph::{Graph, Node, NodeId};

/// The nodes carried from `setup` into the step blocks, in order of first use.
#[derive(Default)]
pub(super) struct Setup {
    carried: Vec<NodeId>,
    position: HashMap<NodeId, u32>,
}

impl Setup {
    fn carry(&mut self, id: NodeId) -> u32 {
        *self.position.entry(id).or_insert_with(|| {
            self.carried.push(id);
            self.carried.len() as u32 - 1
        })
    }

    pub fn block(&self, graph: &Graph) -> Block {
        let order = graph.reachable(&self.carried);
        let mut emitter = Emitter::default();
        for id in order {
            emitter.emit(id, graph.node(id));
        }
        emitter.finish(&self.carried)
    }
}

/// Emit the dynamic part of `roots`; static operands become carried values.
pub(super) fn lower_block(graph: &Graph, roots: &[NodeId], setup: &mut Setup) -> Block {
    let order = graph.reachable(roots);
    let mut dynamic = vec![false; graph.len()];
    for &id in &order {
        let node = graph.node(id);
        dynamic[id.index()] =
            is_dynamic_leaf(&node) || node.operands().any(|operand| dynamic[operand.index()]);
    }
    let mut emitter = Emitter::default();
    let leaf = |emitter: &mut Emitter, setup: &mut Setup, id: NodeId| {
        if emitter.position.contains_key(&id) {
            return;
        }
        match graph.node(id) {
            node @ Node::Const(_) => emitter.emit(id, node),
            _ => {
                let carry = setup.carry(id);
                emitter.push(id, Kind::Carry, [carry, 0, 0], 0);
            }
        }
    };
    for &id in &order {
        if !dynamic[id.index()] {
            continue;
        }
        for operand in graph.node(id).operands() {
            if !dynamic[operand.index()] {
                leaf(&mut emitter, setup, operand);
            }
        }
        emitter.emit(id, graph.node(id));
    }
    for &root in roots {
        if !dynamic[root.index()] {
            leaf(&mut emitter, setup, root);
        }
    }
    emitter.finish(roots)
}

/// Emit all of `roots` in one block that reads slots itself: for what runs rarely, so that nothing
/// is carried through the step loop on its account.
pub(super) fn lower_whole(graph: &Graph, roots: &[NodeId]) -> Block {
    let mut emitter = Emitter::default();
    for id in graph.reachable(roots) {
        emitter.emit(id, graph.node(id));
    }
    emitter.finish(roots)
}

#[derive(Default)]
struct Emitter {
    ops: Vec<Op>,
    position: HashMap<NodeId, u32>,
}

impl Emitter {
    fn push(&mut self, id: NodeId, kind: Kind, operands: [u32; 3], bits: u64) {
        let [a, b, c] = operands;
        self.position.insert(id, self.ops.len() as u32);
        self.ops.push(Op {
            kind,
            a,
            b,
            c,
            bits,
        });
    }

    fn emit(&mut self, id: NodeId, node: Node) {
        let at = |id: NodeId| self.position[&id];
        let (kind, operands, bits) = match node {
            Node::Const(bits) => (Kind::Const, [0; 3], bits),
            Node::State(i) => (Kind::State, [i, 0, 0], 0),
            Node::Slot(i) => (Kind::Slot, [i, 0, 0], 0),
            Node::Input(i) => (Kind::Input, [i, 0, 0], 0),
            Node::Seed(i) => (Kind::Seed, [i, 0, 0], 0),
            Node::Time => (Kind::Time, [0; 3], 0),
            Node::Tad => (Kind::Tad, [0; 3], 0),
            Node::Unary(op, a) => (Kind::Unary(op), [at(a), 0, 0], 0),
            Node::Binary(op, a, b) => (Kind::Binary(op), [at(a), at(b), 0], 0),
            Node::Select(c, a, b) => (Kind::Select, [at(c), at(a), at(b)], 0),
        };
        self.push(id, kind, operands, bits);
    }

    fn finish(self, roots: &[NodeId]) -> Block {
        let outputs = roots.iter().map(|root| self.position[root]).collect();
        Block {
            ops: self.ops,
            outputs,
        }
    }
}
