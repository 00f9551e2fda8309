//! `posology bench recovery`: simulate studies whose truth is known, fit each, and see how often the
//! truth comes back.
//!
//! All replicates of a design are fitted in lockstep: their patients are lanes of the same launches.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use posology_cohort::Dataset;
use posology_cohort::nmtran::{Reading, Seen};
use posology_cohort::philox::{standard_normal, stream};
use posology_kernels::device::Device;
use posology_model::Model;
use posology_model::model::{StepPiece, StepSchedule};
use posology_sim::Column;
use posology_twin::likelihood::{from_normal_scale, normal_scale};
use posology_twin::map::{self, MapOptions};
use posology_twin::population::{Estimate, Saem, SaemOptions, fisher};
use posology_twin::problem::{Problem, observables};
use posology_twin::space::{Population, Space};
use serde::Serialize;
use serde_json::Value;

use super::failure;
use super::machine::Machine;
use crate::commands::devices;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::{atomic, provenance};
use crate::table::render;

/// Seed of the simulated studies.
const SEED: u64 = 2024;
/// A fit begins this far from the truth: on the scale of phi, and as a factor of variances and
/// errors.
const START_SHIFT: f64 = 0.25;
const START_FACTOR: f64 = 2.0;
const NORMAL_95: f64 = 1.644_853_626_951_472_7;

/// Options of `posology bench recovery`.
#[derive(Clone, Debug, Args)]
pub struct RecoveryArgs {
    /// Simulated studies of each design
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..))]
    pub replicates: u32,
    /// One design only: one-compartment, two-compartment or docetaxel-neutropenia
    #[arg(long, value_name = "NAME")]
    pub design: Option<String>,
    /// Iterations of each fit: exploring, then converging
    #[arg(long, value_name = "N,N", default_value = "150,100")]
    pub iterations: String,
    /// File for the results as JSON (an earlier one is replaced)
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
}

/// A study: a model, its records per patient, and what is changed for the benchmark.
struct Design {
    name: &'static str,
    model: &'static str,
    patients: usize,
    /// Rows behind the ID: time, amount, rate, DV.
    dose: &'static str,
    times: &'static [f64],
    note: &'static str,
    /// Parameters whose variability is taken out.
    known: &'static [&'static str],
    schedule: Option<&'static [(Option<f64>, f64)]>,
}

const DESIGNS: [Design; 3] = [
    Design {
        name: "one-compartment",
        model: include_str!("../../../../benches/recovery/one-compartment.toml"),
        patients: 40,
        dose: "0,100,.",
        times: &[0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0],
        note: "100 mg, 40 patients, 7 samples each",
        known: &[],
        schedule: None,
    },
    Design {
        name: "two-compartment",
        model: include_str!("../../../../benches/recovery/two-compartment.toml"),
        patients: 40,
        dose: "0,100,.",
        times: &[0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 18.0, 24.0],
        note: "100 mg, 40 patients, 10 samples each",
        known: &[],
        schedule: None,
    },
    Design {
        name: "docetaxel-neutropenia",
        model: include_str!("../../../../configs/models/docetaxel-neutropenia.toml"),
        patients: 50,
        dose: "0,180,180",
        times: &[0.0, 72.0, 120.0, 168.0, 192.0, 216.0, 264.0, 336.0, 432.0],
        note: "180 mg over 1 h, 50 patients, 9 neutrophil counts over 18 days each; clearance known at its typical value",
        known: &["k10"],
        schedule: Some(&[(Some(2.0), 0.05), (Some(12.0), 0.15), (None, 0.3)]),
    },
];

#[derive(Clone, Debug, Serialize)]
struct RecoveryReport {
    program: Value,
    date: String,
    command: Vec<String>,
    machine: Machine,
    adapter: Value,
    replicates: usize,
    iterations: String,
    designs: Vec<DesignReport>,
}

