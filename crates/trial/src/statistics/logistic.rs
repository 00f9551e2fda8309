//! Logistic regression.
//!
//! Cox 1958, J R Stat Soc B 20:215. Newton's method with step halving on centred and scaled
//! covariates.

use serde::{Deserialize, Serialize};

use super::describe::mean_of;
use super::error::{require_count, require_finite, require_level, require_same_length};
use super::linear::{Cholesky, dot};
use super::tails::{normal_critical, normal_two_sided};
use super::{ChiSquaredTest, Covariate, Estimate, StatisticsError};

const METHOD: &str = "logistic model";
const MAX_ITERATIONS: usize = 60;
const STEP_TOLERANCE: f64 = 1e-11;

/// Effect of one covariate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticCoefficient {
    /// Covariate.
    pub name: String,
    /// Log odds ratio per unit of the covariate.
    pub log_odds_ratio: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Two-sided Wald p value.
    pub p_value: f64,
    /// Odds ratio per unit with its Wald interval.
    pub odds_ratio: Estimate,
}

/// A fitted logistic model with an intercept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticFit {
    /// One entry per covariate, the intercept left out.
    pub coefficients: Vec<LogisticCoefficient>,
    /// Log likelihood with the intercept only.
    pub null_log_likelihood: f64,
    /// Log likelihood at the estimate.
    pub log_likelihood: f64,
    /// Likelihood ratio test of no effect.
    pub likelihood_ratio: ChiSquaredTest,
}

/// Fits the log odds of `outcome` as an intercept plus a linear function of `covariates`.
///
/// # Errors
/// [`StatisticsError::TooFew`] without covariates or patients, `LengthsDiffer`, `NotFinite`,
/// `NoEvents` if nobody has the event, `EmptyCell` if everybody has it, `Collinear`,
/// `OddsSeparated`, `Level`.
pub fn logistic(
    outcome: &[bool],
    covariates: &[Covariate],
    level: f64,
) -> Result<LogisticFit, StatisticsError> {
    let successes: Vec<f64> = outcome.iter().map(|&y| f64::from(u8::from(y))).collect();
    grouped_logistic(&successes, &vec![1.0; outcome.len()], covariates, level)
}

