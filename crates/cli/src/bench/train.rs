//! `posology bench train`: decisions per second of environments, policies and training.

use std::path::{Path, PathBuf};

use clap::Args;
use posology_agent::ppo::config::Config;
use posology_agent::train::speed::{Measurement, Speed, measure};
use posology_kernels::device::Device;
use serde::Serialize;
use serde_json::Value;

use super::machine::Machine;
use super::plot;
use crate::commands::devices;
use crate::commands::train::problem;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::provenance;
use crate::table::{number, render};

/// Numbers of patients that are measured unless others are asked for.
const PATIENTS: [u32; 4] = [1024, 4096, 16_384, 65_536];
const PATIENTS_QUICK: [u32; 2] = [256, 1024];
/// Most decisions of an update.
const DECISIONS: u64 = 262_144;
const DECISIONS_QUICK: u64 = 8192;

/// How the figures are meant; part of every output.
const NOTES: [&str; 6] = [
    "Rates are decisions of all patients together per second: the environment alone with actions given, with the policy's decisions, and with learning. Every figure is the median of the repeats; the first run of a kernel is not counted. All times end with the device idle.",
    "Fused: the update as training does it. Unfused: the same minibatches through the network, the loss, automatic differentiation, clipping and Adam in plain tensor operations of Burn (matrix products of all gates at once, the core step by step), built without Burn's fusion and autotuning. The two take turns within one process; updates do not stop early.",
    "Updates of many patients take fewer decisions of each, so that a buffer fits the adapter and the run ends in minutes: see `steps`.",
    "Launches are counted as the runtime issues them; those per decision are the launches of a whole rollout over its steps, with the two at its ends.",
    "Reads are blocking transfers to the host during an update; the metrics are one.",
    "`load` counts processes that wanted to run in the minute before; `busy` says that other programs took a good part of the processor, so that times are too long.",
];

/// Options of `posology bench train`.
#[derive(Clone, Debug, Args)]
pub struct TrainBenchArgs {
    /// A task of configs/tasks, the path of a task file, or `analytic`
    #[arg(default_value = "analytic")]
    pub task: String,
    /// Numbers of patients [default: 1024,4096,16384,65536]
    #[arg(long, alias = "lanes", value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub patients: Vec<u32>,
    /// Few patients, one repeat: a first impression
    #[arg(long)]
    pub quick: bool,
    /// Times that everything is measured [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub repeats: Option<u32>,
    /// Most decisions of an update: updates of more patients take fewer steps [default: 262144]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub decisions: Option<u64>,
    /// Time every kernel of an update on its own as well
    #[arg(long)]
    pub kernels: bool,
    /// File for the results as JSON; a plot goes beside it (.svg). Earlier files are replaced
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
    /// Configuration of the trainer, such as steps=32
    #[arg(value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    pub task: String,
    pub program: Value,
    pub date: String,
    pub command: Vec<String>,
    pub machine: Machine,
    /// At the end, as [`Machine::load`].
    pub load_after: Option<f64>,
    /// Whether other programs ran beside: the load before was over half of the threads.
    pub busy: bool,
    pub adapter: Value,
    pub quick: bool,
    pub repeats: u32,
    pub notes: Vec<&'static str>,
    pub configuration: Config,
    pub speed: Vec<Speed>,
}

