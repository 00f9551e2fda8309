//! Stochastic approximation expectation maximisation (Delyon, Lavielle and Moulines 1999; Kuhn and
//! Lavielle 2005), of many data sets in lockstep.
//!
//! Chains draw individual parameters given the data; sufficient statistics are averaged over
//! iterations with steps of one while the fit explores and of `1/k` afterwards; typical values,
//! covariances and residual errors follow from the statistics. Fixed effects without variability
//! take steps of the Fisher-preconditioned stochastic gradient (Baey et al. 2023), whose scores come
//! from the adjoint kernels.

use nalgebra::{DMatrix, DVector};
use posology_cohort::philox::{draw, stream, uniform_open_closed};

use super::chains::{Chains, usual_moves};
use crate::bits;
use crate::drift::Drift;
use crate::error::TwinError;
use crate::likelihood::imputed;
use crate::problem::Problem;
use crate::space::Population;

/// Length and randomness of a fit.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SaemOptions {
    /// Iterations with steps of one, then with decreasing steps.
    pub explore: usize,
    pub converge: usize,
    /// Chains per patient; at least so many that a data set has 50.
    pub chains: usize,
    pub seed: u64,
}

impl Default for SaemOptions {
    fn default() -> Self {
        Self {
            explore: 300,
            converge: 200,
            chains: 1,
            seed: 1,
        }
    }
}

/// Fewest chains of a data set.
const FEWEST_CHAINS: usize = 50;
/// First iterations, in which the population stays as it is while the chains forget their start.
const BURN_IN: usize = 5;
/// Variances and errors shrink by no more than this per iteration in the first half of exploring, so
/// that chains can cross.
const ANNEALING: f64 = 0.95;
/// Longest step of a fixed effect, on its scale.
const LONGEST_STEP: f64 = 0.3;
/// Exponent of the decreasing steps.
const DECAY: f64 = 1.0;

/// Everything that the next iteration needs: what a checkpoint holds.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SaemState {
    pub iteration: usize,
    pub populations: Vec<Population>,
    #[serde(with = "bits")]
    phi: Vec<f64>,
    #[serde(with = "bits")]
    step: Vec<f64>,
    /// `[group]` averaged statistics.
    statistics: Vec<Statistics>,
    /// `[iteration][group]`: what the convergence plot shows.
    pub trace: Vec<Vec<Population>>,
}

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Statistics {
    #[serde(with = "bits")]
    sum: Vec<f64>,
    #[serde(with = "bits")]
    squares: Vec<f64>,
    /// By observable: mean of squared residuals, or the two parts of a combined error.
    residual: Vec<Parts>,
    /// `[patient][q]`: averaged scores of the fixed effects.
    #[serde(with = "bits")]
    scores: Vec<f64>,
}

/// A fit of several data sets, each a group of patients of one problem.
pub struct Saem<'a> {
    problem: &'a Problem,
    options: SaemOptions,
    /// `[group]`: its patients.
    groups: Vec<Vec<u32>>,
    chains: Chains,
    /// Patients count as this many chains.
    copies: usize,
    pub state: SaemState,
}

impl<'a> Saem<'a> {
    /// Begin at `start`, one population per group of patients; or go on from a state.
    ///
    /// # Errors
    /// Those of the device; [`TwinError::Start`] for a patient without a finite likelihood.
    pub fn new(
        problem: &'a Problem,
        groups: Vec<Vec<u32>>,
        start: Vec<Population>,
        options: SaemOptions,
        resume: Option<SaemState>,
    ) -> Result<Self, TwinError> {
        // patients without an observation say nothing
        let groups: Vec<Vec<u32>> = groups
            .into_iter()
            .map(|of| {
                let seen = |&s: &u32| !problem.points[s as usize].is_empty();
                of.into_iter().filter(seen).collect()
            })
            .collect();
        let smallest = groups.iter().map(Vec::len).min().unwrap_or(1).max(1);
        let copies = options.chains.max(FEWEST_CHAINS.div_ceil(smallest)).max(1);
        let (mut subjects, mut group_of, mut phi) = (Vec::new(), Vec::new(), Vec::new());
        for (g, of) in groups.iter().enumerate() {
            for &subject in of {
                for _ in 0..copies {
                    subjects.push(subject);
                    group_of.push(g);
                    phi.extend(&start[g].mu);
                }
            }
        }
        let p = problem.space.random.len();
        let state = resume.unwrap_or_else(|| SaemState {
            iteration: 0,
            populations: start,
            phi: phi.clone(),
            step: vec![0.5; subjects.len() * (p + 1)],
            statistics: vec![Statistics::default(); groups.len()],
            trace: Vec::new(),
        });
        if state.phi.len() != phi.len() || state.populations.len() != groups.len() {
            return Err(TwinError::Setting {
                what: "the checkpoint belongs to other data or options".into(),
                remedy: "start again, with --overwrite".into(),
            });
        }
        let mut chains = Chains::new(
            problem,
            subjects,
            group_of,
            state.phi.clone(),
            &state.populations,
        )?;
        chains.step.clone_from(&state.step);
        Ok(Self {
            problem,
            options,
            groups,
            chains,
            copies,
            state,
        })
    }

