//! A learner as a checkpoint and back, to the bit.

use super::container::Container;
use super::learner::Learner;
use super::problem::Problem;
use super::sections::{Sections, begun, push_adam, push_next};
use super::state::State;
use crate::bridge;
use crate::error::AgentError;
use crate::policy::PolicyNetwork;
use crate::ppo::config::Config;

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
        let mut container = begun(&self.spec, &self.config, &self.state, problem);
        push_adam(&mut container, &self.device, &self.adam)?;
        let client = &self.device.client;
        container.push_words(section::PARAMETERS, &self.parameters.words(client)?);
        container.push_words(section::CORE, &self.actor.core().words(client)?);
        container.push_words(section::CARRIED, &self.accounts.carried.words(client)?);
        push_next(&mut container, &self.device, &self.rollout)?;
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
        let sections = Sections { container, path };
        let other = sections.state(&self.spec)?;
        let parameters = sections.floats(section::PARAMETERS, self.adam.n)?;
        self.take(parameters)
            .ok_or_else(|| sections.broken(section::PARAMETERS))?;
        self.state = State {
            scales: other.scales,
            controllers: other.controllers,
            tails: other.tails,
            ..State::new(self.spec.costs.len())
        };
        Ok(())
    }

    /// Go on where [`Learner::save`] was called, in a learner of the same task and configuration.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] when the sections do not fit; `path` is for the message.
    pub fn restore(&mut self, container: &Container, path: &str) -> Result<(), AgentError> {
        let sections = Sections { container, path };
        let device = self.device.clone();
        let state = sections.state(&self.spec)?;
        self.adam = sections.adam(&device, &self.adam)?;
        let parameters = sections.floats(section::PARAMETERS, self.adam.n)?;
        self.take(parameters)
            .ok_or_else(|| sections.broken(section::PARAMETERS))?;
        let core = self.actor.core();
        let core = sections.words(section::CORE, core.rows * core.columns)?;
        self.actor.set_core(&core);
        sections.totals(&device, &mut self.accounts)?;
        sections.next(&device, &mut self.rollout)?;
        sections.environment(self.environment.as_mut())?;
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
