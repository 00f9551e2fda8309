//! What a policy is worth on patients it has never met.

use posology_cohort::philox;
use posology_kernels::device::Device;
use rayon::prelude::*;
use serde::Serialize;

use super::container::Container;
use super::learner::network_shape;
use super::problem::{Problem, Who};
use super::snapshot::{configuration, section};
use crate::baseline::exact::deterministic;
use crate::baseline::tabular::{Worth, greedy, network_policy, worth};
use crate::environment::{AutoReset, Environment, HELD_OUT};
use crate::error::AgentError;
use crate::policy::act::{Actor, Draw};
use crate::ppo::risk::conditional_value_at_risk;
use crate::rollout::{Buffer, DIVERGED, RESET, Rollout, TERMINATED};
use crate::spec::{CostSpec, Spec};

/// Lanes of one batch, a power of two, so that it divides the number of the first patient.
const LANES: usize = 4096;
/// Decisions between two transfers.
const CHUNK: usize = 64;
/// Philox stream of bootstrap resamples.
pub(crate) const BOOTSTRAP: u32 = 66;

/// Whom a policy treats, and how it decides.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluateOptions {
    pub patients: usize,
    /// Number of the first patient.
    pub first: u32,
    /// Seed of patients, noise and actions.
    pub seed: u64,
    /// The most probable action instead of a drawn one.
    pub deterministic: bool,
    /// Resamples of the intervals.
    pub resamples: usize,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            patients: 1000,
            first: HELD_OUT,
            seed: 1,
            deterministic: true,
            resamples: 1000,
        }
    }
}

/// One patient's course.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PatientCourse {
    pub patient: u32,
    pub total: f64,
    pub terms: Vec<f64>,
    pub costs: Vec<f64>,
    pub decisions: u32,
    pub terminated: bool,
    pub diverged: bool,
}

/// A number and its bootstrap 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// One constraint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CostEvaluation {
    pub name: String,
    pub limit: f64,
    /// Tail share; absent where the mean is limited.
    pub cvar: Option<f64>,
    pub mean: Estimate,
    /// What the limit is about.
    pub risk: f64,
    /// Upper 95 % bound of it (one-sided).
    pub risk_upper: f64,
    /// Whether that bound is within the limit.
    pub kept: bool,
}

/// Means over the patients still under treatment at a decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Patients.
    pub patients: Vec<u32>,
    pub reward: Vec<f64>,
    /// `[cost][decision]`
    pub costs: Vec<Vec<f64>>,
    /// `[factor][decision]`: the action in its own unit (levels by value).
    pub actions: Vec<Vec<f64>>,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evaluation {
    pub task: String,
    pub update: u64,
    pub patients: usize,
    pub first_patient: u32,
    pub deterministic: bool,
    #[serde(rename = "return")]
    pub total: Estimate,
    pub return_median: f64,
    /// Means of the reward's terms, unweighted.
    pub terms: Vec<(String, f64)>,
    pub costs: Vec<CostEvaluation>,
    pub decisions: Estimate,
    /// Share that ended in a terminal state.
    pub terminated: f64,
    pub diverged: f64,
    pub curve: Curve,
    /// Exact values of a policy without memory in a tabular process: as it draws, and greedy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exact: Vec<Worth>,
    #[serde(skip)]
    pub courses: Vec<PatientCourse>,
}

