//! `posology bench gradient`: what a gradient costs beside the run it belongs to, and its memory.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use posology_kernels::adjoint::{Adjoint, AdjointOptions, AdjointPlan, Seeds};
use posology_kernels::device::Device;
use posology_kernels::launch::{Batch, Simulator};
use posology_kernels::simulate::Plan;
use serde::Serialize;
use serde_json::Value;

use super::case::{Case, MODELS};
use super::device::simulator_options;
use super::failure;
use super::machine::Machine;
use super::measure::{Spread, time};
use crate::commands::devices;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::{atomic, provenance};
use crate::table::{number, render};

/// Patients and steps of each measurement: the same tape holds a run of any length.
const SIZES: [(usize, u32); 4] = [
    (1024, 1_000),
    (1024, 10_000),
    (64, 100_000),
    (64, 1_000_000),
];
const QUICK: [(usize, u32); 2] = [(256, 1_000), (256, 10_000)];

/// Options of `posology bench gradient`.
#[derive(Clone, Debug, Args)]
pub struct GradientBenchArgs {
    /// Short runs: a first impression
    #[arg(long)]
    pub quick: bool,
    /// Times that everything is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeats: u32,
    /// File for the results as JSON (an earlier one is replaced)
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize)]
struct GradientReport {
    program: Value,
    date: String,
    command: Vec<String>,
    machine: Machine,
    adapter: Value,
    notes: [&'static str; 3],
    rows: Vec<GradientRow>,
}

const NOTES: [&str; 3] = [
    "Simulation: the plain kernel with upload and download. Traced: the same steps onto the tape. Gradient: both passes, adjoints of the final states with respect to every parameter, initial state and covariate.",
    "Ratio: gradient over simulation, medians.",
    "Memory: tape and contexts of all patients; parameters and results besides are the same in both.",
];

#[derive(Clone, Debug, Serialize)]
struct GradientRow {
    model: String,
    states: usize,
    patients: usize,
    steps: u32,
    simulation_seconds: Spread,
    traced_seconds: Spread,
    gradient_seconds: Spread,
    ratio: f64,
    stretches: usize,
    memory_bytes: u64,
}

/// Measure, print, write.
///
/// # Errors
/// Class device, numeric, input/output.
pub fn gradient(args: &GradientBenchArgs, context: &Context) -> Result<(), Failure> {
    let device = context.open_device()?;
    let machine = Machine::here();
    let sizes: &[(usize, u32)] = if args.quick { &QUICK } else { &SIZES };
    let bar = context.progress(sizes.len() as u64, "sizes");
    let (name, source) = MODELS[0];
    let case = Case::new(name, source).map_err(failure)?;
    let mut rows = Vec::new();
    for &(patients, steps) in sizes {
        if context.interrupted() {
            return Err(Failure::new(Class::Interrupted, "interrupted"));
        }
        rows.push(measure(&device, &case, patients, steps, args.repeats).map_err(failure)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = GradientReport {
        program: provenance::program(),
        date: provenance::now(),
        command: provenance::command(),
        machine,
        adapter: devices::describe(&device.description),
        notes: NOTES,
        rows,
    };
    if context.global.json {
        context.print_json(&report)?;
    } else {
        context.print(&text(&report))?;
    }
    if let Some(file) = &args.out {
        atomic::write_file(file, &atomic::json_bytes(&report)?)?;
        context.note(&format!("written: {}", file.display()));
    }
    Ok(())
}

fn measure(
    device: &Device,
    case: &Case,
    patients: usize,
    steps: u32,
    repeats: u32,
) -> anyhow::Result<GradientRow> {
    let options = simulator_options(device)?;
    let timelines = [case.timeline(steps)];
    let values = case.values(patients)?;
    let ids: Vec<u32> = (0..patients as u32).collect();
    let batch = Batch {
        n: patients,
        values: &values,
        timeline: &vec![0; patients],
        first_record: &ids,
        patient: &ids,
        record_stride: patients as u32,
        record_total: 0,
        seed: 1,
    };
    let repeats = repeats as usize;
    let plan = Plan::new(case.program.clone());
    let simulator = Simulator::new(device, plan, &timelines, &case.floors, options);
    let simulation_seconds = time(repeats, || simulator.run(&batch).map(drop))?;

    let adjoint = Adjoint::new(
        device,
        AdjointPlan::new(case.program.clone()),
        &timelines,
        AdjointOptions {
            guard_compensation: options.guard_compensation,
            ..AdjointOptions::default()
        },
    )?;
    let seeds = Seeds {
        states: vec![1.0; case.program.n_states * patients],
        ..Seeds::default()
    };
    let traced_seconds = time(repeats, || {
        let tape = adjoint.forward(&batch)?;
        adjoint.read(&tape).map(drop)
    })?;
    let mut last = None;
    let gradient_seconds = time(repeats, || {
        let tape = adjoint.forward(&batch)?;
        let found = adjoint.gradient(&tape, &seeds)?;
        last = Some((tape.stretches(), tape.bytes(), found));
        Ok::<(), posology_kernels::device::DeviceError>(())
    })?;
    let (stretches, memory_bytes, found) = last.context("no repeats")?;
    anyhow::ensure!(
        found.slots.iter().all(|bar| bar.is_finite()),
        "the gradient of {} is not finite after {steps} steps",
        case.model.name
    );
    Ok(GradientRow {
        model: case.model.name.clone(),
        states: case.program.n_states,
        patients,
        steps,
        simulation_seconds,
        traced_seconds,
        gradient_seconds,
        ratio: gradient_seconds.median / simulation_seconds.median,
        stretches,
        memory_bytes,
    })
}

fn text(report: &GradientReport) -> String {
    let header = [
        "model",
        "patients",
        "steps",
        "simulation, s",
        "traced, s",
        "gradient, s",
        "ratio",
        "stretches",
        "memory, MB",
    ];
    let row = |row: &GradientRow| {
        vec![
            row.model.clone(),
            row.patients.to_string(),
            row.steps.to_string(),
            number(row.simulation_seconds.median, 3),
            number(row.traced_seconds.median, 3),
            number(row.gradient_seconds.median, 3),
            number(row.ratio, 3),
            row.stretches.to_string(),
            number(row.memory_bytes as f64 / 1e6, 3),
        ]
    };
    render(&header, &report.rows.iter().map(row).collect::<Vec<_>>())
}
