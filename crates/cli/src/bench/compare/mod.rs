//! `posology bench compare`: the same courses computed by what users would pick instead.
//!
//! | module | what |
//! |---|---|
//! | [`problem`] | models, patients, doses, output times, the f64 reference |
//! | [`peer`] | a process that computes them, spoken to line by line |
//! | [`tables`] | the report as text and Markdown |
//! | [`plot`] | time against error |
//!
//! Repeats are interleaved: a change of the machine's load meets everyone alike. Every peer is warm,
//! ends its clock with the outputs on the host, and is held to the f64 reference.

mod peer;
mod plot;
mod problem;
mod tables;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use posology_kernels::device::Device;
use posology_kernels::probe;
use posology_model::model::StepSchedule;
use posology_sim::Prepared;
use serde::Serialize;
use serde_json::Value;

use self::peer::{Peer, Started};
use self::problem::Problem;
use super::case::operations_per_step;
use super::failure;
use super::machine::Machine;
use super::measure::Spread;
use crate::commands::devices;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::provenance;

/// The benchmark's models and their output times, part of the program so that it needs no files.
const MODELS: [(&str, &str, u32); 5] = [
    (
        "twelve-state",
        include_str!("../../../../../benches/engine/twelve-state.toml"),
        10,
    ),
    (
        "sensitive-resistant",
        include_str!("../../../../../benches/peers/models/sensitive-resistant.toml"),
        10,
    ),
    (
        "lu177-psma-siebinga",
        include_str!("../../../../../configs/models/lu177-psma-siebinga.toml"),
        12,
    ),
    (
        "chain-20",
        include_str!("../../../../../benches/peers/models/chain-20.toml"),
        10,
    ),
    (
        "chain-40",
        include_str!("../../../../../benches/peers/models/chain-40.toml"),
        10,
    ),
];

/// How a peer integrates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Steps {
    /// The model's own, as we take them.
    Fixed,
    /// By tolerance.
    Adaptive,
}

/// How a peer takes its patients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// One by one: as many as take about [`WANTED_SECONDS`].
    Each,
    /// All at once.
    All,
    /// All at once, but no more than these: an implicit method takes minutes for thousands.
    Most(usize),
}

