//! Virtual patients under a regimen, part by part.

use std::path::Path;
use std::time::Instant;

use posology_cohort::Timelines;
use posology_sim::{OutputPlan, RuleSet, SimError, Simulation, run as integrate, step};
use serde_json::json;

use super::population::Population;
use super::report::Collected;
use super::summary::Timing;
use super::tables::Tables;
use super::{STABILITY_SAMPLE, options};
use crate::args::SimulateArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::scenario::{Scenario, step_text};
use crate::table::number;

/// Recorded numbers that a part holds on the host.
const PART_VALUES: usize = 1 << 24;
/// Patients of a part at most; a fixed number, so that no result depends on the device.
const PART_PATIENTS: usize = 1 << 18;

/// Simulate, and write or print the results.
pub fn run(
    scenario: &Scenario,
    args: &SimulateArgs,
    staging: Option<Staging>,
    context: &Context,
) -> Result<(), Failure> {
    let times = scenario.times(args.every.as_deref(), args.at.as_deref())?;
    let population = Population::new(scenario, args)?;
    let outputs = OutputPlan::of_model(&scenario.model, true);
    let mut timing = Timing::default();
    let clock = Instant::now();
    let total = population.len();
    // what is wrong with the doses shows in the first patient, before a device is asked for
    let one = population.on_host(scenario, 0, total.min(1))?;
    scenario.timelines(&one, population.varied())?;
    let device = context.open_device()?;
    let per_part =
        (PART_VALUES / (times.len() * outputs.records.len()).max(1)).clamp(1024, PART_PATIENTS);

    let rules = RuleSet::default();
    let target = args.out.as_deref().unwrap_or(Path::new(""));
    let mut tables = match &staging {
        Some(staging) => Some(Tables::begin(
            scenario,
            &outputs,
            &times,
            population.named(),
            (staging, target),
        )?),
        None => None,
    };
    let mut collected = Collected::new(&outputs, &times);
    let mut settings = None;
    let bar = context.progress(total as u64, "patients");
    let mut first = 0;
    while first < total {
        let n = per_part.min(total - first);
        let started = Instant::now();
        let sampled = population.part(scenario, first, n, &device)?;
        if first == 0 {
            for reason in &sampled.on_host {
                context.note(&reason.to_string());
            }
        }
        let cohort = sampled.drawn;
        let timelines: Timelines = scenario
            .timelines(&cohort, population.varied())?
            .with_records(&times);
        let simulation = Simulation {
            model: &scenario.model,
            cohort: &cohort,
            timelines: &timelines,
            outputs: &outputs,
            rules: &rules,
        };
        timing.host += started.elapsed();
        let settings = match &settings {
            Some(settings) => settings,
            None => {
                step::refuse_unstable(&simulation, &scenario.schedule, STABILITY_SAMPLE)?;
                let chosen = options(scenario, &device, &simulation)?;
                timing.preparation = clock.elapsed() - timing.host;
                settings.insert(chosen)
            }
        };
        let started = Instant::now();
        let progress = |done: usize, _: usize| {
            bar.set_position((first + done) as u64);
            !context.interrupted()
        };
        let results =
            integrate(&device, &simulation, settings, progress).map_err(|error| match error {
                SimError::Interrupted { done, .. } => SimError::Interrupted {
                    done: first + done,
                    total,
                },
                other => other,
            })?;
        timing.device += started.elapsed();
        let started = Instant::now();
        if let Some(tables) = &mut tables {
            tables.append(&cohort, &results)?;
        }
        collected.add(&cohort, &results);
        timing.host += started.elapsed();
        first += n;
    }
    bar.finish_and_clear();
    let unit = scenario.model.time_unit.text();
    collected.refuse_divergence(args.max_diverged, unit)?;

    let started = Instant::now();
    let mut files = match tables {
        Some(tables) => tables.close()?,
        None => Vec::new(),
    };
    timing.host += started.elapsed();
    let summary = collected.summary(timing);
    if let Some(staging) = staging {
        staging.write_json("summary.json", &summary)?;
        if !times.is_empty() {
            staging.write("summary.csv", collected.by_time(unit).as_bytes())?;
            files.push("summary.csv");
        }
        let mut config = scenario.describe();
        config["population"] = population.describe();
        config["times"] = json!(times);
        config["max_diverged"] = json!(args.max_diverged);
        staging.write_json("config.json", &config)?;
        let mut inputs = vec![("model", scenario.path.as_path(), scenario.hash.clone())];
        if let Population::Table { path, hash, .. } = &population {
            inputs.push(("individuals", path, hash.clone()));
        }
        staging.write_json(
            "provenance.json",
            &scenario.provenance(&device.description, &inputs),
        )?;
        staging.commit()?;
        files.extend(["summary.json", "config.json", "provenance.json"]);
    }

    if context.global.json {
        return context.print_json(&json!({"model": scenario.model.name, "out": args.out, "files": files, "warnings": scenario.model.warnings, "summary": summary}));
    }
    let doses = scenario
        .regimen_text()
        .map_or("no doses".to_owned(), |text| {
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        });
    let head = format!(
        "{}: {total} patients, {} {unit}, {doses}, step {}",
        context.bold(&scenario.model.name),
        number(scenario.end()?, 6),
        step_text(&scenario.schedule, unit),
    );
    context.print(&format!("{head}\n\n{}", summary.render()))?;
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
