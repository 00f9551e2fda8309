//! In-silico trials: statistics, plots and reports.
#![warn(missing_docs)]

pub mod plot;
pub mod report;
pub mod statistics;
