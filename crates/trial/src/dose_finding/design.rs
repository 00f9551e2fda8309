//! The interface of a dose-finding design.

use serde::{Deserialize, Serialize};

use super::History;

/// Why a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All planned patients were treated.
    SampleSize,
    /// Even the lowest dose is too toxic.
    TooToxic,
    /// Enough patients were treated at one dose.
    EnoughAtDose,
    /// The rules of the design came to their end (3+3).
    Complete,
}

impl StopReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::SampleSize,
        Self::TooToxic,
        Self::EnoughAtDose,
        Self::Complete,
    ];
}

/// What a design asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Treat a cohort.
    Treat {
        /// Dose, counted from zero.
        dose: usize,
        /// Patients.
        patients: u32,
    },
    /// End the trial.
    Stop(StopReason),
}

/// A dose-finding design: a pure function of what has been seen.
pub trait DoseDesign: std::fmt::Debug + Send + Sync {
    /// Short name for tables.
    fn name(&self) -> &'static str;

    /// Number of doses.
    fn doses(&self) -> usize;

    /// Probability of toxicity that is aimed at.
    fn target(&self) -> f64;

    /// The most patients that a trial can treat.
    fn most_patients(&self) -> u32;

    /// The next cohort, or the end. An empty history asks for the first cohort.
    fn next(&self, history: &History) -> Decision;

    /// The dose that would be recommended if the trial ended now; `None` if no dose is safe
    /// enough or nobody was treated.
    fn recommend(&self, history: &History) -> Option<usize>;
}
