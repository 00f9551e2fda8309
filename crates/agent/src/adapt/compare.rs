//! Policies and each patient's oracle on the same held-out patients.

use posology_cohort::Cohort;
use posology_kernels::device::Device;

use super::regret::{Adaptation, Courses, RegretOptions, regret};
use crate::environment::patients::{PatientOptions, Patients};
use crate::environment::{AutoReset, HELD_OUT};
use crate::error::AgentError;
use crate::play::{
    OpenLoopOptions, Player, Policy, Record, SearchOptions, optimise_among, play_found, record,
    search_among,
};
use crate::task::{Baseline, Task};
use crate::train::container::Container;
use crate::train::run::problem_of;

/// Lanes of one batch.
const LANES: usize = 4096;
/// Lanes of one batch of candidate plans.
const PLAN_LANES: usize = 16_384;
/// Courses of more decisions than this are shown in [`CYCLES`] cycles unless declared.
const MOST_DECISIONS: usize = 40;
const CYCLES: usize = 26;
/// The name of the open-loop plan as an oracle.
pub const PLAN: &str = "plan";

/// Who treats.
#[derive(Clone, Copy, Debug)]
pub struct Entrant<'a> {
    /// Checkpoints of the same label are runs of one kind of policy: their courses are averaged.
    pub label: &'a str,
    pub container: &'a Container,
    /// Where it came from, for messages.
    pub path: &'a str,
}

/// Whom policies treat, and against what.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptationOptions {
    pub patients: usize,
    /// Number of the first patient.
    pub first: u32,
    /// Seed of patients, noise and actions.
    pub seed: u64,
    /// The most probable action instead of a drawn one.
    pub deterministic: bool,
    /// A rule of the task with parameters to search, or [`PLAN`]; the first such rule if absent,
    /// and the plan where the task has none.
    pub oracle: Option<String>,
    /// Decisions of a treatment cycle; absent: one, or a 26th of a long course.
    pub cycle: Option<usize>,
    /// Label of the policy that the others are compared with; `memoryless` if absent and there.
    pub against: Option<String>,
    /// Episodes with other measurement errors over which a rule's parameter is judged. The first
    /// has the errors that the policies meet.
    pub replicates: usize,
    /// Finer grids around the best parameter.
    pub refinements: usize,
    pub open_loop: OpenLoopOptions,
    pub resamples: usize,
    /// Keys of the task that are to differ from those in training, `table.key=value`.
    pub changes: Vec<String>,
}

impl Default for AdaptationOptions {
    fn default() -> Self {
        Self {
            patients: 1000,
            first: HELD_OUT,
            seed: 1,
            deterministic: true,
            oracle: None,
            cycle: None,
            against: None,
            replicates: 1,
            refinements: 2,
            open_loop: OpenLoopOptions::default(),
            resamples: 1000,
            changes: Vec::new(),
        }
    }
}

/// An oracle's courses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OracleCourses {
    pub name: String,
    pub title: String,
    pub record: Record,
    /// Parameters found per patient, by name.
    pub parameters: Vec<(String, Vec<f64>)>,
}

