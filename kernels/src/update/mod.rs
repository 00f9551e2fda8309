//! Kernels of a policy's update: advantages, moments, episodes, shuffling, and the fused loss.
//!
//! Buffers are `[row][decision][lane]`, or `[row][sample]` where a sample is one decision of one
//! lane. Nothing here returns to the host but a few sums, and every sum has a fixed order.
//!
//! | module | what |
//! |---|---|
//! | [`adam`] | one step of the optimiser, clipped |
//! | [`advantage`] | generalised advantage estimation, reward and costs at once |
//! | [`moments`] | mean and variance of samples, and normalisation by them |
//! | [`episodes`] | totals of episodes, tail costs, sums for the metrics |
//! | [`scale`] | rows times factors |
//! | [`shuffle`] | a keyed permutation and the copy of a minibatch |
//! | [`loss`] | the fused safe update: every loss part and its gradient in one pass |
//! | [`squashed`] | log-probability and entropy of a squashed Gaussian action |
//! | [`sums`] | sums of rows in a fixed order |

#![allow(
    clippy::manual_clamp,
    reason = "minimum and maximum say what happens to a NaN"
)]

pub mod adam;
pub mod advantage;
pub mod episodes;
pub mod loss;
pub mod moments;
pub mod scale;
pub mod shuffle;
pub mod squashed;
pub mod sums;

use cubecl::prelude::{CubeCount, CubeDim};

/// Threads per workgroup.
pub const WORKGROUP: u32 = 64;
/// Workgroups per dimension that every adapter can launch.
const GROUPS: usize = 65_535;

/// Workgroups for `threads` threads; kernels number them by `ABSOLUTE_POS`.
pub fn grid(threads: usize) -> CubeCount {
    let groups = threads.div_ceil(WORKGROUP as usize).max(1);
    CubeCount::Static(groups.min(GROUPS) as u32, groups.div_ceil(GROUPS) as u32, 1)
}

/// The shape of a workgroup of [`grid`].
pub fn group() -> CubeDim {
    CubeDim::new_1d(WORKGROUP)
}
