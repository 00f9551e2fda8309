//! Launching the simulation kernel: buffers up, one dispatch, results down.

use std::ops::Range;
use std::sync::Arc;

use cubecl::bytes::Bytes;
use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::device::{AdapterKind, Device, DeviceError};
use crate::integrate::rk4::Rk4Options;
use crate::simulate::{
    KernelOptions, Plan, RUNNING, Status, context_rows, result_rows, simulate, status_place,
};
use crate::timeline::{ACTION_WORDS, Packed, ROW_WORDS, Timeline, pack};

/// Threads per workgroup; patients are independent, so any size works, and 64 suits both
/// software adapters and GPUs of 32 or 64 lanes.
pub(crate) const WORKGROUP: u32 = 64;
/// Below this many operations in the rates the four stages are written out (`results/engine.json`).
pub const UNROLL_BELOW: usize = 300;

/// Loop iterations per launch. Mesa's llvmpipe ends a shader's loops, without an error, when they
/// have made 65,535 iterations in all (`LP_MAX_TGSI_LOOP_ITERATIONS`); the margin covers the last
/// block of steps.
pub(crate) const SOFTWARE_BUDGET: u32 = 60_000;
/// Lanes of a software adapter's group, which run in step: what one lane loops, all do.
const SOFTWARE_LANES: u32 = 8;
/// Keeps one launch on a GPU well below the seconds after which display drivers reset it.
const HARDWARE_BUDGET: u32 = 1_000_000;

/// What the caller wants of the kernel; the rest is derived from program and timelines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimulatorOptions {
    /// Records carry the residual error that the program declares.
    pub residual_error: bool,
    /// See [`crate::probe::compensation_survives`].
    pub guard_compensation: bool,
    /// Override the choice between rolled and unrolled stages.
    pub unroll_stages: Option<bool>,
    /// Override the loop iterations of one launch, so that tests can cut a run into many launches.
    pub budget: Option<u32>,
}

/// A batch of patients, `n` of them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub n: usize,
    /// `[n_slots + n_scales][n]`, coherent units.
    pub values: &'a [f32],
    /// `[n]` index into the timelines.
    pub timeline: &'a [u32],
    /// `[n]` where the patient's first record goes.
    pub first_record: &'a [u32],
    /// `[n]` patient numbers, the counters of their random streams.
    pub patient: &'a [u32],
    /// Distance between two records of one patient.
    pub record_stride: u32,
    /// Records of all patients.
    pub record_total: usize,
    pub seed: u64,
}

/// What came back, structure-of-arrays, coherent units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub n: usize,
    /// `[n_states][n]` at the end, or where a patient was frozen.
    pub states: Vec<f32>,
    /// `[accumulators][n]`
    pub summaries: Vec<f32>,
    /// `[n]` time reached.
    pub time: Vec<f32>,
    /// `[n]`
    pub status: Vec<Status>,
    /// `[n]` records stored; fewer than in the timeline if the patient was frozen.
    pub recorded: Vec<u32>,
    pub records: Records,
}

/// What a batch recorded, `[outputs / width][record_total][width]`, as it came from the device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    values: Option<Bytes>,
    width: usize,
    total: usize,
}

impl Records {
    /// One output over all records.
    pub fn column(&self, output: usize) -> Column<'_> {
        let length = self.total * self.width;
        let (block, lane) = (output / self.width.max(1), output % self.width.max(1));
        Column {
            values: self
                .values()
                .get(block * length..)
                .map_or(&[], |v| &v[..length]),
            width: self.width,
            lane,
        }
    }

    /// All of them, as they lie on the device.
    pub fn values(&self) -> &[f32] {
        self.values
            .as_ref()
            .map_or(&[], |bytes| bytemuck::cast_slice(bytes))
    }
}

/// One output over all records of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    values: &'a [f32],
    width: usize,
    lane: usize,
}

impl<'a> Column<'a> {
    /// The value in the record at place `record`.
    pub fn get(&self, record: usize) -> f32 {
        self.values[record * self.width + self.lane]
    }

