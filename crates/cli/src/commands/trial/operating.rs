//! `posology operating`: power, type I error and expected size of a design.

use std::sync::Arc;

use posology_trial::design::Class as EndpointClass;
use posology_trial::operating::{OperatingResult, OperatingSettings};
use posology_trial::run::Clinician;
use posology_trial::sequential::{BoundaryKind, SequentialSettings};
use posology_trial::{Progress, RunSettings, Trial};
use serde_json::json;

use super::failure;
use super::policies::Policies;
use crate::args::OperatingArgs;
use crate::context::{Context, Graceful};
use crate::error::Failure;
use crate::library::TRIALS;
use crate::output::atomic::{json_bytes, write_file};
use crate::output::provenance;

/// Run the command.
///
/// # Errors
/// As `posology trial`.
pub fn run(args: &OperatingArgs, context: &Context) -> Result<(), Failure> {
    let path = TRIALS.find(&args.file)?;
    let mut trial = Trial::load(&path)?;
    context.warn(&trial.warnings);
    if let Some(name) = &args.endpoint {
        let known = || {
            trial
                .endpoints
                .iter()
                .map(|endpoint| endpoint.name.as_str())
        };
        trial.analysis.primary = known().position(|known| known == name).ok_or_else(|| {
            Failure::usage(format!("the trial has no endpoint `{name}`")).help(format!(
                "endpoints: {}",
                known().collect::<Vec<_>>().join(", ")
            ))
        })?;
    }
    let ask = settings(args, &trial)?;
    let _graceful = Graceful::begin();
    let device = context.open_device()?;
    let run = RunSettings {
        seed: args.seed,
        max_diverged: args.max_diverged,
        clinician: Policies::load(&trial)?.map(|policies| policies as Arc<dyn Clinician>),
        ..RunSettings::default()
    };
    let mut results = Vec::new();
    // the type I error of a design belongs beside its power
    for null in [false, true] {
        if null && args.no_null || !null && args.null_only {
            continue;
        }
        let bar = context.progress(1, "patients");
        let ask = OperatingSettings {
            null,
            ..ask.clone()
        };
        let what = if null { "type I error" } else { "power" };
        let result = trial.operating(&device, &run, &ask, &mut |progress: &Progress| {
            bar.set_length((progress.steps * progress.total.max(1)) as u64);
            bar.set_position((progress.step * progress.total.max(1) + progress.done) as u64);
            bar.set_message(what);
            !context.interrupted()
        });
        bar.finish_and_clear();
        results.push(result.map_err(failure)?);
    }
    let described = json!({
        "notice": provenance::NOTICE,
        "program": provenance::program(),
        "date": provenance::now(),
        "command": provenance::command(),
        "device": { "name": device.description.name, "backend": device.description.backend, "driver": device.description.driver },
        "results": results,
    });
    if let Some(out) = &args.out {
        write_file(out, &json_bytes(&described)?)?;
    }
    if context.global.json {
        return context.print_json(&described);
    }
    context.print(&shown(&trial, &results, context))
}

fn settings(args: &OperatingArgs, trial: &Trial) -> Result<OperatingSettings, Failure> {
    let horizon = match &args.horizon {
        None => None,
        Some(text) => {
            let origin = posology_model::model::Origin::whole("--horizon", text);
            let (value, _) = trial
                .model
                .quantity(text, &origin)
                .map_err(Failure::of_command_line)?;
            Some(value)
        }
    };
    let alpha = args.alpha.unwrap_or(trial.analysis.alpha);
    let sequential = match &args.boundary {
        None => match &trial.sequential {
            None => None,
            Some(own) => Some(planned(own)?),
        },
        Some(name) => {
            let kind = BoundaryKind::ALL.into_iter().find(|kind| {
                serde_json::to_value(kind).is_ok_and(|value| value.as_str() == Some(name))
            });
            let kind = kind.ok_or_else(|| {
                Failure::usage(format!("there is no boundary `{name}`"))
                    .help("boundaries: obrien-fleming, pocock, lan-demets-of, lan-demets-pocock")
            })?;
            Some(SequentialSettings {
                alpha,
                ..SequentialSettings::new(kind, args.looks.clone())
            })
        }
    };
    let patients = args.patients.map(|patients| patients as usize).or_else(|| {
        trial
            .virtual_patients
            .as_ref()
            .map(|sampled| sampled.patients)
    });
    let replicates = args
        .replicates
        .map(|replicates| replicates as usize)
        .or_else(|| trial.operating.as_ref().map(|own| own.replicates))
        .unwrap_or(1000);
    Ok(OperatingSettings {
        replicates,
        patients: patients.unwrap_or(0),
        null: false,
        uncertainty: args.uncertainty,
        horizon,
        sequential,
        alpha,
    })
}

/// The interim analyses that the trial file plans.
fn planned(own: &posology_trial::design::Sequential) -> Result<SequentialSettings, Failure> {
    let name = serde_json::Value::String(own.kind.clone());
    let kind: BoundaryKind = serde_json::from_value(name)
        .map_err(|error| Failure::usage(format!("[sequential]: {error}")))?;
    let futility = match &own.futility {
        None => None,
        Some(wanted) => {
            let mut value = json!({ "kind": wanted.kind, "power": wanted.power });
            if let Some(shape) = wanted.shape {
                value["shape"] = json!(shape);
            }
            let read = serde_json::from_value(value);
            Some(read.map_err(|error| Failure::usage(format!("[sequential.futility]: {error}")))?)
        }
    };
    Ok(SequentialSettings {
        alpha: own.alpha,
        sides: own.sides,
        shape: own.shape,
        futility,
        ..SequentialSettings::new(kind, own.looks.clone())
    })
}

fn shown(trial: &Trial, results: &[OperatingResult], context: &Context) -> String {
    let endpoint = &trial.endpoints[trial.analysis.primary];
    let mut out = format!("{}\n{}\n", context.bold(&trial.title), endpoint.title);
    for result in results {
        let what = match (result.null, result.uncertainty) {
            (true, _) => "type I error (everybody treated like the control arm)",
            (false, true) => "assurance (parameters drawn for every replicate)",
            (false, false) => "power",
        };
        out += &format!(
            "{what}: {} trials of {} patients, {:.1} s, {:.0} patients/s\n",
            result.replicates, result.patients, result.seconds, result.patients_per_second
        );
        for comparison in &result.comparisons {
            out += &format!("  {} against {}\n", comparison.arm, comparison.control);
            for test in &comparison.tests {
                out += &format!(
                    "    {}: rejects {:.2} % ({:.2} to {:.2}) of trials\n",
                    test.test,
                    100.0 * test.rate.value,
                    100.0 * test.rate.low,
                    100.0 * test.rate.high
                );
            }
            if let Some(looks) = &comparison.sequential {
                out += &format!(
                    "    with interim looks at {:?}: rejects {:.2} % ({:.2} to {:.2}); expected information {:.1} %\n",
                    looks.looks,
                    100.0 * looks.rate.value,
                    100.0 * looks.rate.low,
                    100.0 * looks.rate.high,
                    100.0 * looks.expected_information
                );
            }
            let count = match endpoint.class() {
                EndpointClass::Time => "events",
                _ => "patients with the outcome",
            };
            out += &format!(
                "    {}: median {:.3} (95 % of trials {:.3} to {:.3}); {:.1} {count} per trial\n",
                comparison.effect,
                comparison.estimates[2],
                comparison.estimates[0],
                comparison.estimates[4],
                comparison.events
            );
        }
    }
    out
}
