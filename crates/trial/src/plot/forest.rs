//! Forest plots: one estimate with its interval per row, and the numbers beside it.

use crate::statistics::Estimate;

use super::axis::{Axis, Scale};
use super::canvas::{Anchor, Canvas, TextStyle};
use super::style::{Colour, Dash, Marker, Style};
use super::text::{BOLD, coordinate as c, fit, fixed, width};
use super::{PlotError, Svg};

const FONT: f64 = 13.0;
const ROW: f64 = 24.0;

/// One row of a forest plot.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestRow {
    label: String,
    detail: String,
    estimate: Option<Estimate>,
    weight: f64,
    bold: bool,
}

impl ForestRow {
    /// A row with an estimate. `detail` stands in the second column, such as "14/16 vs 11/16".
    pub fn new(label: impl Into<String>, detail: impl Into<String>, estimate: Estimate) -> Self {
        Self {
            label: label.into(),
            detail: detail.into(),
            estimate: Some(estimate),
            weight: 1.0,
            bold: false,
        }
    }

    /// A heading without an estimate.
    pub fn heading(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            detail: String::new(),
            estimate: None,
            weight: 0.0,
            bold: true,
        }
    }

    /// A row whose estimate does not exist, with the reason in the second column.
    pub fn missing(label: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            detail: reason.into(),
            estimate: None,
            weight: 0.0,
            bold: false,
        }
    }

    /// Area of the marker relative to other rows, such as the number of events.
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// The summary row: bold, with a diamond over the interval.
    pub fn overall(mut self) -> Self {
        self.bold = true;
        self
    }
}

/// Estimates of one effect in several groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    title: String,
    effect: String,
    detail: String,
    favours: Option<(String, String)>,
    logarithmic: bool,
    reference: f64,
    decimals: usize,
    rows: Vec<ForestRow>,
    description: String,
}

