//! Double Q-learning on the device (van Hasselt, Guez and Silver 2016): a baseline without limits.
//!
//! All lanes decide in lockstep, epsilon-greedily; their decisions go into a ring on the device, from
//! which minibatches are drawn by a kernel. The network is a policy without memory whose heads'
//! outputs are read as values: the most probable level is the best one, so whatever evaluates a
//! policy evaluates this one.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what can be chosen, and which tasks fit |
//! | [`replay`] | the ring and its samples |
//! | [`update`] | minibatches, targets, steps of the optimiser |
//! | [`learner`] | a run in memory |
//! | [`snapshot`] | a learner as a checkpoint and back |

pub mod config;
pub mod learner;
pub mod replay;
pub mod snapshot;
pub mod update;

pub use self::learner::DqnLearner;
