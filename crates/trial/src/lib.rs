//! In-silico trials: trial files, arms and endpoints, statistics, plots and reports.
//!
//! | module | what |
//! |---|---|
//! | [`design`] | a trial file, checked against its model and its data |
//! | [`codes`] | its diagnostics |
//! | `protocol` | visits, dose modifications and policies as registers of the device |
//! | [`run`](mod@run) | the replay, every arm piece by piece, the analysis |
//! | [`operating`](mod@operating) | thousands of replicate trials; dose finding on virtual patients |
//! | [`clinical`] | endpoints of a patient from visits: response, progression, markers, dose |
//! | [`allocation`] | randomisation, entry, drop-out |
//! | [`table`] | results as typed columns with units |
//! | [`dose_finding`] | 3+3, BOIN, keyboard and CRM, with their operating characteristics |
//! | [`sequential`] | interim analyses: boundaries, spending, power |
//! | [`statistics`] | survival curves, tests, intervals |
//! | [`plot`], [`report`] | SVG figures and self-contained HTML |
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![allow(
    clippy::result_large_err,
    reason = "a diagnostic is rich and rare; boxing each would only make the code harder to read"
)]

pub mod allocation;
pub mod clinical;
pub mod codes;
pub mod design;
pub mod dose_finding;
pub mod operating;
mod outcome;
pub mod plot;
mod protocol;
pub mod report;
pub mod run;
pub mod sequential;
pub mod statistics;
pub mod table;

pub use design::Trial;
pub use run::{Progress, RunSettings, TrialError, TrialOutcome, TrialResult};
pub use table::Table;
