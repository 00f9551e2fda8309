//! One patient's twin, and how it comes to fit him.
//!
//! | module | what |
//! |---|---|
//! | [`informed`] | physics-informed networks: fits without a simulation |
//! | [`op`] | the simulator as a differentiable operation on tensors |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod informed;
pub mod op;
