//! A case on the device: kernel build, run time, and what of it is not the kernel.

use std::time::Instant;

use anyhow::Context;
use posology_kernels::device::Device;
use posology_kernels::launch::{Batch, Outcome, Simulator, SimulatorOptions};
use posology_kernels::probe;
use posology_kernels::simulate::{Plan, Status};
use posology_sim::batch_size;
use serde::Serialize;

use super::case::Case;
use super::measure::{Spread, time};

/// Patients that are sampled; larger batches repeat them.
const SAMPLED: usize = 1 << 16;

/// Times of one case with one number of patients.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceTimes {
    pub patients: usize,
    pub steps: u32,
    /// Launches: as many patients at a time as [`posology_sim::run()`] takes.
    pub batches: usize,
    /// Seconds with upload and download.
    pub seconds: Spread,
    /// The same without a step: upload, launch, initial states, download.
    pub overhead: Spread,
    /// Difference of the medians, s.
    pub kernel_seconds: f64,
    pub bytes_to_device: u64,
    pub bytes_to_host: u64,
    /// Largest scaled error against the f64 reference.
    pub error: f64,
}

/// Options with compensation guarded where this adapter needs it.
pub fn simulator_options(device: &Device) -> anyhow::Result<SimulatorOptions> {
    let guard_compensation = !probe::compensation_survives(device)?;
    Ok(SimulatorOptions {
        guard_compensation,
        ..SimulatorOptions::default()
    })
}

/// Patients of a case, ready to be launched any number of times.
pub struct Ready<'a> {
    case: &'a Case,
    simulator: Simulator,
    pub patients: usize,
    steps: u32,
    /// Patients of a launch, and of each.
    n: usize,
    counts: Vec<usize>,
    values: Vec<f32>,
    /// The last, smaller batch has rows of its own length.
    rest: Vec<f32>,
    ids: Vec<u32>,
}

impl<'a> Ready<'a> {
    pub fn new(
        device: &Device,
        case: &'a Case,
        options: SimulatorOptions,
        patients: usize,
        steps: u32,
    ) -> anyhow::Result<Self> {
        let plan = Plan::new(case.program.clone());
        let timelines = [case.timeline(steps), case.timeline(0)];
        let simulator = Simulator::new(device, plan, &timelines, &case.floors, options);
        let n = simulator
            .max_batch(0, 0)
            .min(patients)
            .min(batch_size(device));
        let sampled = case.values(n.min(SAMPLED))?;
        let counts: Vec<usize> = (0..patients.div_ceil(n))
            .map(|b| n.min(patients - b * n))
            .collect();
        let last = counts.last().copied().unwrap_or(n);
        Ok(Self {
            case,
            simulator,
            patients,
            steps,
            n,
            counts,
            values: repeated(&sampled, n.min(SAMPLED), n),
            rest: repeated(&sampled, n.min(SAMPLED), last),
            ids: (0..n as u32).collect(),
        })
    }

    /// Launches of a run.
    pub fn batches(&self) -> usize {
        self.counts.len()
    }

    /// Bytes of a run, to the device and back.
    pub fn bytes(&self) -> (u64, u64) {
        let (up, down) = self.simulator.plan().patient_bytes(0);
        let patients = self.patients as u64;
        (
            self.simulator.uploaded_bytes() + patients * up,
            patients * down,
        )
    }

    /// All of them, with upload and download; the outcome of the first launch.
    pub fn run(&self) -> anyhow::Result<Outcome> {
        self.launch(0)
    }

    /// The same without a step.
    fn idle(&self) -> anyhow::Result<()> {
        self.launch(1).map(drop)
    }

    fn launch(&self, timeline: u32) -> anyhow::Result<Outcome> {
        let mut first = None;
        for &count in &self.counts {
            let batch = Batch {
                n: count,
                values: if count == self.n {
                    &self.values
                } else {
                    &self.rest
                },
                timeline: &vec![timeline; count],
                first_record: &self.ids[..count],
                patient: &self.ids[..count],
                record_stride: count as u32,
                record_total: 0,
                seed: 1,
            };
            let outcome = self
                .simulator
                .run(&batch)
                .context("running the benchmark's kernel")?;
            first.get_or_insert(outcome);
        }
        first.context("no patients")
    }

    /// Largest scaled error of what [`Self::run`] gave.
    ///
    /// # Errors
    /// Patients who diverged, an error beyond what counts as the same.
    pub fn error(&self, outcome: &Outcome) -> anyhow::Result<f64> {
        let failed = outcome
            .status
            .iter()
            .filter(|&&status| status != Status::Completed)
            .count();
        anyhow::ensure!(
            failed == 0,
            "{failed} of {} patients of {} diverged",
            self.n,
            self.case.model.name
        );
        let states = &outcome.states;
        self.case
            .checked_error("the device", &self.values, states, self.n, self.steps)
    }
}

/// Time `patients` through `steps` steps.
pub fn run(
    device: &Device,
    case: &Case,
    options: SimulatorOptions,
    patients: usize,
    steps: u32,
    repeats: usize,
) -> anyhow::Result<DeviceTimes> {
    let ready = Ready::new(device, case, options, patients, steps)?;
    let mut outcome = Outcome::default();
    let seconds = time(repeats, || ready.run().map(|result| outcome = result))?;
    let overhead = time(repeats, || ready.idle())?;
    let error = ready.error(&outcome)?;
    let (bytes_to_device, bytes_to_host) = ready.bytes();
    Ok(DeviceTimes {
        patients,
        steps,
        batches: ready.batches(),
        seconds,
        overhead,
        kernel_seconds: (seconds.median - overhead.median).max(0.0),
        bytes_to_device,
        bytes_to_host,
        error,
    })
}

/// Bytes that one patient takes on the device.
pub fn bytes_per_patient(case: &Case) -> u64 {
    let (up, down) = Plan::new(case.program.clone()).patient_bytes(0);
    up + down
}

/// Seconds until a new kernel has been built and has run on nobody, and whether its stages were
/// unrolled.
pub fn build_seconds(
    device: &Device,
    case: &Case,
    options: SimulatorOptions,
) -> anyhow::Result<(f64, bool)> {
    let plan = Plan::new(case.program.clone());
    let simulator = Simulator::new(device, plan, &[case.timeline(1)], &case.floors, options);
    let start = Instant::now();
    simulator.build().context("building a kernel")?;
    Ok((
        start.elapsed().as_secs_f64(),
        simulator.options().step.unroll_stages,
    ))
}

/// Rows of `have` patients as rows of `n`, the patients repeated.
fn repeated(values: &[f32], have: usize, n: usize) -> Vec<f32> {
    values
        .chunks(have)
        .flat_map(|row| (0..n).map(move |i| row[i % have]))
        .collect()
}
