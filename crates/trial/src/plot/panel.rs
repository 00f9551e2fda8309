//! A panel: two axes and layers of data.

use super::axis::Axis;
use super::canvas::Anchor;
use super::layer::{Layer, Shape};
use super::style::{Colour, Style};

/// Corner of a panel in which a note stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Corner {
    /// Top right.
    #[default]
    TopRight,
    /// Top left.
    TopLeft,
    /// Bottom left.
    BottomLeft,
    /// Bottom right.
    BottomRight,
}

/// A row of the table under the x axis, such as the numbers at risk in one group.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskRow {
    /// Name of the group.
    pub label: String,
    /// Style of its curve.
    pub style: Style,
    /// Position on the x axis and text there.
    pub cells: Vec<(f64, String)>,
}

/// Axes and layers. Layers are drawn in the order added; a label makes a legend entry, an empty
/// label none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Panel {
    pub(super) title: String,
    pub(super) note: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) layers: Vec<Layer>,
    pub(super) inset: Option<(Corner, Vec<String>)>,
    pub(super) table: Option<(String, Vec<RiskRow>)>,
}

impl Panel {
    /// An empty panel; the title may be empty.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// Text at the right of the title line, such as "RMSE 0.12".
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Sets the horizontal axis.
    pub fn x(mut self, axis: Axis) -> Self {
        self.x = axis;
        self
    }

    /// Sets the vertical axis.
    pub fn y(mut self, axis: Axis) -> Self {
        self.y = axis;
        self
    }

    /// Lines of text inside the panel.
    pub fn inset(mut self, corner: Corner, lines: Vec<String>) -> Self {
        self.inset = Some((corner, lines));
        self
    }

    /// A table under the x axis, its columns aligned with positions on that axis.
    pub fn table(mut self, heading: impl Into<String>, rows: Vec<RiskRow>) -> Self {
        self.table = Some((heading.into(), rows));
        self
    }

    /// A curve through points. A value without a position (NaN, infinite, not positive on a
    /// logarithmic axis) leaves a gap.
    pub fn line(self, label: &str, x: &[f64], y: &[f64], style: Style) -> Self {
        self.add(
            label,
            Shape::Line {
                x: x.into(),
                y: y.into(),
            },
            style,
        )
    }

    /// A curve that is constant from each point to the next.
    pub fn step(self, label: &str, x: &[f64], y: &[f64], style: Style) -> Self {
        self.add(
            label,
            Shape::Step {
                x: x.into(),
                y: y.into(),
            },
            style,
        )
    }

    /// The area between two curves.
    pub fn ribbon(self, label: &str, x: &[f64], low: &[f64], high: &[f64], style: Style) -> Self {
        let shape = Shape::Ribbon {
            x: x.into(),
            low: low.into(),
            high: high.into(),
            stepped: false,
        };
        self.add(label, shape, style)
    }

    /// The area between two step curves, such as a confidence band.
    pub fn step_ribbon(
        self,
        label: &str,
        x: &[f64],
        low: &[f64],
        high: &[f64],
        style: Style,
    ) -> Self {
        let shape = Shape::Ribbon {
            x: x.into(),
            low: low.into(),
            high: high.into(),
            stepped: true,
        };
        self.add(label, shape, style)
    }

    /// Markers.
    pub fn points(self, label: &str, x: &[f64], y: &[f64], style: Style) -> Self {
        self.add(
            label,
            Shape::Points {
                x: x.into(),
                y: y.into(),
            },
            style,
        )
    }

    /// Vertical intervals.
    pub fn errors(self, label: &str, x: &[f64], low: &[f64], high: &[f64], style: Style) -> Self {
        self.add(
            label,
            Shape::Errors {
                x: x.into(),
                low: low.into(),
                high: high.into(),
            },
            style,
        )
    }

    /// Short vertical ticks at points of a curve.
    pub fn censorings(self, label: &str, x: &[f64], y: &[f64], style: Style) -> Self {
        self.add(
            label,
            Shape::Censorings {
                x: x.into(),
                y: y.into(),
            },
            style,
        )
    }

    /// Full-height bands, such as the times on drug.
    pub fn spans(self, label: &str, spans: &[(f64, f64)], style: Style) -> Self {
        let (from, to) = spans.iter().copied().unzip();
        self.add(label, Shape::Spans { from, to }, style)
    }

    /// Bars from zero: one more edge than heights.
    pub fn bars(self, label: &str, edges: &[f64], heights: &[f64], style: Style) -> Self {
        self.add(
            label,
            Shape::Bars {
                edges: edges.into(),
                heights: heights.into(),
            },
            style,
        )
    }

    /// Rectangles `[x0, x1, y0, y1]` in units of the axes.
    pub fn blocks(self, label: &str, rectangles: &[[f64; 4]], style: Style) -> Self {
        let rectangles = rectangles.to_vec();
        self.add(label, Shape::Blocks { rectangles }, style)
    }

    /// Horizontal intervals.
    pub fn intervals(
        self,
        label: &str,
        y: &[f64],
        low: &[f64],
        high: &[f64],
        style: Style,
    ) -> Self {
        let shape = Shape::Intervals {
            y: y.into(),
            low: low.into(),
            high: high.into(),
        };
        self.add(label, shape, style)
    }

    /// Short texts above points. One that would cover an earlier one is left out.
    pub fn labels(self, x: &[f64], y: &[f64], texts: Vec<String>) -> Self {
        self.labels_moved(x, y, texts, (0.0, -6.0), Anchor::Middle)
    }

    /// Short texts right of points.
    pub fn labels_right(self, x: &[f64], y: &[f64], texts: Vec<String>) -> Self {
        self.labels_moved(x, y, texts, (7.0, 4.0), Anchor::Start)
    }

    /// Short texts at points, moved by `shift` units of the figure.
    fn labels_moved(
        self,
        x: &[f64],
        y: &[f64],
        texts: Vec<String>,
        shift: (f64, f64),
        anchor: Anchor,
    ) -> Self {
        let shape = Shape::Labels {
            x: x.into(),
            y: y.into(),
            texts,
            shift,
            anchor,
        };
        self.add("", shape, Style::default())
    }

    /// A reference line at one value of y.
    pub fn level(self, label: &str, y: f64, style: Style) -> Self {
        self.add(label, Shape::Level { y }, style)
    }

    /// A reference line at one value of x.
    pub fn moment(self, label: &str, x: f64, style: Style) -> Self {
        self.add(label, Shape::Moment { x }, style)
    }

    fn add(mut self, label: &str, shape: Shape, style: Style) -> Self {
        self.layers.push(Layer {
            label: label.to_owned(),
            shape,
            style,
        });
        self
    }
}

/// Style of drug-on spans: a light wash of the text colour.
impl Style {
    /// A light wash for [`Panel::spans`] and [`Panel::ribbon`].
    pub fn wash() -> Self {
        Self {
            colour: Colour::Ink,
            opacity: 0.12,
            width: 0.0,
            ..Self::default()
        }
    }
}
