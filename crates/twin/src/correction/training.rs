//! Epochs of training, from the start or a checkpoint.

use posology_model::correction::Network;

use super::individuals::{Group, factors, newton};
use super::roles::{check, roles};
use super::{EpochLoss, Optimiser, TrainOptions, Trained, choose};
use crate::bits;
use crate::error::TwinError;
use crate::problem::Problem;
use crate::space::Population;

/// Rounds of a patient's search: the first, and from where he was an epoch ago.
const FIRST_ROUNDS: usize = 40;
const ROUNDS: usize = 8;
/// Rounds of estimates and residual errors before the first step.
const SETTLE: usize = 3;
const MOMENTA: [f64; 2] = [0.9, 0.99];
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
    pub(super) problem: &'a Problem,
    /// Where each weight is among the fixed effects, and how many make the output layer.
    pub(super) places: Vec<usize>,
    output: usize,
    /// Patients by role.
    pub(super) train: Vec<u32>,
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
        match options.optimiser {
            Optimiser::Adam => self.steps(&group),
            Optimiser::Lbfgs => {
                if self.descend(&group)? {
                    Ok(())
                } else {
                    self.retreat()
                }
            }
        }
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
            for i in (0..n).filter(|_| p > 0) {
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
