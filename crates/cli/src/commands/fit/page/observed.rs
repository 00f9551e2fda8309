//! Observations of one observable, in shown units, and points for the figures.

use posology_cohort::nmtran::Seen;
use posology_trial::plot::{Axis, Colour, Marker, Panel, Style, evenly_spaced};
use posology_twin::goodness::Row;

use super::{About, with_unit};

/// Points of a kind drawn in one panel at most.
const MOST: usize = 2000;
/// Larger sizes than any quantity: sums and squares of them overflow in a drawing.
const HUGE: f64 = 1e200;

/// One observable.
pub(super) struct Observed<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    /// Coherent value per shown value.
    pub scale: f64,
    /// Position among the model's observables.
    pub index: usize,
    /// Whether values belong on logarithmic axes.
    pub log: bool,
    pub time: &'a str,
    pub rows: Vec<&'a Row>,
}

/// Observables that have observations.
pub(super) fn of<'a>(about: &About<'a>) -> Vec<Observed<'a>> {
    let model = about.model;
    let mut out = Vec::new();
    for (index, observable) in model.observables.iter().enumerate() {
        let rows: Vec<&Row> = about
            .goodness
            .rows
            .iter()
            .filter(|row| row.observable == index)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let lognormal = observable.error.is_some_and(|error| error.lognormal > 0.0);
        // a value that has no place on a logarithmic axis would be lost without a word
        let positive = rows
            .iter()
            .flat_map(|row| [row.seen.number(), row.pred, row.ipred])
            .all(|value| !drawable(value) || value > 0.0);
        out.push(Observed {
            name: &observable.name,
            unit: observable.unit.text(),
            scale: model.units.scale(&observable.unit),
            index,
            log: lognormal && positive,
            time: model.time_unit.text(),
            rows,
        });
    }
    out
}

impl Observed<'_> {
    pub fn shown(&self, coherent: f64) -> f64 {
        coherent / self.scale
    }

    /// An axis of values.
    pub fn axis(&self, what: &str) -> Axis {
        let axis = Axis::new(with_unit(what, self.unit));
        if self.log { axis.log() } else { axis }
    }

    pub fn time_axis(&self) -> Axis {
        Axis::new(with_unit("Time", self.time))
    }

    /// Positions of the patients with observations, ascending.
    pub fn patients(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.rows.iter().map(|row| row.patient).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What was measured: measured values and limits with marks of their own.
    pub fn marks(
        &self,
        mut panel: Panel,
        tally: &mut Tally,
        rows: &[&Row],
        x: impl Fn(&Row) -> f64,
    ) -> Panel {
        type Is = fn(&Row) -> bool;
        let kinds: [(&str, Is, Style); 3] = [
            ("measured", |row| !row.seen.censored(), Style::series(0)),
            (
                "limit, value below",
                below,
                Style::series(1).marker(Marker::TriangleDown, 3.0),
            ),
            (
                "limit, value above",
                above,
                Style::series(4).marker(Marker::Triangle, 3.0),
            ),
        ];
        for (label, belongs, style) in kinds {
            let points: Vec<(f64, f64)> = rows
                .iter()
                .filter(|row| belongs(row))
                .map(|row| (x(row), self.shown(row.seen.number())))
                .collect();
            panel = tally.points(panel, label, &points, style);
        }
        panel
    }
}

/// What a figure shows of its points.
#[derive(Default)]
pub(super) struct Tally {
    pub drawn: usize,
    pub total: usize,
    pub left_out: usize,
}

impl Tally {
    /// Adds points to a panel, evenly many of very many.
    pub fn points(
        &mut self,
        panel: Panel,
        label: &str,
        points: &[(f64, f64)],
        style: Style,
    ) -> Panel {
        let good = finite(points);
        let chosen = evenly_spaced(good.len(), MOST);
        self.drawn += chosen.len();
        self.total += good.len();
        self.left_out += points.len() - good.len();
        if chosen.is_empty() {
            return panel;
        }
        let (x, y): (Vec<f64>, Vec<f64>) = chosen.iter().map(|&i| good[i]).unzip();
        let style = match chosen.len() {
            0..=300 => style.opacity(0.75),
            _ => style.marker(style.marker, 0.7 * style.radius).opacity(0.45),
        };
        panel.points(label, &x, &y, style)
    }

    /// Sentences for a caption; may be empty.
    pub fn words(&self) -> String {
        let mut words = String::new();
        if self.drawn < self.total {
            words += &format!(
                " {} of {} points are drawn, every so many in their order.",
                super::count(self.drawn),
                super::count(self.total)
            );
        }
        if self.left_out > 0 {
            words += &format!(
                " {} points without a finite place are left out.",
                super::count(self.left_out)
            );
        }
        words
    }
}

pub(super) fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() < HUGE
}

/// Points with a place.
pub(super) fn finite(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let good = |&&(x, y): &&(f64, f64)| drawable(x) && drawable(y);
    points.iter().filter(good).copied().collect()
}

/// Smallest and largest; NaN without values.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values
        .filter(|value| drawable(*value))
        .fold((f64::NAN, f64::NAN), |(low, high), v| {
            (low.min(v), high.max(v))
        })
}

pub(super) fn below(row: &Row) -> bool {
    matches!(row.seen, Seen::Below(_))
}

pub(super) fn above(row: &Row) -> bool {
    matches!(row.seen, Seen::Above(_))
}

/// Look of a prediction's line: of the individual, or of the population.
pub(super) fn line(individual: bool) -> Style {
    if individual {
        Style::series(0).colour(Colour::Green).width(1.6)
    } else {
        Style::ink().dash(posology_trial::plot::Dash::Dashed)
    }
}
