//! Lanes of a decision process on a device.

use std::sync::Arc;

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::decide::decide;
use super::follow::{follow, wander};
use super::foresee::{Foresight, foresee};
use super::plan::{DecisionPlan, Rule};
use crate::device::{AdapterKind, Device, DeviceError};
use crate::launch::{SOFTWARE_BUDGET, WORKGROUP};
use crate::timeline::{Timeline, pack};

/// A buffer and its words.
type Words = (Handle, usize);

/// Where a step reads the actions and writes what came of them, each `(buffer, words)`; shapes as
/// in the kernel: `[row][steps or steps + 1][lanes]`.
#[derive(Clone, Debug)]
pub struct DecisionBuffers {
    pub steps: usize,
    pub action: Words,
    pub observation: Words,
    pub mask: Words,
    pub started: Words,
    pub hidden: Words,
    pub reward: Words,
    pub terms: Words,
    pub cost: Words,
    pub flags: Words,
}

/// `n` lanes of one process, with what they carry from decision to decision.
pub struct Lanes {
    device: Device,
    plan: Arc<DecisionPlan>,
    n: usize,
    copies: u32,
    horizon: u32,
    pool: Words,
    pool_size: u32,
    floors: Words,
    rows: Words,
    row_count: u32,
    actions: Words,
    weights: Words,
    context: Words,
    seed: u64,
    first_patient: u32,
    twins: Option<Twins>,
}

/// The twins that a look-ahead shield asks.
struct Twins {
    sight: Foresight,
    context: Words,
    typical: Words,
}