/// As [`logistic`], for groups of patients with equal covariates: `successes` of `trials`.
pub(super) fn grouped_logistic(
    successes: &[f64],
    trials: &[f64],
    covariates: &[Covariate],
    level: f64,
) -> Result<LogisticFit, StatisticsError> {
    require_level(level)?;
    require_count(METHOD, "covariates", covariates.len(), 1)?;
    require_count(METHOD, "patients", successes.len(), covariates.len() + 1)?;
    let mut rows = vec![vec![1.0]; successes.len()];
    let mut scales = Vec::with_capacity(covariates.len());
    for covariate in covariates {
        let (name, values) = (&covariate.name, &covariate.values);
        require_same_length("outcome", successes.len(), name, values.len())?;
        require_finite(name, values)?;
        let centre = mean_of(values);
        let squares: f64 = values.iter().map(|x| (x - centre).powi(2)).sum();
        let scale = (squares / values.len() as f64).sqrt();
        if scale <= 1e-14 * centre.abs() || scale == 0.0 {
            return Err(collinear(covariate));
        }
        for (row, value) in rows.iter_mut().zip(values) {
            row.push((value - centre) / scale);
        }
        scales.push(scale);
    }
    let (events, all): (f64, f64) = (successes.iter().sum(), trials.iter().sum());
    if events == 0.0 {
        return Err(StatisticsError::NoEvents {
            name: "outcome".to_owned(),
            method: METHOD,
        });
    }
    if events == all {
        return Err(StatisticsError::EmptyCell {
            method: METHOD,
            cause: "everybody has the event",
            remedy: "report the rate",
        });
    }
    let model = Model {
        rows: &rows,
        successes,
        trials,
    };
    let mut beta = vec![0.0; covariates.len() + 1];
    beta[0] = (events / (all - events)).ln();
    let null_log_likelihood = model.log_likelihood(&beta);
    let mut value = null_log_likelihood;
    let mut iterations = 0;
    let inverse = loop {
        let (gradient, information) = model.derivatives(&beta);
        let factor = Cholesky::new(&information, 1e-11).map_err(|column| {
            let covariate = &covariates[column.max(1) - 1];
            if iterations == 0 {
                collinear(covariate)
            } else {
                separated(covariate)
            }
        })?;
        let step = factor.solve(&gradient);
        let (largest, size) = step
            .iter()
            .enumerate()
            .skip(1)
            .fold((0, 0.0), |best, entry| {
                if entry.1.abs() > best.1 {
                    (entry.0 - 1, entry.1.abs())
                } else {
                    best
                }
            });
        let mut share = 1.0;
        let (moved, next) = loop {
            let moved: Vec<f64> = beta.iter().zip(&step).map(|(b, s)| b + share * s).collect();
            let next = model.log_likelihood(&moved);
            if next >= value - 1e-12 * (1.0 + value.abs()) || share < 1e-6 {
                break (moved, next);
            }
            share *= 0.5;
        };
        let settled = (next - value).abs() <= 1e-10 * (1.0 + value.abs());
        (beta, value) = (moved, next);
        iterations += 1;
        if size < STEP_TOLERANCE || (settled && size < 1e-8) {
            break factor.inverse();
        }
        // Each step still moves a coefficient although the likelihood no longer rises.
        if (settled && size > 1e-3) || iterations > MAX_ITERATIONS {
            return Err(separated(&covariates[largest]));
        }
    };
    let z = normal_critical(level);
    let coefficients = covariates.iter().enumerate().map(|(j, covariate)| {
        let log = beta[j + 1] / scales[j];
        let standard_error = inverse[j + 1][j + 1].sqrt() / scales[j];
        LogisticCoefficient {
            name: covariate.name.clone(),
            log_odds_ratio: log,
            standard_error,
            p_value: normal_two_sided(log / standard_error),
            odds_ratio: Estimate {
                value: log.exp(),
                low: (log - z * standard_error).exp(),
                high: (log + z * standard_error).exp(),
                level,
            },
        }
    });
    Ok(LogisticFit {
        coefficients: coefficients.collect(),
        null_log_likelihood,
        log_likelihood: value,
        likelihood_ratio: ChiSquaredTest::new(
            (2.0 * (value - null_log_likelihood)).max(0.0),
            covariates.len(),
        ),
    })
}

struct Model<'a> {
    /// Intercept, then covariates.
    rows: &'a [Vec<f64>],
    successes: &'a [f64],
    trials: &'a [f64],
}

impl Model<'_> {
    fn log_likelihood(&self, beta: &[f64]) -> f64 {
        let terms = self.rows.iter().zip(self.successes).zip(self.trials);
        terms
            .map(|((row, success), trials)| {
                let eta = dot(row, beta);
                // log(1 + exp(eta)) without overflow.
                success * eta - trials * (eta.max(0.0) + (-eta.abs()).exp().ln_1p())
            })
            .sum()
    }

    /// Gradient and information (in full).
    fn derivatives(&self, beta: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let p = beta.len();
        let (mut gradient, mut information) = (vec![0.0; p], vec![vec![0.0; p]; p]);
        for ((row, success), trials) in self.rows.iter().zip(self.successes).zip(self.trials) {
            let rate = (1.0 + (-dot(row, beta)).exp()).recip();
            let weight = trials * rate * (1.0 - rate);
            for j in 0..p {
                gradient[j] += (success - trials * rate) * row[j];
                for k in 0..p {
                    information[j][k] += weight * row[j] * row[k];
                }
            }
        }
        (gradient, information)
    }
}

fn collinear(covariate: &Covariate) -> StatisticsError {
    StatisticsError::Collinear {
        method: METHOD,
        covariate: covariate.name.clone(),
    }
}

fn separated(covariate: &Covariate) -> StatisticsError {
    StatisticsError::OddsSeparated {
        covariate: covariate.name.clone(),
    }
}
