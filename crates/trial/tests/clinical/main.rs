//! Clinical endpoints against tables worked by hand, and randomisation against its distribution.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocation;
mod composite;
mod dose;
mod marker;
mod recist;

use proptest::prelude::*;

/// Columns of one patient: times, values, whether measured.
pub type Columns = (Vec<f64>, Vec<f64>, Vec<bool>);

/// Visits at random distances with values in (0, top), the baseline always measured.
pub fn columns(top: f64) -> impl Strategy<Value = Columns> {
    prop::collection::vec(
        (1.0..60.0f64, 0.0..1.0f64, prop::bool::weighted(0.8)),
        1..16,
    )
    .prop_map(move |visits| {
        let mut time = 0.0;
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for (k, (step, share, measured)) in visits.into_iter().enumerate() {
            columns.0.push(time);
            columns.1.push(top * (0.01 + 0.99 * share));
            columns.2.push(measured || k == 0);
            time += step;
        }
        columns
    })
}
