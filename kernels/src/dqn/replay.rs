//! The replay ring (Lin 1992), `[row][slot][lane]`, and samples of it.
//!
//! Slot `d mod slots` holds decision `d` of every lane, and what is seen before decision `d`: the
//! observation after a decision is the one in the next slot, so nothing is stored twice. After `D`
//! decisions the ring knows what is seen before decision `D`, and `min(D, slots - 1)` transitions.

use cubecl::prelude::*;

use super::STREAM_REPLAY;
use crate::random::{mul_hi, philox4x32_10};
use crate::update::advantage::flag;

/// Copy the first `count` decisions of `from`, `[rows][steps_from][n]`, to the slots from `head` on.
/// Words of any kind; one thread per word.
#[cube(launch_unchecked)]
pub fn store(
    from: &[u32],
    ring: &mut [u32],
    rows: u32,
    steps_from: u32,
    count: u32,
    n: u32,
    head: u32,
    slots: u32,
) {
    let i = ABSOLUTE_POS;
    let wide = n as usize;
    if i < rows as usize * count as usize * wide {
        let line = i / wide;
        let row = line / count as usize;
        let step = line % count as usize;
        let slot = (head as usize + step) % slots as usize;
        ring[(row * slots as usize + slot) * wide + i % wide] =
            from[(row * steps_from as usize + step) * wide + i % wide];
    }
}

/// Rewards less the prices of costs: `priced` is `reward - sum_k price_k cost_k`, and `weight` 1
/// where a decision was made. All `[words]`, costs `[costs][words]`; one thread per decision.
#[cube(launch_unchecked)]
pub fn price(
    reward: &[f32],
    cost: &[f32],
    flags: &[u32],
    prices: &[f32],
    priced: &mut [f32],
    weight: &mut [f32],
    words: u32,
    #[comptime] costs: usize,
) {
    let i = ABSOLUTE_POS;
    let n = words as usize;
    if i < n {
        let decided = (flags[i] & comptime![flag::RESET | flag::DIVERGED]) == 0u32;
        let mut left = reward[i];
        #[unroll]
        for k in 0..costs {
            left -= prices[k] * cost[k * n + i];
        }
        priced[i] = select(decided, left, 0.0f32);
        weight[i] = select(decided, 1.0f32, 0.0f32);
    }
}

/// Attempts to find a decision: after an episode's end a lane's slot holds none.
const ATTEMPTS: usize = 4;

/// Draw samples evenly among `valid` slots from `oldest` on, one thread per sample.
///
/// | buffer | shape |
/// |---|---|
/// | `reward`, `flags` | `[slots][n]` rings |
/// | `place` | `[batch]` word of a ring's row at which the decision stands |
/// | `next` | `[batch]` the same of what is seen after its `n_step` decisions, or fewer |
/// | `returns` | `[batch]` sum of their discounted rewards, times `unit` |
/// | `follow` | `[batch]` discount of the value of `next`, 0 after a terminal state |
/// | `weight` | `[batch]` 1, or 0 where no decision was found |
///
/// Rewards are summed to the end of the episode at most; a truncated one goes on in the value of its
/// last observation, a terminated one does not (Pardo et al. 2018). Where a state left the numbers
/// nothing can be learnt. Sample `i` draws with the counters `(i, number, stream, 0)`.
#[cube(launch_unchecked)]
pub fn sample(
    reward: &[f32],
    flags: &[u32],
    place: &mut [u32],
    next: &mut [u32],
    returns: &mut [f32],
    follow: &mut [f32],
    weight: &mut [f32],
    batch: u32,
    n: u32,
    slots: u32,
    oldest: u32,
    valid: u32,
    n_step: u32,
    discount: f32,
    unit: f32,
    number: u32,
    seed_lo: u32,
    seed_hi: u32,
) {
    let i = ABSOLUTE_POS;
    if i < batch as usize {
        let mut words = Array::<u32>::new(4usize);
        words[0] = i as u32;
        words[1] = number;
        words[2] = STREAM_REPLAY;
        words[3] = 0u32;
        philox4x32_10(&mut words, seed_lo, seed_hi);
        let mut from = 0u32;
        let mut lane = 0u32;
        let mut found = false;
        #[unroll]
        for attempt in 0..ATTEMPTS {
            let drawn = mul_hi(words[attempt], valid * n);
            let slot = (oldest + drawn / n) % slots;
            let decided = (flags[(slot * n + drawn % n) as usize]
                & comptime![flag::RESET | flag::DIVERGED])
                == 0u32;
            let take = decided && !found;
            from = select(take, drawn / n, from);
            lane = select(take, drawn % n, lane);
            found = found || decided;
        }
        let mut sum = 0.0f32;
        let mut left = 1.0f32;
        let mut goes_on = found;
        let mut at = from;
        let mut steps = 0u32;
        while goes_on {
            let here = (((oldest + at) % slots) * n + lane) as usize;
            let bits = flags[here];
            let diverged = (bits & flag::DIVERGED) != 0u32;
            found = found && !diverged;
            sum += select(diverged, 0.0f32, left * reward[here]);
            left = select((bits & flag::TERMINATED) != 0u32, 0.0f32, left * discount);
            at += 1u32;
            steps += 1u32;
            goes_on = (bits & flag::ENDED) == 0u32 && steps < n_step && at < valid;
        }
        place[i] = ((oldest + from) % slots) * n + lane;
        next[i] = ((oldest + at) % slots) * n + lane;
        returns[i] = select(found, sum * unit, 0.0f32);
        follow[i] = select(found, left, 0.0f32);
        weight[i] = select(found, 1.0f32, 0.0f32);
    }
}