    /// Append all values, divided by `scale`, in the order in which they lie on the device.
    pub fn append(self, scale: f64, to: &mut Vec<f64>) {
        match self.width {
            4 => self.append_vectors::<4>(scale, to),
            2 => self.append_vectors::<2>(scale, to),
            _ => self.append_vectors::<1>(scale, to),
        }
    }

    fn append_vectors<const W: usize>(self, scale: f64, to: &mut Vec<f64>) {
        let (records, _) = self.values.as_chunks::<W>();
        // tells the compiler that no index is out of bounds
        let lane = self.lane % W;
        let shown = records.iter().map(|record| f64::from(record[lane]));
        // a division costs as much as all the rest
        if scale == 1.0 {
            to.extend(shown);
        } else {
            to.extend(shown.map(|value| value / scale));
        }
    }
}

/// The widest vector that `outputs` fill without a rest: wider stores are fewer stores.
fn record_width(outputs: usize) -> usize {
    [4, 2]
        .into_iter()
        .find(|width| outputs > 0 && outputs.is_multiple_of(*width))
        .unwrap_or(1)
}

/// A program on a device, with its timelines uploaded.
pub struct Simulator {
    device: Device,
    plan: Arc<Plan>,
    options: KernelOptions,
    floors: Handle,
    spans: (Handle, usize),
    rows: (Handle, usize),
    actions: (Handle, usize),
    uploaded: u64,
    /// Loop iterations of one launch.
    budget: u32,
}

impl Simulator {
    /// `floors`: lowest value of each state, `[n_states]`.
    pub fn new(
        device: &Device,
        plan: Arc<Plan>,
        timelines: &[Timeline],
        floors: &[f32],
        options: SimulatorOptions,
    ) -> Self {
        let mut packed = pack(timelines);
        packed.join();
        let Packed {
            mut offsets,
            mut rows,
            mut actions,
        } = packed;
        // one empty timeline at the end, for `build`
        offsets.extend(offsets.last().copied());
        let spans: Vec<u32> = offsets.windows(2).flatten().copied().collect();
        let floors = padded(floors);
        // a buffer cannot be empty
        if rows.is_empty() {
            rows.resize(ROW_WORDS as usize, 0);
        }
        if actions.is_empty() {
            actions.resize(ACTION_WORDS as usize, 0);
        }
        let arithmetic = plan.program.rates.arithmetic_count();
        let mut kernel = KernelOptions {
            step: Rk4Options {
                unroll_stages: options.unroll_stages.unwrap_or(arithmetic < UNROLL_BELOW),
                guard_compensation: options.guard_compensation,
            },
            steady_state: timelines.iter().any(Timeline::seeks_steady_state),
            repeats: timelines.iter().any(Timeline::repeats),
            scales: timelines.iter().any(Timeline::scales),
            residual_error: options.residual_error,
            resumable: false,
            keep_floors: device.description.kind == AdapterKind::Software,
        };
        let lanes = SOFTWARE_LANES.max(device.description.subgroup_size.1);
        let budget = match device.description.kind {
            // lanes that are not at the same row take turns, and a group's iterations are those of all
            AdapterKind::Software if timelines.len() > 1 || kernel.steady_state => {
                SOFTWARE_BUDGET / lanes
            }
            AdapterKind::Software => SOFTWARE_BUDGET,
            _ => HARDWARE_BUDGET,
        };
        let budget = options.budget.map_or(budget, |wanted| wanted.min(budget));
        let longest = timelines
            .iter()
            .map(|t| t.iteration_count(kernel.iterations_per_step()))
            .max();
        kernel.resumable = kernel.steady_state || longest.unwrap_or(0) >= u64::from(budget);
        let client = &device.client;
        let up = |words: &[u32]| {
            (
                client.create_from_slice(bytemuck::cast_slice(words)),
                words.len(),
            )
        };
        Self {
            floors: client.create_from_slice(bytemuck::cast_slice(&floors)),
            spans: up(&spans),
            rows: up(&rows),
            actions: up(&actions),
            uploaded: 4 * (spans.len() + rows.len() + actions.len() + floors.len()) as u64,
            device: device.clone(),
            plan,
            options: kernel,
            budget,
        }
    }

