//! A matrix times many columns.

// the launch code of a generic width `W` has an argument `_w` beside `w`
#![allow(clippy::duplicate_underscore_argument)]

use cubecl::prelude::*;

use crate::elementary::tanh;

/// What becomes of a product before it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum After {
    #[default]
    Nothing,
    /// The hyperbolic tangent.
    Tanh,
    /// Times `1 - v v`, the slope of the tangent that gave the values `v`.
    Slope,
}

/// What one thread computes, and threads of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Patch {
    /// A multiple of 8 where weights are shared.
    pub rows: usize,
    /// Vectors of columns.
    pub columns: usize,
    pub threads: usize,
    /// There is a bias.
    pub bias: bool,
    /// The eight threads of a workgroup load different weights and pass them on to each other.
    pub share: bool,
    pub after: After,
}

/// `y[row][column] = sum over k of w[row][k] x[k][column] (+ bias[bias_at + row])`, and what
/// [`After`] says with `values[row][column]`. `w` has `blocks` vectors of four in a row, filled up
/// with zeros; `columns` counts vectors.
#[cube(launch_unchecked)]
pub(super) fn apply<W: Size, N: Size>(
    w: &[Vector<f32, W>],
    bias: &[f32],
    x: &[Vector<f32, N>],
    values: &[Vector<f32, N>],
    y: &mut [Vector<f32, N>],
    rows: u32,
    inner: u32,
    blocks: u32,
    columns: u32,
    bias_at: u32,
    #[comptime] patch: Patch,
) {
    let first_row = CUBE_POS_Y * comptime![patch.rows as u32];
    let first_column = CUBE_POS_X * comptime![(patch.columns * patch.threads) as u32] + UNIT_POS_X;
    let mut sums = Array::<Vector<f32, N>>::new(comptime![patch.rows * patch.columns]);
    #[unroll]
    for i in 0..comptime![patch.rows * patch.columns] {
        sums[i] = Vector::new(0.0f32);
    }
    for block in 0..blocks {
        let mut right = Array::<Vector<f32, N>>::new(comptime![4 * patch.columns]);
        #[unroll]
        for e in 0..4usize {
            // beyond the last row the weights are zero
            let row = u32::min(block * 4u32 + comptime![e as u32], inner - 1u32);
            #[unroll]
            for j in 0..patch.columns {
                let column = first_column + comptime![(j * patch.threads) as u32];
                let column = u32::min(column, columns - 1u32);
                right[comptime![e * patch.columns + j]] = x[(row * columns + column) as usize];
            }
        }
        if comptime![patch.share] {
            #[unroll]
            for group in 0..comptime![patch.rows / 8] {
                let row = first_row + comptime![8 * group as u32] + UNIT_POS_X;
                let own = w[(u32::min(row, rows - 1u32) * blocks + block) as usize];
                #[unroll]
                for r in 0..8usize {
                    let at = comptime![(8 * group + r) * patch.columns];
                    #[unroll]
                    for e in 0..4usize {
                        let weight = plane_broadcast(own.extract(e), comptime![r as u32]);
                        #[unroll]
                        for j in 0..patch.columns {
                            sums[comptime![at + j]] +=
                                right[comptime![e * patch.columns + j]] * Vector::new(weight);
                        }
                    }
                }
            }
        } else {
            #[unroll]
            for i in 0..patch.rows {
                let row = u32::min(first_row + comptime![i as u32], rows - 1u32);
                let weights = w[(row * blocks + block) as usize];
                #[unroll]
                for j in 0..patch.columns {
                    let mut sum = right[j] * Vector::new(weights.extract(0usize));
                    #[unroll]
                    for e in 1..4usize {
                        sum += right[comptime![e * patch.columns + j]]
                            * Vector::new(weights.extract(e));
                    }
                    sums[comptime![i * patch.columns + j]] += sum;
                }
            }
        }
    }
    #[unroll]
    for i in 0..patch.rows {
        let row = first_row + comptime![i as u32];
        if row < rows {
            let mut shift = 0.0f32;
            if comptime![patch.bias] {
                shift = bias[(bias_at + row) as usize];
            }
            #[unroll]
            for j in 0..patch.columns {
                let column = first_column + comptime![(j * patch.threads) as u32];
                if column < columns {
                    let at = (row * columns + column) as usize;
                    let mut sum = sums[comptime![i * patch.columns + j]] + Vector::new(shift);
                    if comptime![patch.after == After::Tanh] {
                        #[unroll]
                        for e in 0..N::value() {
                            sum.insert(e, tanh(sum.extract(e)));
                        }
                    }
                    if comptime![patch.after == After::Slope] {
                        let value = values[at];
                        sum = sum - sum * value * value;
                    }
                    y[at] = sum;
                }
            }
        }
    }
}

/// `to[i][j] = from[first + i * row + j * column]`, zero from `columns` to `padded`.
#[cube(launch_unchecked)]
pub(super) fn arrange(
    from: &[f32],
    to: &mut [f32],
    first: u32,
    rows: u32,
    columns: u32,
    padded: u32,
    row: u32,
    column: u32,
) {
    let at = ABSOLUTE_POS as u32;
    if at < rows * padded {
        let i = at / padded;
        let j = at % padded;
        let mut value = 0.0f32;
        if j < columns {
            value = from[(first + i * row + j * column) as usize];
        }
        to[at as usize] = value;
    }
}
