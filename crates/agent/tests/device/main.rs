//! Kernels of the trainer on the device, one file per kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod act;
mod adam;
mod bridge;
mod gru;
mod patients;
mod play;
mod policy;
