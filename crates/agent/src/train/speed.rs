//! How fast decisions are made and learnt from.

use std::time::Instant;

use posology_kernels::device::Device;
use serde::Serialize;

use super::learner::Learner;
use super::problem::{Problem, Who};
use crate::environment::AutoReset;
use crate::error::AgentError;
use crate::ppo::config::Config;
use crate::rollout::Rollout;
use crate::transfers::{self, Transfers};

/// Decisions per second of all lanes together, and what an update costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speed {
    pub lanes: usize,
    pub steps: usize,
    pub parameters: usize,
    /// The environment alone, actions given.
    pub environment: f64,
    /// With the policy's decisions.
    pub inference: f64,
    /// With learning.
    pub training: f64,
    /// Seconds of an update after its rollout, with the fused loss.
    pub update_fused: f64,
    /// The same with the loss in plain tensor operations.
    pub update_unfused: f64,
    /// Launches per decision of all lanes during a rollout.
    pub launches_per_decision: f64,
    /// Blocking reads per update, the metrics among them.
    pub transfers_per_update: f64,
    pub transferred_bytes_per_update: f64,
}

/// Measure with `repeats` updates after one that is not counted (it builds kernels).
///
/// # Errors
/// The task, the configuration, the device.
pub fn measure(
    device: &Device,
    problem: &Problem,
    config: &Config,
    repeats: usize,
) -> Result<Speed, AgentError> {
    let who = Who {
        lanes: config.lanes,
        reset: AutoReset::NextStep,
        seed: config.seed,
        first_id: 0,
        pool: None,
        learning: true,
        staggered: false,
    };
    let repeats = repeats.max(1);
    let decisions = (config.decisions_per_update() * repeats as u64) as f64;
    let mut alone = problem.environment(device, &who)?;
    let spec = alone.spec().clone();
    let mut rollout = Rollout::new(device, &spec, config.steps, config.lanes, 0);
    let zeros = vec![0; rollout.action.len()];
    let (rows, columns) = (rollout.action.rows, rollout.action.columns);
    rollout.action = crate::rollout::Buffer::from_words(&device.client, &zeros, rows, columns);
    alone.reset(config.seed, 0, &rollout)?;
    let mut environment = 0.0;
    for repeat in 0..=repeats {
        let clock = Instant::now();
        for t in 0..config.steps {
            alone.step(&rollout, t)?;
        }
        rollout.carry(device);
        wait(device)?;
        if repeat > 0 {
            environment += clock.elapsed().as_secs_f64();
        }
    }
    let mut learner = Learner::new(device, problem.environment(device, &who)?, config)?;
    // builds every kernel, and reads the sizes of the returns
    learner.update()?;
    let (mut inference, mut update) = (0.0, [0.0; 2]);
    let mut read = Transfers::default();
    for unfused in [false, true] {
        learner.unfused = unfused;
        if unfused {
            learner.update()?;
        }
        for _ in 0..repeats {
            wait(device)?;
            let clock = Instant::now();
            learner.roll_out()?;
            wait(device)?;
            let rolled = clock.elapsed().as_secs_f64();
            let before = Transfers::now();
            learner.learn()?;
            update[usize::from(unfused)] += clock.elapsed().as_secs_f64() - rolled;
            if !unfused {
                inference += rolled;
                let now = Transfers::since(before);
                read = Transfers {
                    reads: read.reads + now.reads,
                    bytes: read.bytes + now.bytes,
                };
            }
        }
    }
    Ok(Speed {
        lanes: config.lanes,
        steps: config.steps,
        parameters: learner.adam.n,
        environment: decisions / environment,
        inference: decisions / inference,
        training: decisions / (inference + update[0]),
        update_fused: update[0] / repeats as f64,
        update_unfused: update[1] / repeats as f64,
        launches_per_decision: learner.launches_per_decision(),
        transfers_per_update: read.reads as f64 / repeats as f64,
        transferred_bytes_per_update: read.bytes as f64 / repeats as f64,
    })
}

/// Until the device has done what it was given.
fn wait(device: &Device) -> Result<(), AgentError> {
    let word = device
        .client
        .create_from_slice(bytemuck::cast_slice(&[0u32]));
    transfers::read(device, vec![word])?;
    Ok(())
}
