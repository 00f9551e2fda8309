//! `posology bench scaling`: how time grows with patients, states and operations, how much memory a
//! patient takes, and how long a first result and a single patient take.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use posology_cohort::{Cohort, Regimen};
use posology_kernels::device::Device;
use posology_kernels::launch::SimulatorOptions;
use posology_kernels::probe;
use posology_model::Model;
use posology_sim::{OutputPlan, RuleSet, RunOptions, Simulation};
use posology_trial::plot::{Axis, Figure, Panel, PlotError, Style};
use serde::Serialize;
use serde_json::Value;

use super::case::{Case, MODELS, operations_per_step};
use super::device;
use super::failure;
use super::machine::{Machine, peak_memory};
use super::measure::{Spread, time};
use super::synthetic;
use super::tables::{Section, bytes, seconds};
use crate::commands::devices;
use crate::context::Context;
use crate::driver;
use crate::error::{Class, Failure};
use crate::output::provenance;
use crate::table::{number, render};

/// What a person waits for who tries doses on one patient.
const SINGLE: &str = include_str!("../../../../configs/models/docetaxel-neutropenia.toml");
const SINGLE_NAME: &str = "docetaxel-neutropenia";
/// Of the scenario's cycles, one.
const CYCLES: f64 = 3.0;
const SIZES: [u32; 6] = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// Cost per patient is compared from here on.
const FLAT_FROM: usize = 100_000;
/// Rounds over the numbers of patients.
const ROUNDS: usize = 5;
const STATES: [usize; 8] = [1, 2, 5, 10, 20, 50, 100, 200];
/// Operations of each state where states are counted.
const PER_STATE: usize = 6;
const OPERATIONS: [usize; 7] = [10, 30, 100, 300, 1000, 2000, 5000];
/// States where operations are counted.
const FEW: usize = 8;
const STEPS: [u32; 7] = [1_000, 500, 200, 100, 50, 20, 10];
/// Steps are chosen so that the largest population takes no longer, s.
const WANTED_SECONDS: f64 = 20.0;
const STARTS: usize = 5;
const LATENCIES: usize = 31;

