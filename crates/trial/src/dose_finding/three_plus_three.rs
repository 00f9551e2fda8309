//! The 3+3 design.

use serde::{Deserialize, Serialize};

use super::{Decision, DoseDesign, DoseFindingError, History, StopReason};

/// Patients of a cohort.
const COHORT: u32 = 3;

/// When six patients are needed at the dose that is recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// Never: three patients without toxicity suffice (Storer 1989, design A with cohorts of 3).
    None,
    /// After a de-escalation (the more common variant of Korn et al. 1994).
    AfterDeescalation,
    /// Always, at the highest dose too: the MTD is the highest dose with at most one toxicity
    /// among six.
    #[default]
    Always,
}

/// Cohorts of three. None of three with toxicity: the next dose. One of three: three more at the
/// same dose; one of six: the next dose. Two or more: the dose is too toxic and the next lower one
/// is recommended, after three more patients there if [`Confirmation`] asks for them and only
/// three were treated.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreePlusThree {
    doses: usize,
    start: usize,
    confirmation: Confirmation,
    target: f64,
}

impl ThreePlusThree {
    /// `start` is the first dose, counted from zero.
    ///
    /// # Errors
    /// [`DoseFindingError::Range`] without doses or for a first dose that does not exist.
    pub fn new(
        doses: usize,
        start: usize,
        confirmation: Confirmation,
    ) -> Result<Self, DoseFindingError> {
        if doses == 0 || start >= doses {
            return Err(DoseFindingError::Range {
                design: "3+3",
                setting: if doses == 0 { "doses" } else { "start" },
                value: if doses == 0 { 0.0 } else { start as f64 + 1.0 },
                allowed: if doses == 0 {
                    "at least 1".to_owned()
                } else {
                    format!("a dose between 1 and {doses}")
                },
            });
        }
        Ok(Self {
            doses,
            start,
            confirmation,
            target: 1.0 / 3.0,
        })
    }

    /// The target that figures report. The design itself has none; without this they report 1/3,
    /// the rate from which it does not escalate at once.
    #[must_use]
    pub fn reported_with_target(self, target: f64) -> Self {
        Self { target, ..self }
    }

    fn too_toxic(history: &History, dose: usize) -> bool {
        history.toxicities()[dose] >= 2
    }
}

impl DoseDesign for ThreePlusThree {
    fn name(&self) -> &'static str {
        "3+3"
    }

    fn doses(&self) -> usize {
        self.doses
    }

    fn target(&self) -> f64 {
        self.target
    }

    fn most_patients(&self) -> u32 {
        u32::try_from(self.doses)
            .unwrap_or(u32::MAX)
            .saturating_mul(2 * COHORT)
    }

    fn next(&self, history: &History) -> Decision {
        let treat = |dose| Decision::Treat {
            dose,
            patients: COHORT,
        };
        let Some(last) = history.last() else {
            return treat(self.start);
        };
        let mut dose = last.dose;
        let deescalated = |dose: usize| dose + 1 < self.doses && Self::too_toxic(history, dose + 1);
        if Self::too_toxic(history, dose) {
            let Some(lower) = dose.checked_sub(1) else {
                return Decision::Stop(StopReason::TooToxic);
            };
            dose = lower;
        }
        let (n, y) = (history.patients()[dose], history.toxicities()[dose]);
        if n == 0 || (n < 2 * COHORT && y == 1) {
            return treat(dose);
        }
        if y >= 2 {
            // a lower dose that was found too toxic before
            return Decision::Stop(StopReason::TooToxic);
        }
        let above_closed = dose + 1 == self.doses || deescalated(dose);
        if !above_closed {
            return treat(dose + 1);
        }
        let confirm = match self.confirmation {
            Confirmation::None => false,
            Confirmation::AfterDeescalation => deescalated(dose),
            Confirmation::Always => true,
        };
        if confirm && n < 2 * COHORT {
            treat(dose)
        } else {
            Decision::Stop(StopReason::Complete)
        }
    }

    /// The highest dose with no toxicity among three or at most one among six, below all doses
    /// that are too toxic.
    fn recommend(&self, history: &History) -> Option<usize> {
        let end = (0..history.doses())
            .find(|&dose| Self::too_toxic(history, dose))
            .unwrap_or(history.doses());
        (0..end).rev().find(|&dose| {
            let (n, y) = (history.patients()[dose], history.toxicities()[dose]);
            n > 0 && 6 * y <= n
        })
    }
}
