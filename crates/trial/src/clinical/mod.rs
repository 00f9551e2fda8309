//! Clinical endpoints of one patient from what was measured at visits: response, progression,
//! markers, composites, dose and toxicity.
//!
//! | module | what |
//! |---|---|
//! | [`recist`] | RECIST 1.1 from sums of diameters |
//! | [`marker`] | falls and rises of a tumour marker (PSA50, PCWG3 progression) |
//! | [`composite`] | earliest of several events, competing causes, end of observation |
//! | [`dose`] | relative dose intensity, delays, reductions |
//! | [`toxicity`] | worst grades, dose-limiting toxicity, tables of grades |
//! | [`dosimetry`] | biologically effective dose and its equivalent in 2 Gy fractions |
//!
//! Everything is plain arithmetic on slices: nothing is allocated per patient, and nothing here
//! knows of models, trial files or devices. Times, lengths and concentrations are in the
//! caller's units; defaults of guidelines therefore take the size of a day, a millimetre or a
//! ng/mL in these units.

pub mod composite;
pub mod dose;
pub mod dosimetry;
mod error;
pub mod marker;
pub mod recist;
mod series;
pub mod toxicity;

pub use composite::TimeToEvent;
pub use error::ClinicalError;
pub use series::Series;
