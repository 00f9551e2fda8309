//! Who a patient may be, by the first decisions of his course.
//!
//! Virtual patients of the population take the doses that he took; each counts with the likelihood
//! of his measurements if that one were he (importance weights). There is no noise inside a model,
//! so given the parameters measurements are independent. A virtual patient's course is put
//! together from his own states and the real patient's history: measurements, memory and actions
//! are the real one's, so that shields and doses are, too. Covariates are known and taken over;
//! parameters are drawn independently of them. Whose course would have ended is out.

use posology_cohort::Cohort;
use posology_cohort::philox::{draw, uniform_closed_open};
use posology_kernels::device::Device;
use serde::Serialize;

use super::compare::lanes;
use super::likelihood::ErrorModel;
use crate::environment::Environment;
use crate::error::AgentError;
use crate::play::Policy;
use crate::policy::act::{Actor, Draw};
use crate::rollout::{Buffer, Rollout};
use crate::task::Task;

/// Lanes of one batch of virtual patients.
const LANES: usize = 16_384;
/// Philox stream of resampling; the counter is the number of the sample.
const STREAM: u32 = 69;

/// The beginning of one patient's course: all that may be used of him.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// `[factor][decision]` as the policy gave them.
    pub actions: Vec<Vec<f32>>,
    /// `[0..=decisions][measurement]` what was measured, if it was.
    pub measured: Vec<Vec<Option<f64>>>,
    /// `[0..=decisions]` values of [`Task::history_slots`].
    kept: Vec<Vec<f32>>,
    /// Covariates, coherent.
    covariates: Vec<f64>,
}

impl History {
    /// Decisions made.
    pub fn decisions(&self) -> usize {
        self.kept.len().saturating_sub(1)
    }

    /// `[factor][decision][lane]`, the same in every lane.
    pub fn plan(&self, lanes: usize) -> Vec<f32> {
        let all = self.actions.iter().flatten();
        all.flat_map(|&action| std::iter::repeat_n(action, lanes))
            .collect()
    }
}

/// Treats a patient for some decisions and notes what can be known.
///
/// # Errors
/// [`AgentError::Option`] where his course ends before; the device.
pub fn observe(
    device: &Device,
    task: &Task,
    patient: &Cohort,
    number: u32,
    policy: &Policy,
    seed: u64,
    decisions: usize,
) -> Result<History, AgentError> {
    let mut patients = lanes(device, task, patient, seed, number)?;
    let actor = Actor::new(device, &policy.shape, 1);
    let rollout = Rollout::new(device, &task.spec, 1, 1, actor.core().rows);
    let parameters = task.model.parameters.len();
    let mut history = History {
        actions: vec![Vec::new(); task.spec.actions.len()],
        covariates: patient.patient(0).split_off(parameters),
        ..History::default()
    };
    let slots = task.history_slots();
    let measurements = task.measurements();
    patients.reset(seed, number, &rollout)?;
    for decision in 0..=decisions {
        let now = patients.slots()?;
        history.kept.push(slots.iter().map(|&s| now[s]).collect());
        let seen = measurements.iter().map(|m| {
            let fresh = m.fresh.is_none_or(|slot| now[slot] != 0.0);
            fresh.then(|| f64::from(now[m.slot]))
        });
        history.measured.push(seen.collect());
        if decision == decisions {
            break;
        }
        let draw = Draw {
            seed,
            first: number,
            step: decision as u32,
            deterministic: policy.deterministic,
        };
        actor.act(&policy.parameters, &rollout, 0, draw);
        patients.step(&rollout, 0)?;
        let chosen = rollout.action.floats(&device.client)?;
        for (row, action) in history.actions.iter_mut().zip(chosen) {
            row.push(action);
        }
        let flags = rollout.flags.words(&device.client)?;
        if flags.first().is_none_or(|&flag| flag != 0) {
            return Err(AgentError::Option {
                key: "cycles".to_owned(),
                value: decisions.to_string(),
                cause: format!("the patient's course ends with decision {}", decision + 1),
            });
        }
        rollout.carry(device);
    }
    Ok(history)
}

