//! A tabular process as an environment: transitions, rewards and observations are tables on the
//! device.

use posology_kernels::device::Device;
use posology_kernels::environment::{LaneClock, Reset, TabularLanes, TabularPlan, TabularTables};

use super::patients::buffers;
use super::process::TabularProcess;
use super::wrappers::Clocked;
use super::{AutoReset, Environment};
use crate::error::AgentError;
use crate::rollout::{Buffer, Rollout};
use crate::spec::Spec;

/// How many play, and how episodes follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct TabularOptions {
    pub lanes: usize,
    pub reset: AutoReset,
    /// Decisions after which an episode is cut, instead of the process's own.
    pub horizon: Option<usize>,
    /// Instead of the weights that the process declares, one per term of the reward.
    pub weights: Option<Vec<f64>>,
}

impl Default for TabularOptions {
    fn default() -> Self {
        Self {
            lanes: 1024,
            reset: AutoReset::NextStep,
            horizon: None,
            weights: None,
        }
    }
}

/// Lanes of a tabular process.
///
/// A draw is a function of seed, patient and number of the decision (Philox, stream 7), so a
/// patient meets the same course whatever the number of lanes.
pub struct Tabular {
    spec: Spec,
    lanes: TabularLanes,
    fingerprint: u64,
}

impl Tabular {
    /// Puts the process's tables on the device.
    ///
    /// # Errors
    /// [`AgentError::Option`] where the process contradicts itself, or the options do not fit it.
    pub fn new(
        device: &Device,
        process: &TabularProcess,
        options: &TabularOptions,
    ) -> Result<Self, AgentError> {
        process.check()?;
        let mut spec = process.spec();
        spec.horizon = options.horizon.unwrap_or(spec.horizon);
        if spec.horizon == 0 {
            return Err(AgentError::Option {
                key: "horizon".to_owned(),
                value: "0".to_owned(),
                cause: "an episode has at least one decision".to_owned(),
            });
        }
        if let Some(weights) = &options.weights {
            set_weights(&mut spec, weights)?;
        }
        let plan = TabularPlan {
            features: spec.features.len() as u32,
            hidden: spec.hidden.len() as u32,
            terms: spec.rewards.len() as u32,
            costs: spec.costs.len() as u32,
            reset: options.reset.into(),
        };
        let weights: Vec<f32> = spec.rewards.iter().map(|r| r.weight as f32).collect();
        let tables = process.tables();
        let horizon = spec.horizon as u32;
        Ok(Self {
            fingerprint: fingerprint(&tables, horizon),
            lanes: TabularLanes::new(device, plan, &tables, options.lanes, horizon, &weights),
            spec,
        })
    }
}

impl From<AutoReset> for Reset {
    fn from(reset: AutoReset) -> Self {
        match reset {
            AutoReset::NextStep => Reset::NextStep,
            AutoReset::SameStep => Reset::SameStep,
            AutoReset::Disabled => Reset::Disabled,
        }
    }
}

/// Declares other weights of the reward's terms.
///
/// # Errors
/// [`AgentError::Option`] where there are more or fewer of them than terms.
pub(super) fn set_weights(spec: &mut Spec, weights: &[f64]) -> Result<(), AgentError> {
    if weights.len() != spec.rewards.len() {
        return Err(AgentError::Option {
            key: "weights".to_owned(),
            value: format!("{weights:?}"),
            cause: format!("the reward has {} terms", spec.rewards.len()),
        });
    }
    for (reward, &weight) in spec.rewards.iter_mut().zip(weights) {
        reward.weight = weight;
    }
    Ok(())
}

/// A rollout whose lanes are the states, in their order, at decision 0: to ask a policy what it
/// does in each of them.
///
/// # Errors
/// [`AgentError::Option`] where the process contradicts itself.
pub fn every_state(device: &Device, process: &TabularProcess) -> Result<Rollout, AgentError> {
    process.check()?;
    let (states, client) = (process.states, &device.client);
    // decisions 0 and 1 are alike
    let twice = |row: &[u32]| [row, row].concat();
    let table = |values: &[f32]| {
        let rows = values.chunks(states);
        rows.flat_map(|row| twice(bytemuck::cast_slice(row)))
            .collect::<Vec<u32>>()
    };
    let (features, hidden) = (&process.features, &process.hidden);
    let mut rollout = Rollout::new(device, &process.spec(), 1, states, 0);
    let up = |words: &[u32], rows| Buffer::from_words(client, words, rows, 2 * states);
    rollout.observation = up(&table(&features.values), features.names.len());
    rollout.hidden = up(&table(&hidden.values), hidden.names.len());
    rollout.mask = up(&twice(&process.admissible), 1);
    rollout.started = up(&vec![1; 2 * states], 1);
    Ok(rollout)
}

/// FNV-1a of what lanes of the process depend on, so that a checkpoint meets its own process.
fn fingerprint(tables: &TabularTables, horizon: u32) -> u64 {
    let looks = tables.looks.iter().map(|value| value.to_bits());
    let signals = tables.signals.iter().map(|value| value.to_bits());
    let words = [horizon, tables.states as u32, tables.actions as u32]
        .into_iter()
        .chain(tables.row_of.iter().copied())
        .chain(tables.bounds.iter().copied())
        .chain(tables.next.iter().copied())
        .chain(tables.threshold.iter().copied())
        .chain(tables.terminal.iter().copied())
        .chain(tables.mask.iter().copied())
        .chain(signals)
        .chain(looks);
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Environment for Tabular {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn lanes(&self) -> usize {
        self.lanes.lanes()
    }

    fn reset(&mut self, seed: u64, first_patient: u32, out: &Rollout) -> Result<(), AgentError> {
        self.lanes.begin(seed, first_patient, &buffers(out));
        Ok(())
    }

    fn step(&mut self, rollout: &Rollout, t: usize) -> Result<(), AgentError> {
        self.lanes.step(t, &buffers(rollout));
        Ok(())
    }

    fn snapshot(&self) -> Result<Vec<u8>, AgentError> {
        let mut bytes = self.fingerprint.to_le_bytes().to_vec();
        bytes.extend(self.lanes.snapshot()?);
        Ok(bytes)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        if let Some((print, rest)) = bytes.split_first_chunk::<8>()
            && u64::from_le_bytes(*print) == self.fingerprint
            && self.lanes.restore(rest)
        {
            return Ok(());
        }
        Err(AgentError::Checkpoint {
            path: "environment".to_owned(),
            cause: "its state belongs to another process or number of lanes".to_owned(),
        })
    }
}

impl Clocked for Tabular {
    fn clock(&self) -> LaneClock {
        let (context, len) = self.lanes.context();
        LaneClock {
            context: context.clone(),
            len,
            patient_row: 1,
            seed: self.lanes.seed(),
        }
    }
}
