//! Observations, the engine that predicts them, and the space of what is estimated.

use posology_cohort::nmtran::{Observation, Observations, Replay, Seen};
use posology_kernels::device::Device;
use posology_model::Model;
use posology_model::model::{Observable, StepSchedule};
use posology_sim::Column;
use posology_sim::outputs::column;
use rayon::prelude::*;

use crate::drift::{Given, Known};
use crate::engine::{Engine, Predictions};
use crate::error::TwinError;
use crate::likelihood::{Term, term};
use crate::space::{Population, Space};

/// A data file as a fit sees it.
pub struct Problem {
    pub engine: Engine,
    pub space: Space,
    /// `[subject]`: what was seen, `at` counting the patient's records.
    pub points: Vec<Vec<Point>>,
}

/// One observation of a patient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Index among the patient's records.
    pub at: usize,
    pub observable: usize,
    pub time: f64,
    pub seen: Seen,
}

/// What a patient's earlier observations say of one, and it of the next.
pub(crate) struct Step {
    pub given: Given,
    /// The measured observation of the same observable before it.
    pub before: Option<usize>,
    /// Weight of this one in what is known after it; 0 where censored.
    pub gain: f64,
    pub known: Option<Known>,
}

/// Log likelihoods of jobs, with gradients.
pub struct Scored {
    pub predictions: Predictions,
    /// `[job]`
    pub log_likelihood: Vec<f64>,
    /// `[job][random, fixed]` with respect to phi and transformed fixed effects.
    pub gradient: Vec<f64>,
}

impl Problem {
    /// # Errors
    /// [`TwinError::Setting`] for observations without an error model, and those of [`Engine::new`].
    pub fn new(
        device: &Device,
        model: &Model,
        replay: &Replay,
        observations: &Observations,
        space: Space,
        schedule: Option<&StepSchedule>,
    ) -> Result<Self, TwinError> {
        for o in &observations.observations {
            let observable = &model.observables[o.observable];
            let error = observable.error.unwrap_or_default();
            if error.additive <= 0.0 && error.proportional <= 0.0 && error.lognormal <= 0.0 {
                return Err(TwinError::Setting {
                    what: format!("the observable `{}` has no residual error", observable.name),
                    remedy: "declare one in the model, such as error = { proportional = 0.2 }"
                        .into(),
                });
            }
        }
        let engine = Engine::new(device, model, replay, &space.slots(), schedule)?;
        let points = points(&observations.observations, &engine);
        Ok(Self {
            engine,
            space,
            points,
        })
    }

    /// Values of a job.
    pub fn width(&self) -> usize {
        self.engine.width()
    }

    /// The values of jobs with these phis, `[job][p]`.
    pub fn values(&self, populations: &[Population], groups: &[usize], phis: &[f64]) -> Vec<f64> {
        let p = self.space.random.len();
        let mut values = Vec::with_capacity(groups.len() * self.width());
        for (i, &g) in groups.iter().enumerate() {
            let own = &phis[i * p..(i + 1) * p];
            self.space.values(own, &populations[g].fixed, &mut values);
        }
        values
    }

    /// Log likelihood of a patient's observations around predictions of his records.
    pub fn log_likelihood(&self, subject: u32, f: &[f64], population: &Population) -> f64 {
        let mut sum = 0.0;
        self.walk(subject, f, population, |_, term, _| sum += term.log);
        if sum.is_nan() { f64::NEG_INFINITY } else { sum }
    }

    /// Go through a patient's observations in order.
    pub(crate) fn walk(
        &self,
        subject: u32,
        f: &[f64],
        population: &Population,
        mut each: impl FnMut(usize, Term, Step),
    ) {
        let points = &self.points[subject as usize];
        // last measured observation of each observable
        let mut last: Vec<Option<(usize, Known)>> = vec![None; population.errors.len()];
        for (k, point) in points.iter().enumerate() {
            let o = point.observable;
            let drift = population.drift(o);
            let given = drift.given(last[o].map(|(_, known)| known), point.time);
            let term = term(point.seen, f[point.at], &population.error(o), given);
            let before = last[o].map(|(at, _)| at);
            let mut step = Step {
                given,
                before,
                gain: 0.0,
                known: None,
            };
            // beyond a limit the error is not known, and what was known of it stays
            if !point.seen.censored() && !drift.is_none() {
                let (known, gain) = drift.after(given, term.z, point.time);
                (step.gain, step.known) = (gain, Some(known));
                last[o] = Some((k, known));
            }
            each(k, term, step);
        }
    }

