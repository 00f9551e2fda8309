//! What a panel can show.

use super::canvas::Anchor;
use super::style::Style;

/// Columns of one layer. Lengths agree (checked when the figure is rendered).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Points joined by lines.
    Line { x: Vec<f64>, y: Vec<f64> },
    /// Constant from each point to the next.
    Step { x: Vec<f64>, y: Vec<f64> },
    /// Area between two curves, stepped or joined by lines.
    Ribbon {
        x: Vec<f64>,
        low: Vec<f64>,
        high: Vec<f64>,
        stepped: bool,
    },
    /// Markers.
    Points { x: Vec<f64>, y: Vec<f64> },
    /// Vertical bars from `low` to `high` with short ends.
    Errors {
        x: Vec<f64>,
        low: Vec<f64>,
        high: Vec<f64>,
    },
    /// Short vertical ticks on a curve, for censored patients.
    Censorings { x: Vec<f64>, y: Vec<f64> },
    /// Full-height bands between two values of x.
    Spans { from: Vec<f64>, to: Vec<f64> },
    /// Bars from zero between consecutive edges.
    Bars { edges: Vec<f64>, heights: Vec<f64> },
    /// Rectangles `[x0, x1, y0, y1]`.
    Blocks { rectangles: Vec<[f64; 4]> },
    /// Horizontal bars from `low` to `high` with short ends.
    Intervals {
        y: Vec<f64>,
        low: Vec<f64>,
        high: Vec<f64>,
    },
    /// Short texts at points, moved by `shift` units of the figure; left out where they would
    /// cover an earlier one.
    Labels {
        x: Vec<f64>,
        y: Vec<f64>,
        texts: Vec<String>,
        shift: (f64, f64),
        anchor: Anchor,
    },
    /// A line across the panel at one value of y.
    Level { y: f64 },
    /// A line up the panel at one value of x.
    Moment { x: f64 },
}

/// One layer: data, looks, and a legend entry unless the label is empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    pub label: String,
    pub shape: Shape,
    pub style: Style,
}

impl Layer {
    /// Two lengths that should agree but do not.
    pub(super) fn mismatch(&self) -> Option<(usize, usize)> {
        let differ = |a: &[f64], b: &[f64]| (a.len() != b.len()).then_some((a.len(), b.len()));
        match &self.shape {
            Shape::Line { x, y }
            | Shape::Step { x, y }
            | Shape::Points { x, y }
            | Shape::Censorings { x, y } => differ(x, y),
            Shape::Ribbon { x, low, high, .. } | Shape::Errors { x, low, high } => {
                differ(x, low).or_else(|| differ(x, high))
            }
            Shape::Spans { from, to } => differ(from, to),
            Shape::Intervals { y, low, high } => differ(y, low).or_else(|| differ(y, high)),
            Shape::Labels { x, y, texts, .. } => {
                differ(x, y).or_else(|| (x.len() != texts.len()).then_some((x.len(), texts.len())))
            }
            Shape::Bars { edges, heights } => {
                (edges.len() != heights.len() + 1).then_some((edges.len(), heights.len()))
            }
            Shape::Blocks { .. } | Shape::Level { .. } | Shape::Moment { .. } => None,
        }
    }

    /// Values that the x axis should cover.
    pub(super) fn xs(&self) -> Vec<f64> {
        match &self.shape {
            Shape::Line { x, .. }
            | Shape::Step { x, .. }
            | Shape::Ribbon { x, .. }
            | Shape::Points { x, .. }
            | Shape::Labels { x, .. }
            | Shape::Errors { x, .. }
            | Shape::Censorings { x, .. } => x.clone(),
            Shape::Spans { from, to } => [from.as_slice(), to].concat(),
            Shape::Bars { edges, .. } => edges.clone(),
            Shape::Blocks { rectangles } => rectangles.iter().flat_map(|r| [r[0], r[1]]).collect(),
            Shape::Intervals { low, high, .. } => [low.as_slice(), high].concat(),
            Shape::Moment { x } => vec![*x],
            Shape::Level { .. } => Vec::new(),
        }
    }

    /// Values that the y axis should cover.
    pub(super) fn ys(&self) -> Vec<f64> {
        match &self.shape {
            Shape::Line { y, .. }
            | Shape::Step { y, .. }
            | Shape::Points { y, .. }
            | Shape::Labels { y, .. }
            | Shape::Intervals { y, .. }
            | Shape::Censorings { y, .. } => y.clone(),
            Shape::Blocks { rectangles } => rectangles.iter().flat_map(|r| [r[2], r[3]]).collect(),
            Shape::Ribbon { low, high, .. } | Shape::Errors { low, high, .. } => {
                [low.as_slice(), high].concat()
            }
            Shape::Bars { heights, .. } => [heights.as_slice(), &[0.0]].concat(),
            Shape::Level { y } => vec![*y],
            Shape::Spans { .. } | Shape::Moment { .. } => Vec::new(),
        }
    }
}
