//! `posology population`: a virtual population and its check.

mod page;
mod tables;

use std::time::Instant;

use posology_cohort::Sampler;
use posology_cohort::population_file::{Check, Covariates, Coverage, How, Moments, Population};
use posology_model::model::Model;
use posology_sim::sample::{self, Request};
use serde_json::{Value, json};

use crate::args::PopulationArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::library::{MODELS, POPULATIONS};
use crate::output::atomic::Staging;
use crate::output::provenance;
use crate::table::{self, number};
use tables::Cohorts;

/// Patients where nothing is said.
const PATIENTS: usize = 10_000;

/// Run the command.
///
/// # Errors
/// Class data for the population file and its data, model for the model, I/O.
pub fn run(args: &PopulationArgs, context: &Context) -> Result<(), Failure> {
    let path = POPULATIONS.find(&args.file)?;
    let population = Population::load(&path)?;
    context.warn(&population.warnings);
    let model_path = args.model.as_deref().map(|m| MODELS.find(m)).transpose()?;
    let model = model_path.as_deref().map(Model::load).transpose()?;
    if let Some(model) = &model {
        context.warn(&model.warnings);
    }
    let staging = Staging::begin(&args.out, args.overwrite)?;
    let n = match (args.patients, population.data_rows()) {
        (Some(n), _) => n as usize,
        (None, Some(rows)) if !population.resamples() => {
            rows.saturating_sub(args.first as usize).max(1)
        }
        _ => PATIENTS,
    };
    if let Some(model) = &model {
        // what does not fit shows before anyone is drawn
        population.coverage(model)?;
    }
    let device = context.open_device()?;
    let clock = Instant::now();
    let sampled = sample::covariates(&device, &population, n, args.seed, args.first)?;
    let mut on_host = sampled.on_host.clone();
    let drawn = match &model {
        Some(model) => {
            let samplers = [Sampler::new(model)?];
            let request = Request {
                population: Some(&population),
                samplers: &samplers,
                around: None,
                n,
                seed: args.seed,
                first_id: args.first,
            };
            let both = sample::individuals(&device, &request, &population, sampled.clone())?;
            on_host = both.on_host;
            Some(both.drawn)
        }
        None => None,
    };
    let covariates = sampled.drawn;
    let seconds = clock.elapsed().as_secs_f64();
    for reason in &on_host {
        context.note(&reason.to_string());
    }
    let on_host: Vec<&str> = on_host.iter().map(|r| r.because.as_str()).collect();
    let check = population.check(&covariates);

    let mut files = vec![("population", path.as_path(), provenance::hash_file(&path)?)];
    if let Some(path) = &model_path {
        files.push(("model", path, provenance::hash_file(path)?));
    }
    let cohorts = Cohorts {
        population: &population,
        covariates: &covariates,
        model: model.as_ref().zip(drawn.as_ref()),
    };
    let mut written = vec!["cohort.parquet"];
    cohorts.parquet(&staging, &args.out)?;
    if args.csv {
        staging.write("cohort.csv", cohorts.csv().as_bytes())?;
        written.push("cohort.csv");
    }
    let coverage = drawn.as_ref().map(|drawn| &drawn.coverage);
    let about = page::About {
        model: model.as_ref(),
        coverage,
        seed: args.seed,
        first: args.first,
        hashes: &files,
    };
    let html = page::html(&population, &covariates, &check, &about)?;
    staging.write("check.html", html.as_bytes())?;
    let summary = summary(&population, &covariates, &check, coverage, args);
    staging.write_json("summary.json", &summary)?;
    let files: Vec<Value> = files
        .iter()
        .map(|(role, path, hash)| json!({"role": role, "file": path, "sha256": hash}))
        .collect();
    let described = json!({
        "notice": provenance::NOTICE,
        "program": provenance::program(),
        "date": provenance::now(),
        "command": provenance::command(),
        "seed": args.seed,
        "seconds": seconds,
        "patients_per_second": n as f64 / seconds,
        "device": { "name": device.description.name, "backend": device.description.backend, "driver": device.description.driver },
        "drawn_on_host": on_host,
        "files": files,
    });
    staging.write_json("provenance.json", &described)?;
    staging.commit()?;
    written.extend(["check.html", "summary.json", "provenance.json"]);

    if context.global.json {
        let all = json!({ "out": args.out, "files": written, "seconds": seconds, "patients_per_second": n as f64 / seconds, "drawn_on_host": on_host, "warnings": population.warnings, "summary": summary });
        return context.print_json(&all);
    }
    context.print(&overview(&population, &check, coverage, n, context))?;
    context.note(&format!(
        "{} patients per second; written to {}: {}",
        number(n as f64 / seconds, 3),
        args.out.display(),
        written.join(", ")
    ));
    Ok(())
}

/// `summary.json`
fn summary(
    population: &Population,
    covariates: &Covariates,
    check: &Check,
    coverage: Option<&Coverage>,
    args: &PopulationArgs,
) -> Value {
    let correlations: Vec<Value> = population
        .correlations
        .iter()
        .map(|one| {
            let name = |i: usize| population.covariates[i].name.as_str();
            let (a, b) = one.between;
            json!({ "between": [name(a), name(b)], "normals": one.value, "source": one.source, "calibrated": one.calibrated })
        })
        .collect();
    json!({
        "population": population.name,
        "title": population.title,
        "patients": covariates.ids.len(),
        "first": args.first,
        "seed": args.seed,
        "model": args.model,
        "check": check,
        "correlations": correlations,
        "coverage": coverage,
        "missing": population.missing(),
        "unused_columns": population.unused_columns(),
        "sources": population.sources,
    })
}

/// For a terminal.
fn overview(
    population: &Population,
    check: &Check,
    coverage: Option<&Coverage>,
    n: usize,
    context: &Context,
) -> String {
    let mut rows = Vec::new();
    // organs are on the page
    let organ = |how: &How| matches!(how, How::Anatomy(_));
    let shown = check.covariates.iter().zip(&population.covariates);
    for (one, _) in shown.filter(|(_, covariate)| !organ(&covariate.how)) {
        let expected = |pick: fn(&Moments) -> f64| {
            one.expected
                .as_ref()
                .map_or(String::new(), |e| number(pick(e), 4))
        };
        rows.push(vec![
            one.name.clone(),
            one.unit.clone(),
            number(one.mean, 4),
            expected(|e| e.mean),
            number(one.sd, 4),
            expected(|e| e.sd),
            number(one.median, 4),
            number(one.min, 4),
            number(one.max, 4),
        ]);
    }
    let header = [
        "covariate",
        "unit",
        "mean",
        "expected",
        "SD",
        "expected",
        "median",
        "min",
        "max",
    ];
    let mut out = format!(
        "{}: {n} patients\n\n{}",
        context.bold(&population.name),
        table::render(&header, &rows)
    );
    for (what, error) in [
        ("organ masses sum to body weight", check.mass_error),
        ("flows sum to cardiac output", check.flow_error),
    ] {
        if let Some(error) = error {
            out += &format!("\n{what} within {error:.1e}");
        }
    }
    if check.redrawn > 0.0 {
        let share = number(100.0 * check.redrawn, 3);
        out += &format!("\n{share} % of draws were outside bounds and drawn again");
    }
    for missing in population.missing() {
        out += &format!("\n{}", missing.note());
    }
    if !population.unused_columns().is_empty() {
        let unused = population.unused_columns().join(", ");
        out += &format!("\nnot used of the data file: {unused}");
    }
    if let Some(note) = coverage.and_then(Coverage::note) {
        out += &format!("\n{note}");
    }
    out
}