/// How the posterior is made.
#[derive(Clone, Debug, PartialEq)]
pub struct PosteriorOptions {
    /// Virtual patients that are drawn.
    pub drawn: usize,
    pub seed: u64,
    /// Id of the first of them.
    pub first_id: u32,
    /// Standard deviation, as a share of the value, within which exact measurements count.
    pub tolerance: f64,
    /// Smallest effective number of patients.
    pub least: f64,
}

impl Default for PosteriorOptions {
    fn default() -> Self {
        Self {
            drawn: 65_536,
            seed: 1,
            first_id: 0,
            tolerance: 0.02,
            least: 30.0,
        }
    }
}

/// Virtual patients and how much each is like the real one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posterior {
    /// With the real patient's covariates.
    pub cohort: Cohort,
    /// They sum to one.
    pub weights: Vec<f64>,
    /// `1 / sum of squared weights` (Kong 1992).
    pub effective: f64,
}

/// What is believed of a parameter before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Belief {
    pub name: String,
    pub unit: String,
    pub prior_mean: f64,
    pub prior_sd: f64,
    pub mean: f64,
    pub sd: f64,
    /// The simulated patient's own.
    pub truth: f64,
}

/// Draws virtual patients and weighs them by a history.
///
/// # Errors
/// [`AgentError::Unlike`] where too few effectively fit; findings about the population; the device.
pub fn posterior(
    device: &Device,
    task: &Task,
    history: &History,
    options: &PosteriorOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<Posterior, AgentError> {
    let mut cohort = task.patients(device, options.drawn, options.seed, options.first_id)?;
    let parameters = task.model.parameters.len();
    let n = cohort.len();
    for (row, value) in cohort.slots[parameters..]
        .iter_mut()
        .zip(&history.covariates)
    {
        row.fill(*value);
    }
    let exact = task.measured_exactly();
    let mut logs = Vec::with_capacity(n);
    for first in (0..n).step_by(LANES) {
        progress(first, n);
        let who: Vec<usize> = (first..n.min(first + LANES)).collect();
        let part = cohort.select(&who);
        let mut more = log_likelihoods(device, &exact, task, &part, history, options)?;
        for (log, patient) in more.iter_mut().zip(0..) {
            // with other covariates he may not be one of the task's patients any more
            if !task.takes(&part.patient(patient)) {
                *log = f64::NEG_INFINITY;
            }
        }
        logs.extend(more);
    }
    let (weights, effective) = normalised(&logs);
    if effective < options.least {
        return Err(AgentError::Unlike {
            drawn: n,
            effective,
            decisions: history.decisions(),
            wanted: options.least,
        });
    }
    Ok(Posterior {
        cohort,
        weights,
        effective,
    })
}

fn log_likelihoods(
    device: &Device,
    exact: &Task,
    task: &Task,
    cohort: &Cohort,
    history: &History,
    options: &PosteriorOptions,
) -> Result<Vec<f64>, AgentError> {
    let n = cohort.len();
    let measurements = task.measurements();
    let errors: Vec<ErrorModel> = measurements
        .iter()
        .map(|m| ErrorModel::of(m, options.tolerance))
        .collect();
    let slots = task.history_slots();
    let mut patients = lanes(device, exact, cohort, options.seed, options.first_id)?;
    let mut rollout = Rollout::new(device, &task.spec, 1, n, 0);
    patients.reset(options.seed, options.first_id, &rollout)?;
    let mut logs = vec![0.0; n];
    for decision in 0..=history.decisions() {
        let now = patients.slots()?;
        let seen = measurements.iter().zip(&errors);
        for ((m, error), measured) in seen.zip(&history.measured[decision]) {
            let Some(measured) = measured else { continue };
            let row = &now[m.slot * n..(m.slot + 1) * n];
            for (log, truth) in logs.iter_mut().zip(row) {
                *log += error.log_likelihood(*measured, f64::from(*truth));
            }
        }
        if decision == history.decisions() {
            break;
        }
        patients.put(&slots, &history.kept[decision])?;
        let chosen = history.actions.iter().map(|row| row[decision].to_bits());
        let words: Vec<u32> = chosen.flat_map(|w| std::iter::repeat_n(w, n)).collect();
        rollout.action = Buffer::from_words(&device.client, &words, history.actions.len(), n);
        patients.step(&rollout, 0)?;
        let flags = rollout.flags.words(&device.client)?;
        for (log, flag) in logs.iter_mut().zip(flags) {
            if flag != 0 {
                *log = f64::NEG_INFINITY;
            }
        }
        rollout.carry(device);
    }
    Ok(logs)
}

/// Weights that sum to one, and their effective number; none where nothing is possible.
fn normalised(logs: &[f64]) -> (Vec<f64>, f64) {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return (vec![0.0; logs.len()], 0.0);
    }
    let mut weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    (weights, 1.0 / squares)
}

