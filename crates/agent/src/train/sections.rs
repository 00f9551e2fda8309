//! What the checkpoints of all trainers have in common, into a container and back.

use posology_kernels::device::Device;
use posology_kernels::update::adam::{Adam, STATE_WORDS};
use serde_json::json;

use super::container::{Container, hash};
use super::problem::Problem;
use super::snapshot::section;
use super::state::State;
use crate::environment::Environment;
use crate::error::AgentError;
use crate::ppo::config::Config;
use crate::ppo::statistics::Accounts;
use crate::rollout::{Buffer, Rollout};
use crate::spec::Spec;
use crate::transfers;

/// A container that says what it is of, with configuration, task and state.
pub(crate) fn begun(spec: &Spec, config: &Config, state: &State, problem: &Problem) -> Container {
    let mut container = Container::new(json!({
        "format": "posology training",
        "program": env!("CARGO_PKG_VERSION"),
        "task": {
            "name": problem.name,
            "path": problem.path,
            "fnv1a": format!("{:016x}", hash(problem.text.as_bytes())),
        },
        "spec": spec,
        "configuration": config,
        "update": state.update,
        "updates": config.total_updates(),
        "best": state.best,
    }));
    container.push(section::CONFIGURATION, config.to_toml().into_bytes());
    container.push(section::TASK, problem.text.clone().into_bytes());
    container.push(section::STATE, state.to_text().into_bytes());
    container
}

/// The moments of the optimiser.
///
/// # Errors
/// When the device fails.
pub(crate) fn push_adam(
    container: &mut Container,
    device: &Device,
    adam: &Adam,
) -> Result<(), AgentError> {
    let handles = vec![adam.first.clone(), adam.second.clone(), adam.state.clone()];
    let moments = transfers::read(device, handles)?;
    let sections = [
        (section::ADAM_FIRST, adam.n),
        (section::ADAM_SECOND, adam.n),
        (section::ADAM_STATE, STATE_WORDS),
    ];
    for ((name, length), words) in sections.into_iter().zip(moments) {
        container.push_words(name, &words[..length]);
    }
    Ok(())
}

/// What the next decision sees: the first decision of each row, where [`Rollout::carry`] has put it.
///
/// # Errors
/// When the device fails.
pub(crate) fn push_next(
    container: &mut Container,
    device: &Device,
    rollout: &Rollout,
) -> Result<(), AgentError> {
    for (name, buffer) in [
        (section::OBSERVATION, &rollout.observation),
        (section::MASK, &rollout.mask),
        (section::STARTED, &rollout.started),
        (section::HIDDEN, &rollout.hidden),
    ] {
        let words = buffer.words(&device.client)?;
        let rows = words.chunks_exact((rollout.steps + 1) * rollout.lanes);
        let first: Vec<u32> = rows
            .flat_map(|row| &row[..rollout.lanes])
            .copied()
            .collect();
        container.push_words(name, &first);
    }
    Ok(())
}

/// The sections of a container, asked for by name and length; `path` is for messages.
pub(crate) struct Sections<'a> {
    pub container: &'a Container,
    pub path: &'a str,
}

impl Sections<'_> {
    pub fn broken(&self, what: &str) -> AgentError {
        AgentError::Checkpoint {
            path: self.path.to_owned(),
            cause: format!("{what} is missing or does not fit this task and configuration"),
        }
    }

    /// # Errors
    /// [`AgentError::Checkpoint`] where the section is missing or of another length; so all below.
    pub fn words(&self, name: &str, length: usize) -> Result<Vec<u32>, AgentError> {
        let words = self.container.words(name);
        words
            .filter(|words| words.len() == length)
            .ok_or_else(|| self.broken(name))
    }

    pub fn floats(&self, name: &str, length: usize) -> Result<Vec<f32>, AgentError> {
        let words = self.words(name, length)?;
        Ok(words.into_iter().map(f32::from_bits).collect())
    }

    /// As many words as `like` has, in its shape.
    pub fn buffer(&self, device: &Device, name: &str, like: &Buffer) -> Result<Buffer, AgentError> {
        let words = self.words(name, like.rows * like.columns)?;
        let client = &device.client;
        Ok(Buffer::from_words(client, &words, like.rows, like.columns))
    }

    pub fn state(&self, spec: &Spec) -> Result<State, AgentError> {
        let costs = spec.costs.len();
        let fits = |state: &State| {
            state.tails.len() == costs
                && state.controllers.len() == costs
                && state.kept.len() == costs
                && state.scales.len() == 1 + costs
        };
        let text = self.container.text(section::STATE);
        text.and_then(State::from_text)
            .filter(fits)
            .ok_or_else(|| self.broken(section::STATE))
    }

    pub fn adam(&self, device: &Device, like: &Adam) -> Result<Adam, AgentError> {
        let state = self.floats(section::ADAM_STATE, STATE_WORDS)?;
        let state = state
            .first_chunk()
            .ok_or_else(|| self.broken(section::ADAM_STATE))?;
        Ok(Adam::restored(
            device,
            like.options,
            &self.floats(section::ADAM_FIRST, like.n)?,
            &self.floats(section::ADAM_SECOND, like.n)?,
            state,
        ))
    }

    /// Totals of the episodes under way.
    pub fn totals(&self, device: &Device, accounts: &mut Accounts) -> Result<(), AgentError> {
        accounts.carried = self.buffer(device, section::CARRIED, &accounts.carried)?;
        Ok(())
    }

    /// What the next decision sees, where [`push_next`] took it from.
    pub fn next(&self, device: &Device, rollout: &mut Rollout) -> Result<(), AgentError> {
        let (lanes, steps) = (rollout.lanes, rollout.steps);
        let whole = |name: &str, buffer: &Buffer| {
            let first = self.words(name, buffer.rows * lanes)?;
            let mut all = Vec::with_capacity(buffer.rows * buffer.columns);
            for row in first.chunks_exact(lanes) {
                all.extend_from_slice(row);
                all.resize(all.len() + steps * lanes, 0);
            }
            let client = &device.client;
            Ok::<Buffer, AgentError>(Buffer::from_words(
                client,
                &all,
                buffer.rows,
                buffer.columns,
            ))
        };
        rollout.observation = whole(section::OBSERVATION, &rollout.observation)?;
        rollout.mask = whole(section::MASK, &rollout.mask)?;
        rollout.started = whole(section::STARTED, &rollout.started)?;
        rollout.hidden = whole(section::HIDDEN, &rollout.hidden)?;
        Ok(())
    }

    pub fn environment(&self, environment: &mut dyn Environment) -> Result<(), AgentError> {
        let bytes = self.container.section(section::ENVIRONMENT);
        environment.restore(bytes.ok_or_else(|| self.broken(section::ENVIRONMENT))?)
    }
}