/// Options of `posology bench scaling`.
#[derive(Clone, Debug, Args)]
pub struct ScalingArgs {
    /// Numbers of patients
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = SIZES, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub patients: Vec<u32>,
    /// Small sizes only: a first impression
    #[arg(long)]
    pub quick: bool,
    /// Folder for scaling-<adapter>.json, .md and .svg (files of an earlier run are replaced)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub struct ScalingReport {
    program: Value,
    date: String,
    command: Vec<String>,
    machine: Machine,
    adapter: Value,
    multiply_adds_per_second: f64,
    bytes_per_second: f64,
    notes: [&'static str; 6],
    patients: Vec<PatientRow>,
    /// Largest cost per patient from 100,000 patients on, over that of 100,000.
    dearest: Option<f64>,
    states: Vec<ProgramRow>,
    operations: Vec<ProgramRow>,
    start: Start,
    single: Spread,
    peak_memory_bytes: Option<u64>,
}

const NOTES: [&str; 6] = [
    "Patients: twelve-state model, all with the same number of steps; seconds are medians of rounds over all sizes, with upload, launch and download, cost per patient is seconds over patients.",
    "States and operations: programs of exchanges, saturable losses and decays with constants that no cache has seen, 4096 patients, 100 steps; the build is that of the whole kernel.",
    "Share of the multiply-adds: arithmetic of the rates times four stages plus 19 per state, over twice the multiply-adds per second that the adapter reached in this run. Share of the memory: bytes to and from the device, over the bytes per second of its own copies.",
    "Memory of a patient on the device: parameters, keys, results and status; nothing is kept per step.",
    "Start: `posology simulate` of 100 patients of the twelve-state model in a process of its own, from its start to its end with files written; cold without the driver's compiled kernels, warm with them.",
    "One patient: a 21-day cycle of docetaxel with daily outputs, from his parameters to his results, kernel built.",
];

#[derive(Clone, Debug, Serialize)]
struct PatientRow {
    patients: usize,
    steps: u32,
    launches: usize,
    seconds: Spread,
    seconds_per_patient: f64,
    patient_steps_per_second: f64,
    share_of_multiply_adds: f64,
    share_of_memory: f64,
    device_bytes_per_patient: u64,
}

#[derive(Clone, Debug, Serialize)]
struct ProgramRow {
    #[serde(flatten)]
    row: synthetic::BuildRow,
    operations_per_second: f64,
    share_of_multiply_adds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Start {
    cold: Spread,
    warm: Spread,
}

/// Measure, print, write.
///
/// # Errors
/// Class device, numeric, input/output, interrupted.
pub fn scaling(args: &ScalingArgs, context: &Context) -> Result<(), Failure> {
    let device = context.open_device()?;
    let report = measure(args, context, &device).map_err(failure)?;
    let Some(report) = report else {
        return Err(Failure::new(Class::Interrupted, "interrupted"));
    };
    if context.global.json {
        context.print_json(&report)?;
    } else {
        context.print(&text(&report))?;
    }
    if let Some(out) = &args.out {
        let page = markdown(&report);
        let written = super::write(out, "scaling", &device, &report, page, plot(&report))?;
        context.note(&format!("written: {written}"));
    }
    Ok(())
}

fn measure(
    args: &ScalingArgs,
    context: &Context,
    device: &Device,
) -> anyhow::Result<Option<ScalingReport>> {
    let bar = context.progress(5, "limits of the adapter");
    let limits = probe::limits(device)?;
    let options = device::simulator_options(device)?;
    let mut report = ScalingReport {
        program: provenance::program(),
        date: provenance::now(),
        command: provenance::command(),
        machine: Machine::here(),
        adapter: devices::describe(&device.description),
        multiply_adds_per_second: limits.multiply_adds,
        bytes_per_second: limits.bandwidth,
        notes: NOTES,
        patients: Vec::new(),
        dearest: None,
        states: Vec::new(),
        operations: Vec::new(),
        start: Start {
            cold: Spread::default(),
            warm: Spread::default(),
        },
        single: Spread::default(),
        peak_memory_bytes: None,
    };
    bar.inc(1);
    bar.set_message("start-up");
    report.start = start(device, if args.quick { 1 } else { STARTS })?;
    bar.inc(1);
    bar.set_message("one patient");
    report.single = single(device)?;
    bar.inc(1);
    let most = |quick: usize| if args.quick { quick } else { usize::MAX };
    for &states in STATES.iter().filter(|&&s| s <= most(20)) {
        bar.set_message(format!("{states} states"));
        let size = (states, states * PER_STATE);
        let row = program_row(device, options, size, limits.multiply_adds)?;
        report.states.push(row);
        if context.interrupted() {
            return Ok(None);
        }
    }
    for &operations in OPERATIONS.iter().filter(|&&n| n <= most(300)) {
        bar.set_message(format!("{operations} operations"));
        let row = program_row(device, options, (FEW, operations), limits.multiply_adds)?;
        report.operations.push(row);
        if context.interrupted() {
            return Ok(None);
        }
    }
    bar.inc(1);
    let mut sizes: Vec<usize> = args.patients.iter().map(|&n| n as usize).collect();
    sizes.retain(|&n| n <= most(10_000));
    sizes.sort_unstable();
    let (name, text) = MODELS[0];
    let case = Case::new(name, text)?;
    let largest = sizes.last().copied().unwrap_or(1);
    let trial = device::run(device, &case, options, 4096, 1000, 1)?;
    let rate = 4096.0 * 1000.0 / trial.seconds.median;
    let fits = |steps: &u32| largest as f64 * f64::from(*steps) / rate <= WANTED_SECONDS;
    let steps = STEPS
        .into_iter()
        .find(fits)
        .unwrap_or(STEPS[STEPS.len() - 1]);
    let ready = sizes
        .iter()
        .map(|&n| device::Ready::new(device, &case, options, n, steps))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); ready.len()];
    // in turns, so that a change of the machine's speed meets all sizes; the first one is not counted
    for round in 0..=ROUNDS {
        for (ready, seconds) in ready.iter().zip(&mut seconds) {
            bar.set_message(format!("{} patients, {round} of {ROUNDS}", ready.patients));
            let clock = Instant::now();
            let outcome = ready.run()?;
            let taken = clock.elapsed().as_secs_f64();
            if round == 0 {
                ready.error(&outcome)?;
            } else {
                seconds.push(taken);
            }
            if context.interrupted() {
                return Ok(None);
            }
        }
    }
    report.dearest = dearest(&sizes, &seconds);
    for (ready, seconds) in ready.iter().zip(seconds) {
        let (patients, seconds) = (ready.patients, Spread::of(seconds));
        let rate = patients as f64 * f64::from(steps) / seconds.median;
        let (up, down) = ready.bytes();
        report.patients.push(PatientRow {
            patients,
            steps,
            launches: ready.batches(),
            seconds_per_patient: seconds.median / patients as f64,
            patient_steps_per_second: rate,
            share_of_multiply_adds: rate * case.operations_per_step() as f64
                / (2.0 * limits.multiply_adds),
            share_of_memory: (up + down) as f64 / seconds.median / limits.bandwidth,
            device_bytes_per_patient: device::bytes_per_patient(&case),
            seconds,
        });
    }
    report.peak_memory_bytes = peak_memory();
    bar.finish_and_clear();
    Ok(Some(report))
}

