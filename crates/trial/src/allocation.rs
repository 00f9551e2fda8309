//! Who gets which arm, when patients enter and leave, and the luck of their events.
//!
//! Every number is a function of the seed and of a patient's id (or of a stratum and the number
//! of its block), so it does not depend on batches, shards, arms or the order of computation.
//! All come from the stream `TRIAL` of [`posology_cohort::philox`], whose counters are shared out
//! here, so that no two purposes ever see the same random word:
//!
//! | step | patient | what |
//! |---|---|---|
//! | 0 to 2^30 - 1 | cohort | resampling of statistics (`run::random`) |
//! | 2^30 + stratum | block number | permuted block |
//! | 2^31 | id | time of entry |
//! | 2^31 + 1 | id | time of drop-out |
//! | 3 2^30 + endpoint | id | unit exponential of an endpoint's hazard |
//!
//! Strata and endpoints are below 2^16. Replicates of a trial differ in their seed
//! ([`replicate_seed`]), and so in everything.

use posology_cohort::philox::{draw, stream};
use thiserror::Error;

const BLOCKS: u32 = 1 << 30;
const ENTRY: u32 = 1 << 31;
const DROPOUT: u32 = ENTRY + 1;
const HAZARDS: u32 = 3 << 30;
/// Strata are numbered below this.
pub const MOST_STRATA: u32 = 1 << 16;
/// Longest permuted block.
pub const LONGEST_BLOCK: u32 = 1 << 16;
/// 2^-53, the distance between neighbours of the uniforms drawn here.
const TWO_POW_MINUS_53: f64 = 1.0 / 9_007_199_254_740_992.0;

/// A randomisation that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AllocationError {
    /// No arm gets anybody.
    #[error(
        "the ratio {ratio:?} puts no patient into any arm; give each arm a whole number, such as [1, 1]"
    )]
    Ratio {
        /// As given.
        ratio: Vec<u32>,
    },
    /// Blocks that do not hold whole ratios.
    #[error(
        "blocks of {block} patients cannot be shared out as {ratio:?}; choose a multiple of {sum}, at most {LONGEST_BLOCK}"
    )]
    Block {
        /// As given.
        block: u32,
        /// As given.
        ratio: Vec<u32>,
        /// Sum of the ratio.
        sum: u64,
    },
    /// Too many strata.
    #[error(
        "patient {position} is in stratum {stratum}, but strata are numbered from 0 to {}; use fewer conditions", MOST_STRATA - 1
    )]
    Stratum {
        /// Zero-based position of the patient.
        position: usize,
        /// The offending stratum.
        stratum: u32,
    },
}

/// Stratified randomisation in permuted blocks (Zelen 1974, J Chronic Dis 27:365).
///
/// Within each stratum patients are taken in the order in which they are listed, which is that of
/// their ids; each `block` of them in a row contains every arm in the exact ratio, in random
/// order. A patient's arm therefore depends on the strata of the patients before, never on how
/// the work is divided: allocate the whole cohort first, then take the part that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Randomisation {
    seed: u64,
    /// The arms of a block before they are shuffled.
    block: Vec<u32>,
}

impl Randomisation {
    /// `ratio`: patients per arm, in the order of the arms; `block`: patients per block, a
    /// multiple of the ratio's sum.
    ///
    /// # Errors
    /// If the ratio is all zero, or the block is not such a multiple.
    pub fn new(ratio: &[u32], block: u32, seed: u64) -> Result<Self, AllocationError> {
        let sum: u64 = ratio.iter().map(|&patients| u64::from(patients)).sum();
        if sum == 0 {
            return Err(AllocationError::Ratio {
                ratio: ratio.to_vec(),
            });
        }
        if block == 0 || block > LONGEST_BLOCK || !u64::from(block).is_multiple_of(sum) {
            return Err(AllocationError::Block {
                block,
                ratio: ratio.to_vec(),
                sum,
            });
        }
        let repeats = u64::from(block) / sum;
        let arms = ratio.iter().zip(0u32..).flat_map(|(&patients, arm)| {
            let places = u64::from(patients) * repeats;
            std::iter::repeat_n(arm, places as usize)
        });
        Ok(Self {
            seed,
            block: arms.collect(),
        })
    }

