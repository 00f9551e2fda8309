//! `posology simulate`: virtual patients under a regimen, or exactly the records of a data file.

mod population;
mod records;
mod report;
mod summary;
mod tables;
mod virtual_patients;

use posology_kernels::device::{AdapterKind, Device};
use posology_sim::{RunOptions, Simulation};

use crate::args::SimulateArgs;
use crate::context::{Context, Graceful};
use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::scenario::Scenario;

/// Patients whose courses are looked at before a step is accepted.
const STABILITY_SAMPLE: usize = 16;

/// Run the command.
pub fn run(args: &SimulateArgs, context: &Context) -> Result<(), Failure> {
    if !(0.0..=1.0).contains(&args.max_diverged) {
        return Err(Failure::usage("--max-diverged is a share between 0 and 1"));
    }
    let scenario = Scenario::load(&args.model, &args.scenario, context)?;
    let staging = match &args.out {
        Some(out) => Some(Staging::begin(out, args.overwrite)?),
        None => None,
    };
    let _graceful = Graceful::begin();
    match &args.data {
        Some(data) => records::run(data, &scenario, args, staging, context),
        None => virtual_patients::run(&scenario, args, staging, context),
    }
}

/// How the device is to run: batches that take about a second, so that progress moves and an
/// interruption is heard. Whether patients diverged too often is judged over all of them.
fn options(
    scenario: &Scenario,
    device: &Device,
    simulation: &Simulation<'_>,
) -> Result<RunOptions, Failure> {
    let per_batch: f64 = match device.description.kind {
        AdapterKind::Software => 1e8,
        _ => 2e10,
    };
    let first = simulation.timelines.select(&[0]);
    let one = Simulation {
        timelines: &first,
        ..simulation.clone()
    };
    let lowered = posology_sim::run::lower_timelines(&one, &scenario.schedule)?;
    let steps = lowered
        .iter()
        .map(|timeline| timeline.step_count())
        .max()
        .unwrap_or(1)
        .max(1);
    let batch = (per_batch / steps as f64).clamp(4096.0, f64::from(1u32 << 18)) as usize;
    Ok(RunOptions {
        seed: scenario.seed,
        step: Some(scenario.schedule.clone()),
        residual_error: true,
        batch: Some(batch),
        max_diverged: 1.0,
    })
}
