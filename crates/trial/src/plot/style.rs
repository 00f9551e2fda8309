//! Colours, dashes and markers. Palette: Okabe and Ito 2008, "Color Universal Design"; its yellow
//! is left out because it cannot be read as a thin line on white.

/// A colour of the palette, or the colour of the page's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// The text colour of the page: black on paper, light on a dark page.
    #[default]
    Ink,
    /// #0072B2
    Blue,
    /// #D55E00
    Vermilion,
    /// #009E73
    Green,
    /// #CC79A7
    Purple,
    /// #E69F00
    Orange,
    /// #56B4E9
    Sky,
    /// #8A939C, for what is neither good nor bad.
    Grey,
    /// Five steps from light to dark orange for grades 1 to 5 (ColorBrewer YlOrBr, readable by
    /// colour-blind readers and in grey); beyond is drawn as the nearest.
    Heat(u8),
    /// Five steps from dark to light blue for dose levels 0 to 4 (ColorBrewer Blues).
    Depth(u8),
}

impl Colour {
    pub(super) fn css(self) -> &'static str {
        match self {
            Self::Ink => "currentColor",
            Self::Blue => "#0072b2",
            Self::Vermilion => "#d55e00",
            Self::Green => "#009e73",
            Self::Purple => "#cc79a7",
            Self::Orange => "#e69f00",
            Self::Sky => "#56b4e9",
            Self::Grey => "#8a939c",
            Self::Heat(step) => {
                const STEPS: [&str; 5] = ["#fee391", "#fec44f", "#fe9929", "#d95f0e", "#993404"];
                STEPS[usize::from(step.clamp(1, 5)) - 1]
            }
            Self::Depth(step) => {
                const STEPS: [&str; 5] = ["#08519c", "#3182bd", "#6baed6", "#9ecae1", "#c6dbef"];
                STEPS[usize::from(step.min(4))]
            }
        }
    }
}

/// Pattern of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dash {
    /// Unbroken.
    #[default]
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// Dash and dot.
    DashDot,
    /// Dash and two gaps.
    LongShort,
}

impl Dash {
    pub(super) fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some("7 3.5"),
            Self::Dotted => Some("1.8 2.8"),
            Self::DashDot => Some("8 3 1.8 3"),
            Self::LongShort => Some("11 3 4 3"),
        }
    }
}

/// Shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Marker {
    /// Filled circle.
    #[default]
    Circle,
    /// Filled square.
    Square,
    /// Filled triangle.
    Triangle,
    /// Filled diamond.
    Diamond,
    /// Diagonal cross.
    Cross,
    /// Upright cross.
    Plus,
    /// Filled triangle that points down.
    TriangleDown,
    /// Filled triangle that points right.
    TriangleRight,
    /// Two upright bars, as on a pause button.
    Pause,
}

impl Marker {
    /// Path of the marker of half-width `r` around the current point.
    pub(super) fn path(self, r: f64) -> String {
        let c = super::text::coordinate;
        match self {
            Self::Circle => format!(
                "m-{0} 0a{0} {0} 0 1 0 {1} 0a{0} {0} 0 1 0-{1} 0",
                c(r),
                c(2.0 * r)
            ),
            Self::Square => format!("m-{0}-{0}h{1}v{1}h-{1}z", c(r), c(2.0 * r)),
            Self::Triangle => format!("m0-{0}l{0} {1}h-{1}z", c(1.1 * r), c(2.2 * r)),
            Self::Diamond => format!("m0-{0}l{0} {0}l-{0} {0}l-{0}-{0}z", c(1.3 * r)),
            Self::Cross => format!("m-{0}-{0}l{1} {1}m0-{1}l-{1} {1}", c(r), c(2.0 * r)),
            Self::Plus => format!("m-{0} 0h{1}m-{0}-{0}v{1}", c(1.2 * r), c(2.4 * r)),
            Self::TriangleDown => format!("m0 {0}l-{0}-{1}h{1}z", c(1.1 * r), c(2.2 * r)),
            Self::TriangleRight => format!("m{0} 0l-{1}-{0}v{1}z", c(1.1 * r), c(2.2 * r)),
            Self::Pause => format!(
                "m-{0}-{1}v{2}m{3}-{2}v{2}",
                c(0.6 * r),
                c(1.1 * r),
                c(2.2 * r),
                c(1.2 * r)
            ),
        }
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Cross | Self::Plus | Self::Pause)
    }
}

/// How a series looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Colour.
    pub colour: Colour,
    /// Line pattern.
    pub dash: Dash,
    /// Point shape.
    pub marker: Marker,
    /// Line width.
    pub width: f64,
    /// Half-width of points.
    pub radius: f64,
    /// Opacity of the whole series.
    pub opacity: f64,
    /// Whether lines also carry points.
    pub marked: bool,
    /// Whether points have a light rim, to be told from what they lie on.
    pub rim: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            colour: Colour::Ink,
            dash: Dash::Solid,
            marker: Marker::Circle,
            width: 1.8,
            radius: 2.6,
            opacity: 1.0,
            marked: false,
            rim: false,
        }
    }
}

impl Style {
    /// Colour, dash and marker of the series with this index. Colours repeat after seven, with
    /// another dash and marker, so that 35 series differ.
    pub fn series(index: usize) -> Self {
        use Colour::{Blue, Green, Ink, Orange, Purple, Sky, Vermilion};
        use Dash::{DashDot, Dashed, Dotted, LongShort, Solid};
        use Marker::{Circle, Cross, Diamond, Plus, Square, Triangle};
        const SERIES: [(Colour, Dash, Marker); 7] = [
            (Blue, Solid, Circle),
            (Vermilion, Dashed, Square),
            (Green, DashDot, Triangle),
            (Purple, LongShort, Diamond),
            (Orange, Dotted, Cross),
            (Sky, Solid, Plus),
            (Ink, Dashed, Circle),
        ];
        let (round, index) = (index / SERIES.len(), index % SERIES.len());
        let colour = SERIES[index].0;
        let (_, dash, marker) = SERIES[(index + round) % SERIES.len()];
        Self {
            colour,
            dash,
            marker,
            ..Self::default()
        }
    }

    /// The page's text colour, thin and unbroken.
    pub fn ink() -> Self {
        Self {
            width: 1.2,
            ..Self::default()
        }
    }

    /// With another colour.
    pub fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    /// With another dash.
    pub fn dash(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    /// With another line width.
    pub fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }

    /// With another point shape and half-width.
    pub fn marker(self, marker: Marker, radius: f64) -> Self {
        Self {
            marker,
            radius,
            ..self
        }
    }

    /// With points on the line.
    pub fn with_marker(self) -> Self {
        Self {
            marked: true,
            ..self
        }
    }

    /// With a light rim around points.
    pub fn with_rim(self) -> Self {
        Self { rim: true, ..self }
    }

    /// With this opacity, 0 to 1.
    pub fn opacity(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}