    /// The arm of each patient. `strata`: of the whole cohort, in the order of ids.
    ///
    /// # Errors
    /// If a stratum is not below [`MOST_STRATA`].
    pub fn allocate(&self, strata: &[u32]) -> Result<Vec<u32>, AllocationError> {
        if let Some(position) = strata.iter().position(|&stratum| stratum >= MOST_STRATA) {
            return Err(AllocationError::Stratum {
                position,
                stratum: strata[position],
            });
        }
        let count = strata.iter().max().map_or(0, |&last| last as usize + 1);
        let length = self.block.len();
        // the present block of each stratum, and how many patients each has had
        let mut blocks = vec![0; count * length];
        let mut patients = vec![0u32; count];
        let arm = |&stratum: &u32| {
            let block = &mut blocks[stratum as usize * length..][..length];
            let before = &mut patients[stratum as usize];
            let place = *before as usize % length;
            if place == 0 {
                self.permute(stratum, *before / length as u32, block);
            }
            *before += 1;
            block[place]
        };
        Ok(strata.iter().map(arm).collect())
    }

    /// The arms of one block of a stratum, in order (Durstenfeld's shuffle).
    fn permute(&self, stratum: u32, number: u32, block: &mut [u32]) {
        block.copy_from_slice(&self.block);
        let mut words = Words::new(self.seed, number, BLOCKS + stratum);
        for last in (1..block.len()).rev() {
            block.swap(last, words.below(last as u32 + 1) as usize);
        }
    }
}

/// Random words of one purpose.
struct Words {
    seed: u64,
    patient: u32,
    step: u32,
    next: u32,
    buffer: [u32; 4],
}

impl Words {
    fn new(seed: u64, patient: u32, step: u32) -> Self {
        Self {
            seed,
            patient,
            step,
            next: 0,
            buffer: [0; 4],
        }
    }

    fn word(&mut self) -> u32 {
        let place = self.next % 4;
        if place == 0 {
            self.buffer = draw(
                self.seed,
                self.patient,
                self.step,
                stream::TRIAL,
                self.next / 4,
            );
        }
        self.next += 1;
        self.buffer[place as usize]
    }

    /// A uniform integer in `0..bound`, without bias: Lemire 2019, ACM Trans Model Comput Simul
    /// 29:3.
    fn below(&mut self, bound: u32) -> u32 {
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.word()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }
}

/// Uniform on (0, 1), in steps of 2^-53 from 2^-54 on: fine enough that times of millions of
/// patients hardly ever tie.
fn uniform(seed: u64, patient: u32, step: u32) -> f64 {
    let [low, high, ..] = draw(seed, patient, step, stream::TRIAL, 0);
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    // the largest would round to 1
    ((bits as f64 + 0.5) * TWO_POW_MINUS_53).min(1.0 - TWO_POW_MINUS_53)
}

fn exponential(seed: u64, patient: u32, step: u32) -> f64 {
    -uniform(seed, patient, step).ln()
}

/// When a patient enters: uniform between zero and `accrual`, in its unit.
pub fn entry_time(seed: u64, id: u32, accrual: f64) -> f64 {
    accrual * uniform(seed, id, ENTRY)
}

/// When a patient leaves the trial, counted from entry: exponential with the given hazard, in the
/// unit of its inverse; never (infinite) if the hazard is not positive.
pub fn dropout_time(seed: u64, id: u32, hazard: f64) -> f64 {
    if hazard > 0.0 {
        exponential(seed, id, DROPOUT) / hazard
    } else {
        f64::INFINITY
    }
}

/// Exponential variate with mean 1: the event of an endpoint happens when its cumulative hazard
/// reaches this. The same in every arm, so that arms differ by their hazards only.
pub fn unit_exponential(seed: u64, id: u32, endpoint: u16) -> f64 {
    exponential(seed, id, HAZARDS + u32::from(endpoint))
}

/// The seed of a replicate of a trial. Different replicates of one seed never share a seed; the
/// seeds of neighbouring seeds are unrelated. SplitMix64 (Steele, Lea and Flood 2014, OOPSLA)
/// started at the mixed seed.
pub fn replicate_seed(seed: u64, replicate: u64) -> u64 {
    split_mix(mix(seed), replicate)
}

/// Output number `index` of SplitMix64 started at `state`.
fn split_mix(state: u64, index: u64) -> u64 {
    const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    mix(state.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA)))
}

/// The finaliser of SplitMix64: a bijection.
const fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_has_its_published_outputs() {
        // https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64, state 1234567
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for (index, value) in (0..).zip(expected) {
            assert_eq!(split_mix(1_234_567, index), value);
        }
    }

    #[test]
    fn purposes_do_not_share_counters() {
        let mut ranges = [
            (0, BLOCKS - 1),
            (BLOCKS, BLOCKS + (MOST_STRATA - 1)),
            (ENTRY, ENTRY),
            (DROPOUT, DROPOUT),
            (HAZARDS, HAZARDS + u32::from(u16::MAX)),
        ];
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}
