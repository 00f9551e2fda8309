//! A learner as a checkpoint and back, to the bit.

use posology_kernels::update::adam::{Adam, STATE_WORDS};
use serde_json::json;

use super::container::{Container, hash};
use super::learner::Learner;
use super::problem::Problem;
use super::state::State;
use crate::bridge;
use crate::error::AgentError;
use crate::policy::PolicyNetwork;
use crate::ppo::config::Config;
use crate::rollout::Buffer;
use crate::transfers;

/// Sections of a checkpoint.
pub mod section {
    /// The resolved configuration, TOML.
    pub const CONFIGURATION: &str = "configuration";
    /// The task's text.
    pub const TASK: &str = "task";
    /// Counters, controllers, scales: TOML.
    pub const STATE: &str = "state";
    /// The network's parameters, f32.
    pub const PARAMETERS: &str = "parameters";
    pub const ADAM_FIRST: &str = "adam.first";
    pub const ADAM_SECOND: &str = "adam.second";
    pub const ADAM_STATE: &str = "adam.state";
    /// The environment's own bytes.
    pub const ENVIRONMENT: &str = "environment";
    /// State of the recurrent core.
    pub const CORE: &str = "core";
    /// Totals of episodes under way.
    pub const CARRIED: &str = "carried";
    /// What the next decision sees.
    pub const OBSERVATION: &str = "observation";
    pub const MASK: &str = "mask";
    pub const STARTED: &str = "started";
    pub const HIDDEN: &str = "hidden";
}

impl Learner {
    /// Everything that the rest of the run depends on.
    ///
    /// # Errors
    /// When the device fails.
    pub fn save(&self, problem: &Problem) -> Result<Container, AgentError> {
        let mut container = Container::new(json!({
            "format": "posology training",
            "program": env!("CARGO_PKG_VERSION"),
            "task": {
                "name": problem.name,
                "path": problem.path,
                "fnv1a": format!("{:016x}", hash(problem.text.as_bytes())),
            },
            "spec": self.spec,
            "configuration": self.config,
            "update": self.state.update,
            "updates": self.config.total_updates(),
            "best": self.state.best,
        }));
        container.push(section::CONFIGURATION, self.config.to_toml().into_bytes());
        container.push(section::TASK, problem.text.clone().into_bytes());
        container.push(section::STATE, self.state.to_text().into_bytes());
        let n = self.adam.n;
        let handles = vec![
            self.adam.first.clone(),
            self.adam.second.clone(),
            self.adam.state.clone(),
        ];
        let moments = transfers::read(&self.device, handles)?;
        let names = [
            section::ADAM_FIRST,
            section::ADAM_SECOND,
            section::ADAM_STATE,
        ];
        for ((name, words), length) in names.into_iter().zip(moments).zip([n, n, STATE_WORDS]) {
            container.push_words(name, &words[..length]);
        }
        let client = &self.device.client;
        container.push_words(section::PARAMETERS, &self.parameters.words(client)?);
        container.push_words(section::CORE, &self.actor.core().words(client)?);
        container.push_words(section::CARRIED, &self.accounts.carried.words(client)?);
        for (name, buffer) in self.carried_over() {
            let words = buffer.words(client)?;
            // the first decision of each row: what `Rollout::carry` has put there
            let lanes = self.rollout.lanes;
            let rows = words.chunks_exact((self.rollout.steps + 1) * lanes);
            let first: Vec<u32> = rows.flat_map(|row| &row[..lanes]).copied().collect();
            container.push_words(name, &first);
        }
        container.push(section::ENVIRONMENT, self.environment.snapshot()?);
        Ok(container)
    }

    /// Other parameters; none where they are not on the kernels' device.
    fn take(&mut self, parameters: Vec<f32>) -> Option<()> {
        let on = bridge::tensor_device(&self.device).autodiff();
        let shape = self.network.shape().clone();
        self.network = PolicyNetwork::with_parameters(shape, parameters, &on);
        self.parameters = self.network.buffer()?;
        Some(())
    }

    /// Take over what another run of the same task and network has learnt: its parameters, its
    /// multipliers, and the sizes and risks that it has seen. Patients, optimiser and counters are
    /// this learner's own, which has not begun.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] when the sections do not fit; `path` is for the message.
    pub fn adopt(&mut self, container: &Container, path: &str) -> Result<(), AgentError> {
        let broken = |what: &str| AgentError::Checkpoint {
            path: path.to_owned(),
            cause: format!("{what} is missing or does not fit this task and configuration"),
        };
        let text = container.text(section::STATE);
        let other = text.and_then(State::from_text);
        let other = other.filter(|other| other.tails.len() == self.spec.costs.len());
        let other = other.ok_or_else(|| broken(section::STATE))?;
        let words = container.words(section::PARAMETERS);
        let words = words.filter(|words| words.len() == self.adam.n);
        let words = words.ok_or_else(|| broken(section::PARAMETERS))?;
        self.take(words.into_iter().map(f32::from_bits).collect())
            .ok_or_else(|| broken(section::PARAMETERS))?;
        self.state = State {
            scales: other.scales,
            controllers: other.controllers,
            tails: other.tails,
            ..State::new(self.spec.costs.len())
        };
        Ok(())
    }

