//! A run in a folder: the loop, its checkpoints, and going on after an interruption.
//!
//! | file | what |
//! |---|---|
//! | `configuration.toml` | the resolved configuration |
//! | `last.checkpoint` | the state from which a run goes on, to the bit |
//! | `best.checkpoint` | the checkpoint with the best return among those that keep the limits |
//! | `metrics.jsonl`, `tensorboard/` | every update |
//! | `validation.jsonl` | every validation, see [`super::validate`] |

use std::fs;
use std::path::{Path, PathBuf};

use posology_kernels::device::Device;

use super::container::{Container, file_error, write_whole};
use super::learner::Learner;
use super::log::{Histogram, Log, Metrics, counted_sums, histogram_range};
use super::problem::{Problem, Who};
use super::snapshot::{configuration, section};
use super::state::Best;
use super::trainer::{Trainer, trainer};
use super::validate::{Validator, calibrate};
use crate::environment::AutoReset;
use crate::error::AgentError;
use crate::ppo::config::Config;
use crate::ppo::statistics::histogram;

/// The checkpoint from which a run goes on.
pub const LAST: &str = "last.checkpoint";
/// The best one.
pub const BEST: &str = "best.checkpoint";
const CONFIGURATION: &str = "configuration.toml";
/// Bins of a histogram of returns or costs.
const BINS: usize = 32;

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Updates done in all.
    pub update: u64,
    /// Updates of the whole run.
    pub updates: u64,
    /// Whether the caller stopped it before its end.
    pub stopped: bool,
    pub best: Option<Best>,
    /// Of the last update; absent where there was nothing left to do.
    pub metrics: Option<Metrics>,
    pub launches_per_decision: f64,
    pub last: PathBuf,
}

/// What a caller sees of a run: `false` stops it after this update, with a checkpoint.
pub type Observer<'a> = &'a mut dyn FnMut(&Metrics, u64) -> bool;

/// Train from the beginning in `folder`, which is created.
///
/// # Errors
/// The task, the configuration, files, the device, [`AgentError::Diverged`].
pub fn train(
    device: &Device,
    problem: &Problem,
    config: &Config,
    folder: &Path,
    observer: Observer<'_>,
) -> Result<Outcome, AgentError> {
    let environment = training_environment(device, problem, config)?;
    let learner = trainer(device, environment, config)?;
    fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
    let text = learner.config().to_toml();
    write_whole(&folder.join(CONFIGURATION), text.as_bytes())?;
    learner.save(problem)?.write(&folder.join(LAST))?;
    go_on(device, learner, problem, folder, observer)
}

/// Go on with the run in `folder` from its last checkpoint.
///
/// # Errors
/// As [`train`]; [`AgentError::Checkpoint`] where the checkpoint is damaged or of another program.
pub fn resume(
    device: &Device,
    folder: &Path,
    observer: Observer<'_>,
) -> Result<Outcome, AgentError> {
    let path = folder.join(LAST);
    let shown = path.display().to_string();
    let (container, config, problem) = read(&path)?;
    let environment = training_environment(device, &problem, &config)?;
    let mut learner = trainer(device, environment, &config)?;
    learner.restore(&container, &shown)?;
    go_on(device, learner, &problem, folder, observer)
}

/// A checkpoint with its configuration and its task.
fn read(path: &Path) -> Result<(Container, Config, Problem), AgentError> {
    let shown = path.display().to_string();
    let container = Container::read(path)?;
    let config = configuration(&container, &shown)?;
    let problem = problem_of(&container, &shown)?;
    Ok((container, config, problem))
}

/// The learner and the task of a checkpoint of PPO.
///
/// # Errors
/// As [`resume`].
pub fn load(device: &Device, path: &Path) -> Result<(Learner, Problem), AgentError> {
    let shown = path.display().to_string();
    let (container, config, problem) = read(path)?;
    let environment = training_environment(device, &problem, &config)?;
    let mut learner = Learner::new(device, environment, &config)?;
    learner.restore(&container, &shown)?;
    Ok((learner, problem))
}

/// The task of a checkpoint.
///
/// # Errors
/// [`AgentError::Checkpoint`] where there is none; findings about the task.
pub fn problem_of(container: &Container, path: &str) -> Result<Problem, AgentError> {
    let missing = || AgentError::Checkpoint {
        path: path.to_owned(),
        cause: "its task is missing".to_owned(),
    };
    let text = container.text(section::TASK).ok_or_else(missing)?;
    let name = container.about["task"]["name"]
        .as_str()
        .ok_or_else(missing)?;
    let at = container.about["task"]["path"].as_str().map(PathBuf::from);
    Problem::from_text(name, at, text)
}

