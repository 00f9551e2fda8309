//! The classical Runge-Kutta method: four stages, order 4 (Kutta 1901), with a compensated update.
//!
//! In f32 an uncompensated update loses a step's increment once it falls below half an ulp of the
//! state; Kahan's summation carries what was lost into the next step.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::program::Block;

use super::guarded_sum;
use crate::evaluate::evaluate;

/// How the step is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rk4Options {
    /// Write the four stages out: faster code, longer kernel builds.
    pub unroll_stages: bool,
    /// Pass the sum through an integer that is zero at run time, where the shader compiler would
    /// otherwise cancel the compensation algebraically.
    pub guard_compensation: bool,
}

/// One step of length `h` from `x`; `compensation` holds what earlier sums lost.
#[cube]
pub fn step(
    x: &mut Array<f32>,
    compensation: &mut Array<f32>,
    slots: &Array<f32>,
    carried: &Array<f32>,
    inputs: &Array<f32>,
    time: f32,
    tad: f32,
    h: f32,
    zero: u32,
    #[comptime] rates: Arc<Block>,
    #[comptime] options: Rk4Options,
) {
    let n = comptime![rates.outputs.len()];
    let mut stage = Array::<f32>::new(n);
    let mut sum = Array::<f32>::new(n);
    #[unroll]
    for s in 0..n {
        stage[s] = x[s];
        sum[s] = 0.0f32;
    }
    if comptime![options.unroll_stages] {
        let half = 0.5f32 * h;
        let sixth = h * (1.0f32 / 6.0f32);
        let third = h * (1.0f32 / 3.0f32);
        #[unroll]
        for k in 0..4u32 {
            let node = comptime![[0.0f32, 0.5, 0.5, 1.0][k as usize]];
            let slope = evaluate(
                &stage,
                slots,
                carried,
                inputs,
                time + node * h,
                tad + node * h,
                comptime![rates.clone()],
            );
            let weight = if comptime![k == 0 || k == 3] {
                sixth
            } else {
                third
            };
            let reach = if comptime![k == 2] { h } else { half };
            #[unroll]
            for s in 0..n {
                if comptime![k < 3] {
                    stage[s] = fma(reach, slope[s], x[s]);
                }
                if comptime![k == 0] {
                    sum[s] = weight * slope[s];
                } else {
                    sum[s] = fma(weight, slope[s], sum[s]);
                }
            }
        }
    } else {
        for k in 0..4u32 {
            let first = k == 0u32;
            let last = k == 3u32;
            let node = select(first, 0.0f32, select(last, 1.0f32, 0.5f32));
            let advance = select(k == 2u32, h, 0.5f32 * h);
            let weight = h * select(first || last, 1.0f32 / 6.0f32, 1.0f32 / 3.0f32);
            let slope = evaluate(
                &stage,
                slots,
                carried,
                inputs,
                time + node * h,
                tad + node * h,
                comptime![rates.clone()],
            );
            #[unroll]
            for s in 0..n {
                sum[s] = fma(weight, slope[s], sum[s]);
                stage[s] = fma(advance, slope[s], x[s]);
            }
        }
    }
    #[unroll]
    for s in 0..n {
        let increment = sum[s] - compensation[s];
        let total = guarded_sum(x[s], increment, zero, comptime![options.guard_compensation]);
        compensation[s] = (total - x[s]) - increment;
        x[s] = total;
    }
}
