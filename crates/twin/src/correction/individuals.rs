//! Individual parameters, their marginal likelihood, and the residual errors that fit them.

use nalgebra::{DMatrix, DVector};
use posology_cohort::nmtran::Seen;

use crate::engine::Predictions;
use crate::error::TwinError;
use crate::likelihood::{normal_scale, to_normal_scale};
use crate::map::{self, Individual, factor};
use crate::minimise::Stop;
use crate::problem::Problem;
use crate::space::Population;

/// Share of a Newton step that a patient takes beside a step of the weights, and its longest length
/// in prior standard deviations.
const DAMPING: f64 = 0.7;
const LONGEST: f64 = 0.5;

/// Patients with their populations, and what is known of them.
pub(super) struct Group<'a> {
    pub problem: &'a Problem,
    pub who: Vec<u32>,
    /// Index of each one's population.
    pub of: Vec<usize>,
    /// `[patient][p]`
    pub phi: Vec<f64>,
    /// `[patient][p][p]`
    pub covariance: Vec<f64>,
}

impl<'a> Group<'a> {
    pub fn new(problem: &'a Problem, who: Vec<u32>, of: Vec<usize>, phi: Vec<f64>) -> Self {
        Self {
            problem,
            who,
            of,
            phi,
            covariance: Vec::new(),
        }
    }

    fn width(&self) -> usize {
        self.problem.space.random.len()
    }

    /// Move every patient to his estimate, from where he is.
    pub fn estimate(&mut self, populations: &[Population], rounds: usize) -> Result<(), TwinError> {
        if self.width() == 0 {
            return Ok(());
        }
        let stop = Stop {
            rounds,
            ..Stop::default()
        };
        let found = map::estimate_from(
            self.problem,
            &self.who,
            populations,
            &self.of,
            &self.phi,
            &stop,
        )?;
        let phi = |one: &Individual| one.phi.clone();
        self.phi = found.iter().flat_map(phi).collect();
        self.covariance = found.into_iter().flat_map(|one| one.covariance).collect();
        Ok(())
    }

    /// What the estimates predict.
    pub fn predict(&self, populations: &[Population]) -> Result<Predictions, TwinError> {
        let values = self.problem.values(populations, &self.of, &self.phi);
        self.problem.engine.predict(&self.who, &values)
    }

    fn prior(&self, i: usize, population: &Population, l: &DMatrix<f64>) -> (f64, DMatrix<f64>) {
        let p = self.width();
        let apart = DVector::from_fn(p, |k, _| self.phi[i * p + k] - population.mu[k]);
        let z = l.solve_lower_triangular(&apart).unwrap_or(apart);
        let covariance = DMatrix::from_row_slice(p, p, &self.covariance[i * p * p..][..p * p]);
        // the posterior covariance in prior standard deviations
        let half = l.solve_lower_triangular(&covariance);
        let whole = half.and_then(|half| l.solve_lower_triangular(&half.transpose()));
        (z.norm_squared(), whole.unwrap_or(covariance))
    }

    /// `[patient]` natural log of the marginal likelihood, by Laplace's approximation around the
    /// estimates (Tierney and Kadane 1986).
    pub fn marginal(&self, populations: &[Population], f: &Predictions) -> Vec<f64> {
        let factors = factors(populations);
        let one = |i: usize| {
            let population = &populations[self.of[i]];
            let log = self
                .problem
                .log_likelihood(self.who[i], f.of(i), population);
            if self.width() == 0 {
                return log;
            }
            let (prior, covariance) = self.prior(i, population, &factors[self.of[i]]);
            log - 0.5 * prior + 0.5 * covariance.determinant().max(1e-300).ln()
        };
        (0..self.who.len()).map(one).collect()
    }

    /// Residual errors of population `g` that fit its patients' residuals: mean squares, where
    /// the parameters that patients took from their data do not count as observations, which is the
    /// stationary point of expectation maximisation in Laplace's approximation. Parts of a combined
    /// error keep their ratio; censored observations do not count.
    pub fn errors(
        &self,
        populations: &[Population],
        g: usize,
        f: &Predictions,
        counts: impl Fn(usize) -> bool,
    ) -> Vec<[f64; 3]> {
        let population = &populations[g];
        let l = factor(population.covariance());
        let observables = population.errors.len();
        let (mut squares, mut seen) = (vec![0.0; observables], vec![0.0; observables]);
        let mut taken = 0.0;
        for i in (0..self.who.len()).filter(|&i| self.of[i] == g && counts(i)) {
            for point in &self.problem.points[self.who[i] as usize] {
                let Seen::Value(y) = point.seen else { continue };
                let error = population.error(point.observable);
                let (centre, sd) = normal_scale(f.of(i)[point.at], &error);
                let z = (to_normal_scale(y, &error) - centre) / sd;
                if z.is_finite() {
                    squares[point.observable] += z * z;
                    seen[point.observable] += 1.0;
                }
            }
            if self.width() > 0 {
                let (_, covariance) = self.prior(i, population, &l);
                let p = self.width() as f64;
                taken += (p - covariance.trace()).clamp(0.0, p);
            }
        }
        let all: f64 = seen.iter().sum();
        let left = (1.0 - taken / all.max(1.0)).max(0.2);
        let mut errors = population.errors.clone();
        for (o, error) in errors.iter_mut().enumerate() {
            if self.problem.space.errors[o] && seen[o] > 0.0 {
                let ratio = (squares[o] / (seen[o] * left)).sqrt().clamp(0.2, 5.0);
                error.iter_mut().for_each(|part| *part *= ratio);
            }
        }
        errors
    }
}

pub(super) fn factors(populations: &[Population]) -> Vec<DMatrix<f64>> {
    let one = |population: &Population| factor(population.covariance());
    populations.iter().map(one).collect()
}

/// A damped Newton step of a patient's parameters towards his estimate.
pub(super) fn newton(
    phi: &mut [f64],
    slope: &[f64],
    covariance: &[f64],
    mu: &[f64],
    l: &DMatrix<f64>,
) {
    let p = phi.len();
    let apart = DVector::from_fn(p, |k, _| phi[k] - mu[k]);
    let solved = l.solve_lower_triangular(&apart);
    let Some(pull) = solved.and_then(|z| l.tr_solve_lower_triangular(&z)) else {
        return;
    };
    let force = DVector::from_fn(p, |k, _| slope[k] - pull[k]);
    let step = DMatrix::from_row_slice(p, p, covariance) * force * DAMPING;
    let length = l.solve_lower_triangular(&step).map_or(0.0, |z| z.norm());
    if length.is_finite() {
        let shorter = if length > LONGEST {
            LONGEST / length
        } else {
            1.0
        };
        let moves = phi.iter_mut().zip(step.iter());
        moves.for_each(|(phi, step)| *phi += shorter * step);
    }
}
