//! Dose-finding designs against BOIN, dfcrm and scipy, published operating characteristics,
//! exhaustive enumeration and their own rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod golden;
mod properties;
mod published;
mod rules;
mod simulation;

use posology_trial::dose_finding::{Cohort, History};

/// A history with these counts, one cohort per dose from the lowest.
pub fn history(patients: &[u32], toxicities: &[u32]) -> History {
    let mut history = History::new(patients.len());
    for (dose, (&patients, &toxicities)) in patients.iter().zip(toxicities).enumerate() {
        if patients > 0 {
            history
                .push(Cohort {
                    dose,
                    patients,
                    toxicities,
                })
                .unwrap();
        }
    }
    history
}