    /// Iterations in all.
    pub fn total(&self) -> usize {
        self.options.explore + self.options.converge
    }

    pub fn done(&self) -> bool {
        self.state.iteration >= self.total()
    }

    /// One iteration.
    ///
    /// # Errors
    /// Those of the device; [`TwinError::Start`] where the chains of a patient find no likelihood.
    pub fn iterate(&mut self) -> Result<(), TwinError> {
        let k = self.state.iteration;
        let p = self.problem.space.random.len();
        let exploring = k < self.options.explore;
        let adapt = if exploring { 0.3 } else { 0.0 };
        if p > 0 {
            let moves = usual_moves(p, exploring || k.is_multiple_of(4));
            let populations = &self.state.populations;
            let seed = self.options.seed;
            self.chains
                .sweep(self.problem, populations, &moves, seed, k as u32, adapt)?;
        }
        if k == BURN_IN {
            self.refuse_lost()?;
        }
        if k >= BURN_IN || p == 0 {
            let weight = if exploring {
                1.0
            } else {
                ((k - self.options.explore + 1) as f64).powf(-DECAY)
            };
            let moved = self.fixed_effects(weight, exploring)?;
            self.statistics(weight, k);
            self.maximise(k);
            let populations = &self.state.populations;
            self.chains.refresh(self.problem, populations, moved)?;
        }
        self.state.trace.push(self.state.populations.clone());
        self.state.iteration += 1;
        self.state.phi.clone_from(&self.chains.phi);
        self.state.step.clone_from(&self.chains.step);
        Ok(())
    }

    fn refuse_lost(&self) -> Result<(), TwinError> {
        match self.chains.log.iter().position(|log| !log.is_finite()) {
            Some(c) => Err(TwinError::Start {
                patient: (self.chains.subjects[c] + 1).to_string(),
                why: "no draw of the population explains his data".into(),
            }),
            None => Ok(()),
        }
    }

    /// Chains of a group.
    fn chains_of(&self, g: usize) -> std::ops::Range<usize> {
        let first: usize = self.groups[..g]
            .iter()
            .map(|of| of.len() * self.copies)
            .sum();
        first..first + self.groups[g].len() * self.copies
    }

    fn statistics(&mut self, weight: f64, k: usize) {
        let p = self.problem.space.random.len();
        for g in 0..self.groups.len() {
            let range = self.chains_of(g);
            let n = range.len().max(1) as f64;
            let mut sum = vec![0.0; p];
            let mut squares = vec![0.0; p * p];
            for c in range.clone() {
                let phi = &self.chains.phi[c * p..(c + 1) * p];
                for i in 0..p {
                    sum[i] += phi[i] / n;
                    for j in 0..p {
                        squares[i * p + j] += phi[i] * phi[j] / n;
                    }
                }
            }
            let residual = self.residuals(g, range, k);
            let old = &mut self.state.statistics[g];
            if old.sum.is_empty() {
                (old.sum, old.squares, old.residual) = (sum, squares, residual);
                continue;
            }
            let blend = |old: &mut f64, new: f64| *old += weight * (new - *old);
            old.sum.iter_mut().zip(sum).for_each(|(o, n)| blend(o, n));
            let pairs = old.squares.iter_mut().zip(squares);
            pairs.for_each(|(o, n)| blend(o, n));
            for (old, new) in old.residual.iter_mut().zip(residual) {
                blend(&mut old.first, new.first);
                blend(&mut old.second, new.second);
                blend(&mut old.third, new.third);
            }
        }
    }

