//! Proximal policy optimisation with constraints (Schulman 2017; Stooke 2020; Rockafellar 2000).
//!
//! | module | what |
//! |---|---|
//! | [`config`] | keys of a run, their defaults and checks |
//! | [`schedule`] | coefficients over a run |
//! | [`multipliers`] | PID control of the constraints' multipliers |
//! | [`update`](mod@update) | epochs over minibatches of whole sequences |
//! | [`plain`] | the same in plain tensor operations, for comparison |
//! | [`scale`] | running sizes of returns |
//! | [`risk`] | costs of episodes, their tails, learned value at risk |
//! | [`advantage`] | advantages and returns of a rollout |
//! | [`statistics`] | moments of samples, accounts of episodes |
//! | [`shuffle`] | minibatches of whole sequences |

pub mod advantage;
pub mod config;
pub mod multipliers;
pub mod plain;
pub mod risk;
pub mod scale;
pub mod schedule;
pub mod shuffle;
pub mod statistics;
pub mod update;
