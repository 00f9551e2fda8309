//! Two quantities against each other, one point per patient.

use super::axis::Axis;
use super::figure::Figure;
use super::panel::{Corner, Panel};
use super::style::{Dash, Style};
use super::text::fixed;
use super::thin::evenly_spaced;
use super::{PlotError, Svg};

/// Points drawn at most, over all groups.
const POINTS: usize = 3000;

/// One group of points.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterGroup {
    /// Name in the legend.
    pub name: String,
    /// Horizontal values.
    pub x: Vec<f64>,
    /// Vertical values.
    pub y: Vec<f64>,
}

/// A scatter plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    title: String,
    x: Axis,
    y: Axis,
    groups: Vec<ScatterGroup>,
    identity: bool,
    curves: Vec<(String, Vec<f64>, Vec<f64>)>,
    inset: Vec<String>,
    description: String,
}

impl Scatter {
    /// Groups of points on two axes, whose labels should name the units.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis, groups: Vec<ScatterGroup>) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            groups,
            identity: false,
            curves: Vec::new(),
            inset: Vec::new(),
            description: String::new(),
        }
    }

    /// With the line on which both values are equal.
    pub fn identity(mut self) -> Self {
        self.identity = true;
        self
    }

    /// With a curve, such as a fitted one.
    pub fn curve(mut self, name: impl Into<String>, x: Vec<f64>, y: Vec<f64>) -> Self {
        self.curves.push((name.into(), x, y));
        self
    }

    /// Lines of text in a free corner, such as the correlation.
    pub fn inset(mut self, lines: Vec<String>) -> Self {
        self.inset = lines;
        self
    }

    /// A longer description for screen readers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Draws the figure; of more than 3,000 points evenly many of each group, in their order.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without groups, `LengthsDiffer`, `Range`.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.groups.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "group",
            });
        }
        let most = POINTS / self.groups.len();
        let mut panel = Panel::new("").x(self.x.clone()).y(self.y.clone());
        let (mut drawn, mut total) = (0, 0);
        for (index, group) in self.groups.iter().enumerate() {
            if group.x.len() != group.y.len() {
                return Err(PlotError::LengthsDiffer {
                    plot: self.title.clone(),
                    series: group.name.clone(),
                    first: group.x.len(),
                    second: group.y.len(),
                });
            }
            let chosen = evenly_spaced(group.x.len(), most);
            drawn += chosen.len();
            total += group.x.len();
            let pick = |values: &[f64]| -> Vec<f64> { chosen.iter().map(|&i| values[i]).collect() };
            let style = Style::series(index);
            let (radius, opacity) = if chosen.len() > 300 {
                (1.7, 0.45)
            } else {
                (2.6, 0.75)
            };
            let style = style.marker(style.marker, radius).opacity(opacity);
            panel = panel.points(&group.name, &pick(&group.x), &pick(&group.y), style);
        }
        if self.identity {
            let all = |values: fn(&ScatterGroup) -> &Vec<f64>| {
                let values = self.groups.iter().flat_map(values).copied();
                values
                    .filter(|v| v.is_finite())
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                        (l.min(v), h.max(v))
                    })
            };
            let (x, y) = (all(|g| &g.x), all(|g| &g.y));
            let (low, high) = (x.0.max(y.0), x.1.min(y.1));
            if low < high {
                let ends: Vec<f64> = (0..=64)
                    .map(|i| low + (high - low) * f64::from(i) / 64.0)
                    .collect();
                let style = Style::ink().dash(Dash::Dashed);
                panel = panel.line("equal", &ends, &ends, style);
            }
        }
        for (name, x, y) in &self.curves {
            panel = panel.line(name, x, y, Style::ink().width(2.0));
        }
        if !self.inset.is_empty() {
            panel = panel.inset(Corner::TopLeft, self.inset.clone());
        }
        let note = if drawn < total {
            format!(
                "{} of {} patients are drawn, every so many in order of number.",
                fixed(drawn as f64, 0),
                fixed(total as f64, 0)
            )
        } else {
            String::new()
        };
        let figure = Figure::new(&self.title, panel).description(self.description.clone());
        Ok(figure.render()?.noted(&note))
    }
}
