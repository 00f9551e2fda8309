//! All steps of the recurrent core, backward.

use cubecl::prelude::*;

use super::Tile;

/// Derivative of a loss by the arguments of [`super::forward`], from its derivative `d_out` by the
/// states, for the steps `first..end`, last step first.
///
/// `d_state[unit][lane]` is what the steps from `end` on contributed to the derivative by the state
/// after step `end - 1` (ignored where `end` is `steps`); left there is the derivative by the state
/// before `first`. `d_inner` is the derivative by `q`, and `previous` the state before each step,
/// zero where an episode begins: the derivative by `U_n` is `d_inner previous'`, that by `U_r` and
/// `U_z` the first two gates of `d_xw` times `previous'`.
#[cube(launch_unchecked)]
pub(super) fn backward<N: Size>(
    saved: &[Vector<f32, N>],
    u: &[Vector<f32, N>],
    h0: &[f32],
    started: &[u32],
    out: &[f32],
    d_out: &[f32],
    d_xw: &mut [f32],
    d_inner: &mut [f32],
    previous: &mut [f32],
    d_state: &mut [f32],
    lanes: u32,
    steps: u32,
    first: u32,
    end: u32,
    #[comptime] tile: Tile,
) {
    let hidden = comptime![tile.hidden];
    let blocks = comptime![tile.hidden / 4];
    let quads = comptime![tile.quads];
    let all = steps * lanes;
    let own = UNIT_POS_X * comptime![tile.quads as u32];
    let mut delta = Shared::<[Vector<f32, N>]>::new_slice(comptime![3 * tile.lanes * blocks]);
    let mut carry = Shared::<[Vector<f32, N>]>::new_slice(comptime![tile.lanes * blocks]);
    let kept_len = comptime![if tile.keep { 3 * hidden * quads } else { 1 }];
    let mut kept = Array::<Vector<f32, N>>::new(kept_len);
    if comptime![tile.keep] {
        for j in 0..comptime![3 * hidden as u32] {
            #[unroll]
            for q in 0..quads {
                kept[j as usize * quads + q] = u[j as usize * blocks + own as usize + q];
            }
        }
    }
    for pass in 0..comptime![(tile.lanes / tile.rows) as u32] {
        let slot = pass * comptime![tile.rows as u32] + UNIT_POS_Y;
        let lane = CUBE_POS_X * comptime![tile.lanes as u32] + slot;
        if lane < lanes {
            #[unroll]
            for q in 0..quads {
                let mut later = Vector::<f32, N>::new(0.0f32);
                if end < steps {
                    #[unroll]
                    for e in 0..4usize {
                        let unit = (own + comptime![q as u32]) * 4u32 + comptime![e as u32];
                        later.insert(e, d_state[(unit * lanes + lane) as usize]);
                    }
                }
                carry[slot as usize * blocks + own as usize + q] = later;
            }
        }
    }
    for back in 0..end - first {
        let t = end - 1u32 - back;
        for pass in 0..comptime![(tile.lanes / tile.rows) as u32] {
            let slot = pass * comptime![tile.rows as u32] + UNIT_POS_Y;
            let lane = CUBE_POS_X * comptime![tile.lanes as u32] + slot;
            if lane < lanes {
                let column = t * lanes + lane;
                let carried = started[column as usize] == 0u32;
                #[unroll]
                for q in 0..quads {
                    let place = own as usize + q;
                    let later = carry[slot as usize * blocks + place];
                    let mut kept_part = Vector::<f32, N>::new(0.0f32);
                    let mut by_r = Vector::<f32, N>::new(0.0f32);
                    let mut by_z = Vector::<f32, N>::new(0.0f32);
                    let mut by_inner = Vector::<f32, N>::new(0.0f32);
                    #[unroll]
                    for e in 0..4usize {
                        let unit = (own + comptime![q as u32]) * 4u32 + comptime![e as u32];
                        let at = (unit * all + column) as usize;
                        let gate = (comptime![hidden as u32] * all) as usize;
                        let mut before = 0.0f32;
                        if carried {
                            if t == 0u32 {
                                before = h0[(unit * lanes + lane) as usize];
                            } else {
                                before = out[at - lanes as usize];
                            }
                        }
                        let gates = saved[at];
                        let r = gates.extract(0usize);
                        let z = gates.extract(1usize);
                        let n = gates.extract(2usize);
                        let inner = gates.extract(3usize);
                        let d = later.extract(e) + d_out[at];
                        let d_n = d * (1.0f32 - z) * (1.0f32 - n * n);
                        let d_z = d * (before - n) * z * (1.0f32 - z);
                        let d_r = d_n * inner * r * (1.0f32 - r);
                        let d_q = d_n * r;
                        d_xw[at] = d_r;
                        d_xw[at + gate] = d_z;
                        d_xw[at + 2usize * gate] = d_n;
                        d_inner[at] = d_q;
                        previous[at] = before;
                        by_r.insert(e, d_r);
                        by_z.insert(e, d_z);
                        by_inner.insert(e, d_q);
                        kept_part.insert(e, d * z);
                    }
                    let row = slot as usize * comptime![3 * blocks] + place;
                    delta[row] = by_r;
                    delta[row + blocks] = by_z;
                    delta[row + comptime![2 * blocks]] = by_inner;
                    carry[slot as usize * blocks + place] = kept_part;
                }
            }
        }
        sync_cube();
        for pass in 0..comptime![(tile.lanes / tile.rows) as u32] {
            let slot = pass * comptime![tile.rows as u32] + UNIT_POS_Y;
            let lane = CUBE_POS_X * comptime![tile.lanes as u32] + slot;
            if lane < lanes {
                let carried = started[(t * lanes + lane) as usize] == 0u32;
                let row = slot as usize * comptime![3 * blocks];
                let mut sums = Array::<Vector<f32, N>>::new(quads);
                #[unroll]
                for q in 0..quads {
                    sums[q] = Vector::new(0.0f32);
                }
                if comptime![tile.share] {
                    #[unroll(tile.keep)]
                    for group in 0..comptime![3 * blocks / 8] {
                        let own_four = delta[row + group * 8 + (UNIT_POS_PLANE % 8u32) as usize];
                        #[unroll]
                        for k in 0..32usize {
                            let value = plane_broadcast(
                                own_four.extract(comptime![k % 4]),
                                comptime![(k / 4) as u32],
                            );
                            let value = Vector::<f32, N>::new(value);
                            let gate_unit = group * 32 + k;
                            #[unroll]
                            for q in 0..quads {
                                if comptime![tile.keep] {
                                    sums[q] += kept[gate_unit * quads + q] * value;
                                } else {
                                    sums[q] += u[gate_unit * blocks + own as usize + q] * value;
                                }
                            }
                        }
                    }
                } else {
                    #[unroll(tile.keep)]
                    for i in 0..comptime![3 * blocks] {
                        let four = delta[row + i];
                        #[unroll]
                        for q in 0..quads {
                            let mut sum = sums[q];
                            #[unroll]
                            for e in 0..4usize {
                                let value = Vector::new(four.extract(e));
                                if comptime![tile.keep] {
                                    sum += kept[(i * 4 + e) * quads + q] * value;
                                } else {
                                    sum += u[(i * 4 + e) * blocks + own as usize + q] * value;
                                }
                            }
                            sums[q] = sum;
                        }
                    }
                }
                #[unroll]
                for q in 0..quads {
                    let place = slot as usize * blocks + own as usize + q;
                    let mut earlier = Vector::<f32, N>::new(0.0f32);
                    if carried {
                        earlier = carry[place] + sums[q];
                    }
                    carry[place] = earlier;
                }
            }
        }
        sync_cube();
    }
    for pass in 0..comptime![(tile.lanes / tile.rows) as u32] {
        let slot = pass * comptime![tile.rows as u32] + UNIT_POS_Y;
        let lane = CUBE_POS_X * comptime![tile.lanes as u32] + slot;
        if lane < lanes {
            #[unroll]
            for q in 0..quads {
                let earlier = carry[slot as usize * blocks + own as usize + q];
                #[unroll]
                for e in 0..4usize {
                    let unit = (own + comptime![q as u32]) * 4u32 + comptime![e as u32];
                    d_state[(unit * lanes + lane) as usize] = earlier.extract(e);
                }
            }
        }
    }
}
