//! Goodness of fit: observations against predictions, and residuals.

use posology_trial::plot::{Axis, Dash, Figure, Histogram, Panel, Style};
use posology_trial::report::{Cell, Column, Section, Table, number};
use posology_twin::goodness::Row;

use crate::error::Failure;

use super::observed::{Observed, Tally, drawable, finite, range};
use super::{count, plot};

/// Normal residuals lie within this with 95 %.
const NORMAL_975: f64 = 1.96;
/// Points of one mean of the trend at least, and means at most.
const TREND: (usize, usize) = (10, 12);

type Of = fn(&Row) -> Option<f64>;

const RESIDUALS: [(&str, Of); 3] = [
    ("CWRES", |row| row.cwres),
    ("IWRES", |row| row.iwres),
    ("NPDE", |row| row.npde),
];

pub(super) fn section(observed: &[Observed<'_>]) -> Result<Section, Failure> {
    let mut section = Section::new("Goodness of fit");
    if observed.is_empty() {
        return Ok(section.paragraph("There are no observations to look at."));
    }
    section = section.paragraph(
        "PRED: prediction at typical parameters and the patient's covariates; IPRED: at his own \
         estimates. CWRES: conditional weighted residuals; IWRES: individual weighted residuals; \
         NPDE: normalised prediction distribution errors, standard normal if the model is right.",
    );
    let mut table = Table::new("Residuals")
        .column(Column::text("Residual"))
        .column(Column::number("Values", ""))
        .column(Column::number("Mean", ""))
        .column(Column::number("Variance", ""))
        .column(Column::number("Measured without one", ""));
    for one in observed {
        table = table.group(one.name);
        for (name, of) in RESIDUALS {
            let values = values(one, of);
            let (mean, variance) = moments(&values);
            let measured = one.rows.iter().filter(|row| !row.seen.censored()).count();
            table = table.row(vec![
                Cell::text(name),
                Cell::count(values.len()),
                Cell::number(mean, 3),
                Cell::number(variance, 3),
                Cell::count(measured.saturating_sub(values.len())),
            ]);
        }
    }
    section = section.table(table.note("Censored observations have no residuals."));
    for one in observed {
        section = observable(section.subheading(one.name), one)?;
    }
    Ok(section)
}

fn observable(section: Section, one: &Observed<'_>) -> Result<Section, Failure> {
    let mut tally = Tally::default();
    let mut panels = vec![
        predictions(one, &mut tally, "PRED", |row| row.pred),
        predictions(one, &mut tally, "IPRED", |row| row.ipred),
    ];
    let time = |row: &Row| row.time;
    let typical = |row: &Row| one.shown(row.pred);
    let own = |row: &Row| one.shown(row.ipred);
    let [cwres, iwres, npde] = RESIDUALS;
    panels.extend(residuals(
        one,
        &mut tally,
        cwres,
        ("time", one.time_axis()),
        time,
    ));
    panels.extend(residuals(
        one,
        &mut tally,
        cwres,
        ("PRED", one.axis("PRED")),
        typical,
    ));
    panels.extend(residuals(
        one,
        &mut tally,
        iwres,
        ("IPRED", one.axis("IPRED")),
        own,
    ));
    panels.extend(residuals(
        one,
        &mut tally,
        npde,
        ("time", one.time_axis()),
        time,
    ));
    let errors = values(one, npde.1);
    panels.extend(histogram(&errors));
    let shown = panels.len();
    let figure = Figure::grid(format!("Goodness of fit of {}", one.name), panels, 2)
        .panel_size(260.0, 210.0)
        .description("Observations against predictions, and residuals");
    let mut section = section.paragraph(about_errors(&errors));
    if shown < 7 {
        section = section.paragraph("Residuals without any value have no figure.");
    }
    if one.rows.iter().any(|row| row.seen.censored()) {
        section = section
            .paragraph("Censored observations are drawn at their limit, with marks of their own.");
    }
    let caption = format!(
        "{}: dashed diagonal, equal values; dashed levels, where 95 % of standard normal \
         residuals lie; line through points, mean of neighbours.{}",
        one.name,
        tally.words()
    );
    Ok(section.figure_grid(figure.render_each().map_err(plot)?, caption))
}

/// Observations against a prediction.
fn predictions(one: &Observed<'_>, tally: &mut Tally, name: &str, of: fn(&Row) -> f64) -> Panel {
    let mut panel = Panel::new(format!("DV against {name}"))
        .x(one.axis(name))
        .y(one.axis("DV"));
    panel = one.marks(panel, tally, &one.rows, |row| one.shown(of(row)));
    let points: Vec<(f64, f64)> = one
        .rows
        .iter()
        .map(|row| (of(row), row.seen.number()))
        .collect();
    let points = finite(&points).into_iter().flat_map(|(x, y)| [x, y]);
    let (low, high) = range(points.map(|value| one.shown(value)));
    // both axes then have the same range
    if low < high {
        let style = Style::ink().dash(Dash::Dashed);
        panel = panel.line("equal", &[low, high], &[low, high], style);
    }
    panel
}

/// Residuals against something; none where there are no points.
fn residuals(
    one: &Observed<'_>,
    tally: &mut Tally,
    (name, of): (&str, Of),
    (against, axis): (&str, Axis),
    x: impl Fn(&Row) -> f64,
) -> Option<Panel> {
    let points: Vec<(f64, f64)> = one
        .rows
        .iter()
        .filter_map(|row| Some((x(row), of(row)?)))
        .collect();
    let good = finite(&points);
    if good.is_empty() {
        tally.left_out += points.len();
        return None;
    }
    let dashed = Style::ink().dash(Dash::Dashed).width(0.9);
    let panel = Panel::new(format!("{name} against {against}"))
        .x(axis)
        .y(Axis::new(name))
        .level("", 0.0, Style::ink().width(0.9))
        .level("", NORMAL_975, dashed)
        .level("", -NORMAL_975, dashed);
    let panel = tally.points(panel, "measured", &points, Style::series(0));
    let (x, y) = trend(good);
    if x.len() < 2 {
        return Some(panel);
    }
    Some(panel.line(
        "mean of neighbours",
        &x,
        &y,
        Style::series(1).dash(Dash::Solid),
    ))
}

/// Means of neighbours in x, of about equal numbers of points; equal places stay together.
fn trend(mut points: Vec<(f64, f64)>) -> (Vec<f64>, Vec<f64>) {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = (points.len() / TREND.0).clamp(1, TREND.1);
    let size = points.len().div_ceil(bins).max(1);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut first = 0;
    while first < points.len() {
        let mut last = (first + size).min(points.len());
        while last < points.len() && points[last].0 == points[last - 1].0 {
            last += 1;
        }
        let own = &points[first..last];
        x.push(own[own.len() / 2].0);
        y.push(own.iter().map(|point| point.1).sum::<f64>() / own.len() as f64);
        first = last;
    }
    (x, y)
}

/// Prediction errors with the density that they should have.
fn histogram(errors: &[f64]) -> Option<Panel> {
    if errors.is_empty() {
        return None;
    }
    let histogram = Histogram::of(errors);
    let [first, second, ..] = histogram.edges[..] else {
        return None;
    };
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let x: Vec<f64> = (0..=80).map(|i| -4.0 + 0.1 * f64::from(i)).collect();
    let y: Vec<f64> = x.iter().map(|&x| (second - first) * density(x)).collect();
    let bars = Style::series(0).opacity(0.45);
    Some(
        Panel::new("Distribution of NPDE")
            .x(Axis::new("NPDE"))
            .y(Axis::new("Share of values").percent().include(0.0))
            .bars("", &histogram.edges, &histogram.shares(), bars)
            .line("standard normal", &x, &y, Style::ink().width(1.6)),
    )
}

/// Mean and variance of prediction errors, and what chance allows.
fn about_errors(errors: &[f64]) -> String {
    let n = errors.len() as f64;
    if errors.len() < 2 {
        return "There are too few NPDE for their mean and variance: censored observations have \
                none, and others only with at least ten simulated data sets per observation."
            .to_owned();
    }
    let (mean, variance) = moments(errors);
    format!(
        "{} NPDE: mean {} (0 \u{b1} {} in 95 % of data sets if the model is right), variance {} \
         (1 \u{b1} {}).",
        count(errors.len()),
        number(mean, 2),
        number(NORMAL_975 / n.sqrt(), 2),
        number(variance, 2),
        number(NORMAL_975 * (2.0 / (n - 1.0)).sqrt(), 2)
    )
}

fn values(one: &Observed<'_>, of: Of) -> Vec<f64> {
    let all = one.rows.iter().filter_map(|row| of(row));
    all.filter(|value| drawable(*value)).collect()
}

/// Mean and variance; NaN where there are too few values.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (
        mean,
        if n > 1.0 {
            squares / (n - 1.0)
        } else {
            f64::NAN
        },
    )
}
