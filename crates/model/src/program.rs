//! The `Program`: what a model becomes before it becomes anything else.
//!
//! A program is a set of [`Block`]s, straight-line operation lists in single-assignment form.
//! Whatever depends only on a patient's parameters and covariates is computed once, in `setup`,
//! and *carried* into the blocks that run at every step.

use std::collections::HashMap;

use crate::graph::{Binary, Graph, Node, NodeId, Unary};

/// What an [`Op`] does; leaves read the environment, the rest read earlier results of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `bits` of an f64.
    Const,
    /// `a`: state.
    State,
    /// `a`: parameter or covariate. Only in `setup`.
    Slot,
    /// `a`: output of `setup`.
    Carry,
    /// `a`: running infusion rate.
    Input,
    /// `a`: adjoint seed.
    Seed,
    Time,
    Tad,
    Unary(Unary),
    Binary(Binary),
    /// `a != 0 ? b : c`
    Select,
}

/// One operation; `a`, `b`, `c` are indices of earlier operations, or of a leaf's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    pub kind: Kind,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub bits: u64,
}

/// A straight-line operation list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Block {
    pub ops: Vec<Op>,
    /// Indices into `ops`.
    pub outputs: Vec<u32>,
}

impl Block {
    /// Operations that compute something (leaves only read).
    pub fn arithmetic_count(&self) -> usize {
        self.ops
            .iter()
            .filter(|op| matches!(op.kind, Kind::Unary(_) | Kind::Binary(_) | Kind::Select))
            .count()
    }
}

/// Residual error added to a recorded value, f64 bits so that a program can be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Noise {
    /// Standard deviation, coherent unit.
    pub additive: u64,
    /// Fraction of the value.
    pub proportional: u64,
    /// Standard deviation on the log scale.
    pub lognormal: u64,
}

/// What is accumulated while a patient is integrated; indices into the outputs of `monitor`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Accumulator {
    Min(u32),
    Max(u32),
    /// Time integral; index among the integrands, which follow the states in `rates`.
    Integral(u32),
    /// Time during which the margin is positive, its zero crossings interpolated.
    TimeWhile(u32),
    /// First time at which the margin is positive.
    FirstTime(u32),
    /// Value at the end (or where the patient was frozen).
    Last(u32),
    /// Value when a `Latch` action names this accumulator.
    Latch(u32),
    /// Grade of an earlier `Min` or `Max` accumulator: the grade of the last threshold passed, else 0.
    Grade {
        of: u32,
        below: bool,
        thresholds: Vec<u64>,
        grades: Vec<u8>,
    },
}

/// Marks a summary that never got a value (first time not reached, latch not executed).
pub const NOT_REACHED: f32 = f32::MAX;

/// A model lowered for a purpose: which outputs, summaries and rules it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    pub n_states: usize,
    pub n_slots: usize,
    pub n_inputs: usize,
    /// States that may be negative.
    pub signed: Vec<bool>,
    /// Slots -> carried values.
    pub setup: Block,
    /// Carried values -> initial states.
    pub init: Block,
    /// States, carried values, time, infusions -> rates of the states, then integrands.
    pub rates: Block,
    pub monitor: Block,
    pub accumulators: Vec<Accumulator>,
    pub record: Block,
    /// Per output of `record`.
    pub noise: Vec<Option<Noise>>,
    /// States, carried values -> new values of `rule_slots`.
    pub rule: Block,
    pub rule_slots: Vec<usize>,
    /// Slots can change during a run (events or rules), so `setup` runs again after each event.
    pub varying: bool,
    /// The step loop has to know the time.
    pub needs_time: bool,
}

impl Program {
    /// States plus integrals: what the integrator carries.
    pub fn n_integrated(&self) -> usize {
        self.rates.outputs.len()
    }
}

/// A model's equations on a graph; what every lowering starts from.
#[derive(Clone, Debug)]
pub struct Equations<'a> {
    pub graph: &'a Graph,
    pub init: &'a [NodeId],
    pub rates: &'a [NodeId],
    pub signed: &'a [bool],
    pub n_slots: usize,
    pub n_inputs: usize,
}

/// An accumulator before lowering.
#[derive(Clone, Debug, PartialEq)]
pub enum AccumulatorRequest {
    Min(NodeId),
    Max(NodeId),
    Integral(NodeId),
    TimeWhile(NodeId),
    FirstTime(NodeId),
    Last(NodeId),
    Latch(NodeId),
    /// `of`: position of a `Min`/`Max` in the request; thresholds in coherent units, in order of rising grade.
    Grade {
        of: usize,
        below: bool,
        thresholds: Vec<f64>,
        grades: Vec<u8>,
    },
}

/// What a run wants of a model.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub records: Vec<(NodeId, Option<Noise>)>,
    pub accumulators: Vec<AccumulatorRequest>,
    /// (slot, new value)
    pub rules: Vec<(usize, NodeId)>,
    /// Slots change by events.
    pub varying: bool,
}

