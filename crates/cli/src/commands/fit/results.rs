//! What a fit prints and writes.

use posology_cohort::nmtran::Observation;
use posology_kernels::device::Device;
use posology_twin::space::Population;
use serde_json::{Value, json};

use super::look::{Fitted, remarks};
use super::saved::Saved;
use super::study::Study;
use super::{Estimated, correction, page, tables};
use crate::args::FitArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::output::provenance;

/// Print what was found; write it if there is a folder.
///
/// # Errors
/// Classes numeric and input/output.
pub fn write(
    study: &Study,
    fitted: &Fitted,
    estimated: &Estimated,
    args: &FitArgs,
    device: &Device,
    staging: Option<Staging>,
    context: &Context,
) -> Result<(), Failure> {
    let remarks = remarks(study, fitted);
    // a terminal has seen the warnings about the data
    let warnings = study.observations.warnings.iter();
    let mut notes: Vec<String> = warnings.map(|d| d.message.clone()).collect();
    notes.extend_from_slice(&remarks);
    let summary = summary(study, fitted, estimated, args, &notes);
    for note in &remarks {
        context.note(&format!("note: {note}"));
    }
    let individuals = tables::individuals(study, &fitted.population, &fitted.individuals);
    let mut text = text(study, fitted, estimated, context);
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
    let patients = fitted.who.iter();
    let patients: Vec<String> = patients.map(|&s| study.names[s as usize].clone()).collect();
    let trace: Vec<Population> = match estimated {
        Estimated::Population(state) => state.trace.iter().map(|all| all[0].clone()).collect(),
        _ => Vec::new(),
    };
    // weights are no parameters that a reader looks for
    let mut space = study.space.clone();
    space.fixed.truncate(study.own);
    let html = page::html(&page::About {
        model: &study.scenario.model,
        method: args.method.title(),
        patients: &patients,
        everyone: study.names.len(),
        space: &space,
        uncertainty: fitted.uncertainty.as_ref(),
        marginal: fitted.marginal.as_ref(),
        individuals: &fitted.observed,
        goodness: &fitted.goodness,
        trace: &trace,
        explore: study.options.explore,
        trained: match estimated {
            Estimated::Correction(trained) => Some(trained),
            _ => None,
        },
        missing: study.observations.missing,
        notes: &notes,
        seed: args.data.seed,
        hashes: &inputs,
    })?;
    staging.write("report.html", html.as_bytes())?;
    staging.write_json("fit.json", &summary)?;
    if let Estimated::Correction(trained) = estimated {
        let weights = correction::declared(study)?.weights_csv(&trained.weights);
        staging.write(correction::WEIGHTS, weights.as_bytes())?;
    }
    staging.write("individuals.csv", individuals.as_bytes())?;
    let posteriors = tables::posteriors(study, &fitted.individuals, &counts(study));
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

/// `fit.json`.
fn summary(
    study: &Study,
    fitted: &Fitted,
    estimated: &Estimated,
    args: &FitArgs,
    notes: &[String],
) -> Value {
    let observations = &study.observations.observations;
    let censored = |o: &&Observation| o.seen.censored();
    let likelihood = fitted.marginal.as_ref().map(|m| {
        json!({
            "minus_two_log_likelihood": m.minus_two_log_likelihood, "se": m.se,
            "aic": m.aic, "bic": m.bic,
        })
    });
    let mut summary = json!({
        "model": study.scenario.model.name,
        "method": args.method.word(),
        "patients": study.names.len(),
        "observations": observations.len(),
        "censored": observations.iter().filter(censored).count(),
        "missing": study.observations.missing,
        "parameters": fitted.uncertainty,
        "correlation_time": correlations(study, fitted),
        "likelihood": likelihood,
        "notes": notes,
        "saved": Saved::of(study, &fitted.population),
    });
    if let Estimated::Correction(trained) = estimated {
        summary["correction"] = json!({
            "weights": correction::WEIGHTS,
            "alpha": trained.alpha,
            "improvement": trained.improvement,
            "shares": trained.shares,
            "best_epoch": trained.best,
            "losses": trained.losses.iter()
                .map(|loss| json!({"train": loss.train, "held_out": loss.held_out}))
                .collect::<Vec<_>>(),
        });
    }
    summary
}

/// Of the observables whose residual errors are correlated in time.
fn correlations(study: &Study, fitted: &Fitted) -> Vec<Value> {
    let population = &fitted.population;
    let parts = population.correlation.iter().zip(&population.white);
    let observables = study.observables();
    let all = observables.iter().zip(parts);
    all.filter(|(_, (time, _))| **time > 0.0)
        .map(|(observable, (time, white))| {
            json!({
                "observable": observable.name, "time": time,
                "unit": study.scenario.model.time_unit, "independent_share": white,
            })
        })
        .collect()
}

/// For a terminal.
fn text(study: &Study, fitted: &Fitted, estimated: &Estimated, context: &Context) -> String {
    let mut text = format!(
        "{}: {} observations of {} patients\n",
        context.bold(&study.scenario.model.name),
        study.observations.observations.len(),
        fitted.who.len()
    );
    if let Some(table) = &fitted.uncertainty {
        text.push('\n');
        text.push_str(&tables::parameters(&table.estimates));
        for entry in &correlations(study, fitted) {
            text.push_str(&format!(
                "correlation time of {}: {} {}, independent share {}\n",
                entry["observable"].as_str().unwrap_or_default(),
                tables::short(entry["time"].as_f64().unwrap_or(0.0)),
                study.scenario.model.time_unit,
                tables::short(entry["independent_share"].as_f64().unwrap_or(0.0))
            ));
        }
    }
    if let Estimated::Correction(trained) = estimated {
        text.push('\n');
        text.push_str(&correction::text(trained));
    }
    if let Some(m) = &fitted.marginal {
        text.push_str(&format!(
            "\n-2 log likelihood {:.2} (+- {:.2}), AIC {:.2}, BIC {:.2}\n",
            m.minus_two_log_likelihood, m.se, m.aic, m.bic
        ));
    }
    text
}

/// Observations of each patient.
fn counts(study: &Study) -> Vec<usize> {
    let mut counts = vec![0; study.names.len()];
    for observation in &study.observations.observations {
        counts[observation.subject] += 1;
    }
    counts
}
