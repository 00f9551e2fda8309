//! Markov chains of individual parameters given the data: Metropolis and Hastings, all chains of
//! all patients in lockstep.
//!
//! Three kernels, as in Kuhn and Lavielle (2005): independent draws of the population, random walks
//! of all parameters together, and of one at a time. Step lengths adapt to an acceptance of 0.4
//! (Monolix's choice) while the fit explores, and stay fixed afterwards.

use nalgebra::{DMatrix, DVector};
use posology_cohort::philox::{draw, standard_normal, stream, uniform_open_closed};

use crate::engine::Predictions;
use crate::error::TwinError;
use crate::map::factor;
use crate::problem::Problem;
use crate::space::Population;

const WANTED: f64 = 0.4;
/// Steps of one iteration that have their own random numbers.
const STRIDE: u32 = 64;

/// A kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    /// A draw of the population.
    Prior,
    /// A random walk of all parameters, in the shape of the population.
    Joint,
    /// A random walk of one parameter.
    One(usize),
}

/// The chains.
#[derive(Clone, Debug)]
pub struct Chains {
    /// Patient and population of each chain.
    pub subjects: Vec<u32>,
    pub groups: Vec<usize>,
    /// `[chain][p]`
    pub phi: Vec<f64>,
    /// Log likelihood at phi.
    pub log: Vec<f64>,
    /// Predictions at phi.
    pub f: Predictions,
    /// `[chain][p + 1]`: step lengths of the single walks, then of the joint one.
    pub step: Vec<f64>,
}

/// What a population looks like to a proposal.
pub struct Shape {
    pub mu: DVector<f64>,
    pub factor: DMatrix<f64>,
    inverse: DMatrix<f64>,
}

impl Shape {
    pub fn new(population: &Population) -> Self {
        let factor = factor(population.covariance());
        let covariance = &factor * factor.transpose();
        let p = covariance.nrows();
        Self {
            mu: DVector::from_column_slice(&population.mu),
            inverse: covariance
                .try_inverse()
                .unwrap_or_else(|| DMatrix::identity(p, p)),
            factor,
        }
    }

    /// Log density of the population, but for a constant.
    pub fn log_prior(&self, phi: &[f64]) -> f64 {
        let eta = DVector::from_column_slice(phi) - &self.mu;
        -0.5 * eta.dot(&(&self.inverse * &eta))
    }
}

impl Chains {
    /// Chains at `phi`, `[chain][p]`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn new(
        problem: &Problem,
        subjects: Vec<u32>,
        groups: Vec<usize>,
        phi: Vec<f64>,
        populations: &[Population],
    ) -> Result<Self, TwinError> {
        let p = problem.space.random.len();
        let (f, log) = problem.likelihood(&subjects, populations, &groups, &phi)?;
        Ok(Self {
            step: vec![0.5; subjects.len() * (p + 1)],
            subjects,
            groups,
            phi,
            log,
            f,
        })
    }

    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Likelihoods under other fixed effects and errors.
    ///
    /// # Errors
    /// Those of the device.
    pub fn refresh(
        &mut self,
        problem: &Problem,
        populations: &[Population],
        moved: bool,
    ) -> Result<(), TwinError> {
        if moved {
            (self.f, self.log) =
                problem.likelihood(&self.subjects, populations, &self.groups, &self.phi)?;
            return Ok(());
        }
        for (c, log) in self.log.iter_mut().enumerate() {
            let population = &populations[self.groups[c]];
            *log = problem.log_likelihood(self.subjects[c], self.f.of(c), population);
        }
        Ok(())
    }

    /// One iteration of `moves`. `adapt`: how strongly step lengths follow the acceptance.
    ///
    /// # Errors
    /// Those of the device.
    pub fn sweep(
        &mut self,
        problem: &Problem,
        populations: &[Population],
        moves: &[Move],
        seed: u64,
        iteration: u32,
        adapt: f64,
    ) -> Result<(), TwinError> {
        let p = problem.space.random.len();
        let shapes: Vec<Shape> = populations.iter().map(Shape::new).collect();
        for (m, &kernel) in moves.iter().enumerate() {
            let step = iteration.wrapping_mul(STRIDE).wrapping_add(m as u32);
            let mut proposal = self.phi.clone();
            for c in 0..self.len() {
                let shape = &shapes[self.groups[c]];
                let own = &mut proposal[c * p..(c + 1) * p];
                let normal =
                    |k: usize| standard_normal(seed, c as u32, step, stream::CHAINS, k as u32);
                match kernel {
                    Move::Prior | Move::Joint => {
                        let z = DVector::from_fn(p, |k, _| normal(k));
                        let eta = &shape.factor * z;
                        for k in 0..p {
                            own[k] = match kernel {
                                Move::Prior => shape.mu[k] + eta[k],
                                _ => own[k] + self.step[c * (p + 1) + p] * eta[k],
                            };
                        }
                    }
                    Move::One(k) => {
                        let deviation = shape.factor.row(k).norm();
                        own[k] += self.step[c * (p + 1) + k] * deviation * normal(0);
                    }
                }
            }
            let (f, log) =
                problem.likelihood(&self.subjects, populations, &self.groups, &proposal)?;
            for c in 0..self.len() {
                let shape = &shapes[self.groups[c]];
                let (old, new) = (&self.phi[c * p..(c + 1) * p], &proposal[c * p..(c + 1) * p]);
                let mut ratio = log[c] - self.log[c];
                if kernel != Move::Prior {
                    ratio += shape.log_prior(new) - shape.log_prior(old);
                }
                let [word, ..] = draw(seed, c as u32, step, stream::CHAINS, p as u32);
                // a chain without a likelihood takes any proposal that has one
                let lost = self.log[c] == f64::NEG_INFINITY && log[c] > f64::NEG_INFINITY;
                let accepted = lost || uniform_open_closed(word).ln() < ratio;
                if accepted {
                    self.phi[c * p..(c + 1) * p].copy_from_slice(&proposal[c * p..(c + 1) * p]);
                    self.log[c] = log[c];
                    let range = self.f.offsets[c]..self.f.offsets[c + 1];
                    self.f.values[range].copy_from_slice(f.of(c));
                }
                let at = match kernel {
                    Move::Prior => continue,
                    Move::Joint => p,
                    Move::One(k) => k,
                };
                let hit = if accepted { 1.0 } else { 0.0 };
                let length = &mut self.step[c * (p + 1) + at];
                *length = (*length * (adapt * (hit - WANTED)).exp()).clamp(1e-3, 10.0);
            }
        }
        Ok(())
    }
}

/// The moves of one iteration: some from the population, some together, each parameter alone.
pub fn usual_moves(p: usize, prior: bool) -> Vec<Move> {
    let mut moves = Vec::new();
    if prior {
        moves.push(Move::Prior);
    }
    moves.push(Move::Joint);
    if p > 1 {
        moves.extend((0..p).map(Move::One));
    } else {
        moves.push(Move::Joint);
    }
    moves
}
