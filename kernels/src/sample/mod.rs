//! Drawing patients: one thread draws one patient, from the same Philox counters as the host.
//!
//! [`draw_patient`] is what other kernels call; [`launch`] fills buffers with whole cohorts. Who a
//! patient is depends on the seed, his number and the plan only, never on the thread, the batch or
//! the launch. Functions of the normal distribution are this module's own ([`normal`]), because
//! those of adapters differ. Draws outside bounds are thrown away and counted; after the plan's
//! `most_redraws` the patient gets a status instead of values. An adapter that ends loops early
//! leaves such a status too: nobody is half drawn.

pub mod covariates;
pub mod launch;
pub mod normal;
mod numbers;
pub mod parameters;

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::sampling::{MISSING, PatientPlan};

pub use covariates::draw_covariates;
pub use parameters::draw_parameters;

/// The patient is drawn.
pub const STATUS_DRAWN: u32 = 0;
/// Every draw was outside the bounds of a covariate, or had an impossible anatomy.
pub const STATUS_OUTSIDE: u32 = 1;
/// A covariate has no distribution for the value of another one.
pub const STATUS_NO_CASE: u32 = 2;
/// The table has no such row.
pub const STATUS_NO_ROW: u32 = 3;
/// Every draw of a parameter was outside its bounds.
pub const STATUS_PARAMETERS: u32 = 4;

/// Draws a patient of a model: all its slots, coherent units. Returns a status.
///
/// `slots`: `[slots]`. `centres`: as in [`draw_parameters`], from `first` on. `table`:
/// `[columns][rows]` (any buffer if the plan has none).
#[cube]
pub fn draw_patient(
    slots: &mut Array<f32>,
    centres: &[f32],
    first: usize,
    table: &[f32],
    patient: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<PatientPlan>,
) -> u32 {
    let mut status = draw_parameters(
        slots,
        centres,
        first,
        patient,
        seed_lo,
        seed_hi,
        comptime![plan.parameters.clone()],
    );
    if comptime![plan.covariates.is_some()] {
        let covariates = comptime![plan.covariates.clone().unwrap_or_else(covariates::nobody)];
        let mut values = Array::<f32>::new(comptime![covariates.scales.len().max(1)]);
        let mut info = Array::<u32>::new(3usize);
        draw_covariates(
            &mut values,
            &mut info,
            table,
            patient,
            seed_lo,
            seed_hi,
            comptime![covariates.clone()],
        );
        status = select(info[0] == STATUS_DRAWN, status, info[0]);
        #[unroll]
        for l in 0..comptime![plan.links.len()] {
            let (covariate, slot, scale) = comptime![plan.links[l]];
            let factor = comptime![scale.f32()];
            slots[comptime![slot as usize]] =
                values[comptime![covariate as usize]] * factor.runtime();
        }
        let rows = comptime![covariates.table.map_or(0, |table| table.rows as usize)];
        #[unroll]
        for c in 0..comptime![plan.columns.len()] {
            let (slot, column, scale) = comptime![plan.columns[c]];
            let factor = comptime![scale.f32()];
            let value = table[comptime![column as usize * rows] + info[2] as usize];
            let typical = centres[first + comptime![slot as usize]];
            slots[comptime![slot as usize]] =
                select(value == MISSING, typical, value * factor.runtime());
        }
    }
    status
}
