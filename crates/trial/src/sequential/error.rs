//! Why a group-sequential design cannot be built.

use thiserror::Error;

/// A design that does not exist. Each message names the setting, the cause and the remedy.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SequentialError {
    /// No looks at all, or too many for the recursion to make sense.
    #[error(
        "a group-sequential design has 1 to {most} looks, not {count}; list their information fractions, for example [0.5, 1.0]"
    )]
    Looks {
        /// Looks given.
        count: usize,
        /// The most that are allowed.
        most: usize,
    },
    /// Information fractions do not increase from above 0 to 1.
    #[error(
        "look {look}: information fraction {value} after {previous}; fractions increase by at least {gap} from look to look, and the last is 1"
    )]
    Fraction {
        /// One-based look.
        look: usize,
        /// Its fraction.
        value: f64,
        /// The fraction before it (0 before the first).
        previous: f64,
        /// Smallest allowed distance.
        gap: f64,
    },
    /// A significance level outside its range.
    #[error(
        "the significance level is {alpha}; it must lie above 0 and below {below}, for example 0.05"
    )]
    Alpha {
        /// The offending level.
        alpha: f64,
        /// Exclusive upper end of the range.
        below: f64,
    },
    /// Neither one-sided nor two-sided.
    #[error("a test has 1 or 2 sides, not {sides}")]
    Sides {
        /// The offending number.
        sides: u8,
    },
    /// A family of boundaries without its parameter, or one that makes no sense.
    #[error("boundary `{kind}`: {reason}")]
    Shape {
        /// Name of the boundary.
        kind: &'static str,
        /// Cause and remedy.
        reason: &'static str,
    },
    /// A power that the design cannot have.
    #[error(
        "the power is {power}; it must lie between the significance level {alpha} and 1, for example 0.9"
    )]
    Power {
        /// The offending power.
        power: f64,
        /// Level of the test.
        alpha: f64,
    },
    /// Futility boundaries for a two-sided test.
    #[error(
        "futility boundaries need a one-sided test; set sides = 1 and half the significance level"
    )]
    TwoSidedFutility,
    /// A root search failed.
    #[error(
        "no critical value found at look {look}; the significance level left to spend there is too small: drop the look or choose a boundary that spends more"
    )]
    NoBoundary {
        /// One-based look.
        look: usize,
    },
}
