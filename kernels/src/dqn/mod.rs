//! Kernels of Q-learning: exploration, a replay ring, the double Q loss, the target network.
//!
//! | module | what |
//! |---|---|
//! | [`explore`](mod@explore) | actions at random among those that are allowed, with a probability |
//! | [`replay`] | decisions into a ring on the device, and samples of it |
//! | [`loss`] | targets, Huber's loss and its gradient in one pass |
//! | [`target`] | the network that targets come from |

pub mod explore;
pub mod loss;
pub mod replay;
pub mod target;

/// Philox stream of exploring actions; the counter is the lane.
pub const STREAM_EXPLORATION: u32 = 12;
/// Philox stream of samples of the replay ring; the counter is the sample.
pub const STREAM_REPLAY: u32 = 13;
