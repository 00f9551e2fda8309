//! Who the patients are and what happens to them.
//!
//! * [`philox`]: counter-based random numbers, bit for bit those of the device.
//! * [`population`]: cohorts of individual parameters, sampled or from a table.
//! * [`population_file`]: virtual populations as files: covariates, anatomy, real cohorts,
//!   parameter uncertainty.
//! * [`device_plan`]: the same as data for a device, which draws the patients of every run.
//! * [`event`], [`timeline`]: the primitive events a simulation executes, by patient.
//! * [`regimen`]: dosing as text, and sampling times.
//! * [`nmtran`]: event tables that follow NM-TRAN, and the table of predictions.
//!
//! Findings about data have codes `D0xx` (see [`codes`]), about populations `D1xx`, about regimens
//! `R0xx`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![allow(
    clippy::result_large_err,
    reason = "a diagnostic is rich and rare; boxing each would only make the code harder to read"
)]

pub mod codes;
mod columns;
pub mod device_plan;
mod dosing;
pub mod event;
mod individuals;
pub mod nmtran;
mod occasions;
mod omega;
pub mod philox;
pub mod population;
pub mod population_file;
pub mod regimen;
mod table;
#[cfg(test)]
mod testing;
pub mod timeline;

pub use event::{Action, Amount, Event, Repeat, Timeline, Timelines};
pub use nmtran::{Dataset, Replay};
pub use population::{Cohort, Sampler};
pub use regimen::{Regimen, sampling_times};
