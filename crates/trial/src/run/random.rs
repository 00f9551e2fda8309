//! Philox as the source of resampling.

use posology_cohort::philox::{draw, stream};

use crate::statistics::UniformSource;

/// A stream at the level of the trial, told apart by two numbers.
#[derive(Clone, Debug)]
pub(super) struct TrialStream {
    seed: u64,
    number: u32,
    purpose: u32,
    block: u32,
    words: [u32; 4],
    used: usize,
}

impl TrialStream {
    /// `number`: of the cohort; `purpose`: of the statistic.
    pub fn new(seed: u64, number: u32, purpose: u32) -> Self {
        Self {
            seed,
            number,
            purpose,
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }
}

impl UniformSource for TrialStream {
    fn next_u32(&mut self) -> u32 {
        if self.used == self.words.len() {
            self.words = draw(
                self.seed,
                self.number,
                self.purpose,
                stream::TRIAL,
                self.block,
            );
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
}
