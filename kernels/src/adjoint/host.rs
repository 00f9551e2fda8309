//! Launching both kernels: a run onto the tape, then its gradient, any number of times.

use std::sync::Arc;

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::backward::{backward, gradient_rows};
use super::trace::{BLOCK, context_rows, first_rows, trace};
use super::{AdjointError, AdjointPlan, differentiable};
use crate::device::{AdapterKind, Device, DeviceError};
use crate::integrate::rk4::Rk4Options;
use crate::launch::{Batch, SOFTWARE_BUDGET, WORKGROUP};
use crate::timeline::{Packed, Timeline, pack};

/// Bytes that the tape may take, if the adapter has room for them.
const TAPE_BYTES: u64 = 256 << 20;
/// Most entries of a tape: what is launched at once.
const MOST_ENTRIES: u64 = 4096;
/// Below this many operations in the rates the four stages are written out.
const UNROLL_BELOW: usize = 150;

/// How the kernels are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdjointOptions {
    /// See [`crate::probe::compensation_survives`].
    pub guard_compensation: bool,
    /// Override the choice between rolled and unrolled stages.
    pub unroll_stages: Option<bool>,
    /// Entries of the tape: override, so that tests can cut a run into many stretches.
    pub capacity: Option<u32>,
    /// Gradients with respect to the values of doses and the durations between events too.
    pub regimen: bool,
    /// Rows of dose scales behind the slots.
    pub scales: usize,
}

/// A program with its timelines on a device, ready to be differentiated.
pub struct Adjoint {
    device: Device,
    plan: Arc<AdjointPlan>,
    step: Rk4Options,
    options: AdjointOptions,
    offsets: (Handle, usize),
    rows: (Handle, usize),
    actions: (Handle, usize),
    /// Most rows and actions of one timeline.
    longest: (usize, usize),
    /// Of each timeline.
    record_counts: Vec<usize>,
}

/// The patients of a batch but for their values: who follows which timeline, and where his records
/// go. On the device, and good for any number of runs.
#[derive(Clone, Debug)]
pub struct Lanes {
    pub n: usize,
    /// Records of all patients.
    pub record_total: usize,
    /// Distance between two records of one patient.
    pub record_stride: u32,
    /// `[2][n]` timelines, first records.
    keys: Handle,
}

/// A run that can be differentiated; everything lies on the device.
pub struct Tape {
    pub n: usize,
    /// `[n_states + accumulators][n]` at the end.
    pub result: Handle,
    /// `[outputs][record_total]`
    pub records: Handle,
    values: Handle,
    lanes: Lanes,
    tape: Handle,
    capacity: u32,
    /// At the start of each stretch, and at the end of the run.
    contexts: Vec<Handle>,
    n_values: usize,
}

impl Tape {
    /// Launches that the run took.
    pub fn stretches(&self) -> usize {
        self.contexts.len() - 1
    }

    /// Memory of tape and contexts.
    pub fn bytes(&self) -> u64 {
        let contexts = self.contexts.iter().map(Handle::size);
        self.tape.size() + contexts.sum::<u64>()
    }
}

/// Adjoints of what a run gave, on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seeds {
    /// `[n_states][n]`
    pub states: Vec<f32>,
    /// `[accumulators][n]`; zero for a summary that was never reached.
    pub summaries: Vec<f32>,
    /// `[outputs][record_total]`
    pub records: Vec<f32>,
}

/// The gradient of one number per patient with respect to what he was simulated with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradient {
    /// `[n_slots][n]` parameters and covariates as they are at the start.
    pub slots: Vec<f32>,
    /// `[n_scales][n]` dose scales.
    pub scales: Vec<f32>,
    /// `[n_states][n]` states after a reset.
    pub initial: Vec<f32>,
    /// `[rows][n]` durations of the rows of the patient's timeline, written out; the time of an event
    /// has the gradient of the row that ends with it less that of the row it begins.
    pub durations: Vec<f32>,
    /// `[actions][n]` values of the actions of his timeline: amounts, rates, new values of slots.
    pub amounts: Vec<f32>,
}

