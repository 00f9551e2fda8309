//! One patient's twin, and how it comes to fit him.
//!
//! | module | what |
//! |---|---|
//! | [`op`] | the simulator as a differentiable operation on tensors |
//! | [`engine`] | patients of a data file on a device: predictions and gradients of many candidates at once |
//! | [`likelihood`] | the density of an observation around its prediction |
//! | [`drift`] | residual errors that are correlated in time |
//! | [`space`] | what is estimated, and on which scale |
//! | [`problem`] | observations, engine and space together |
//! | [`map`] | maximum a posteriori estimates of every patient |
//! | [`population`] | fits of populations: chains, SAEM, Fisher information, likelihood |
//! | [`goodness`] | residuals, prediction errors and predictive checks of a fit |
//! | [`forecast`] | posteriors by Markov chains, and what they say about later records |
//! | [`calibration`] | forecasts combined with the last observation, intervals held to what they cover |
//! | [`scores`] | forecasts against what was kept from the twin |
//! | [`informed`] | physics-informed networks: fits without a simulation |
//! | [`correction`] | training the network that corrects a mechanism |
//! | [`minimise`] | many small minimisations in lockstep |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bits;
pub mod calibration;
pub mod correction;
pub mod drift;
pub mod engine;
pub mod error;
pub mod forecast;
pub mod goodness;
pub mod informed;
pub mod likelihood;
pub mod map;
pub mod minimise;
pub mod op;
pub mod population;
pub mod problem;
pub mod scores;
pub mod space;

pub use error::TwinError;
