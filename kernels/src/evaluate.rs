//! An operation list, unrolled into a kernel while it is built.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::graph::{Binary, Unary};
use posology_model::program::{Block, Kind};

use crate::elementary::{ln, tanh};

/// Evaluate `block`; returns its outputs in order.
#[cube]
pub fn evaluate(
    states: &Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    #[comptime] block: Arc<Block>,
) -> Sequence<f32> {
    let v = values(
        states,
        slots,
        carried,
        inputs,
        time,
        tad,
        comptime![block.clone()],
    );
    let mut outputs = Sequence::<f32>::new();
    let n_outputs = comptime![block.outputs.len()];
    #[unroll]
    for o in 0..n_outputs {
        let at = comptime![block.outputs[o] as usize];
        outputs.push(v[at]);
    }
    outputs
}

/// Evaluate `block`; returns the value of every operation.
#[cube]
pub fn values(
    states: &Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    #[comptime] block: Arc<Block>,
) -> Sequence<f32> {
    let mut v = Sequence::<f32>::new();
    let n = comptime![block.ops.len()];
    #[unroll]
    for i in 0..n {
        let op = comptime![block.ops[i]];
        let a = comptime![op.a as usize];
        let b = comptime![op.b as usize];
        let c = comptime![op.c as usize];
        if comptime![op.kind == Kind::Const] {
            let value = comptime![f64::from_bits(op.bits) as f32];
            v.push(value.runtime());
        } else if comptime![op.kind == Kind::State] {
            v.push(states[a]);
        } else if comptime![op.kind == Kind::Slot] {
            v.push(slots[a]);
        } else if comptime![op.kind == Kind::Carry] {
            v.push(carried[a]);
        } else if comptime![op.kind == Kind::Input] {
            v.push(inputs[a]);
        } else if comptime![op.kind == Kind::Time] {
            v.push(time);
        } else if comptime![op.kind == Kind::Tad] {
            v.push(tad);
        } else if comptime![op.kind == Kind::Unary(Unary::Neg)] {
            v.push(-v[a]);
        } else if comptime![op.kind == Kind::Unary(Unary::Recip)] {
            v.push(1.0f32 / v[a]);
        } else if comptime![op.kind == Kind::Unary(Unary::Exp)] {
            v.push(f32::exp(v[a]));
        } else if comptime![op.kind == Kind::Unary(Unary::Ln)] {
            v.push(ln(v[a]));
        } else if comptime![op.kind == Kind::Unary(Unary::Log10)] {
            v.push(ln(v[a]) * core::f32::consts::LOG10_E);
        } else if comptime![op.kind == Kind::Unary(Unary::Sqrt)] {
            v.push(f32::sqrt(v[a]));
        } else if comptime![op.kind == Kind::Unary(Unary::Abs)] {
            v.push(f32::abs(v[a]));
        } else if comptime![op.kind == Kind::Unary(Unary::Tanh)] {
            v.push(tanh(v[a]));
        } else if comptime![op.kind == Kind::Unary(Unary::Not)] {
            v.push(select(v[a] == 0.0f32, 1.0f32, 0.0f32));
        } else if comptime![op.kind == Kind::Binary(Binary::Add)] {
            v.push(v[a] + v[b]);
        } else if comptime![op.kind == Kind::Binary(Binary::Sub)] {
            v.push(v[a] - v[b]);
        } else if comptime![op.kind == Kind::Binary(Binary::Mul)] {
            v.push(v[a] * v[b]);
        } else if comptime![op.kind == Kind::Binary(Binary::Div)] {
            v.push(v[a] / v[b]);
        } else if comptime![op.kind == Kind::Binary(Binary::Pow)] {
            // powf becomes three pow calls in WGSL; integer powers never reach here
            v.push(f32::exp(v[b] * ln(v[a])));
        } else if comptime![op.kind == Kind::Binary(Binary::Min)] {
            v.push(f32::min(v[a], v[b]));
        } else if comptime![op.kind == Kind::Binary(Binary::Max)] {
            v.push(f32::max(v[a], v[b]));
        } else if comptime![op.kind == Kind::Binary(Binary::Lt)] {
            v.push(select(v[a] < v[b], 1.0f32, 0.0f32));
        } else if comptime![op.kind == Kind::Binary(Binary::Le)] {
            v.push(select(v[a] <= v[b], 1.0f32, 0.0f32));
        } else if comptime![op.kind == Kind::Binary(Binary::Gt)] {
            v.push(select(v[a] > v[b], 1.0f32, 0.0f32));
        } else if comptime![op.kind == Kind::Binary(Binary::Ge)] {
            v.push(select(v[a] >= v[b], 1.0f32, 0.0f32));
        } else if comptime![op.kind == Kind::Binary(Binary::Eq)] {
            v.push(select(v[a] == v[b], 1.0f32, 0.0f32));
        } else if comptime![op.kind == Kind::Binary(Binary::Ne)] {
            v.push(select(v[a] != v[b], 1.0f32, 0.0f32));
        } else if comptime![op.kind == Kind::Binary(Binary::And)] {
            v.push(f32::min(f32::abs(v[a]), f32::abs(v[b])));
        } else if comptime![op.kind == Kind::Binary(Binary::Or)] {
            v.push(f32::max(f32::abs(v[a]), f32::abs(v[b])));
        } else {
            v.push(select(v[a] != 0.0f32, v[b], v[c]));
        }
    }
    v
}
