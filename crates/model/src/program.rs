//! The `Program`: what a model becomes before it becomes anything else.
//!
//! A program is a set of [`Block`]s, straight-line operation lists in single-assignment form.
//! Whatever depends only on a patient's parameters and covariates is computed once, in `setup`,
//! and *carried* into the blocks that run at every step.

mod emit;
mod import;

use self::emit::{Setup, lower_block, lower_whole};
use self::import::Import;
use crate::graph::{Binary, Graph, NodeId, Unary};

/// What an [`Op`] does; leaves read the environment, the rest read earlier results of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `bits` of an f64.
    Const,
    /// `a`: state.
    State,
    /// `a`: parameter or covariate. Only in `setup`, `rule` and `observe`.
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
    /// States, slots -> new values of `rule_slots`.
    pub rule: Block,
    pub rule_slots: Vec<usize>,
    /// States, slots -> what is measured at a visit, stored in `observe_slots`.
    pub observe: Block,
    pub observe_slots: Vec<usize>,
    /// Per output of `observe`.
    pub observe_noise: Vec<Option<Noise>>,
    /// Slots that amounts and rates may be multiplied by.
    pub dose_slots: Vec<usize>,
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
    /// (slot, what it is a measurement of, its error), at `Observe` actions.
    pub observations: Vec<(usize, NodeId, Option<Noise>)>,
    /// Slots that amounts and rates may be multiplied by.
    pub dose_slots: Vec<usize>,
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
        let observed: Vec<NodeId> = request.observations.iter().map(|(_, id, _)| *id).collect();
        let observe = import_all(&mut graph, &observed);

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
        let rule = lower_whole(&graph, &rule);
        let observe = lower_whole(&graph, &observe);
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
            observe,
            observe_slots: request
                .observations
                .iter()
                .map(|(slot, ..)| *slot)
                .collect(),
            observe_noise: request
                .observations
                .iter()
                .map(|(.., noise)| *noise)
                .collect(),
            dose_slots: request.dose_slots.clone(),
            varying: request.varying
                || !request.rules.is_empty()
                || !request.observations.is_empty(),
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

/// Lower plain expressions to one block that reads slots itself: for what runs rarely.
pub fn lower_directly(graph: &Graph, roots: &[NodeId]) -> Block {
    let mut copy = Graph::new();
    let mut import = Import::of(graph);
    let roots: Vec<NodeId> = roots.iter().map(|&id| import.node(&mut copy, id)).collect();
    lower_whole(&copy, &roots)
}

/// Lower expressions of slots alone to one block that reads the slots itself.
pub fn lower_slots(graph: &Graph, roots: &[NodeId]) -> Block {
    lower_whole(graph, roots)
}
