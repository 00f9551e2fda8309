//! Restricted mean survival time: the area under the survival curve up to a horizon.
//!
//! Variance after Greenwood as in Klein and Moeschberger, Survival Analysis, eq. 4.5.2.

use serde::{Deserialize, Serialize};

use super::error::require_level;
use super::tails::{normal_critical, normal_two_sided};
use super::{Estimate, KaplanMeier, StatisticsError};

/// Mean event-free time within the horizon.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RestrictedMean {
    /// Mean with its normal interval, in the unit of time.
    pub mean: Estimate,
    /// Variance of the mean.
    pub variance: f64,
    /// The horizon.
    pub horizon: f64,
}

/// Difference of two restricted means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RestrictedMeanDifference {
    /// First minus second, with its normal interval, in the unit of time.
    pub difference: Estimate,
    /// Variance of the difference.
    pub variance: f64,
    /// Two-sided normal p value of no difference.
    pub p_value: f64,
}

/// Restricted mean survival time of a fitted curve up to `horizon`.
///
/// # Errors
/// [`StatisticsError::Level`], or [`StatisticsError::Horizon`] if the curve is not known up to
/// `horizon` (it may lie beyond the last follow-up only when survival has reached zero).
pub fn restricted_mean(
    curve: &KaplanMeier,
    horizon: f64,
    level: f64,
) -> Result<RestrictedMean, StatisticsError> {
    require_level(level)?;
    if !(horizon > 0.0 && horizon.is_finite()) || curve.survival(horizon).is_none() {
        return Err(StatisticsError::Horizon {
            name: curve.name().to_owned(),
            horizon,
            last: curve.last_time(),
        });
    }
    let steps: Vec<_> = curve
        .steps()
        .iter()
        .take_while(|step| step.time < horizon)
        .collect();
    // Backwards, so that `area` is what remains to the right of each step.
    let (mut area, mut variance, mut right) = (0.0, 0.0, horizon);
    for step in steps.iter().rev() {
        area += step.survival * (right - step.time);
        variance += area * area * step.hazard_variance();
        right = step.time;
    }
    let value = area + right;
    let margin = normal_critical(level) * f64::sqrt(variance);
    Ok(RestrictedMean {
        mean: Estimate {
            value,
            low: value - margin,
            high: value + margin,
            level,
        },
        variance,
        horizon,
    })
}

/// Restricted mean of `first` minus that of `second`, for independent groups.
///
/// # Errors
/// As [`restricted_mean`], and [`StatisticsError::NoEvents`] if neither curve varies before the
/// horizon.
pub fn restricted_mean_difference(
    first: &KaplanMeier,
    second: &KaplanMeier,
    horizon: f64,
    level: f64,
) -> Result<RestrictedMeanDifference, StatisticsError> {
    let a = restricted_mean(first, horizon, level)?;
    let b = restricted_mean(second, horizon, level)?;
    let variance = a.variance + b.variance;
    if variance <= 0.0 {
        return Err(StatisticsError::NoEvents {
            name: format!("{} and {}", first.name(), second.name()),
            method: "restricted mean difference",
        });
    }
    let value = a.mean.value - b.mean.value;
    let error = variance.sqrt();
    let margin = normal_critical(level) * error;
    Ok(RestrictedMeanDifference {
        difference: Estimate {
            value,
            low: value - margin,
            high: value + margin,
            level,
        },
        variance,
        p_value: normal_two_sided(value / error),
    })
}
