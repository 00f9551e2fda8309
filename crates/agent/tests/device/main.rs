//! Kernels of the trainer on the device, one file per kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// lanes and decisions are indices of several buffers at once
#![allow(clippy::needless_range_loop)]

mod act;
mod adam;
mod adapt;
mod advantage;
mod analytic;
mod bridge;
mod dense;
mod dqn;
mod fresh;
mod gru;
mod look_ahead;
mod loss;
mod patients;
mod phases;
mod plain;
mod play;
mod policy;
mod tabular;
mod tabular_file;
mod training;
mod tune;