/// Peers: name, steps, how it takes patients, and who runs it.
const PEERS: [(&str, Steps, Takes, Runner); 16] = [
    ("scipy-lsoda", Steps::Adaptive, Takes::Each, Runner::Python),
    ("roadrunner", Steps::Adaptive, Takes::Each, Runner::Python),
    ("diffrax-fixed", Steps::Fixed, Takes::All, Runner::Python),
    ("diffrax-tsit5", Steps::Adaptive, Takes::All, Runner::Python),
    (
        "diffrax-kvaerno5",
        Steps::Adaptive,
        Takes::Most(512),
        Runner::Python,
    ),
    ("jax-rk4", Steps::Fixed, Takes::All, Runner::Python),
    ("torch-rk4", Steps::Fixed, Takes::All, Runner::Python),
    ("torchdiffeq-rk4", Steps::Fixed, Takes::All, Runner::Python),
    ("diffsol", Steps::Adaptive, Takes::Each, Runner::Rust),
    ("diffsol-bdf", Steps::Adaptive, Takes::Each, Runner::Rust),
    ("pharmsol", Steps::Adaptive, Takes::Each, Runner::Rust),
    ("pharmsol-bdf", Steps::Adaptive, Takes::Each, Runner::Rust),
    ("cuda-rk4", Steps::Fixed, Takes::All, Runner::PythonCuda),
    ("jax-rk4-cuda", Steps::Fixed, Takes::All, Runner::PythonCuda),
    (
        "diffrax-fixed-cuda",
        Steps::Fixed,
        Takes::All,
        Runner::PythonCuda,
    ),
    (
        "torch-rk4-cuda",
        Steps::Fixed,
        Takes::All,
        Runner::PythonCuda,
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Python,
    PythonCuda,
    Rust,
}

/// Relative tolerances of adaptive peers.
const TOLERANCES: [f64; 3] = [1e-3, 1e-5, 1e-7];
/// A peer that takes patients one by one gets as many as take about this long, s.
const WANTED_SECONDS: f64 = 2.0;
const FEWEST: usize = 16;
/// Runs that one repeat takes the mean of last this long, s.
const SAMPLE_SECONDS: f64 = 0.05;
/// A larger error is no solution of the problem, and its time is compared with nothing.
const WRONG: f64 = 1e-2;

/// Options of `posology bench compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Peers; all that can be run here if none are named
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub peers: Vec<String>,
    /// Models: twelve-state, sensitive-resistant, lu177-psma-siebinga, chain-20, chain-40
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Our own steps, in those of the model
    #[arg(long, value_name = "X,...", value_delimiter = ',', default_values_t = [0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0], value_parser = multiple)]
    pub steps: Vec<f64>,
    /// Errors for which steps in pieces of our own are looked for, before any clock runs
    #[arg(long, value_name = "X,...", value_delimiter = ',', default_values_t = [3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 5e-6, 2e-6, 1e-6, 5e-7], value_parser = multiple)]
    pub tolerances: Vec<f64>,
    /// Patients
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(16..=10_000_000))]
    pub patients: u32,
    /// Interleaved repeats
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,
    /// Seconds to wait for a peer's answer
    #[arg(long, value_name = "S", default_value_t = 900)]
    pub patience: u64,
    /// Where benches/peers/setup has put the peers
    #[arg(long, value_name = "DIR")]
    pub environment: Option<PathBuf>,
    /// The folder benches/peers of the repository
    #[arg(long, value_name = "DIR", default_value = "benches/peers")]
    pub scripts: PathBuf,
    /// Folder for peers-<adapter>.json, .md and .svg (files of an earlier run are replaced)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

