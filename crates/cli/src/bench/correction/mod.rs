//! `posology bench correction`: what a trained correction finds of a term that its mechanism misses,
//! what it makes up where none is missing, and what its forecasts are worth.
//!
//! Data are simulated: tumours that grow exponentially but for a crowding term, or without it. The
//! corrected mechanism (a universal differential equation, Rackauckas 2020, arXiv 2001.04385; trained
//! through the solver as by Chen 2018, arXiv 1806.07366) stands beside the same mechanism uncorrected
//! and physics-informed networks (Raissi 2019, doi 10.1016/j.jcp.2018.10.045).
//!
//! | module | what |
//! |---|---|
//! | [`data`] | simulated patients, forecasts, learned rates |
//! | [`tables`] | the report as text |
//! | [`rivals`] | population fits of the mechanism, physics-informed networks |

mod data;
mod rivals;
mod tables;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use posology_kernels::device::Device;
use posology_model::Model;
use posology_twin::correction::{Improvement, TrainOptions, Trained, train};
use posology_twin::problem::Problem;
use posology_twin::space::{Population, Space};
use serde::Serialize;
use serde_json::Value;

use self::data::{CORRECTED, Course, Errors, Fitted, MECHANISM, TRUTH, forecast, learned};
use super::failure;
use super::machine::Machine;
use crate::commands::devices;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::{atomic, provenance};

/// Of the hidden term, 1/mL/d.
const CROWDING: f64 = 0.0005;
/// Patients that train a correction, and new ones that are forecast.
const PATIENTS: u32 = 120;
const NEW: u32 = 60;

