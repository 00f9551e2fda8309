//! Reverse mode over an operation list, unrolled into a kernel while it is built.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::graph::{Binary, Unary};
use posology_model::program::{Block, Kind, Op};

use crate::elementary::ln;

/// An operation list, and who reads each of its operations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reverse {
    pub block: Arc<Block>,
    /// Per operation: (reader, position among the reader's operands).
    readers: Vec<Vec<(u32, u32)>>,
    /// Per operation: an adjoint is worth having.
    active: Vec<bool>,
}

impl Reverse {
    pub fn new(block: Arc<Block>) -> Arc<Self> {
        let n = block.ops.len();
        let (mut readers, mut active) = (vec![Vec::new(); n], vec![false; n]);
        for (i, op) in block.ops.iter().enumerate() {
            active[i] = match op.kind {
                Kind::Const | Kind::Seed => false,
                Kind::State | Kind::Slot | Kind::Carry | Kind::Input | Kind::Time | Kind::Tad => {
                    true
                }
                _ => differentiable(op).iter().any(|&(a, _)| active[a as usize]),
            };
            if active[i] {
                for (a, operand) in differentiable(op) {
                    readers[a as usize].push((i as u32, operand));
                }
            }
        }
        Arc::new(Self {
            block,
            readers,
            active,
        })
    }

    /// The same on the host, in f64: adds the adjoints of the leaves to `bars`.
    pub fn on_host(&self, v: &[f64], seeds: &[f64], bars: &mut Bars) {
        let ops = &self.block.ops;
        let mut adjoint = vec![0.0; ops.len()];
        for (&at, seed) in self.block.outputs.iter().zip(seeds) {
            adjoint[at as usize] += seed;
        }
        for (i, op) in ops.iter().enumerate().rev() {
            let bar = adjoint[i];
            if bar == 0.0 || !self.active[i] {
                continue;
            }
            let a = op.a as usize;
            match op.kind {
                Kind::State => bars.states[a] += bar,
                Kind::Slot => bars.slots[a] += bar,
                Kind::Carry => bars.carried[a] += bar,
                Kind::Input => bars.inputs[a] += bar,
                Kind::Time => bars.clock[0] += bar,
                Kind::Tad => bars.clock[1] += bar,
                _ => {
                    for (at, operand) in differentiable(op) {
                        adjoint[at as usize] += share_on_host(v, bar, op, i, operand);
                    }
                }
            }
        }
    }
}

/// Adjoints of what a block's leaves read, f64.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    pub states: Vec<f64>,
    pub slots: Vec<f64>,
    pub carried: Vec<f64>,
    pub inputs: Vec<f64>,
    /// Time, time after dose.
    pub clock: [f64; 2],
}

/// The operands that pass on a derivative, with their positions. Comparisons are piecewise constant.
fn differentiable(op: &Op) -> Vec<(u32, u32)> {
    match op.kind {
        Kind::Unary(Unary::Not) => Vec::new(),
        Kind::Unary(_) => vec![(op.a, 0)],
        Kind::Binary(
            Binary::Add
            | Binary::Sub
            | Binary::Mul
            | Binary::Div
            | Binary::Pow
            | Binary::Min
            | Binary::Max,
        ) => vec![(op.a, 0), (op.b, 1)],
        Kind::Select => vec![(op.b, 1), (op.c, 2)],
        _ => Vec::new(),
    }
}

fn share_on_host(v: &[f64], bar: f64, op: &Op, j: usize, operand: u32) -> f64 {
    let (a, b) = (op.a as usize, op.b as usize);
    let first = operand == 0;
    let chosen = |yes: bool| if yes { bar } else { 0.0 };
    match op.kind {
        Kind::Unary(Unary::Neg) => -bar,
        Kind::Unary(Unary::Recip) => -bar * v[j] * v[j],
        Kind::Unary(Unary::Exp) => bar * v[j],
        Kind::Unary(Unary::Ln) => bar / v[a],
        Kind::Unary(Unary::Log10) => bar / v[a] * std::f64::consts::LOG10_E,
        Kind::Unary(Unary::Sqrt) => 0.5 * bar / v[j],
        Kind::Unary(Unary::Abs) => {
            if v[a] < 0.0 {
                -bar
            } else {
                bar
            }
        }
        Kind::Unary(Unary::Tanh) => bar * (1.0 - v[j] * v[j]),
        Kind::Binary(Binary::Add) => bar,
        Kind::Binary(Binary::Sub) => {
            if first {
                bar
            } else {
                -bar
            }
        }
        Kind::Binary(Binary::Mul) => bar * if first { v[b] } else { v[a] },
        Kind::Binary(Binary::Div) if first => bar / v[b],
        Kind::Binary(Binary::Div) => -bar * v[j] / v[b],
        // where the base is zero both limits are taken as zero
        Kind::Binary(Binary::Pow) if v[a] == 0.0 => 0.0,
        Kind::Binary(Binary::Pow) if first => bar * v[b] * v[j] / v[a],
        Kind::Binary(Binary::Pow) => bar * v[j] * v[a].ln(),
        Kind::Binary(Binary::Min) => chosen((v[a] <= v[b]) == first),
        Kind::Binary(Binary::Max) => chosen((v[a] >= v[b]) == first),
        Kind::Select => chosen((v[a] != 0.0) == (operand == 1)),
        _ => 0.0,
    }
}

