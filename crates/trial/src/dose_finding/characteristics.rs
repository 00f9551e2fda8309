//! Operating characteristics: the usual table of a dose-finding design.

use serde::{Deserialize, Serialize};

use super::outcomes::check_probabilities;
use super::{DoseDesign, DoseFindingError, History, StopReason};

/// The truth of a simulation: the probability of toxicity at each dose and which dose is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    truth: Vec<f64>,
    mtd: Option<usize>,
}

impl Scenario {
    /// The right dose is the one whose probability is closest to the target; of equally close ones
    /// the lowest.
    ///
    /// # Errors
    /// [`DoseFindingError::Probability`], `TooFew` without doses.
    pub fn new(truth: Vec<f64>, target: f64) -> Result<Self, DoseFindingError> {
        check_probabilities(&truth)?;
        let mut mtd = 0;
        for (dose, p) in truth.iter().enumerate() {
            // up to rounding of decimal fractions
            if (p - target).abs() < (truth[mtd] - target).abs() - 1e-12 {
                mtd = dose;
            }
        }
        Ok(Self {
            truth,
            mtd: Some(mtd),
        })
    }

    /// Every dose is too toxic: to recommend none is right.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn too_toxic(truth: Vec<f64>) -> Result<Self, DoseFindingError> {
        check_probabilities(&truth)?;
        Ok(Self { truth, mtd: None })
    }

    /// True probability at each dose.
    pub fn truth(&self) -> &[f64] {
        &self.truth
    }

    /// The right dose, counted from zero; `None` if none is.
    pub fn mtd(&self) -> Option<usize> {
        self.mtd
    }

    /// Whether a dose lies above the right one.
    fn overdose(&self, dose: usize) -> bool {
        self.mtd.is_none_or(|mtd| dose > mtd)
    }
}

/// A mean over trials with its Monte Carlo standard error (zero if exact).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Mean.
    pub value: f64,
    /// Standard error.
    pub standard_error: f64,
}

/// Figures of one dose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DoseFigures {
    /// True probability of toxicity.
    pub truth: f64,
    /// Share of trials that recommend the dose.
    pub selected: Figure,
    /// Patients treated at it per trial.
    pub patients: Figure,
    /// Patients with a dose-limiting toxicity at it per trial.
    pub toxicities: Figure,
}

/// Operating characteristics of a design in a scenario. Shares are fractions, not percentages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatingCharacteristics {
    /// Design.
    pub design: String,
    /// Its target.
    pub target: f64,
    /// The right dose, counted from zero; `None` if none is.
    pub mtd: Option<usize>,
    /// Replicate trials; `None` if every path was visited.
    pub replicates: Option<u32>,
    /// One row per dose.
    pub doses: Vec<DoseFigures>,
    /// Share of trials that recommend no dose.
    pub none_selected: Figure,
    /// Share of trials that recommend the right dose, or none where none is right.
    pub correct: Figure,
    /// Share of trials that recommend a dose above the right one.
    pub too_high: Figure,
    /// Share of a trial's patients who are treated at the right dose.
    pub patients_at_mtd: Figure,
    /// Share of a trial's patients who are treated above the right dose.
    pub overdosed: Figure,
    /// Share of trials in which more than 60 % of the patients are.
    pub overdosed_60: Figure,
    /// Share of trials in which more than 80 % of the patients are.
    pub overdosed_80: Figure,
    /// Share of a trial's patients with a dose-limiting toxicity.
    pub toxicity_rate: Figure,
    /// Patients per trial.
    pub sample_size: Figure,
    /// Share of trials that ended for each reason.
    pub stopped: Vec<(StopReason, Figure)>,
}

pub(super) fn check_doses(
    what: &'static str,
    count: usize,
    design: &dyn DoseDesign,
) -> Result<(), DoseFindingError> {
    if count == design.doses() {
        Ok(())
    } else {
        Err(DoseFindingError::DoseCount {
            what,
            count,
            doses: design.doses(),
        })
    }
}

/// Weighted sum of a figure and of its square.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    value: f64,
    square: f64,
}

impl Sum {
    fn add(&mut self, value: f64, weight: f64) {
        self.value += weight * value;
        self.square += weight * value * value;
    }

    fn merge(&mut self, other: &Self) {
        self.value += other.value;
        self.square += other.square;
    }

    fn figure(&self, weight: f64, replicates: Option<u32>) -> Figure {
        let value = self.value / weight;
        let variance = (self.square / weight - value * value).max(0.0);
        Figure {
            value,
            standard_error: replicates.map_or(0.0, |count| (variance / f64::from(count)).sqrt()),
        }
    }
}

