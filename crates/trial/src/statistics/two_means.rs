//! Means of two independent groups: difference, and ratio of geometric means.

use serde::{Deserialize, Serialize};

use super::describe::{mean_of, variance_of};
use super::error::{require_count, require_finite, require_level};
use super::tails::{student_critical, student_two_sided, student_upper};
use super::{Estimate, StatisticsError};

/// Whether the groups share one variance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupVariance {
    /// A variance for each group: Welch 1947, Biometrika 34:28, with the degrees of freedom of
    /// Satterthwaite 1946, Biometrics Bull 2:110.
    #[default]
    Separate,
    /// One variance: Student 1908, Biometrika 6:1.
    Pooled,
}

/// Difference of two means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanDifference {
    /// First mean minus second with its Student interval, in the unit of the values.
    pub difference: Estimate,
    /// Its standard error.
    pub standard_error: f64,
    /// Student's t.
    pub t: f64,
    /// Degrees of freedom.
    pub degrees: f64,
    /// Two-sided p value.
    pub p_value: f64,
}

/// Ratio of two geometric means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GeometricMeanRatio {
    /// Geometric means of the first and the second group.
    pub means: (f64, f64),
    /// First over second with its interval.
    pub ratio: Estimate,
    /// Two-sided p value of a ratio of one.
    pub p_value: f64,
    /// The same comparison on the logarithm.
    pub on_logarithm: MeanDifference,
}

/// Compares the means of two groups.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than two values in a group, `NotFinite`, `Level`,
/// `NoSpread` if neither group varies.
pub fn mean_difference(
    first: &[f64],
    second: &[f64],
    variance: GroupVariance,
    level: f64,
) -> Result<MeanDifference, StatisticsError> {
    require_level(level)?;
    let moments = |name: &str, values: &[f64]| {
        require_count(METHOD, name, values.len(), 2)?;
        require_finite(name, values)?;
        let mean = mean_of(values);
        Ok((mean, variance_of(values, mean), values.len() as f64))
    };
    let (m1, v1, n1) = moments("first", first)?;
    let (m2, v2, n2) = moments("second", second)?;
    let (a, b) = (v1 / n1, v2 / n2);
    let (square, degrees) = match variance {
        GroupVariance::Separate => {
            let degrees = (a + b).powi(2) / (a * a / (n1 - 1.0) + b * b / (n2 - 1.0));
            (a + b, degrees)
        }
        GroupVariance::Pooled => {
            let degrees = n1 + n2 - 2.0;
            let common = ((n1 - 1.0) * v1 + (n2 - 1.0) * v2) / degrees;
            (common * (n1.recip() + n2.recip()), degrees)
        }
    };
    if square <= 0.0 {
        return Err(StatisticsError::NoSpread {
            method: METHOD,
            name: "both groups".to_owned(),
        });
    }
    let (value, standard_error) = (m1 - m2, square.sqrt());
    let margin = student_critical(level, degrees) * standard_error;
    let t = value / standard_error;
    Ok(MeanDifference {
        difference: Estimate {
            value,
            low: value - margin,
            high: value + margin,
            level,
        },
        standard_error,
        t,
        degrees,
        p_value: student_two_sided(t, degrees),
    })
}

/// Ratio of geometric means, for exposures such as AUC and Cmax. Bioequivalence is usually read
/// off the 90 % interval with [`GroupVariance::Pooled`]: FDA 2001, Statistical Approaches to
/// Establishing Bioequivalence.
///
/// # Errors
/// As [`mean_difference`], and [`StatisticsError::NotPositive`].
pub fn geometric_mean_ratio(
    first: &[f64],
    second: &[f64],
    variance: GroupVariance,
    level: f64,
) -> Result<GeometricMeanRatio, StatisticsError> {
    let logs = |name: &str, values: &[f64]| -> Result<Vec<f64>, StatisticsError> {
        require_finite(name, values)?;
        match values.iter().position(|&value| value <= 0.0) {
            Some(index) => Err(StatisticsError::NotPositive {
                method: "geometric mean ratio",
                name: name.to_owned(),
                index,
                value: values[index],
            }),
            None => Ok(values.iter().map(|value| value.ln()).collect()),
        }
    };
    let (first, second) = (logs("first", first)?, logs("second", second)?);
    let on_logarithm = mean_difference(&first, &second, variance, level)?;
    let Estimate {
        value, low, high, ..
    } = on_logarithm.difference;
    Ok(GeometricMeanRatio {
        means: (mean_of(&first).exp(), mean_of(&second).exp()),
        ratio: Estimate {
            value: value.exp(),
            low: low.exp(),
            high: high.exp(),
            level,
        },
        p_value: on_logarithm.p_value,
        on_logarithm,
    })
}

impl GeometricMeanRatio {
    /// The larger p value of two one-sided tests that the ratio lies within `low` and `high`
    /// (0.8 and 1.25 for bioequivalence): Schuirmann 1987, J Pharmacokinet Biopharm 15:657.
    /// Equivalence at level alpha needs a value below alpha.
    ///
    /// # Errors
    /// [`StatisticsError::Setting`] unless 0 < low < high.
    pub fn equivalence(&self, low: f64, high: f64) -> Result<f64, StatisticsError> {
        if !(low > 0.0 && low < high && high.is_finite()) {
            return Err(StatisticsError::Setting {
                method: "equivalence test",
                name: "low",
                value: low,
                range: "above zero and below the upper limit",
            });
        }
        let fit = &self.on_logarithm;
        let above = (fit.difference.value - low.ln()) / fit.standard_error;
        let below = (high.ln() - fit.difference.value) / fit.standard_error;
        Ok(student_upper(above.min(below), fit.degrees))
    }
}

const METHOD: &str = "comparison of means";
