//! Where dose-limiting toxicities come from in simulated trials.

use posology_cohort::philox;

use super::DoseFindingError;

/// Stream of random numbers of the simulated trials; the streams of a cohort have small numbers
/// (`posology_cohort::philox::stream`).
const STREAM: u32 = 0x4446;

/// A source of dose-limiting toxicities. The outcome of a patient at a dose is fixed by the trial
/// and the patient's number alone, so that designs are compared on the same patients and results
/// do not depend on the number of threads.
pub trait DltSource: Sync {
    /// Number of doses.
    fn doses(&self) -> usize;

    /// Whether a patient (counted from zero) of a replicate has a toxicity at a dose.
    fn toxicity(&self, replicate: u32, patient: u32, dose: usize) -> bool;
}

/// A uniform number on [0, 1) with 53 bits.
fn uniform(words: [u32; 4]) -> f64 {
    const TWO_POW_MINUS_53: f64 = 1.0 / 9_007_199_254_740_992.0;
    let bits = (u64::from(words[0]) << 32) | u64::from(words[1]);
    (bits >> 11) as f64 * TWO_POW_MINUS_53
}

/// The same probability for everyone at a dose. A patient tolerates a dose if its probability lies
/// at or below the patient's own uniform number, so whoever has a toxicity at a dose has one at
/// more toxic doses, too.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedToxicity {
    seed: u64,
    truth: Vec<f64>,
}

impl FixedToxicity {
    /// True probability at each dose.
    ///
    /// # Errors
    /// [`DoseFindingError::Probability`], `TooFew` without doses.
    pub fn new(seed: u64, truth: Vec<f64>) -> Result<Self, DoseFindingError> {
        check_probabilities(&truth)?;
        Ok(Self { seed, truth })
    }
}

pub(super) fn check_probabilities(truth: &[f64]) -> Result<(), DoseFindingError> {
    if truth.is_empty() {
        return Err(DoseFindingError::TooFew {
            what: "doses",
            count: 0,
            needed: 1,
        });
    }
    match truth.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(dose) => Err(DoseFindingError::Probability {
            dose: dose + 1,
            value: truth[dose],
        }),
        None => Ok(()),
    }
}

impl DltSource for FixedToxicity {
    fn doses(&self) -> usize {
        self.truth.len()
    }

    fn toxicity(&self, replicate: u32, patient: u32, dose: usize) -> bool {
        uniform(philox::draw(self.seed, replicate, patient, STREAM, 0)) < self.truth[dose]
    }
}

/// Simulated patients, each with his or her outcome at every dose, from which trials draw with
/// replacement. This joins a design to a model: simulate a cohort once per dose, then run
/// thousands of trials on the table.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientPool {
    seed: u64,
    /// By patient, then dose.
    outcomes: Vec<bool>,
    doses: usize,
}

impl PatientPool {
    /// `outcomes[dose][patient]`: the same patients in the same order at every dose.
    ///
    /// # Errors
    /// [`DoseFindingError::TooFew`] without doses or patients, `PoolSize` if the columns differ in
    /// length.
    pub fn new(seed: u64, outcomes: &[Vec<bool>]) -> Result<Self, DoseFindingError> {
        let patients = outcomes.first().map_or(0, Vec::len);
        for (what, count) in [("doses", outcomes.len()), ("simulated patients", patients)] {
            if count == 0 {
                return Err(DoseFindingError::TooFew {
                    what,
                    count,
                    needed: 1,
                });
            }
        }
        if let Some(dose) = outcomes.iter().position(|column| column.len() != patients) {
            return Err(DoseFindingError::PoolSize {
                dose: dose + 1,
                count: outcomes[dose].len(),
                expected: patients,
            });
        }
        let rows = (0..patients).flat_map(|patient| outcomes.iter().map(move |dose| dose[patient]));
        Ok(Self {
            seed,
            outcomes: rows.collect(),
            doses: outcomes.len(),
        })
    }

    /// Share of the patients with a toxicity at each dose: the truth of a scenario.
    pub fn truth(&self) -> Vec<f64> {
        let patients = self.outcomes.len() / self.doses;
        (0..self.doses)
            .map(|dose| {
                let toxic = (0..patients).filter(|row| self.outcomes[row * self.doses + dose]);
                toxic.count() as f64 / patients as f64
            })
            .collect()
    }
}

impl DltSource for PatientPool {
    fn doses(&self) -> usize {
        self.doses
    }

    fn toxicity(&self, replicate: u32, patient: u32, dose: usize) -> bool {
        let patients = self.outcomes.len() / self.doses;
        let place = uniform(philox::draw(self.seed, replicate, patient, STREAM, 1));
        let row = ((place * patients as f64) as usize).min(patients - 1);
        self.outcomes[row * self.doses + dose]
    }
}
