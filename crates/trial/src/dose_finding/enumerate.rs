//! Every path that a trial can take.

use super::characteristics::{Sums, check_doses};
use super::{
    Cohort, Decision, DoseDesign, DoseFindingError, History, OperatingCharacteristics, Scenario,
    StopReason,
};

/// Exact operating characteristics, by visiting every sequence of outcomes that has a probability
/// above zero and weighing it with that probability. Norris 2020, arXiv:2012.05301.
///
/// # Errors
/// [`DoseFindingError::TooManyPaths`] beyond `most_paths`, `DoseCount`, and `Cohort` if the design
/// asks for a dose that does not exist.
pub fn enumerate(
    design: &dyn DoseDesign,
    scenario: &Scenario,
    most_paths: u64,
) -> Result<OperatingCharacteristics, DoseFindingError> {
    check_doses("the scenario", scenario.truth().len(), design)?;
    let mut visit = Visit {
        design,
        scenario,
        sums: Sums::new(scenario),
        left: most_paths,
        most_paths,
    };
    visit.from(&mut History::new(design.doses()), 1.0)?;
    Ok(visit.sums.finish(design, None))
}

struct Visit<'a> {
    design: &'a dyn DoseDesign,
    scenario: &'a Scenario,
    sums: Sums,
    left: u64,
    most_paths: u64,
}

impl Visit<'_> {
    fn from(&mut self, history: &mut History, weight: f64) -> Result<(), DoseFindingError> {
        match self.design.next(history) {
            Decision::Treat { dose, patients } if history.total() < self.design.most_patients() => {
                let p = self.scenario.truth().get(dose).copied().unwrap_or(0.0);
                for toxicities in 0..=patients {
                    let share = binomial(patients, toxicities, p);
                    if share > 0.0 {
                        history.push(Cohort {
                            dose,
                            patients,
                            toxicities,
                        })?;
                        self.from(history, weight * share)?;
                        history.pop();
                    }
                }
            }
            decision => {
                let limit = self.most_paths;
                self.left = self
                    .left
                    .checked_sub(1)
                    .ok_or(DoseFindingError::TooManyPaths { limit })?;
                let reason = match decision {
                    Decision::Stop(reason) => reason,
                    Decision::Treat { .. } => StopReason::SampleSize,
                };
                self.sums
                    .add(history, self.design.recommend(history), reason, weight);
            }
        }
        Ok(())
    }
}

/// P(so many of `n`) with probability `p` each.
fn binomial(n: u32, count: u32, p: f64) -> f64 {
    let ways: f64 = (0..count)
        .map(|i| f64::from(n - i) / f64::from(i + 1))
        .product();
    let power = |base: f64, exponent: u32| base.powi(i32::try_from(exponent).unwrap_or(i32::MAX));
    ways * power(p, count) * power(1.0 - p, n - count)
}
