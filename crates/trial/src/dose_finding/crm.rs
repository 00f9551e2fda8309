//! The continual reassessment method with a power model.
//!
//! O'Quigley, Pepe and Fisher 1990; the working model is `p(dose) = skeleton^exp(a)` with a normal
//! prior on `a` (O'Quigley and Shen 1996, Biometrics 52:673), the skeleton comes from the
//! indifference intervals of Lee and Cheung 2009.

use serde::{Deserialize, Serialize};

use super::posterior::{Model, Posterior};
use super::{Decision, DoseDesign, DoseFindingError, History, StopReason};

/// Variance of the prior in O'Quigley and Shen 1996 and in the package dfcrm.
const PRIOR_VARIANCE: f64 = 1.34;

/// How far a trial may escalate at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Escalation {
    /// To the dose that the model asks for.
    Free,
    /// At most one dose above the highest one tried.
    UntriedNext,
    /// At most one dose above the latest one.
    #[default]
    OneStep,
}

/// When toxicity forbids escalation although the model asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coherence {
    /// Never.
    None,
    /// If the rate in the latest cohort reaches the target. Cheung 2005, Biometrika 92:863.
    #[default]
    LastCohort,
    /// If the rate among all patients at the latest dose exceeds the target.
    LastDose,
}

/// Settings of a CRM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrmSettings {
    /// Probability of toxicity that is aimed at.
    pub target: f64,
    /// Prior guess of the probability at each dose.
    pub skeleton: Vec<f64>,
    /// Standard deviation of the normal prior of `a`.
    pub prior_sd: f64,
    /// Patients per cohort.
    pub cohort_size: u32,
    /// Most patients of the trial.
    pub patients: u32,
    /// First dose, counted from zero.
    pub start: usize,
    /// How far a trial may escalate at once.
    pub escalation: Escalation,
    /// When toxicity forbids escalation.
    pub coherence: Coherence,
    /// Ends the trial without a recommendation once P(p > target) at the lowest dose exceeds this.
    pub overdose_stop: Option<f64>,
    /// Ends the trial once so many patients were treated at one dose.
    pub stop_at: Option<u32>,
    /// Ends the trial once so many patients were treated at the lowest dose.
    pub stop_at_lowest: Option<u32>,
    /// Applies `escalation` and `coherence` to the final recommendation as well.
    pub restrict_recommendation: bool,
}

impl CrmSettings {
    /// A CRM in single patients from the lowest dose with the defaults of dfcrm: prior variance
    /// 1.34, no skipping, no escalation after a toxicity.
    pub fn new(target: f64, skeleton: Vec<f64>, patients: u32) -> Self {
        Self {
            target,
            skeleton,
            prior_sd: PRIOR_VARIANCE.sqrt(),
            cohort_size: 1,
            patients,
            start: 0,
            escalation: Escalation::default(),
            coherence: Coherence::default(),
            overdose_stop: None,
            stop_at: None,
            stop_at_lowest: None,
            restrict_recommendation: false,
        }
    }

    fn check(&self) -> Result<(), DoseFindingError> {
        let refuse = |setting: &'static str, value: f64, allowed: String| {
            Err(DoseFindingError::Range {
                design: "crm",
                setting,
                value,
                allowed,
            })
        };
        let mut previous = 0.0;
        for (index, &value) in self.skeleton.iter().enumerate() {
            if !(value > previous && value < 1.0) {
                return Err(DoseFindingError::Skeleton {
                    position: index + 1,
                    value,
                });
            }
            previous = value;
        }
        if self.skeleton.is_empty() {
            return Err(DoseFindingError::Missing {
                design: "crm",
                setting: "skeleton",
                help: "give one prior guess of the probability of toxicity per dose",
            });
        }
        if !(self.target > 0.0 && self.target < 1.0) {
            return refuse(
                "target",
                self.target,
                "between 0 and 1, for example 0.25".to_owned(),
            );
        }
        if !(0.01..=10.0).contains(&self.prior_sd) {
            return refuse("prior_sd", self.prior_sd, "between 0.01 and 10".to_owned());
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
        if self.start >= self.skeleton.len() {
            let allowed = format!("a dose between 1 and {}", self.skeleton.len());
            return refuse("start", self.start as f64 + 1.0, allowed);
        }
        if let Some(cutoff) = self.overdose_stop
            && !(cutoff > 0.0 && cutoff < 1.0)
        {
            return refuse(
                "overdose_stop",
                cutoff,
                "between 0 and 1, for example 0.95".to_owned(),
            );
        }
        for (setting, value) in [
            ("stop_at", self.stop_at),
            ("stop_at_lowest", self.stop_at_lowest),
        ] {
            if value == Some(0) {
                return refuse(setting, 0.0, "at least 1".to_owned());
            }
        }
        Ok(())
    }
}