/// What a patient costs of the dearest size from [`FLAT_FROM`] patients on, over what one of the
/// smallest of them costs: medians of the ratios of each round.
fn dearest(sizes: &[usize], seconds: &[Vec<f64>]) -> Option<f64> {
    let mut many = sizes.iter().zip(seconds).filter(|(n, _)| **n >= FLAT_FROM);
    let (few, base) = many.next()?;
    let ratio = |(n, seconds): (&usize, &Vec<f64>)| {
        let rounds = seconds.iter().zip(base);
        let each = rounds.map(|(s, b)| (s / *n as f64) / (b / *few as f64));
        Spread::of(each.collect()).median
    };
    Some(many.map(ratio).fold(1.0, f64::max))
}

fn program_row(
    device: &Device,
    options: SimulatorOptions,
    size: (usize, usize),
    multiply_adds: f64,
) -> anyhow::Result<ProgramRow> {
    let row = synthetic::one(device, options, size, None)?;
    let per_step = operations_per_step(row.operations, row.states) as f64;
    let operations_per_second = row.patient_steps_per_second * per_step;
    Ok(ProgramRow {
        operations_per_second,
        share_of_multiply_adds: operations_per_second / (2.0 * multiply_adds),
        row,
    })
}

/// Processes of their own, so that nothing is warm that a user's would not be.
fn start(device: &Device, repeats: usize) -> anyhow::Result<Start> {
    let folder = tempfile::tempdir().context("a folder for the runs")?;
    let model = folder.path().join("twelve-state.toml");
    std::fs::write(&model, MODELS[0].1).context("writing the model")?;
    let once = |number: usize, cache: &Path| -> anyhow::Result<f64> {
        let out = folder.path().join(format!("out-{number}"));
        let clock = Instant::now();
        let output = Command::new(super::this_program()?)
            .arg("simulate")
            .arg(&model)
            .args(["--patients", "100", "--quiet", "--device"])
            .arg(device.description.index.to_string())
            .arg("--out")
            .arg(&out)
            // Mesa's, and the proprietary driver's
            .env(driver::SHADER_CACHE, cache)
            .env("__GL_SHADER_DISK_CACHE_PATH", cache)
            .env("XDG_CACHE_HOME", cache)
            .stdin(Stdio::null())
            .output()
            .context("starting a run")?;
        let seconds = clock.elapsed().as_secs_f64();
        let message = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "a run failed: {}", message.trim());
        Ok(seconds)
    };
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for k in 0..repeats {
        let cache = folder.path().join(format!("cache-{k}"));
        std::fs::create_dir(&cache).context("a folder for compiled kernels")?;
        cold.push(once(2 * k, &cache)?);
        warm.push(once(2 * k + 1, &cache)?);
    }
    Ok(Start {
        cold: Spread::of(cold),
        warm: Spread::of(warm),
    })
}