/// Columns of [`Sums`] that are not by dose.
const NONE: usize = 0;
const CORRECT: usize = 1;
const TOO_HIGH: usize = 2;
const AT_MTD: usize = 3;
const OVERDOSED: usize = 4;
const OVERDOSED_60: usize = 5;
const OVERDOSED_80: usize = 6;
const TOXICITY: usize = 7;
const SIZE: usize = 8;
const PLAIN: usize = 9;

/// Sums over trials.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    scenario: Scenario,
    weight: f64,
    plain: [Sum; PLAIN],
    reasons: [Sum; StopReason::ALL.len()],
    /// By dose: selected, patients, toxicities.
    doses: Vec<[Sum; 3]>,
}

impl Sums {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            scenario: scenario.clone(),
            weight: 0.0,
            plain: [Sum::default(); PLAIN],
            reasons: [Sum::default(); StopReason::ALL.len()],
            doses: vec![[Sum::default(); 3]; scenario.truth.len()],
        }
    }

    /// Adds a trial.
    pub(super) fn add(
        &mut self,
        history: &History,
        recommended: Option<usize>,
        reason: StopReason,
        weight: f64,
    ) {
        let yes = |condition: bool| f64::from(u8::from(condition));
        self.weight += weight;
        let (mut above, mut toxic) = (0, 0);
        for (dose, sums) in self.doses.iter_mut().enumerate() {
            let (n, y) = (history.patients()[dose], history.toxicities()[dose]);
            sums[0].add(yes(recommended == Some(dose)), weight);
            sums[1].add(f64::from(n), weight);
            sums[2].add(f64::from(y), weight);
            toxic += y;
            if self.scenario.overdose(dose) {
                above += n;
            }
        }
        let all = f64::from(history.total());
        let share = |count: u32| {
            if all > 0.0 {
                f64::from(count) / all
            } else {
                0.0
            }
        };
        let at_mtd = self.scenario.mtd.map_or(0, |dose| history.patients()[dose]);
        let mut row = [0.0; PLAIN];
        row[NONE] = yes(recommended.is_none());
        row[CORRECT] = yes(recommended == self.scenario.mtd);
        row[TOO_HIGH] = yes(recommended.is_some_and(|dose| self.scenario.overdose(dose)));
        row[AT_MTD] = share(at_mtd);
        row[OVERDOSED] = share(above);
        row[OVERDOSED_60] = yes(share(above) > 0.6);
        row[OVERDOSED_80] = yes(share(above) > 0.8);
        row[TOXICITY] = share(toxic);
        row[SIZE] = all;
        for (sum, value) in self.plain.iter_mut().zip(row) {
            sum.add(value, weight);
        }
        for (sum, of) in self.reasons.iter_mut().zip(StopReason::ALL) {
            sum.add(yes(of == reason), weight);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.weight += other.weight;
        let pairs = self.plain.iter_mut().zip(&other.plain);
        let pairs = pairs.chain(self.reasons.iter_mut().zip(&other.reasons));
        let by_dose = self
            .doses
            .iter_mut()
            .flatten()
            .zip(other.doses.iter().flatten());
        for (sum, other) in pairs.chain(by_dose) {
            sum.merge(other);
        }
    }

    pub(super) fn finish(
        &self,
        design: &dyn DoseDesign,
        replicates: Option<u32>,
    ) -> OperatingCharacteristics {
        let figure = |sum: &Sum| sum.figure(self.weight, replicates);
        let plain = |column: usize| figure(&self.plain[column]);
        let dose = |(sums, &truth): (&[Sum; 3], &f64)| DoseFigures {
            truth,
            selected: figure(&sums[0]),
            patients: figure(&sums[1]),
            toxicities: figure(&sums[2]),
        };
        OperatingCharacteristics {
            design: design.name().to_owned(),
            target: design.target(),
            mtd: self.scenario.mtd,
            replicates,
            doses: self
                .doses
                .iter()
                .zip(&self.scenario.truth)
                .map(dose)
                .collect(),
            none_selected: plain(NONE),
            correct: plain(CORRECT),
            too_high: plain(TOO_HIGH),
            patients_at_mtd: plain(AT_MTD),
            overdosed: plain(OVERDOSED),
            overdosed_60: plain(OVERDOSED_60),
            overdosed_80: plain(OVERDOSED_80),
            toxicity_rate: plain(TOXICITY),
            sample_size: plain(SIZE),
            stopped: StopReason::ALL
                .into_iter()
                .zip(self.reasons.iter().map(figure))
                .collect(),
        }
    }
}
