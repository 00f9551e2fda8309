//! Proportional hazards regression.
//!
//! Cox 1972, J R Stat Soc B 34:187; ties after Efron 1977, J Am Stat Assoc 72:557. Newton's
//! method with step halving on centred and scaled covariates.

use serde::{Deserialize, Serialize};

use super::error::{require_count, require_finite, require_level, require_same_length};
use super::linear::{Cholesky, dot};
use super::tails::{normal_critical, normal_two_sided};
use super::{ChiSquaredTest, Estimate, StatisticsError, SurvivalSample};

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
    let design = Design::new(sample, covariates, strata)?;
    design.fit(sample, covariates, level)
}

/// Standardised covariates and patients in the order in which the likelihood visits them.
struct Design {
    rows: Vec<Vec<f64>>,
    scales: Vec<f64>,
    /// Stratum by stratum, latest time first.
    order: Vec<usize>,
    /// Start in `order` of each set of patients with one stratum and one time, and whether a new
    /// stratum begins there.
    sets: Vec<(usize, bool)>,
    events: Vec<bool>,
}

/// Log partial likelihood, its gradient and the negative of its Hessian.
struct Evaluation {
    value: f64,
    gradient: Vec<f64>,
    information: Vec<Vec<f64>>,
}

impl Design {
    fn new(
        sample: &SurvivalSample,
        covariates: &[Covariate],
        strata: Option<&[u32]>,
    ) -> Result<Self, StatisticsError> {
        let n = sample.len();
        let mut scales = Vec::with_capacity(covariates.len());
        let mut rows = vec![Vec::with_capacity(covariates.len()); n];
        for covariate in covariates {
            let centre = covariate.values.iter().sum::<f64>() / n as f64;
            let squares: f64 = covariate.values.iter().map(|x| (x - centre).powi(2)).sum();
            let scale = (squares / n as f64).sqrt();
            if scale <= 1e-14 * centre.abs() || scale == 0.0 {
                let covariate = covariate.name.clone();
                return Err(StatisticsError::NotEstimable { covariate });
            }
            scales.push(scale);
            for (row, value) in rows.iter_mut().zip(&covariate.values) {
                row.push((value - centre) / scale);
            }
        }
        let stratum = |i: usize| strata.map_or(0, |labels| labels[i]);
        let time = |i: usize| sample.times()[i];
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| {
            stratum(a)
                .cmp(&stratum(b))
                .then(time(b).total_cmp(&time(a)))
        });
        let mut sets = Vec::new();
        for (position, &i) in order.iter().enumerate() {
            let before = position.checked_sub(1).map(|p| order[p]);
            let new_stratum = before.is_none_or(|b| stratum(b) != stratum(i));
            if new_stratum || before.is_none_or(|b| time(b) != time(i)) {
                sets.push((position, new_stratum));
            }
        }
        Ok(Self {
            rows,
            scales,
            order,
            sets,
            events: sample.events().to_vec(),
        })
    }

    fn evaluate(&self, beta: &[f64]) -> Evaluation {
        let p = beta.len();
        let mut result = Evaluation {
            value: 0.0,
            gradient: vec![0.0; p],
            information: vec![vec![0.0; p]; p],
        };
        let mut risk = Moments::new(p);
        let mut dying = Moments::new(p);
        for (index, &(start, new_stratum)) in self.sets.iter().enumerate() {
            if new_stratum {
                risk.clear();
            }
            dying.clear();
            let end = self
                .sets
                .get(index + 1)
                .map_or(self.order.len(), |next| next.0);
            let mut events = 0.0;
            for &patient in &self.order[start..end] {
                let row = &self.rows[patient];
                let eta = dot(row, beta);
                risk.add(row, eta.exp());
                if self.events[patient] {
                    dying.add(row, eta.exp());
                    events += 1.0;
                    result.value += eta;
                    for (gradient, x) in result.gradient.iter_mut().zip(row) {
                        *gradient += x;
                    }
                }
            }
            // Efron: the tied deaths leave the risk set in equal parts.
            let mut removed = 0.0;
            while removed < events {
                let share = removed / events;
                let weight = risk.weight - share * dying.weight;
                result.value -= weight.ln();
                for j in 0..p {
                    let mean_j = (risk.first[j] - share * dying.first[j]) / weight;
                    result.gradient[j] -= mean_j;
                    for k in 0..=j {
                        let mean_k = (risk.first[k] - share * dying.first[k]) / weight;
                        let second = (risk.second[j][k] - share * dying.second[j][k]) / weight;
                        result.information[j][k] += second - mean_j * mean_k;
                    }
                }
                removed += 1.0;
            }
        }
        for j in 0..p {
            for k in 0..j {
                result.information[k][j] = result.information[j][k];
            }
        }
        result
    }

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

/// Sums of exp(eta), x exp(eta) and x x' exp(eta) (lower triangle).
struct Moments {
    weight: f64,
    first: Vec<f64>,
    second: Vec<Vec<f64>>,
}

impl Moments {
    fn new(p: usize) -> Self {
        Self {
            weight: 0.0,
            first: vec![0.0; p],
            second: vec![vec![0.0; p]; p],
        }
    }

    fn clear(&mut self) {
        self.weight = 0.0;
        self.first.fill(0.0);
        self.second.iter_mut().for_each(|row| row.fill(0.0));
    }

    fn add(&mut self, row: &[f64], weight: f64) {
        self.weight += weight;
        for (j, &x) in row.iter().enumerate() {
            self.first[j] += weight * x;
            for (k, &y) in row.iter().enumerate().take(j + 1) {
                self.second[j][k] += weight * x * y;
            }
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
