//! All steps of the recurrent core, forward.

use cubecl::prelude::*;

use super::Tile;
use crate::elementary::tanh;

/// `1 / (1 + exp(-x))`
#[cube]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0f32 / (1.0f32 + f32::exp(-x))
}

/// `ut` is `U` transposed: `[hidden][3][hidden / 4]` vectors of four units. `saved[unit][column]`
/// is `(r, z, n, q)` with `q = U_n h + c_n`. Runs the steps `first..end`; the state before `first`
/// is in `out`, or in `h0` where `first` is 0.
#[cube(launch_unchecked)]
pub(super) fn forward<N: Size>(
    xw: &[f32],
    ut: &[Vector<f32, N>],
    c: &[f32],
    h0: &[f32],
    started: &[u32],
    out: &mut [f32],
    saved: &mut [Vector<f32, N>],
    lanes: u32,
    steps: u32,
    first: u32,
    end: u32,
    c_at: u32,
    #[comptime] tile: Tile,
) {
    let hidden = comptime![tile.hidden];
    let blocks = comptime![tile.hidden / 4];
    let quads = comptime![tile.quads];
    let all = steps * lanes;
    let own = UNIT_POS_X * comptime![tile.quads as u32];
    let mut state = Shared::<[Vector<f32, N>]>::new_slice(comptime![2 * tile.lanes * blocks]);
    let kept_len = comptime![if tile.keep { 3 * hidden * quads } else { 1 }];
    let mut kept = Array::<Vector<f32, N>>::new(kept_len);
    if comptime![tile.keep] {
        for k in 0..comptime![3 * hidden as u32] {
            #[unroll]
            for q in 0..quads {
                kept[k as usize * quads + q] = ut[k as usize * blocks + own as usize + q];
            }
        }
    }
    // a load is dear on the software adapter
    let mut shift = Array::<f32>::new(comptime![12 * quads]);
    #[unroll]
    for q in 0..quads {
        #[unroll]
        for e in 0..4usize {
            let unit = ((own + comptime![q as u32]) * 4u32 + comptime![e as u32]) as usize;
            let unit = unit + c_at as usize;
            shift[comptime![12 * q + e]] = c[unit];
            shift[comptime![12 * q + 4 + e]] = c[unit + hidden];
            shift[comptime![12 * q + 8 + e]] = c[unit + comptime![2 * hidden]];
        }
    }
    // the state before the first step
    for pass in 0..comptime![(tile.lanes / tile.rows) as u32] {
        let slot = pass * comptime![tile.rows as u32] + UNIT_POS_Y;
        let lane = CUBE_POS_X * comptime![tile.lanes as u32] + slot;
        if lane < lanes {
            #[unroll]
            for q in 0..quads {
                let mut before = Vector::<f32, N>::new(0.0f32);
                // it need not be written where the first step begins an episode
                if started[(first * lanes + lane) as usize] == 0u32 {
                    #[unroll]
                    for e in 0..4usize {
                        let unit = (own + comptime![q as u32]) * 4u32 + comptime![e as u32];
                        if first == 0u32 {
                            before.insert(e, h0[(unit * lanes + lane) as usize]);
                        } else {
                            let at = unit * all + (first - 1u32) * lanes + lane;
                            before.insert(e, out[at as usize]);
                        }
                    }
                }
                state[slot as usize * blocks + own as usize + q] = before;
            }
        }
    }
    sync_cube();
    let half = comptime![tile.lanes * blocks];
    for t in first..end {
        let from = ((t - first) & 1u32) as usize * half;
        let to = half - from;
        for pass in 0..comptime![(tile.lanes / tile.rows) as u32] {
            let slot = pass * comptime![tile.rows as u32] + UNIT_POS_Y;
            let lane = CUBE_POS_X * comptime![tile.lanes as u32] + slot;
            if lane < lanes {
                let column = t * lanes + lane;
                let carried = select(started[column as usize] == 0u32, 1.0f32, 0.0f32);
                let mine = slot as usize * blocks;
                let mut sums = Array::<Vector<f32, N>>::new(comptime![3 * quads]);
                #[unroll]
                for i in 0..comptime![3 * quads] {
                    sums[i] = Vector::new(0.0f32);
                }
                if comptime![tile.share] {
                    #[unroll(tile.keep)]
                    for group in 0..comptime![blocks / 8] {
                        let mine = mine + group * 8 + (UNIT_POS_PLANE % 8u32) as usize;
                        let own_four = state[from + mine] * Vector::new(carried);
                        #[unroll]
                        for k in 0..32usize {
                            let value = plane_broadcast(
                                own_four.extract(comptime![k % 4]),
                                comptime![(k / 4) as u32],
                            );
                            let value = Vector::<f32, N>::new(value);
                            #[unroll]
                            for gq in 0..comptime![3 * quads] {
                                let row = (group * 32 + k) * 3 + comptime![gq / quads];
                                let q = comptime![gq % quads];
                                if comptime![tile.keep] {
                                    sums[gq] += kept[row * quads + q] * value;
                                } else {
                                    sums[gq] += ut[row * blocks + own as usize + q] * value;
                                }
                            }
                        }
                    }
                } else {
                    #[unroll(tile.keep)]
                    for i in 0..blocks {
                        let four = state[from + mine + i] * Vector::new(carried);
                        #[unroll]
                        for gq in 0..comptime![3 * quads] {
                            let gate = comptime![gq / quads];
                            let q = comptime![gq % quads];
                            let mut sum = sums[gq];
                            #[unroll]
                            for e in 0..4usize {
                                let row = (i * 4 + e) * 3 + gate;
                                let value = Vector::new(four.extract(e));
                                if comptime![tile.keep] {
                                    sum += kept[row * quads + q] * value;
                                } else {
                                    sum += ut[row * blocks + own as usize + q] * value;
                                }
                            }
                            sums[gq] = sum;
                        }
                    }
                }
                #[unroll]
                for q in 0..quads {
                    let sum_r = sums[q];
                    let sum_z = sums[comptime![quads + q]];
                    let sum_n = sums[comptime![2 * quads + q]];
                    let place = mine + own as usize + q;
                    let before = state[from + place] * Vector::new(carried);
                    let mut after = Vector::<f32, N>::new(0.0f32);
                    #[unroll]
                    for e in 0..4usize {
                        let unit = (own + comptime![q as u32]) * 4u32 + comptime![e as u32];
                        let at = (unit * all + column) as usize;
                        let gate = comptime![hidden as u32] * all;
                        let r = sigmoid(xw[at] + (sum_r.extract(e) + shift[comptime![12 * q + e]]));
                        let z = sigmoid(
                            xw[at + gate as usize]
                                + (sum_z.extract(e) + shift[comptime![12 * q + 4 + e]]),
                        );
                        let inner = sum_n.extract(e) + shift[comptime![12 * q + 8 + e]];
                        let n = tanh(xw[at + 2usize * gate as usize] + r * inner);
                        let new = n + z * (before.extract(e) - n);
                        out[at] = new;
                        after.insert(e, new);
                        if comptime![tile.save] {
                            let mut keep = Vector::<f32, N>::new(r);
                            keep.insert(1usize, z);
                            keep.insert(2usize, n);
                            keep.insert(3usize, inner);
                            saved[at] = keep;
                        }
                    }
                    state[to + place] = after;
                }
            }
        }
        sync_cube();
    }
}
