//! What has been seen in a trial so far.

use serde::{Deserialize, Serialize};

use super::DoseFindingError;

/// Patients treated together at one dose, and how many of them had a dose-limiting toxicity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cohort {
    /// Dose, counted from zero.
    pub dose: usize,
    /// Patients.
    pub patients: u32,
    /// Patients with a dose-limiting toxicity.
    pub toxicities: u32,
}

/// The cohorts of a trial in order, with counts by dose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    cohorts: Vec<Cohort>,
    patients: Vec<u32>,
    toxicities: Vec<u32>,
}

impl History {
    /// A trial of so many doses before its first patient.
    pub fn new(doses: usize) -> Self {
        Self {
            cohorts: Vec::new(),
            patients: vec![0; doses],
            toxicities: vec![0; doses],
        }
    }

    /// Adds a cohort.
    ///
    /// # Errors
    /// [`DoseFindingError::Cohort`] for a dose that does not exist, no patients, or more
    /// toxicities than patients.
    pub fn push(&mut self, cohort: Cohort) -> Result<(), DoseFindingError> {
        let Cohort {
            dose,
            patients,
            toxicities,
        } = cohort;
        if dose >= self.patients.len() || patients == 0 || toxicities > patients {
            return Err(DoseFindingError::Cohort {
                dose: dose + 1,
                doses: self.patients.len(),
                patients,
                toxicities,
            });
        }
        self.cohorts.push(cohort);
        self.patients[dose] += patients;
        self.toxicities[dose] += toxicities;
        Ok(())
    }

    /// Takes back the latest cohort.
    pub(super) fn pop(&mut self) {
        if let Some(cohort) = self.cohorts.pop() {
            self.patients[cohort.dose] -= cohort.patients;
            self.toxicities[cohort.dose] -= cohort.toxicities;
        }
    }

    /// The cohorts in order.
    pub fn cohorts(&self) -> &[Cohort] {
        &self.cohorts
    }

    /// The latest cohort.
    pub fn last(&self) -> Option<Cohort> {
        self.cohorts.last().copied()
    }

    /// Doses of the trial.
    pub fn doses(&self) -> usize {
        self.patients.len()
    }

    /// Patients treated at each dose.
    pub fn patients(&self) -> &[u32] {
        &self.patients
    }

    /// Patients with a dose-limiting toxicity at each dose.
    pub fn toxicities(&self) -> &[u32] {
        &self.toxicities
    }

    /// All patients.
    pub fn total(&self) -> u32 {
        self.patients.iter().sum()
    }

    /// The highest dose given so far.
    pub fn highest(&self) -> Option<usize> {
        self.patients.iter().rposition(|&patients| patients > 0)
    }
}
