//! Plots as SVG, written to be inlined in a report or kept as a file.
//!
//! | figure | what it shows |
//! |---|---|
//! | [`Flow`] | patients through the trial |
//! | [`SurvivalFigure`], [`IncidenceFigure`] | times to an event, with numbers at risk |
//! | [`Waterfall`], [`Spider`], [`Swimmer`] | single patients |
//! | [`Toxicity`], [`HarmFigure`] | worst grades, differences in risk |
//! | [`Forest`], [`SubgroupFigure`] | effects by group |
//! | [`Distributions`], [`Scatter`], [`TimeCourse`] | exposure and courses |
//! | [`RateFigure`], [`BoundaryFigure`], [`SelectionFigure`], [`SensitivityFigure`] | designs |
//!
//! They hold up to 100,000 patients: where not all can be drawn, the drawing's [`Svg::note`] says
//! how many are and how they were chosen, and a report adds that to the caption.
//!
//! A [`Panel`] holds axes and layers of data; a [`Figure`] lays out one panel or a grid of them
//! with a legend. [`SurvivalFigure`] and [`Forest`] are made of these. The output is
//! deterministic, needs no fonts or scripts, scales with its container, inherits the text colour
//! of the page (so it works on dark pages), and tells series apart by colour (Okabe and Ito's
//! palette, safe for colour-blind readers) and by dash or marker shape (for print).
//!
//! ```
//! use posology_trial::plot::{Axis, Figure, Panel, Style};
//!
//! let patients = [1e3, 1e4, 1e5];
//! let throughput = [2.0e7, 9.0e7, 1.6e8];
//! let panel = Panel::new("")
//!     .x(Axis::new("Patients").log())
//!     .y(Axis::new("Patient-steps per second").log())
//!     .line("12 states", &patients, &throughput, Style::series(0).with_marker());
//! let svg = Figure::new("Throughput against number of patients", panel).render()?;
//! assert!(svg.as_str().starts_with("<svg"));
//! # Ok::<(), posology_trial::plot::PlotError>(())
//! ```

mod axis;
mod boundary;
mod canvas;
mod distribution;
mod draw;
mod error;
mod figure;
mod flow;
mod forest;
mod forest_draw;
mod frame;
mod free;
mod histogram;
mod incidence;
mod layer;
mod layout;
#[cfg(test)]
mod layout_tests;
mod operating;
mod panel;
mod risk_table;
#[cfg(test)]
pub(crate) mod samples;
mod scatter;
mod simplify;
mod spider;
mod style;
mod subgroup;
mod survival;
mod swimmer;
#[cfg(test)]
mod tests;
mod text;
mod thin;
mod ticks;
mod time_course;
mod toxicity;
mod waterfall;

pub use axis::Axis;
pub use boundary::{BoundaryFigure, Look, LookPath};
pub use canvas::Svg;
pub use distribution::Distributions;
pub use error::PlotError;
pub use figure::Figure;
pub use flow::{Allocation, Flow, FlowArm, Reason};
pub use forest::{Forest, ForestRow};
pub use histogram::Histogram;
pub use incidence::{IncidenceArm, IncidenceCurve, IncidenceFigure};
pub use operating::{
    DesignSelection, RateFigure, RateSeries, SelectionFigure, SensitivityFigure, SensitivityRow,
};
pub use panel::{Corner, Panel, RiskRow};
pub use scatter::{Scatter, ScatterGroup};
pub use spider::{Spider, SpiderLine};
pub use style::{Colour, Dash, Marker, Style};
pub use subgroup::{Subgroup, SubgroupCount, SubgroupFactor, SubgroupFigure};
pub use survival::SurvivalFigure;
pub use swimmer::{DoseSpan, Swimmer, SwimmerLane, SwimmerMark};
pub use thin::evenly_spaced;
pub use time_course::{TimeCourse, TimeCourseArm};
pub use toxicity::{HarmFigure, HarmRow, Toxicity, ToxicityRow};
pub use waterfall::{BestChange, BestResponse, ResponseRate, Waterfall, WaterfallArm};

pub(crate) use text::{escape, fixed, power_of_ten};