fn training_environment(
    device: &Device,
    problem: &Problem,
    config: &Config,
) -> Result<Box<dyn crate::environment::Environment>, AgentError> {
    problem.environment(
        device,
        &Who {
            lanes: config.lanes,
            reset: AutoReset::NextStep,
            seed: config.seed,
            first_id: 0,
            pool: None,
            learning: true,
            staggered: config.stagger,
            horizon: (config.horizon > 0).then_some(config.horizon),
        },
    )
}

fn go_on(
    device: &Device,
    mut learner: Box<dyn Trainer>,
    problem: &Problem,
    folder: &Path,
    observer: Observer<'_>,
) -> Result<Outcome, AgentError> {
    let last = folder.join(LAST);
    let (updates, every) = (
        learner.config().total_updates(),
        learner.config().checkpoint_every.max(1),
    );
    let histograms = learner.config().histogram_every;
    let validate_every = learner.config().validate_every;
    let mut validator = None;
    let mut log = Log::open(folder, learner.state().update)?;
    let mut outcome = Outcome {
        update: learner.state().update,
        updates,
        stopped: false,
        best: learner.state().best,
        metrics: None,
        launches_per_decision: 0.0,
        last: last.clone(),
    };
    while learner.state().update < updates && !outcome.stopped {
        let metrics = learner.update().map_err(|error| named(error, &last))?;
        let update = metrics.update;
        log.write(&metrics)?;
        if histograms > 0 && update % histograms == 0 {
            let parameters = Histogram::of(&learner.parameters()?, BINS);
            log.histogram("parameters", parameters, update)?;
            for (name, of) in episode_histograms(device, learner.as_ref())? {
                log.histogram(&name, Some(of), update)?;
            }
        }
        // an interruption adds a checkpoint but must not change what comes after it
        let regular = update % every == 0 || update == updates;
        let due = validate_every > 0 && (update % validate_every == 0 || update == updates);
        let better = if due {
            if validator.is_none() {
                validator = Validator::new(device, problem, learner.config())?;
            }
            match &mut validator {
                Some(validator) => {
                    let found = validator.validate(&learner.deployed(), update)?;
                    log.validation(&found)?;
                    let (config, spec) =
                        (learner.config().clone(), learner.deployed().spec.clone());
                    let state = learner.state_mut();
                    calibrate(state, &config, &spec, &found);
                    state.choose(found.candidate())
                }
                None => false,
            }
        } else {
            regular && validate_every == 0 && {
                let spec = learner.deployed().spec.clone();
                learner.state_mut().judge(&spec)
            }
        };
        if better {
            learner.save(problem)?.write(&folder.join(BEST))?;
        }
        let proceed = observer(&metrics, updates);
        outcome.stopped = !proceed && update < updates;
        if regular || outcome.stopped {
            learner.save(problem)?.write(&last)?;
        }
        outcome.metrics = Some(metrics);
    }
    outcome.update = learner.state().update;
    outcome.best = learner.state().best;
    outcome.launches_per_decision = learner.launches_per_decision();
    Ok(outcome)
}

/// With the checkpoint's name.
fn named(error: AgentError, last: &Path) -> AgentError {
    match error {
        AgentError::Diverged { update, what, .. } => AgentError::Diverged {
            update,
            what,
            checkpoint: last.display().to_string(),
        },
        other => other,
    }
}

/// Histograms of the returns and costs of the episodes that ended in the last update, counted on the
/// device.
fn episode_histograms(
    device: &Device,
    learner: &dyn Trainer,
) -> Result<Vec<(String, Histogram)>, AgentError> {
    let Some((rollout, last, sums)) = learner.finished() else {
        return Ok(Vec::new());
    };
    if sums.episodes <= 0.0 {
        return Ok(Vec::new());
    }
    let rows = counted_sums(sums);
    let ranges: Vec<(f64, f64)> = rows
        .iter()
        .map(|&(sum, squares)| histogram_range(sums.episodes, sum, squares))
        .collect();
    let narrow: Vec<(f32, f32)> = ranges
        .iter()
        .map(|&(low, high)| (low as f32, high as f32))
        .collect();
    let counts = histogram(device, rollout, last, &narrow, BINS);
    let counts = counts.words(&device.client)?;
    let costs = learner.deployed().spec.costs.iter();
    let names = std::iter::once("episode/return".to_owned())
        .chain(costs.map(|cost| format!("cost/{}", cost.name)));
    let all = names.zip(rows.iter().zip(&ranges)).zip(counts.chunks(BINS));
    let made = all.filter_map(|((name, (row, range)), counts)| {
        let of = Histogram::counted(range.0, range.1, counts, row.0, row.1)?;
        Some((name, of))
    });
    Ok(made.collect())
}
