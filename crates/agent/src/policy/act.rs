//! Inference of a rollout: every lane's decision in one launch.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_kernels::device::{AdapterKind, Device};
use posology_kernels::policy::ActPlan;
use posology_kernels::policy::act::{act, copy};
use posology_kernels::update::{grid, group};

use super::shape::NetworkShape;
use crate::rollout::{Buffer, Rollout};

/// Threads of a workgroup.
const WORKGROUP: u32 = 64;

/// How actions are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    pub seed: u64,
    /// Number of lane 0, where the lanes are part of a larger batch.
    pub first: u32,
    /// Number of the decision since training began, so that no random number is used twice.
    pub step: u32,
    /// Take the most probable level and the middle of the normal instead of drawing.
    pub deterministic: bool,
}

/// How the work is laid on threads; see [`ActPlan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub lanes: usize,
    pub block: usize,
    pub unroll: usize,
    pub share_weights: bool,
}

impl Mapping {
    /// The best one measured for a kind of adapter.
    pub fn of(device: &Device) -> Self {
        let description = &device.description;
        if description.kind == AdapterKind::Software && description.subgroup_size.0 >= 8 {
            // every read of memory is eight reads there
            Self {
                lanes: 4,
                block: 8,
                unroll: 1,
                share_weights: true,
            }
        } else {
            Self {
                lanes: 1,
                block: 8,
                unroll: 4,
                share_weights: false,
            }
        }
    }
}

/// A policy that decides for `lanes` lanes and remembers each of them.
pub struct Actor {
    device: Device,
    deciding: Arc<ActPlan>,
    valuing: Arc<ActPlan>,
    lanes: usize,
    core: Buffer,
    scratch: Buffer,
    outputs: Buffer,
}

impl Actor {
    /// An actor whose core is zero.
    pub fn new(device: &Device, shape: &NetworkShape, lanes: usize) -> Self {
        Self::with_mapping(device, shape, lanes, Mapping::of(device))
    }

    /// As [`Actor::new`], with the work laid out as wanted.
    pub fn with_mapping(
        device: &Device,
        shape: &NetworkShape,
        lanes: usize,
        mapping: Mapping,
    ) -> Self {
        let deciding = ActPlan {
            shape: shape.clone(),
            lanes: mapping.lanes,
            block: mapping.block,
            unroll: mapping.unroll,
            share_weights: mapping.share_weights,
            values_only: false,
        };
        let valuing = ActPlan {
            values_only: true,
            ..deciding.clone()
        };
        let client = &device.client;
        let zeros = vec![0; shape.state() * lanes];
        Self {
            device: device.clone(),
            lanes,
            core: Buffer::from_words(client, &zeros, shape.state(), lanes),
            scratch: Buffer::empty(client, deciding.scratch_rows(), lanes),
            outputs: Buffer::empty(client, shape.rows(), lanes),
            deciding: Arc::new(deciding),
            valuing: Arc::new(valuing),
        }
    }

    /// The state of the core, `[state][lanes]`, before the next decision.
    pub fn core(&self) -> &Buffer {
        &self.core
    }

    /// Go on from this state (of a checkpoint), `[state][lanes]`.
    pub fn set_core(&mut self, words: &[u32]) {
        let (rows, columns) = (self.core.rows, self.core.columns);
        self.core = Buffer::from_words(&self.device.client, words, rows, columns);
    }

    /// All outputs of the last decision, `[rows][lanes]`: the beliefs, for one.
    pub fn outputs(&self) -> &Buffer {
        &self.outputs
    }

    /// A rollout begins: keep the core as it is now in [`Rollout::core`].
    pub fn begin(&self, rollout: &Rollout) {
        let words = self.core.rows * self.core.columns;
        if words == 0 {
            return;
        }
        // SAFETY: both buffers hold `words` words.
        unsafe {
            copy::launch_unchecked(
                &self.device.client,
                grid(words),
                group(),
                BufferArg::from_raw_parts(self.core.handle.clone(), words),
                BufferArg::from_raw_parts(rollout.core.handle.clone(), words),
            );
        }
    }

    /// Decide at `t < steps`: reads observation, mask and started there, writes action,
    /// log-probability and value there, and moves the core on.
    pub fn act(&self, parameters: &Buffer, rollout: &Rollout, t: usize, draw: Draw) {
        self.launch(&self.deciding, parameters, rollout, t, draw);
    }

    /// Only what the critics expect at `t`, which may be the one after the last decision; the core
    /// stays.
    pub fn value(&self, parameters: &Buffer, rollout: &Rollout, t: usize) {
        let draw = Draw {
            seed: 0,
            first: 0,
            step: 0,
            deterministic: true,
        };
        self.launch(&self.valuing, parameters, rollout, t, draw);
    }

    fn launch(
        &self,
        plan: &Arc<ActPlan>,
        parameters: &Buffer,
        rollout: &Rollout,
        t: usize,
        draw: Draw,
    ) {
        let threads = plan.threads(self.lanes) as u32;
        let arg = |buffer: &Buffer| unsafe {
            BufferArg::from_raw_parts(buffer.handle.clone(), buffer.len())
        };
        // SAFETY: the buffers have the shapes that `act` documents, `t` is a decision of theirs.
        unsafe {
            act::launch_unchecked(
                &self.device.client,
                CubeCount::Static(threads.div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                arg(parameters),
                arg(&rollout.observation),
                arg(&rollout.hidden),
                arg(&rollout.mask),
                arg(&rollout.started),
                arg(&self.core),
                arg(&self.scratch),
                arg(&self.outputs),
                arg(&rollout.action),
                arg(&rollout.log_prob),
                arg(&rollout.value),
                self.lanes as u32,
                t as u32,
                rollout.steps as u32,
                draw.first,
                draw.step,
                u32::from(draw.deterministic),
                draw.seed as u32,
                (draw.seed >> 32) as u32,
                plan.clone(),
            );
        }
    }
}