impl Program {
    /// Lower `equations` for `request`.
    pub fn lower(equations: &Equations<'_>, request: &Request) -> Program {
        let mut graph = Graph::new();
        let mut import = Import::of(equations.graph);
        let mut import_all = |graph: &mut Graph, nodes: &[NodeId]| -> Vec<NodeId> {
            nodes.iter().map(|&id| import.node(graph, id)).collect()
        };
        let init = import_all(&mut graph, equations.init);
        let mut rates = import_all(&mut graph, equations.rates);
        let record_nodes: Vec<NodeId> = request.records.iter().map(|(id, _)| *id).collect();
        let record = import_all(&mut graph, &record_nodes);
        let rule_nodes: Vec<NodeId> = request.rules.iter().map(|(_, id)| *id).collect();
        let rule = import_all(&mut graph, &rule_nodes);

        let mut monitor: Vec<NodeId> = Vec::new();
        let mut watch = |node: NodeId| -> u32 {
            let position = monitor
                .iter()
                .position(|&seen| seen == node)
                .unwrap_or(monitor.len());
            if position == monitor.len() {
                monitor.push(node);
            }
            position as u32
        };
        let mut integrands = 0u32;
        let mut accumulators = Vec::with_capacity(request.accumulators.len());
        for wanted in &request.accumulators {
            let mut watched = |graph: &mut Graph, id: NodeId| watch(import_all(graph, &[id])[0]);
            accumulators.push(match wanted {
                AccumulatorRequest::Min(id) => Accumulator::Min(watched(&mut graph, *id)),
                AccumulatorRequest::Max(id) => Accumulator::Max(watched(&mut graph, *id)),
                AccumulatorRequest::TimeWhile(id) => {
                    Accumulator::TimeWhile(watched(&mut graph, *id))
                }
                AccumulatorRequest::FirstTime(id) => {
                    Accumulator::FirstTime(watched(&mut graph, *id))
                }
                AccumulatorRequest::Last(id) => Accumulator::Last(watched(&mut graph, *id)),
                AccumulatorRequest::Latch(id) => Accumulator::Latch(watched(&mut graph, *id)),
                AccumulatorRequest::Integral(id) => {
                    rates.push(import_all(&mut graph, &[*id])[0]);
                    integrands += 1;
                    Accumulator::Integral(integrands - 1)
                }
                AccumulatorRequest::Grade {
                    of,
                    below,
                    thresholds,
                    grades,
                } => Accumulator::Grade {
                    of: *of as u32,
                    below: *below,
                    thresholds: thresholds.iter().map(|t| t.to_bits()).collect(),
                    grades: grades.clone(),
                },
            });
        }

        let mut setup = Setup::default();
        let init = lower_block(&graph, &init, &mut setup);
        let rates = lower_block(&graph, &rates, &mut setup);
        let monitor = lower_block(&graph, &monitor, &mut setup);
        let record = lower_block(&graph, &record, &mut setup);
        let rule = lower_block(&graph, &rule, &mut setup);
        let timed = |block: &Block| {
            block
                .ops
                .iter()
                .any(|op| matches!(op.kind, Kind::Time | Kind::Tad))
        };
        let needs_time = timed(&rates)
            || timed(&monitor)
            || accumulators
                .iter()
                .any(|a| matches!(a, Accumulator::FirstTime(_)));
        Program {
            n_states: equations.rates.len(),
            n_slots: equations.n_slots,
            n_inputs: equations.n_inputs,
            signed: equations.signed.to_vec(),
            setup: setup.block(&graph),
            init,
            rates,
            monitor,
            accumulators,
            record,
            noise: request.records.iter().map(|(_, noise)| *noise).collect(),
            rule,
            rule_slots: request.rules.iter().map(|(slot, _)| *slot).collect(),
            varying: request.varying || !request.rules.is_empty(),
            needs_time,
        }
    }
}

/// Lower plain expressions (a Jacobian, a vector-Jacobian product) to a setup and a step block.
pub fn lower_expressions(graph: &Graph, roots: &[NodeId]) -> (Block, Block) {
    let mut copy = Graph::new();
    let mut import = Import::of(graph);
    let roots: Vec<NodeId> = roots.iter().map(|&id| import.node(&mut copy, id)).collect();
    let mut setup = Setup::default();
    let block = lower_block(&copy, &roots, &mut setup);
    (setup.block(&copy), block)
}

/// Copies expressions into a fresh graph, turning division by a patient's constant into a
/// multiplication by its reciprocal, which `setup` computes once.
struct Import<'a> {
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
    fn of(source: &'a Graph) -> Self {
        Self {
            source,
            map: HashMap::new(),
            classes: Classes::default(),
        }
    }

    fn node(&mut self, target: &mut Graph, root: NodeId) -> NodeId {
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

fn is_dynamic_leaf(node: &Node) -> bool {
    matches!(
        node,
        Node::State(_) | Node::Input(_) | Node::Seed(_) | Node::Time | Node::Tad
    )
}

/// The nodes carried from `setup` into the step blocks, in order of first use.
#[derive(Default)]
struct Setup {
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

    fn block(&self, graph: &Graph) -> Block {
        let order = graph.reachable(&self.carried);
        let mut emitter = Emitter::default();
        for id in order {
            emitter.emit(id, graph.node(id));
        }
        emitter.finish(&self.carried)
    }
}

/// Emit the dynamic part of `roots`; static operands become carried values.
fn lower_block(graph: &Graph, roots: &[NodeId], setup: &mut Setup) -> Block {
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