fn multiple(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number above 0".to_owned()),
    }
}

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub struct CompareReport {
    program: Value,
    date: String,
    command: Vec<String>,
    machine: Machine,
    adapter: Value,
    multiply_adds_per_second: f64,
    notes: [&'static str; 8],
    models: Vec<ModelRows>,
    unavailable: Vec<Unavailable>,
}

const NOTES: [&str; 8] = [
    "Seconds: medians of interleaved repeats, each the mean of as many runs as take 50 ms, until all outputs (all states at 10 times, 12 of the largest model) are on the host. Every program is warm; models are compiled and doses arranged before the clock runs. Ours take the parameters from the host in every run, peers have them already.",
    "Error: largest difference from an f64 Runge-Kutta solution with 8 steps for one, over all outputs of 32 patients, divided by the range of each state.",
    "Peers that take patients one by one were given as many as take about two seconds; their seconds per patient are taken as they are. They use all cores.",
    "Kvaerno5 was given 512 patients, all at once: an implicit method takes minutes for thousands. Its seconds per patient are taken as they are.",
    "Pieces within a tolerance: our steps by time after a dose, found once from 16 of the patients by the search that `posology check` offers, before any clock runs; the error is of the checked patients, as for everyone.",
    "Ratio: seconds per patient of the peer over ours, at the model's own step for peers of fixed steps, else at the fastest of our rows whose error is not above the peer's.",
    "Fixed steps: classical Runge-Kutta of order 4 with the model's step, everywhere. Adaptive: by tolerance, relative as shown, absolute as a share of the smallest state's range. Errors above 1 % get no ratio.",
    "What is not measured is listed with the reason.",
];

#[derive(Clone, Debug, Serialize)]
struct ModelRows {
    model: String,
    states: usize,
    operations: usize,
    patients: usize,
    steps: u64,
    ours: Vec<OwnRow>,
    peers: Vec<PeerRow>,
}

#[derive(Clone, Debug, Serialize)]
struct OwnRow {
    /// In those of the model; none where they were found for a tolerance.
    step: Option<f64>,
    tolerance: Option<f64>,
    schedule: StepSchedule,
    /// Of one course.
    steps: u64,
    seconds: Spread,
    error: f64,
    patient_steps_per_second: f64,
    /// Of the multiply-adds that the adapter can do, one counting as two operations.
    share_of_peak: f64,
}

#[derive(Clone, Debug, Serialize)]
struct PeerRow {
    peer: &'static str,
    steps: Steps,
    tolerance: Option<f64>,
    about: Value,
    patients: usize,
    seconds: Spread,
    error: f64,
    /// Seconds per patient over ours; none where no step of ours is as accurate, or where what was
    /// computed is not the solution.
    ratio: Option<f64>,
    /// Our row of that ratio.
    against: Option<usize>,
}

#[derive(Clone, Debug, Serialize)]
struct Unavailable {
    peer: String,
    model: String,
    why: String,
}

/// Measure, print, write.
///
/// # Errors
/// Class usage, device, numeric, input/output, interrupted.
pub fn compare(args: &CompareArgs, context: &Context) -> Result<(), Failure> {
    let device = context.open_device()?;
    let models = chosen(&args.models, &MODELS.map(|(name, ..)| name), "--models")?;
    let peers = chosen(&args.peers, &PEERS.map(|(name, ..)| name), "--peers")?;
    // a long run keeps what it has, model by model
    let mut written = Ok(None);
    let report = measure(args, context, &device, &models, &peers, |so_far| {
        written = write(args, &device, so_far);
        written.is_ok()
    });
    let written = written?;
    let report = report.map_err(failure)?;
    let Some(report) = report else {
        return Err(Failure::new(Class::Interrupted, "interrupted"));
    };
    if context.global.json {
        context.print_json(&report)?;
    } else {
        context.print(&tables::text(&report))?;
    }
    if let Some(written) = written {
        context.note(&format!("written: {written}"));
    }
    Ok(())
}

/// The models measured so far, into the folder of --out; what is told of it.
fn write(
    args: &CompareArgs,
    device: &Device,
    report: &CompareReport,
) -> Result<Option<String>, Failure> {
    let one = |out: &PathBuf| {
        let (page, drawn) = (tables::markdown(report), plot::precision(report));
        super::write(out, "peers", device, report, page, drawn)
    };
    args.out.as_ref().map(one).transpose()
}

fn chosen(
    wanted: &[String],
    known: &[&'static str],
    option: &str,
) -> Result<Vec<&'static str>, Failure> {
    if wanted.is_empty() {
        return Ok(known.to_vec());
    }
    let one = |name: &String| {
        known.iter().copied().find(|k| k == name).ok_or_else(|| {
            Failure::usage(format!("{option} `{name}` is not known"))
                .help(format!("one of {}", known.join(", ")))
        })
    };
    wanted.iter().map(one).collect()
}

fn measure(
    args: &CompareArgs,
    context: &Context,
    device: &Device,
    models: &[&str],
    peers: &[&str],
    mut keep: impl FnMut(&CompareReport) -> bool,
) -> anyhow::Result<Option<CompareReport>> {
    let limits = probe::limits(device)?;
    let folder = tempfile::tempdir().context("a folder for the cases")?;
    let mut report = CompareReport {
        program: provenance::program(),
        date: provenance::now(),
        command: provenance::command(),
        machine: Machine::here(),
        adapter: devices::describe(&device.description),
        multiply_adds_per_second: limits.multiply_adds,
        notes: NOTES,
        models: Vec::new(),
        unavailable: Vec::new(),
    };
    let bar = context.progress(models.len() as u64, "models");
    for (name, text, outputs) in MODELS.into_iter().filter(|m| models.contains(&m.0)) {
        let file = format!("{name}.toml");
        let problem = Problem::new(&file, text, outputs, args.patients as usize)?;
        let work = folder.path().join(name);
        let mut entries = entries(args, &problem, &work, peers, &mut report.unavailable)?;
        let mut ours = own(args, &problem, device)?;
        for round in 0..args.repeats {
            bar.set_message(format!("{name}, repeat {} of {}", round + 1, args.repeats));
            for own in &mut ours {
                own.seconds.push(mean_seconds(|| {
                    let start = Instant::now();
                    let results = own.prepared.run(|_, _| true)?;
                    let seconds = start.elapsed().as_secs_f64();
                    drop(results);
                    Ok(seconds)
                })?);
            }
            for entry in &mut entries {
                if context.interrupted() {
                    return Ok(None);
                }
                entry.seconds.push(mean_seconds(|| {
                    let (seconds, patients) = entry.process.run(entry.few, entry.all)?;
                    entry.patients = patients;
                    Ok(seconds)
                })?);
            }
        }
        let rows = rows(&problem, ours, entries, &work, limits.multiply_adds)?;
        report.models.push(rows);
        if !keep(&report) {
            return Ok(None);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Some(report))
}

/// Mean of as many runs as take [`SAMPLE_SECONDS`]: a run of milliseconds, alone between others, is
/// mostly that of a cold machine.
fn mean_seconds(mut run: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let (mut total, mut runs) = (0.0, 0.0);
    while total < SAMPLE_SECONDS {
        total += run()?;
        runs += 1.0;
    }
    Ok(total / runs)
}

/// Steps of ours.
struct Own<'a> {
    prepared: Prepared<'a>,
    step: Option<f64>,
    tolerance: Option<f64>,
    schedule: StepSchedule,
    error: f64,
    seconds: Vec<f64>,
}

fn own<'a>(
    args: &CompareArgs,
    problem: &'a Problem,
    device: &Device,
) -> anyhow::Result<Vec<Own<'a>>> {
    let coarser = args
        .steps
        .iter()
        .map(|&x| (Some(x), None, problem.coarser(x)));
    let tuned = problem.tuned(&args.tolerances)?;
    let tuned = args
        .tolerances
        .iter()
        .zip(tuned)
        .map(|(&x, s)| (None, Some(x), s));
    let mut ours = Vec::new();
    for (step, tolerance, schedule) in coarser.chain(tuned) {
        // the first run builds the kernel and is not counted; coarse steps may diverge
        let prepared = problem.prepared(device, &schedule)?;
        if let Ok(results) = prepared.run(|_, _| true) {
            ours.push(Own {
                prepared,
                step,
                tolerance,
                schedule,
                error: problem.own_error(&results),
                seconds: Vec::new(),
            });
        }
    }
    Ok(ours)
}