/// Regret by cycle of policies of one task.
///
/// # Errors
/// Checkpoints of different tasks or of one without patients; an oracle that the task does not
/// have; findings about the population; the device.
pub fn adaptation(
    device: &Device,
    entrants: &[Entrant<'_>],
    options: &AdaptationOptions,
    mut progress: impl FnMut(&str, usize, usize),
) -> Result<Adaptation, AgentError> {
    let Some(first) = entrants.first() else {
        return Err(refused("checkpoint", "", "at least one policy is needed"));
    };
    let problem = problem_of(first.container, first.path)?;
    for other in &entrants[1..] {
        if problem_of(other.container, other.path)?.process_text() != problem.process_text() {
            return Err(AgentError::Checkpoint {
                path: other.path.to_owned(),
                cause: format!("its task is another one than that of {}", first.path),
            });
        }
    }
    let problem = problem.with(&options.changes)?;
    let Some(task) = problem.task() else {
        return Err(AgentError::Checkpoint {
            path: first.path.to_owned(),
            cause: format!(
                "`{}` has no patients with an oracle of their own",
                problem.name
            ),
        });
    };
    let cohort = task.patients(device, options.patients, options.seed, options.first)?;
    let best = oracle(device, task, &cohort, options, &mut progress)?;
    let mut policies: Vec<Courses> = Vec::new();
    for entrant in entrants {
        let policy = Policy::of(
            device,
            entrant.container,
            entrant.path,
            &task.spec,
            options.deterministic,
        )?;
        let run = treated(device, task, &cohort, policy, options, |done| {
            progress(entrant.label, done, cohort.len());
        })?;
        match policies.iter_mut().find(|c| c.label == entrant.label) {
            Some(courses) => courses.runs.push(run),
            None => policies.push(Courses {
                label: entrant.label.to_owned(),
                runs: vec![run],
            }),
        }
    }
    let horizon = task.spec.horizon;
    let usual = if horizon > MOST_DECISIONS {
        horizon.div_ceil(CYCLES)
    } else {
        1
    };
    let memoryless = policies.iter().find(|c| c.label == "memoryless");
    let how = RegretOptions {
        decisions_per_cycle: options.cycle.unwrap_or(usual),
        horizon,
        against: options
            .against
            .clone()
            .or_else(|| memoryless.map(|c| c.label.clone())),
        seed: options.seed,
        resamples: options.resamples,
    };
    progress("intervals", 0, 1);
    let mut found = regret(&best.record, &policies, &how)?;
    found.task = problem.name.clone();
    found.first_patient = options.first;
    found.deterministic = options.deterministic;
    found.limits = task.spec.costs.clone();
    found.oracle.name = best.name;
    found.oracle.title = best.title;
    found.oracle.parameters = best.parameters;
    Ok(found)
}

/// One policy on all patients.
fn treated(
    device: &Device,
    task: &Task,
    cohort: &Cohort,
    policy: Policy,
    options: &AdaptationOptions,
    mut progress: impl FnMut(usize),
) -> Result<Record, AgentError> {
    let player = Player::Policy(policy);
    let mut all = Record::default();
    for (first, part) in parts(cohort, LANES) {
        progress(first);
        let first_id = options.first.wrapping_add(first as u32);
        let mut patients = lanes(device, task, &part, options.seed, first_id)?;
        all.append(record(
            device,
            &mut patients,
            &player,
            options.seed,
            first_id,
        )?);
    }
    Ok(all)
}

/// What is best for each patient of a cohort over the whole course.
///
/// # Errors
/// An oracle that the task does not have; the device.
pub fn oracle(
    device: &Device,
    task: &Task,
    cohort: &Cohort,
    options: &AdaptationOptions,
    mut progress: impl FnMut(&str, usize, usize),
) -> Result<OracleCourses, AgentError> {
    let Some(baseline) = searched(task, options.oracle.as_deref())? else {
        return planned(device, task, cohort, options, progress);
    };
    let how = SearchOptions {
        patients: cohort.len(),
        first_id: options.first,
        seed: options.seed,
        replicates: options.replicates,
        refinements: options.refinements,
        begun: Vec::new(),
    };
    let tell = |done, total| progress(&baseline.name, done, total);
    let found = search_among(device, task, baseline, cohort, &how, tell)?;
    let record = play_found(device, task, baseline, cohort, &how, &found)?;
    let names = baseline.search.iter().map(|axis| axis.name.clone());
    Ok(OracleCourses {
        name: baseline.name.clone(),
        title: baseline.title.clone(),
        record,
        parameters: names.zip(found.parameters).collect(),
    })
}

/// The rule that is searched for each patient; none where it is to be a plan.
///
/// # Errors
/// [`AgentError::Option`] for a rule that the task does not have, or without parameters.
pub(super) fn searched<'a>(
    task: &'a Task,
    wanted: Option<&str>,
) -> Result<Option<&'a Baseline>, AgentError> {
    let mut rules = task.baselines.iter().filter(|b| !b.search.is_empty());
    match wanted {
        None => Ok(rules.next()),
        Some(PLAN) => Ok(None),
        Some(wanted) => match rules.clone().find(|b| b.name == wanted) {
            Some(rule) => Ok(Some(rule)),
            None => {
                let known: Vec<&str> = rules.map(|b| b.name.as_str()).chain([PLAN]).collect();
                let cause = format!("oracles of this task are {}", known.join(", "));
                Err(refused("oracle", wanted, &cause))
            }
        },
    }
}

fn planned(
    device: &Device,
    task: &Task,
    cohort: &Cohort,
    options: &AdaptationOptions,
    mut progress: impl FnMut(&str, usize, usize),
) -> Result<OracleCourses, AgentError> {
    let (factors, horizon) = (task.spec.actions.len(), task.spec.horizon);
    let batch = (PLAN_LANES / options.open_loop.candidates.max(2)).max(1);
    let mut all = Record::default();
    for (first, part) in parts(cohort, batch) {
        progress(PLAN, first, cohort.len());
        let first_id = options.first.wrapping_add(first as u32);
        let how = OpenLoopOptions {
            first_id,
            seed: options.seed,
            ..options.open_loop.clone()
        };
        let found = optimise_among(device, task, &part, &how, |_, _| {})?;
        let n = part.len();
        let mut plan = vec![0.0f32; factors * horizon * n];
        for (lane, own) in found.plans.iter().enumerate() {
            for (f, row) in own.iter().enumerate() {
                for (t, value) in row.iter().enumerate() {
                    plan[(f * horizon + t) * n + lane] = *value;
                }
            }
        }
        let mut patients = lanes(device, task, &part, options.seed, first_id)?;
        let player = Player::Plan(plan);
        all.append(record(
            device,
            &mut patients,
            &player,
            options.seed,
            first_id,
        )?);
    }
    Ok(OracleCourses {
        name: PLAN.to_owned(),
        title: "open-loop plan of a patient who is known".to_owned(),
        record: all,
        parameters: Vec::new(),
    })
}

fn parts(cohort: &Cohort, size: usize) -> impl Iterator<Item = (usize, Cohort)> + '_ {
    (0..cohort.len()).step_by(size).map(move |first| {
        let who: Vec<usize> = (first..cohort.len().min(first + size)).collect();
        (first, cohort.select(&who))
    })
}

/// A lane for each of these patients.
pub(super) fn lanes(
    device: &Device,
    task: &Task,
    cohort: &Cohort,
    seed: u64,
    first_id: u32,
) -> Result<Patients, AgentError> {
    let options = PatientOptions {
        lanes: cohort.len(),
        reset: AutoReset::Disabled,
        seed,
        first_id,
        ..PatientOptions::default()
    };
    Patients::of(device, task, cohort, &options)
}

fn refused(key: &str, value: &str, cause: &str) -> AgentError {
    AgentError::Option {
        key: key.to_owned(),
        value: value.to_owned(),
        cause: cause.to_owned(),
    }
}
