//! Designs that compare the toxicity rate at the current dose with an interval: BOIN and the
//! keyboard.

use serde::{Deserialize, Serialize};

use super::table::posterior_above;
use super::{Decision, DecisionTable, DoseDesign, DoseFindingError, History, StopReason, isotonic};

/// How the interval is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalRule {
    /// Bayesian optimal interval: `safe` is the highest probability that is too low, `toxic` the
    /// lowest that is too high.
    Boin {
        /// phi1 of the paper.
        safe: f64,
        /// phi2 of the paper.
        toxic: f64,
    },
    /// Target key from `target - below` to `target + above`.
    Keyboard {
        /// Distance of the lower end.
        below: f64,
        /// Distance of the upper end.
        above: f64,
    },
}

impl IntervalRule {
    /// BOIN with phi1 = 0.6 and phi2 = 1.4 times the target, as recommended by Liu and Yuan.
    pub fn boin(target: f64) -> Self {
        Self::Boin {
            safe: 0.6 * target,
            toxic: 1.4 * target,
        }
    }

    /// Keyboard with a target key of half-width 0.05.
    pub fn keyboard() -> Self {
        Self::Keyboard {
            below: 0.05,
            above: 0.05,
        }
    }

    /// The rate at or below which a BOIN escalates and that at or above which it de-escalates
    /// (lambda_e and lambda_d of Liu and Yuan 2015), or the ends of the target
    /// key.
    pub fn boundaries(self, target: f64) -> (f64, f64) {
        match self {
            Self::Boin { safe, toxic } => {
                let odds = |p: f64| p / (1.0 - p);
                let low = ((1.0 - safe) / (1.0 - target)).ln() / (odds(target) / odds(safe)).ln();
                let high =
                    ((1.0 - target) / (1.0 - toxic)).ln() / (odds(toxic) / odds(target)).ln();
                (low, high)
            }
            Self::Keyboard { below, above } => (target - below, target + above),
        }
    }
}

/// Settings of a BOIN or keyboard design.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalSettings {
    /// Number of doses.
    pub doses: usize,
    /// Probability of toxicity that is aimed at.
    pub target: f64,
    /// The interval.
    pub rule: IntervalRule,
    /// Patients per cohort.
    pub cohort_size: u32,
    /// Most patients of the trial.
    pub patients: u32,
    /// First dose, counted from zero.
    pub start: usize,
    /// A dose is eliminated if P(p > target) exceeds this with at least three patients.
    pub elimination: f64,
    /// Stricter stopping: the trial ends if P(p > target) at the lowest dose exceeds
    /// `elimination` minus this.
    pub extra_safe: Option<f64>,
    /// Ends the trial once so many patients were treated at the current dose and the next cohort
    /// would stay there.
    pub stop_at: Option<u32>,
    /// Treats one toxicity among three patients as a reason to stay, as clinicians know it from
    /// the 3+3 (for targets near 0.25).
    pub stay_at_one_of_three: bool,
    /// Recommends only doses whose estimate does not exceed the de-escalation boundary.
    pub bounded: bool,
}

impl IntervalSettings {
    /// A BOIN in cohorts of three with the package's defaults.
    pub fn boin(doses: usize, target: f64, patients: u32) -> Self {
        Self {
            doses,
            target,
            rule: IntervalRule::boin(target),
            cohort_size: 3,
            patients,
            start: 0,
            elimination: 0.95,
            extra_safe: None,
            stop_at: None,
            stay_at_one_of_three: false,
            bounded: false,
        }
    }

    /// A keyboard in cohorts of three with a target key of half-width 0.05.
    pub fn keyboard(doses: usize, target: f64, patients: u32) -> Self {
        Self {
            rule: IntervalRule::keyboard(),
            ..Self::boin(doses, target, patients)
        }
    }

