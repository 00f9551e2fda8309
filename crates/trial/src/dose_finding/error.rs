//! Why a dose-finding design cannot be built or run.

use thiserror::Error;

/// A design that does not exist. Each message names the setting, the cause and the remedy.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum DoseFindingError {
    /// A number outside its range.
    #[error("{design}: `{setting}` is {value}; it must be {allowed}")]
    Range {
        /// Design.
        design: &'static str,
        /// Name of the setting.
        setting: &'static str,
        /// The offending value.
        value: f64,
        /// The values that would have been valid.
        allowed: String,
    },
    /// A setting that the design does not have.
    #[error("{design} has no setting `{setting}`; remove it, or choose {meant}")]
    NoSuchSetting {
        /// Design.
        design: &'static str,
        /// Name of the setting.
        setting: &'static str,
        /// Design that has it.
        meant: &'static str,
    },
    /// A setting that the design cannot do without.
    #[error("{design} needs `{setting}`; {help}")]
    Missing {
        /// Design.
        design: &'static str,
        /// Name of the setting.
        setting: &'static str,
        /// Example or advice.
        help: &'static str,
    },
    /// The skeleton of a CRM does not increase strictly inside (0, 1).
    #[error(
        "crm: skeleton value {position} is {value}; the prior guesses of toxicity must increase from dose to dose and lie between 0 and 1"
    )]
    Skeleton {
        /// One-based dose.
        position: usize,
        /// The offending value.
        value: f64,
    },
    /// Two lists that describe the same doses differ in length.
    #[error(
        "`{what}` describes {count} dose(s), but the design has {doses}; give one value per dose"
    )]
    DoseCount {
        /// Which list.
        what: &'static str,
        /// Its length.
        count: usize,
        /// Doses of the design.
        doses: usize,
    },
    /// Simulated patients that are not the same at every dose.
    #[error(
        "dose {dose} has outcomes of {count} simulated patient(s), dose 1 of {expected}; simulate the same patients at every dose"
    )]
    PoolSize {
        /// One-based dose.
        dose: usize,
        /// Patients there.
        count: usize,
        /// Patients at the first dose.
        expected: usize,
    },
    /// A true probability of toxicity outside [0, 1].
    #[error("the probability of toxicity at dose {dose} is {value}; it must lie between 0 and 1")]
    Probability {
        /// One-based dose.
        dose: usize,
        /// The offending value.
        value: f64,
    },
    /// A cohort that cannot have been.
    #[error(
        "a cohort of {patients} patient(s) with {toxicities} toxicities at dose {dose} is impossible with {doses} dose(s); check the counts"
    )]
    Cohort {
        /// One-based dose.
        dose: usize,
        /// Doses of the design.
        doses: usize,
        /// Patients.
        patients: u32,
        /// Toxicities among them.
        toxicities: u32,
    },
    /// Nothing to simulate.
    #[error("at least {needed} {what} are needed, not {count}")]
    TooFew {
        /// What is missing.
        what: &'static str,
        /// Given.
        count: usize,
        /// Needed.
        needed: usize,
    },
    /// Too many paths to visit one by one.
    #[error("the design can take more than {limit} paths; simulate it instead of enumerating them")]
    TooManyPaths {
        /// The limit.
        limit: u64,
    },
}
