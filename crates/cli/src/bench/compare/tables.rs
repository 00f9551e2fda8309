//! The report as text and Markdown.

use super::{CompareReport, ModelRows, OwnRow, Steps, WRONG};
use crate::table::{number, render};

const HEADER: [&str; 8] = [
    "program",
    "steps",
    "precision",
    "patients",
    "s",
    "min to max",
    "error",
    "times ours",
];

/// How we stepped.
fn own_steps(row: &OwnRow) -> String {
    match (row.step, row.tolerance) {
        (Some(step), _) => format!("{} of the model's", number(step, 3)),
        (None, tolerance) => format!("pieces within {:.0e}", tolerance.unwrap_or(0.0)),
    }
}

fn rows(model: &ModelRows) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = model
        .ours
        .iter()
        .map(|row| {
            vec![
                "posology".to_owned(),
                format!("{}: {}", own_steps(row), row.steps),
                "f32".to_owned(),
                model.patients.to_string(),
                number(row.seconds.median, 3),
                format!(
                    "{} to {}",
                    number(row.seconds.min, 3),
                    number(row.seconds.max, 3)
                ),
                format!("{:.1e}", row.error),
                String::new(),
            ]
        })
        .collect();
    for row in &model.peers {
        let steps = match (row.steps, row.tolerance) {
            (Steps::Fixed, _) => "the model's".to_owned(),
            (Steps::Adaptive, tolerance) => format!("tolerance {:.0e}", tolerance.unwrap_or(0.0)),
        };
        let against = row.against.and_then(|at| model.ours.get(at));
        let ratio = match (row.ratio, against) {
            (Some(ratio), Some(own)) if row.steps == Steps::Adaptive => {
                format!("{} ({})", number(ratio, 3), own_steps(own))
            }
            (Some(ratio), _) => number(ratio, 3),
            (None, _) if row.error <= WRONG => "more accurate than ours".to_owned(),
            (None, _) => "not the solution".to_owned(),
        };
        rows.push(vec![
            row.peer.to_owned(),
            steps,
            row.about["precision"].as_str().unwrap_or("").to_owned(),
            row.patients.to_string(),
            number(row.seconds.median, 3),
            format!(
                "{} to {}",
                number(row.seconds.min, 3),
                number(row.seconds.max, 3)
            ),
            format!("{:.1e}", row.error),
            ratio,
        ]);
    }
    rows
}

fn title(model: &ModelRows) -> String {
    let own = model.ours.iter().find(|row| row.step == Some(1.0));
    let own = own.map_or_else(String::new, |row| {
        format!(
            "; ours {} patient-steps/s, {} % of the multiply-adds",
            number(row.patient_steps_per_second, 3),
            number(100.0 * row.share_of_peak, 3)
        )
    });
    format!(
        "{}: {} states, {} operations, {} patients, {} steps{own}",
        model.model, model.states, model.operations, model.patients, model.steps
    )
}

pub fn text(report: &CompareReport) -> String {
    let mut out = heading(report);
    for model in &report.models {
        out += &format!("\n{}\n{}", title(model), render(&HEADER, &rows(model)));
    }
    for missing in &report.unavailable {
        out += &format!(
            "\nnot measured: {} on {}: {}",
            missing.peer, missing.model, missing.why
        );
    }
    out + "\n"
}

pub fn markdown(report: &CompareReport) -> String {
    let mut out = String::from("# Side by side\n\n");
    for line in heading(report).lines() {
        out += &format!("- {line}\n");
    }
    for model in &report.models {
        out += &format!("\n## {}\n\n| {} |\n", title(model), HEADER.join(" | "));
        out += &format!("|{}\n", "---|".repeat(HEADER.len()));
        for row in rows(model) {
            out += &format!("| {} |\n", row.join(" | "));
        }
    }
    out += "\n## Versions\n\n";
    let mut seen = Vec::new();
    for row in report.models.iter().flat_map(|m| &m.peers) {
        if !seen.contains(&row.peer) {
            seen.push(row.peer);
            out += &format!(
                "- {}: {}; {}\n",
                row.peer,
                row.about["method"].as_str().unwrap_or(""),
                row.about["versions"]
            );
        }
    }
    if !report.unavailable.is_empty() {
        out += "\n## Not measured\n\n";
    }
    for missing in &report.unavailable {
        out += &format!("- {} on {}: {}\n", missing.peer, missing.model, missing.why);
    }
    out += "\n## How to read this\n\n";
    for note in &report.notes {
        out += &format!("- {note}\n");
    }
    out
}

fn heading(report: &CompareReport) -> String {
    let adapter = &report.adapter;
    let machine = &report.machine;
    let commit = report.program["commit"].as_str().unwrap_or("unknown");
    format!(
        "adapter: {} ({}), {} multiply-adds/s\nmachine: {}, {} threads, load {} at the start\n\
         commit {}, {}\n",
        adapter["name"].as_str().unwrap_or("unknown"),
        adapter["kind"].as_str().unwrap_or("unknown"),
        number(report.multiply_adds_per_second, 3),
        machine.cpu.as_deref().unwrap_or("unknown CPU"),
        machine.threads,
        machine
            .load
            .map_or_else(|| "unknown".to_owned(), |load| number(load, 3)),
        &commit[..commit.len().min(12)],
        report.date
    )
}