/// A peer that runs, with one tolerance.
struct Entry {
    peer: &'static str,
    steps: Steps,
    tolerance: Option<f64>,
    process: Peer,
    few: Option<usize>,
    /// Patients of its case.
    all: usize,
    patients: usize,
    seconds: Vec<f64>,
}

fn entries(
    args: &CompareArgs,
    problem: &Problem,
    work: &Path,
    wanted: &[&str],
    unavailable: &mut Vec<Unavailable>,
) -> anyhow::Result<Vec<Entry>> {
    let environment = match &args.environment {
        Some(environment) => environment.clone(),
        None => default_environment(),
    };
    let mut entries = Vec::new();
    for (peer, steps, takes, runner) in PEERS.into_iter().filter(|p| wanted.contains(&p.0)) {
        let tolerances: &[f64] = match steps {
            Steps::Fixed => &[0.0],
            Steps::Adaptive => &TOLERANCES,
        };
        for &tolerance in tolerances {
            let folder = work.join(format!("{peer}-{tolerance}"));
            let n = match takes {
                Takes::Each | Takes::All => problem.patients(),
                Takes::Most(most) => most.min(problem.patients()),
            };
            let case = problem.write(&folder, peer, tolerance, n)?;
            let command = command(runner, peer, &case, &environment, &args.scripts);
            match Peer::start(command, Duration::from_secs(args.patience))? {
                Started::Ready(mut process) => {
                    let few = if takes == Takes::Each {
                        let fewest = FEWEST.min(problem.patients());
                        process.run(Some(fewest), fewest)?;
                        let (seconds, n) = process.run(Some(fewest), fewest)?;
                        let fits = WANTED_SECONDS / (seconds / n as f64).max(1e-9);
                        let few = (fits as usize).clamp(fewest, problem.patients());
                        (few < problem.patients()).then_some(few)
                    } else {
                        None
                    };
                    entries.push(Entry {
                        peer,
                        steps,
                        tolerance: (steps == Steps::Adaptive).then_some(tolerance),
                        process,
                        few,
                        all: n,
                        patients: 0,
                        seconds: Vec::new(),
                    });
                }
                Started::Unavailable(why) => {
                    unavailable.push(Unavailable {
                        peer: peer.to_owned(),
                        model: problem.model.name.clone(),
                        why,
                    });
                    break;
                }
            }
        }
    }
    Ok(entries)
}