/// What operation `j` with adjoint `bar` passes to its operand.
///
/// Quotients of zero adjoints are zero, so that the branch of a choice that was not taken may be
/// anything.
#[cube]
fn share(
    v: &Sequence<f32>,
    bar: f32,
    #[comptime] op: Op,
    #[comptime] j: usize,
    #[comptime] operand: u32,
) -> f32 {
    let a = comptime![op.a as usize];
    let b = comptime![op.b as usize];
    let first = comptime![operand == 0];
    let none = bar == 0.0f32;
    let mut result = bar;
    if comptime![op.kind == Kind::Unary(Unary::Neg)] {
        result = -bar;
    } else if comptime![op.kind == Kind::Unary(Unary::Recip)] {
        result = select(none, 0.0f32, -bar * v[j] * v[j]);
    } else if comptime![op.kind == Kind::Unary(Unary::Exp)] {
        result = select(none, 0.0f32, bar * v[j]);
    } else if comptime![op.kind == Kind::Unary(Unary::Ln)] {
        result = select(none, 0.0f32, bar / v[a]);
    } else if comptime![op.kind == Kind::Unary(Unary::Log10)] {
        result = select(none, 0.0f32, bar / v[a] * core::f32::consts::LOG10_E);
    } else if comptime![op.kind == Kind::Unary(Unary::Sqrt)] {
        result = select(none, 0.0f32, 0.5f32 * bar / v[j]);
    } else if comptime![op.kind == Kind::Unary(Unary::Abs)] {
        result = select(v[a] < 0.0f32, -bar, bar);
    } else if comptime![op.kind == Kind::Unary(Unary::Tanh)] {
        result = bar * (1.0f32 - v[j] * v[j]);
    } else if comptime![op.kind == Kind::Binary(Binary::Sub)] {
        if comptime![!first] {
            result = -bar;
        }
    } else if comptime![op.kind == Kind::Binary(Binary::Mul)] {
        if comptime![first] {
            result = select(none, 0.0f32, bar * v[b]);
        } else {
            result = select(none, 0.0f32, bar * v[a]);
        }
    } else if comptime![op.kind == Kind::Binary(Binary::Div)] {
        if comptime![first] {
            result = select(none, 0.0f32, bar / v[b]);
        } else {
            result = select(none, 0.0f32, -bar * v[j] / v[b]);
        }
    } else if comptime![op.kind == Kind::Binary(Binary::Pow)] {
        let nothing = none || v[a] == 0.0f32;
        if comptime![first] {
            result = select(nothing, 0.0f32, bar * v[b] * v[j] / v[a]);
        } else {
            result = select(nothing, 0.0f32, bar * v[j] * ln(v[a]));
        }
    } else if comptime![op.kind == Kind::Binary(Binary::Min)] {
        if comptime![first] {
            result = select(v[a] <= v[b], bar, 0.0f32);
        } else {
            result = select(v[a] <= v[b], 0.0f32, bar);
        }
    } else if comptime![op.kind == Kind::Binary(Binary::Max)] {
        if comptime![first] {
            result = select(v[a] >= v[b], bar, 0.0f32);
        } else {
            result = select(v[a] >= v[b], 0.0f32, bar);
        }
    } else if comptime![op.kind == Kind::Select] {
        if comptime![operand == 1] {
            result = select(v[a] != 0.0f32, bar, 0.0f32);
        } else {
            result = select(v[a] != 0.0f32, 0.0f32, bar);
        }
    }
    result
}

/// Add the adjoints of the block's leaves to `states`, `slots`, `carried`, `inputs` and `clock`
/// (time, time after dose), given the values `v` of all operations and the adjoints `seeds` of the
/// outputs.
#[cube]
pub fn reverse(
    v: &Sequence<f32>,
    seeds: &Array<f32>,
    states: &mut Array<f32>,
    slots: &mut Array<f32>,
    carried: &mut Array<f32>,
    inputs: &mut Array<f32>,
    clock: &mut Array<f32>,
    #[comptime] plan: Arc<Reverse>,
) {
    let n = comptime![plan.block.ops.len()];
    // of operation n - 1 - k at place k
    let mut bars = Sequence::<f32>::new();
    #[unroll]
    for k in 0..n {
        let i = comptime![n - 1 - k];
        let op = comptime![plan.block.ops[i]];
        let a = comptime![op.a as usize];
        let mut bar = 0.0f32;
        if comptime![plan.active[i]] {
            #[unroll]
            for o in 0..comptime![plan.block.outputs.len()] {
                if comptime![plan.block.outputs[o] as usize == i] {
                    bar += seeds[o];
                }
            }
            #[unroll]
            for r in 0..comptime![plan.readers[i].len()] {
                let (reader, operand) = comptime![plan.readers[i][r]];
                let j = comptime![reader as usize];
                let passed = bars[comptime![n - 1 - j]];
                bar += share(v, passed, comptime![plan.block.ops[j]], j, operand);
            }
            if comptime![op.kind == Kind::State] {
                states[a] += bar;
            } else if comptime![op.kind == Kind::Slot] {
                slots[a] += bar;
            } else if comptime![op.kind == Kind::Carry] {
                carried[a] += bar;
            } else if comptime![op.kind == Kind::Input] {
                inputs[a] += bar;
            } else if comptime![op.kind == Kind::Time] {
                clock[0] += bar;
            } else if comptime![op.kind == Kind::Tad] {
                clock[1] += bar;
            }
        }
        bars.push(bar);
    }
}
