//! Throughput over the number of patients: engine and training.

use posology_trial::plot::{Axis, Colour, Dash, Figure, Panel, PlotError, Style};

use super::report::Report;
use super::train::TrainReport;

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

/// As an SVG file: decisions per second of the environment, with inference, with training.
pub fn training(report: &TrainReport) -> Result<String, PlotError> {
    let patients: Vec<f64> = report.speed.iter().map(|row| row.lanes as f64).collect();
    let series: [(&str, Vec<f64>); 4] = [
        (
            "environment alone",
            report.speed.iter().map(|row| row.environment).collect(),
        ),
        (
            "with inference",
            report.speed.iter().map(|row| row.inference).collect(),
        ),
        (
            "with training",
            report.speed.iter().map(|row| row.training).collect(),
        ),
        (
            "with training in plain tensor operations",
            report
                .speed
                .iter()
                .map(|row| row.training_unfused)
                .collect(),
        ),
    ];
    let mut panel = Panel::new("")
        .x(Axis::new("Patients").log())
        .y(Axis::new("Decisions per second").log());
    for (k, (label, rates)) in series.iter().enumerate() {
        panel = panel.line(label, &patients, rates, Style::series(k).with_marker());
    }
    let name = report.adapter["name"].as_str().unwrap_or("unknown adapter");
    let figure = Figure::new(format!("{} on {name}", report.task), panel)
        .description("Decisions per second against the number of patients: the environment alone, with the policy's decisions, with training by own kernels and by plain tensor operations.");
    Ok(figure.render()?.to_file())
}
