//! Sums of rows in a fixed order: many threads make partial sums, one thread per row adds them.
//!
//! Term `j` belongs to partial sum `j % blocks`, so neighbouring threads read neighbouring words,
//! and the order never depends on the schedule. With about `sqrt(n)` partial sums neither stage is
//! long, which keeps rounding small and loops far below what software adapters allow.

use cubecl::prelude::*;

/// Partial sums of `n` terms.
pub fn blocks(n: usize) -> usize {
    let root = n.isqrt();
    let up = if root * root < n { root + 1 } else { root };
    up.max(1)
}

/// Partial sums `[rows][blocks]` of `terms`, `[rows][n]`: one thread each.
#[cube(launch_unchecked)]
pub fn partial_sums(terms: &[f32], partial: &mut [f32], rows: u32, n: u32, blocks: u32) {
    let i = ABSOLUTE_POS;
    if i < (rows * blocks) as usize {
        let thread = i as u32;
        let start = (thread / blocks) * n;
        let mut sum = 0.0f32;
        let mut j = thread % blocks;
        while j < n {
            sum += terms[(start + j) as usize];
            j += blocks;
        }
        partial[i] = sum;
    }
}

/// Sums `[rows]` of `partial`, `[rows][blocks]`: one thread per row.
#[cube(launch_unchecked)]
pub fn finish_sums(partial: &[f32], sums: &mut [f32], rows: u32, blocks: u32) {
    let i = ABSOLUTE_POS;
    if i < rows as usize {
        sums[i] = sum_of_row(partial, i as u32, blocks);
    }
}

/// As [`finish_sums`], divided by `total[0]`; zero where the total is.
#[cube(launch_unchecked)]
pub fn finish_means(partial: &[f32], total: &[f32], means: &mut [f32], rows: u32, blocks: u32) {
    let i = ABSOLUTE_POS;
    if i < rows as usize {
        let all = total[0];
        let some = all > 0.0f32;
        let mean = sum_of_row(partial, i as u32, blocks) / select(some, all, 1.0f32);
        means[i] = select(some, mean, 0.0f32);
    }
}

#[cube]
fn sum_of_row(partial: &[f32], row: u32, blocks: u32) -> f32 {
    let mut sum = 0.0f32;
    for b in 0..blocks {
        sum += partial[(row * blocks + b) as usize];
    }
    sum
}

/// Words that a thread of [`scale`] takes.
pub const SCALED_PER_THREAD: usize = 16;

/// `values`, `[words]`, times `by[0]`, in place.
#[cube(launch_unchecked)]
pub fn scale(values: &mut [f32], by: &[f32], words: u32) {
    let n = words as usize;
    let threads = (n + comptime![SCALED_PER_THREAD - 1]) / comptime![SCALED_PER_THREAD];
    let i = ABSOLUTE_POS;
    if i < threads {
        let factor = by[0];
        #[unroll]
        for k in 0..SCALED_PER_THREAD {
            let at = i + k * threads;
            if at < n {
                values[at] *= factor;
            }
        }
    }
}
