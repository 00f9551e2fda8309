//! Learning on for one patient from the beginning of his course.
//!
//! What is used of him are his first decisions: what he was given, what was measured, his
//! covariates. Virtual patients who would have looked the same ([`super::posterior`]) are whom the
//! policy goes on learning from; on another sample of them it is judged while it learns, and the
//! best state is kept, which is the untuned one where nothing was gained. His true parameters
//! serve the report only: what the policies and his oracle gain in the rest of his course.

use posology_cohort::Cohort;
use posology_kernels::device::Device;
use serde::Serialize;

use super::compare::lanes;
use super::posterior::{Belief, History, PosteriorOptions, observe, posterior};
use super::rest::{Course, Rest, mean};
use crate::environment::patients::{PatientOptions, Patients};
use crate::environment::{AutoReset, HELD_OUT};
use crate::error::AgentError;
use crate::play::{Begun, OpenLoopOptions, Player, Policy, record};
use crate::ppo::config::Config;
use crate::ppo::risk::conditional_value_at_risk;
use crate::ppo::schedule::Shape;
use crate::task::Task;
use crate::task::edit::is_about_task;
use crate::train::Learner;
use crate::train::container::Container;
use crate::train::run::problem_of;
use crate::train::snapshot::configuration;
use crate::train::state::Best;

/// Updates of a tuning unless declared.
const UPDATES: u64 = 24;
/// Learning rate of a tuning, as a share of the checkpoint's, unless declared.
const RATE: f64 = 0.2;
/// Number of the first virtual patient on whom a policy is judged: its measurement errors are not
/// those of the ones from whom it learns.
const JUDGED: u32 = 1 << 30;

/// Whose policy is tuned, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneOptions {
    /// Which of the held-out patients, from 0.
    pub patient: u32,
    /// Number of the first held-out patient.
    pub first: u32,
    /// Decisions that are known.
    pub decisions: usize,
    /// Seed of patients, noise and draws.
    pub seed: u64,
    pub posterior: PosteriorOptions,
    /// Virtual patients on whom a policy is judged.
    pub judged: usize,
    /// Updates between two judgements.
    pub check_every: u64,
    /// Courses with other measurement errors of the rest, of which the report gives means; absent:
    /// 16 where measurements have errors, else 1.
    pub futures: Option<usize>,
    /// As in [`super::AdaptationOptions`].
    pub oracle: Option<String>,
    pub open_loop: OpenLoopOptions,
    /// Configuration of the trainer, `key=value`, and of the task, `table.key=value`.
    pub overrides: Vec<String>,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            patient: 0,
            first: HELD_OUT,
            decisions: 4,
            seed: 1,
            posterior: PosteriorOptions::default(),
            judged: 256,
            check_every: 4,
            futures: None,
            oracle: None,
            open_loop: OpenLoopOptions::default(),
            overrides: Vec::new(),
        }
    }
}

/// A policy on virtual patients who are like the real one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Check {
    pub update: u64,
    /// Whether they kept every limit.
    pub feasible: bool,
    /// Mean return of the rest of the course.
    #[serde(rename = "return")]
    pub mean_return: f64,
    /// What each limit is about.
    pub risks: Vec<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tuned {
    pub task: String,
    pub patient: u32,
    pub seed: u64,
    /// Decisions that were known.
    pub decisions: usize,
    pub drawn: usize,
    /// Effective number of virtual patients like him.
    pub effective: f64,
    pub beliefs: Vec<Belief>,
    pub checks: Vec<Check>,
    /// Updates of the policy that was kept.
    pub kept: u64,
    pub untuned: Rest,
    pub tuned: Rest,
    pub oracle: Rest,
}

