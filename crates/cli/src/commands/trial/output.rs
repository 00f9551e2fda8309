//! The folder of a finished trial.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array};
use arrow_schema::DataType;
use posology_kernels::device::AdapterDescription;
use posology_trial::table::Values;
use posology_trial::{Table, Trial, TrialOutcome};
use serde_json::{Value, json};

use super::pieces::{Manifest, Pieces};
use crate::context::Context;
use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::output::parquet::{TableWriter, field, texts};
use crate::output::provenance;

/// Rows that are written at once.
const ROWS: usize = 1 << 17;

/// Lines of the report's provenance table.
pub(super) fn lines(device: &AdapterDescription, hash: &str) -> Vec<(String, String)> {
    let program = provenance::program();
    let text = |key: &str| program[key].as_str().unwrap_or("unknown").to_owned();
    let commit = match program["modified"].as_bool() {
        Some(true) => format!("{}, with changes", text("commit")),
        _ => text("commit"),
    };
    [
        ("Program", format!("posology {}", text("version"))),
        ("Commit", commit),
        ("Date", provenance::now()),
        (
            "Device",
            format!(
                "{} ({}, {}, {})",
                device.name,
                device.kind.name(),
                device.backend,
                device.driver
            ),
        ),
        ("SHA-256 of the trial file", hash.to_owned()),
    ]
    .into_iter()
    .map(|(what, value)| (what.to_owned(), value))
    .collect()
}

/// Writes everything and keeps the pieces beside it, for `posology report`.
///
/// # Errors
/// Class I/O.
#[allow(clippy::too_many_arguments)]
pub(super) fn write(
    trial: &Trial,
    outcome: &TrialOutcome,
    staging: Staging,
    out: &Path,
    manifest: &Manifest,
    device: &AdapterDescription,
    seconds: f64,
    pieces: &Pieces,
) -> Result<Vec<String>, Failure> {
    staging.write("report.html", outcome.report_html.as_bytes())?;
    staging.write_json("summary.json", &outcome.summary)?;
    staging.write("trial.toml", trial.source.text().as_bytes())?;
    let mut files = vec![
        "report.html".to_owned(),
        "summary.json".into(),
        "trial.toml".into(),
    ];
    let tables = std::iter::once(&outcome.patients)
        .chain(&outcome.replay)
        .chain(&outcome.tables);
    for table in tables {
        let name = format!("{}.parquet", table.name);
        write_table(&staging, out, &name, table, &trial.name)?;
        files.push(name);
    }
    let mut used =
        vec![json!({ "role": "trial", "file": manifest.path(), "sha256": manifest.hash() })];
    used.extend(manifest.policies().iter().map(|(arm, checkpoint)| {
        json!({ "role": "policy", "arm": arm, "file": checkpoint.path, "sha256": checkpoint.sha256 })
    }));
    let described = json!({
        "notice": provenance::NOTICE,
        "program": provenance::program(),
        "date": provenance::now(),
        "command": std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "device": { "name": device.name, "kind": device.kind.name(), "backend": device.backend, "driver": device.driver },
        "seed": outcome.summary["seed"],
        "step": outcome.summary["step"],
        "seconds": seconds,
        "files": used,
    });
    staging.write_json("provenance.json", &described)?;
    files.push("provenance.json".into());
    pieces.copy_into(&staging)?;
    files.push("pieces".into());
    staging.commit()?;
    Ok(files)
}

