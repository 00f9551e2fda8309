//! Epochs of training, from the start or a checkpoint.

use nalgebra::{DMatrix, DVector};
use posology_cohort::philox::{draw, stream, uniform_closed_open};
use posology_model::correction::Network;

use super::individuals::{Group, factors};
use super::{EpochLoss, TrainOptions, Trained, choose};
use crate::bits;
use crate::error::TwinError;
use crate::problem::Problem;
use crate::space::Population;

/// Rounds of a patient's search: the first, and from where he was an epoch ago.
const FIRST_ROUNDS: usize = 40;
const ROUNDS: usize = 8;
/// Rounds of estimates and residual errors before the first step.
const SETTLE: usize = 3;
/// Fewest patients that train, that choose, and that judge.
const FEWEST: usize = 5;
const MOMENTA: [f64; 2] = [0.9, 0.99];
/// Share of a Newton step that a patient takes beside a step of the weights, and its longest length
/// in prior standard deviations.
const DAMPING: f64 = 0.7;
const LONGEST: f64 = 0.5;
/// Epochs in which the learning rate rises: Adam's first steps are as long as they may be, whatever
/// the gradient.
const WARM_UP: usize = 2;
/// Times that a rate is halved before training is given up.
const MOST_HALVINGS: i32 = 8;

/// Everything that the next epoch needs: what a checkpoint holds.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainState {
    pub options: TrainOptions,
    /// Weights are among its fixed effects.
    pub population: Population,
    /// `[patient][p]` of the patients that train, then of those that choose.
    #[serde(with = "bits")]
    pub(super) phi: Vec<f64>,
    #[serde(with = "bits")]
    first: Vec<f64>,
    #[serde(with = "bits")]
    second: Vec<f64>,
    /// Steps taken, and times that their length was halved.
    taken: i32,
    halvings: i32,
    pub losses: Vec<EpochLoss>,
    /// Epoch of the best held-out likelihood, and its population and individuals.
    pub best: usize,
    pub(super) best_population: Population,
    #[serde(with = "bits")]
    pub(super) best_phi: Vec<f64>,
    ended: bool,
}

/// Training of one correction.
pub struct Training<'a> {
    problem: &'a Problem,
    /// Where each weight is among the fixed effects, and how many make the output layer.
    places: Vec<usize>,
    output: usize,
    /// Patients by role.
    train: Vec<u32>,
    choose: Vec<u32>,
    judge: Vec<u32>,
    pub state: TrainState,
}

impl<'a> Training<'a> {
    /// Begin at `start`, or go on from a state.
    ///
    /// # Errors
    /// [`TwinError::Slot`] for a weight that is no fixed effect of the problem, [`TwinError::Setting`]
    /// for options that make no sense, too few patients, or a state of another run.
    pub fn new(
        problem: &'a Problem,
        network: &Network,
        start: Population,
        options: TrainOptions,
        resume: Option<TrainState>,
    ) -> Result<Self, TwinError> {
        check(&options)?;
        let place = |name: String| {
            let found = problem.space.fixed.iter().position(|e| e.name == name);
            found.ok_or(TwinError::Slot {
                name,
                why: "training needs every weight among the fixed effects of the problem".into(),
            })
        };
        let names = network.weight_names();
        let places = names
            .into_iter()
            .map(place)
            .collect::<Result<Vec<_>, _>>()?;
        let sizes = network.sizes();
        let last = sizes.len().saturating_sub(2);
        let output = (sizes.get(last).copied().unwrap_or(0) + 1) * network.outputs;
        let [train, choose, judge] = roles(problem, &options)?;
        let present = train.len() + choose.len();
        let phi: Vec<f64> = (0..present).flat_map(|_| start.mu.clone()).collect();
        let state = resume.unwrap_or_else(|| TrainState {
            options,
            best_population: start.clone(),
            population: start,
            best_phi: phi.clone(),
            phi: phi.clone(),
            first: vec![0.0; places.len()],
            second: vec![0.0; places.len()],
            taken: 0,
            halvings: 0,
            losses: Vec::new(),
            best: 0,
            ended: false,
        });
        let same = state.options == options
            && state.phi.len() == phi.len()
            && state.first.len() == places.len()
            && state.population.fixed.len() == problem.space.fixed.len();
        if !same {
            return Err(TwinError::Setting {
                what: "the checkpoint belongs to other data or options".into(),
                remedy: "start again, with --overwrite".into(),
            });
        }
        Ok(Self {
            problem,
            places,
            output,
            train,
            choose,
            judge,
            state,
        })
    }

