//! Marginal distributions: a table and histograms.

use posology_cohort::population_file::{Check, Comparison, Covariates, How, Population};
use posology_trial::plot::{Axis, Dash, Figure, Histogram, Panel, PlotError, Style, Svg};
use posology_trial::report::{Cell, Column, Section, Table, significant};

use crate::error::{Class, Failure};

/// Deviations that the check page calls large: those of the specification, or more where few
/// patients make larger ones likely.
const MEAN_TOLERANCE: f64 = 0.01;
const SD_TOLERANCE: f64 = 0.03;

/// The section.
///
/// # Errors
/// Class numeric where a figure cannot be drawn.
pub(super) fn section(
    population: &Population,
    drawn: &Covariates,
    check: &Check,
) -> Result<Section, Failure> {
    let number = |value: f64| Cell::text(significant(value, 4));
    let mut table = Table::new("Drawn patients against the file and published figures")
        .column(Column::text("Covariate"))
        .column(Column::text("Published"))
        .column(Column::number("Mean", ""))
        .column(Column::number("expected", ""))
        .column(Column::number("SD", ""))
        .column(Column::number("expected", ""))
        .column(Column::number("Median", ""))
        .column(Column::number("Min", ""))
        .column(Column::number("Max", ""));
    let (mut panels, mut large) = (Vec::new(), Vec::new());
    for (i, one) in check.covariates.iter().enumerate() {
        // organs have a table of their own
        if matches!(population.covariates[i].how, How::Anatomy(_)) {
            continue;
        }
        let expected = |value: Option<f64>| value.map_or_else(Cell::missing, number);
        let moments = one.expected.as_ref();
        table = table.row(vec![
            Cell::text(named(one)),
            Cell::text(published(one)),
            number(one.mean),
            expected(moments.map(|m| m.mean)),
            number(one.sd),
            expected(moments.map(|m| m.sd)),
            number(one.median),
            number(one.min),
            number(one.max),
        ]);
        // four standard errors of a mean and (for a normal variable) of a standard deviation
        let n = one.n as f64;
        let size = moments.map_or(f64::NAN, |m| m.sd / m.mean.abs().max(m.sd));
        let (mean, sd) = (
            MEAN_TOLERANCE.max(4.0 * size / n.sqrt()),
            SD_TOLERANCE.max(4.0 / (2.0 * n).sqrt()),
        );
        if one.mean_error.is_some_and(|e| e > mean) || one.sd_error.is_some_and(|e| e > sd) {
            large.push(one.name.clone());
        }
        if one.sd > 0.0 {
            panels.push(histogram(population, i, &drawn.columns[i].values, one).map_err(plot)?);
        }
    }
    table = table.note(
        "Expected: of the file's distribution, bounds included; computed covariates have none. \
         Published: figures of the source, which a distribution need not reproduce.",
    );
    for one in check
        .covariates
        .iter()
        .filter(|one| !one.published.is_empty())
    {
        table = table.note(format!("{}: {}.", one.name, one.published_source));
    }
    let mut section = Section::new("Marginal distributions").table(table);
    section = if large.is_empty() {
        section.paragraph(
            "No mean is off by more than 1 % and no standard deviation by more than 3 %, or by \
             more than four standard errors where few patients make these larger.",
        )
    } else {
        section.callout(format!(
            "Mean or standard deviation differ from the expected ones by more than chance: {}.",
            large.join(", ")
        ))
    };
    Ok(section.figure_grid(
        (None, panels),
        "Bars: share of drawn patients. Line or points: what the file's distribution gives. Dashed: \
         published mean or median.",
    ))
}

/// Name and unit.
fn named(one: &Comparison) -> String {
    match one.unit.as_str() {
        "1" => one.name.clone(),
        unit => format!("{} ({unit})", one.name),
    }
}

fn published(one: &Comparison) -> String {
    let figure = |(what, value): &(String, f64)| format!("{what} {value}");
    let figures: Vec<String> = one.published.iter().map(figure).collect();
    figures.join(", ")
}

fn plot(error: PlotError) -> Failure {
    Failure::new(Class::Numeric, error.to_string())
}

fn histogram(
    population: &Population,
    i: usize,
    values: &[f64],
    one: &Comparison,
) -> Result<Svg, PlotError> {
    let histogram = match population.shares(i) {
        // a bar for each category
        Some(levels) => {
            let (low, high) = levels.iter().fold((f64::MAX, f64::MIN), |(l, h), (v, _)| {
                (l.min(*v), h.max(*v))
            });
            let edges: Vec<f64> = (0..=((high - low) as usize + 1).min(60))
                .map(|k| low - 0.5 + k as f64)
                .collect();
            let inside = |pair: &[f64]| {
                let hits = values.iter().filter(|v| **v >= pair[0] && **v < pair[1]);
                hits.count() as f64
            };
            let counts = edges.windows(2).map(inside).collect();
            Histogram { edges, counts }
        }
        None => Histogram::of(values),
    };
    let shares = histogram.shares();
    let expected: Option<Vec<f64>> = histogram
        .edges
        .windows(2)
        .map(|pair| population.expected_share(i, pair[0], pair[1]))
        .collect();
    let middles: Vec<f64> = histogram
        .edges
        .windows(2)
        .map(|pair| 0.5 * (pair[0] + pair[1]))
        .collect();
    let bars = Style::series(0).opacity(0.45);
    let mut panel = Panel::new(one.name.clone())
        .x(Axis::new(named(one)))
        .y(Axis::new("").percent().include(0.0))
        .bars("", &histogram.edges, &shares, bars);
    let mut words = format!(
        "{} patients, mean {}, standard deviation {}",
        one.n,
        significant(one.mean, 4),
        significant(one.sd, 4)
    );
    if let Some(expected) = expected {
        panel = match population.shares(i) {
            Some(_) => panel.points("", &middles, &expected, Style::series(1).with_marker()),
            None => panel.line("", &middles, &expected, Style::series(1).width(1.6)),
        };
        if let Some(moments) = &one.expected {
            let (mean, sd) = (significant(moments.mean, 4), significant(moments.sd, 4));
            words += &format!("; the file gives {mean} and {sd}");
        }
    }
    for (what, value) in &one.published {
        if what == "mean" || what == "median" {
            let dashed = Style::ink().dash(Dash::Dashed).width(1.2);
            panel = panel.moment("", *value, dashed);
            words += &format!("; published {what} {value}");
        }
    }
    Figure::new(format!("Distribution of {}", one.name), panel)
        .description(words)
        .panel_size(260.0, 190.0)
        .render()
}
