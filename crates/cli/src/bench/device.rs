//! A case on the device: kernel build, run time, and what of it is not the kernel.

use std::time::Instant;

use anyhow::Context;
use posology_kernels::device::Device;
use posology_kernels::launch::{Batch, Outcome, Simulator, SimulatorOptions};
use posology_kernels::probe;
use posology_kernels::simulate::{Plan, Status};
use posology_sim::BATCH;
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

/// Time `patients` through `steps` steps.
pub fn run(
    device: &Device,
    case: &Case,
    options: SimulatorOptions,
    patients: usize,
    steps: u32,
    repeats: usize,
) -> anyhow::Result<DeviceTimes> {
    let plan = Plan::new(case.program.clone());
    let timelines = [case.timeline(steps), case.timeline(0)];
    let simulator = Simulator::new(device, plan, &timelines, &case.floors, options);
    let n = simulator.max_batch(0, 0).min(patients).min(BATCH);
    let sampled = case.values(n.min(SAMPLED))?;
    let values = repeated(&sampled, n.min(SAMPLED), n);
    let ids: Vec<u32> = (0..n as u32).collect();
    let counts: Vec<usize> = (0..patients.div_ceil(n))
        .map(|b| n.min(patients - b * n))
        .collect();
    let last = counts.last().copied().unwrap_or(n);
    // the last, smaller batch has rows of its own length
    let rest = repeated(&sampled, n.min(SAMPLED), last);

    let launch = |timeline: u32| -> anyhow::Result<Outcome> {
        let mut first = None;
        for &count in &counts {
            let batch = Batch {
                n: count,
                values: if count == n { &values } else { &rest },
                timeline: &vec![timeline; count],
                first_record: &ids[..count],
                patient: &ids[..count],
                record_stride: count as u32,
                record_total: 0,
                seed: 1,
            };
            let outcome = simulator
                .run(&batch)
                .context("running the benchmark's kernel")?;
            first.get_or_insert(outcome);
        }
        first.context("no patients")
    };
    let mut outcome = Outcome::default();
    let seconds = time(repeats, || launch(0).map(|result| outcome = result))?;
    let overhead = time(repeats, || launch(1).map(drop))?;
    let failed = outcome
        .status
        .iter()
        .filter(|&&status| status != Status::Completed)
        .count();
    anyhow::ensure!(
        failed == 0,
        "{failed} of {n} patients of {} diverged",
        case.model.name
    );
    let error = case.checked_error("the device", &values, &outcome.states, n, steps)?;
    let (per_patient_up, per_patient_down) = moved(case);
    Ok(DeviceTimes {
        patients,
        steps,
        batches: counts.len(),
        seconds,
        overhead,
        kernel_seconds: (seconds.median - overhead.median).max(0.0),
        bytes_to_device: simulator.uploaded_bytes() + patients as u64 * per_patient_up,
        bytes_to_host: patients as u64 * per_patient_down,
        error,
    })
}

/// Bytes of one patient to the device and back: parameters and keys, final states, time and status.
fn moved(case: &Case) -> (u64, u64) {
    let up = 4 * (case.program.n_slots + 3) as u64;
    let down = 4 * (case.program.n_states + 3) as u64;
    (up, down)
}

/// Bytes that one patient takes on the device.
pub fn bytes_per_patient(case: &Case) -> u64 {
    let (up, down) = moved(case);
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
