//! Statistics against independent packages, and against cases small enough to do by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocation;
mod by_hand;
mod calibration;
mod edges;
mod edges_groups;
mod golden;
mod golden_competing;
mod golden_means;
mod golden_regression;
mod golden_samples;
mod golden_tables;
mod golden_wins;
mod properties;
mod support;

use posology_trial::statistics::UniformSource;

/// Marsaglia's xorshift32, also the generator of the golden resamples.
pub struct Xorshift(pub u32);

impl UniformSource for Xorshift {
    fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}
