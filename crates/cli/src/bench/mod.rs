//! `posology bench engine`: how fast the engine is on this machine, and what limits it.
//!
//! | module | what |
//! |---|---|
//! | [`case`] | the models that are timed, their patients, the f64 reference |
//! | [`device`] | a case on the device |
//! | [`native`] | the same equations in compiled loops on the CPU |
//! | [`throughput`] | both, over sizes of model and population |
//! | [`synthetic`] | kernel build time over program size |
//! | [`population`] | a million virtual men, in a process of their own |
//! | [`compare`](mod@compare) | `posology bench compare`: what users would pick instead |
//! | [`scaling`](mod@scaling) | `posology bench scaling`: growth with patients and models, start-up, latency |
//! | [`gradient`](mod@gradient) | `posology bench gradient`: a gradient beside its run |
//! | [`recovery`](mod@recovery) | `posology bench recovery`: fits of studies whose truth is known |
//! | [`correction`](mod@correction) | `posology bench correction`: what a trained correction finds |
//! | [`train`](mod@train) | `posology bench train`: environments, policies and training |
//! | [`report`] | figures as JSON, tables and a plot |

mod case;
mod compare;
mod correction;
mod device;
mod gradient;
mod machine;
mod measure;
mod native;
mod plot;
mod population;
mod recovery;
mod report;
mod scaling;
mod synthetic;
mod tables;
mod throughput;
mod train;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use posology_kernels::device::{AdapterKind, Device, DeviceError};
use posology_kernels::probe;
use posology_model::Diagnostics;
use posology_sim::SimError;
use posology_trial::plot::PlotError;
use serde::Serialize;

use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::atomic;

pub use self::compare::{CompareArgs, compare};
pub use self::correction::{CorrectionBenchArgs, correction};
pub use self::gradient::{GradientBenchArgs, gradient};
pub use self::recovery::{RecoveryArgs, recovery};
use self::report::Report;
pub use self::scaling::{ScalingArgs, scaling};
pub use self::train::{TrainBenchArgs, train};

/// Parts of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Patient-steps per second over sizes of model and population, and native baselines
    Throughput,
    /// Kernel build time over program size
    Build,
    /// A million virtual men
    Population,
}

/// Options of `posology bench engine`.
#[derive(Clone, Debug, Args)]
pub struct EngineArgs {
    /// Small sizes only: a first impression in half a minute
    #[arg(long)]
    pub quick: bool,
    /// Folder for engine.json, engine.md and engine.svg (files of an earlier run are replaced)
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub out: PathBuf,
    /// Numbers of patients
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub sizes: Vec<u32>,
    /// Parts to run; only a complete run is written to files
    #[arg(long, value_name = "PART,...", value_delimiter = ',', value_enum)]
    pub only: Vec<Section>,
    /// One population and its peak memory as JSON: how a run measures in a process of its own
    #[arg(
        long,
        hide = true,
        value_name = "PATIENTS,YEARS",
        value_delimiter = ','
    )]
    pub population: Vec<u32>,
}

/// Measure, print, write.
///
/// # Errors
/// Class device, numeric (a variant disagrees with the reference, patients diverged), input/output.
pub fn engine(args: &EngineArgs, context: &Context) -> Result<(), Failure> {
    let device = context.open_device()?;
    if let &[patients, years] = args.population.as_slice() {
        let measured = population::here(&device, patients as usize, years).map_err(failure)?;
        return context.print_json(&measured);
    }
    let report = measure(args, context, &device).map_err(failure)?;
    if context.global.json {
        context.print_json(&report)?;
    } else {
        context.print(&report.text())?;
    }
    if args.only.is_empty() {
        let drawn = plot::throughput(&report);
        let written = write(
            &args.out,
            "engine",
            &device,
            &report,
            report.markdown(),
            drawn,
        )?;
        context.note(&format!("written: {written}"));
    }
    Ok(())
}

fn measure(args: &EngineArgs, context: &Context, device: &Device) -> anyhow::Result<Report> {
    let wanted = |section| args.only.is_empty() || args.only.contains(&section);
    let progress = context.progress(6, "limits of the adapter");
    let limits = probe::limits(device)?;
    let options = device::simulator_options(device)?;
    let mut report = Report::new(device, limits, options.guard_compensation, args.quick);
    progress.inc(1);
    if wanted(Section::Throughput) {
        let models = if args.quick {
            &case::MODELS[..2]
        } else {
            &case::MODELS[..]
        };
        let default: &[usize] = if args.quick {
            &[1024, 4096]
        } else {
            &throughput::SIZES
        };
        let sizes: Vec<usize> = match args.sizes.as_slice() {
            [] => default.to_vec(),
            given => given.iter().map(|&n| n as usize).collect(),
        };
        for (name, text) in models {
            progress.set_message(format!("throughput of {name}"));
            let model = throughput::run(device, name, text, options, &sizes, limits.multiply_adds)?;
            report.models.push(model);
            progress.inc(1);
        }
    }
    if wanted(Section::Build) {
        progress.set_message("kernel build times");
        report.builds = synthetic::run(device, options, args.quick)?;
        progress.inc(1);
    }
    if wanted(Section::Population) {
        progress.set_message("a million virtual men");
        let runs: &[(u32, u32)] = if args.quick {
            &[(100_000, 1)]
        } else {
            &[(1_000_000, 1), (1_000_000, 5)]
        };
        for &(patients, years) in runs {
            report
                .population
                .push(population::in_child(device, patients, years)?);
        }
        progress.inc(1);
    }
    report.compare();
    progress.finish_and_clear();
    Ok(report)
}

/// Figures as JSON, a page and a plot in `folder`; what is told of it.
///
/// # Errors
/// Class numeric where the plot cannot be drawn, input/output.
fn write(
    folder: &Path,
    what: &str,
    device: &Device,
    report: &impl Serialize,
    page: String,
    drawn: Result<String, PlotError>,
) -> Result<String, Failure> {
    let svg = drawn
        .map_err(|error| Failure::new(Class::Numeric, format!("drawing the plot: {error}")))?;
    let stem = file_stem(what, device);
    let file = |extension: &str| folder.join(format!("{stem}.{extension}"));
    atomic::write_file(&file("json"), &atomic::json_bytes(report)?)?;
    atomic::write_file(&file("md"), page.as_bytes())?;
    atomic::write_file(&file("svg"), svg.as_bytes())?;
    Ok(file("{json,md,svg}").display().to_string())
}

/// This program, to be run in a process of its own.
fn this_program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    if program.exists() {
        Ok(program)
    } else {
        // rebuilt meanwhile; Linux keeps the running one here
        Ok("/proc/self/exe".into())
    }
}

/// `engine` for a software adapter, `engine-<adapter>` for a GPU.
fn file_stem(what: &str, device: &Device) -> String {
    if device.description.kind == AdapterKind::Software {
        return what.to_owned();
    }
    let mut slug = String::new();
    for c in device.description.name.to_lowercase().chars() {
        let kept = c.is_ascii_alphanumeric();
        if kept {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    format!("{what}-{}", slug.trim_end_matches('-'))
}

/// The failure behind an error.
fn failure(error: anyhow::Error) -> Failure {
    let text = format!("{error:#}");
    match error.downcast::<SimError>() {
        Ok(error) => error.into(),
        Err(error) => match error.downcast::<Diagnostics>() {
            Ok(found) => found.into(),
            Err(error) if error.chain().any(|cause| cause.is::<DeviceError>()) => {
                Failure::new(Class::Device, text)
            }
            Err(_) => Failure::new(Class::Numeric, text),
        },
    }
}