    fn design_name(&self) -> &'static str {
        match self.rule {
            IntervalRule::Boin { .. } => "boin",
            IntervalRule::Keyboard { .. } => "keyboard",
        }
    }

    fn check(&self) -> Result<(), DoseFindingError> {
        let design = self.design_name();
        let refuse = |setting: &'static str, value: f64, allowed: String| {
            Err(DoseFindingError::Range {
                design,
                setting,
                value,
                allowed,
            })
        };
        let target = self.target;
        if !(0.05..=0.6).contains(&target) {
            return refuse("target", target, "between 0.05 and 0.6".to_owned());
        }
        let (low, high) = match self.rule {
            IntervalRule::Boin { safe, toxic } => (safe, toxic),
            IntervalRule::Keyboard { below, above } => (target - below, target + above),
        };
        // the margins of the BOIN package: closer hypotheses cannot be told apart in a phase I
        let most = match self.rule {
            IntervalRule::Boin { .. } => 0.9 * target,
            IntervalRule::Keyboard { .. } => target,
        };
        if !(low > 0.0 && low <= most) {
            return refuse("safe", low, format!("above 0 and at most {most:.3}"));
        }
        let least = match self.rule {
            IntervalRule::Boin { .. } => 1.1 * target,
            IntervalRule::Keyboard { .. } => target,
        };
        if !(high >= least && high < 1.0) || high - low < 1e-3 {
            return refuse("toxic", high, format!("at least {least:.3} and below 1"));
        }
        if self.doses == 0 {
            return refuse("doses", 0.0, "at least 1".to_owned());
        }
        if self.cohort_size == 0 || self.cohort_size > self.patients {
            let allowed = format!("between 1 and the {} patients of the trial", self.patients);
            return refuse("cohort_size", f64::from(self.cohort_size), allowed);
        }
        if self.patients > 10_000 {
            return refuse(
                "patients",
                f64::from(self.patients),
                "at most 10000".to_owned(),
            );
        }
        if self.start >= self.doses {
            let allowed = format!("a dose between 1 and {}", self.doses);
            return refuse("start", self.start as f64 + 1.0, allowed);
        }
        if !(self.elimination > 0.5 && self.elimination < 1.0) {
            return refuse(
                "elimination",
                self.elimination,
                "between 0.5 and 1".to_owned(),
            );
        }
        if let Some(offset) = self.extra_safe
            && !(offset > 0.0 && offset < 0.5)
        {
            return refuse("extra_safe", offset, "between 0 and 0.5".to_owned());
        }
        if let Some(0) = self.stop_at {
            return refuse("stop_at", 0.0, "at least 1, usually 9 to 18".to_owned());
        }
        Ok(())
    }
}

/// A BOIN or keyboard design.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalDesign {
    settings: IntervalSettings,
    table: DecisionTable,
}

impl IntervalDesign {
    /// Checks the settings and computes the decision table.
    ///
    /// # Errors
    /// [`DoseFindingError::Range`].
    pub fn new(settings: IntervalSettings) -> Result<Self, DoseFindingError> {
        settings.check()?;
        let lowest_cutoff = settings.elimination - settings.extra_safe.unwrap_or(0.0);
        let table = DecisionTable::new(
            settings.rule,
            settings.target,
            settings.patients,
            settings.elimination,
            lowest_cutoff,
        );
        Ok(Self { settings, table })
    }

    /// The settings.
    pub fn settings(&self) -> &IntervalSettings {
        &self.settings
    }

    /// What to do for every count at a dose.
    pub fn table(&self) -> &DecisionTable {
        &self.table
    }

    /// The lowest dose that must not be given any more; doses above it must not either.
    pub fn eliminated_from(&self, history: &History) -> Option<usize> {
        let excessive = |dose: usize, lowest: bool| {
            let (n, y) = (history.patients()[dose], history.toxicities()[dose]);
            match self.table.row(n) {
                Some(row) if lowest => row.stop_lowest.is_some_and(|least| y >= least),
                Some(row) => row.eliminate.is_some_and(|least| y >= least),
                None if n == 0 => false,
                // a trial that went on beyond its plan
                None => {
                    let offset = self.settings.extra_safe.filter(|_| lowest).unwrap_or(0.0);
                    posterior_above(self.settings.target, y, n) > self.settings.elimination - offset
                }
            }
        };
        (0..history.doses()).find(|&dose| excessive(dose, dose == 0))
    }