    /// How the kernel is built.
    pub fn options(&self) -> KernelOptions {
        self.options
    }

    /// What the kernel was made from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of timelines uploaded once.
    pub fn uploaded_bytes(&self) -> u64 {
        self.uploaded
    }

    /// Whether records of patients with equal timelines should interleave: neighbouring threads of a
    /// GPU then write neighbouring words. A software adapter writes one lane after the other, and the
    /// host reads records of a patient that lie together faster.
    pub fn interleaves(&self) -> bool {
        self.device.description.kind != AdapterKind::Software
    }

    /// Largest batch whose buffers fit the adapter's bindings, with `records` records per patient.
    pub fn max_batch(&self, n_scales: usize, records: usize) -> usize {
        let program = &self.plan.program;
        let rows = [
            (program.n_slots + n_scales).next_multiple_of(4),
            4,
            result_rows(&self.plan).next_multiple_of(4),
            program.record.outputs.len().max(1) * records.max(1),
        ];
        let widest = rows.into_iter().max().unwrap_or(1).max(1) as u64;
        let by_memory = self.device.description.max_binding_bytes / (4 * widest);
        let by_grid = u64::from(self.device.description.max_workgroups) * u64::from(WORKGROUP);
        by_memory.min(by_grid).max(1) as usize
    }

    /// Integrate one batch; returns when the results are on the host.
    pub fn run(&self, batch: &Batch<'_>) -> Result<Outcome, DeviceError> {
        let client = &self.device.client;
        let program = &self.plan.program;
        let (n, outputs) = (batch.n, program.record.outputs.len());
        if n == 0 {
            return Ok(Outcome::default());
        }
        let n_result = result_rows(&self.plan).next_multiple_of(4) * n;
        let width = record_width(outputs);
        let n_records = (outputs * batch.record_total).max(width);
        let keys = batch.timeline.iter().zip(batch.first_record);
        let keys = keys.zip(batch.patient).map(|((&t, &r), &p)| [t, r, p, 0]);
        let keys = client.create(Bytes::from_elems(keys.collect::<Vec<[u32; 4]>>()));
        let values = in_fours(batch.values, n);
        let n_values = values.len();
        let values = client.create(Bytes::from_elems(values));
        let result = client.empty(4 * n_result);
        let records = client.empty(4 * n_records);
        let n_context = if self.options.resumable {
            context_rows(&self.plan, self.options.steady_state) * n
        } else {
            1
        };
        let context = client.empty(4 * n_context);
        let lost = |error: &dyn std::fmt::Display| DeviceError::Lost {
            doing: "running the simulation kernel",
            cause: error.to_string(),
        };
        let mut resume = 0;
        loop {
            // SAFETY: every buffer has the length that `simulate` documents for these arguments,
            // and indices inside the kernel come from timelines packed by `pack`.
            unsafe {
                let buffer =
                    |handle: &Handle, len: usize| BufferArg::from_raw_parts(handle.clone(), len);
                simulate::launch_unchecked(
                    client,
                    CubeCount::Static((n as u32).div_ceil(WORKGROUP), 1, 1),
                    CubeDim::new_1d(WORKGROUP),
                    width,
                    buffer(&values, n_values),
                    buffer(&keys, n),
                    buffer(&self.spans.0, self.spans.1 / 2),
                    buffer(&self.rows.0, self.rows.1 / 4),
                    buffer(&self.actions.0, self.actions.1 / 4),
                    buffer(&self.floors, program.n_states.div_ceil(4)),
                    buffer(&result, n_result / 4),
                    buffer(&records, n_records / width),
                    buffer(&context, n_context),
                    n as u32,
                    batch.record_stride,
                    batch.record_total as u32,
                    batch.seed as u32,
                    (batch.seed >> 32) as u32,
                    0,
                    self.budget,
                    resume,
                    self.plan.clone(),
                    self.options,
                );
            }
            if !self.options.resumable {
                break;
            }
            let (block, lane) = status_place(&self.plan);
            let (before, all) = (16 * (block * n) as u64, 4 * n_result as u64);
            let codes = result.clone().offset_start(before);
            let codes = client
                .read_one(codes.offset_end(all - before - 16 * n as u64))
                .map_err(|error| lost(&format!("{error:?}")))?;
            let codes = bytemuck::cast_slice::<u8, [u32; 4]>(&codes);
            if codes[..n].iter().all(|four| four[lane] != RUNNING) {
                break;
            }
            resume = 1;
        }
        let mut wanted = vec![result];
        if outputs * batch.record_total > 0 {
            wanted.push(records);
        }
        let mut back = client
            .read(wanted)
            .map_err(|error| lost(&format!("{error:?}")))?;
        let records = if back.len() == 2 { back.pop() } else { None };
        let result: &[[u32; 4]] = bytemuck::cast_slice(&back[0]);
        let row = |k: usize| result[k / 4 * n..][..n].iter().map(move |four| four[k % 4]);
        let floats = |rows: Range<usize>| {
            let mut all = Vec::with_capacity(rows.len() * n);
            rows.for_each(|k| all.extend(row(k).map(f32::from_bits)));
            all
        };
        let summaries = program.n_states + program.accumulators.len();
        Ok(Outcome {
            n,
            states: floats(0..program.n_states),
            summaries: floats(program.n_states..summaries),
            time: floats(summaries..summaries + 1),
            status: row(summaries + 1).map(Status::from_code).collect(),
            recorded: row(summaries + 2).collect(),
            records: Records {
                values: records,
                width,
                total: batch.record_total,
            },
        })
    }

