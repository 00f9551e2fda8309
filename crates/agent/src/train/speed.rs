//! How fast decisions are made and learnt from.

use std::time::Instant;

use posology_kernels::device::Device;
use serde::Serialize;

use super::learner::Learner;
use super::problem::{Problem, Who};
use crate::environment::AutoReset;
use crate::error::AgentError;
use crate::launches::{Kernel, Watch};
use crate::ppo::config::Config;
use crate::rollout::{Buffer, Rollout};
use crate::transfers::{self, Transfers};

/// Decisions per second of all lanes together, and what an update costs; every figure is the median
/// of its repeats.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speed {
    pub lanes: usize,
    /// Decisions of a lane between two updates.
    pub steps: usize,
    pub epochs: usize,
    pub minibatches: usize,
    pub parameters: usize,
    /// The environment alone, actions given.
    pub environment: f64,
    /// With the policy's decisions.
    pub inference: f64,
    /// With learning.
    pub training: f64,
    /// With learning in plain tensor operations.
    pub training_unfused: f64,
    /// Seconds of an update after its rollout.
    pub update_fused: f64,
    /// The same with network, loss, differentiation and optimiser in plain tensor operations.
    pub update_unfused: f64,
    /// The second over the first.
    pub ratio: f64,
    /// Launches of a rollout over its decisions, counted.
    pub launches_per_decision: f64,
    /// Blocking reads per update, the one of its metrics among them.
    pub transfers_per_update: f64,
    /// Blocking reads of the slowest update that are not the one of its metrics.
    pub transfers_beyond_metrics: u64,
    pub transferred_bytes_per_update: f64,
    /// Launches that were counted.
    pub launches: Launches,
    /// Every time that was taken.
    pub seconds: Seconds,
    /// Kernels of a fused update, the slowest first, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<Kernel>,
}

/// Launches of every kernel, whoever asked for it, as the runtime issued them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Launches {
    /// `steps` decisions of the environment alone.
    pub environment: u64,
    /// `steps` decisions of policy and environment, and what the critics expect after them.
    pub rollout: u64,
    pub update_fused: u64,
    pub update_unfused: u64,
}

/// Seconds of each repeat, in their order; fused and unfused updates took turns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    pub environment: Vec<f64>,
    pub rollout: Vec<f64>,
    pub update_fused: Vec<f64>,
    pub update_unfused: Vec<f64>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Of everything, after a run that is not counted (it builds kernels).
    pub repeats: usize,
    /// One more update, each of its kernels timed on its own.
    pub kernels: bool,
}

/// Measure at the lanes and steps of `config`. An update takes all of its steps: it does not stop
/// early, so that fused and unfused ones do the same work.
///
/// # Errors
/// The task, the configuration, the device.
pub fn measure(
    device: &Device,
    problem: &Problem,
    config: &Config,
    what: Measurement,
) -> Result<Speed, AgentError> {
    let config = Config {
        target_kl: 0.0,
        ..config.clone()
    };
    let who = Who {
        lanes: config.lanes,
        reset: AutoReset::NextStep,
        seed: config.seed,
        first_id: 0,
        pool: None,
        learning: true,
        staggered: false,
        horizon: None,
    };
    let what = Measurement {
        repeats: what.repeats.max(1),
        ..what
    };
    let mut found = Speed {
        lanes: config.lanes,
        steps: config.steps,
        epochs: config.epochs,
        minibatches: config.minibatches,
        ..Speed::default()
    };
    alone(device, problem, &config, &who, what, &mut found)?;
    let mut learner = Learner::new(device, problem.environment(device, &who)?, &config)?;
    found.parameters = learner.adam.n;
    learning(device, &mut learner, what, &mut found)?;
    let decisions = config.decisions_per_update() as f64;
    let seconds = &found.seconds;
    let rollout = median(&seconds.rollout);
    found.environment = decisions / median(&seconds.environment);
    found.inference = decisions / rollout;
    found.update_fused = median(&seconds.update_fused);
    found.update_unfused = median(&seconds.update_unfused);
    found.training = decisions / (rollout + found.update_fused);
    found.training_unfused = decisions / (rollout + found.update_unfused);
    found.ratio = found.update_unfused / found.update_fused;
    found.launches_per_decision = found.launches.rollout as f64 / config.steps as f64;
    Ok(found)
}

/// The environment with actions that nobody chose.
fn alone(
    device: &Device,
    problem: &Problem,
    config: &Config,
    who: &Who,
    what: Measurement,
    found: &mut Speed,
) -> Result<(), AgentError> {
    let mut environment = problem.environment(device, who)?;
    let spec = environment.spec().clone();
    let mut rollout = Rollout::new(device, &spec, config.steps, config.lanes, 0);
    let zeros = vec![0; rollout.action.len()];
    let (rows, columns) = (rollout.action.rows, rollout.action.columns);
    rollout.action = Buffer::from_words(&device.client, &zeros, rows, columns);
    environment.reset(config.seed, 0, &rollout)?;
    for repeat in 0..=what.repeats {
        wait(device)?;
        let watch = Watch::counting();
        let clock = Instant::now();
        for t in 0..config.steps {
            environment.step(&rollout, t)?;
        }
        found.launches.environment = watch.launches();
        rollout.carry(device);
        wait(device)?;
        if repeat > 0 {
            found
                .seconds
                .environment
                .push(clock.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// Rollouts, and updates of both kinds in turns.
fn learning(
    device: &Device,
    learner: &mut Learner,
    what: Measurement,
    found: &mut Speed,
) -> Result<(), AgentError> {
    // reads the sizes of the returns as well, which no later update does
    learner.update()?;
    let mut read = Transfers::default();
    for repeat in 0..=what.repeats {
        for unfused in [false, true] {
            learner.unfused = unfused;
            wait(device)?;
            let watch = Watch::counting();
            let clock = Instant::now();
            learner.roll_out()?;
            found.launches.rollout = watch.launches();
            wait(device)?;
            let rolled = clock.elapsed().as_secs_f64();
            let before = Transfers::now();
            learner.learn()?;
            let updated = clock.elapsed().as_secs_f64() - rolled;
            let launched = watch.launches() - found.launches.rollout;
            if unfused {
                found.launches.update_unfused = launched;
            } else {
                found.launches.update_fused = launched;
            }
            if repeat == 0 {
                continue;
            }
            found.seconds.rollout.push(rolled);
            if unfused {
                found.seconds.update_unfused.push(updated);
                continue;
            }
            found.seconds.update_fused.push(updated);
            let now = Transfers::since(before);
            let beyond = now.reads.saturating_sub(1);
            found.transfers_beyond_metrics = found.transfers_beyond_metrics.max(beyond);
            read.reads += now.reads;
            read.bytes += now.bytes;
        }
    }
    found.transfers_per_update = read.reads as f64 / what.repeats as f64;
    found.transferred_bytes_per_update = read.bytes as f64 / what.repeats as f64;
    if what.kernels {
        learner.unfused = false;
        learner.roll_out()?;
        wait(device)?;
        let watch = Watch::timing();
        learner.learn()?;
        found.kernels = watch.kernels();
    }
    Ok(())
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    0.5 * (at(sorted.len().saturating_sub(1) / 2) + at(sorted.len() / 2))
}

/// Until the device has done what it was given.
fn wait(device: &Device) -> Result<(), AgentError> {
    let word = device
        .client
        .create_from_slice(bytemuck::cast_slice(&[0u32]));
    transfers::read(device, vec![word])?;
    Ok(())
}
