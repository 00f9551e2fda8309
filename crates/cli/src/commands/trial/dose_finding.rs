//! `posology dose-finding`: phase I designs on virtual patients.

use posology_trial::dose_finding::{DesignKind, OperatingCharacteristics};
use posology_trial::operating::DoseFindingResult;
use posology_trial::{Progress, RunSettings, Trial};
use serde_json::{Value, json};

use super::failure;
use crate::args::DoseFindingArgs;
use crate::context::{Context, Graceful};
use crate::error::Failure;
use crate::library::TRIALS;
use crate::output::atomic::{json_bytes, write_file};
use crate::output::provenance;

/// Run the command.
///
/// # Errors
/// As `posology trial`.
pub fn run(args: &DoseFindingArgs, context: &Context) -> Result<(), Failure> {
    let path = TRIALS.find(&args.file)?;
    let trial = Trial::load(&path)?;
    context.warn(&trial.warnings);
    let designs = args
        .designs
        .iter()
        .map(|name| {
            serde_json::from_value::<DesignKind>(Value::String(name.clone())).map_err(|_| {
                Failure::usage(format!("there is no design `{name}`"))
                    .help("designs: 3+3, boin, keyboard, crm")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let _graceful = Graceful::begin();
    let device = context.open_device()?;
    let settings = RunSettings {
        seed: args.seed,
        max_diverged: args.max_diverged,
        ..RunSettings::default()
    };
    let bar = context.progress(1, "patients");
    let result = trial.find_dose(
        &device,
        &settings,
        args.pool as usize,
        &designs,
        &mut |progress: &Progress| {
            bar.set_length((progress.steps * progress.total.max(1)) as u64);
            bar.set_position((progress.step * progress.total.max(1) + progress.done) as u64);
            bar.set_message(progress.stage.clone());
            !context.interrupted()
        },
    );
    bar.finish_and_clear();
    let result = result.map_err(failure)?;
    let described = json!({
        "notice": provenance::NOTICE,
        "program": provenance::program(),
        "date": provenance::now(),
        "command": provenance::command(),
        "device": { "name": device.description.name, "backend": device.description.backend, "driver": device.description.driver },
        "result": result,
    });
    if let Some(out) = &args.out {
        write_file(out, &json_bytes(&described)?)?;
    }
    if context.global.json {
        return context.print_json(&described);
    }
    context.print(&shown(&trial, &result, context))
}

fn shown(trial: &Trial, result: &DoseFindingResult, context: &Context) -> String {
    let mut out = format!("{}\n", context.bold(&trial.title));
    out += &format!(
        "{} virtual patients; probability of a dose-limiting toxicity:\n",
        result.pool
    );
    for (dose, truth) in result.doses.iter().zip(&result.truth) {
        out += &format!("  {dose}: {:.1} %\n", 100.0 * truth);
    }
    for design in &result.designs {
        out += &table(design, &result.doses);
    }
    out
}

fn table(design: &OperatingCharacteristics, doses: &[String]) -> String {
    let mut out = format!(
        "{}: correct dose {:.1} %, too high {:.1} %, none {:.1} %; {:.1} patients, {:.1} % of them above the right dose\n",
        design.design,
        100.0 * design.correct.value,
        100.0 * design.too_high.value,
        100.0 * design.none_selected.value,
        design.sample_size.value,
        100.0 * design.overdosed.value
    );
    for (dose, figures) in doses.iter().zip(&design.doses) {
        out += &format!(
            "  {dose}: selected {:.1} %, {:.1} patients, {:.1} toxicities\n",
            100.0 * figures.selected.value,
            figures.patients.value,
            figures.toxicities.value
        );
    }
    out
}