impl Forest {
    /// Ratios on a logarithmic axis around 1. `effect` heads the numbers, such as "Hazard ratio".
    pub fn ratios(title: impl Into<String>, effect: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            effect: effect.into(),
            detail: String::new(),
            favours: None,
            logarithmic: true,
            reference: 1.0,
            decimals: 2,
            rows: Vec::new(),
            description: String::new(),
        }
    }

    /// Differences on a linear axis around 0; the unit belongs into `effect`.
    pub fn differences(title: impl Into<String>, effect: impl Into<String>) -> Self {
        Self {
            logarithmic: false,
            reference: 0.0,
            ..Self::ratios(title, effect)
        }
    }

    /// Heading of the second column.
    pub fn detail(mut self, heading: impl Into<String>) -> Self {
        self.detail = heading.into();
        self
    }

    /// What lies left and right of the reference line, such as "favours adaptive".
    pub fn favours(mut self, left: impl Into<String>, right: impl Into<String>) -> Self {
        self.favours = Some((left.into(), right.into()));
        self
    }

    /// Digits after the point in the numbers.
    pub fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = decimals.min(6);
        self
    }

    /// Adds a row.
    pub fn row(mut self, row: ForestRow) -> Self {
        self.rows.push(row);
        self
    }

    /// A longer description for screen readers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Draws the figure, 680 wide.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without rows.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.rows.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "row",
            });
        }
        let total = 680.0;
        let column = |text: fn(&Self, &ForestRow) -> String, heading: &str, most: f64| {
            let wide = |row: &ForestRow| {
                width(&text(self, row), if row.bold { BOLD * FONT } else { FONT })
            };
            let heading = width(heading, FONT);
            self.rows.iter().map(wide).fold(heading, f64::max).min(most)
        };
        let labels = column(|_, row| row.label.clone(), "", 200.0);
        let details = column(|_, row| row.detail.clone(), &self.detail, 150.0);
        let numbers = column(Self::numbers, &self.heading(), 190.0);
        let left = labels + if details > 0.0 { details + 12.0 } else { 0.0 } + 14.0;
        let plot = (total - left - numbers - 14.0).max(150.0);
        let top = 1.9 * FONT;
        let height = self.rows.len() as f64 * ROW;
        let scale = self
            .axis(plot)
            .resolve(&self.title, std::iter::empty(), plot, 4.0 * FONT)?;

        let mut canvas = Canvas::default();
        let heading = |anchor| TextStyle {
            faint: true,
            ..TextStyle::new(FONT, anchor)
        };
        let detail_x = labels + 12.0;
        let head = fit(&self.detail, FONT, details.max(1.0));
        canvas.text(detail_x, FONT, &head, heading(Anchor::Start));
        canvas.text(
            total,
            FONT,
            &fit(&self.heading(), FONT, 0.5 * total),
            heading(Anchor::End),
        );
        let at = |value: f64| {
            scale
                .share(value)
                .map(|share| left + share.clamp(0.0, 1.0) * plot)
        };
        if let Some(x) = at(self.reference) {
            let style = Style::ink().width(1.0).opacity(0.6);
            canvas.stroke(&format!("M{} {}v{}", c(x), c(top), c(height)), &style);
        }
        let heaviest = self.rows.iter().map(|row| row.weight).fold(0.0, f64::max);
        for (index, row) in self.rows.iter().enumerate() {
            let middle = top + (index as f64 + 0.5) * ROW;
            let base = middle + 0.34 * FONT;
            let row_size = if row.bold { BOLD * FONT } else { FONT };
            let style = |anchor| TextStyle {
                bold: row.bold,
                ..TextStyle::new(FONT, anchor)
            };
            canvas.text(
                0.0,
                base,
                &fit(&row.label, row_size, labels + 1.0),
                style(Anchor::Start),
            );
            canvas.text(
                detail_x,
                base,
                &fit(&row.detail, row_size, details + 1.0),
                style(Anchor::Start),
            );
            canvas.text(total, base, &self.numbers(row), style(Anchor::End));
            if let Some(estimate) = row.estimate {
                let half = 7.0 * (row.weight / heaviest.max(1e-300)).clamp(0.12, 1.0).sqrt();
                draw_estimate(
                    &mut canvas,
                    &scale,
                    (left, plot, middle),
                    estimate,
                    row.bold,
                    half,
                );
            }
        }
        let bottom = self.draw_axis(&mut canvas, &scale, (left, plot, top + height));
        Ok(canvas.finish(&self.title, &self.description, (total, bottom), 1.15))
    }

    fn heading(&self) -> String {
        let level = self
            .rows
            .iter()
            .find_map(|row| row.estimate)
            .map_or(0.95, |e| e.level);
        let percent = fixed(
            100.0 * level,
            usize::from((level * 100.0).fract().abs() > 1e-9),
        );
        format!("{} ({percent} % CI)", self.effect)
    }

    fn numbers(&self, row: &ForestRow) -> String {
        let Some(e) = row.estimate else {
            return String::new();
        };
        let show = |value: f64| {
            if value.is_finite() {
                fixed(value, self.decimals)
            } else {
                "\u{2013}".to_owned()
            }
        };
        format!("{} ({} to {})", show(e.value), show(e.low), show(e.high))
    }

    /// The limits of all rows, but at most a factor of 64 (or 8 median widths) from the reference.
    fn axis(&self, plot: f64) -> Axis {
        let limits = || {
            let rows = self.rows.iter().filter_map(|row| row.estimate);
            rows.flat_map(|e| [e.low, e.value, e.high])
                .filter(|value| value.is_finite())
        };
        let (low, high) = limits()
            .filter(|value| !self.logarithmic || *value > 0.0)
            .fold((self.reference, self.reference), |(l, h), v| {
                (l.min(v), h.max(v))
            });
        if self.logarithmic {
            let widest = 64.0;
            let (low, high) = (low.max(1.0 / widest), high.min(widest));
            let (low, high) = (low.min(0.8) / 1.12, high.max(1.25) * 1.12);
            let axis = Axis::new(&self.effect).log().range(low, high);
            return axis.ticks(ratio_ticks(low, high, (plot / (2.8 * FONT)) as usize));
        }
        let room = if high > low { 0.06 * (high - low) } else { 1.0 };
        Axis::new(&self.effect).range(low - room, high + room)
    }

    fn draw_axis(
        &self,
        canvas: &mut Canvas,
        scale: &Scale,
        (left, plot, top): (f64, f64, f64),
    ) -> f64 {
        let mut marks = format!("M{} {}h{}", c(left), c(top), c(plot));
        let mut free = f64::NEG_INFINITY;
        for tick in &scale.ticks {
            let Some(share) = scale.share(tick.at) else {
                continue;
            };
            let (x, half) = (left + share * plot, 0.5 * width(&tick.label, 0.92 * FONT));
            marks.push_str(&format!("M{} {}v4", c(x), c(top)));
            if !tick.label.is_empty() && x - half > free {
                let style = TextStyle::new(0.92 * FONT, Anchor::Middle);
                canvas.text(x, top + 1.35 * FONT, &tick.label, style);
                free = x + half + 5.0;
            }
        }
        canvas.stroke(
            &marks,
            &Style {
                width: 1.0,
                opacity: 0.6,
                ..Style::default()
            },
        );
        let mut bottom = top + 1.9 * FONT;
        if let (Some((less, more)), Some(share)) = (&self.favours, scale.share(self.reference)) {
            let (x, y) = (left + share * plot, bottom + 0.9 * FONT);
            let style = |anchor| TextStyle {
                faint: true,
                ..TextStyle::new(0.92 * FONT, anchor)
            };
            canvas.text(x - 8.0, y, &format!("\u{2190} {less}"), style(Anchor::End));
            canvas.text(
                x + 8.0,
                y,
                &format!("{more} \u{2192}"),
                style(Anchor::Start),
            );
            bottom += 1.5 * FONT;
        }
        bottom
    }
}

