//! Effects within patients, who are the same in every arm.

use serde::Serialize;

use super::random::TrialStream;
use crate::Trial;
use crate::statistics::{
    Bootstrap, BootstrapInterval, Estimate, StatisticsError, bootstrap, clopper_pearson,
};

/// Share of the horizon within which two times of one patient count as equal.
const SAME_TIME: f64 = 1e-6;

/// Effects within patients: arm minus control.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Mean difference of times, each at most the horizon, with a bootstrap interval.
    pub mean: Estimate,
    /// Median difference, with a bootstrap interval.
    pub median: Estimate,
    /// Share of patients with the later event in the arm.
    pub better: Estimate,
    /// Share of patients with the earlier event in the arm.
    pub worse: Estimate,
    /// Share without a difference.
    pub same: Estimate,
    /// One per patient.
    #[serde(skip)]
    pub differences: Vec<f64>,
}

/// Arm minus control. `streams`: seed, cohort, statistic.
pub(super) fn paired(
    trial: &Trial,
    arm: &[f64],
    control: &[f64],
    horizon: f64,
    (seed, number, purpose): (u64, u32, u32),
) -> Result<Paired, StatisticsError> {
    let level = trial.analysis.level;
    let slack = SAME_TIME * horizon;
    // two runs of one course differ by rounding
    let exact = |difference: f64| {
        if difference.abs() <= slack {
            0.0
        } else {
            difference
        }
    };
    let differences: Vec<f64> = arm
        .iter()
        .zip(control)
        .map(|(arm, control)| exact(arm - control))
        .collect();
    let settings = Bootstrap {
        resamples: trial.analysis.resamples,
        level,
        interval: BootstrapInterval::Percentile,
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let share = |count: usize| clopper_pearson(count as u64, differences.len() as u64, level);
    Ok(Paired {
        mean: bootstrap(
            &differences,
            mean,
            &settings,
            &mut TrialStream::new(seed, number, purpose),
        )?,
        median: bootstrap(
            &differences,
            middle,
            &settings,
            &mut TrialStream::new(seed, number, purpose + 1),
        )?,
        better: share(differences.iter().filter(|&&d| d > 0.0).count())?,
        worse: share(differences.iter().filter(|&&d| d < 0.0).count())?,
        same: share(differences.iter().filter(|&&d| d == 0.0).count())?,
        differences,
    })
}

/// The median of finite values.
fn middle(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let (half, odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if odd {
        return upper;
    }
    0.5 * (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_median() {
        assert_eq!(middle(&[3.0]), 3.0);
        assert_eq!(middle(&[3.0, 1.0]), 2.0);
        assert_eq!(middle(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(middle(&[4.0, 3.0, 1.0, 2.0]), 2.5);
        assert_eq!(middle(&[5.0, 5.0, 1.0, 1.0, 1.0]), 1.0);
    }
}
