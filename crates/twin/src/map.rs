//! Maximum a posteriori estimates of every patient, with the population as prior, and the normal
//! approximation of the posterior around them (Laplace).

use nalgebra::{Cholesky, DMatrix, DVector};
use posology_cohort::philox::{standard_normal, stream};

use crate::error::TwinError;
use crate::minimise::{Minimum, Stop, minimise};
use crate::problem::Problem;
use crate::space::Population;

/// How estimates are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapOptions {
    /// Searches per patient: from the typical parameters, and from draws of the population.
    pub starts: usize,
    pub seed: u64,
    pub stop: Stop,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            starts: 3,
            seed: 1,
            stop: Stop::default(),
        }
    }
}

/// One patient's estimate.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Individual {
    pub phi: Vec<f64>,
    /// `[p][p]` of phi, row by row: inverse curvature of the negative log posterior.
    pub covariance: Vec<f64>,
    /// Natural log likelihood of the observations at the estimate.
    pub log_likelihood: f64,
    pub converged: bool,
}

/// Half of the width of the difference that gives curvatures, in prior standard deviations.
const CURVATURE_STEP: f64 = 0.02;
/// Starts other than the first lie this share of a draw away from the typical parameters.
const SPREAD: f64 = 0.7;

/// Estimate patients `who`, each with its population `populations[of[i]]`.
///
/// # Errors
/// Those of the device.
pub fn estimate(
    problem: &Problem,
    who: &[u32],
    populations: &[Population],
    of: &[usize],
    options: &MapOptions,
) -> Result<Vec<Individual>, TwinError> {
    let p = problem.space.random.len();
    let factors: Vec<DMatrix<f64>> = populations
        .iter()
        .map(|population| factor(population.covariance()))
        .collect();
    let starts = options.starts.max(1);
    let mut points = Vec::with_capacity(who.len() * starts);
    for &subject in who {
        for s in 0..starts {
            let draw = |k: usize| match s {
                0 => 0.0,
                _ => {
                    SPREAD
                        * standard_normal(options.seed, subject, s as u32, stream::STARTS, k as u32)
                }
            };
            points.push((0..p).map(draw).collect::<Vec<f64>>());
        }
    }
    search(
        problem,
        who,
        populations,
        of,
        &factors,
        &points,
        &options.stop,
    )
}

/// As [`estimate`], with one search per patient from `starts`, `[patient][p]`.
///
/// # Errors
/// Those of the device.
pub fn estimate_from(
    problem: &Problem,
    who: &[u32],
    populations: &[Population],
    of: &[usize],
    starts: &[f64],
    stop: &Stop,
) -> Result<Vec<Individual>, TwinError> {
    let p = problem.space.random.len();
    let factors: Vec<DMatrix<f64>> = populations
        .iter()
        .map(|population| factor(population.covariance()))
        .collect();
    let standard = |(i, &g): (usize, &usize)| {
        let apart = DVector::from_fn(p, |k, _| starts[i * p + k] - populations[g].mu[k]);
        let z = factors[g].solve_lower_triangular(&apart);
        z.map_or(vec![0.0; p], |z| z.data.as_vec().clone())
    };
    let points: Vec<Vec<f64>> = of.iter().enumerate().map(standard).collect();
    search(problem, who, populations, of, &factors, &points, stop)
}

/// The best of a patient's searches; `points` are as many for every patient.
fn search(
    problem: &Problem,
    who: &[u32],
    populations: &[Population],
    of: &[usize],
    factors: &[DMatrix<f64>],
    points: &[Vec<f64>],
    stop: &Stop,
) -> Result<Vec<Individual>, TwinError> {
    let p = problem.space.random.len();
    let starts = points.len() / who.len().max(1);
    let place = |search: usize| search / starts;
    let objective = |which: &[usize], z: &[f64]| {
        let subjects: Vec<u32> = which.iter().map(|&i| who[place(i)]).collect();
        let groups: Vec<usize> = which.iter().map(|&i| of[place(i)]).collect();
        posterior(problem, &subjects, populations, &groups, factors, z)
    };
    let found = minimise(points, stop, |which, z| objective(which, z))?;
    let best: Vec<&Minimum> = found
        .chunks(starts)
        .filter_map(|of| {
            let order = |a: &&Minimum, b: &&Minimum| a.value.total_cmp(&b.value);
            of.iter().min_by(order)
        })
        .collect();
    let curvature = curvatures(&best, p, |which, z| {
        let searches: Vec<usize> = which.iter().map(|&i| i * starts).collect();
        objective(&searches, z)
    })?;
    Ok(best
        .iter()
        .zip(curvature)
        .enumerate()
        .map(|(i, (minimum, curvature))| {
            let l = &factors[of[i]];
            let covariance = l * invert(curvature) * l.transpose();
            let prior: f64 = minimum.x.iter().map(|z| 0.5 * z * z).sum();
            Individual {
                phi: phi(&populations[of[i]], l, &minimum.x),
                covariance: covariance.transpose().data.as_vec().clone(),
                log_likelihood: prior - minimum.value,
                converged: minimum.converged,
            }
        })
        .collect())
}

