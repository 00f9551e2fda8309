//! Effects within patients, who are the same in every arm.

use serde::Serialize;

use super::random::TrialStream;
use crate::Trial;
use crate::statistics::{
    Bootstrap, BootstrapInterval, Estimate, StatisticsError, bootstrap, clopper_pearson,
};

/// Share of the horizon within which two times of one patient count as equal.
pub(super) const SAME_TIME: f64 = 1e-6;

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
    /// Two-sided p value of the sign test: is a later event as likely as an earlier one? `None` if
    /// nobody differs.
    pub p_value: Option<f64>,
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
    let later = differences.iter().filter(|&&d| d > 0.0).count();
    let earlier = differences.iter().filter(|&&d| d < 0.0).count();
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
        better: share(later)?,
        worse: share(earlier)?,
        same: share(differences.len() - later - earlier)?,
        p_value: sign_test(later, earlier),
        differences,
    })
}

/// Two-sided p value of the exact sign test (for events, McNemar's): of those who differ, is each
/// direction as likely? `None` if nobody differs. Dixon and Mood 1946, J Am Stat Assoc 41:557.
pub(super) fn sign_test(more: usize, less: usize) -> Option<f64> {
    let (all, fewer) = (more + less, more.min(less));
    if all == 0 {
        return None;
    }
    if 2 * fewer == all {
        return Some(1.0);
    }
    // P(X <= k) of a binomial X with probability one half
    let tail =
        statrs::function::beta::checked_beta_reg((all - fewer) as f64, fewer as f64 + 1.0, 0.5);
    tail.ok().map(|tail| (2.0 * tail).min(1.0))
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
    fn signs_are_counted_exactly() {
        // of 8 who differ, 1 or fewer go one way: 2 (1 + 8) / 256
        assert!((sign_test(7, 1).unwrap() - 18.0 / 256.0).abs() < 1e-14);
        assert!((sign_test(0, 5).unwrap() - 2.0 / 32.0).abs() < 1e-14);
        assert_eq!(sign_test(3, 3), Some(1.0));
        assert_eq!(sign_test(0, 0), None);
    }

    #[test]
    fn the_middle_is_the_median() {
        assert_eq!(middle(&[3.0]), 3.0);
        assert_eq!(middle(&[3.0, 1.0]), 2.0);
        assert_eq!(middle(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(middle(&[4.0, 3.0, 1.0, 2.0]), 2.5);
        assert_eq!(middle(&[5.0, 5.0, 1.0, 1.0, 1.0]), 1.0);
    }
}