/// Tunes a checkpoint's policy for one patient: the report, and the checkpoint, which is an
/// ordinary one. `progress` is told what is done; `false` stops learning.
///
/// # Errors
/// [`AgentError::Unlike`] where too few virtual patients are like him; a course that ends too
/// early; checkpoints and configurations that do not fit; [`AgentError::Diverged`]; the device.
pub fn tune(
    device: &Device,
    container: &Container,
    path: &str,
    options: &TuneOptions,
    mut progress: impl FnMut(&str, u64, u64) -> bool,
) -> Result<(Tuned, Container), AgentError> {
    let (of_task, of_trainer): (Vec<String>, Vec<String>) = options
        .overrides
        .iter()
        .cloned()
        .partition(|set| is_about_task(set));
    let problem = problem_of(container, path)?.with(&of_task)?;
    let Some(task) = problem.task() else {
        return Err(AgentError::Checkpoint {
            path: path.to_owned(),
            cause: format!("`{}` has no patients to tune for", problem.name),
        });
    };
    if options.decisions == 0 || options.decisions >= task.spec.horizon {
        return Err(AgentError::Option {
            key: "cycles".to_owned(),
            value: options.decisions.to_string(),
            cause: format!("from 1 to {}", task.spec.horizon.saturating_sub(1)),
        });
    }
    let config = tuning(&configuration(container, path)?).changed(&of_trainer)?;
    let untuned = Policy::of(device, container, path, &task.spec, true)?;
    let at = options.patient as usize;
    let real = task.patients(device, at + 1, options.seed, options.first)?;
    let real = real.select(&[at]);
    let number = options.first.wrapping_add(options.patient);
    let history = observe(
        device,
        task,
        &real,
        number,
        &untuned,
        options.seed,
        options.decisions,
    )?;
    let like = posterior(device, task, &history, &options.posterior, |done, all| {
        progress("virtual patients", done as u64, all as u64);
    })?;
    // one sample to learn from, another to judge on
    let school = like.sample(config.lanes, options.seed, 0);
    let jury = like.sample(options.judged.max(1), options.seed, 1);
    let environment = Patients::of(
        device,
        task,
        &school,
        &PatientOptions {
            lanes: config.lanes,
            reset: AutoReset::NextStep,
            seed: config.seed,
            learning: true,
            staggered: true,
            ..PatientOptions::default()
        },
    )?;
    let mut learner = Learner::new(device, Box::new(environment), &config)?;
    learner.adopt(container, path)?;
    let judge = |container: &Container| {
        let policy = Policy::of(device, container, path, &task.spec, true)?;
        judged(device, task, &jury, &history, policy, options.seed)
    };
    let mut kept = learner.save(&problem)?;
    let mut checks = vec![judge(&kept)?];
    let mut best = standing(&checks[0]);
    let updates = config.total_updates();
    for update in 1..=updates {
        learner.update().map_err(|error| named(error, path))?;
        let more = progress("updates", update, updates);
        if update % options.check_every.max(1) == 0 || update == updates || !more {
            let now = learner.save(&problem)?;
            let check = Check {
                update,
                ..judge(&now)?
            };
            let standing = standing(&check);
            if standing.beats(Some(&best)) {
                (best, kept) = (standing, now);
            }
            checks.push(check);
        }
        if !more {
            break;
        }
    }
    let tuned = Policy::of(device, &kept, path, &task.spec, true)?;
    let noisy = task.measurements().iter().any(|m| m.error.is_some());
    let course = Course {
        device,
        task,
        real: &real,
        number,
        history: &history,
        futures: options.futures.unwrap_or(if noisy { 16 } else { 1 }).max(1),
        seed: options.seed,
    };
    progress("the rest of the course", 0, 1);
    let report = Tuned {
        task: problem.name.clone(),
        patient: options.patient,
        seed: options.seed,
        decisions: history.decisions(),
        drawn: like.weights.len(),
        effective: like.effective,
        beliefs: like.beliefs(task, &real),
        kept: best.update,
        checks,
        untuned: course.rest("untuned", Player::Policy(untuned))?,
        tuned: course.rest("tuned", Player::Policy(tuned))?,
        oracle: course.oracle(options)?,
    };
    kept.about["tuned"] = serde_json::json!({
        "from": path,
        "patient": options.patient,
        "seed": options.seed,
        "decisions": history.decisions(),
        "effective": like.effective,
        "updates": best.update,
    });
    Ok((report, kept))
}

/// The configuration of a checkpoint, for a few small updates.
fn tuning(of: &Config) -> Config {
    Config {
        updates: UPDATES,
        decisions: 0,
        rate: RATE * of.rate,
        rate_schedule: Shape::Constant,
        warm_up: 0,
        entropy: of.entropy * of.entropy_end,
        entropy_schedule: Shape::Constant,
        ..of.clone()
    }
}

fn standing(check: &Check) -> Best {
    Best {
        update: check.update,
        feasible: check.feasible,
        mean_return: check.mean_return,
        excess: 0.0,
    }
}

fn named(error: AgentError, path: &str) -> AgentError {
    match error {
        AgentError::Diverged { update, what, .. } => AgentError::Diverged {
            update,
            what,
            checkpoint: path.to_owned(),
        },
        other => other,
    }
}

/// A policy that takes over virtual patients after the known decisions.
fn judged(
    device: &Device,
    task: &Task,
    jury: &Cohort,
    history: &History,
    policy: Policy,
    seed: u64,
) -> Result<Check, AgentError> {
    let n = jury.len();
    let mut patients = lanes(device, task, jury, seed, JUDGED)?;
    let begun = Begun {
        actions: history.plan(n),
        decisions: history.decisions(),
        numbers: Vec::new(),
    };
    let player = Player::After(begun, Box::new(Player::Policy(policy)));
    let found = record(device, &mut patients, &player, seed, JUDGED)?;
    let risks: Vec<f64> = task
        .spec
        .costs
        .iter()
        .enumerate()
        .map(|(k, cost)| {
            let mut totals = found.total_costs(k);
            match cost.cvar {
                Some(alpha) => conditional_value_at_risk(&mut totals, alpha),
                None => mean(&totals),
            }
        })
        .collect();
    let limits = task.spec.costs.iter().map(|cost| cost.limit);
    Ok(Check {
        update: 0,
        feasible: risks.iter().zip(limits).all(|(risk, limit)| *risk <= limit),
        mean_return: mean(&found.returns_from(history.decisions())),
        risks,
    })
}
