//! A patient's course under a rule, until it ends.

use posology_cohort::Cohort;
use posology_cohort::philox::standard_normal;
use posology_model::Model;
use rayon::prelude::*;

use super::host::{HostModel, Walk, Watched};
use super::rules::{Rule, Seen};
use super::threshold::{Gains, Trial};
use crate::error::AgentError;

/// Stream of the measurement errors of baselines, apart from those of the environments.
const STREAM: u32 = 64;

/// What a course is: which covariate is decided, what is measured, what ends it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Setting {
    /// Covariate that a decision sets, 0..1 of `largest`.
    pub action: String,
    /// In the covariate's unit.
    pub largest: f64,
    /// What is measured, an expression without unit, relative to the start.
    pub measured: String,
    /// Condition that ends the course; it counts at the first step at which it holds.
    pub ends: String,
    /// Time between decisions, such as `7 d`.
    pub every: String,
    /// Longest course, rounded up to whole decision intervals.
    pub horizon: String,
    /// Measurement error as a share of the value.
    pub error: f64,
    pub seed: u64,
}

/// How a course went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Time at which it ended, in the model's time unit; the horizon, if nothing ended it.
    pub time: f64,
    pub ended: bool,
    /// Time integral of the dose, as a share of the largest.
    pub treated: f64,
}

/// Courses of a cohort, simulated on the host in f64.
#[derive(Clone, Debug)]
pub struct HostCourses {
    host: HostModel,
    action: usize,
    largest: f64,
    every: f64,
    horizon: f64,
    /// Steps of a decision interval.
    steps: u32,
    error: f64,
    seed: u64,
    cohort: Cohort,
}

impl HostCourses {
    /// # Errors
    /// Findings about the expressions, unknown covariates, an interval longer than the horizon.
    pub fn new(model: Model, cohort: Cohort, setting: &Setting) -> Result<Self, AgentError> {
        let watched = [
            Watched::Value(&setting.measured, "1"),
            Watched::Condition(&setting.ends),
        ];
        let host = HostModel::new(model, &watched)?;
        let action = host.slot(&setting.action)?;
        let every = host.duration(&setting.every)?;
        let longest = host.duration(&setting.horizon)?;
        let horizon = every * (longest / every - 1e-9).ceil();
        if !(every > 0.0 && longest >= every && setting.error >= 0.0) {
            return Err(AgentError::Option {
                key: "every, horizon, error".to_owned(),
                value: format!("{}, {}, {}", setting.every, setting.horizon, setting.error),
                cause: "the interval must be positive and not above the horizon, the error not negative"
                    .to_owned(),
            });
        }
        let steps = (every / host.model.step.at(0.0) - 1e-9).ceil().max(1.0) as u32;
        Ok(Self {
            largest: setting.largest * host.slot_scale(action),
            action,
            every,
            horizon,
            steps,
            error: setting.error,
            seed: setting.seed,
            cohort,
            host,
        })
    }

    /// The same with another number of steps in a decision interval: fewer are faster.
    #[must_use]
    pub fn with_steps(mut self, steps: u32) -> Self {
        self.steps = steps.max(1);
        self
    }

    /// Whose courses these are.
    pub fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// Steps of a decision interval.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// One patient under a rule; `replicate` numbers his measurement errors.
    pub fn course(&self, patient: usize, rule: &Rule, replicate: u32) -> Outcome {
        let slots = self.cohort.patient(patient);
        let mut walk = self.host.start(&slots);
        let mut running = rule.begin();
        let mut outcome = Outcome::default();
        let decisions = (self.horizon / self.every - 1e-9).ceil().max(1.0) as usize;
        for decision in 0..decisions {
            if walk.watched(1) > 0.0 {
                outcome.ended = true;
                break;
            }
            let seen = Seen {
                decision,
                measured: self.measure(&walk, patient, decision, replicate),
                toxicity: 0.0,
            };
            let dose = running.decide(seen);
            walk.set(self.action, dose * self.largest);
            let begin = walk.time;
            let end = (self.every * (decision + 1) as f64).min(self.horizon);
            for step in 1..=self.steps {
                walk.step(if step == self.steps {
                    end
                } else {
                    begin + (end - begin) * f64::from(step) / f64::from(self.steps)
                });
                if walk.watched(1) > 0.0 {
                    outcome.ended = true;
                    break;
                }
            }
            outcome.treated += dose * (walk.time - begin);
            if outcome.ended {
                break;
            }
        }
        outcome.time = walk.time;
        outcome
    }

    fn measure(&self, walk: &Walk<'_>, patient: usize, decision: usize, replicate: u32) -> f64 {
        let value = walk.watched(0);
        if self.error == 0.0 {
            return value;
        }
        let id = self.cohort.ids[patient];
        let error = standard_normal(self.seed, id, decision as u32, STREAM, replicate);
        (value * (1.0 + self.error * error)).max(0.0)
    }

    /// Every patient under one rule.
    pub fn all(&self, rule: &Rule, replicate: u32) -> Vec<Outcome> {
        let patients = (0..self.cohort.len()).into_par_iter();
        patients
            .map(|patient| self.course(patient, rule, replicate))
            .collect()
    }
}

impl Gains for HostCourses {
    fn patients(&self) -> usize {
        self.cohort.len()
    }

    fn gains(&self, trials: &[Trial]) -> Result<Vec<f64>, AgentError> {
        let gain = |trial: &Trial| {
            let rule = Rule::Threshold(trial.level);
            self.course(trial.patient, &rule, trial.replicate).time
        };
        Ok(trials.par_iter().map(gain).collect())
    }
}
