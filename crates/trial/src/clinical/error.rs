//! Why an endpoint could not be derived.

use thiserror::Error;

/// Data of one patient that no endpoint can be derived from.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ClinicalError {
    /// Columns of one patient differ in length.
    #[error(
        "`{left}` has {left_count} value(s) but `{right}` has {right_count}; give one of each per visit"
    )]
    LengthsDiffer {
        /// First column.
        left: &'static str,
        /// Its length.
        left_count: usize,
        /// Second column.
        right: &'static str,
        /// Its length.
        right_count: usize,
    },
    /// No visit at all.
    #[error("a patient without any visit; the first visit must be the baseline")]
    NoVisit,
    /// Times do not increase.
    #[error(
        "visit {index} at {time} does not come after the one before it; sort visits by time, one per time, without NaN"
    )]
    TimeOrder {
        /// Zero-based visit.
        index: usize,
        /// Its time.
        time: f64,
    },
    /// A grade above 5.
    #[error("CTCAE grade {grade} does not exist; grades run from 0 to 5")]
    Grade {
        /// The offending grade.
        grade: u8,
    },
    /// An arm that does not exist.
    #[error("arm {arm} does not exist; there are {arms}, counted from 0")]
    Arm {
        /// The offending arm.
        arm: u32,
        /// Number of arms.
        arms: usize,
    },
}

/// Refuses columns of different length.
pub(super) fn require_same_length(
    left: (&'static str, usize),
    right: (&'static str, usize),
) -> Result<(), ClinicalError> {
    if left.1 == right.1 {
        Ok(())
    } else {
        Err(ClinicalError::LengthsDiffer {
            left: left.0,
            left_count: left.1,
            right: right.0,
            right_count: right.1,
        })
    }
}
