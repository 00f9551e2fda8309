//! A run in a folder: the loop, its checkpoints, and going on after an interruption.
//!
//! | file | what |
//! |---|---|
//! | `configuration.toml` | the resolved configuration |
//! | `last.checkpoint` | the state from which a run goes on, to the bit |
//! | `best.checkpoint` | the checkpoint with the best return among those that keep the limits |
//! | `metrics.jsonl`, `tensorboard/` | every update |

use std::fs;
use std::path::{Path, PathBuf};

use posology_kernels::device::Device;

use super::container::{Container, file_error, write_whole};
use super::learner::Learner;
use super::log::{Log, Metrics};
use super::problem::{Problem, Who};
use super::snapshot::{configuration, section};
use super::state::Best;
use super::trainer::{Trainer, trainer};
use crate::environment::AutoReset;
use crate::error::AgentError;
use crate::ppo::config::Config;

/// The checkpoint from which a run goes on.
pub const LAST: &str = "last.checkpoint";
/// The best one.
pub const BEST: &str = "best.checkpoint";
const CONFIGURATION: &str = "configuration.toml";

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
    go_on(learner, problem, folder, observer)
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
    go_on(learner, &problem, folder, observer)
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
            log.histogram("parameters", &learner.parameters()?, update)?;
        }
        let proceed = observer(&metrics, updates);
        outcome.stopped = !proceed && update < updates;
        // an interruption adds a checkpoint but must not change what comes after it
        let regular = update % every == 0 || update == updates;
        if regular || outcome.stopped {
            checkpoint(learner.as_mut(), problem, folder, regular)?;
        }
        outcome.metrics = Some(metrics);
    }
    outcome.update = learner.state().update;
    outcome.best = learner.state().best;
    outcome.launches_per_decision = learner.launches_per_decision();
    Ok(outcome)
}

/// Write the last checkpoint and, at a regular one, see whether it is the best.
fn checkpoint(
    learner: &mut dyn Trainer,
    problem: &Problem,
    folder: &Path,
    regular: bool,
) -> Result<(), AgentError> {
    let better = regular && learner.judge();
    let container = learner.save(problem)?;
    if better {
        container.write(&folder.join(BEST))?;
    }
    container.write(&folder.join(LAST))
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

impl Learner {
    /// Judge the updates since the last regular checkpoint; whether they are the best so far.
    pub(super) fn judge(&mut self) -> bool {
        let kept = self.spec.costs.iter().zip(&self.state.tails);
        let feasible = kept
            .into_iter()
            .all(|(cost, tail)| tail.risk(cost) <= cost.limit);
        let state = &mut self.state;
        let episodes = std::mem::take(&mut state.recent_episodes);
        let returns = std::mem::take(&mut state.recent_returns);
        if episodes <= 0.0 {
            return false;
        }
        let new = Best {
            update: state.update,
            feasible,
            mean_return: returns / episodes,
        };
        let better = new.beats(state.best.as_ref());
        if better {
            state.best = Some(new);
        }
        better
    }
}
