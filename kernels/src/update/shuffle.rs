//! A keyed permutation, and the copy of a minibatch of whole sequences.
//!
//! A Feistel network (Luby and Rackoff 1988) whose rounds are Philox words permutes the numbers of
//! an even count of bits; walking along a cycle until the number is below `n` (Black and Rogaway
//! 2002) makes it a permutation of `0..n`. So every place of a shuffle is computed on its own:
//! nothing is sorted and nothing comes from the host.

use cubecl::prelude::*;

use crate::random::philox4x32_10;

/// Rounds of the network.
const ROUNDS: u32 = 6;

/// Half of the bits that the network permutes for `0..n`.
pub fn half_bits(n: u32) -> u32 {
    let bits = u32::BITS - n.saturating_sub(1).leading_zeros();
    bits.div_ceil(2).max(1)
}

#[cube]
fn feistel(x: u32, half: u32, stream: u32, seed_lo: u32, seed_hi: u32) -> u32 {
    let mask = (1u32 << half) - 1u32;
    let mut left = x >> half;
    let mut right = x & mask;
    let mut words = Array::<u32>::new(4usize);
    for round in 0..ROUNDS {
        words[0] = right;
        words[1] = round;
        words[2] = stream;
        words[3] = 0u32;
        philox4x32_10(&mut words, seed_lo, seed_hi);
        let mixed = left ^ (words[0] & mask);
        left = right;
        right = mixed;
    }
    (left << half) | right
}

/// `places[j]`: number `first + j` of permutation `stream` of `0..n`, for `j` in `0..count`.
#[cube(launch_unchecked)]
pub fn permutation(
    places: &mut [u32],
    first: u32,
    count: u32,
    n: u32,
    half: u32,
    stream: u32,
    seed_lo: u32,
    seed_hi: u32,
) {
    let i = ABSOLUTE_POS;
    if i < count as usize {
        let mut x = feistel(first + i as u32, half, stream, seed_lo, seed_hi);
        while x >= n {
            x = feistel(x, half, stream, seed_lo, seed_hi);
        }
        places[i] = x;
    }
}

/// Copy columns `places` of `from`, `[rows][steps_from][n]`, to `to`, `[rows][steps_to][m]`, with
/// `steps_to` at most `steps_from`. Words of any kind; one thread per word written.
#[cube(launch_unchecked)]
pub fn gather(
    from: &[u32],
    places: &[u32],
    to: &mut [u32],
    rows: u32,
    steps_from: u32,
    steps_to: u32,
    n: u32,
    m: u32,
) {
    let i = ABSOLUTE_POS;
    let wide = m as usize;
    if i < rows as usize * steps_to as usize * wide {
        let line = i / wide;
        let row = line / steps_to as usize;
        let step = line % steps_to as usize;
        let column = places[i % wide] as usize;
        to[i] = from[(row * steps_from as usize + step) * n as usize + column];
    }
}
