//! Replicate trials of a design.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::characteristics::{Sums, check_doses};
use super::{
    Cohort, Decision, DltSource, DoseDesign, DoseFindingError, History, OperatingCharacteristics,
    Scenario, StopReason,
};

/// Replicates that are added up together. Fixed, so that sums do not depend on the threads.
const CHUNK: u32 = 256;

/// One trial from its first to its last cohort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Its cohorts.
    pub history: History,
    /// The recommended dose, counted from zero.
    pub recommended: Option<usize>,
    /// Why it ended.
    pub reason: StopReason,
}

/// Runs one replicate.
///
/// # Errors
/// [`DoseFindingError::DoseCount`] if the source has other doses than the design, `Cohort` if the
/// design asks for a dose that does not exist.
pub fn run_trial(
    design: &dyn DoseDesign,
    source: &dyn DltSource,
    replicate: u32,
) -> Result<TrialRecord, DoseFindingError> {
    check_doses("the source of toxicities", source.doses(), design)?;
    let mut history = History::new(design.doses());
    let reason = loop {
        match design.next(&history) {
            Decision::Stop(reason) => break reason,
            // a design that does not count its patients still ends
            Decision::Treat { .. } if history.total() >= design.most_patients() => {
                break StopReason::SampleSize;
            }
            Decision::Treat { dose, patients } => {
                let before = history.total();
                let toxic =
                    |index: &u32| source.toxicity(replicate, before.saturating_add(*index), dose);
                let toxicities = if dose < design.doses() {
                    (0..patients).filter(toxic).count()
                } else {
                    0
                };
                history.push(Cohort {
                    dose,
                    patients,
                    toxicities: u32::try_from(toxicities).unwrap_or(u32::MAX),
                })?;
            }
        }
    };
    Ok(TrialRecord {
        recommended: design.recommend(&history),
        history,
        reason,
    })
}

/// Operating characteristics from replicates 0 to `replicates`. The result is the same whatever
/// the number of threads.
///
/// # Errors
/// As [`run_trial`], and `TooFew` without replicates.
pub fn simulate(
    design: &dyn DoseDesign,
    source: &dyn DltSource,
    scenario: &Scenario,
    replicates: u32,
) -> Result<OperatingCharacteristics, DoseFindingError> {
    if replicates == 0 {
        return Err(DoseFindingError::TooFew {
            what: "replicate trials",
            count: 0,
            needed: 1,
        });
    }
    check_doses("the scenario", scenario.truth().len(), design)?;
    let chunks: Vec<Sums> = (0..replicates.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut sums = Sums::new(scenario);
            let first = chunk * CHUNK;
            for replicate in first..first.saturating_add(CHUNK).min(replicates) {
                let trial = run_trial(design, source, replicate)?;
                sums.add(&trial.history, trial.recommended, trial.reason, 1.0);
            }
            Ok(sums)
        })
        .collect::<Result<_, DoseFindingError>>()?;
    let mut total = Sums::new(scenario);
    for chunk in &chunks {
        total.merge(chunk);
    }
    Ok(total.finish(design, Some(replicates)))
}
