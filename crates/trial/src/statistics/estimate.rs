//! Point estimates with intervals, and test results.

use serde::{Deserialize, Serialize};

/// A number with its confidence interval, all in one unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Point estimate.
    pub value: f64,
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Confidence level, for example 0.95.
    pub level: f64,
}

/// A survival time with its confidence interval. A part that follow-up did not reach is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimeEstimate {
    /// Point estimate.
    pub value: Option<f64>,
    /// Lower limit.
    pub low: Option<f64>,
    /// Upper limit.
    pub high: Option<f64>,
    /// Confidence level, for example 0.95.
    pub level: f64,
}

/// A test statistic that follows a chi-squared distribution under the null hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChiSquaredTest {
    /// The statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub degrees: usize,
    /// Upper tail probability.
    pub p_value: f64,
}

impl ChiSquaredTest {
    pub(super) fn new(statistic: f64, degrees: usize) -> Self {
        Self {
            statistic,
            degrees,
            p_value: super::tails::chi_squared_upper(statistic, degrees),
        }
    }
}