    /// Log likelihoods alone, with the predictions they belong to.
    ///
    /// # Errors
    /// Those of the device.
    pub fn likelihood(
        &self,
        subjects: &[u32],
        populations: &[Population],
        groups: &[usize],
        phis: &[f64],
    ) -> Result<(Predictions, Vec<f64>), TwinError> {
        let values = self.values(populations, groups, phis);
        let predictions = self.engine.predict(subjects, &values)?;
        let logs = subjects
            .par_iter()
            .enumerate()
            .map(|(job, &s)| self.log_likelihood(s, predictions.of(job), &populations[groups[job]]))
            .collect();
        Ok((predictions, logs))
    }

    /// Log likelihoods of jobs and their gradients.
    ///
    /// # Errors
    /// Those of the device.
    pub fn score(
        &self,
        subjects: &[u32],
        populations: &[Population],
        groups: &[usize],
        phis: &[f64],
    ) -> Result<Scored, TwinError> {
        let values = self.values(populations, groups, phis);
        let mut logs = vec![0.0; subjects.len()];
        let (predictions, mut gradient) =
            self.engine.gradient(subjects, &values, |job, f, bar| {
                let points = &self.points[subjects[job] as usize];
                let mut sum = 0.0;
                let mut steps = Vec::with_capacity(points.len());
                let population = &populations[groups[job]];
                self.walk(subjects[job], f, population, |_, term, step| {
                    sum += term.log;
                    steps.push((term, step));
                });
                // back through the filter: adjoints of what was known after each observation
                let mut means = vec![0.0; points.len()];
                for (k, (term, step)) in steps.iter().enumerate().rev() {
                    bar[points[k].at] += term.slope + step.gain * means[k] * term.z_slope;
                    if let Some(before) = step.before {
                        let expected = term.by_shift + (1.0 - step.gain) * means[k];
                        means[before] += step.given.rho * expected;
                    }
                }
                logs[job] = if sum.is_nan() { f64::NEG_INFINITY } else { sum };
            })?;
        // to the scales of the space
        let (p, width) = (self.space.random.len(), self.width());
        for (job, row) in gradient.chunks_mut(width.max(1)).enumerate() {
            let fixed = &populations[groups[job]].fixed;
            let phi = phis[job * p..(job + 1) * p].iter().chain(fixed);
            let entries = self.space.random.iter().chain(&self.space.fixed);
            for ((g, entry), &phi) in row.iter_mut().zip(entries).zip(phi) {
                *g *= entry.scale.slope(phi);
            }
        }
        Ok(Scored {
            predictions,
            log_likelihood: logs,
            gradient,
        })
    }
}

/// Names, units and scales of a model's observables, in the order of their indices.
pub fn observables(model: &Model) -> Vec<Column> {
    let one = |o: &Observable| column(model, &o.name, &o.unit);
    model.observables.iter().map(one).collect()
}

/// Observations by patient. Records of a patient follow each other in the file, so the first record
/// of a patient is the number of records before him.
fn points(observations: &[Observation], engine: &Engine) -> Vec<Vec<Point>> {
    let mut first = vec![0];
    for s in 0..engine.subjects() {
        first.push(first[s] + engine.record_count(s));
    }
    let mut points = vec![Vec::new(); engine.subjects()];
    for o in observations {
        points[o.subject].push(Point {
            at: o.record - first[o.subject],
            observable: o.observable,
            time: o.time,
            seen: o.seen,
        });
    }
    points
}
