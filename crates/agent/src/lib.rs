//! Environments, policies and safe meta-reinforcement learning, all on the device.
//!
//! | module | what |
//! |---|---|
//! | [`spec`] | what a decision process offers: observations, actions, rewards, costs |
//! | [`rollout`] | the buffers in which decisions are kept, `[row][decision][lane]` |
//! | [`environment`] | decision processes of many lanes in lockstep |
//! | [`task`] | task files: any model and population as a decision process |
//! | [`policy`] | networks: inference in one launch, sequences with gradients |
//! | [`play`] | whole episodes without learning: rules, searches, plans for one patient |
//! | [`ppo`] | configuration, multipliers, risk, updates of the policy |
//! | [`dqn`] | double Q-learning from a replay ring on the device |
//! | [`adapt`] | regret by treatment cycle; learning on for one patient |
//! | [`train`] | the training loop, its logs and checkpoints |
//! | [`transfers`] | reads from the device, counted |
//! | [`baseline`] | what a policy is compared with: rules, threshold search, exact solutions of tabular processes |
//! | [`ops`] | differentiable operations with own kernels |
//! | [`bridge`] | Burn tensors and kernel buffers are the same memory |

pub mod adapt;
pub mod baseline;
pub mod bridge;
pub mod codes;
pub mod dqn;
pub mod environment;
pub mod error;
pub mod launches;
pub mod ops;
pub mod play;
pub mod policy;
pub mod ppo;
pub mod rollout;
pub mod spec;
pub mod task;
pub mod train;
pub mod transfers;
