//! A run of Q-learning as a checkpoint and back, to the bit.

use super::learner::DqnLearner;
use crate::bridge;
use crate::error::AgentError;
use crate::policy::PolicyNetwork;
use crate::train::container::Container;
use crate::train::problem::Problem;
use crate::train::sections::{Sections, begun, push_adam, push_next};
use crate::train::snapshot::section;

/// Parameters of the target network.
const TARGET: &str = "target";
/// Decisions that the ring has seen: two words, low first.
const DECISIONS: &str = "replay.decisions";

impl DqnLearner {
    /// Everything that the rest of the run depends on, the whole replay ring among it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn save(&self, problem: &Problem) -> Result<Container, AgentError> {
        let mut container = begun(&self.spec, &self.config, &self.state, problem);
        push_adam(&mut container, &self.device, &self.adam)?;
        let client = &self.device.client;
        container.push_words(section::PARAMETERS, &self.parameters.words(client)?);
        container.push_words(TARGET, &self.target.words(client)?);
        container.push_words(section::CARRIED, &self.accounts.carried.words(client)?);
        push_next(&mut container, &self.device, &self.rollout)?;
        let seen = self.replay.decisions;
        container.push_words(DECISIONS, &[seen as u32, (seen >> 32) as u32]);
        for (name, buffer) in self.replay.clone().parts() {
            container.push_words(name, &buffer.words(client)?);
        }
        container.push(section::ENVIRONMENT, self.environment.snapshot()?);
        Ok(container)
    }

    /// Go on where [`DqnLearner::save`] was called, in a learner of the same task and configuration.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] when the sections do not fit; `path` is for the message.
    pub fn restore(&mut self, container: &Container, path: &str) -> Result<(), AgentError> {
        let sections = Sections { container, path };
        let device = self.device.clone();
        let state = sections.state(&self.spec)?;
        self.adam = sections.adam(&device, &self.adam)?;
        let on = bridge::tensor_device(&device).autodiff();
        let shape = self.network.shape().clone();
        let parameters = sections.floats(section::PARAMETERS, self.adam.n)?;
        self.network = PolicyNetwork::with_parameters(shape, parameters, &on);
        let parameters = self.network.buffer();
        self.parameters = parameters.ok_or_else(|| sections.broken(section::PARAMETERS))?;
        self.target = sections.buffer(&device, TARGET, &self.target)?;
        sections.totals(&device, &mut self.accounts)?;
        sections.next(&device, &mut self.rollout)?;
        let seen = sections.words(DECISIONS, 2)?;
        self.replay.decisions = u64::from(seen[0]) | u64::from(seen[1]) << 32;
        for (name, buffer) in self.replay.parts() {
            *buffer = sections.buffer(&device, name, buffer)?;
        }
        sections.environment(self.environment.as_mut())?;
        self.state = state;
        Ok(())
    }
}
