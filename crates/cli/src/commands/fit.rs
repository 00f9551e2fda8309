//! `posology fit`: a population, or each patient, from data.

mod look;
mod page;
pub mod study;
pub mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use posology_twin::population::{Saem, SaemState};
use posology_twin::problem::Problem;
use posology_twin::space::Population;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::look::{Fitted, look, remarks};
use self::study::Study;
use crate::args::{FitArgs, Method};
use crate::context::{Context, Graceful};
use crate::error::{Class, Failure};
use crate::output::atomic::{Staging, json_bytes, write_file};
use crate::output::provenance;

/// Iterations between two checkpoints.
const CHECKPOINT_EVERY: usize = 25;

/// An interrupted fit, and what it belongs to.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    model: String,
    data: String,
    options: Value,
    state: SaemState,
}

/// What `fit.json` says of the population, for `forecast --fit`.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    pub model: String,
    pub random: Vec<String>,
    pub fixed: Vec<String>,
    /// Exact, by the bits of the numbers; `estimates` has them to read.
    pub population: Population,
}

/// Run the command.
pub fn run(args: &FitArgs, context: &Context) -> Result<(), Failure> {
    if args.resume && args.method == Method::Map {
        return Err(Failure::usage("--resume goes on with a population fit"));
    }
    let study = Study::load(&args.data, context)?;
    let staging = match &args.out {
        Some(out) => Some(Staging::begin(out, args.overwrite)?),
        None => None,
    };
    let _graceful = Graceful::begin();
    let device = context.open_device()?;
    let problem = study.problem(&device, &study.observations)?;
    let state = match args.method {
        Method::Population => Some(population(&study, &problem, args, context)?),
        Method::Map => None,
    };
    let population = match &state {
        Some(state) => state.populations[0].clone(),
        None => study.start.clone(),
    };
    let fitted = look(&study, &problem, &population, args, context)?;
    report(
        &study,
        &fitted,
        state.as_ref(),
        args,
        &device,
        staging,
        context,
    )?;
    let path = args.out.as_deref().filter(|_| state.is_some());
    if let Some(path) = path.map(checkpoint_path) {
        // the results are there: what they were made from is no longer needed
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// Beside the folder, which appears only when it is complete.
fn checkpoint_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".checkpoint.json");
    out.with_file_name(name)
}

/// The population fit, from its beginning or from a checkpoint.
fn population(
    study: &Study,
    problem: &Problem,
    args: &FitArgs,
    context: &Context,
) -> Result<SaemState, Failure> {
    let everyone: Vec<u32> = (0..study.names.len() as u32).collect();
    let path = args.out.as_deref().map(checkpoint_path);
    let hash = provenance::hash_file(&args.data.data)?;
    let options = json!({
        "iterations": args.data.iterations, "seed": args.data.seed, "set": args.data.set,
        "estimate": args.data.estimate, "correlation": args.data.correlation, "dt": args.data.dt,
        "missing": args.data.missing, "below": args.data.below, "lloq": args.data.lloq,
    });
    let resume = match path.as_deref().filter(|_| args.resume) {
        Some(path) => {
            let found = read_checkpoint(path)?;
            let same = found.model == study.scenario.hash
                && found.data == hash
                && found.options == options;
            if !same {
                return Err(Failure::new(
                    Class::Data,
                    format!("{} belongs to another fit", path.display()),
                )
                .help("the model file, the data and the options must be those it began with"));
            }
            Some(found.state)
        }
        None => None,
    };
    let start = vec![study.start.clone()];
    let mut fit = Saem::new(problem, vec![everyone], start, study.options, resume)?;
    let save = |state: &SaemState| match &path {
        Some(path) => {
            let checkpoint = Checkpoint {
                model: study.scenario.hash.clone(),
                data: hash.clone(),
                options: options.clone(),
                state: state.clone(),
            };
            write_file(path, &json_bytes(&checkpoint)?)
        }
        None => Ok(()),
    };
    study.saem(&mut fit, context, |fit| {
        if context.interrupted() {
            save(&fit.state)?;
            let kept = path
                .as_ref()
                .map_or_else(String::new, |p| format!("; {} holds it", p.display()));
            let done = format!(
                "interrupted after {} of {} iterations{kept}",
                fit.state.iteration,
                fit.total()
            );
            let failure = Failure::new(Class::Interrupted, done);
            return Err(match &path {
                Some(_) => failure.help("the same command with --resume goes on"),
                None => failure,
            });
        }
        if fit.state.iteration.is_multiple_of(CHECKPOINT_EVERY) || fit.done() {
            save(&fit.state)?;
        }
        Ok(())
    })?;
    Ok(fit.state)
}

fn read_checkpoint(path: &Path) -> Result<Checkpoint, Failure> {
    let bytes = fs::read(path).map_err(|error| {
        Failure::io("read", path, &error).help("without a checkpoint, start without --resume")
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(Class::Data, format!("{}: {error}", path.display()))
            .help("the checkpoint is damaged: start without --resume")
    })
}

