//! `posology models`: the library, and one model in full.

mod correction;
mod json;

use std::fmt::Write;

use posology_model::Model;
use posology_model::model::{Direction, Distribution, ResidualError, SummaryKind, Variability};
use posology_model::unit::Unit;
use serde_json::{Value, json};

pub use json::describe;

use crate::args::ModelsArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::library;
use crate::scenario::step_text;
use crate::table::{self, number, shorten};

/// Run the command.
pub fn run(args: &ModelsArgs, context: &Context) -> Result<(), Failure> {
    match &args.name {
        None => list(context),
        Some(name) => {
            let path = library::MODELS.find(name)?;
            let model = Model::load(&path)?;
            context.warn(&model.warnings);
            if context.global.json {
                let mut all = describe(&model);
                all["file"] = json!(path);
                return context.print_json(&all);
            }
            context.print(&render(&model, context))
        }
    }
}

fn list(context: &Context) -> Result<(), Failure> {
    let known = library::MODELS.list();
    let loaded: Vec<_> = known
        .iter()
        .map(|(name, path)| (name, path, Model::load(path)))
        .collect();
    if context.global.json {
        let entry =
            |(name, path, model): &(&String, &std::path::PathBuf, Result<Model, _>)| match model {
                Ok(model) => json!({
                    "name": name, "title": model.title, "file": path, "time_unit": model.time_unit,
                    "states": model.states.len(),
                    "inputs": model.inputs.iter().map(|input| &input.name).collect::<Vec<_>>(),
                    "scenario": scenario(model),
                }),
                Err(found) => json!({"name": name, "file": path, "errors": found}),
            };
        let models: Vec<Value> = loaded.iter().map(entry).collect();
        return context.print_json(&json!({ "models": models }));
    }
    let rows: Vec<Vec<String>> = loaded
        .iter()
        .map(|(name, _, model)| match model {
            Ok(model) => {
                let inputs: Vec<&str> = model
                    .inputs
                    .iter()
                    .map(|input| input.name.as_str())
                    .collect();
                vec![
                    (*name).clone(),
                    model.states.len().to_string(),
                    inputs.join(", "),
                    shorten(&scenario_text(model), 60),
                    shorten(&model.title, 70),
                ]
            }
            Err(found) => {
                let cause = format!("{} errors: posology check {name}", found.len());
                vec![
                    (*name).clone(),
                    String::new(),
                    String::new(),
                    String::new(),
                    cause,
                ]
            }
        })
        .collect();
    context.print(&table::render(
        &["name", "states", "inputs", "scenario", "title"],
        &rows,
    ))?;
    if known.is_empty() {
        context.note("no configs/models folder was found");
    }
    Ok(())
}

fn scenario(model: &Model) -> Value {
    model.scenario.as_ref().map_or(
        Value::Null,
        |scenario| json!({"regimen": scenario.regimen, "duration": scenario.duration}),
    )
}

fn scenario_text(model: &Model) -> String {
    let Some(scenario) = &model.scenario else {
        return String::new();
    };
    let doses = scenario.regimen.as_deref().unwrap_or("no doses");
    let doses = doses.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "{} {}: {doses}",
        number(scenario.duration, 6),
        model.time_unit
    )
}

/// How a parameter varies, as text: the standard deviation of eta.
pub fn variability(model: &Model, unit: &Unit, how: Option<Variability>) -> String {
    how.map_or_else(String::new, |how| {
        let sd = how.omega2.sqrt();
        match how.distribution {
            Distribution::LogNormal => format!(
                "log-normal, CV {} %",
                number(100.0 * (how.omega2.exp() - 1.0).sqrt(), 3)
            ),
            Distribution::Normal => format!(
                "normal, SD {} {unit}",
                number(sd / model.units.scale(unit), 3)
            ),
            Distribution::LogitNormal => format!("logit-normal, SD {}", number(sd, 3)),
        }
    })
}

/// Rows of the parameter table: name, value, unit, variability, occasions, source.
pub fn parameter_rows(model: &Model) -> Vec<Vec<String>> {
    let row = |p: &posology_model::model::Parameter| {
        let source = if p.calibrated {
            format!("[calibrated] {}", p.source)
        } else {
            p.source.clone()
        };
        vec![
            p.name.clone(),
            number(p.value / model.units.scale(&p.unit), 6),
            p.unit.text().to_owned(),
            variability(model, &p.unit, p.iiv),
            variability(model, &p.unit, p.iov),
            shorten(&source, 60),
        ]
    };
    model.parameters.iter().map(row).collect()
}