impl Adjoint {
    /// Prepare `timelines`; refuses those without a derivative.
    pub fn new(
        device: &Device,
        plan: Arc<AdjointPlan>,
        timelines: &[Timeline],
        options: AdjointOptions,
    ) -> Result<Self, AdjointError> {
        let timelines = differentiable(timelines)?;
        let Packed {
            offsets,
            mut rows,
            mut actions,
        } = pack(&timelines);
        // a buffer cannot be empty
        if rows.is_empty() {
            rows.extend([0; 8]);
        }
        if actions.is_empty() {
            actions.extend([0; 4]);
        }
        let arithmetic = plan.program().rates.arithmetic_count();
        let up = |words: &[u32]| {
            let handle = device.client.create_from_slice(bytemuck::cast_slice(words));
            (handle, words.len())
        };
        let most = |count: fn(&Timeline) -> usize| timelines.iter().map(count).max().unwrap_or(0);
        Ok(Self {
            step: Rk4Options {
                unroll_stages: options.unroll_stages.unwrap_or(arithmetic < UNROLL_BELOW),
                guard_compensation: options.guard_compensation,
            },
            options,
            offsets: up(&offsets),
            rows: up(&rows),
            actions: up(&actions),
            longest: (
                most(|t| t.rows.len()),
                most(|t| t.rows.iter().map(|row| row.actions.len()).sum()),
            ),
            record_counts: timelines.iter().map(Timeline::record_count).collect(),
            device: device.clone(),
            plan,
        })
    }