fn write_table(
    staging: &Staging,
    out: &Path,
    name: &str,
    table: &Table,
    trial: &str,
) -> Result<(), Failure> {
    let unit = |unit: &str| (!unit.is_empty()).then(|| unit.to_owned());
    let fields = table
        .columns
        .iter()
        .map(|column| {
            let kind = match column.values {
                Values::Text(_) => DataType::Utf8,
                Values::Number(_) => DataType::Float64,
                Values::Flag(_) => DataType::Boolean,
            };
            field(&column.name, kind, unit(&column.unit).as_deref())
        })
        .collect();
    let about = [("trial", trial), ("notice", provenance::NOTICE)];
    let mut writer = TableWriter::new(staging.create(name)?, out.join(name), fields, &about)?;
    for first in (0..table.len()).step_by(ROWS) {
        let rows = first..table.len().min(first + ROWS);
        let columns = table.columns.iter().map(|column| -> ArrayRef {
            match &column.values {
                Values::Text(values) => texts(values[rows.clone()].iter().map(String::as_str)),
                Values::Number(values) => Arc::new(Float64Array::from_iter(
                    values[rows.clone()]
                        .iter()
                        .map(|v| (!v.is_nan()).then_some(*v)),
                )),
                Values::Flag(values) => Arc::new(BooleanArray::from(values[rows.clone()].to_vec())),
            }
        });
        writer.append(columns.collect())?;
    }
    writer.close()
}

/// The main numbers, for a terminal.
pub(super) fn overview(trial: &Trial, summary: &Value, context: &Context) -> String {
    let mut out = format!("{}\n", context.bold(&trial.title));
    let number = |value: &Value, digits: usize| {
        value
            .as_f64()
            .map_or_else(|| "not reached".to_owned(), |v| format!("{v:.digits$}"))
    };
    let range = |value: &Value, digits: usize| {
        if ["value", "low", "high"]
            .into_iter()
            .all(|part| value[part].is_null())
        {
            return "not reached".to_owned();
        }
        format!(
            "{} ({} to {})",
            number(&value["value"], digits),
            number(&value["low"], digits),
            number(&value["high"], digits)
        )
    };
    if let Some(replay) = summary["replay"].as_object() {
        out += &format!(
            "  replay: mean root mean square error {}\n",
            range(&replay["rmse_mean"], 4)
        );
    }
    let primary = &trial.endpoints[trial.analysis.primary];
    for cohort in summary["cohorts"].as_array().into_iter().flatten() {
        let title = cohort["title"].as_str().unwrap_or_default();
        out += &format!(
            "  {title} ({} analysed), {}:\n",
            cohort["patients"], primary.title
        );
        let times = &cohort["times"][&primary.name];
        let rates = &cohort["rates"][&primary.name];
        let numbers = &cohort["numbers"][&primary.name];
        for arm in &trial.arms {
            let name = &arm.name;
            let (shown, effect) = if times.is_object() {
                let comparison = &times["against_control"][name];
                (
                    format!(
                        "median {} {}",
                        range(&times["arms"][name]["median"], 1),
                        primary.unit
                    ),
                    (
                        "hazard ratio",
                        comparison["hazard_ratio"].clone(),
                        comparison["paired"].clone(),
                    ),
                )
            } else if rates.is_object() {
                let comparison = &rates["against_control"][name];
                (
                    format!("rate {}", range(&rates["arms"][name]["rate"], 3)),
                    (
                        "risk difference",
                        comparison["risk_difference"].clone(),
                        Value::Null,
                    ),
                )
            } else {
                (
                    format!(
                        "mean {} {}",
                        range(&numbers["arms"][name]["mean"], 2),
                        primary.unit
                    ),
                    (
                        "difference",
                        numbers["difference_from_control"][name].clone(),
                        Value::Null,
                    ),
                )
            };
            out += &format!("    {}: {shown}\n", arm.title);
            let (what, effect, paired) = effect;
            if effect.is_object() {
                out += &format!("      {what} {}", range(&effect, 2));
                if paired.is_object() {
                    out += &format!(
                        ", later in {:.1} % and earlier in {:.1} % of patients",
                        100.0 * paired["better"]["value"].as_f64().unwrap_or(f64::NAN),
                        100.0 * paired["worse"]["value"].as_f64().unwrap_or(f64::NAN)
                    );
                }
                out.push('\n');
            }
        }
    }
    out
}
