//! A cohort and what happens to it, integrated on a device.
//!
//! | module | what |
//! |---|---|
//! | [`outputs`] | which observables and summaries a run keeps, with names and units |
//! | [`rows`] | a timeline cut into equal steps by the model's step schedule |
//! | [`run`](mod@run) | batches on the device, containment of divergent patients |
//! | [`sample`](mod@sample) | patients drawn on the device |
//! | [`step`] | the largest stable step, and the step a tolerance needs |

pub mod error;
pub mod outputs;
pub mod rows;
pub mod run;
pub mod sample;
pub mod step;

pub use error::{SampleError, SimError};
pub use outputs::{Column, OutputPlan, RuleSet};
pub use run::{Prepared, Results, RunOptions, Simulation, Transfers, batch_size, run};