    pub fn done(&self) -> bool {
        self.state.ended
    }

    /// One epoch: individuals, residual errors, losses, then steps of the weights unless training
    /// has ended.
    ///
    /// # Errors
    /// [`TwinError::Start`] for a patient whom nothing explains at the start,
    /// [`TwinError::Setting`] where weights leave the range of numbers, those of the device.
    pub fn epoch(&mut self) -> Result<(), TwinError> {
        let options = self.state.options;
        let n = self.train.len();
        let fresh = self.state.losses.is_empty();
        let who: Vec<u32> = self.train.iter().chain(&self.choose).copied().collect();
        let of = vec![0; who.len()];
        let mut group = Group::new(self.problem, who, of, self.state.phi.clone());
        let mut populations = [self.state.population.clone()];
        let mut f;
        let mut round = 0;
        loop {
            let rounds = if fresh { FIRST_ROUNDS } else { ROUNDS };
            group.estimate(&populations, rounds)?;
            f = group.predict(&populations)?;
            populations[0].errors = group.errors(&populations, 0, &f, |i| i < n);
            round += 1;
            if !fresh || round == SETTLE {
                break;
            }
        }
        let marginal = group.marginal(&populations, &f);
        if let Some(i) = marginal.iter().position(|log| !log.is_finite()) {
            if fresh {
                return Err(TwinError::Start {
                    patient: (group.who[i] + 1).to_string(),
                    why: "no draw of the population explains his data".into(),
                });
            }
            return self.retreat();
        }
        let mean = |of: &[f64]| -of.iter().sum::<f64>() / of.len() as f64;
        let loss = EpochLoss {
            train: mean(&marginal[..n]),
            held_out: mean(&marginal[n..]),
            errors: populations[0].errors.clone(),
        };
        let state = &mut self.state;
        state.phi.clone_from(&group.phi);
        [state.population] = populations;
        let epoch = state.losses.len();
        if fresh || loss.held_out < state.losses[state.best].held_out {
            state.best = epoch;
            state.best_population = state.population.clone();
            state.best_phi.clone_from(&state.phi);
        }
        state.losses.push(loss);
        if epoch >= options.epochs || epoch - state.best >= options.patience {
            state.ended = true;
            return Ok(());
        }
        self.steps(&group)
    }

    /// Weights from the best epoch on again, in smaller steps.
    fn retreat(&mut self) -> Result<(), TwinError> {
        let state = &mut self.state;
        state.halvings += 1;
        if state.halvings > MOST_HALVINGS {
            return Err(TwinError::Setting {
                what: "training left the range of numbers".into(),
                remedy: "a smaller learning rate, a larger ridge or a smaller scale of the \
                         correction may help"
                    .into(),
            });
        }
        state.population = state.best_population.clone();
        state.phi.clone_from(&state.best_phi);
        state.first.fill(0.0);
        state.second.fill(0.0);
        state.taken = 0;
        Ok(())
    }

