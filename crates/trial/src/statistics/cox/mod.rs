//! Proportional hazards regression.
//!
//! Cox 1972, J R Stat Soc B 34:187; ties after Efron 1977, J Am Stat Assoc 72:557. Newton's
//! method with step halving on centred and scaled covariates.

mod likelihood;
mod proportional;

use serde::{Deserialize, Serialize};

use crate::statistics::error::{require_count, require_finite, require_level, require_same_length};
use crate::statistics::linear::{Cholesky, dot};
use crate::statistics::tails::{normal_critical, normal_two_sided};
use crate::statistics::{ChiSquaredTest, Estimate, StatisticsError, SurvivalSample};

use likelihood::{Design, Evaluation};
pub use proportional::{
    ProportionalHazards, ProportionalHazardsTerm, TimeTransform, proportional_hazards,
};

const MAX_ITERATIONS: usize = 60;
/// Newton stops once every step, in standard deviations of the covariate, is below this.
const STEP_TOLERANCE: f64 = 1e-11;
/// A pivot of the information below this share of its diagonal counts as zero.
const PIVOT_TOLERANCE: f64 = 1e-11;

/// One column of the regression, one value per patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariate {
    /// Name, as shown in tables and messages.
    pub name: String,
    /// Values, in the order of the sample's patients.
    pub values: Vec<f64>,
}

impl Covariate {
    /// The interaction of two covariates: their product, patient by patient.
    ///
    /// # Errors
    /// [`StatisticsError::LengthsDiffer`].
    pub fn product(&self, other: &Self) -> Result<Self, StatisticsError> {
        let (count, other_count) = (self.values.len(), other.values.len());
        require_same_length(&self.name, count, &other.name, other_count)?;
        Ok(Self {
            name: format!("{} x {}", self.name, other.name),
            values: (self.values.iter().zip(&other.values))
                .map(|(a, b)| a * b)
                .collect(),
        })
    }

    /// Indicator columns of a factor, one for each label but the smallest, which is the
    /// reference.
    pub fn indicators(name: &str, labels: &[u32]) -> Vec<Self> {
        let mut distinct = labels.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let column = |&level: &u32| Self {
            name: format!("{name} {level}"),
            values: labels
                .iter()
                .map(|&label| f64::from(u8::from(label == level)))
                .collect(),
        };
        distinct.iter().skip(1).map(column).collect()
    }
}

/// Estimated effect of one covariate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoxCoefficient {
    /// Covariate.
    pub name: String,
    /// Log hazard ratio per unit of the covariate.
    pub log_hazard_ratio: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Wald statistic.
    pub z: f64,
    /// Two-sided Wald p value.
    pub p_value: f64,
    /// Hazard ratio per unit with its Wald interval.
    pub hazard_ratio: Estimate,
}

/// A fitted proportional hazards model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoxFit {
    /// Patients.
    pub patients: usize,
    /// Events.
    pub events: usize,
    /// One entry per covariate.
    pub coefficients: Vec<CoxCoefficient>,
    /// Covariance of the log hazard ratios.
    pub covariance: Vec<Vec<f64>>,
    /// Log partial likelihood without covariates.
    pub null_log_likelihood: f64,
    /// Log partial likelihood at the estimate.
    pub log_likelihood: f64,
    /// Likelihood ratio test of no effect.
    pub likelihood_ratio: ChiSquaredTest,
    /// Score test of no effect.
    pub score: ChiSquaredTest,
    /// Wald test of no effect.
    pub wald: ChiSquaredTest,
    /// Newton iterations.
    pub iterations: usize,
}

/// Hazard ratio of `treated` against `control`.
///
/// # Errors
/// As [`cox`].
pub fn hazard_ratio(
    treated: &SurvivalSample,
    control: &SurvivalSample,
    level: f64,
) -> Result<CoxFit, StatisticsError> {
    let join = |a: &[f64], b: &[f64]| [a, b].concat();
    let both = SurvivalSample::new(
        format!("{} and {}", treated.name(), control.name()),
        join(treated.times(), control.times()),
        [treated.events(), control.events()].concat(),
    )?;
    let arm = Covariate {
        name: format!("{} vs {}", treated.name(), control.name()),
        values: join(&vec![1.0; treated.len()], &vec![0.0; control.len()]),
    };
    cox(&both, &[arm], None, level)
}

/// Fits a proportional hazards model with Efron's treatment of ties.
///
/// `strata`, if given, holds one label per patient; each stratum has its own baseline hazard.
///
/// # Errors
/// [`StatisticsError::TooFew`] without covariates, `LengthsDiffer`, `NotFinite`, `NoEvents`,
/// `NotEstimable`, `Separated`, `NotConverged`, `Level`.
pub fn cox(
    sample: &SurvivalSample,
    covariates: &[Covariate],
    strata: Option<&[u32]>,
    level: f64,
) -> Result<CoxFit, StatisticsError> {
    require_level(level)?;
    check_columns(sample, covariates, strata)?;
    let design = Design::new(sample, covariates, strata)?;
    design.fit(sample, covariates, level)
}

