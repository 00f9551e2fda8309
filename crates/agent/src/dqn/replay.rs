//! The replay ring on the device.

use std::sync::Arc;

use posology_kernels::device::Device;
use posology_kernels::dqn::{explore, replay};
use posology_kernels::policy::{Head, NetworkShape};
use posology_kernels::update::{grid, group};

use crate::error::AgentError;
use crate::ops::sums::argument;
use crate::ppo::config::Config;
use crate::rollout::{Buffer, Rollout};
use crate::spec::Spec;

/// Decisions of `lanes` lanes in `slots` slots; see [`posology_kernels::dqn::replay`] for how they
/// stand. In bytes: 4 per lane and slot for every feature, twice for every action (its level and
/// its mask), for reward and flags, and for hidden quantities where the network is told them.
#[derive(Clone, Debug)]
pub struct Replay {
    pub lanes: usize,
    pub slots: usize,
    /// Decisions of each lane so far, those that were overwritten included.
    pub decisions: u64,
    /// `[features][slots * lanes]`
    pub observation: Buffer,
    /// `[heads][slots * lanes]`
    pub mask: Buffer,
    /// `[hidden or 0][slots * lanes]`
    pub hidden: Buffer,
    /// `[heads][slots * lanes]`
    pub action: Buffer,
    /// `[1][slots * lanes]`, less the prices of costs.
    pub reward: Buffer,
    /// `[1][slots * lanes]`
    pub flags: Buffer,
}

/// What [`Replay::draw`] leaves on the device, `[1][batch]` each; see the kernel.
#[derive(Clone, Debug)]
pub struct Sample {
    pub place: Buffer,
    pub next: Buffer,
    pub returns: Buffer,
    pub follow: Buffer,
    pub weight: Buffer,
}

/// How [`Replay::draw`] draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    pub batch: usize,
    pub n_step: u32,
    pub discount: f32,
    /// Factor on rewards.
    pub unit: f32,
    pub seed: u64,
    /// Number of the minibatch in the run.
    pub number: u32,
}

impl Replay {
    /// An empty ring for a configuration: `config.dqn_replay` decisions, or those of one update
    /// where these are more.
    ///
    /// # Errors
    /// [`AgentError::Option`] when a part of it is larger than the adapter's bindings.
    pub fn new(
        device: &Device,
        config: &Config,
        spec: &Spec,
        shape: &NetworkShape,
        lanes: usize,
    ) -> Result<Self, AgentError> {
        // one slot more: what is seen after the last decision
        let slots = config.dqn_replay.div_ceil(lanes).max(config.steps) + 1;
        let columns = slots * lanes;
        let heads = spec.actions.len();
        let widest = spec.features.len().max(heads).max(shape.sees_hidden).max(1);
        let most = device
            .description
            .max_binding_bytes
            .min(u64::from(u32::MAX));
        if (4 * widest * columns) as u64 > most {
            let cause = format!(
                "{} bytes of observations; the adapter binds at most {most}",
                4 * widest * columns
            );
            return Err(AgentError::Option {
                key: "dqn_replay".to_owned(),
                value: config.dqn_replay.to_string(),
                cause,
            });
        }
        // zeros, so that a checkpoint never has what was in the memory before
        let empty = |rows: usize| {
            let words = vec![0; rows * columns];
            Buffer::from_words(&device.client, &words, rows, columns)
        };
        Ok(Self {
            lanes,
            slots,
            decisions: 0,
            observation: empty(spec.features.len()),
            mask: empty(heads),
            hidden: empty(shape.sees_hidden),
            action: empty(heads),
            reward: empty(1),
            flags: empty(1),
        })
    }

