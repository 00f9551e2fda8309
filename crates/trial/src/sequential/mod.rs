//! Group-sequential trials: when an interim analysis may stop, and what that costs.
//!
//! A design is a schedule of looks at fractions of the maximum information, and at each look a
//! critical value of the standardised statistic Z. With information fractions `t` and drift
//! `theta` (the expectation of Z at full information), `W(t) = Z(t) sqrt(t)` is a Brownian motion
//! with mean `theta t`; every figure here follows from its crossing probabilities, computed by
//! recursive numerical integration.
//!
//! Sources: Armitage, McPherson and Rowe 1969, J R Stat Soc A 132:235 (the recursion);
//! Jennison and Turnbull 2000, Group Sequential Methods with Applications to Clinical Trials,
//! chapters 2 (boundaries), 7 (spending) and 19 (computation). Checked against rpact
//! (`scripts/golden/sequential.R`) and by a second implementation (`sequential.py`).

mod boundary;
mod design;
mod error;
mod futility;
mod kind;
mod normal;
mod recursion;

pub use design::{Crossing, Decision, Look, SequentialDesign, SequentialSettings, Sides};
pub use error::SequentialError;
pub use futility::FutilitySettings;
pub use kind::{BoundaryKind, Spending};