    /// Build the kernel without integrating anyone, so that a caller can time it.
    pub fn build(&self) -> Result<(), DeviceError> {
        let values = vec![1.0; self.plan.program.n_slots + 64];
        let batch = Batch {
            n: 1,
            values: &values,
            timeline: &[(self.spans.1 / 2 - 1) as u32],
            first_record: &[0],
            patient: &[0],
            record_stride: 1,
            record_total: 1,
            seed: 0,
        };
        self.run(&batch).map(|_| ())
    }
}

fn padded(values: &[f32]) -> Vec<f32> {
    let mut values = values.to_vec();
    values.resize(values.len().next_multiple_of(4), 0.0);
    values
}

/// Rows `[rows][n]` as the kernel reads them, `[rows / 4][n][4]`, rounded up.
fn in_fours(rows: &[f32], n: usize) -> Vec<[f32; 4]> {
    let mut fours = vec![[0.0; 4]; (rows.len() / n).div_ceil(4) * n];
    for (fours, rows) in fours.chunks_exact_mut(n).zip(rows.chunks(4 * n)) {
        let row = |k: usize| &rows[k * n..(k + 1) * n];
        if rows.len() == 4 * n {
            // all at once is one pass instead of four
            let (low, high) = (row(0).iter().zip(row(1)), row(2).iter().zip(row(3)));
            for (four, ((a, b), (c, d))) in fours.iter_mut().zip(low.zip(high)) {
                *four = [*a, *b, *c, *d];
            }
        } else {
            for lane in 0..rows.len() / n {
                for (four, value) in fours.iter_mut().zip(row(lane)) {
                    four[lane] = *value;
                }
            }
        }
    }
    fours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_vectors_of_four() {
        let rows: Vec<f32> = (0..18).map(|k| k as f32).collect();
        let fours = in_fours(&rows, 3);
        assert_eq!(fours.len(), 6);
        assert_eq!(fours[..2], [[0.0, 3.0, 6.0, 9.0], [1.0, 4.0, 7.0, 10.0]]);
        assert_eq!(
            fours[3..5],
            [[12.0, 15.0, 0.0, 0.0], [13.0, 16.0, 0.0, 0.0]]
        );
    }
}
