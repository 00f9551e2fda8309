//! Why a statistic could not be computed, and what to do about it.

use thiserror::Error;

/// A statistic that the given data do not determine. Each message names the data set, the cause
/// and the remedy.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// A group is empty or too small for the method.
    #[error(
        "{method}: `{name}` has {count} observation(s) and at least {needed} are needed; check the filter that selects the group, or enrol more patients"
    )]
    TooFew {
        /// Group or column.
        name: String,
        /// Method that was asked for.
        method: &'static str,
        /// Observations present.
        count: usize,
        /// Observations needed.
        needed: usize,
    },
    /// Two columns that describe the same patients differ in length.
    #[error(
        "`{left}` has {left_count} value(s) but `{right}` has {right_count}; give exactly one value per patient in both"
    )]
    LengthsDiffer {
        /// First column.
        left: String,
        /// Its length.
        left_count: usize,
        /// Second column.
        right: String,
        /// Its length.
        right_count: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "`{name}`: the value at position {index} is {value}; remove diverged patients, and report how many, before the analysis"
    )]
    NotFinite {
        /// Column.
        name: String,
        /// Zero-based position.
        index: usize,
        /// The offending value.
        value: f64,
    },
    /// A survival time is below zero.
    #[error(
        "`{name}`: the time at position {index} is {value}, before the start; count each patient's time from his or her own first day"
    )]
    NegativeTime {
        /// Column.
        name: String,
        /// Zero-based position.
        index: usize,
        /// The offending value.
        value: f64,
    },
    /// Nobody had the event.
    #[error(
        "{method}: no events in `{name}`; follow patients for longer, or report event-free survival at a fixed time instead"
    )]
    NoEvents {
        /// Group.
        name: String,
        /// Method that was asked for.
        method: &'static str,
    },
    /// A confidence level outside (0, 1).
    #[error("the confidence level is {level}; it must lie between 0 and 1, for example 0.95")]
    Level {
        /// The offending level.
        level: f64,
    },
    /// A probability outside its range.
    #[error("the probability is {value}; it must lie between 0 and 1")]
    Probability {
        /// The offending value.
        value: f64,
    },
    /// More successes than trials.
    #[error("{successes} responders among {trials} patients is impossible; check both counts")]
    Counts {
        /// Successes.
        successes: u64,
        /// Trials.
        trials: u64,
    },
    /// The restriction time lies where the curve is undefined.
    #[error(
        "restricted mean of `{name}`: the horizon {horizon} lies outside (0, {last}], where the survival curve is known; choose a horizon of at most {last}"
    )]
    Horizon {
        /// Group.
        name: String,
        /// The requested horizon.
        horizon: f64,
        /// Last time at which the curve is known.
        last: f64,
    },
    /// A covariate is constant or a combination of others.
    #[error(
        "Cox model: the effect of `{covariate}` cannot be estimated, because it is constant or a combination of the other covariates among the patients at risk; remove it or check its coding"
    )]
    NotEstimable {
        /// Covariate.
        covariate: String,
    },
    /// The likelihood keeps rising as a coefficient grows without bound.
    #[error(
        "Cox model: the hazard ratio of `{covariate}` runs to zero or infinity, because it separates patients with events from those without; merge categories, or report the log-rank test"
    )]
    Separated {
        /// Covariate.
        covariate: String,
    },
    /// Newton's method did not converge.
    #[error(
        "Cox model: no convergence after {iterations} iterations; look for extreme covariate values, or transform them"
    )]
    NotConverged {
        /// Iterations done.
        iterations: usize,
    },
    /// Patients are not in the order of their times.
    #[error(
        "two-group survival test: the time at position {index} is not a number, or is smaller than the one before; sort the patients by time first"
    )]
    NotSorted {
        /// Zero-based position.
        index: usize,
    },
    /// An empty cell leaves a ratio undefined.
    #[error("{method}: undefined, because {cause}; {remedy}")]
    EmptyCell {
        /// Method that was asked for.
        method: &'static str,
        /// Which count is zero.
        cause: &'static str,
        /// What to report instead.
        remedy: &'static str,
    },
    /// A setting outside its range.
    #[error("{method}: `{name}` is {value}; it must be {range}")]
    Setting {
        /// Method that was asked for.
        method: &'static str,
        /// The setting.
        name: &'static str,
        /// The offending value.
        value: f64,
        /// The range in words.
        range: &'static str,
    },
    /// The log-odds of a logistic model run to infinity.
    #[error(
        "logistic model: the odds ratio of `{covariate}` runs to zero or infinity, because it separates patients with the event from those without; merge categories, or report an exact test"
    )]
    OddsSeparated {
        /// Covariate.
        covariate: String,
    },
    /// A covariate of a linear or logistic model is constant or a combination of others.
    #[error(
        "{method}: the effect of `{covariate}` cannot be estimated, because it is constant or a combination of the other covariates; remove it or check its coding"
    )]
    Collinear {
        /// Method that was asked for.
        method: &'static str,
        /// Covariate.
        covariate: String,
    },
    /// A spread of zero leaves a test undefined.
    #[error(
        "{method}: `{name}` does not vary, so that its standard error is zero; report the values as they are"
    )]
    NoSpread {
        /// Method that was asked for.
        method: &'static str,
        /// Column.
        name: String,
    },
    /// A value that must be positive is not.
    #[error(
        "{method}: the value at position {index} of `{name}` is {value}, and logarithms need positive values; replace values below the limit of quantification by a declared rule first"
    )]
    NotPositive {
        /// Method that was asked for.
        method: &'static str,
        /// Column.
        name: String,
        /// Zero-based position.
        index: usize,
        /// The offending value.
        value: f64,
    },
    /// The log-rank test has no group left to compare.
    #[error(
        "log-rank test: fewer than two groups have patients at risk at any event time; compare groups whose follow-up overlaps"
    )]
    NothingToCompare,
    /// A resampled statistic is not a number.
    #[error(
        "bootstrap: the statistic is {value} in resample {resample}; use a statistic that is defined for every resample, or a larger sample"
    )]
    UndefinedStatistic {
        /// Zero-based resample (`usize::MAX` for the original sample).
        resample: usize,
        /// Its value.
        value: f64,
    },
    /// The bias-corrected interval does not exist.
    #[error(
        "bias-corrected bootstrap interval: {reason}; use the percentile interval, or more resamples"
    )]
    NoBiasCorrection {
        /// Cause.
        reason: &'static str,
    },
    /// All paired differences are zero.
    #[error(
        "{method}: every paired difference is zero, so the test is undefined; report that the two are identical"
    )]
    AllZero {
        /// Method that was asked for.
        method: &'static str,
    },
}

/// Refuses NaN and infinities in a column.
pub(super) fn require_finite(name: &str, values: &[f64]) -> Result<(), StatisticsError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatisticsError::NotFinite {
            name: name.to_owned(),
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}

/// Refuses confidence levels outside (0, 1).
pub(super) fn require_level(level: f64) -> Result<(), StatisticsError> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(StatisticsError::Level { level })
    }
}

/// Refuses columns of different length.
pub(super) fn require_same_length(
    left: &str,
    left_count: usize,
    right: &str,
    right_count: usize,
) -> Result<(), StatisticsError> {
    if left_count == right_count {
        Ok(())
    } else {
        Err(StatisticsError::LengthsDiffer {
            left: left.to_owned(),
            left_count,
            right: right.to_owned(),
            right_count,
        })
    }
}

/// Refuses groups with fewer than `needed` observations.
pub(super) fn require_count(
    method: &'static str,
    name: &str,
    count: usize,
    needed: usize,
) -> Result<(), StatisticsError> {
    if count >= needed {
        Ok(())
    } else {
        Err(StatisticsError::TooFew {
            name: name.to_owned(),
            method,
            count,
            needed,
        })
    }
}
