//! Nonparametric bootstrap: percentile and bias-corrected accelerated intervals for one sample,
//! pairs, independent groups, or any statistic of resampled indices.
//!
//! Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 14; several
//! samples after Davison and Hinkley 1997, section 5.3.

use serde::{Deserialize, Serialize};

use super::describe::{quantile_of_sorted, sorted_copy};
use super::error::{require_count, require_finite, require_level, require_same_length};
use super::random::below;
use super::tails::{normal_cdf, normal_quantile};
use super::{Estimate, StatisticsError, UniformSource};

/// How the interval is read off the resampled statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootstrapInterval {
    /// Quantiles of the resampled statistics.
    Percentile,
    /// Quantiles corrected for bias and skewness (BCa).
    #[default]
    BiasCorrected,
}

/// Settings of a bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples; 2,000 or more for intervals.
    pub resamples: usize,
    /// Confidence level, for example 0.95.
    pub level: f64,
    /// Kind of interval.
    pub interval: BootstrapInterval,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 2000,
            level: 0.95,
            interval: BootstrapInterval::default(),
        }
    }
}

/// Interval of a statistic of one sample.
///
/// # Errors
/// As [`bootstrap_indices`], and `NotFinite`.
pub fn bootstrap<S: UniformSource + ?Sized>(
    sample: &[f64],
    statistic: impl Fn(&[f64]) -> f64,
    settings: &Bootstrap,
    source: &mut S,
) -> Result<Estimate, StatisticsError> {
    require_finite("sample", sample)?;
    let on_indices = |drawn: &[Vec<usize>]| statistic(&pick(sample, &drawn[0]));
    bootstrap_indices(&[sample.len()], on_indices, settings, source)
}

/// Interval of a statistic of two columns that describe the same patients, who are resampled
/// together.
///
/// # Errors
/// As [`bootstrap_indices`], and `NotFinite`, `LengthsDiffer`.
pub fn bootstrap_paired<S: UniformSource + ?Sized>(
    first: &[f64],
    second: &[f64],
    statistic: impl Fn(&[f64], &[f64]) -> f64,
    settings: &Bootstrap,
    source: &mut S,
) -> Result<Estimate, StatisticsError> {
    require_same_length("first", first.len(), "second", second.len())?;
    require_finite("first", first)?;
    require_finite("second", second)?;
    let on_indices =
        |drawn: &[Vec<usize>]| statistic(&pick(first, &drawn[0]), &pick(second, &drawn[0]));
    bootstrap_indices(&[first.len()], on_indices, settings, source)
}

/// Interval of a statistic of two independent groups, each resampled on its own.
///
/// # Errors
/// As [`bootstrap_indices`], and `NotFinite`.
pub fn bootstrap_unpaired<S: UniformSource + ?Sized>(
    first: &[f64],
    second: &[f64],
    statistic: impl Fn(&[f64], &[f64]) -> f64,
    settings: &Bootstrap,
    source: &mut S,
) -> Result<Estimate, StatisticsError> {
    require_finite("first", first)?;
    require_finite("second", second)?;
    let on_indices =
        |drawn: &[Vec<usize>]| statistic(&pick(first, &drawn[0]), &pick(second, &drawn[1]));
    bootstrap_indices(&[first.len(), second.len()], on_indices, settings, source)
}

/// Interval of any statistic of independent groups of patients, given as one list of patient
/// indices per group. `sizes` are the group sizes.
///
/// # Errors
/// [`StatisticsError::TooFew`] for groups with fewer than two patients or no resamples, `Level`,
/// `UndefinedStatistic`, `NoBiasCorrection`.
pub fn bootstrap_indices<S: UniformSource + ?Sized>(
    sizes: &[usize],
    statistic: impl Fn(&[Vec<usize>]) -> f64,
    settings: &Bootstrap,
    source: &mut S,
) -> Result<Estimate, StatisticsError> {
    require_level(settings.level)?;
    require_count("bootstrap", "groups", sizes.len(), 1)?;
    for (group, &size) in sizes.iter().enumerate() {
        require_count("bootstrap", &format!("group {}", group + 1), size, 2)?;
    }
    require_count("bootstrap", "resamples", settings.resamples, 1)?;
    let mut drawn: Vec<Vec<usize>> = sizes.iter().map(|&size| (0..size).collect()).collect();
    let observed = defined(statistic(&drawn), usize::MAX)?;
    let mut replicates = Vec::with_capacity(settings.resamples);
    for resample in 0..settings.resamples {
        for (indices, &size) in drawn.iter_mut().zip(sizes) {
            let bound = u32::try_from(size).unwrap_or(u32::MAX);
            indices
                .iter_mut()
                .for_each(|index| *index = below(source, bound) as usize);
        }
        replicates.push(defined(statistic(&drawn), resample)?);
    }
    match settings.interval {
        BootstrapInterval::Percentile => percentile_interval(observed, &replicates, settings.level),
        BootstrapInterval::BiasCorrected => {
            let mut left_out = Vec::with_capacity(sizes.len());
            for (group, &size) in sizes.iter().enumerate() {
                let mut values = Vec::with_capacity(size);
                for patient in 0..size {
                    let mut kept: Vec<Vec<usize>> =
                        sizes.iter().map(|&size| (0..size).collect()).collect();
                    kept[group].remove(patient);
                    values.push(defined(statistic(&kept), patient)?);
                }
                left_out.push(values);
            }
            bias_corrected_interval(observed, &replicates, &left_out, settings.level)
        }
    }
}