fn default_environment() -> PathBuf {
    let home = std::env::var_os("HOME").unwrap_or_default();
    PathBuf::from(home).join(".cache/posology-peers")
}

fn command(runner: Runner, peer: &str, case: &Path, environment: &Path, scripts: &Path) -> Command {
    let own = |name: &str| Command::new(environment.join("bin").join(name));
    let mut command = match runner {
        Runner::Python | Runner::PythonCuda => {
            let mut command = own("python");
            command.arg(scripts.join("python/peers.py"));
            command
        }
        Runner::Rust => own("posology-peers"),
    };
    // the rest of the name is a device or, in the case file, a method
    let program = peer.trim_end_matches("-cuda").trim_end_matches("-bdf");
    command.arg(program).arg(case);
    if runner == Runner::PythonCuda {
        command.args(["--device", "cuda"]);
    }
    command
}

fn rows(
    problem: &Problem,
    ours: Vec<Own<'_>>,
    entries: Vec<Entry>,
    work: &Path,
    multiply_adds: f64,
) -> anyhow::Result<ModelRows> {
    let n = problem.patients();
    let operations = problem.operations();
    let per_step = operations_per_step(operations, problem.states()) as f64;
    let own: Vec<OwnRow> = ours
        .into_iter()
        .map(|own| {
            let seconds = Spread::of(own.seconds);
            let steps = problem.steps(&own.schedule)?;
            let rate = n as f64 * steps as f64 / seconds.median;
            Ok(OwnRow {
                step: own.step,
                tolerance: own.tolerance,
                schedule: own.schedule,
                steps,
                seconds,
                error: own.error,
                patient_steps_per_second: rate,
                share_of_peak: rate * per_step / (2.0 * multiply_adds),
            })
        })
        .collect::<anyhow::Result<_>>()?;
    let mut peers = Vec::new();
    for mut entry in entries {
        let outputs = entry.process.results(&work.join("results.f64"))?;
        let (times, states) = (problem.times.len(), problem.peer_states());
        let at = |patient: usize, t: usize, s: usize| {
            let place = (patient * times + t) * states + s;
            outputs.get(place).copied().unwrap_or(f64::NAN)
        };
        let error = problem.error(entry.patients, at);
        let seconds = Spread::of(entry.seconds);
        let matching = match entry.steps {
            _ if error.is_nan() || error > WRONG => None,
            Steps::Fixed => own.iter().position(|row| row.step == Some(1.0)),
            Steps::Adaptive => (0..own.len())
                .filter(|&row| own[row].error <= error)
                .min_by(|&a, &b| own[a].seconds.median.total_cmp(&own[b].seconds.median)),
        };
        let per_patient = seconds.median / entry.patients as f64;
        peers.push(PeerRow {
            peer: entry.peer,
            steps: entry.steps,
            tolerance: entry.tolerance,
            about: entry.process.about.clone(),
            patients: entry.patients,
            error,
            ratio: matching.map(|row| per_patient / (own[row].seconds.median / n as f64)),
            against: matching,
            seconds,
        });
    }
    Ok(ModelRows {
        model: problem.model.name.clone(),
        states: problem.states(),
        operations,
        patients: n,
        steps: problem.steps(&problem.model.step)?,
        ours: own,
        peers,
    })
}