/// The densest of a few sets of round ratios with at most `most` ticks in the range.
fn ratio_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let sets: [&[u32]; 4] = [&[1, 2, 3, 5, 7], &[1, 2, 5], &[1, 3], &[1]];
    let ticks = |digits: &[u32]| -> Vec<(f64, String)> {
        let decades = -3..=3;
        decades
            .flat_map(|exponent: i32| digits.iter().map(move |digit| (exponent, *digit)))
            .map(|(exponent, digit)| {
                let at = f64::from(digit) * 10f64.powi(exponent);
                (at, fixed(at, (-exponent).max(0) as usize))
            })
            .filter(|(at, _)| (low..=high).contains(at))
            .collect()
    };
    let fitting = sets
        .iter()
        .map(|digits| ticks(digits))
        .find(|ticks| ticks.len() <= most);
    fitting.unwrap_or_else(|| ticks(&[1]))
}

/// Interval with arrowheads where it leaves the axis, and a marker or a diamond.
fn draw_estimate(
    canvas: &mut Canvas,
    scale: &Scale,
    (left, plot, y): (f64, f64, f64),
    estimate: Estimate,
    overall: bool,
    half: f64,
) {
    let share = |value: f64, beyond: f64| scale.share(value).unwrap_or(beyond);
    let at = |share: f64| left + share.clamp(0.0, 1.0) * plot;
    let (low, middle, high) = (
        share(estimate.low, -1.0),
        share(estimate.value, f64::NAN),
        share(estimate.high, 2.0),
    );
    if !middle.is_finite() {
        return;
    }
    let style = Style::ink().width(1.5);
    if overall {
        let (a, b, m) = (at(low), at(high), at(middle));
        let path = format!(
            "M{} {y}L{} {}L{} {y}L{} {}z",
            c(a),
            c(m),
            c(y - 7.0),
            c(b),
            c(m),
            c(y + 7.0),
            y = c(y)
        );
        canvas.fill(&path, Colour::Vermilion.css(), 1.0);
        return;
    }
    canvas.stroke(&format!("M{} {}H{}", c(at(low)), c(y), c(at(high))), &style);
    if low < 0.0 {
        canvas.stroke(
            &format!("M{} {}l-6 4.5l6 4.5", c(left + 6.0), c(y - 4.5)),
            &style,
        );
    }
    if high > 1.0 {
        canvas.stroke(
            &format!("M{} {}l6 4.5l-6 4.5", c(left + plot - 6.0), c(y - 4.5)),
            &style,
        );
    }
    if (0.0..=1.0).contains(&middle) {
        let marker = format!("M{} {}{}", c(at(middle)), c(y), Marker::Square.path(half));
        canvas.fill(
            &marker,
            Style::series(0).dash(Dash::Solid).colour.css(),
            1.0,
        );
    }
}