/// Refuses columns that do not describe the patients of `sample`, and samples without events.
fn check_columns(
    sample: &SurvivalSample,
    covariates: &[Covariate],
    strata: Option<&[u32]>,
) -> Result<(), StatisticsError> {
    require_count("Cox model", "covariates", covariates.len(), 1)?;
    for covariate in covariates {
        let (name, values) = (&covariate.name, &covariate.values);
        require_same_length(sample.name(), sample.len(), name, values.len())?;
        require_finite(name, values)?;
    }
    if let Some(labels) = strata {
        require_same_length(sample.name(), sample.len(), "strata", labels.len())?;
    }
    if sample.event_count() == 0 {
        let name = sample.name().to_owned();
        return Err(StatisticsError::NoEvents {
            name,
            method: "Cox model",
        });
    }
    Ok(())
}

impl Design {
    fn fit(
        &self,
        sample: &SurvivalSample,
        covariates: &[Covariate],
        level: f64,
    ) -> Result<CoxFit, StatisticsError> {
        let p = covariates.len();
        let name = |column: usize| covariates[column].name.clone();
        let factor = |at: &Evaluation| {
            // Relative to the information of a standardised covariate in as many events.
            let events = sample.event_count() as f64;
            if let Some(j) = (0..p).find(|&j| at.information[j][j] <= 1e-12 * events) {
                return Err(j);
            }
            Cholesky::new(&at.information, PIVOT_TOLERANCE)
        };
        let mut beta = vec![0.0; p];
        let null = self.evaluate(&beta);
        let factored = factor(&null).map_err(|column| StatisticsError::NotEstimable {
            covariate: name(column),
        })?;
        let mut step = factored.solve(&null.gradient);
        let score = ChiSquaredTest::new(dot(&null.gradient, &step), p);
        let null_log_likelihood = null.value;
        let mut current = null;
        let mut iterations = 0;
        loop {
            iterations += 1;
            if iterations > MAX_ITERATIONS {
                return Err(StatisticsError::NotConverged {
                    iterations: MAX_ITERATIONS,
                });
            }
            let (next, moved) = self.improve(&current, &beta, &step);
            let gain = next.value - current.value;
            let (largest, size) = largest_entry(&step);
            beta = moved;
            current = next;
            if size < STEP_TOLERANCE {
                break;
            }
            // Each Newton step still moves a coefficient although the likelihood no longer rises.
            let settled = gain.abs() <= 1e-10 * (current.value.abs() + 1.0);
            let separated = StatisticsError::Separated {
                covariate: name(largest),
            };
            if settled && size > 1e-3 {
                return Err(separated);
            }
            step = factor(&current)
                .map_err(|_| separated)?
                .solve(&current.gradient);
            // Rounding of the gradient can keep the step from shrinking any further.
            if settled && size < 1e-8 {
                break;
            }
        }
        let inverse = factor(&current)
            .map_err(|column| StatisticsError::Separated {
                covariate: name(column),
            })?
            .inverse();
        let wald: f64 = (0..p)
            .map(|j| beta[j] * dot(&current.information[j], &beta))
            .sum();
        let covariance: Vec<Vec<f64>> = (0..p)
            .map(|j| {
                (0..p)
                    .map(|k| inverse[j][k] / (self.scales[j] * self.scales[k]))
                    .collect()
            })
            .collect();
        let coefficients = (0..p)
            .map(|j| coefficient(name(j), beta[j] / self.scales[j], covariance[j][j], level))
            .collect();
        Ok(CoxFit {
            patients: sample.len(),
            events: sample.event_count(),
            coefficients,
            covariance,
            null_log_likelihood,
            log_likelihood: current.value,
            likelihood_ratio: ChiSquaredTest::new(2.0 * (current.value - null_log_likelihood), p),
            score,
            wald: ChiSquaredTest::new(wald, p),
            iterations,
        })
    }

    /// Takes the Newton step, halved until the likelihood does not fall.
    fn improve(&self, current: &Evaluation, beta: &[f64], step: &[f64]) -> (Evaluation, Vec<f64>) {
        let mut share = 1.0;
        loop {
            let moved: Vec<f64> = beta.iter().zip(step).map(|(b, s)| b + share * s).collect();
            let next = self.evaluate(&moved);
            let slack = 1e-12 * (current.value.abs() + 1.0);
            if next.value >= current.value - slack || share < 1e-6 {
                return (next, moved);
            }
            share *= 0.5;
        }
    }
}

fn largest_entry(step: &[f64]) -> (usize, f64) {
    step.iter()
        .enumerate()
        .fold((0, 0.0), |best, (index, value)| {
            // A NaN step counts as the largest.
            if value.abs() <= best.1 {
                best
            } else {
                (index, value.abs())
            }
        })
}

fn coefficient(name: String, value: f64, variance: f64, level: f64) -> CoxCoefficient {
    let standard_error = variance.sqrt();
    let margin = normal_critical(level) * standard_error;
    let z = value / standard_error;
    CoxCoefficient {
        name,
        log_hazard_ratio: value,
        standard_error,
        z,
        p_value: normal_two_sided(z),
        hazard_ratio: Estimate {
            value: value.exp(),
            low: (value - margin).exp(),
            high: (value + margin).exp(),
            level,
        },
    }
}