impl Posterior {
    /// So many patients drawn by their weights, as evenly as can be (systematic resampling,
    /// Kitagawa 1996); `number` tells samples apart.
    pub fn sample(&self, size: usize, seed: u64, number: u32) -> Cohort {
        let offset = uniform_closed_open(draw(seed, number, 0, STREAM, 0)[0]);
        let mut chosen = Vec::with_capacity(size);
        let (mut sum, mut at) = (0.0, 0);
        for k in 0..size {
            let place = (k as f64 + offset) / size as f64;
            while at + 1 < self.weights.len() && sum + self.weights[at] <= place {
                sum += self.weights[at];
                at += 1;
            }
            chosen.push(at);
        }
        // the last weights may be nothing at all
        let likely = self.weights.iter().rposition(|&w| w > 0.0).unwrap_or(0);
        chosen.iter_mut().for_each(|at| *at = (*at).min(likely));
        self.cohort.select(&chosen)
    }

    /// Of every parameter that differs between patients.
    pub fn beliefs(&self, task: &Task, truth: &Cohort) -> Vec<Belief> {
        let n = self.weights.len().max(1) as f64;
        let parameters = task.model.parameters.iter().zip(&self.cohort.slots);
        let beliefs = parameters
            .enumerate()
            .filter_map(|(slot, (parameter, row))| {
                let first = row.first()?;
                if row.iter().all(|value| value == first) {
                    return None;
                }
                let scale = task.model.units.scale(&parameter.unit);
                let moments = |weight: &dyn Fn(usize) -> f64| {
                    let mean: f64 = row.iter().enumerate().map(|(i, v)| weight(i) * v).sum();
                    let square = row
                        .iter()
                        .enumerate()
                        .map(|(i, v)| weight(i) * (v - mean).powi(2));
                    (mean / scale, square.sum::<f64>().sqrt() / scale)
                };
                let (prior_mean, prior_sd) = moments(&|_| 1.0 / n);
                let (mean, sd) = moments(&|i| self.weights[i]);
                Some(Belief {
                    name: parameter.name.clone(),
                    unit: parameter.unit.text().to_owned(),
                    prior_mean,
                    prior_sd,
                    mean,
                    sd,
                    truth: truth.slots[slot].first().map_or(f64::NAN, |v| v / scale),
                })
            });
        beliefs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_of_likelihoods() {
        let (weights, effective) = normalised(&[-1000.0, -1000.0 - 3f64.ln(), f64::NEG_INFINITY]);
        assert!(
            (weights[0] - 0.75).abs() < 1e-12 && weights[2] == 0.0,
            "{weights:?}"
        );
        assert!((effective - 1.0 / (0.5625 + 0.0625)).abs() < 1e-9);
        assert_eq!(normalised(&[f64::NEG_INFINITY]).1, 0.0);
    }

    /// A patient is drawn as often as his weight says, to within one.
    #[test]
    fn samples_follow_the_weights() {
        let weights = vec![0.125, 0.0, 0.5, 0.25, 0.125, 0.0];
        let posterior = Posterior {
            cohort: Cohort {
                ids: (0..6).collect(),
                ..Cohort::default()
            },
            weights: weights.clone(),
            effective: 1.0,
        };
        for seed in 0..20 {
            let drawn = posterior.sample(16, seed, 3).ids;
            assert_eq!(drawn.len(), 16);
            for (id, weight) in (0..).zip(&weights) {
                let count = drawn.iter().filter(|&&of| of == id).count() as f64;
                assert!((count - 16.0 * weight).abs() <= 1.0, "{id}: {drawn:?}");
                assert!(*weight > 0.0 || count == 0.0);
            }
        }
    }
}