/// A CRM with a power model and a normal prior.
#[derive(Debug, Clone, PartialEq)]
pub struct Crm {
    settings: CrmSettings,
    model: Model,
}

impl Crm {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`DoseFindingError::Skeleton`], `Range` and `Missing`.
    pub fn new(settings: CrmSettings) -> Result<Self, DoseFindingError> {
        settings.check()?;
        let CrmSettings {
            skeleton,
            target,
            prior_sd,
            patients,
            ..
        } = &settings;
        let model = Model::new(skeleton, *target, *prior_sd, *patients);
        Ok(Self { settings, model })
    }

    /// The settings.
    pub fn settings(&self) -> &CrmSettings {
        &self.settings
    }

    /// Posterior of the model's parameter and of the probabilities of toxicity.
    pub fn posterior(&self, history: &History) -> Posterior {
        self.model.posterior(history)
    }

    /// The dose whose probability is closest to the target; of equally close ones the lowest.
    fn closest(&self, history: &History) -> usize {
        let mean = self.model.mean(history);
        let mut best = (f64::INFINITY, 0);
        for (dose, toxicity) in self.model.toxicity(mean).into_iter().enumerate() {
            let distance = (toxicity - self.settings.target).abs();
            if distance < best.0 {
                best = (distance, dose);
            }
        }
        best.1
    }

    fn restricted(&self, history: &History, dose: usize) -> usize {
        let Some(last) = history.last() else {
            return dose;
        };
        let target = self.settings.target;
        let rate = |toxic: u32, all: u32| f64::from(toxic) / f64::from(all);
        let held = match self.settings.coherence {
            Coherence::None => false,
            Coherence::LastCohort => rate(last.toxicities, last.patients) >= target,
            Coherence::LastDose => {
                let toxic = history.toxicities()[last.dose];
                rate(toxic, history.patients()[last.dose]) > target
            }
        };
        let most = match self.settings.escalation {
            _ if held => last.dose,
            Escalation::Free => dose,
            Escalation::UntriedNext => history.highest().unwrap_or(last.dose) + 1,
            Escalation::OneStep => last.dose + 1,
        };
        dose.min(most)
    }

    fn too_toxic(&self, history: &History) -> bool {
        let exceeds = |cutoff: f64| self.model.overdose(history, 0) > cutoff;
        history.total() > 0 && self.settings.overdose_stop.is_some_and(exceeds)
    }
}

impl DoseDesign for Crm {
    fn name(&self) -> &'static str {
        "crm"
    }

    fn doses(&self) -> usize {
        self.settings.skeleton.len()
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
        if history.last().is_none() {
            return treat(settings.start);
        }
        if self.too_toxic(history) {
            return Decision::Stop(StopReason::TooToxic);
        }
        if left == 0 {
            return Decision::Stop(StopReason::SampleSize);
        }
        let reached = |n: u32, limit: Option<u32>| limit.is_some_and(|limit| n >= limit);
        let most = history.patients().iter().copied().max().unwrap_or(0);
        if reached(most, settings.stop_at)
            || reached(history.patients()[0], settings.stop_at_lowest)
        {
            return Decision::Stop(StopReason::EnoughAtDose);
        }
        treat(self.restricted(history, self.closest(history)))
    }

    fn recommend(&self, history: &History) -> Option<usize> {
        if history.total() == 0 || self.too_toxic(history) {
            return None;
        }
        let dose = self.closest(history);
        Some(if self.settings.restrict_recommendation {
            self.restricted(history, dose)
        } else {
            dose
        })
    }
}
