//! The target network follows the network that learns.

use cubecl::prelude::*;

/// `to` moves `share` of the way to `from`, word by word; with a share of 1 it is a copy.
#[cube(launch_unchecked)]
pub fn follow(from: &[f32], to: &mut [f32], words: u32, share: f32) {
    let i = ABSOLUTE_POS;
    if i < words as usize {
        let moved = share * from[i] + (1.0f32 - share) * to[i];
        to[i] = select(share >= 1.0f32, from[i], moved);
    }
}
