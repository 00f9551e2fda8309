//! Mean and variance of weighted samples, and normalisation by them without a look from the host.

use cubecl::prelude::*;

/// Rows of partial moments: weight, mean, sum of squares about the mean.
pub const MOMENTS: usize = 3;

/// Moments of each block of samples, one thread per row and block (blocks as in
/// [`super::sums`]): `partial`, `[rows][MOMENTS][blocks]`, of `x`, `[rows][n]`, weighted by
/// `weight`, `[n]`. Two passes, so that a large mean costs no digits.
#[cube(launch_unchecked)]
pub fn partial_moments(
    x: &[f32],
    weight: &[f32],
    partial: &mut [f32],
    rows: u32,
    n: u32,
    blocks: u32,
) {
    let i = ABSOLUTE_POS;
    if i < (rows * blocks) as usize {
        let thread = i as u32;
        let row = thread / blocks;
        let block = thread % blocks;
        let start = row * n;
        let mut total = 0.0f32;
        let mut sum = 0.0f32;
        let mut j = block;
        while j < n {
            let w = weight[j as usize];
            total += w;
            // what has no weight may be no number
            sum += select(w > 0.0f32, w * x[(start + j) as usize], 0.0f32);
            j += blocks;
        }
        let some = total > 0.0f32;
        let mean = select(some, sum / select(some, total, 1.0f32), 0.0f32);
        let mut squares = 0.0f32;
        j = block;
        while j < n {
            let w = weight[j as usize];
            let off = x[(start + j) as usize] - mean;
            squares += select(w > 0.0f32, w * off * off, 0.0f32);
            j += blocks;
        }
        let at = (row * comptime![MOMENTS as u32] * blocks + block) as usize;
        partial[at] = total;
        partial[at + blocks as usize] = mean;
        partial[at + 2 * blocks as usize] = squares;
    }
}

/// Moments of whole rows, `[rows][MOMENTS]`: weight, mean, variance (divided by the weight). Parts
/// are put together as by Chan, Golub and LeVeque (1983), one thread per row.
#[cube(launch_unchecked)]
pub fn finish_moments(partial: &[f32], moments: &mut [f32], rows: u32, blocks: u32) {
    let i = ABSOLUTE_POS;
    if i < rows as usize {
        let width = blocks as usize;
        let start = i * comptime![MOMENTS] * width;
        let mut total = 0.0f32;
        let mut mean = 0.0f32;
        let mut squares = 0.0f32;
        for b in 0..blocks {
            let at = start + b as usize;
            let more = partial[at];
            if more > 0.0f32 {
                let sum = total + more;
                let step = partial[at + width] - mean;
                let share = more / sum;
                squares += partial[at + 2 * width] + step * step * total * share;
                mean += step * share;
                total = sum;
            }
        }
        let some = total > 0.0f32;
        moments[i * comptime![MOMENTS]] = total;
        moments[i * comptime![MOMENTS] + 1] = mean;
        moments[i * comptime![MOMENTS] + 2] =
            select(some, squares / select(some, total, 1.0f32), 0.0f32);
    }
}

/// `x`, `[rows][n]`, in place: rows with their bit in `centred` lose their mean, rows with their
/// bit in `scaled` are divided by their standard deviation plus `epsilon`. Samples without weight
/// become 0. One thread per word.
#[cube(launch_unchecked)]
pub fn normalise(
    x: &mut [f32],
    weight: &[f32],
    moments: &[f32],
    rows: u32,
    n: u32,
    centred: u32,
    scaled: u32,
    epsilon: f32,
) {
    let i = ABSOLUTE_POS;
    if i < rows as usize * n as usize {
        let row = i / n as usize;
        let mean = moments[row * comptime![MOMENTS] + 1];
        let spread = f32::sqrt(moments[row * comptime![MOMENTS] + 2]) + epsilon;
        let bit = 1u32 << (row as u32);
        let shift = select((centred & bit) != 0u32, mean, 0.0f32);
        let scale = select((scaled & bit) != 0u32, spread, 1.0f32);
        let valid = weight[i % n as usize] > 0.0f32;
        x[i] = select(valid, (x[i] - shift) / scale, 0.0f32);
    }
}
