//! Sums of a dense layer, a block of rows at a time.

use cubecl::prelude::*;

/// Begin a block of sums with its rows' biases. Rows from `end` on repeat the last row.
#[cube]
pub(super) fn biases(
    sums: &mut Array<f32>,
    parameters: &[f32],
    #[comptime] bias: usize,
    first_row: usize,
    #[comptime] end: usize,
    #[comptime] part: usize,
    #[comptime] block: usize,
    #[comptime] per: usize,
) {
    #[unroll]
    for r in 0..block {
        let row = usize::min(first_row + r, comptime![end - 1]);
        let b = parameters[bias + row];
        #[unroll]
        for l in 0..per {
            sums[comptime![part + r * per + l]] = b;
        }
    }
}

/// Add input `k` (one value per lane) times column `k` of the block's rows to the sums.
#[cube]
pub(super) fn products(
    sums: &mut Array<f32>,
    x: &Array<f32>,
    parameters: &[f32],
    #[comptime] weight: usize,
    #[comptime] columns: usize,
    first_row: usize,
    #[comptime] end: usize,
    k: usize,
    #[comptime] part: usize,
    #[comptime] block: usize,
    #[comptime] per: usize,
    #[comptime] share: bool,
) {
    if comptime![share] {
        #[unroll]
        for e in 0..comptime![block / 8] {
            let own = first_row + comptime![8 * e] + (UNIT_POS_PLANE % 8u32) as usize;
            let row = usize::min(own, comptime![end - 1]);
            let eight = parameters[weight + row * columns + k];
            #[unroll]
            for r in 0..8usize {
                let w = plane_broadcast(eight, comptime![r as u32]);
                #[unroll]
                for l in 0..per {
                    let s = comptime![part + (8 * e + r) * per + l];
                    sums[s] = fma(w, x[l], sums[s]);
                }
            }
        }
    } else {
        #[unroll]
        for r in 0..block {
            let row = usize::min(first_row + r, comptime![end - 1]);
            let w = parameters[weight + row * columns + k];
            #[unroll]
            for l in 0..per {
                let s = comptime![part + r * per + l];
                sums[s] = fma(w, x[l], sums[s]);
            }
        }
    }
}

/// Logistic function; beyond 30 it is 0 or 1 to f32.
#[cube]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0f32 / (1.0f32 + f32::exp(-f32::max(f32::min(x, 30.0f32), -30.0f32)))
}
