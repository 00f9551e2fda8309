//! Dose finding: which dose the next cohort receives, which dose is recommended at the end, and
//! how often a design gets that right.
//!
//! A [`DoseDesign`] is a pure function of the [`History`] of a trial (cohorts, doses,
//! dose-limiting toxicities), so the same design runs on simulated patients, on a table of
//! probabilities, or on a real trial in progress. Doses are counted from zero here and from one
//! in trial files and reports; they are ordered by toxicity, lowest first.
//!
//! | design | source |
//! |---|---|
//! | [`ThreePlusThree`] | Storer 1989, Biometrics 45:925; Korn et al. 1994, Stat Med 13:1799 |
//! | [`IntervalDesign`], BOIN | Liu and Yuan 2015, J R Stat Soc C 64:507; Yuan et al. 2016, Clin Cancer Res 22:4291 |
//! | [`IntervalDesign`], keyboard | Yan, Mandrekar and Yuan 2017, Clin Cancer Res 23:3994 |
//! | [`Crm`] | O'Quigley, Pepe and Fisher 1990, Biometrics 46:33; Lee and Cheung 2009, Clin Trials 6:227 |
//!
//! [`simulate`](fn@simulate) runs replicate trials in parallel; [`enumerate`] weighs every path
//! that a trial can take, which is exact.

mod characteristics;
mod crm;
mod design;
mod display;
mod enumerate;
mod error;
mod history;
mod interval;
mod isotonic;
mod outcomes;
mod posterior;
mod settings;
mod simulate;
mod skeleton;
mod table;
mod three_plus_three;

pub use characteristics::{DoseFigures, Figure, OperatingCharacteristics, Scenario};
pub use crm::{Coherence, Crm, CrmSettings, Escalation};
pub use design::{Decision, DoseDesign, StopReason};
pub use enumerate::enumerate;
pub use error::DoseFindingError;
pub use history::{Cohort, History};
pub use interval::{IntervalDesign, IntervalRule, IntervalSettings};
pub use isotonic::isotonic;
pub use outcomes::{DltSource, FixedToxicity, PatientPool};
pub use posterior::Posterior;
pub use settings::{DesignKind, DoseFindingSettings};
pub use simulate::{TrialRecord, run_trial, simulate};
pub use skeleton::skeleton;
pub use table::{DecisionRow, DecisionTable};
pub use three_plus_three::{Confirmation, ThreePlusThree};
