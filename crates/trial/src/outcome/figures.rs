//! The figures of a report.

use crate::Trial;
use crate::plot::{
    Axis, Colour, Figure, Histogram, Marker, Panel, PlotError, Style, SurvivalFigure, Svg,
};
use crate::run::{Paired, ReplayResult, Times};

/// Fewest patients that make a band.
pub(super) const FEWEST: usize = 5;
/// Room above 1 for a prediction that overshoots.
const TOP: f64 = 1.05;
/// Numbers at risk along an axis.
const TICKS: f64 = 6.0;
/// Steps of ticks a reader can count in, in any unit of time.
const STEPS: [f64; 10] = [1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 36.0, 60.0, 120.0, 240.0];

/// Measured and predicted values of every patient, with the time on drug.
pub(super) fn replay(
    trial: &Trial,
    replay: &ReplayResult,
) -> Result<(Option<Svg>, Vec<Svg>), PlotError> {
    let unit = trial.time_unit.text();
    let divided = trial
        .replay
        .as_ref()
        .is_some_and(|data| data.divide_by_maximum);
    let name = trial.replay.as_ref().map_or("", |data| {
        trial.model.observables[data.observable].name.as_str()
    });
    let panels = replay.patients.iter().map(|patient| {
        let shown = |time: f64| trial.shown_time(time);
        let spans: Vec<(f64, f64)> = patient
            .on()
            .iter()
            .map(|(from, to)| (shown(*from), shown(*to)))
            .collect();
        let (x, y): (Vec<f64>, Vec<f64>) = patient
            .curve
            .iter()
            .map(|(time, value)| (shown(*time), *value))
            .unzip();
        let times: Vec<f64> = patient
            .records
            .iter()
            .map(|record| shown(record.time))
            .collect();
        let observed: Vec<f64> = patient
            .records
            .iter()
            .map(|record| record.observed)
            .collect();
        let mut axis = Axis::new(name);
        if divided {
            let highest = y.iter().copied().fold(1.0, f64::max);
            axis = axis
                .range(0.0, if highest > 1.0 { highest * TOP } else { TOP })
                .every(if highest > 2.0 { 1.0 } else { 0.5 });
        }
        Panel::new(format!("{} {}", patient.name, patient.group))
            .note(format!("RMSE {:.2}", patient.rmse))
            .x(Axis::new(format!("Time ({unit})")).include(0.0))
            .y(axis)
            .spans("drug on", &spans, Style::wash())
            .line("predicted", &x, &y, Style::series(0).width(1.6))
            .points(
                "measured",
                &times,
                &observed,
                Style::default()
                    .colour(Colour::Vermilion)
                    .marker(Marker::Circle, 2.2),
            )
    });
    let title = "Measured and predicted values of each patient";
    Figure::grid(title, panels.collect(), 4)
        .description("One panel per patient: points are measurements, the line is the model's prediction with the patient's own parameters, the shaded time is on drug.")
        .render_each()
}

/// A step of ticks that a reader can count in.
pub(super) fn step(horizon: f64) -> f64 {
    STEPS
        .into_iter()
        .find(|step| horizon / step <= TICKS + 1e-9)
        .unwrap_or(horizon / TICKS)
}

/// Kaplan-Meier curves of every arm.
pub(super) fn survival(
    title: &str,
    times: &Times,
    horizon: f64,
    outcome: &str,
) -> Result<Svg, PlotError> {
    let step = step(horizon);
    let mut figure = SurvivalFigure::new(
        title,
        format!("Time since the start ({})", times.unit),
        outcome,
    )
    .every(step)
    .until((horizon / step - 1e-9).ceil().max(1.0) * step);
    for arm in &times.arms {
        figure = figure.styled_curve(&arm.curve, Style::series(arm.arm));
    }
    let medians: Vec<String> = times
        .arms
        .iter()
        .map(|arm| {
            format!(
                "{}: median {}",
                arm.curve.name(),
                crate::report::time_estimate(&arm.median, 1)
            )
        })
        .collect();
    figure
        .description(format!(
            "Kaplan-Meier curves with 95 % bands. {}.",
            medians.join("; ")
        ))
        .render()
}

/// Effects within patients.
pub(super) fn effects(
    title: &str,
    arm: &str,
    control: &str,
    unit: &str,
    paired: &Paired,
) -> Result<Svg, PlotError> {
    // a bin that begins at zero would make patients without a difference look like a benefit
    let mut moved: Vec<f64> = paired.differences.clone();
    moved.retain(|difference| *difference != 0.0);
    if moved.is_empty() {
        moved.clone_from(&paired.differences);
    }
    let histogram = Histogram::of(&moved);
    let total = paired.differences.len().max(1) as f64;
    let shares: Vec<f64> = histogram.counts.iter().map(|n| n / total).collect();
    let panel = Panel::new("")
        .x(Axis::new(format!(
            "{arm} minus {control}, within each patient ({unit})"
        )))
        .y(Axis::new("Share of patients").percent())
        .bars(
            "",
            &histogram.edges,
            &shares,
            Style::series(0).opacity(0.65),
        )
        .moment("no difference", 0.0, Style::ink())
        .moment("median", paired.median.value, Style::series(1).width(2.0));
    Figure::new(title, panel)
        .description(format!(
            "Histogram of individual effects; the median is {:.2} {unit}.",
            paired.median.value
        ))
        .render()
}

/// One number in every arm, as shares of patients.
pub(super) fn distribution(
    title: &str,
    label: &str,
    arms: &[(String, Vec<f64>)],
) -> Result<Svg, PlotError> {
    let all: Vec<f64> = arms
        .iter()
        .flat_map(|(_, values)| values.iter().copied())
        .collect();
    let edges = Histogram::of(&all).edges;
    let mut panel = Panel::new("")
        .x(Axis::new(label))
        .y(Axis::new("Share of patients").percent().include(0.0));
    for (index, (name, values)) in arms.iter().enumerate() {
        let last = edges.len() - 1;
        let mut counts = vec![0.0; edges.len()];
        for value in values.iter().filter(|value| value.is_finite()) {
            let bin = edges.partition_point(|edge| edge <= value).clamp(1, last) - 1;
            counts[bin] += 1.0;
        }
        let total = values.len().max(1) as f64;
        let mut shares: Vec<f64> = counts.iter().map(|count| count / total).collect();
        shares[last] = shares[last - 1];
        panel = panel.step(name, &edges, &shares, Style::series(index));
    }
    Figure::new(title, panel).render()
}