fn single(device: &Device) -> anyhow::Result<Spread> {
    let mut model = Model::parse(&format!("{SINGLE_NAME}.toml"), SINGLE, None)?;
    let scenario = model.scenario.clone().context("a model with a scenario")?;
    let duration = scenario.duration / CYCLES;
    let cohort = Cohort::sample(&model, 1, 1, 0)?;
    let (Some(regimen), Some(origin)) = (&scenario.regimen, &scenario.regimen_origin) else {
        anyhow::bail!("{SINGLE_NAME} has no regimen");
    };
    let daily: Vec<f64> = (0..=21).map(|d| duration * f64::from(d) / 21.0).collect();
    let mut outputs = OutputPlan::of_model(&model, false);
    outputs.all_states(&mut model);
    let rules = RuleSet::default();
    time(LATENCIES, || -> anyhow::Result<()> {
        let timelines = Regimen::parse(&model, regimen, origin)?
            .timelines(&model, &cohort, duration, origin)?
            .with_records(&daily);
        let simulation = Simulation {
            model: &model,
            cohort: &cohort,
            timelines: &timelines,
            outputs: &outputs,
            rules: &rules,
        };
        posology_sim::run(device, &simulation, &RunOptions::default(), |_, _| true)?;
        Ok(())
    })
}

fn sections(report: &ScalingReport) -> Vec<Section> {
    let percent = |share: f64| format!("{} %", number(100.0 * share, 3));
    let patients = report.patients.iter().map(|row| {
        vec![
            row.patients.to_string(),
            row.steps.to_string(),
            row.launches.to_string(),
            seconds(row.seconds.median),
            format!(
                "{} - {}",
                seconds(row.seconds.min),
                seconds(row.seconds.max)
            ),
            format!("{} us", number(1e6 * row.seconds_per_patient, 3)),
            number(row.patient_steps_per_second, 3),
            percent(row.share_of_multiply_adds),
            percent(row.share_of_memory),
            row.device_bytes_per_patient.to_string(),
        ]
    });
    let programs = |rows: &[ProgramRow]| -> Vec<Vec<String>> {
        let one = |r: &ProgramRow| {
            vec![
                r.row.states.to_string(),
                r.row.operations.to_string(),
                if r.row.unrolled { "unrolled" } else { "looped" }.to_owned(),
                seconds(r.row.build_seconds),
                seconds(r.row.seconds.median),
                number(r.row.patient_steps_per_second, 3),
                percent(r.share_of_multiply_adds),
            ]
        };
        rows.iter().map(one).collect()
    };
    let program_header = vec![
        "states",
        "operations",
        "stages",
        "kernel build",
        "run",
        "patient-steps/s",
        "of multiply-adds",
    ];
    let waits = [
        ("cold start to first result", &report.start.cold),
        ("warm start to first result", &report.start.warm),
        ("one patient, one cycle, kernel built", &report.single),
    ];
    let waits = waits.iter().map(|(what, spread)| {
        vec![
            (*what).to_owned(),
            seconds(spread.median),
            format!("{} - {}", seconds(spread.min), seconds(spread.max)),
            spread.repeats.to_string(),
        ]
    });
    vec![
        Section {
            title: "Patients",
            header: vec![
                "patients",
                "steps",
                "launches",
                "median",
                "spread",
                "per patient",
                "patient-steps/s",
                "of multiply-adds",
                "of memory",
                "bytes on the device",
            ],
            rows: patients.collect(),
        },
        Section {
            title: "States",
            header: program_header.clone(),
            rows: programs(&report.states),
        },
        Section {
            title: "Operations",
            header: program_header,
            rows: programs(&report.operations),
        },
        Section {
            title: "Waiting",
            header: vec!["what", "median", "spread", "repeats"],
            rows: waits.collect(),
        },
    ]
}