fn report(
    study: &Study,
    fitted: &Fitted,
    state: Option<&SaemState>,
    args: &FitArgs,
    device: &posology_kernels::device::Device,
    staging: Option<Staging>,
    context: &Context,
) -> Result<(), Failure> {
    let model = &study.scenario.model;
    let remarks = remarks(study, fitted);
    // a terminal has seen the warnings about the data
    let warnings = study.observations.warnings.iter();
    let mut notes: Vec<String> = warnings.map(|d| d.message.clone()).collect();
    notes.extend_from_slice(&remarks);
    let names = |entries: &[posology_twin::space::Entry]| {
        entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>()
    };
    let saved = Saved {
        model: model.name.clone(),
        random: names(&study.space.random),
        fixed: names(&study.space.fixed),
        population: fitted.population.clone(),
    };
    let observed = study.observations.observations.len();
    let correlation: Vec<Value> = study
        .observables()
        .iter()
        .zip(
            fitted
                .population
                .correlation
                .iter()
                .zip(&fitted.population.white),
        )
        .filter(|(_, (time, _))| **time > 0.0)
        .map(|(observable, (time, white))| {
            json!({
                "observable": observable.name, "time": time, "unit": model.time_unit,
                "independent_share": white,
            })
        })
        .collect();
    let summary = json!({
        "model": model.name,
        "method": match args.method { Method::Population => "population", Method::Map => "map" },
        "patients": study.names.len(),
        "observations": observed,
        "censored": study.observations.observations.iter().filter(|o| o.seen.censored()).count(),
        "missing": study.observations.missing,
        "parameters": fitted.uncertainty,
        "correlation_time": correlation,
        "likelihood": fitted.marginal.as_ref().map(|m| json!({
            "minus_two_log_likelihood": m.minus_two_log_likelihood, "se": m.se,
            "aic": m.aic, "bic": m.bic,
        })),
        "notes": notes,
        "saved": saved,
    });
    let mut text = format!(
        "{}: {observed} observations of {} patients\n",
        context.bold(&model.name),
        fitted.who.len()
    );
    if let Some(table) = &fitted.uncertainty {
        text.push('\n');
        text.push_str(&tables::parameters(&table.estimates));
        for entry in &correlation {
            text.push_str(&format!(
                "correlation time of {}: {} {}, independent share {}\n",
                entry["observable"].as_str().unwrap_or_default(),
                tables::short(entry["time"].as_f64().unwrap_or(0.0)),
                model.time_unit,
                tables::short(entry["independent_share"].as_f64().unwrap_or(0.0))
            ));
        }
    }
    if let Some(m) = &fitted.marginal {
        text.push_str(&format!(
            "\n-2 log likelihood {:.2} (+- {:.2}), AIC {:.2}, BIC {:.2}\n",
            m.minus_two_log_likelihood, m.se, m.aic, m.bic
        ));
    }
    for note in &remarks {
        context.note(&format!("note: {note}"));
    }
    let individuals = tables::individuals(study, &fitted.population, &fitted.individuals);
    let Some(staging) = staging else {
        if context.global.json {
            return context.print_json(&summary);
        }
        if fitted.uncertainty.is_none() {
            text.push('\n');
            text.push_str(&individuals);
        }
        return context.print(&text);
    };
    let patients: Vec<String> = fitted
        .who
        .iter()
        .map(|&s| study.names[s as usize].clone())
        .collect();
    let trace: Vec<Population> = state
        .map(|state| state.trace.iter().map(|all| all[0].clone()).collect())
        .unwrap_or_default();
    let inputs = [
        (
            "model",
            study.scenario.path.as_path(),
            study.scenario.hash.clone(),
        ),
        (
            "data",
            args.data.data.as_path(),
            provenance::hash_file(&args.data.data)?,
        ),
    ];
    let html = page::html(&page::About {
        model,
        method: match args.method {
            Method::Population => "population (SAEM)",
            Method::Map => "individual (maximum a posteriori)",
        },
        patients: &patients,
        everyone: study.names.len(),
        space: &study.space,
        uncertainty: fitted.uncertainty.as_ref(),
        marginal: fitted.marginal.as_ref(),
        individuals: &fitted.observed,
        goodness: &fitted.goodness,
        trace: &trace,
        explore: study.options.explore,
        missing: study.observations.missing,
        notes: &notes,
        seed: args.data.seed,
        hashes: &inputs,
    })?;
    staging.write("report.html", html.as_bytes())?;
    staging.write_json("fit.json", &summary)?;
    staging.write("individuals.csv", individuals.as_bytes())?;
    let counts: Vec<usize> = (0..study.names.len())
        .map(|s| {
            let all = study.observations.observations.iter();
            all.filter(|o| o.subject == s).count()
        })
        .collect();
    let posteriors = tables::posteriors(study, &fitted.individuals, &counts);
    staging.write("posteriors.csv", posteriors.as_bytes())?;
    let predictions = tables::predictions(study, &fitted.goodness, &fitted.who);
    staging.write("predictions.csv", predictions.as_bytes())?;
    staging.write_json(
        "provenance.json",
        &study.scenario.provenance(&device.description, &inputs),
    )?;
    staging.commit()?;
    if context.global.json {
        return context.print_json(&summary);
    }
    context.print(&text)?;
    if let Some(out) = &args.out {
        context.note(&format!("written to {}", out.display()));
    }
    Ok(())
}