    /// The rings and their names, for a checkpoint.
    pub fn parts(&mut self) -> [(&'static str, &mut Buffer); 6] {
        [
            ("replay.observation", &mut self.observation),
            ("replay.mask", &mut self.mask),
            ("replay.hidden", &mut self.hidden),
            ("replay.action", &mut self.action),
            ("replay.reward", &mut self.reward),
            ("replay.flags", &mut self.flags),
        ]
    }

    /// Take a rollout, whose rewards are `priced`, `[1][steps * lanes]`.
    pub fn take(&mut self, device: &Device, rollout: &Rollout, priced: &Buffer) {
        let (steps, more) = (rollout.steps, rollout.steps + 1);
        let head = (self.decisions % self.slots as u64) as usize;
        let put = |from: &Buffer, to: &Buffer, all: usize| {
            if to.rows == 0 {
                return;
            }
            // SAFETY: `from` is `[rows][all * lanes]`, `to` `[rows][slots * lanes]`; threads beyond
            // are checked, slots wrap around.
            unsafe {
                replay::store::launch_unchecked(
                    &device.client,
                    grid(to.rows * all * self.lanes),
                    group(),
                    argument(from),
                    argument(to),
                    to.rows as u32,
                    all as u32,
                    all as u32,
                    self.lanes as u32,
                    head as u32,
                    self.slots as u32,
                );
            }
        };
        put(&rollout.observation, &self.observation, more);
        put(&rollout.mask, &self.mask, more);
        put(&rollout.hidden, &self.hidden, more);
        put(&rollout.action, &self.action, steps);
        put(priced, &self.reward, steps);
        put(&rollout.flags, &self.flags, steps);
        self.decisions += steps as u64;
    }

    /// Decisions of each lane that can be learnt from now.
    pub fn valid(&self) -> usize {
        self.decisions.min(self.slots as u64 - 1) as usize
    }

    /// A minibatch, evenly among all decisions in the ring, of which there must be some.
    pub fn draw(&self, device: &Device, how: &Sampling) -> Sample {
        let valid = self.valid();
        let oldest = (self.decisions - valid as u64) % self.slots as u64;
        let new = || Buffer::empty(&device.client, 1, how.batch);
        let sample = Sample {
            place: new(),
            next: new(),
            returns: new(),
            follow: new(),
            weight: new(),
        };
        // SAFETY: the rings have `slots * lanes` words per row, every output `batch`; places are
        // below the former, threads beyond the latter are checked.
        unsafe {
            replay::sample::launch_unchecked(
                &device.client,
                grid(how.batch),
                group(),
                argument(&self.reward),
                argument(&self.flags),
                argument(&sample.place),
                argument(&sample.next),
                argument(&sample.returns),
                argument(&sample.follow),
                argument(&sample.weight),
                how.batch as u32,
                self.lanes as u32,
                self.slots as u32,
                oldest as u32,
                valid as u32,
                how.n_step,
                how.discount,
                how.unit,
                how.number,
                how.seed as u32,
                (how.seed >> 32) as u32,
            );
        }
        sample
    }
}

/// Rewards of a rollout less the prices of its costs, and 1 where a decision was made, both
/// `[1][steps * lanes]`. Without prices costs are free.
pub fn price(device: &Device, rollout: &Rollout, prices: &[f64]) -> (Buffer, Buffer) {
    let all = rollout.steps * rollout.lanes;
    let words: Vec<u32> = prices.iter().map(|&p| (p as f32).to_bits()).collect();
    let words = Buffer::from_words(&device.client, &words, prices.len(), 1);
    let new = || Buffer::empty(&device.client, 1, all);
    let (priced, weight) = (new(), new());
    // SAFETY: all buffers have `all` words per row, costs as many rows as there are prices.
    unsafe {
        replay::price::launch_unchecked(
            &device.client,
            grid(all),
            group(),
            argument(&rollout.reward),
            argument(&rollout.cost),
            argument(&rollout.flags),
            argument(&words),
            argument(&priced),
            argument(&weight),
            all as u32,
            prices.len().min(rollout.cost.rows),
        );
    }
    (priced, weight)
}

/// Levels of every factor of the action.
pub fn levels(shape: &NetworkShape) -> Arc<Vec<u32>> {
    let levels = |head: &Head| match head {
        Head::Categorical { levels } => *levels,
        Head::Gaussian => 1,
    };
    Arc::new(shape.outputs.heads.iter().map(levels).collect())
}

/// Put random actions among the greedy ones at decision `t`, which is decision `step` of the run.
pub fn explore(
    device: &Device,
    rollout: &Rollout,
    t: usize,
    levels: &Arc<Vec<u32>>,
    epsilon: f64,
    seed: u64,
    step: u32,
) {
    // SAFETY: mask and action are `[heads][..]` of the rollout; threads beyond its lanes are checked.
    unsafe {
        explore::explore::launch_unchecked(
            &device.client,
            grid(rollout.lanes),
            group(),
            argument(&rollout.mask),
            argument(&rollout.action),
            rollout.lanes as u32,
            t as u32,
            rollout.steps as u32,
            step,
            epsilon as f32,
            seed as u32,
            (seed >> 32) as u32,
            levels.clone(),
        );
    }
}
