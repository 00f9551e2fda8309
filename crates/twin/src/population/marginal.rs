//! The likelihood of a population: the integral over individual parameters, by importance sampling
//! around the individual estimates (Student's t with 5 degrees of freedom, as Monolix does).

use nalgebra::{DMatrix, DVector};
use posology_cohort::philox::{draw, standard_normal, stream, uniform_open_closed};

use super::chains::Shape;
use crate::error::TwinError;
use crate::map::{Individual, factor};
use crate::problem::Problem;
use crate::space::Population;

const DEGREES: f64 = 5.0;
/// Random numbers of a sample before those of its normal vector.
const STEP: u32 = 1 << 16;

/// The marginal likelihood.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Marginal {
    /// -2 log likelihood of all patients, constants included.
    pub minus_two_log_likelihood: f64,
    /// Monte Carlo standard error.
    pub se: f64,
    pub aic: f64,
    pub bic: f64,
    /// `[patient]` natural log.
    pub log_likelihood: Vec<f64>,
}

/// Integrate over `samples` draws per patient. `parameters`: number of estimated parameters.
///
/// # Errors
/// Those of the device.
pub fn marginal(
    problem: &Problem,
    who: &[u32],
    population: &Population,
    individuals: &[Individual],
    parameters: usize,
    samples: usize,
    seed: u64,
) -> Result<Marginal, TwinError> {
    let p = problem.space.random.len();
    let shape = Shape::new(population);
    let log_det: f64 = shape.factor.diagonal().iter().map(|v| v.ln()).sum();
    let mut weights: Vec<Vec<f64>> = vec![Vec::with_capacity(samples); who.len()];
    let proposals: Vec<DMatrix<f64>> = individuals
        .iter()
        .map(|individual| factor(DMatrix::from_row_slice(p, p, &individual.covariance)))
        .collect();
    let per_call = (1 << 16) / who.len().max(1) + 1;
    let mut sample = 0;
    while sample < samples {
        let now = per_call.min(samples - sample);
        let (mut subjects, mut phis, mut densities) = (Vec::new(), Vec::new(), Vec::new());
        for (i, &subject) in who.iter().enumerate() {
            for s in sample..sample + now {
                let step = STEP + s as u32;
                let z = DVector::from_fn(p, |k, _| {
                    standard_normal(seed, subject, step, stream::STARTS, k as u32)
                });
                let chi: f64 = chi_squared(seed, subject, step, p as u32);
                let z = z * (DEGREES / chi).sqrt();
                let l = &proposals[i];
                let phi = DVector::from_column_slice(&individuals[i].phi) + l * &z;
                let log_l: f64 = l.diagonal().iter().map(|v| v.ln()).sum();
                densities.push(log_student(&z) - log_l);
                phis.extend(phi.iter());
                subjects.push(subject);
            }
        }
        let groups = vec![0; subjects.len()];
        let populations = std::slice::from_ref(population);
        let (_, logs) = problem.likelihood(&subjects, populations, &groups, &phis)?;
        for (job, log) in logs.iter().enumerate() {
            let phi = &phis[job * p..(job + 1) * p];
            let normal =
                shape.log_prior(phi) - log_det - 0.5 * p as f64 * std::f64::consts::TAU.ln();
            weights[job / now].push(log + normal - densities[job]);
        }
        sample += now;
    }
    let mut log_likelihood = Vec::with_capacity(who.len());
    let mut variance = 0.0;
    for own in &weights {
        let most = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let n = own.len() as f64;
        let terms: Vec<f64> = own.iter().map(|w| (w - most).exp()).collect();
        let mean = terms.iter().sum::<f64>() / n;
        let spread = terms.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / (n * (n - 1.0));
        variance += spread / (mean * mean);
        log_likelihood.push(most + mean.ln());
    }
    let total = -2.0 * log_likelihood.iter().sum::<f64>();
    Ok(Marginal {
        minus_two_log_likelihood: total,
        se: 2.0 * variance.sqrt(),
        aic: total + 2.0 * parameters as f64,
        bic: total + parameters as f64 * (who.len().max(1) as f64).ln(),
        log_likelihood,
    })
}

/// A draw of chi squared with [`DEGREES`]: five squared normals, from uniform words.
fn chi_squared(seed: u64, subject: u32, step: u32, first: u32) -> f64 {
    let one = |k: u32| {
        let [a, b, _, _] = draw(seed, subject, step, stream::STARTS, first + k);
        let radius = (-2.0 * uniform_open_closed(a).ln()).sqrt();
        (radius * (std::f64::consts::TAU * uniform_open_closed(b)).cos()).powi(2)
    };
    (0..DEGREES as u32).map(one).sum()
}

/// Log density of the standard multivariate t.
fn log_student(z: &DVector<f64>) -> f64 {
    use statrs::function::gamma::ln_gamma;
    let p = z.len() as f64;
    ln_gamma(0.5 * (DEGREES + p))
        - ln_gamma(0.5 * DEGREES)
        - 0.5 * p * (DEGREES * std::f64::consts::PI).ln()
        - 0.5 * (DEGREES + p) * (1.0 + z.norm_squared() / DEGREES).ln()
}