impl Lanes {
    /// * `pool`: `[own_slots][pool_size]` the patients' own slots
    /// * `floors`: `[n_states]` lowest value of each state
    /// * `interval`: doses and steps of one decision interval, without clock, reset or records
    /// * `weights`: `[2][terms]` of the reward's terms, from where to where
    ///
    /// # Errors
    /// Where one interval takes more steps than one launch may.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        device: &Device,
        plan: Arc<DecisionPlan>,
        n: usize,
        horizon: u32,
        pool: &[f32],
        pool_size: usize,
        floors: &[f32],
        interval: &Timeline,
        weights: &[f32],
    ) -> Result<Self, DeviceError> {
        let per_step = if plan.step.unroll_stages { 1 } else { 5 };
        let iterations = interval.iteration_count(per_step);
        if device.description.kind == AdapterKind::Software
            && iterations >= u64::from(SOFTWARE_BUDGET)
        {
            return Err(DeviceError::Lost {
                doing: "preparing the decisions of an environment",
                cause: format!(
                    "one decision interval takes {iterations} loop iterations, the software \
                     adapter allows {SOFTWARE_BUDGET}: decide more often or take longer steps"
                ),
            });
        }
        let packed = pack(std::slice::from_ref(interval));
        let client = &device.client;
        let up = |words: &[u32]| {
            // a buffer cannot be empty
            let words = if words.is_empty() { &[0][..] } else { words };
            (
                client.create_from_slice(bytemuck::cast_slice(words)),
                words.len(),
            )
        };
        let floats = |values: &[f32]| up(bytemuck::cast_slice(values));
        let context = plan.context_rows() * n;
        Ok(Self {
            pool: floats(pool),
            pool_size: pool_size as u32,
            floors: floats(floors),
            rows: up(&packed.rows),
            row_count: interval.rows.len() as u32,
            actions: up(&packed.actions),
            weights: floats(weights),
            context: up(&vec![0; context]),
            device: device.clone(),
            plan,
            n,
            copies: 1,
            horizon,
            seed: 0,
            first_patient: 0,
            twins: None,
        })
    }

    /// Look ahead before each decision, in a twin of every lane; a [`Lanes::begin`] must follow.
    /// `typical`: `[parameters]` coherent values of the typical patient.
    ///
    /// # Errors
    /// Where one look takes more steps than one launch may.
    pub fn look_ahead(
        &mut self,
        sight: Foresight,
        typical: &[f32],
        interval: &Timeline,
    ) -> Result<(), DeviceError> {
        let per_step = if sight.step.unroll_stages { 1 } else { 5 };
        let intervals = sight.intervals(&self.plan);
        let iterations = interval.iteration_count(per_step) * intervals;
        if self.device.description.kind == AdapterKind::Software
            && iterations >= u64::from(SOFTWARE_BUDGET)
        {
            return Err(DeviceError::Lost {
                doing: "preparing the look-ahead of an environment",
                cause: format!(
                    "one look takes {iterations} loop iterations ({intervals} intervals), the \
                     software adapter allows {SOFTWARE_BUDGET}: fewer levels, a shorter `within`, \
                     or longer steps"
                ),
            });
        }
        let client = &self.device.client;
        let up = |words: &[u32]| {
            let words = if words.is_empty() { &[0][..] } else { words };
            let handle = client.create_from_slice(bytemuck::cast_slice(words));
            (handle, words.len())
        };
        self.twins = Some(Twins {
            context: up(&vec![0; sight.context_rows() * self.n]),
            typical: up(bytemuck::cast_slice(typical)),
            sight,
        });
        Ok(())
    }

    /// Launches of one decision of all lanes.
    pub fn launches(&self) -> u64 {
        1 + u64::from(self.twins.is_some())
    }

    /// What the lanes are built with.
    pub fn plan(&self) -> &Arc<DecisionPlan> {
        &self.plan
    }

    /// Lanes.
    pub fn lanes(&self) -> usize {
        self.n
    }

    /// Neighbouring lanes, so many, play the same patient from the next [`Lanes::begin`] on.
    pub fn copies(&mut self, copies: u32) {
        self.copies = copies.max(1);
    }

    /// Set the plan's kept slots, `[kept slots][n]` coherent values; a [`Lanes::begin`] must follow.
    pub fn keep(&mut self, values: &[f32]) {
        let mut words = vec![0u32; self.context.1];
        let first = 2 * self.plan.plan.program.n_integrated();
        for (slot, row) in self.plan.kept_slots.iter().zip(values.chunks(self.n)) {
            let at = (first + slot) * self.n;
            words[at..at + row.len()].copy_from_slice(bytemuck::cast_slice(row));
        }
        let client = &self.device.client;
        self.context.0 = client.create_from_slice(bytemuck::cast_slice(&words));
    }

    /// The actions of a rule at decision `t` of all lanes, one launch.
    pub fn follow(&self, t: usize, rule: &Rule, buffers: &DecisionBuffers) {
        // SAFETY: as in `launch`; `follow` reads the context that `decide` wrote.
        unsafe {
            let of = |(handle, len): &Words| BufferArg::from_raw_parts(handle.clone(), *len);
            follow::launch_unchecked(
                &self.device.client,
                CubeCount::Static((self.n as u32).div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                of(&self.context),
                of(&buffers.mask),
                of(&buffers.action),
                self.n as u32,
                buffers.steps as u32,
                t as u32,
                rule.clone(),
            );
        }
    }

    /// Random actions at decision `t` of all lanes, one launch; `number` counts decisions over
    /// rollouts.
    pub fn wander(&self, t: usize, number: u32, seed: u64, buffers: &DecisionBuffers) {
        // SAFETY: as in `launch`.
        unsafe {
            let of = |(handle, len): &Words| BufferArg::from_raw_parts(handle.clone(), *len);
            wander::launch_unchecked(
                &self.device.client,
                CubeCount::Static((self.n as u32).div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                of(&buffers.mask),
                of(&buffers.action),
                self.n as u32,
                buffers.steps as u32,
                t as u32,
                number,
                seed as u32,
                (seed >> 32) as u32,
                self.plan.clone(),
            );
        }
    }

    /// Begin an episode in every lane: writes decision 0.
    pub fn begin(&mut self, seed: u64, first_patient: u32, buffers: &DecisionBuffers) {
        (self.seed, self.first_patient) = (seed, first_patient);
        self.launch(0, 1, buffers);
    }

    /// Decision `t` of all lanes, one launch.
    pub fn step(&mut self, t: usize, buffers: &DecisionBuffers) {
        self.launch(t as u32, 0, buffers);
    }

    fn launch(&self, t: u32, begin: u32, buffers: &DecisionBuffers) {
        // SAFETY: the caller's buffers have the shapes that `decide` documents, its own were made
        // by `new`, and indices inside the kernel come from an interval packed by `pack`.
        unsafe {
            let of =
                |(handle, len): &Words| BufferArg::from_raw_parts(handle.clone(), (*len).max(1));
            decide::launch_unchecked(
                &self.device.client,
                CubeCount::Static((self.n as u32).div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                of(&self.context),
                of(&self.pool),
                of(&self.floors),
                of(&self.rows),
                of(&self.actions),
                of(&self.weights),
                of(&buffers.action),
                of(&buffers.observation),
                of(&buffers.mask),
                of(&buffers.started),
                of(&buffers.hidden),
                of(&buffers.reward),
                of(&buffers.terms),
                of(&buffers.cost),
                of(&buffers.flags),
                self.n as u32,
                buffers.steps as u32,
                t,
                self.row_count,
                self.pool_size,
                self.first_patient,
                self.copies,
                self.horizon,
                self.seed as u32,
                (self.seed >> 32) as u32,
                0,
                begin,
                self.plan.clone(),
            );
        }
        self.foresee(t, begin, buffers);
    }

    fn context(&self) -> Result<Vec<u32>, DeviceError> {
        let bytes = self.device.client.read_one(self.context.0.clone());
        let bytes = bytes.map_err(|error| DeviceError::Lost {
            doing: "reading the state of an environment",
            cause: format!("{error:?}"),
        })?;
        Ok(bytemuck::cast_slice::<u8, u32>(&bytes)[..self.context.1].to_vec())
    }

    /// What every slot of every lane holds now, `[slots][n]`: for what is done once, not for
    /// training.
    ///
    /// # Errors
    /// When the device fails.
    pub fn slots(&self) -> Result<Vec<f32>, DeviceError> {
        let first = 2 * self.plan.plan.program.n_integrated() * self.n;
        let count = self.plan.plan.program.n_slots * self.n;
        let context = self.context()?;
        Ok(bytemuck::cast_slice(&context[first..first + count]).to_vec())
    }

    /// Put these values, one per slot, into the slots that are named, of all lanes.
    ///
    /// # Errors
    /// When the device fails.
    pub fn put(&mut self, slots: &[usize], values: &[f32]) -> Result<(), DeviceError> {
        let first = 2 * self.plan.plan.program.n_integrated();
        let mut words = self.context()?;
        for (slot, value) in slots.iter().zip(values) {
            let at = (first + slot) * self.n;
            words[at..at + self.n].fill(value.to_bits());
        }
        let client = &self.device.client;
        self.context.0 = client.create_from_slice(bytemuck::cast_slice(&words));
        Ok(())
    }

    /// Number the patient of each lane anew, in the midst of his episode: from now on he meets the
    /// measurement errors of that number.
    ///
    /// # Errors
    /// When the device fails.
    pub fn renumber(&mut self, numbers: &[u32]) -> Result<(), DeviceError> {
        let program = &self.plan.plan.program;
        // behind states and slots: the phase, then the patient
        let at = (2 * program.n_integrated() + program.n_slots + 1) * self.n;
        let mut words = self.context()?;
        for (word, number) in words[at..at + self.n].iter_mut().zip(numbers) {
            *word = *number;
        }
        let client = &self.device.client;
        self.context.0 = client.create_from_slice(bytemuck::cast_slice(&words));
        Ok(())
    }

    /// Restrict the masks that `decide` has written to what the twins bear.
    fn foresee(&self, t: u32, begin: u32, buffers: &DecisionBuffers) {
        let Some(twins) = &self.twins else { return };
        // SAFETY: as in `launch`; the twins' buffers were made by `look_ahead`.
        unsafe {
            let of =
                |(handle, len): &Words| BufferArg::from_raw_parts(handle.clone(), (*len).max(1));
            foresee::launch_unchecked(
                &self.device.client,
                CubeCount::Static((self.n as u32).div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                of(&self.context),
                of(&twins.context),
                of(&twins.typical),
                of(&self.rows),
                of(&self.actions),
                of(&buffers.flags),
                of(&buffers.started),
                of(&buffers.mask),
                self.n as u32,
                buffers.steps as u32,
                t,
                self.row_count,
                0,
                begin,
                self.plan.clone(),
                twins.sight.clone(),
            );
        }
    }

    /// What the lanes carry, for a checkpoint: seed, first patient, context, twins.
    ///
    /// # Errors
    /// When the device fails.
    pub fn snapshot(&self) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = self.seed.to_le_bytes().to_vec();
        bytes.extend(self.first_patient.to_le_bytes());
        let twins = self.twins.as_ref().map(|twins| &twins.context);
        for (handle, words) in std::iter::once(&self.context).chain(twins) {
            let context = self
                .device
                .client
                .read_one(handle.clone())
                .map_err(|error| DeviceError::Lost {
                    doing: "reading the state of an environment",
                    cause: format!("{error:?}"),
                })?;
            bytes.extend(&context[..4 * words]);
        }
        Ok(bytes)
    }

    /// Go on where [`Lanes::snapshot`] was taken; `false` where the bytes are of other lanes.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let (Some((seed, rest)), true) = (
            bytes.split_first_chunk::<8>(),
            bytes.len()
                == 12 + 4 * (self.context.1 + self.twins.as_ref().map_or(0, |t| t.context.1)),
        ) else {
            return false;
        };
        let Some((first, context)) = rest.split_first_chunk::<4>() else {
            return false;
        };
        self.seed = u64::from_le_bytes(*seed);
        self.first_patient = u32::from_le_bytes(*first);
        let (context, twins) = context.split_at(4 * self.context.1);
        self.context.0 = self.device.client.create_from_slice(context);
        if let Some(of) = &mut self.twins {
            of.context.0 = self.device.client.create_from_slice(twins);
        }
        true
    }
}
