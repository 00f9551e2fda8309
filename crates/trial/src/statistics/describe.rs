//! Plain summaries of a column of numbers.

use serde::{Deserialize, Serialize};

use super::error::{require_count, require_finite, require_level, require_same_length};
use super::tails::student_critical;
use super::{Estimate, StatisticsError};

/// Location and spread of a column, all in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of values.
    pub count: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); zero for one value.
    pub sd: f64,
    /// Smallest value.
    pub min: f64,
    /// Lower quartile.
    pub q1: f64,
    /// Median.
    pub median: f64,
    /// Upper quartile.
    pub q3: f64,
    /// Largest value.
    pub max: f64,
}

impl Summary {
    /// Summarises `values`; `name` appears in messages.
    ///
    /// # Errors
    /// [`StatisticsError::TooFew`] if empty, `NotFinite`.
    pub fn of(name: &str, values: &[f64]) -> Result<Self, StatisticsError> {
        let sorted = sorted_copy(name, values)?;
        let average = mean_of(values);
        Ok(Self {
            count: values.len(),
            mean: average,
            sd: variance_of(values, average).sqrt(),
            min: sorted[0],
            q1: quantile_of_sorted(&sorted, 0.25),
            median: quantile_of_sorted(&sorted, 0.5),
            q3: quantile_of_sorted(&sorted, 0.75),
            max: sorted[sorted.len() - 1],
        })
    }
}

/// Arithmetic mean.
///
/// # Errors
/// [`StatisticsError::TooFew`] if empty, `NotFinite`.
pub fn mean(name: &str, values: &[f64]) -> Result<f64, StatisticsError> {
    require_count("mean", name, values.len(), 1)?;
    require_finite(name, values)?;
    Ok(mean_of(values))
}

/// Mean with its Student interval.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than two values, `NotFinite`, `Level`.
pub fn mean_interval(name: &str, values: &[f64], level: f64) -> Result<Estimate, StatisticsError> {
    require_level(level)?;
    require_count("interval of a mean", name, values.len(), 2)?;
    let value = mean(name, values)?;
    let n = values.len() as f64;
    let margin = student_critical(level, n - 1.0) * (variance_of(values, value) / n).sqrt();
    Ok(Estimate {
        value,
        low: value - margin,
        high: value + margin,
        level,
    })
}

/// Median, the mean of the two middle values of an even count.
///
/// # Errors
/// As [`quantile`].
pub fn median(name: &str, values: &[f64]) -> Result<f64, StatisticsError> {
    quantile(name, values, 0.5)
}

/// Quantile by linear interpolation of order statistics (type 7 of Hyndman and Fan 1996).
///
/// # Errors
/// [`StatisticsError::TooFew`] if empty, `NotFinite`, `Probability`.
pub fn quantile(name: &str, values: &[f64], p: f64) -> Result<f64, StatisticsError> {
    if !(0.0..=1.0).contains(&p) {
        return Err(StatisticsError::Probability { value: p });
    }
    Ok(quantile_of_sorted(&sorted_copy(name, values)?, p))
}

/// Root mean square of `predicted - observed`.
///
/// # Errors
/// [`StatisticsError::LengthsDiffer`], `TooFew` if empty, `NotFinite`.
pub fn root_mean_square_error(observed: &[f64], predicted: &[f64]) -> Result<f64, StatisticsError> {
    require_same_length("observed", observed.len(), "predicted", predicted.len())?;
    require_count("root mean square error", "observed", observed.len(), 1)?;
    require_finite("observed", observed)?;
    require_finite("predicted", predicted)?;
    let squares: Vec<f64> = observed
        .iter()
        .zip(predicted)
        .map(|(o, p)| (p - o).powi(2))
        .collect();
    Ok(mean_of(&squares).sqrt())
}

pub(super) fn sorted_copy(name: &str, values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    require_count("summary", name, values.len(), 1)?;
    require_finite(name, values)?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(sorted)
}

/// Type 7 quantile of an ascending, non-empty column.
pub(super) fn quantile_of_sorted(sorted: &[f64], p: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = position - below as f64;
    sorted[below] + share * (sorted[above] - sorted[below])
}

pub(super) fn mean_of(values: &[f64]) -> f64 {
    let first = values.iter().sum::<f64>() / values.len() as f64;
    // One correction removes what cancellation lost in long columns.
    first + values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64
}

pub(super) fn variance_of(values: &[f64], mean: f64) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (values.len() - 1) as f64
}
