//! The f64 interpreter of a [`Block`]: the reference every kernel is tested against.

use crate::graph::{Graph, NodeId, apply_binary, apply_unary};
use crate::program::{Block, Kind, lower_expressions};

/// What a block's leaves read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment<'a> {
    pub states: &'a [f64],
    pub slots: &'a [f64],
    pub carried: &'a [f64],
    pub inputs: &'a [f64],
    pub seeds: &'a [f64],
    pub time: f64,
    pub tad: f64,
}

/// Evaluates blocks, keeping its scratch memory.
#[derive(Clone, Debug, Default)]
pub struct Interpreter {
    values: Vec<f64>,
    /// Slopes, sum and stage of a Runge-Kutta step.
    pub(crate) stages: [Vec<f64>; 3],
}

impl Interpreter {
    /// Write the outputs of `block` to `out` (cleared first).
    pub fn run(&mut self, block: &Block, environment: &Environment<'_>, out: &mut Vec<f64>) {
        self.values.clear();
        for op in &block.ops {
            let (a, b, c) = (op.a as usize, op.b as usize, op.c as usize);
            let value = match op.kind {
                Kind::Const => f64::from_bits(op.bits),
                Kind::State => environment.states[a],
                Kind::Slot => environment.slots[a],
                Kind::Carry => environment.carried[a],
                Kind::Input => environment.inputs[a],
                Kind::Seed => environment.seeds[a],
                Kind::Time => environment.time,
                Kind::Tad => environment.tad,
                Kind::Unary(op) => apply_unary(op, self.values[a]),
                Kind::Binary(op) => apply_binary(op, self.values[a], self.values[b]),
                Kind::Select => {
                    if self.values[a] != 0.0 {
                        self.values[b]
                    } else {
                        self.values[c]
                    }
                }
            };
            self.values.push(value);
        }
        out.clear();
        out.extend(block.outputs.iter().map(|&i| self.values[i as usize]));
    }
}

/// Values of expressions that read slots only (doses, lags, initial values), coherent units.
pub fn evaluate_slots(graph: &Graph, nodes: &[NodeId], slots: &[f64]) -> Vec<f64> {
    evaluate(
        graph,
        nodes,
        &Environment {
            slots,
            ..Environment::default()
        },
    )
}

/// Values of any expressions in `environment` (its `carried` is not read).
pub fn evaluate(graph: &Graph, nodes: &[NodeId], environment: &Environment<'_>) -> Vec<f64> {
    let (setup, block) = lower_expressions(graph, nodes);
    let mut interpreter = Interpreter::default();
    let mut carried = Vec::new();
    interpreter.run(&setup, environment, &mut carried);
    let mut out = Vec::new();
    interpreter.run(
        &block,
        &Environment {
            carried: &carried,
            ..*environment
        },
        &mut out,
    );
    out
}
