//! A run of Q-learning as a checkpoint and back, to the bit.

use posology_kernels::update::adam::{Adam, STATE_WORDS};
use serde_json::json;

use super::learner::DqnLearner;
use crate::bridge;
use crate::error::AgentError;
use crate::policy::PolicyNetwork;
use crate::rollout::Buffer;
use crate::train::container::{Container, hash};
use crate::train::problem::Problem;
use crate::train::snapshot::section;
use crate::train::state::State;
use crate::transfers;

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
        container.push_words(TARGET, &self.target.words(client)?);
        container.push_words(section::CARRIED, &self.accounts.carried.words(client)?);
        for (name, buffer) in self.carried_over() {
            let words = buffer.words(client)?;
            // the first decision of each row: what `Rollout::carry` has put there
            let lanes = self.rollout.lanes;
            let rows = words.chunks_exact((self.rollout.steps + 1) * lanes);
            let first: Vec<u32> = rows.flat_map(|row| &row[..lanes]).copied().collect();
            container.push_words(name, &first);
        }
        let seen = self.replay.decisions;
        container.push_words(DECISIONS, &[seen as u32, (seen >> 32) as u32]);
        for (name, buffer) in self.replay.clone().parts() {
            container.push_words(name, &buffer.words(client)?);
        }
        container.push(section::ENVIRONMENT, self.environment.snapshot()?);
        Ok(container)
    }

    fn carried_over(&self) -> [(&'static str, &Buffer); 4] {
        [
            (section::OBSERVATION, &self.rollout.observation),
            (section::MASK, &self.rollout.mask),
            (section::STARTED, &self.rollout.started),
            (section::HIDDEN, &self.rollout.hidden),
        ]
    }

    /// Go on where [`DqnLearner::save`] was called, in a learner of the same task and configuration.
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
        let client = self.device.client.clone();
        let state = container.text(section::STATE).and_then(State::from_text);
        let state = state.ok_or_else(|| broken(section::STATE))?;
        let costs = self.spec.costs.len();
        if state.tails.len() != costs
            || state.scales.len() != 1 + costs
            || state.kept.len() != costs
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
        let on = bridge::tensor_device(&self.device).autodiff();
        let shape = self.network.shape().clone();
        let parameters = floats(section::PARAMETERS, n)?;
        self.network = PolicyNetwork::with_parameters(shape, parameters, &on);
        let parameters = self.network.buffer();
        self.parameters = parameters.ok_or_else(|| broken(section::PARAMETERS))?;
        self.target = Buffer::from_words(&client, &words(TARGET, n)?, 1, n);
        let carried = &mut self.accounts.carried;
        let (rows, columns) = (carried.rows, carried.columns);
        let kept = words(section::CARRIED, rows * columns)?;
        *carried = Buffer::from_words(&client, &kept, rows, columns);
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
                &client,
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
        let seen = words(DECISIONS, 2)?;
        self.replay.decisions = u64::from(seen[0]) | u64::from(seen[1]) << 32;
        for (name, buffer) in self.replay.parts() {
            let (rows, columns) = (buffer.rows, buffer.columns);
            *buffer = Buffer::from_words(&client, &words(name, rows * columns)?, rows, columns);
        }
        let bytes = container.section(section::ENVIRONMENT);
        let bytes = bytes.ok_or_else(|| broken(section::ENVIRONMENT))?;
        self.environment.restore(bytes)?;
        self.state = state;
        Ok(())
    }
}
