//! Group-sequential designs against rpact, published tables, a second implementation and
//! simulation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod golden;
mod properties;

use posology_trial::sequential::{BoundaryKind, SequentialDesign, SequentialSettings};

/// Fractions of equally spaced looks.
pub fn even(looks: usize) -> Vec<f64> {
    (1..=looks).map(|k| k as f64 / looks as f64).collect()
}

/// A two-sided design without a parameter.
pub fn two_sided(kind: BoundaryKind, looks: Vec<f64>, alpha: f64) -> SequentialDesign {
    let settings = SequentialSettings {
        alpha,
        ..SequentialSettings::new(kind, looks)
    };
    SequentialDesign::new(&settings).unwrap()
}