    /// The program and its blocks.
    pub fn plan(&self) -> &Arc<AdjointPlan> {
        &self.plan
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Records of each timeline.
    pub fn record_counts(&self) -> &[usize] {
        &self.record_counts
    }

    /// Rows of the values that a run takes: slots, then dose scales.
    pub fn value_rows(&self) -> usize {
        self.plan.program().n_slots + self.options.scales
    }

    /// Rows of the results of a run: final states, then summaries.
    pub fn result_rows(&self) -> usize {
        let program = self.plan.program();
        program.n_states + program.accumulators.len()
    }

    /// Most patients whose buffers fit the adapter's bindings, with `records` records each.
    pub fn max_batch(&self, records: usize) -> usize {
        let rows = [
            context_rows(&self.plan),
            gradient_rows(&self.plan, self.options.scales)[8],
            self.result_rows() + self.plan.program().record.outputs.len() * records,
            if self.options.regimen {
                self.longest.0 + self.longest.1
            } else {
                1
            },
        ];
        let widest = rows.into_iter().max().unwrap_or(1).max(1) as u64;
        let description = &self.device.description;
        let by_memory = description.max_binding_bytes / (4 * widest);
        let by_grid = u64::from(description.max_workgroups) * u64::from(WORKGROUP);
        by_memory.min(by_grid) as usize
    }

    /// Entries of the tape for `n` patients.
    fn capacity(&self, n: usize) -> u32 {
        let entry = 4 * (self.plan.width() * n) as u64;
        let bytes = TAPE_BYTES.min(self.device.description.max_binding_bytes);
        let several = self.offsets.1 > 2;
        // of the walk back, for one entry: twice over its steps, and where stages are rolled three
        // times over the four of them, a loop's last look at its condition counted
        let per_step = if self.step.unroll_stages {
            2
        } else {
            2 + 3 * 5
        };
        let iterations = u64::from(BLOCK) * per_step + 6;
        let most = match self.device.description.kind {
            // as in the simulation: what one lane of a group loops, all do
            AdapterKind::Software if several => {
                MOST_ENTRIES.min(u64::from(SOFTWARE_BUDGET) / 8 / iterations)
            }
            AdapterKind::Software => MOST_ENTRIES.min(u64::from(SOFTWARE_BUDGET) / iterations),
            _ => MOST_ENTRIES,
        };
        let least = self.plan.program().n_inputs as u64 + 4;
        let found = (bytes / entry.max(1)).min(most).max(least) as u32;
        self.options.capacity.map_or(found, |wanted| {
            wanted.clamp(least as u32, found.max(least as u32))
        })
    }

    /// Where it goes on from and stops are `[from, to]`; `result` holds the states at the stop.
    fn launch_trace(&self, tape: &Tape, [from, to]: [&Handle; 2], result: &Handle, fresh: bool) {
        let program = self.plan.program();
        let n = tape.n;
        let n_context = context_rows(&self.plan) * n;
        let n_result = self.result_rows() * n;
        let n_records = (program.record.outputs.len() * tape.lanes.record_total).max(1);
        let buffer = |handle: &Handle, len: usize| unsafe {
            // SAFETY: every length is that of the allocation
            BufferArg::from_raw_parts(handle.clone(), len)
        };
        // SAFETY: buffers have the lengths that `trace` documents, and indices inside the kernel come
        // from timelines packed by `pack`.
        unsafe {
            trace::launch_unchecked(
                &self.device.client,
                CubeCount::Static((n as u32).div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                buffer(&tape.values, tape.n_values),
                buffer(&tape.lanes.keys, 2 * n),
                buffer(&self.offsets.0, self.offsets.1),
                buffer(&self.rows.0, self.rows.1),
                buffer(&self.actions.0, self.actions.1),
                buffer(result, n_result),
                buffer(&tape.records, n_records),
                buffer(&tape.tape, tape.capacity as usize * self.plan.width() * n),
                buffer(from, n_context),
                buffer(to, n_context),
                n as u32,
                tape.lanes.record_stride,
                tape.lanes.record_total as u32,
                0,
                tape.capacity,
                2 * BLOCK * tape.capacity + 64,
                u32::from(fresh),
                self.plan.clone(),
                self.step,
            );
        }
    }

    /// Put who follows which timeline on the device: `[n]` indices into the timelines and `[n]` places
    /// of first records.
    pub fn lanes(
        &self,
        timeline: &[u32],
        first_record: &[u32],
        record_stride: u32,
        record_total: usize,
    ) -> Lanes {
        let keys: Vec<u32> = [timeline, first_record].concat();
        let client = &self.device.client;
        Lanes {
            n: timeline.len(),
            record_total,
            record_stride,
            keys: client.create_from_slice(bytemuck::cast_slice(&keys)),
        }
    }

    /// Integrate one batch (its `patient` and `seed` are not read: no error is drawn).
    pub fn forward(&self, batch: &Batch<'_>) -> Result<Tape, DeviceError> {
        let lanes = self.lanes(
            batch.timeline,
            batch.first_record,
            batch.record_stride,
            batch.record_total,
        );
        let values = bytemuck::cast_slice(batch.values);
        self.forward_on(&lanes, self.device.client.create_from_slice(values))
    }

    /// Integrate patients whose values, `[n_slots + n_scales][n]`, lie on the device already. The memory
    /// must stay as it is for as long as the tape is used.
    pub fn forward_on(&self, lanes: &Lanes, values: Handle) -> Result<Tape, DeviceError> {
        let client = &self.device.client;
        let program = self.plan.program();
        let n = lanes.n;
        let capacity = self.capacity(n);
        let n_context = context_rows(&self.plan) * n;
        let mut tape = Tape {
            n,
            result: client.empty(4 * self.result_rows() * n),
            records: client.empty(4 * (program.record.outputs.len() * lanes.record_total).max(1)),
            n_values: (values.size_in_used() / 4) as usize,
            values,
            lanes: lanes.clone(),
            tape: client.empty(4 * capacity as usize * self.plan.width() * n),
            capacity,
            contexts: vec![client.empty(4 * n_context)],
        };
        let going = first_rows(&self.plan)[8] + 6;
        loop {
            let to = client.empty(4 * n_context);
            let from = tape.contexts[tape.contexts.len() - 1].clone();
            self.launch_trace(&tape, [&from, &to], &tape.result, tape.contexts.len() == 1);
            tape.contexts.push(to.clone());
            let bytes = to.offset_start(4 * (going * n) as u64);
            let codes = client.read_one(bytes).map_err(|error| DeviceError::Lost {
                doing: "integrating for a gradient",
                cause: format!("{error:?}"),
            })?;
            if !bytemuck::cast_slice::<u8, u32>(&codes)[..n].contains(&1) {
                return Ok(tape);
            }
        }
    }

    /// The gradient of `sum(seeds * results)`, on the device: rows as in [`gradient_rows`], and the
    /// regimen's (one word where not wanted). `seeds`: `[n_states + accumulators][n]`, then
    /// `[outputs][record_total]`.
    pub fn backward(&self, tape: &Tape, seeds: &Handle) -> (Handle, Handle) {
        let client = &self.device.client;
        let program = self.plan.program();
        let n = tape.n;
        let n_context = context_rows(&self.plan) * n;
        let n_gradient = gradient_rows(&self.plan, self.options.scales)[8] * n;
        let n_seeds =
            self.result_rows() * n + program.record.outputs.len() * tape.lanes.record_total;
        let gradient = client.empty(4 * n_gradient);
        let n_regimen = if self.options.regimen {
            (self.longest.0 + self.longest.1) * n
        } else {
            1
        };
        let regimen = client.create_from_slice(&vec![0; 4 * n_regimen]);
        let stretches = tape.stretches();
        // what an earlier stretch ends with is no result of the run
        let passing = if stretches > 1 {
            client.empty(4 * self.result_rows() * n)
        } else {
            tape.result.clone()
        };
        for j in (0..stretches).rev() {
            let (from, to) = (&tape.contexts[j], &tape.contexts[j + 1]);
            if j + 1 < stretches {
                self.launch_trace(tape, [from, to], &passing, j == 0);
            }
            let buffer = |handle: &Handle, len: usize| unsafe {
                // SAFETY: every length is that of the allocation
                BufferArg::from_raw_parts(handle.clone(), len)
            };
            // SAFETY: as for `trace`.
            unsafe {
                backward::launch_unchecked(
                    client,
                    CubeCount::Static((n as u32).div_ceil(WORKGROUP), 1, 1),
                    CubeDim::new_1d(WORKGROUP),
                    buffer(&tape.values, tape.n_values),
                    buffer(&tape.lanes.keys, 2 * n),
                    buffer(&self.offsets.0, self.offsets.1),
                    buffer(&self.rows.0, self.rows.1),
                    buffer(&self.actions.0, self.actions.1),
                    buffer(&tape.tape, tape.capacity as usize * self.plan.width() * n),
                    buffer(from, n_context),
                    buffer(to, n_context),
                    buffer(&tape.contexts[stretches], n_context),
                    buffer(seeds, n_seeds),
                    buffer(&gradient, n_gradient),
                    buffer(&regimen, n_regimen),
                    n as u32,
                    tape.lanes.record_stride,
                    tape.lanes.record_total as u32,
                    self.longest.0 as u32,
                    0,
                    u32::from(j + 1 == stretches),
                    self.plan.clone(),
                    self.options.scales,
                    self.options.regimen,
                    self.step,
                );
            }
        }
        (gradient, regimen)
    }

    /// Read what a run gave: final states and summaries `[n_states + accumulators][n]`, records.
    pub fn read(&self, tape: &Tape) -> Result<(Vec<f32>, Vec<f32>), DeviceError> {
        let back = self.fetch(vec![tape.result.clone(), tape.records.clone()])?;
        Ok((back[0].clone(), back[1].clone()))
    }

    fn fetch(&self, handles: Vec<Handle>) -> Result<Vec<Vec<f32>>, DeviceError> {
        let back = self
            .device
            .client
            .read(handles)
            .map_err(|error| DeviceError::Lost {
                doing: "reading a gradient",
                cause: format!("{error:?}"),
            })?;
        let floats = |bytes: &[u8]| bytemuck::cast_slice(bytes).to_vec();
        Ok(back.iter().map(|bytes| floats(bytes)).collect())
    }

    /// The gradient of `sum(seeds * results)`, on the host.
    pub fn gradient(&self, tape: &Tape, seeds: &Seeds) -> Result<Gradient, DeviceError> {
        let all: Vec<f32> = [&seeds.states[..], &seeds.summaries, &seeds.records].concat();
        let handle = self
            .device
            .client
            .create_from_slice(bytemuck::cast_slice(&all));
        let (gradient, regimen) = self.backward(tape, &handle);
        let back = self.fetch(vec![gradient, regimen])?;
        let at = gradient_rows(&self.plan, self.options.scales);
        let n = tape.n;
        let rows = |k: usize| back[0][at[k] * n..at[k + 1] * n].to_vec();
        let cut = if self.options.regimen {
            self.longest.0 * n
        } else {
            0
        };
        let (durations, amounts) = back[1].split_at(cut);
        Ok(Gradient {
            slots: rows(0),
            scales: rows(1),
            initial: rows(2),
            durations: durations.to_vec(),
            amounts: if self.options.regimen {
                amounts.to_vec()
            } else {
                Vec::new()
            },
        })
    }
}