/// Treat fresh patients with a checkpoint's policy.
///
/// # Errors
/// A checkpoint that does not fit its task, the device.
pub fn evaluate(
    device: &Device,
    container: &Container,
    path: &str,
    problem: &Problem,
    options: &EvaluateOptions,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Evaluation, AgentError> {
    let config = configuration(container, path)?;
    let lanes = options.patients.next_power_of_two().min(LANES);
    let mut courses = Vec::with_capacity(options.patients);
    let mut curve = Sums::default();
    let mut spec = Spec::default();
    let mut exact = Vec::new();
    let mut done = 0;
    while done < options.patients {
        let first = options.first.wrapping_add(done as u32);
        let who = Who {
            lanes,
            reset: AutoReset::Disabled,
            seed: options.seed,
            first_id: first,
            pool: Some(lanes),
            learning: false,
            staggered: false,
            horizon: None,
        };
        let mut environment = problem.environment(device, &who)?;
        spec = environment.spec().clone();
        let shape = network_shape(&config, &spec)?;
        let words = container.words(section::PARAMETERS);
        let words = words.filter(|words| words.len() == shape.offsets().total);
        let words = words.ok_or_else(|| AgentError::Checkpoint {
            path: path.to_owned(),
            cause: "its parameters do not fit its task".to_owned(),
        })?;
        let parameters = Buffer::from_words(&device.client, &words, 1, words.len());
        if let (true, false, Some(process)) = (done == 0, shape.recurrent, problem.tabular()) {
            let drawn = network_policy(device, process, &shape, &parameters)?;
            exact.push(worth(process, "drawn", &drawn)?);
            let greedy = deterministic(process, &greedy(process, &drawn));
            exact.push(worth(process, "most probable", &greedy)?);
        }
        let actor = Actor::new(device, &shape, lanes);
        let kept = lanes.min(options.patients - done);
        let more = treat(
            device,
            environment.as_mut(),
            &actor,
            &parameters,
            options,
            first,
            kept,
            &mut curve,
        )?;
        courses.extend(more);
        done += kept;
        if !progress(done) {
            break;
        }
    }
    let update = container.about["update"].as_u64().unwrap_or_default();
    let mut found = summarise(problem, &spec, update, options, courses, curve);
    found.exact = exact;
    Ok(found)
}

/// One episode of every lane; the first `kept` lanes count.
#[allow(clippy::too_many_arguments)]
pub(super) fn treat(
    device: &Device,
    environment: &mut dyn Environment,
    actor: &Actor,
    parameters: &Buffer,
    options: &EvaluateOptions,
    first: u32,
    kept: usize,
    curve: &mut Sums,
) -> Result<Vec<PatientCourse>, AgentError> {
    let spec = environment.spec().clone();
    let (lanes, horizon) = (environment.lanes(), spec.horizon.max(1));
    let chunk = CHUNK.min(horizon);
    let rollout = Rollout::new(device, &spec, chunk, lanes, actor.core().rows);
    let mut courses: Vec<PatientCourse> = (0..kept)
        .map(|lane| PatientCourse {
            patient: first.wrapping_add(lane as u32),
            terms: vec![0.0; spec.rewards.len()],
            costs: vec![0.0; spec.costs.len()],
            ..PatientCourse::default()
        })
        .collect();
    let mut over = vec![false; kept];
    environment.reset(options.seed, first, &rollout)?;
    let mut done = 0;
    while done < horizon && over.iter().any(|over| !over) {
        for t in 0..chunk.min(horizon - done) {
            let draw = Draw {
                seed: options.seed,
                first,
                step: (done + t) as u32,
                deterministic: options.deterministic,
            };
            actor.act(parameters, &rollout, t, draw);
            environment.step(&rollout, t)?;
        }
        account(
            device,
            &rollout,
            &spec,
            done,
            horizon,
            &mut courses,
            &mut over,
            curve,
        )?;
        rollout.carry(device);
        done += chunk;
    }
    Ok(courses)
}

/// Sums over patients by decision.
#[derive(Default)]
pub(super) struct Sums {
    patients: Vec<u32>,
    /// Reward, costs, actions.
    rows: Vec<Vec<f64>>,
}

impl Sums {
    fn add(&mut self, decision: usize, values: impl Iterator<Item = f64>) {
        if self.patients.len() <= decision {
            self.patients.resize(decision + 1, 0);
        }
        self.patients[decision] += 1;
        for (k, value) in values.enumerate() {
            if self.rows.len() <= k {
                self.rows.push(Vec::new());
            }
            if self.rows[k].len() <= decision {
                self.rows[k].resize(decision + 1, 0.0);
            }
            self.rows[k][decision] += value;
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn account(
    device: &Device,
    rollout: &Rollout,
    spec: &Spec,
    done: usize,
    horizon: usize,
    courses: &mut [PatientCourse],
    over: &mut [bool],
    curve: &mut Sums,
) -> Result<(), AgentError> {
    let client = &device.client;
    let reward = rollout.reward.floats(client)?;
    let terms = rollout.terms.floats(client)?;
    let cost = rollout.cost.floats(client)?;
    let action = rollout.action.floats(client)?;
    let flags = rollout.flags.words(client)?;
    let (lanes, all) = (rollout.lanes, rollout.steps * rollout.lanes);
    for t in 0..rollout.steps.min(horizon - done) {
        for (lane, course) in courses.iter_mut().enumerate() {
            let at = t * lanes + lane;
            if over[lane] || flags[at] & RESET != 0 {
                over[lane] = true;
                continue;
            }
            course.total += f64::from(reward[at]);
            for (k, sum) in course.terms.iter_mut().enumerate() {
                *sum += f64::from(terms[k * all + at]);
            }
            for (k, sum) in course.costs.iter_mut().enumerate() {
                *sum += f64::from(cost[k * all + at]);
            }
            course.decisions += 1;
            let costs = (0..spec.costs.len()).map(|k| f64::from(cost[k * all + at]));
            let actions = spec.actions.iter().enumerate();
            let actions = actions.map(|(h, of)| own_unit(&of.kind, action[h * all + at]));
            curve.add(
                done + t,
                std::iter::once(f64::from(reward[at]))
                    .chain(costs)
                    .chain(actions),
            );
            if flags[at] != 0 {
                over[lane] = true;
                course.terminated = flags[at] & TERMINATED != 0;
                course.diverged = flags[at] & DIVERGED != 0;
            }
        }
    }
    Ok(())
}

fn own_unit(kind: &crate::spec::ActionKind, action: f32) -> f64 {
    match kind {
        crate::spec::ActionKind::Levels(levels) => {
            levels.get(action as usize).copied().unwrap_or(f64::NAN)
        }
        crate::spec::ActionKind::Fraction => f64::from(action),
    }
}

fn summarise(
    problem: &Problem,
    spec: &Spec,
    update: u64,
    options: &EvaluateOptions,
    courses: Vec<PatientCourse>,
    curve: Sums,
) -> Evaluation {
    let n = courses.len().max(1) as f64;
    let totals: Vec<f64> = courses.iter().map(|course| course.total).collect();
    let lengths: Vec<f64> = courses
        .iter()
        .map(|course| f64::from(course.decisions))
        .collect();
    let share = |of: &dyn Fn(&PatientCourse) -> bool| {
        courses.iter().filter(|course| of(course)).count() as f64 / n
    };
    let costs = spec.costs.iter().enumerate().map(|(k, cost)| {
        let values: Vec<f64> = courses.iter().map(|course| course.costs[k]).collect();
        cost_evaluation(cost, values, options)
    });
    let term = |k: usize| courses.iter().map(|course| course.terms[k]).sum::<f64>() / n;
    let terms = spec.rewards.iter().enumerate();
    let mut sorted = totals.clone();
    sorted.sort_by(f64::total_cmp);
    let mut rows = curve.rows.into_iter().map(|row| {
        let counted = row.iter().zip(&curve.patients);
        counted
            .map(|(sum, &count)| sum / f64::from(count.max(1)))
            .collect::<Vec<f64>>()
    });
    let reward = rows.next().unwrap_or_default();
    let cost_rows = rows.by_ref().take(spec.costs.len()).collect();
    let action_rows = rows.collect();
    Evaluation {
        exact: Vec::new(),
        task: problem.name.clone(),
        update,
        patients: courses.len(),
        first_patient: options.first,
        deterministic: options.deterministic,
        total: mean_estimate(&totals, options),
        return_median: sorted.get(sorted.len() / 2).copied().unwrap_or_default(),
        terms: terms.map(|(k, of)| (of.name.clone(), term(k))).collect(),
        costs: costs.collect(),
        decisions: mean_estimate(&lengths, options),
        terminated: share(&|course| course.terminated),
        diverged: share(&|course| course.diverged),
        curve: Curve {
            patients: curve.patients,
            reward,
            costs: cost_rows,
            actions: action_rows,
        },
        courses,
    }
}

fn cost_evaluation(cost: &CostSpec, values: Vec<f64>, options: &EvaluateOptions) -> CostEvaluation {
    let mean = mean_estimate(&values, options);
    let statistic = |values: &mut [f64]| match cost.cvar {
        Some(alpha) => conditional_value_at_risk(values, alpha),
        None => values.iter().sum::<f64>() / values.len().max(1) as f64,
    };
    let resampled = bootstrap(&values, options, &statistic);
    let risk = statistic(&mut values.clone());
    let risk_upper = quantile(&resampled, 0.95);
    CostEvaluation {
        name: cost.name.clone(),
        limit: cost.limit,
        cvar: cost.cvar,
        mean,
        risk,
        risk_upper,
        kept: risk_upper <= cost.limit,
    }
}

fn mean_estimate(values: &[f64], options: &EvaluateOptions) -> Estimate {
    let mean = |values: &mut [f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let resampled = bootstrap(values, options, &mean);
    Estimate {
        value: mean(&mut values.to_vec()),
        low: quantile(&resampled, 0.025),
        high: quantile(&resampled, 0.975),
    }
}

/// The statistic of resamples (Efron 1979, percentiles), sorted. The draws depend on the seed only.
fn bootstrap(
    values: &[f64],
    options: &EvaluateOptions,
    statistic: &(dyn Fn(&mut [f64]) -> f64 + Sync),
) -> Vec<f64> {
    let n = values.len();
    if n == 0 {
        return Vec::new();
    }
    // a hundred times the resamples of a small sample would take minutes and change no digit
    let resamples = options.resamples.min((20_000_000 / n).max(200));
    let one = |resample: usize| {
        let mut drawn = Vec::with_capacity(n);
        for block in 0..n.div_ceil(4) {
            let words = philox::draw(options.seed, resample as u32, block as u32, BOOTSTRAP, 0);
            let left = (n - drawn.len()).min(4);
            let place = |word: u32| ((u64::from(word) * n as u64) >> 32) as usize;
            drawn.extend(words[..left].iter().map(|&word| values[place(word)]));
        }
        statistic(&mut drawn)
    };
    let mut found: Vec<f64> = (0..resamples).into_par_iter().map(one).collect();
    found.sort_by(f64::total_cmp);
    found
}

/// A quantile by linear interpolation; not a number without values.
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = p * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) if low == high => *low,
        (Some(low), Some(high)) => low + (high - low) * (position - below as f64),
        _ => f64::NAN,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The interval of a mean of normals is that of theory, roughly.
    #[test]
    fn intervals_have_their_width() {
        let values: Vec<f64> = (0..2000)
            .map(|i| philox::standard_normal(5, i, 0, 99, 0))
            .collect();
        let options = EvaluateOptions::default();
        let found = mean_estimate(&values, &options);
        let width = 2.0 * 1.96 / (2000f64).sqrt();
        assert!(
            ((found.high - found.low) / width - 1.0).abs() < 0.15,
            "{found:?}"
        );
        assert!(found.low < found.value && found.value < found.high);
    }

    #[test]
    fn the_upper_bound_of_a_tail_is_above_it() {
        let cost = CostSpec {
            name: "toxicity".to_owned(),
            limit: 3.0,
            cvar: Some(0.95),
        };
        let values = (0..1000).map(|i| f64::from(i % 100) / 50.0).collect();
        let found = cost_evaluation(&cost, values, &EvaluateOptions::default());
        assert!(found.risk > 1.8 && found.risk_upper >= found.risk && found.kept);
    }
}