    fn carried_over(&self) -> [(&'static str, &Buffer); 4] {
        [
            (section::OBSERVATION, &self.rollout.observation),
            (section::MASK, &self.rollout.mask),
            (section::STARTED, &self.rollout.started),
            (section::HIDDEN, &self.rollout.hidden),
        ]
    }

    /// Go on where [`Learner::save`] was called, in a learner of the same task and configuration.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] when the sections do not fit; `path` is for the message.
    pub fn restore(&mut self, container: &Container, path: &str) -> Result<(), AgentError> {
        let broken = |what: &str| AgentError::Checkpoint {
            path: path.to_owned(),
            cause: format!("{what} is missing or does not fit this task and configuration"),
        };
        let words = |name: &str, length: usize| {
            let words = container.words(name).filter(|words| words.len() == length);
            words.ok_or_else(|| broken(name))
        };
        let floats = |name: &str, length: usize| {
            let words = words(name, length)?;
            Ok::<Vec<f32>, AgentError>(words.into_iter().map(f32::from_bits).collect())
        };
        let text = container
            .text(section::STATE)
            .ok_or_else(|| broken(section::STATE))?;
        let state = State::from_text(text).ok_or_else(|| broken(section::STATE))?;
        let costs = self.spec.costs.len();
        if state.tails.len() != costs
            || state.controllers.len() != costs
            || state.kept.len() != costs
            || state.scales.len() != 1 + costs
        {
            return Err(broken(section::STATE));
        }
        let n = self.adam.n;
        let optimiser = floats(section::ADAM_STATE, STATE_WORDS)?;
        let optimiser = optimiser
            .first_chunk()
            .ok_or_else(|| broken(section::ADAM_STATE))?;
        self.adam = Adam::restored(
            &self.device,
            self.adam.options,
            &floats(section::ADAM_FIRST, n)?,
            &floats(section::ADAM_SECOND, n)?,
            optimiser,
        );
        let parameters = floats(section::PARAMETERS, n)?;
        self.take(parameters)
            .ok_or_else(|| broken(section::PARAMETERS))?;
        let core = self.actor.core();
        let core = words(section::CORE, core.rows * core.columns)?;
        self.actor.set_core(&core);
        let carried = &self.accounts.carried;
        let (rows, columns) = (carried.rows, carried.columns);
        let carried = words(section::CARRIED, rows * columns)?;
        self.accounts.carried = Buffer::from_words(&self.device.client, &carried, rows, columns);
        let (lanes, steps) = (self.rollout.lanes, self.rollout.steps);
        let mut whole = Vec::with_capacity(4);
        for (name, buffer) in self.carried_over() {
            let first = words(name, buffer.rows * lanes)?;
            let mut all = Vec::with_capacity(buffer.rows * buffer.columns);
            for row in first.chunks_exact(lanes) {
                all.extend_from_slice(row);
                all.resize(all.len() + steps * lanes, 0);
            }
            whole.push(Buffer::from_words(
                &self.device.client,
                &all,
                buffer.rows,
                buffer.columns,
            ));
        }
        if let Ok([observation, mask, started, hidden]) = <[Buffer; 4]>::try_from(whole) {
            self.rollout.observation = observation;
            self.rollout.mask = mask;
            self.rollout.started = started;
            self.rollout.hidden = hidden;
        }
        let bytes = container.section(section::ENVIRONMENT);
        let bytes = bytes.ok_or_else(|| broken(section::ENVIRONMENT))?;
        self.environment.restore(bytes)?;
        self.state = state;
        Ok(())
    }
}

/// The configuration of a checkpoint.
///
/// # Errors
/// [`AgentError::Checkpoint`] when there is none.
pub fn configuration(container: &Container, path: &str) -> Result<Config, AgentError> {
    let text = container.text(section::CONFIGURATION);
    text.and_then(|text| toml::from_str(text).ok())
        .ok_or_else(|| AgentError::Checkpoint {
            path: path.to_owned(),
            cause: "its configuration is missing or of another version".to_owned(),
        })
}
