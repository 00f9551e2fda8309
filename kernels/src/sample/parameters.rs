//! Individual parameters of a patient.

use std::sync::Arc;

use cubecl::prelude::*;
use posology_model::sampling::{Eta, ParameterPlan, Scale};

use super::normal::exp;
use super::numbers::{draw_normals, rank, words};
use super::{STATUS_DRAWN, STATUS_PARAMETERS};

/// Draws the parameters of a patient that vary; the other slots get their typical values.
///
/// `slots`: `[slots]`, coherent units. `centres`: rows of [`ParameterPlan::width`] numbers, of which
/// the patient's begins at `first`. Returns a status.
#[cube]
pub fn draw_parameters(
    slots: &mut Array<f32>,
    centres: &[f32],
    first: usize,
    patient: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<ParameterPlan>,
) -> u32 {
    #[unroll]
    for s in 0..comptime![plan.slots as usize] {
        slots[s] = centres[first + s];
    }
    let mut status = comptime![STATUS_DRAWN].runtime();
    #[unroll]
    for g in 0..comptime![plan.stages.len()] {
        let mut normals = Array::<f32>::new(comptime![plan.stages[g].normals.len().max(1)]);
        let n_blocks = comptime![plan.stages[g].blocks.len()];
        let mut done = Array::<u32>::new(comptime![n_blocks.max(1)]);
        #[unroll]
        for b in 0..n_blocks {
            done[b] = 0u32;
        }
        let mut left = comptime![n_blocks as u32].runtime();
        let mut redraw = 0u32;
        let most = comptime![plan.stages[g].most_redraws];
        let step = comptime![plan.stages[g].step];
        while left > 0u32 && redraw < most {
            draw_normals(
                &mut normals,
                patient,
                step + redraw,
                seed_lo,
                seed_hi,
                comptime![plan.stages[g].stream],
                comptime![Arc::new(words(&plan.stages[g].normals))],
            );
            #[unroll]
            for b in 0..n_blocks {
                // what was inside its bounds stays as it was
                if done[b] == 0u32 {
                    let at = comptime![plan.slots as usize + plan.before(g, b)];
                    let block = comptime![Arc::new(plan.stages[g].blocks[b].clone())];
                    let inside = vary(slots, &normals, centres, first + at, block);
                    done[b] = u32::cast_from(inside);
                    left -= u32::cast_from(inside);
                }
            }
            redraw += 1u32;
        }
        if left > 0u32 {
            status = STATUS_PARAMETERS;
        }
    }
    status
}

/// Values of parameters that are correlated; whether all are inside their bounds.
#[cube]
fn vary(
    slots: &mut Array<f32>,
    normals: &Array<f32>,
    centres: &[f32],
    first: usize,
    #[comptime] block: Arc<Vec<Eta>>,
) -> bool {
    let mut inside = true;
    #[unroll]
    for e in 0..comptime![block.len()] {
        let eta = rank(normals, comptime![Arc::new(block[e].rank.clone())]);
        let centre = centres[first + e];
        let mut value = centre + eta;
        if comptime![block[e].scale == Scale::LogNormal] {
            value = centre * exp(eta);
        }
        let limits = comptime![match block[e].scale {
            Scale::LogitNormal { low, high } => Some((low.get(), high.get())),
            _ => None,
        }];
        if comptime![limits.is_some()] {
            let (low, high) = comptime![limits.unwrap_or((0.0, 1.0))];
            let width = comptime![(high - low) as f32];
            let from = comptime![low as f32];
            value = from.runtime() + width.runtime() / (1.0f32 + exp(-(centre + eta)));
        }
        inside = inside && (u32::reinterpret(value) & 0x7F80_0000u32) != 0x7F80_0000u32;
        if comptime![block[e].bounds.is_some()] {
            let (low, high) = comptime![
                block[e]
                    .bounds
                    .map_or((0.0, 0.0), |b| (b.low.f32_up(), b.high.f32_down()))
            ];
            inside =
                inside && value >= comptime![low].runtime() && value <= comptime![high].runtime();
        }
        slots[comptime![block[e].slot as usize]] = value;
    }
    inside
}