    /// Steps of the weights, and of the individual parameters beside them.
    fn steps(&mut self, group: &Group<'_>) -> Result<(), TwinError> {
        let options = self.state.options;
        let (n, p) = (self.train.len(), self.problem.space.random.len());
        let width = self.problem.width();
        let mut populations = [self.state.population.clone()];
        let l = &factors(&populations)[0];
        let of = vec![0; n];
        let total = (options.epochs * options.steps).max(1) as f64;
        for step in 0..options.steps {
            let phi = &mut self.state.phi;
            let scored = self
                .problem
                .score(&self.train, &populations, &of, &phi[..n * p])?;
            let mut gradient: Vec<f64> = self
                .places
                .iter()
                .map(|&k| options.ridge * populations[0].fixed[k])
                .collect();
            for row in scored.gradient.chunks(width) {
                for (g, &k) in gradient.iter_mut().zip(&self.places) {
                    *g -= row[p + k];
                }
            }
            if !gradient.iter().all(|g| g.is_finite()) {
                return self.retreat();
            }
            for i in 0..n {
                let own = &mut phi[i * p..(i + 1) * p];
                let slope = &scored.gradient[i * width..i * width + p];
                let covariance = &group.covariance[i * p * p..(i + 1) * p * p];
                newton(own, slope, covariance, &populations[0].mu, l);
            }
            let done = (self.state.losses.len() - 1) * options.steps + step;
            let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done as f64 / total).cos());
            let warm = ((done + 1) as f64 / (WARM_UP * options.steps) as f64).min(1.0);
            let rate = options.learning_rate
                * warm
                * (0.01 + 0.99 * cosine)
                * 0.5f64.powi(self.state.halvings);
            self.state.taken += 1;
            let correct = MOMENTA.map(|m| 1.0 - m.powi(self.state.taken));
            for (w, (&k, &g)) in self.places.iter().zip(&gradient).enumerate() {
                let (first, second) = (&mut self.state.first[w], &mut self.state.second[w]);
                *first = MOMENTA[0] * *first + (1.0 - MOMENTA[0]) * g;
                *second = MOMENTA[1] * *second + (1.0 - MOMENTA[1]) * g * g;
                let size = (*second / correct[1]).sqrt() + 1e-8;
                populations[0].fixed[k] -= rate * *first / correct[0] / size;
            }
        }
        [self.state.population] = populations;
        Ok(())
    }

    /// What is kept of the best epoch's correction.
    ///
    /// # Errors
    /// Those of the device.
    pub fn finish(self) -> Result<Trained, TwinError> {
        let state = self.state;
        let outer = &self.places[self.places.len().saturating_sub(self.output)..];
        let roles = [&self.train, &self.choose, &self.judge].map(Vec::as_slice);
        let (shares, improvement, population) = choose::choose(
            self.problem,
            outer,
            roles,
            &state.best_population,
            &state.best_phi,
            state.options.least_gain,
        )?;
        let (alpha, population) = population;
        Ok(Trained {
            weights: self.places.iter().map(|&k| population.fixed[k]).collect(),
            alpha,
            population,
            losses: state.losses,
            best: state.best,
            shares,
            improvement,
        })
    }
}

/// A damped Newton step of a patient's parameters towards his estimate.
fn newton(phi: &mut [f64], slope: &[f64], covariance: &[f64], mu: &[f64], l: &DMatrix<f64>) {
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

fn check(options: &TrainOptions) -> Result<(), TwinError> {
    let wrong = |what: &str, remedy: &str| {
        Err(TwinError::Setting {
            what: what.into(),
            remedy: remedy.into(),
        })
    };
    if options.epochs == 0 || options.steps == 0 {
        return wrong("no step is asked for", "set epochs and steps above 0");
    }
    if !(options.learning_rate > 0.0 && options.learning_rate.is_finite()) {
        return wrong("the learning rate is not positive", "0.03 is usual");
    }
    if !(options.ridge >= 0.0 && options.ridge.is_finite()) {
        return wrong("the ridge is negative", "0.1 is usual, 0 for none");
    }
    if options.least_gain.is_nan() || options.least_gain < 0.0 {
        return wrong("the least gain is negative", "0.01 is usual, 0 for any");
    }
    if !(options.held_out > 0.0 && options.held_out < 1.0) {
        return wrong("the held-out share is not between 0 and 1", "0.3 is usual");
    }
    Ok(())
}

/// Who trains, who chooses, who judges; each in the order of the file.
fn roles(problem: &Problem, options: &TrainOptions) -> Result<[Vec<u32>; 3], TwinError> {
    let all = 0..problem.engine.subjects() as u32;
    let mut all: Vec<(f64, u32)> = all
        .filter(|&s| !problem.points[s as usize].is_empty())
        .map(|s| {
            let [word, ..] = draw(options.seed, s, 1 << 17, stream::STARTS, 0);
            (uniform_closed_open(word), s)
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let half = (0.5 * options.held_out * all.len() as f64).round() as usize;
    let of = |range: std::ops::Range<usize>| {
        let part = all.get(range).unwrap_or_default();
        let mut who: Vec<u32> = part.iter().map(|&(_, s)| s).collect();
        who.sort_unstable();
        who
    };
    let roles = [of(2 * half..all.len()), of(0..half), of(half..2 * half)];
    if roles.iter().any(|role| role.len() < FEWEST) {
        return Err(TwinError::Setting {
            what: format!(
                "{} patients with observations are too few to train, choose and judge by at least \
                 {FEWEST} each",
                all.len()
            ),
            remedy: "give more patients, or another held-out share".into(),
        });
    }
    Ok(roles)
}
