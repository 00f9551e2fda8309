//! A number in 0..1 made of a normal one: `a = (1 + tanh(u)) / 2`, `u ~ N(mean, sd)`.

use cubecl::prelude::*;

use crate::elementary::ln;

/// Fractions are kept this far from 0 and 1, where the normal number would be infinite.
pub const EDGE: f32 = 1e-6;
/// `ln(2 pi) / 2`
pub const HALF_LN_TAU: f32 = 0.918_938_5;

/// The normal number and the logarithm of `da/du = 2 a (1 - a)`, of a fraction as it was stored.
#[derive(CubeType, Clone, Copy)]
pub struct Unsquashed {
    pub normal: f32,
    pub log_slope: f32,
}

/// Undo the squashing: `u = (ln a - ln(1 - a)) / 2`.
#[cube]
pub fn unsquash(fraction: f32) -> Unsquashed {
    let a = f32::min(f32::max(fraction, EDGE), 1.0f32 - EDGE);
    let log_a = ln(a);
    let log_rest = ln(1.0f32 - a);
    Unsquashed {
        normal: 0.5f32 * (log_a - log_rest),
        log_slope: core::f32::consts::LN_2 + log_a + log_rest,
    }
}

/// Logarithm of the density of `fraction`. Sampling and learning both take it of the fraction as it
/// was stored, so that the ratio of an unchanged policy is 1.
#[cube]
pub fn log_density(fraction: f32, mean: f32, log_sd: f32) -> f32 {
    let inner = unsquash(fraction);
    let z = (inner.normal - mean) * f32::exp(-log_sd);
    -0.5f32 * z * z - log_sd - HALF_LN_TAU - inner.log_slope
}
