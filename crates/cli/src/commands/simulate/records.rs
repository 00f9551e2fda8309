//! Exactly the records of a data file.

use std::path::Path;
use std::time::Instant;

use posology_cohort::{Cohort, Dataset};
use posology_sim::run::status_name;
use posology_sim::{OutputPlan, Results, RuleSet, Simulation, run as integrate, step};
use serde_json::json;

use super::report::Collected;
use super::summary::Timing;
use super::{STABILITY_SAMPLE, options};
use crate::args::SimulateArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::output::provenance;
use crate::scenario::Scenario;

/// Simulate, and write or print one prediction per record.
pub fn run(
    data: &Path,
    scenario: &Scenario,
    args: &SimulateArgs,
    staging: Option<Staging>,
    context: &Context,
) -> Result<(), Failure> {
    let model = &scenario.model;
    let clock = Instant::now();
    let dataset = Dataset::load(data, model)?;
    context.warn(&dataset.warnings);
    let individuals = match &args.individuals {
        Some(path) => Some((
            Cohort::from_csv(model, path)?,
            provenance::hash_file(path)?,
            path,
        )),
        None => None,
    };
    let replay = dataset.replay(model, individuals.as_ref().map(|(cohort, ..)| cohort))?;
    let mut outputs = OutputPlan::none();
    outputs.all_observables(model, false);
    let rules = RuleSet::default();
    let simulation = Simulation {
        model,
        cohort: &replay.cohort,
        timelines: &replay.timelines,
        outputs: &outputs,
        rules: &rules,
    };
    step::refuse_unstable(&simulation, &scenario.schedule, STABILITY_SAMPLE)?;
    let device = context.open_device()?;
    let settings = options(scenario, &device, &simulation)?;
    let mut timing = Timing {
        preparation: clock.elapsed(),
        ..Timing::default()
    };

    let bar = context.progress(replay.cohort.len() as u64, "patients");
    let started = Instant::now();
    let results = integrate(&device, &simulation, &settings, |done, _| {
        bar.set_position(done as u64);
        !context.interrupted()
    })?;
    timing.device = started.elapsed();
    bar.finish_and_clear();
    let mut collected = Collected::new(&outputs, &[]);
    collected.add(&replay.cohort, &results);
    collected.refuse_divergence(args.max_diverged, model.time_unit.text())?;

    let (predictions, statuses) = by_record(
        &results,
        &replay.records,
        &replay.observables,
        dataset.record_count(),
    );
    let mut table = Vec::new();
    dataset
        .write_predictions(&mut table, &predictions, &statuses)
        .map_err(|error| Failure::io("write", data, &error))?;
    let summary = collected.summary(timing);
    let counts = json!({
        "subjects": dataset.subjects().count(),
        "records": dataset.record_count(),
        "predictions": predictions.iter().filter(|value| value.is_finite()).count(),
    });
    let Some(staging) = staging else {
        // without a folder the predictions are the output
        return if context.global.json {
            context.print_json(&json!({
                "model": model.name, "data": counts, "summary": summary,
                "predictions": predictions, "status": statuses,
            }))
        } else {
            context.print(&String::from_utf8_lossy(&table))
        };
    };
    staging.write("predictions.csv", &table)?;
    staging.write_json("summary.json", &json!({"data": counts, "run": summary}))?;
    let mut inputs = vec![
        ("model", scenario.path.as_path(), scenario.hash.clone()),
        ("data", data, provenance::hash_file(data)?),
    ];
    let mut config = scenario.describe();
    // the doses and their times are the data's
    config["regimen"] = json!(null);
    config["duration"] = json!(null);
    config["data"] = json!(data);
    config["max_diverged"] = json!(args.max_diverged);
    if let Some((_, hash, path)) = &individuals {
        inputs.push(("individuals", path, hash.clone()));
        config["individuals"] = json!(path);
    }
    staging.write_json("config.json", &config)?;
    staging.write_json(
        "provenance.json",
        &scenario.provenance(&device.description, &inputs),
    )?;
    staging.commit()?;
    let files = [
        "predictions.csv",
        "summary.json",
        "config.json",
        "provenance.json",
    ];
    if context.global.json {
        return context.print_json(&json!({"model": model.name, "out": args.out, "files": files, "data": counts, "summary": summary}));
    }
    context.print(&format!(
        "{}: {} predictions for {} records of {} patients\n{}",
        context.bold(&model.name),
        counts["predictions"],
        counts["records"],
        counts["subjects"],
        summary.render()
    ))?;
    context.note(&summary.speed(&device.description.name));
    if let Some(out) = &args.out {
        context.note(&format!(
            "written to {}: {}",
            out.display(),
            files.join(", ")
        ));
    }
    Ok(())
}

/// Prediction and status of each record, in the order of the file. A record that its patient
/// reached is `completed`, whatever became of him later.
fn by_record(
    results: &Results,
    records: &[Vec<usize>],
    observables: &[usize],
    count: usize,
) -> (Vec<f64>, Vec<&'static str>) {
    let mut predictions = vec![f64::NAN; count];
    let mut statuses = vec![status_name(posology_kernels::simulate::Status::Completed); count];
    for (lane, of_lane) in records.iter().enumerate() {
        for (k, &record) in of_lane.iter().enumerate() {
            let column = results.records.get(observables[record]);
            let value = column.map_or(f64::NAN, |column| column[results.record_offsets[lane] + k]);
            predictions[record] = value;
            if value.is_nan() {
                statuses[record] = status_name(results.status[lane]);
            }
        }
    }
    (predictions, statuses)
}