    /// By observable: the mean squared residual on the scale of a pure error, or the logarithms of
    /// both parts of a combined error that fit the residuals best.
    fn residuals(&self, g: usize, chains: std::ops::Range<usize>, k: usize) -> Vec<Parts> {
        let population = &self.state.populations[g];
        let mut all: Vec<Vec<Residual>> = vec![Vec::new(); population.errors.len()];
        for c in chains {
            let f = self.chains.f.of(c);
            let subject = self.chains.subjects[c];
            let points = &self.problem.points[subject as usize];
            self.problem.walk(subject, f, population, |i, term, step| {
                let point = &points[i];
                let error = population.error(point.observable);
                let draws = self.options.seed;
                let [word, ..] = draw(draws, c as u32, k as u32, stream::PREDICTIVE, i as u32);
                let u = uniform_open_closed(word);
                all[point.observable].push(Residual {
                    y: imputed(point.seen, f[point.at], &error, step.given, u),
                    f: f[point.at],
                    z: term.z,
                    time: point.time,
                    first: step.before.is_none(),
                    measured: !point.seen.censored(),
                });
            });
        }
        let one = |(o, (residuals, error)): (usize, (Vec<Residual>, &[f64; 3]))| {
            if residuals.is_empty() {
                return Parts::default();
            }
            let drift = population.drift(o);
            if !drift.is_none() {
                return correlated(&residuals, error, drift, self.problem.space.correlated[o]);
            }
            let n = residuals.len() as f64;
            let mean = |of: &dyn Fn(f64, f64) -> f64| {
                residuals.iter().map(|r| of(r.y, r.f)).sum::<f64>() / n
            };
            let (first, second) = match *error {
                [_, _, l] if l > 0.0 => (mean(&|y, f| (y.ln() - f.ln()).powi(2)), 0.0),
                [a, b, _] if a > 0.0 && b > 0.0 => combined(&residuals, a, b),
                [_, b, _] if b > 0.0 => (mean(&|y, f| ((y - f) / f).powi(2)), 0.0),
                _ => (mean(&|y, f| (y - f).powi(2)), 0.0),
            };
            Parts {
                first,
                second,
                third: 0.0,
            }
        };
        let each = all.into_iter().zip(&population.errors);
        each.enumerate().map(one).collect()
    }

    /// Populations that fit the statistics best.
    fn maximise(&mut self, k: usize) {
        let space = &self.problem.space;
        let p = space.random.len();
        let annealing = k < self.options.explore / 2;
        for (population, statistics) in self
            .state
            .populations
            .iter_mut()
            .zip(&self.state.statistics)
        {
            let before = population.clone();
            for i in 0..p {
                if !space.held[i] {
                    population.mu[i] = statistics.sum[i];
                }
            }
            for i in 0..p {
                for j in 0..p {
                    let (mi, mj) = (population.mu[i], population.mu[j]);
                    let (si, sj) = (statistics.sum[i], statistics.sum[j]);
                    let second = statistics.squares[i * p + j] - mi * sj - si * mj + mi * mj;
                    let at = i * p + j;
                    let held = space.held_omega[i] || space.held_omega[j];
                    if space.pattern[at] && !held {
                        population.omega[at] = second;
                    }
                }
            }
            for i in 0..p {
                let at = i * p + i;
                let floor = if annealing {
                    ANNEALING * before.omega[at]
                } else {
                    1e-8
                };
                if population.omega[at] < floor && !space.held_omega[i] {
                    // keep correlations when a variance is held up
                    let factor = (floor / population.omega[at].max(1e-12)).sqrt();
                    for j in 0..p {
                        population.omega[i * p + j] *= factor;
                        population.omega[j * p + i] *= factor;
                    }
                }
            }
            for (o, error) in population.errors.iter_mut().enumerate() {
                if !space.errors[o] || statistics.residual[o] == Parts::default() {
                    continue;
                }
                let Parts {
                    first,
                    second,
                    third,
                } = statistics.residual[o];
                let old = *error;
                if population.correlation[o] > 0.0 {
                    // the first statistic is the logarithm of the leading part
                    let factor = first.exp() / leading(&old);
                    let floor = if annealing { ANNEALING } else { 1e-3 };
                    error.iter_mut().for_each(|part| *part *= factor.max(floor));
                    if space.correlated[o] {
                        population.correlation[o] = second.exp();
                        population.white[o] = 1.0 / (1.0 + (-third).exp());
                    }
                    continue;
                }
                match old {
                    [_, _, l] if l > 0.0 => error[2] = first.sqrt(),
                    [a, b, _] if a > 0.0 && b > 0.0 => {
                        (error[0], error[1]) = (first.exp(), second.exp());
                    }
                    [_, b, _] if b > 0.0 => error[1] = first.sqrt(),
                    _ => error[0] = first.sqrt(),
                }
                for (new, old) in error.iter_mut().zip(old) {
                    let floor = if annealing {
                        ANNEALING * old
                    } else {
                        1e-8 * old
                    };
                    *new = new.max(floor);
                }
            }
        }
    }

