//! Populations: typical values, variability and residual error from the data of many patients.

pub mod chains;
pub mod fisher;
pub mod marginal;
pub mod saem;

pub use chains::{Chains, Move};
pub use fisher::{Estimate, Uncertainty};
pub use saem::{Saem, SaemOptions, SaemState};
