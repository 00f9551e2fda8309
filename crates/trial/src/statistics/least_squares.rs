//! Linear regression, and the mean difference of two arms adjusted for baseline covariates.
//!
//! Normal equations on centred and scaled columns with one step of refinement. Analysis of
//! covariance: Fisher 1932, Statistical Methods for Research Workers, 4th edition.

use serde::{Deserialize, Serialize};

use super::describe::mean_of;
use super::error::{require_count, require_finite, require_level, require_same_length};
use super::linear::{Cholesky, dot};
use super::tails::{student_critical, student_two_sided};
use super::{Covariate, Estimate, StatisticsError};

/// Effect of one covariate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearCoefficient {
    /// Covariate.
    pub name: String,
    /// Change of the mean per unit of the covariate with its Student interval.
    pub effect: Estimate,
    /// Its standard error.
    pub standard_error: f64,
    /// Two-sided p value.
    pub p_value: f64,
}

/// A fitted linear model with an intercept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearFit {
    /// One entry per covariate, the intercept left out.
    pub coefficients: Vec<LinearCoefficient>,
    /// Sum of squared residuals.
    pub residual_squares: f64,
    /// Residual degrees of freedom.
    pub degrees: usize,
    /// Residual standard deviation, in the unit of the outcome.
    pub residual_sd: f64,
}

/// Fits the mean of `outcome` as an intercept plus a linear function of `covariates`.
///
/// # Errors
/// [`StatisticsError::TooFew`] without covariates, or with no more patients than coefficients,
/// `LengthsDiffer`, `NotFinite`, `Collinear`, `NoSpread` if the fit is perfect, `Level`.
pub fn least_squares(
    outcome: &[f64],
    covariates: &[Covariate],
    level: f64,
) -> Result<LinearFit, StatisticsError> {
    require_level(level)?;
    require_count(METHOD, "covariates", covariates.len(), 1)?;
    require_count(METHOD, "patients", outcome.len(), covariates.len() + 2)?;
    require_finite("outcome", outcome)?;
    let centre = mean_of(outcome);
    let target: Vec<f64> = outcome.iter().map(|y| y - centre).collect();
    let mut columns = Vec::with_capacity(covariates.len());
    let mut scales = Vec::with_capacity(covariates.len());
    for covariate in covariates {
        let (name, values) = (&covariate.name, &covariate.values);
        require_same_length("outcome", outcome.len(), name, values.len())?;
        require_finite(name, values)?;
        let mean = mean_of(values);
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let scale = squares.sqrt();
        if scale <= 1e-14 * mean.abs() || scale == 0.0 {
            return Err(collinear(covariate));
        }
        columns.push(
            values
                .iter()
                .map(|x| (x - mean) / scale)
                .collect::<Vec<_>>(),
        );
        scales.push(scale);
    }
    let matrix: Vec<Vec<f64>> = columns
        .iter()
        .map(|a| columns.iter().map(|b| dot(a, b)).collect())
        .collect();
    let factor = Cholesky::new(&matrix, 1e-11).map_err(|column| collinear(&covariates[column]))?;
    let residual = |beta: &[f64]| -> Vec<f64> {
        (0..target.len())
            .map(|i| target[i] - columns.iter().zip(beta).map(|(x, b)| x[i] * b).sum::<f64>())
            .collect()
    };
    let project = |values: &[f64]| columns.iter().map(|x| dot(x, values)).collect::<Vec<_>>();
    let mut beta = factor.solve(&project(&target));
    // One refinement restores what the normal equations lose with correlated covariates.
    let correction = factor.solve(&project(&residual(&beta)));
    for (value, change) in beta.iter_mut().zip(correction) {
        *value += change;
    }
    let rest = residual(&beta);
    let residual_squares = dot(&rest, &rest);
    let degrees = outcome.len() - covariates.len() - 1;
    let variance = residual_squares / degrees as f64;
    if residual_squares <= 1e-28 * dot(&target, &target) {
        return Err(StatisticsError::NoSpread {
            method: METHOD,
            name: "residual".to_owned(),
        });
    }
    let inverse = factor.inverse();
    let coefficients = covariates.iter().enumerate().map(|(j, covariate)| {
        let value = beta[j] / scales[j];
        let standard_error = (variance * inverse[j][j]).sqrt() / scales[j];
        let margin = student_critical(level, degrees as f64) * standard_error;
        LinearCoefficient {
            name: covariate.name.clone(),
            effect: Estimate {
                value,
                low: value - margin,
                high: value + margin,
                level,
            },
            standard_error,
            p_value: student_two_sided(value / standard_error, degrees as f64),
        }
    });
    Ok(LinearFit {
        coefficients: coefficients.collect(),
        residual_squares,
        degrees,
        residual_sd: variance.sqrt(),
    })
}

/// Mean difference of the treated patients, adjusted for `covariates` (analysis of covariance):
/// the coefficient of the arm in a linear model without interactions.
///
/// # Errors
/// As [`least_squares`].
pub fn adjusted_difference(
    outcome: &[f64],
    treated: &[bool],
    covariates: &[Covariate],
    level: f64,
) -> Result<LinearCoefficient, StatisticsError> {
    let arm = Covariate {
        name: "treated".to_owned(),
        values: treated.iter().map(|&t| f64::from(u8::from(t))).collect(),
    };
    let columns: Vec<Covariate> = [arm].into_iter().chain(covariates.to_vec()).collect();
    let fit = least_squares(outcome, &columns, level)?;
    Ok(fit.coefficients[0].clone())
}

const METHOD: &str = "linear model";

fn collinear(covariate: &Covariate) -> StatisticsError {
    StatisticsError::Collinear {
        method: METHOD,
        covariate: covariate.name.clone(),
    }
}