    /// A step of the fixed effects of every group; whether there are any.
    fn fixed_effects(&mut self, weight: f64, exploring: bool) -> Result<bool, TwinError> {
        let (p, q) = (
            self.problem.space.random.len(),
            self.problem.space.fixed.len(),
        );
        if q == 0 {
            return Ok(false);
        }
        let chains = &self.chains;
        let scored = self.problem.score(
            &chains.subjects,
            &self.state.populations,
            &chains.groups,
            &chains.phi,
        )?;
        for g in 0..self.groups.len() {
            let range = self.chains_of(g);
            let keep = if exploring { 0.1 } else { weight.min(0.1) };
            let statistics = &mut self.state.statistics[g];
            let fresh = statistics.scores.is_empty();
            statistics.scores.resize(self.groups[g].len() * q, 0.0);
            let mut score = DVector::zeros(q);
            for i in 0..self.groups[g].len() {
                // the score of a patient is the mean over his chains
                let mut own = DVector::zeros(q);
                for c in range.start + i * self.copies..range.start + (i + 1) * self.copies {
                    for j in 0..q {
                        let s = scored.gradient[c * (p + q) + p + j] / self.copies as f64;
                        own[j] += if s.is_finite() { s } else { 0.0 };
                    }
                }
                score += &own;
                for j in 0..q {
                    let kept = &mut statistics.scores[i * q + j];
                    *kept += if fresh {
                        own[j]
                    } else {
                        keep * (own[j] - *kept)
                    };
                }
            }
            // averaged over draws, a patient's score is that of his observations, and the spread of
            // such scores is the information that the data have
            let n = self.groups[g].len();
            let kept = DMatrix::from_row_slice(n, q, &statistics.scores);
            let mean = kept.row_mean();
            let centred = DMatrix::from_fn(n, q, |i, j| kept[(i, j)] - mean[j]);
            let mut matrix = centred.transpose() * &centred;
            let ridge = 1e-6 * matrix.diagonal().max().max(1e-12);
            for j in 0..q {
                matrix[(j, j)] += ridge;
            }
            let Some(step) = matrix.cholesky().map(|c| c.solve(&score)) else {
                continue;
            };
            let longest = step.amax();
            let pace = if exploring { 0.5 } else { 0.5 * weight };
            let pace = pace.min(LONGEST_STEP / longest.max(1e-12));
            for j in 0..q {
                self.state.populations[g].fixed[j] += pace * step[j];
            }
        }
        Ok(true)
    }
}

