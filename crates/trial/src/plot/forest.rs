//! Forest plots: one estimate with its interval per row, and the numbers beside it.

use crate::statistics::Estimate;

use super::text::fixed;
use super::{PlotError, Svg, forest_draw};

/// One row of a forest plot.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestRow {
    pub(super) label: String,
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
    pub(super) estimate: Option<Estimate>,
    pub(super) weight: f64,
    pub(super) bold: bool,
    pub(super) indent: f64,
}

impl ForestRow {
    /// A row with an estimate. `detail` stands in the second column, such as "14/16 vs 11/16".
    pub fn new(label: impl Into<String>, detail: impl Into<String>, estimate: Estimate) -> Self {
        Self {
            label: label.into(),
            before: vec![detail.into()],
            after: Vec::new(),
            estimate: Some(estimate),
            weight: 1.0,
            bold: false,
            indent: 0.0,
        }
    }

    /// A heading without an estimate.
    pub fn heading(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            before: Vec::new(),
            after: Vec::new(),
            estimate: None,
            weight: 0.0,
            bold: true,
            indent: 0.0,
        }
    }

    /// A row whose estimate does not exist, with the reason in the second column.
    pub fn missing(label: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            before: vec![reason.into()],
            after: Vec::new(),
            estimate: None,
            weight: 0.0,
            bold: false,
            indent: 0.0,
        }
    }

    /// Area of the marker relative to other rows, such as the number of events.
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Cells of the columns before the plot, in place of the single detail, and after the numbers
    /// (see [`Forest::columns`]).
    pub fn cells(mut self, before: Vec<String>, after: Vec<String>) -> Self {
        self.before = before;
        self.after = after;
        self
    }

    /// Cells of the columns after the numbers alone.
    pub(super) fn cells_after(mut self, after: Vec<String>) -> Self {
        self.after = after;
        self
    }

    /// Set in, as a member of the heading above.
    pub fn indented(mut self) -> Self {
        self.indent = 12.0;
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
    pub(super) title: String,
    pub(super) effect: String,
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
    pub(super) favours: Option<(String, String)>,
    pub(super) logarithmic: bool,
    pub(super) reference: f64,
    pub(super) decimals: usize,
    pub(super) rows: Vec<ForestRow>,
    pub(super) description: String,
}

impl Forest {
    /// Ratios on a logarithmic axis around 1. `effect` heads the numbers, such as "Hazard ratio".
    pub fn ratios(title: impl Into<String>, effect: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            effect: effect.into(),
            before: Vec::new(),
            after: Vec::new(),
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
        self.before = vec![heading.into()];
        self
    }

    /// Headings of several columns before the plot, and of columns after the numbers; rows fill
    /// them with [`ForestRow::cells`]. Headings wrap.
    pub fn columns(mut self, before: Vec<String>, after: Vec<String>) -> Self {
        self.before = before;
        self.after = after;
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

    /// Draws the figure, 680 wide, or wider where there are several columns.
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
        forest_draw::draw(self)
    }

    /// Heading of the numbers, with the level of the first interval.
    pub(super) fn heading(&self) -> String {
        let level = self
            .rows
            .iter()
            .find_map(|row| row.estimate)
            .map_or(0.95, |e| e.level);
        let percent = fixed(
            100.0 * level,
            usize::from((level * 100.0).fract().abs() > 1e-9),
        );
        format!("{} ({percent}\u{a0}%\u{a0}CI)", self.effect)
    }

    /// The estimate of a row in digits.
    pub(super) fn numbers(&self, row: &ForestRow) -> String {
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

    /// Range of the axis. Few wide intervals must not squeeze the others: it covers every point
    /// and three times the median distance from a point to its limits, and intervals that reach
    /// further end in arrows.
    pub(super) fn range(&self) -> (f64, f64) {
        let on = |value: f64| if self.logarithmic { value.ln() } else { value };
        let rows = || self.rows.iter().filter_map(|row| row.estimate);
        let usable = |value: &f64| value.is_finite();
        let points = || rows().map(|e| on(e.value)).filter(usable);
        let mut halves: Vec<f64> = rows()
            .flat_map(|e| [on(e.value) - on(e.low), on(e.high) - on(e.value)])
            .filter(|half| half.is_finite() && *half >= 0.0)
            .collect();
        halves.sort_by(f64::total_cmp);
        let reference = on(self.reference);
        let room = 3.0 * halves.get(halves.len() / 2).copied().unwrap_or(0.0);
        let reach = |points: f64, limits: f64, least: f64, sign: f64| {
            let far = sign * (sign * limits).min(sign * (points + sign * room));
            sign * (sign * far).max(sign * points).max(sign * least)
        };
        let lows = || rows().map(|e| on(e.low)).filter(usable);
        let highs = || rows().map(|e| on(e.high)).filter(usable);
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(reference, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(reference, f64::max);
        let (low, high) = (
            reach(least(&mut points()), least(&mut lows()), reference, -1.0),
            reach(most(&mut points()), most(&mut highs()), reference, 1.0),
        );
        if self.logarithmic {
            // No wider than a factor of a thousand either way, no narrower than a quarter.
            let low = low.clamp(-1000f64.ln(), 0.8f64.ln()) - 0.11;
            let high = high.clamp(1.25f64.ln(), 1000f64.ln()) + 0.11;
            return (low.exp(), high.exp());
        }
        let margin = if high > low { 0.06 * (high - low) } else { 1.0 };
        (low - margin, high + margin)
    }
}
