//! Sums of outer products over many columns, in a fixed order: the derivative by a weight matrix.

use cubecl::prelude::*;

/// Rows of `a` and of `b` that one workgroup or thread multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Block {
    pub a: usize,
    pub b: usize,
    /// Threads of a workgroup.
    pub threads: usize,
}

impl Block {
    /// Blocks of two matrices of so many rows.
    pub(super) fn tiles(&self, a_rows: usize, b_rows: usize) -> usize {
        a_rows.div_ceil(self.a) * b_rows.div_ceil(self.b)
    }
}

/// `partial[part][row_of_a + first_row][row_of_b]` is the sum over the columns of a part of
/// `a[row_of_a][column] b[row_of_b][column]`; the last place of a row is the sum of `a` alone.
/// `columns` counts vectors; a chunk is `CUBE_POS_Y`, a part a thread of a chunk, which takes every
/// so many-th vector of columns.
#[cube(launch_unchecked)]
pub(super) fn products<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    partial: &mut [f32],
    a_rows: u32,
    b_rows: u32,
    first_row: u32,
    all_rows: u32,
    columns: u32,
    per_chunk: u32,
    #[comptime] block: Block,
) {
    let b_blocks = b_rows.div_ceil(comptime![block.b as u32]);
    let a_first = (CUBE_POS_X / b_blocks) * comptime![block.a as u32];
    let b_first = (CUBE_POS_X % b_blocks) * comptime![block.b as u32];
    let mut sums = Array::<f32>::new(comptime![block.a * block.b]);
    let mut alone = Array::<f32>::new(comptime![block.a]);
    let start = CUBE_POS_Y * per_chunk;
    let end = u32::min(start + per_chunk, columns);
    let mut column = start + UNIT_POS_X;
    while column < end {
        let mut left = Array::<Vector<f32, N>>::new(comptime![block.a]);
        let mut right = Array::<Vector<f32, N>>::new(comptime![block.b]);
        #[unroll]
        for i in 0..block.a {
            // rows beyond the last are computed and thrown away
            let row = u32::min(a_first + comptime![i as u32], a_rows - 1u32);
            left[i] = a[(row * columns + column) as usize];
        }
        #[unroll]
        for j in 0..block.b {
            let row = u32::min(b_first + comptime![j as u32], b_rows - 1u32);
            right[j] = b[(row * columns + column) as usize];
        }
        #[unroll]
        for i in 0..block.a {
            #[unroll]
            for j in 0..block.b {
                let mut sum = 0.0f32;
                #[unroll]
                for e in 0..N::value() {
                    sum += left[i].extract(e) * right[j].extract(e);
                }
                sums[comptime![i * block.b + j]] += sum;
            }
            let mut sum = 0.0f32;
            #[unroll]
            for e in 0..N::value() {
                sum += left[i].extract(e);
            }
            alone[i] += sum;
        }
        column += comptime![block.threads as u32];
    }
    let part = CUBE_POS_Y * comptime![block.threads as u32] + UNIT_POS_X;
    let width = b_rows + 1u32;
    #[unroll]
    for i in 0..block.a {
        let row = a_first + comptime![i as u32];
        let base = (part * all_rows + first_row + row) * width;
        if row < a_rows {
            #[unroll]
            for j in 0..block.b {
                let other = b_first + comptime![j as u32];
                if other < b_rows {
                    partial[(base + other) as usize] = sums[comptime![i * block.b + j]];
                }
            }
            if b_first == 0u32 {
                partial[(base + b_rows) as usize] = alone[i];
            }
        }
    }
}

/// As [`products`], by workgroups of one plane of eight: a part is a chunk. Every thread has every
/// eighth row of `b`; the rows of `a` are loaded by one thread each and passed on, so that nothing
/// is loaded twice where a load by eight threads is eight loads.
#[cube(launch_unchecked)]
pub(super) fn shared_products<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    partial: &mut [f32],
    a_rows: u32,
    b_rows: u32,
    first_row: u32,
    all_rows: u32,
    columns: u32,
    per_chunk: u32,
    #[comptime] block: Block,
) {
    let (groups, own) = comptime![(block.a / 8, block.b / 8)];
    let b_blocks = b_rows.div_ceil(comptime![block.b as u32]);
    let a_first = (CUBE_POS_X / b_blocks) * comptime![block.a as u32];
    let b_first = (CUBE_POS_X % b_blocks) * comptime![block.b as u32] + UNIT_POS_X;
    let mut sums = Array::<f32>::new(comptime![block.a * own]);
    let mut alone = Array::<f32>::new(groups);
    #[unroll]
    for i in 0..comptime![block.a * own] {
        sums[i] = 0.0f32;
    }
    #[unroll]
    for g in 0..groups {
        alone[g] = 0.0f32;
    }
    let start = CUBE_POS_Y * per_chunk;
    let end = u32::min(start + per_chunk, columns);
    for column in start..end {
        let mut right = Array::<Vector<f32, N>>::new(own);
        #[unroll]
        for j in 0..own {
            // rows beyond the last are computed and thrown away
            let row = u32::min(b_first + comptime![8 * j as u32], b_rows - 1u32);
            right[j] = b[(row * columns + column) as usize];
        }
        #[unroll]
        for g in 0..groups {
            let row = a_first + comptime![8 * g as u32] + UNIT_POS_X;
            let left = a[(u32::min(row, a_rows - 1u32) * columns + column) as usize];
            let mut total = 0.0f32;
            #[unroll]
            for e in 0..N::value() {
                total += left.extract(e);
            }
            alone[g] += total;
            #[unroll]
            for r in 0..8usize {
                #[unroll]
                for e in 0..N::value() {
                    let value = plane_broadcast(left.extract(e), comptime![r as u32]);
                    #[unroll]
                    for j in 0..own {
                        sums[comptime![(8 * g + r) * own + j]] += value * right[j].extract(e);
                    }
                }
            }
        }
    }
    let width = b_rows + 1u32;
    #[unroll]
    for i in 0..block.a {
        let row = a_first + comptime![i as u32];
        let base = (CUBE_POS_Y * all_rows + first_row + row) * width;
        if row < a_rows {
            #[unroll]
            for j in 0..own {
                let other = b_first + comptime![8 * j as u32];
                if other < b_rows {
                    partial[(base + other) as usize] = sums[comptime![i * own + j]];
                }
            }
        }
    }
    if CUBE_POS_X % b_blocks == 0u32 {
        #[unroll]
        for g in 0..groups {
            let row = a_first + comptime![8 * g as u32] + UNIT_POS_X;
            if row < a_rows {
                let base = (CUBE_POS_Y * all_rows + first_row + row) * width;
                partial[(base + b_rows) as usize] = alone[g];
            }
        }
    }
}

/// `to[weights_at + row b_rows + k]` and `to[alone_at + row]`: sums of the parts, in their order.
#[cube(launch_unchecked)]
pub(super) fn gather(
    partial: &[f32],
    to: &mut [f32],
    rows: u32,
    b_rows: u32,
    parts: u32,
    weights_at: u32,
    alone_at: u32,
) {
    let width = b_rows + 1u32;
    let at = ABSOLUTE_POS as u32;
    if at < rows * width {
        let mut sum = 0.0f32;
        for part in 0..parts {
            sum += partial[(part * rows * width + at) as usize];
        }
        let row = at / width;
        let place = at % width;
        let mut target = weights_at + row * b_rows + place;
        if place == b_rows {
            target = alone_at + row;
        }
        to[target as usize] = sum;
    }
}