/// Lower Cholesky factor; a variance of zero stays zero.
pub(crate) fn factor(mut omega: DMatrix<f64>) -> DMatrix<f64> {
    for i in 0..omega.nrows() {
        omega[(i, i)] = omega[(i, i)].max(1e-12);
    }
    match Cholesky::new(omega.clone()) {
        Some(cholesky) => cholesky.unpack(),
        // correlations lost to rounding
        None => DMatrix::from_diagonal(&omega.diagonal().map(f64::sqrt)),
    }
}

fn phi(population: &Population, l: &DMatrix<f64>, z: &[f64]) -> Vec<f64> {
    let p = z.len();
    (0..p)
        .map(|i| population.mu[i] + (0..=i).map(|j| l[(i, j)] * z[j]).sum::<f64>())
        .collect()
}

/// Negative log posterior at `z` (standardised etas) and its gradient.
fn posterior(
    problem: &Problem,
    subjects: &[u32],
    populations: &[Population],
    groups: &[usize],
    factors: &[DMatrix<f64>],
    z: &[f64],
) -> Result<(Vec<f64>, Vec<f64>), TwinError> {
    let p = problem.space.random.len();
    let phis: Vec<f64> = groups
        .iter()
        .enumerate()
        .flat_map(|(i, &g)| phi(&populations[g], &factors[g], &z[i * p..(i + 1) * p]))
        .collect();
    let scored = problem.score(subjects, populations, groups, &phis)?;
    let mut values = Vec::with_capacity(groups.len());
    let mut gradients = Vec::with_capacity(z.len());
    let width = problem.width();
    for (i, &g) in groups.iter().enumerate() {
        let own = &z[i * p..(i + 1) * p];
        let prior: f64 = own.iter().map(|z| 0.5 * z * z).sum();
        let value = prior - scored.log_likelihood[i];
        values.push(if value.is_finite() {
            value
        } else {
            f64::INFINITY
        });
        for j in 0..p {
            let slope: f64 = (j..p)
                .map(|k| factors[g][(k, j)] * scored.gradient[i * width + k])
                .sum();
            gradients.push(own[j] - slope);
        }
    }
    Ok((values, gradients))
}

/// Second derivatives at the minima, by central differences of gradients, all in one evaluation.
fn curvatures(
    minima: &[&Minimum],
    p: usize,
    mut evaluate: impl FnMut(&[usize], &[f64]) -> Result<(Vec<f64>, Vec<f64>), TwinError>,
) -> Result<Vec<DMatrix<f64>>, TwinError> {
    let mut which = Vec::new();
    let mut points = Vec::new();
    for (i, minimum) in minima.iter().enumerate() {
        for k in 0..p {
            for sign in [1.0, -1.0] {
                which.push(i);
                let mut x = minimum.x.clone();
                x[k] += sign * CURVATURE_STEP;
                points.extend(x);
            }
        }
    }
    let (_, gradients) = evaluate(&which, &points)?;
    let row = |at: usize| &gradients[at * p..(at + 1) * p];
    let one = |i: usize| {
        let mut h = DMatrix::zeros(p, p);
        for k in 0..p {
            let at = 2 * (i * p + k);
            for j in 0..p {
                h[(k, j)] = (row(at)[j] - row(at + 1)[j]) / (2.0 * CURVATURE_STEP);
            }
        }
        (&h + h.transpose()) * 0.5
    };
    Ok((0..minima.len()).map(one).collect())
}

/// Inverse of a curvature. The prior alone gives one in every direction, so less is a fault of the
/// approximation.
fn invert(curvature: DMatrix<f64>) -> DMatrix<f64> {
    let p = curvature.nrows();
    if curvature.iter().any(|v| !v.is_finite()) {
        return DMatrix::identity(p, p);
    }
    let eigen = curvature.symmetric_eigen();
    let inverse = eigen.eigenvalues.map(|v| 1.0 / v.max(0.2));
    &eigen.eigenvectors * DMatrix::from_diagonal(&inverse) * eigen.eigenvectors.transpose()
}
