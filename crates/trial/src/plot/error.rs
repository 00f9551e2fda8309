//! Why a plot could not be drawn.

use thiserror::Error;

/// Data or settings that do not make a plot.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The columns of one layer differ in length.
    #[error(
        "plot `{plot}`, series `{series}`: the columns have {first} and {second} values; give as many of each"
    )]
    LengthsDiffer {
        /// Figure or panel title.
        plot: String,
        /// Series label.
        series: String,
        /// Length of the first column.
        first: usize,
        /// Length of the differing column.
        second: usize,
    },
    /// A range that is empty, reversed, not finite, or not positive on a logarithmic axis.
    #[error(
        "plot `{plot}`: the axis `{axis}` cannot run from {low} to {high}; give a finite, increasing range, positive if the axis is logarithmic"
    )]
    Range {
        /// Figure or panel title.
        plot: String,
        /// Axis label.
        axis: String,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Numbers of patients that do not add up.
    #[error(
        "plot `{plot}`: {found} patients {what} do not fit {expected}; the numbers of a flow diagram must add up"
    )]
    Counts {
        /// Figure title.
        plot: String,
        /// What the patients are counted as.
        what: &'static str,
        /// Patients that there are.
        expected: usize,
        /// Patients counted.
        found: usize,
    },
    /// A figure without anything in it.
    #[error("plot `{plot}`: there is nothing to draw; add at least one {missing}")]
    Empty {
        /// Figure title.
        plot: String,
        /// What is missing.
        missing: &'static str,
    },
}
