//! Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
//! the generator of every random number in Posology, on the host and on the device.
//!
//! A draw is a pure function of `(seed; patient, step, stream, block)`, so a result never
//! depends on batch size, order of patients or number of threads. The 64-bit seed is the
//! key (low word first), the four counters are the block.

use std::convert::Infallible;

use rand::TryRng;

/// Purposes of random numbers; each has its own, independent, stream of a patient.
pub mod stream {
    /// Individual parameters (inter-individual and inter-occasion variability).
    pub const PARAMETERS: u32 = 0;
    /// Residual error of observations (drawn on the device).
    pub const RESIDUAL: u32 = 1;
    /// Covariates of virtual patients.
    pub const COVARIATES: u32 = 2;
    /// Trial level: randomisation, accrual, drop-out.
    pub const TRIAL: u32 = 3;
    /// Measurement error at visits (drawn on the device).
    pub const VISITS: u32 = 4;
    /// Parameter uncertainty: the counter is the replicate, not a patient.
    pub const UNCERTAINTY: u32 = 5;
    /// Actions of a policy (drawn on the device): the counter is the lane.
    pub const ACTIONS: u32 = 6;
    /// First weights of a network: the counter is the matrix.
    pub const WEIGHTS: u32 = 7;
    /// Exploring actions of Q-learning (drawn on the device): the counter is the lane.
    pub const EXPLORATION: u32 = 12;
    /// Samples of the replay ring (drawn on the device): the counter is the sample.
    pub const REPLAY: u32 = 13;
    /// Proposals and acceptance of the chains of a population fit: the counter is the chain.
    pub const CHAINS: u32 = 14;
    /// Starts of a search, samples of an importance sampler: the counter is the patient.
    pub const STARTS: u32 = 15;
    /// Simulated data of a predictive check or a forecast: the counter is the patient.
    pub const PREDICTIVE: u32 = 16;
}

const MULTIPLIER_0: u32 = 0xD251_1F53;
const MULTIPLIER_1: u32 = 0xCD9E_8D57;
/// Weyl constants: golden ratio and sqrt(3) - 1.
const WEYL_0: u32 = 0x9E37_79B9;
const WEYL_1: u32 = 0xBB67_AE85;
const ROUNDS: u32 = 10;
/// 2^-24: turns the upper 24 bits of a word into a fraction that an `f32` holds exactly.
const TWO_POW_MINUS_24: f64 = 1.0 / 16_777_216.0;

/// One block of four words for a counter and a key.
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIER_0) * u64::from(c0);
        let p1 = u64::from(MULTIPLIER_1) * u64::from(c2);
        (c0, c1, c2, c3) = (
            (p1 >> 32) as u32 ^ c1 ^ k0,
            p1 as u32,
            (p0 >> 32) as u32 ^ c3 ^ k1,
            p0 as u32,
        );
        k0 = k0.wrapping_add(WEYL_0);
        k1 = k1.wrapping_add(WEYL_1);
    }
    [c0, c1, c2, c3]
}

/// The key of a seed: low word first.
pub const fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// Block number `block` of a patient's stream.
pub fn draw(seed: u64, patient: u32, step: u32, stream: u32, block: u32) -> [u32; 4] {
    philox4x32_10([patient, step, stream, block], key(seed))
}

/// Uniform on (0, 1] in steps of 2^-24: never zero, so its logarithm is finite.
pub fn uniform_open_closed(word: u32) -> f64 {
    f64::from((word >> 8) + 1) * TWO_POW_MINUS_24
}

/// Uniform on [0, 1) in steps of 2^-24.
pub fn uniform_closed_open(word: u32) -> f64 {
    f64::from(word >> 8) * TWO_POW_MINUS_24
}

/// Standard normal variate number `index` of a patient's stream, by Box and Muller from the
/// first two words of block `index`. The device does the same in `f32`.
pub fn standard_normal(seed: u64, patient: u32, step: u32, stream: u32, index: u32) -> f64 {
    let [c0, c1, _, _] = draw(seed, patient, step, stream, index);
    let radius = (-2.0 * uniform_open_closed(c0).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform_closed_open(c1)).cos()
}