/// Measure, print, write.
///
/// # Errors
/// Class model for the task, usage for the configuration, device, numeric, input/output.
pub fn train(args: &TrainBenchArgs, context: &Context) -> Result<(), Failure> {
    let problem = problem(&args.task)?;
    let base = Config::resolve(problem.learning(), &args.set)?;
    let sizes: &[u32] = match args.patients.as_slice() {
        [] if args.quick => &PATIENTS_QUICK,
        [] => &PATIENTS,
        given => given,
    };
    let repeats = args.repeats.unwrap_or(if args.quick { 1 } else { 3 });
    let device = context.open_device()?;
    let machine = Machine::here();
    let bar = context.progress(sizes.len() as u64, "patients");
    let mut found: Vec<Speed> = Vec::new();
    let what = Measurement {
        repeats: repeats as usize,
        kernels: args.kernels,
    };
    for &patients in sizes {
        if context.interrupted() {
            return Err(Failure::new(Class::Interrupted, "interrupted"));
        }
        let most = args.decisions.unwrap_or(if args.quick {
            DECISIONS_QUICK
        } else {
            DECISIONS
        });
        let config = fitting(&base, patients as usize, most, &device)?;
        found.push(measure(&device, &problem, &config, what)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = TrainReport {
        task: problem.name,
        program: provenance::program(),
        date: provenance::now(),
        command: provenance::command(),
        load_after: Machine::here().load,
        busy: machine
            .load
            .is_some_and(|load| load > 0.5 * machine.threads as f64),
        machine,
        adapter: devices::describe(&device.description),
        quick: args.quick,
        repeats,
        notes: NOTES.to_vec(),
        configuration: base,
        speed: found,
    };
    if context.global.json {
        context.print_json(&report)?;
    } else {
        context.print(&text(&report))?;
    }
    if let Some(file) = &args.out {
        write(&report, file)?;
        context.note(&format!("written: {}", file.display()));
    }
    Ok(())
}

/// The configuration for so many patients: no more decisions than `most`, and the buffers of a
/// minibatch small enough for the adapter.
fn fitting(base: &Config, patients: usize, most: u64, device: &Device) -> Result<Config, Failure> {
    // the largest buffer is what the core's backward pass needs: four words of every unit
    let words = (4 * base.hidden).max(2 * base.encoder) as u64;
    let samples = device.description.max_binding_bytes / (4 * words);
    let per_step = (patients / base.minibatches.max(1)).max(1) as u64;
    let steps = (most / patients as u64).min(samples / per_step).max(1);
    let config = Config {
        lanes: patients,
        steps: base.steps.min(steps as usize),
        ..base.clone()
    };
    config.check()?;
    Ok(config)
}

fn text(report: &TrainReport) -> String {
    let header = [
        "patients",
        "steps",
        "environment/s",
        "inference/s",
        "training/s",
        "unfused/s",
        "update, s",
        "unfused, s",
        "ratio",
        "launches",
        "reads",
    ];
    let row = |speed: &Speed| {
        vec![
            speed.lanes.to_string(),
            speed.steps.to_string(),
            number(speed.environment, 3),
            number(speed.inference, 3),
            number(speed.training, 3),
            number(speed.training_unfused, 3),
            number(speed.update_fused, 3),
            number(speed.update_unfused, 3),
            number(speed.ratio, 3),
            number(speed.launches_per_decision, 3),
            format!(
                "{} + {}",
                number(
                    speed.transfers_per_update - speed.transfers_beyond_metrics as f64,
                    3
                ),
                speed.transfers_beyond_metrics
            ),
        ]
    };
    let mut out = render(&header, &report.speed.iter().map(row).collect::<Vec<_>>());
    out.push_str("launches: per decision of all patients; reads: metrics of an update + others\n");
    if report.busy {
        out.push_str("other programs ran beside: times are too long\n");
    }
    for speed in report.speed.iter().filter(|s| !s.kernels.is_empty()) {
        out.push_str(&format!(
            "\nkernels of an update, {} patients\n",
            speed.lanes
        ));
        let rows: Vec<Vec<String>> = speed
            .kernels
            .iter()
            .map(|kernel| {
                vec![
                    kernel.name.clone(),
                    kernel.launches.to_string(),
                    number(1e3 * kernel.seconds, 3),
                ]
            })
            .collect();
        out.push_str(&render(&["kernel", "launches", "ms"], &rows));
    }
    out
}

/// The report, and the plot beside it.
fn write(report: &TrainReport, file: &Path) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(report)
        .map_err(|error| Failure::new(Class::Io, error.to_string()))?;
    let svg = plot::training(report)
        .map_err(|error| Failure::new(Class::Io, format!("drawing the plot: {error}")))?;
    if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
        std::fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    }
    for (path, content) in [
        (file.to_owned(), json + "\n"),
        (file.with_extension("svg"), svg),
    ] {
        std::fs::write(&path, content).map_err(|error| Failure::io("write", &path, &error))?;
    }
    Ok(())
}
