//! What a forecast prints and writes.

use std::fmt::Write;

use posology_kernels::device::Device;
use posology_sim::Column;
use posology_twin::scores::{Comparison, Scores};
use serde_json::{Value, json};

use super::{Outcome, first_records};
use crate::args::ForecastArgs;
use crate::commands::fit::study::Study;
use crate::commands::fit::tables::short;
use crate::context::Context;
use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::output::provenance;
use crate::table::{self, quoted};

/// Print what was found; write it if there is a folder.
///
/// # Errors
/// Class input/output.
pub fn write(
    study: &Study,
    outcome: &Outcome,
    args: &ForecastArgs,
    device: &Device,
    staging: Option<Staging>,
    context: &Context,
) -> Result<(), Failure> {
    let csv = rows(study, outcome);
    let judged = outcome.scores(study, args);
    let observables = study.observables();
    let named: Vec<Value> = judged
        .iter()
        .map(|s| json!({"observable": observables[s.observable].name, "scores": s}))
        .collect();
    let learned: Vec<Value> = outcome
        .calibrations
        .iter()
        .zip(&observables)
        .filter_map(|(learned, o)| {
            Some(json!({"observable": o.name, "learned": learned.as_ref()?}))
        })
        .collect();
    let summary = json!({
        "model": study.scenario.model.name,
        "patients": study.names.len(),
        "visible": outcome.visible.observations.len(),
        "hidden": outcome.hidden.len(),
        "level": args.level,
        "calibration": learned,
        "scores": named,
    });
    let text = render(study, outcome, &judged, args.level);
    if let Some(staging) = staging {
        staging.write("forecasts.csv", csv.as_bytes())?;
        staging.write_json("summary.json", &summary)?;
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
        let from = study.scenario.provenance(&device.description, &inputs);
        staging.write_json("provenance.json", &from)?;
        staging.commit()?;
    } else if judged.is_empty() && !context.global.json {
        return context.print(&csv);
    }
    if context.global.json {
        return context.print_json(&summary);
    }
    context.print(&text)?;
    if let Some(out) = &args.out {
        context.note(&format!("written to {}", out.display()));
    }
    Ok(())
}

/// `forecasts.csv`.
fn rows(study: &Study, outcome: &Outcome) -> String {
    let observables = study.observables();
    let first = first_records(study);
    let mut csv = String::from("ID,TIME,DVID,DV,hidden,median,low,high,true_low,true_high\n");
    let mut what: Vec<Vec<Option<(f64, bool)>>> = outcome
        .records
        .times
        .iter()
        .map(|t| vec![None; t.len()])
        .collect();
    for (list, is_hidden) in [
        (&outcome.visible.observations[..], false),
        (&outcome.hidden[..], true),
    ] {
        for o in list {
            what[o.subject][o.record - first[o.subject]] = Some((o.seen.number(), is_hidden));
        }
    }
    for (s, name) in study.names.iter().enumerate() {
        for (r, forecast) in outcome.forecasts[s].iter().enumerate() {
            let Column {
                name: label, scale, ..
            } = &observables[outcome.records.observables[s][r]];
            let (dv, hidden) = match what[s][r] {
                Some((dv, hidden)) => ((dv / scale).to_string(), u8::from(hidden)),
                None => (".".to_owned(), 0),
            };
            let (name, time) = (quoted(name), outcome.records.times[s][r]);
            let _ = write!(csv, "{name},{time},{label},{dv},{hidden}");
            for value in [
                forecast.median,
                forecast.low,
                forecast.high,
                forecast.true_low,
                forecast.true_high,
            ] {
                let _ = write!(csv, ",{}", value / scale);
            }
            csv.push('\n');
        }
    }
    csv
}

fn render(study: &Study, outcome: &Outcome, judged: &[Scores], level: f64) -> String {
    let observables = study.observables();
    let mut text = String::new();
    for s in judged {
        let Column { name, unit, scale } = &observables[s.observable];
        let _ = writeln!(
            text,
            "{name}: {} hidden observations of {} patients ({} left out)",
            s.observations, s.patients, s.left_out
        );
        let line = |what: &str, c: &Comparison, scale: f64| {
            vec![
                what.to_owned(),
                c.patients.to_string(),
                short(c.forecast / scale),
                short(c.carry_forward / scale),
                format!(
                    "{} ({} to {})",
                    short(c.difference / scale),
                    short(c.interval.0 / scale),
                    short(c.interval.1 / scale)
                ),
            ]
        };
        if s.observations == 0 {
            continue;
        }
        text.push_str(&table::render(
            &[
                "mean absolute error",
                "patients",
                "forecast",
                "carried forward",
                "difference (95 %)",
            ],
            &[
                line(unit, &s.absolute, *scale),
                line("share of the largest", &s.relative, 1.0),
                line("logarithm", &s.logarithm, 1.0),
            ],
        ));
        let _ = writeln!(
            text,
            "{:.1} % lie in their {:.0} % intervals\n",
            100.0 * s.coverage,
            100.0 * level
        );
    }
    for (learned, o) in outcome.calibrations.iter().zip(&observables) {
        let Some(c) = learned else { continue };
        let _ = writeln!(
            text,
            "{}: share of the model {:.2}, intervals {:.2} times as wide, learned from {} \
             observations of {} patients",
            o.name, c.share, c.widening, c.observations, c.patients
        );
    }
    text
}