/// Percentile interval from resampled statistics.
///
/// # Errors
/// [`StatisticsError::TooFew`], `NotFinite`, `Level`.
pub fn percentile_interval(
    observed: f64,
    replicates: &[f64],
    level: f64,
) -> Result<Estimate, StatisticsError> {
    require_level(level)?;
    let sorted = sorted_copy("resampled statistics", replicates)?;
    let tail = 0.5 * (1.0 - level);
    Ok(Estimate {
        value: observed,
        low: quantile_of_sorted(&sorted, tail),
        high: quantile_of_sorted(&sorted, 1.0 - tail),
        level,
    })
}

/// Bias-corrected accelerated interval from resampled statistics and, per group, the statistic
/// without each patient in turn.
///
/// # Errors
/// [`StatisticsError::TooFew`], `NotFinite`, `Level`, and `NoBiasCorrection` when the observed
/// statistic lies outside all resampled ones or no patient influences it.
pub fn bias_corrected_interval(
    observed: f64,
    replicates: &[f64],
    left_out: &[Vec<f64>],
    level: f64,
) -> Result<Estimate, StatisticsError> {
    require_level(level)?;
    let sorted = sorted_copy("resampled statistics", replicates)?;
    // Resamples that equal the observed statistic count half; sums in another order differ in the
    // last digits.
    let rounding = 1e-12 * observed.abs();
    let below = sorted.partition_point(|&value| value < observed - rounding);
    let upto = sorted.partition_point(|&value| value <= observed + rounding);
    let rank = 0.5 * (below + upto) as f64 / sorted.len() as f64;
    let bias = normal_quantile(rank);
    if !bias.is_finite() {
        let reason = "the observed statistic lies outside all resampled ones";
        return Err(StatisticsError::NoBiasCorrection { reason });
    }
    let acceleration = acceleration(left_out)?;
    let corrected = |p: f64| {
        let shifted = bias + normal_quantile(p);
        normal_cdf(bias + shifted / (1.0 - acceleration * shifted))
    };
    let tail = 0.5 * (1.0 - level);
    Ok(Estimate {
        value: observed,
        low: quantile_of_sorted(&sorted, corrected(tail)),
        high: quantile_of_sorted(&sorted, corrected(1.0 - tail)),
        level,
    })
}

fn acceleration(left_out: &[Vec<f64>]) -> Result<f64, StatisticsError> {
    let (mut cubes, mut squares) = (0.0, 0.0);
    for values in left_out {
        require_count(
            "bootstrap",
            "statistics without one patient",
            values.len(),
            2,
        )?;
        require_finite("statistics without one patient", values)?;
        let n = values.len() as f64;
        let centre = values.iter().sum::<f64>() / n;
        for value in values {
            let influence = (n - 1.0) * (centre - value);
            cubes += influence.powi(3) / n.powi(3);
            squares += influence.powi(2) / n.powi(2);
        }
    }
    if squares <= 0.0 {
        let reason = "leaving out any one patient does not change the statistic";
        return Err(StatisticsError::NoBiasCorrection { reason });
    }
    Ok(cubes / (6.0 * squares.powf(1.5)))
}

fn pick(values: &[f64], indices: &[usize]) -> Vec<f64> {
    indices.iter().map(|&index| values[index]).collect()
}

fn defined(value: f64, resample: usize) -> Result<f64, StatisticsError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(StatisticsError::UndefinedStatistic { resample, value })
    }
}