    fn step(&self, history: &History, dose: usize, from: Option<usize>) -> Step {
        let (n, y) = (history.patients()[dose], history.toxicities()[dose]);
        let Some(row) = self.table.row(n) else {
            return Step::Stay;
        };
        if from.is_some_and(|from| dose >= from) {
            return Step::Down;
        }
        if self.settings.stay_at_one_of_three && (n, y) == (3, 1) {
            return Step::Stay;
        }
        if row.escalate.is_some_and(|most| y <= most) {
            Step::Up
        } else if row.deescalate.is_some_and(|least| y >= least) {
            Step::Down
        } else {
            Step::Stay
        }
    }
}

enum Step {
    Up,
    Stay,
    Down,
}

impl DoseDesign for IntervalDesign {
    fn name(&self) -> &'static str {
        self.settings.design_name()
    }

    fn doses(&self) -> usize {
        self.settings.doses
    }

    fn target(&self) -> f64 {
        self.settings.target
    }

    fn most_patients(&self) -> u32 {
        self.settings.patients
    }

    fn next(&self, history: &History) -> Decision {
        let settings = &self.settings;
        let left = settings.patients.saturating_sub(history.total());
        let treat = |dose| Decision::Treat {
            dose,
            patients: settings.cohort_size.min(left),
        };
        let Some(last) = history.last() else {
            return treat(settings.start);
        };
        let eliminated = self.eliminated_from(history);
        if eliminated == Some(0) {
            return Decision::Stop(StopReason::TooToxic);
        }
        if left == 0 {
            return Decision::Stop(StopReason::SampleSize);
        }
        let dose = last.dose;
        let top = eliminated.unwrap_or(settings.doses) - 1;
        let next = match self.step(history, dose, eliminated) {
            Step::Up if dose < top => dose + 1,
            Step::Down => dose.saturating_sub(1).min(top),
            _ => dose.min(top),
        };
        let enough = |n: u32| history.patients()[dose] >= n;
        if next == dose && settings.stop_at.is_some_and(enough) {
            return Decision::Stop(StopReason::EnoughAtDose);
        }
        treat(next)
    }

    /// The dose whose rate, after isotonic regression over the doses tried and not eliminated, is
    /// closest to the target; of equal ones the highest below it, else the lowest above it.
    fn recommend(&self, history: &History) -> Option<usize> {
        let end = self.eliminated_from(history).unwrap_or(history.doses());
        let tried: Vec<usize> = (0..end)
            .filter(|&dose| history.patients()[dose] > 0)
            .collect();
        // Rates and their inverse variances as if 0.05 toxicities and 0.05 without were seen
        // before; as in the BOIN package.
        let estimate = |&dose: &usize| {
            let toxic = f64::from(history.toxicities()[dose]) + 0.05;
            let all = f64::from(history.patients()[dose]) + 0.1;
            (
                toxic / all,
                all * all * (all + 1.0) / (toxic * (all - toxic)),
            )
        };
        let (rates, weights): (Vec<f64>, Vec<f64>) = tried.iter().map(estimate).unzip();
        let (_, highest) = self.settings.rule.boundaries(self.settings.target);
        let mut best: Option<(f64, usize)> = None;
        for (index, rate) in isotonic(&rates, &weights).into_iter().enumerate() {
            // Of equal estimates the higher dose is a hair more toxic.
            let rate = rate + 1e-10 * (index + 1) as f64;
            if self.settings.bounded && rate > highest {
                continue;
            }
            let distance = (rate - self.settings.target).abs();
            if best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, tried[index]));
            }
        }
        best.map(|(_, dose)| dose)
    }
}
