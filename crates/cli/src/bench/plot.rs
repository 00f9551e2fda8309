//! Throughput over the number of patients.

use posology_trial::plot::{Axis, Colour, Dash, Figure, Panel, PlotError, Style};

use super::report::Report;

/// As an SVG file: one line per model, and the native loops as levels.
pub fn throughput(report: &Report) -> Result<String, PlotError> {
    let mut panel = Panel::new("")
        .x(Axis::new("Patients").log())
        .y(Axis::new("Patient-steps per second").log());
    for (k, model) in report.models.iter().enumerate() {
        let patients: Vec<f64> = model
            .rows
            .iter()
            .map(|row| row.times.patients as f64)
            .collect();
        let rates: Vec<f64> = model
            .rows
            .iter()
            .map(|row| row.patient_steps_per_second)
            .collect();
        let label = format!("{} states, {} operations", model.states, model.operations);
        panel = panel.line(&label, &patients, &rates, Style::series(k).with_marker());
    }
    let hand = report
        .models
        .iter()
        .flat_map(|model| &model.native)
        .filter(|row| row.variant.starts_with("hand"));
    for row in hand {
        let dash = if row.lanes > 1 {
            Dash::Dashed
        } else {
            Dash::Dotted
        };
        let threads = if row.threads == 1 {
            "1 thread".to_owned()
        } else {
            format!("{} threads, {} lanes", row.threads, row.lanes)
        };
        let style = Style {
            colour: Colour::Ink,
            dash,
            ..Style::default()
        };
        panel = panel.level(
            &format!("12 states, native loop, {threads}"),
            row.patient_steps_per_second,
            style,
        );
    }
    let name = report.adapter["name"].as_str().unwrap_or("unknown adapter");
    let figure = Figure::new(format!("Engine throughput on {name}"), panel)
        .description("Patient-steps per second against the number of patients, by model size, with native loops for comparison.");
    Ok(figure.render()?.to_file())
}