fn heading(report: &ScalingReport) -> String {
    let commit = report.program["commit"].as_str().unwrap_or("unknown");
    let dearest = report.dearest.map_or_else(String::new, |share| {
        format!(
            "dearest patient from {FLAT_FROM} patients on: {} times that of {FLAT_FROM}\n",
            number(share, 4)
        )
    });
    format!(
        "adapter: {} ({}), {} multiply-adds/s, {}/s memory\n\
         machine: {}, {} threads, load {} at the start; peak memory of the program {}\n\
         commit {}, {}\n{dearest}",
        report.adapter["name"].as_str().unwrap_or("unknown"),
        report.adapter["kind"].as_str().unwrap_or("unknown"),
        number(report.multiply_adds_per_second, 3),
        bytes(report.bytes_per_second as u64),
        report.machine.cpu.as_deref().unwrap_or("unknown CPU"),
        report.machine.threads,
        report
            .machine
            .load
            .map_or_else(|| "unknown".to_owned(), |load| number(load, 3)),
        report
            .peak_memory_bytes
            .map_or_else(|| "unknown".to_owned(), bytes),
        &commit[..commit.len().min(12)],
        report.date,
    )
}

fn text(report: &ScalingReport) -> String {
    let mut out = heading(report);
    for section in sections(report) {
        out += &format!(
            "\n{}\n{}",
            section.title,
            render(&section.header, &section.rows)
        );
    }
    out
}

fn markdown(report: &ScalingReport) -> String {
    let mut out = String::from("# Scaling\n\n");
    for line in heading(report).lines() {
        out += &format!("- {line}\n");
    }
    for section in sections(report) {
        out += &section.markdown();
    }
    out += "\n## How to read this\n\n";
    for note in report.notes {
        out += &format!("- {note}\n");
    }
    out
}

/// As an SVG file: throughput over patients, and shares of the limits over size.
fn plot(report: &ScalingReport) -> Result<String, PlotError> {
    let of = |pick: fn(&PatientRow) -> f64| report.patients.iter().map(pick).collect::<Vec<f64>>();
    let patients = of(|row| row.patients as f64);
    let throughput = Panel::new("Throughput")
        .x(Axis::new("Patients").log())
        .y(Axis::new("Patient-steps per second").log())
        .line(
            "twelve states",
            &patients,
            &of(|row| row.patient_steps_per_second),
            Style::series(0).with_marker(),
        );
    let roof = Panel::new("Share of the adapter's limits")
        .x(Axis::new("Patients").log())
        .y(Axis::new("Share (%)"))
        .line(
            "multiply-adds",
            &patients,
            &of(|row| 100.0 * row.share_of_multiply_adds),
            Style::series(0).with_marker(),
        )
        .line(
            "memory",
            &patients,
            &of(|row| 100.0 * row.share_of_memory),
            Style::series(1).with_marker(),
        );
    let programs = |title: &str, axis: &str, rows: &[ProgramRow], x: fn(&ProgramRow) -> f64| {
        let at: Vec<f64> = rows.iter().map(x).collect();
        let share = |row: &ProgramRow| 100.0 * row.share_of_multiply_adds;
        let shares: Vec<f64> = rows.iter().map(share).collect();
        Panel::new(title)
            .x(Axis::new(axis).log())
            .y(Axis::new("Share of multiply-adds (%)"))
            .line(
                "4096 patients",
                &at,
                &shares,
                Style::series(0).with_marker(),
            )
    };
    let states = programs("States", "States", &report.states, |r| r.row.states as f64);
    let operations = programs("Operations", "Operations", &report.operations, |r| {
        r.row.operations as f64
    });
    let name = report.adapter["name"].as_str().unwrap_or("unknown adapter");
    let panels = vec![throughput, roof, states, operations];
    let figure = Figure::grid(format!("Scaling on {name}"), panels, 2).description(
        "Patient-steps per second over the number of patients, and shares of the adapter's multiply-adds and memory bandwidth over patients, states and operations.",
    );
    Ok(figure.render()?.to_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dearer_patient_is_seen_within_rounds() {
        let sizes = [1000, 100_000, 1_000_000, 10_000_000];
        // the second round is twice as slow for all
        let seconds = [
            vec![1.0, 1.0, 1.0],
            vec![0.1, 0.2, 0.1],
            vec![1.2, 2.4, 1.2],
            vec![9.0, 18.0, 11.0],
        ];
        let found = dearest(&sizes, &seconds).unwrap();
        assert!((found - 1.2).abs() < 1e-12, "{found}");
        assert_eq!(dearest(&sizes[..2], &seconds[..2]), Some(1.0));
        assert_eq!(dearest(&sizes[..1], &seconds[..1]), None);
    }
}
