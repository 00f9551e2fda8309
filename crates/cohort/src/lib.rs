//! Who the patients are and what happens to them.
//!
//! * [`philox`]: counter-based random numbers, bit for bit those of the device.
//! * [`population`]: cohorts of individual parameters, sampled or from a table.
//! * [`event`], [`timeline`]: the primitive events a simulation executes, by patient.
//! * [`regimen`]: dosing as text, and sampling times.
//! * [`nmtran`]: event tables that follow NM-TRAN, and the table of predictions.
//!
//! Findings about data have codes `D0xx` (see [`codes`]), about regimens `R0xx`.

pub mod codes;
mod columns;
mod dosing;
pub mod event;
mod individuals;
pub mod nmtran;
mod omega;
pub mod philox;
pub mod population;
pub mod regimen;
mod table;
#[cfg(test)]
mod testing;
pub mod timeline;

pub use event::{Action, Amount, Event, Repeat, Timeline, Timelines};
pub use nmtran::{Dataset, Replay};
pub use population::{Cohort, Sampler};
pub use regimen::{Regimen, sampling_times};