/// Options of `posology bench correction`.
#[derive(Clone, Debug, Args)]
pub struct CorrectionBenchArgs {
    /// One seed and short fits: a first impression
    #[arg(long)]
    pub quick: bool,
    /// Data sets of each kind
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub seeds: u32,
    /// File for the results as JSON (an earlier one is replaced)
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize)]
struct CorrectionReport {
    program: Value,
    date: String,
    command: Vec<String>,
    machine: Machine,
    adapter: Value,
    quick: bool,
    notes: [&'static str; 7],
    runs: Vec<Run>,
}

const NOTES: [&str; 7] = [
    "Data: 120 patients, sizes every 10 d until day 120, log-normal error .1, growth and first size log-normal between patients; 60 new patients are seen until day 50 and forecast after it from their maximum a posteriori estimates.",
    "Errors: mean absolute differences of natural logarithms from measurements (observed) and from the course without measurement error (exact).",
    "R squared: of the learned rate against the missing one at the states that the training patients visit, daily. Largest share: correction over mechanism at the same states.",
    "Population: of the simulation, or fitted to the training data with the uncorrected mechanism (SAEM); corrections keep the one they are given, but for residual errors.",
    "A constant relative correction and a typical growth are told apart by the population alone: from one that was fitted without the correction the sum of both is learned, and R squared says how little of it is the term that was hidden.",
    "Physics-informed networks: one per new patient, fitted until day 50 with the uncorrected mechanism as penalty, growth and first size beside it with the prior of the simulation; forecasts by the network itself beyond the points where it was asked for the equations, and by the mechanism simulated with the growth and first size that were found. 600 iterations (quick: 200), learning rate .03, else the defaults.",
    "Improvement: natural log marginal likelihood per patient of the held-out half that judges, paired; a correction is kept where it exceeds the least gain (.01 per observation) by quantile times se.",
];

/// One data set.
#[derive(Clone, Debug, Serialize)]
struct Run {
    missing: &'static str,
    seed: u64,
    corrections: Vec<Correction>,
    forecasts: Vec<ForecastRow>,
}

#[derive(Clone, Debug, Serialize)]
struct Correction {
    population: &'static str,
    alpha: f64,
    r_squared: Option<f64>,
    largest_share: f64,
    improvement: Improvement,
    epochs: usize,
    best: usize,
    residual: f64,
    seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct ForecastRow {
    method: &'static str,
    population: &'static str,
    #[serde(flatten)]
    errors: Errors,
    /// Error of measurements over that of the true model.
    ratio: f64,
    seconds: f64,
}

/// Measure, print, write.
///
/// # Errors
/// Class device, numeric, input/output, interrupted.
pub fn correction(args: &CorrectionBenchArgs, context: &Context) -> Result<(), Failure> {
    let device = context.open_device()?;
    let machine = Machine::here();
    let seeds = if args.quick { 1 } else { u64::from(args.seeds) };
    let bar = context.progress(2 * seeds, "data sets");
    let mut runs = Vec::new();
    for crowding in [CROWDING, 0.0] {
        for seed in 1..=seeds {
            let course = Course { seed, crowding };
            let run = measure(&device, course, args.quick, || !context.interrupted());
            if context.interrupted() {
                return Err(Failure::new(Class::Interrupted, "interrupted"));
            }
            runs.push(run.map_err(failure)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let report = CorrectionReport {
        program: provenance::program(),
        date: provenance::now(),
        command: provenance::command(),
        machine,
        adapter: devices::describe(&device.description),
        quick: args.quick,
        notes: NOTES,
        runs,
    };
    if context.global.json {
        context.print_json(&report)?;
    } else {
        context.print(&tables::text(&report))?;
    }
    if let Some(file) = &args.out {
        atomic::write_file(file, &atomic::json_bytes(&report)?)?;
        context.note(&format!("written: {}", file.display()));
    }
    Ok(())
}

/// Populations that a fit may start from.
const KNOWN: &str = "of the simulation";
const FITTED: &str = "fitted";

fn measure(
    device: &Device,
    course: Course,
    quick: bool,
    go: impl Fn() -> bool,
) -> anyhow::Result<Run> {
    let (saem, informed) = if quick { (100, 200) } else { (300, 600) };
    let (old, new) = (0..PATIENTS, PATIENTS..PATIENTS + NEW);
    let hidden = course.crowding > 0.0;
    let mechanism = Model::parse("mechanism.toml", MECHANISM, None)?;
    let truth = Model::parse("truth.toml", if hidden { TRUTH } else { MECHANISM }, None)?;
    let trainable = Model::parse_trainable("corrected.toml", CORRECTED, None)?;
    let correction = trainable.correction.as_ref().context("no correction")?;
    let names = correction.network.weight_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_, known) = Space::new(&mechanism, &[])?;
    let (_, exact) = Space::new(&truth, &[])?;

    let mut forecasts: Vec<ForecastRow> = Vec::new();
    let mut row = |method, population, began: Instant, errors: Errors| {
        let first = forecasts.first().map_or(errors, |row| row.errors);
        forecasts.push(ForecastRow {
            method,
            population,
            errors,
            ratio: errors.observed / first.observed,
            seconds: began.elapsed().as_secs_f64(),
        });
    };
    let plain = |model, population: &Population| {
        let fitted = Fitted {
            model,
            fixed: &[],
            population: population.clone(),
        };
        forecast(device, &fitted, course, new.clone(), None)
    };
    let began = Instant::now();
    row("true model", KNOWN, began, plain(&truth, &exact)?);
    let began = Instant::now();
    row("mechanism", KNOWN, began, plain(&mechanism, &known)?);
    let began = Instant::now();
    let fitted = rivals::population(device, &mechanism, course, old.clone(), saem)?;
    row("mechanism", FITTED, began, plain(&mechanism, &fitted)?);

    let mut corrections = Vec::new();
    for (word, population) in [(KNOWN, known.clone()), (FITTED, fitted)] {
        let began = Instant::now();
        let trained = trained(device, &trainable, &names, population, course, &go)?;
        let seconds = began.elapsed().as_secs_f64();
        let learned = learned(&trainable, &trained.weights, course, old.clone())?;
        let model = Fitted {
            model: &trainable,
            fixed: &names,
            population: trained.population.clone(),
        };
        let errors = forecast(device, &model, course, new.clone(), None)?;
        row("corrected mechanism", word, began, errors);
        corrections.push(Correction {
            population: word,
            alpha: trained.alpha,
            r_squared: learned.r_squared,
            largest_share: learned.largest_share,
            improvement: trained.improvement,
            epochs: trained.losses.len(),
            best: trained.best,
            residual: trained.population.errors.first().map_or(0.0, |e| e[2]),
            seconds,
        });
    }
    let began = Instant::now();
    let plain = Fitted {
        model: &mechanism,
        fixed: &[],
        population: known,
    };
    let [network, simulated] =
        rivals::physics_informed(device, &plain, course, new.clone(), informed)?;
    row("physics-informed network", KNOWN, began, network);
    row("its parameters, simulated", KNOWN, began, simulated);
    Ok(Run {
        missing: if hidden { "crowding" } else { "nothing" },
        seed: course.seed,
        corrections,
        forecasts,
    })
}

/// A correction trained on the data of the first patients.
fn trained(
    device: &Device,
    model: &Model,
    names: &[&str],
    population: Population,
    course: Course,
    go: impl Fn() -> bool,
) -> anyhow::Result<Trained> {
    let (observations, replay) = course.data(model, 0..PATIENTS, data::UNTIL)?;
    let (space, start) = Space::new(model, names)?;
    let start = Population {
        fixed: start.fixed,
        ..population
    };
    let problem = Problem::new(device, model, &replay, &observations, space, None)?;
    let network = model.correction.as_ref().context("no correction")?.network;
    let options = TrainOptions::default();
    Ok(train(&problem, &network, start, options, None, |_| go())?)
}