#[derive(Clone, Debug, Serialize)]
struct DesignReport {
    design: String,
    note: String,
    seconds_population: f64,
    seconds_individuals: f64,
    population: Vec<Line>,
    /// Estimates of every patient with the true population as prior: 90 % intervals of phi.
    individuals: Vec<Line>,
}

/// How one parameter came back.
#[derive(Clone, Debug, Serialize)]
struct Line {
    parameter: String,
    truth: f64,
    mean: f64,
    /// Percent of the truth (individuals: of the standard deviation of the random effect), with
    /// its Monte Carlo standard error.
    bias: f64,
    bias_se: f64,
    /// Standard deviation of the estimates, and mean of their standard errors.
    deviation: f64,
    standard_error: f64,
    /// Share of intervals that hold the truth, and its standard error.
    coverage: f64,
    coverage_se: f64,
    intervals: usize,
}

/// Measure, print, write.
///
/// # Errors
/// Class device, numeric, input/output, usage.
pub fn recovery(args: &RecoveryArgs, context: &Context) -> Result<(), Failure> {
    let iterations: Vec<usize> = args
        .iterations
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    let [explore, converge] = iterations[..] else {
        return Err(Failure::usage(
            "--iterations is two numbers, such as 150,100",
        ));
    };
    let wanted = |d: &&Design| args.design.as_deref().is_none_or(|name| name == d.name);
    let designs: Vec<&Design> = DESIGNS.iter().filter(wanted).collect();
    if designs.is_empty() {
        let names: Vec<&str> = DESIGNS.iter().map(|d| d.name).collect();
        return Err(Failure::usage("no such design").help(names.join(", ")));
    }
    let device = context.open_device()?;
    let options = SaemOptions {
        explore,
        converge,
        ..SaemOptions::default()
    };
    let mut reports = Vec::new();
    for design in designs {
        let found = study(&device, design, args.replicates as usize, options, context).map_err(
            |error| match error.downcast::<Interrupted>() {
                Ok(_) => Failure::new(Class::Interrupted, "interrupted"),
                Err(error) => failure(error),
            },
        )?;
        reports.push(found);
    }
    let report = RecoveryReport {
        program: provenance::program(),
        date: provenance::now(),
        command: provenance::command(),
        machine: Machine::here(),
        adapter: devices::describe(&device.description),
        replicates: args.replicates as usize,
        iterations: args.iterations.clone(),
        designs: reports,
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

#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// Simulated studies of a design, with their truth.
struct Studies {
    problem: Problem,
    truth: Population,
    /// `[patient][p]`
    phi: Vec<f64>,
    groups: Vec<Vec<u32>>,
    observables: Vec<Column>,
}

fn simulate(device: &Device, design: &Design, replicates: usize) -> anyhow::Result<Studies> {
    let mut model = Model::parse(design.name, design.model, None)
        .map_err(|found| anyhow::anyhow!("{found}"))?;
    for parameter in &mut model.parameters {
        if design.known.contains(&parameter.name.as_str()) || parameter.iov.is_some() {
            parameter.iiv = None;
        }
    }
    let total = replicates * design.patients;
    let mut rows = String::from("ID,TIME,AMT,RATE,DV\n");
    for i in 0..total {
        let _ = writeln!(rows, "{i},{},.", design.dose);
        for t in design.times {
            let _ = writeln!(rows, "{i},{t},.,.,1");
        }
    }
    let read = |found: posology_model::Diagnostics| anyhow::anyhow!("{found}");
    let dataset = Dataset::parse(design.name, rows.as_bytes(), &model).map_err(read)?;
    let observations = dataset
        .observations(&model, &Reading::default())
        .map_err(read)?;
    let replay = dataset.replay(&model, None).map_err(read)?;
    let (space, truth) = Space::new(&model, &[])?;
    let schedule = design.schedule.map(|pieces| {
        let piece = |&(until, dt): &(Option<f64>, f64)| StepPiece { until, dt };
        StepSchedule(pieces.iter().map(piece).collect())
    });
    let mut problem = Problem::new(
        device,
        &model,
        &replay,
        &observations,
        space,
        schedule.as_ref(),
    )?;
    let p = truth.mu.len();
    // patients of the truth: independent random effects
    let mut phi = Vec::with_capacity(total * p);
    for i in 0..total as u32 {
        for k in 0..p {
            let z = standard_normal(SEED, i, 0, stream::PREDICTIVE, k as u32);
            phi.push(truth.mu[k] + truth.omega[k * p + k].sqrt() * z);
        }
    }
    let everyone: Vec<u32> = (0..total as u32).collect();
    let populations = [truth.clone()];
    let (f, _) = problem.likelihood(&everyone, &populations, &vec![0; total], &phi)?;
    for (i, points) in problem.points.iter_mut().enumerate() {
        for (k, point) in points.iter_mut().enumerate() {
            let error = truth.error(point.observable);
            let e = standard_normal(SEED, i as u32, 1, stream::PREDICTIVE, k as u32);
            let (centre, sd) = normal_scale(f.of(i)[point.at], &error);
            let y = from_normal_scale(centre + sd * e, &error);
            ensure!(y.is_finite(), "patient {i} has no finite course");
            point.seen = Seen::Value(y);
        }
    }
    let groups = everyone
        .chunks(design.patients)
        .map(<[u32]>::to_vec)
        .collect();
    let observables = observables(&model);
    Ok(Studies {
        problem,
        truth,
        phi,
        groups,
        observables,
    })
}

fn study(
    device: &Device,
    design: &Design,
    replicates: usize,
    options: SaemOptions,
    context: &Context,
) -> anyhow::Result<DesignReport> {
    let studies = simulate(device, design, replicates)?;
    let Studies {
        problem,
        truth,
        groups,
        ..
    } = &studies;
    let everyone: Vec<u32> = groups.concat();
    let of: Vec<usize> = groups
        .iter()
        .enumerate()
        .flat_map(|(g, who)| vec![g; who.len()])
        .collect();
    let search = MapOptions {
        starts: 1,
        ..MapOptions::default()
    };

    let clock = Instant::now();
    let known = [truth.clone()];
    let none = vec![0; everyone.len()];
    let individuals = map::estimate(problem, &everyone, &known, &none, &search)?;
    let seconds_individuals = clock.elapsed().as_secs_f64();
    let individual_lines = individual_lines(&studies, &individuals);

    let clock = Instant::now();
    let start = away(truth);
    let mut fit = Saem::new(
        problem,
        groups.clone(),
        vec![start; replicates],
        options,
        None,
    )?;
    let bar = context.progress(fit.total() as u64, "iterations");
    while !fit.done() {
        if context.interrupted() {
            return Err(Interrupted.into());
        }
        fit.iterate()?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let populations = &fit.state.populations;
    let modes = map::estimate(problem, &everyone, populations, &of, &search)?;
    let mut tables = Vec::with_capacity(replicates);
    let mut first = 0;
    for (g, who) in groups.iter().enumerate() {
        let own = &modes[first..first + who.len()];
        first += who.len();
        let table = fisher::uncertainty(problem, who, &populations[g], own, &studies.observables)?;
        tables.push(table.estimates);
    }
    let seconds_population = clock.elapsed().as_secs_f64();
    // the truth, shown as the table shows it
    let own = &individuals[..groups[0].len()];
    let shown = fisher::uncertainty(problem, &groups[0], truth, own, &studies.observables)?;
    let population = shown
        .estimates
        .iter()
        .enumerate()
        .map(|(k, truth)| {
            let of: Vec<&Estimate> = tables.iter().map(|t| &t[k]).collect();
            population_line(truth, &of)
        })
        .collect();
    Ok(DesignReport {
        design: design.name.to_owned(),
        note: design.note.to_owned(),
        seconds_population,
        seconds_individuals,
        population,
        individuals: individual_lines,
    })
}

/// Where fits begin: away from the truth.
fn away(truth: &Population) -> Population {
    let mut start = truth.clone();
    start.mu.iter_mut().for_each(|mu| *mu += START_SHIFT);
    start
        .omega
        .iter_mut()
        .for_each(|omega| *omega *= START_FACTOR);
    for error in &mut start.errors {
        error.iter_mut().for_each(|part| *part *= START_FACTOR);
    }
    start
}

fn population_line(truth: &Estimate, of: &[&Estimate]) -> Line {
    let values: Vec<f64> = of.iter().map(|e| e.value).collect();
    let errors: Vec<f64> = of.iter().filter_map(|e| e.se).collect();
    let intervals: Vec<(f64, f64)> = of.iter().filter_map(|e| e.interval).collect();
    let hits = intervals
        .iter()
        .filter(|(low, high)| (*low..=*high).contains(&truth.value))
        .count();
    line(
        &truth.name,
        truth.value,
        truth.value.abs(),
        &values,
        &errors,
        hits,
        intervals.len(),
    )
}

fn individual_lines(studies: &Studies, found: &[map::Individual]) -> Vec<Line> {
    let (problem, truth) = (&studies.problem, &studies.truth);
    let p = truth.mu.len();
    (0..p)
        .map(|k| {
            let deviation = truth.omega[k * p + k].sqrt();
            // estimates less truths: their mean is the bias
            let apart: Vec<f64> = found
                .iter()
                .enumerate()
                .map(|(i, one)| one.phi[k] - studies.phi[i * p + k])
                .collect();
            let errors: Vec<f64> = found
                .iter()
                .map(|one| one.covariance[k * p + k].max(0.0).sqrt())
                .collect();
            let hits = apart
                .iter()
                .zip(&errors)
                .filter(|(d, se)| d.abs() <= NORMAL_95 * **se)
                .count();
            let name = &problem.space.random[k].name;
            line(name, 0.0, deviation, &apart, &errors, hits, apart.len())
        })
        .collect()
}

fn line(
    parameter: &str,
    truth: f64,
    scale: f64,
    values: &[f64],
    errors: &[f64],
    hits: usize,
    intervals: usize,
) -> Line {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let coverage = hits as f64 / intervals.max(1) as f64;
    Line {
        parameter: parameter.to_owned(),
        truth,
        mean,
        bias: 100.0 * (mean - truth) / scale,
        bias_se: 100.0 * deviation / n.sqrt() / scale,
        deviation,
        standard_error: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
        coverage,
        coverage_se: (coverage * (1.0 - coverage) / intervals.max(1) as f64).sqrt(),
        intervals,
    }
}

fn text(report: &RecoveryReport) -> String {
    let mut out = String::new();
    let percent = |v: f64, digits: usize| format!("{v:.digits$}");
    for design in &report.designs {
        let _ = writeln!(
            out,
            "{}: {} studies, {} ({:.0} s population fits, {:.0} s individual estimates)",
            design.design,
            report.replicates,
            design.note,
            design.seconds_population,
            design.seconds_individuals
        );
        for (title, lines, level) in [
            ("population", &design.population, "95 %"),
            ("individual", &design.individuals, "90 %"),
        ] {
            let rows: Vec<Vec<String>> = lines
                .iter()
                .map(|l| {
                    vec![
                        l.parameter.clone(),
                        format!("{:.4}", l.truth),
                        format!("{:.4}", l.mean),
                        format!("{} +- {}", percent(l.bias, 2), percent(l.bias_se, 2)),
                        format!("{:.4}", l.deviation),
                        format!("{:.4}", l.standard_error),
                        format!(
                            "{} +- {}",
                            percent(100.0 * l.coverage, 1),
                            percent(100.0 * l.coverage_se, 1)
                        ),
                    ]
                })
                .collect();
            let cover = format!("{level} coverage, %");
            out.push_str(&render(
                &[
                    title,
                    "truth",
                    "mean",
                    "bias, %",
                    "SD",
                    "mean SE",
                    cover.as_str(),
                ],
                &rows,
            ));
            out.push('\n');
        }
    }
    out
}
