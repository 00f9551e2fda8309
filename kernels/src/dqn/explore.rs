//! Epsilon-greedy exploration on top of greedy actions.

use std::sync::Arc;

use cubecl::prelude::*;

use super::STREAM_EXPLORATION;
use crate::random::{mul_hi, philox4x32_10};

/// Bits of `levels` levels, 1 to 32.
fn every(levels: u32) -> u32 {
    u32::MAX >> (32 - levels)
}

/// With probability `epsilon` a lane's actions at decision `t`, `[heads][steps][n]`, become levels
/// drawn evenly among those of its mask, `[heads][steps + 1][n]` (0 allows every level); all factors
/// of an action are drawn anew, or none. One thread per lane.
///
/// Lane `i` draws with the counters `(i, step, stream, head)`: word 0 of head 0 is the coin, word 1
/// the level.
#[cube(launch_unchecked)]
pub fn explore(
    mask: &[u32],
    action: &mut [f32],
    n: u32,
    t: u32,
    steps: u32,
    step: u32,
    epsilon: f32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] levels: Arc<Vec<u32>>,
) {
    let lane = ABSOLUTE_POS;
    let n = n as usize;
    if lane < n {
        let more = n * (steps as usize + 1);
        let now = n * t as usize + lane;
        let mut explores = false;
        #[unroll]
        for h in 0..comptime![levels.len()] {
            let mut words = Array::<u32>::new(4usize);
            words[0] = lane as u32;
            words[1] = step;
            words[2] = STREAM_EXPLORATION;
            words[3] = comptime![h as u32].runtime();
            philox4x32_10(&mut words, seed_lo, seed_hi);
            if comptime![h == 0] {
                explores = f32::cast_from(words[0] >> 8u32) * (1.0f32 / 16_777_216.0f32) < epsilon;
            }
            let given = mask[h * more + now] & comptime![every(levels[h])];
            let open = select(given == 0u32, comptime![every(levels[h])].runtime(), given);
            let mut count = 0u32;
            #[unroll]
            for l in 0..comptime![levels[h] as usize] {
                count += (open >> comptime![l as u32]) & 1u32;
            }
            let rank = mul_hi(words[1], count);
            let mut seen = 0u32;
            let mut chosen = 0u32;
            #[unroll]
            for l in 0..comptime![levels[h] as usize] {
                let one = (open >> comptime![l as u32]) & 1u32;
                let hit = one == 1u32 && seen == rank;
                chosen = select(hit, comptime![l as u32], chosen);
                seen += one;
            }
            if explores {
                action[h * n * steps as usize + now] = f32::cast_from(chosen);
            }
        }
    }
}