/// A stream as a generator of the `rand` crate, for `rand_distr`'s distributions.
///
/// Words come in block order. After 2^32 blocks (2^34 words) the stream repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
    patient: u32,
    step: u32,
    stream: u32,
    next_block: u32,
    buffer: [u32; 4],
    /// Words of `buffer` already handed out.
    used: usize,
}

impl Philox {
    /// The stream of one patient and step (an occasion, a redraw, a visit), from its start.
    pub fn new(seed: u64, patient: u32, step: u32, stream: u32) -> Self {
        Self {
            key: key(seed),
            patient,
            step,
            stream,
            next_block: 0,
            buffer: [0; 4],
            used: 4,
        }
    }

    fn next_word(&mut self) -> u32 {
        if self.used >= self.buffer.len() {
            self.buffer = philox4x32_10(
                [self.patient, self.step, self.stream, self.next_block],
                self.key,
            );
            self.next_block = self.next_block.wrapping_add(1);
            self.used = 0;
        }
        let word = self.buffer[self.used];
        self.used += 1;
        word
    }
}

impl TryRng for Philox {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.next_word());
        Ok(low | (u64::from(self.next_word()) << 32))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(4) {
            let bytes = self.next_word().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_distr::{Distribution, Normal};

    /// Known answers of the Random123 distribution (`kat_vectors`, philox4x32 with 10 rounds).
    #[test]
    fn known_answers_of_random123() {
        let ones = u32::MAX;
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [ones; 4],
                [ones; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32_10(counter, key), expected);
        }
    }

    #[test]
    fn generator_walks_the_blocks_in_order() {
        let seed = 0x0123_4567_89ab_cdef;
        let mut generator = Philox::new(seed, 7, 3, stream::COVARIATES);
        let words: Vec<u32> = (0..8).map(|_| generator.next_u32()).collect();
        assert_eq!(words[..4], draw(seed, 7, 3, 2, 0));
        assert_eq!(words[4..], draw(seed, 7, 3, 2, 1));
        let mut again = Philox::new(seed, 7, 3, stream::COVARIATES);
        let mut bytes = [0u8; 6];
        again.fill_bytes(&mut bytes);
        assert_eq!(bytes[..4], words[0].to_le_bytes());
        assert_eq!(bytes[4..], words[1].to_le_bytes()[..2]);
        assert_eq!(
            again.next_u64(),
            u64::from(words[2]) | (u64::from(words[3]) << 32)
        );
    }

    #[test]
    fn uniforms_stay_inside_their_intervals() {
        assert_eq!(uniform_open_closed(0), TWO_POW_MINUS_24);
        assert_eq!(uniform_open_closed(u32::MAX), 1.0);
        assert_eq!(uniform_closed_open(0), 0.0);
        assert!(uniform_closed_open(u32::MAX) < 1.0);
    }

    #[test]
    fn normals_have_the_moments_of_a_standard_normal() {
        let n = 200_000;
        let draws: Vec<f64> = (0..n)
            .map(|i| standard_normal(42, i, 0, stream::RESIDUAL, 5))
            .collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / f64::from(n);
        let kurtosis =
            draws.iter().map(|z| (z - mean).powi(4)).sum::<f64>() / f64::from(n) / variance.powi(2);
        // four standard errors: 1/sqrt(n), sqrt(2/n), sqrt(24/n)
        assert!(mean.abs() < 4.0 / f64::from(n).sqrt(), "mean {mean}");
        assert!(
            (variance - 1.0).abs() < 4.0 * (2.0 / f64::from(n)).sqrt(),
            "variance {variance}"
        );
        assert!(
            (kurtosis - 3.0).abs() < 4.0 * (24.0 / f64::from(n)).sqrt(),
            "kurtosis {kurtosis}"
        );
    }

    #[test]
    fn rand_distributions_draw_from_a_stream() {
        let normal = Normal::new(10.0, 2.0).expect("valid");
        let mut generator = Philox::new(1, 2, 3, 0);
        let first: f64 = normal.sample(&mut generator);
        let second: f64 = normal.sample(&mut Philox::new(1, 2, 3, 0));
        assert_eq!(first, second);
        assert_ne!(first, normal.sample(&mut generator));
    }
}