pub const PARAMETER_HEADER: [&str; 6] = [
    "parameter",
    "value",
    "unit",
    "between patients",
    "between occasions",
    "source",
];

fn render(model: &Model, context: &Context) -> String {
    let mut out = String::new();
    let unit = model.time_unit.text();
    // writing to a string cannot fail
    let _ = writeln!(
        out,
        "{}: {}\n\n{}\n",
        context.bold(&model.name),
        model.title,
        model.description.trim()
    );
    let _ = writeln!(
        out,
        "time in {unit}; step {}; scenario {}\n",
        step_text(&model.step, unit),
        scenario_text(model)
    );
    if let Some(correction) = &model.correction {
        let _ = writeln!(out, "{}\n", correction::line(model, correction));
    }
    let mut section = |header: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            out.push_str(&table::render(header, &rows));
            out.push('\n');
        }
    };
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    section(&PARAMETER_HEADER, parameter_rows(model));
    let covariates = model.covariates.iter().map(|c| {
        let reference = number(c.reference / model.units.scale(&c.unit), 6);
        texts(&[&c.name, &reference, c.unit.text(), &c.description])
    });
    section(
        &["covariate", "reference", "unit", "description"],
        covariates.collect(),
    );
    let states = model
        .states
        .iter()
        .map(|s| texts(&[&s.name, s.unit.text(), &s.description]));
    section(&["state", "unit", "description"], states.collect());
    let inputs = model.inputs.iter().map(|i| {
        let into = model.states.get(i.into).map_or("", |state| &state.name);
        texts(&[&i.name, i.unit.text(), into, &i.description])
    });
    section(&["input", "unit", "into", "description"], inputs.collect());
    let observables = model.observables.iter().map(|o| {
        let error = o
            .error
            .map_or_else(String::new, |error| residual_error(model, &o.unit, &error));
        texts(&[&o.name, o.unit.text(), &error, &o.description])
    });
    section(
        &["observable", "unit", "residual error", "description"],
        observables.collect(),
    );
    let toxicities = model
        .toxicities
        .iter()
        .map(|t| texts(&[&t.name, t.unit.text(), &thresholds(model, t), &t.source]));
    section(
        &["toxicity", "unit", "grades", "source"],
        toxicities.collect(),
    );
    let summaries = model
        .summaries
        .iter()
        .map(|s| texts(&[&s.name, kind(&s.kind), s.unit.text()]));
    section(&["summary", "kind", "unit"], summaries.collect());
    let sources = model.sources.iter().map(|(key, text)| texts(&[key, text]));
    section(&["key", "citation"], sources.collect());
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn residual_error(model: &Model, unit: &Unit, error: &ResidualError) -> String {
    let scale = model.units.scale(unit);
    let mut parts = Vec::new();
    if error.proportional > 0.0 {
        parts.push(format!(
            "proportional {} %",
            number(100.0 * error.proportional, 3)
        ));
    }
    if error.additive > 0.0 {
        parts.push(format!(
            "additive {} {unit}",
            number(error.additive / scale, 3)
        ));
    }
    if error.lognormal > 0.0 {
        parts.push(format!("log-normal SD {}", number(error.lognormal, 3)));
    }
    if let Some(lloq) = error.lloq {
        parts.push(format!("LLOQ {} {unit}", number(lloq / scale, 3)));
    }
    parts.join(", ")
}

fn thresholds(model: &Model, toxicity: &posology_model::model::Toxicity) -> String {
    let sign = if toxicity.direction == Direction::Below {
        "<"
    } else {
        ">"
    };
    let scale = model.units.scale(&toxicity.unit);
    let pairs = toxicity.grades.iter().zip(&toxicity.thresholds);
    pairs
        .map(|(grade, limit)| format!("{grade}: {sign} {}", number(limit / scale, 4)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn kind(kind: &SummaryKind) -> &'static str {
    match kind {
        SummaryKind::Min(_) => "minimum",
        SummaryKind::Max(_) => "maximum",
        SummaryKind::Integral(_) => "integral",
        SummaryKind::TimeAbove { .. } => "time while",
        SummaryKind::FirstTime { .. } => "first time",
        SummaryKind::Last(_) => "at the end",
        SummaryKind::At { .. } => "at a time",
    }
}