/// The logarithms of the parts of a combined error that fit residuals best: Newton's method on
/// the likelihood, from the present parts.
fn combined(residuals: &[Residual], a: f64, b: f64) -> (f64, f64) {
    let value = |x: [f64; 2]| {
        let (a, b) = (x[0].exp(), x[1].exp());
        let one = |&Residual { y, f, .. }: &Residual| {
            let variance = a * a + (b * f).powi(2);
            0.5 * (y - f).powi(2) / variance + 0.5 * variance.ln()
        };
        residuals.iter().map(one).sum::<f64>()
    };
    let mut x = [a.ln(), b.ln()];
    for _ in 0..3 {
        // expected information of the two logarithms
        let (mut g, mut h) = ([0.0; 2], [[0.0; 2]; 2]);
        for &Residual { y, f, .. } in residuals {
            let parts = [x[0].exp().powi(2), (x[1].exp() * f).powi(2)];
            let variance = parts[0] + parts[1];
            for i in 0..2 {
                let share = parts[i] / variance;
                g[i] += share * (1.0 - (y - f).powi(2) / variance);
                for j in 0..2 {
                    h[i][j] += 2.0 * share * parts[j] / variance;
                }
            }
        }
        let ridge = 1e-6 * (h[0][0] + h[1][1]);
        let determinant = (h[0][0] + ridge) * (h[1][1] + ridge) - h[0][1] * h[1][0];
        let step = [
            ((h[1][1] + ridge) * g[0] - h[0][1] * g[1]) / determinant,
            ((h[0][0] + ridge) * g[1] - h[1][0] * g[0]) / determinant,
        ];
        let before = value(x);
        let mut length = 1.0;
        for _ in 0..6 {
            let trial = [
                x[0] - (length * step[0]).clamp(-1.0, 1.0),
                x[1] - (length * step[1]).clamp(-1.0, 1.0),
            ];
            if value(trial) <= before {
                x = trial;
                break;
            }
            length *= 0.5;
        }
    }
    (x[0], x[1])
}

/// What one chain shows of one observation.
#[derive(Clone, Copy)]
struct Residual {
    y: f64,
    f: f64,
    /// Error in standard deviations.
    z: f64,
    time: f64,
    /// Of its observable in this chain.
    first: bool,
    measured: bool,
}

/// The first part of an error that is not zero.
fn leading(error: &[f64; 3]) -> f64 {
    error
        .iter()
        .copied()
        .find(|&part| part > 0.0)
        .unwrap_or(1.0)
}

/// For correlated errors: the logarithm of the leading part that the mean squared innovation gives
/// (the others keep their ratio to it), the logarithm of the correlation time and the logit of the
/// independent share that fit the residuals best, searched around the present ones.
fn correlated(residuals: &[Residual], error: &[f64; 3], drift: Drift, search: bool) -> Parts {
    // mean squared innovation, and -2 log likelihood with it
    let profile = |drift: Drift| {
        let (mut sum, mut log, mut n) = (0.0, 0.0, 0.0);
        let mut known = None;
        for r in residuals {
            if r.first {
                known = None;
            }
            if !r.measured {
                continue;
            }
            let given = drift.given(known, r.time);
            sum += ((r.z - given.shift) / given.spread).powi(2);
            log += 2.0 * given.spread.ln();
            n += 1.0;
            known = Some(drift.after(given, r.z, r.time).0);
        }
        let mean: f64 = sum / f64::max(n, 1.0);
        (mean, n * mean.ln() + log)
    };
    let logit = |share: f64| (share / (1.0 - share)).ln();
    let start = (drift.time.ln(), logit(drift.white.clamp(1e-4, 0.999)));
    let mut best = (start, profile(drift));
    if search {
        for k in -3..=3i32 {
            for j in -2..=2i32 {
                let at = (start.0 + 0.15 * f64::from(k), start.1 + 0.3 * f64::from(j));
                let white = (1.0 / (1.0 + (-at.1).exp())).clamp(1e-4, 0.999);
                let found = profile(Drift {
                    time: at.0.exp(),
                    white,
                });
                if found.1 < best.1.1 {
                    best = ((at.0, logit(white)), found);
                }
            }
        }
    }
    Parts {
        first: leading(error).ln() + 0.5 * best.1.0.ln(),
        second: best.0.0,
        third: best.0.1,
    }
}

/// Numbers about the residuals of an observable.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Parts {
    #[serde(with = "bits::one")]
    first: f64,
    #[serde(with = "bits::one")]
    second: f64,
    #[serde(with = "bits::one")]
    third: f64,
}
