//! Integrators: each a file, each a single step over a model's rates.

pub mod rk4;

use cubecl::prelude::*;

/// Size below which a state counts as zero: what a sum loses of it, and its rates, are still normal
/// numbers. It is the same for every run: derived from the cohort's ranges it would let a patient's
/// last bits depend on his company.
pub(crate) const VANISHING: f32 = 1e-28;

/// `a + b` of a compensated sum. Where `guard`, the compiler is kept from seeing that what the sum
/// lost would be nothing in exact arithmetic: `zero` is 0, but only the launch knows.
#[cube]
pub(crate) fn guarded_sum(a: f32, b: f32, zero: u32, #[comptime] guard: bool) -> f32 {
    let mut total = a + b;
    if comptime![guard] {
        total = f32::reinterpret(u32::reinterpret(total) ^ zero);
    }
    total
}

/// States that have decayed away become zero. A decayed state ends in subnormal numbers, which cost a
/// processor a hundred times an ordinary operation; it is zero long before.
#[cube]
pub(crate) fn vanish(x: &mut Array<f32>, lost: &mut Array<f32>, #[comptime] n_states: usize) {
    #[unroll]
    for s in 0..n_states {
        let gone = f32::abs(x[s]) < VANISHING;
        x[s] = select(gone, 0.0f32, x[s]);
        lost[s] = select(gone, 0.0f32, lost[s]);
    }
}
