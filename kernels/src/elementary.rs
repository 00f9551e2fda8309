//! Elementary functions whose built-in versions are too coarse on some adapters.
//!
//! WGSL asks of `log` an absolute error of 2^-21 between 0.5 and 2 and leaves `tanh` to its
//! definition, so near 1 and near 0 no correct digit need remain; llvmpipe uses that freedom.
//! Both follow Cephes (Moshier 1992) here and are within two ulps on every adapter.

use cubecl::prelude::*;

const SMALLEST_NORMAL: u32 = 0x0080_0000;
const INFINITY: u32 = 0x7F80_0000;
/// sqrt(1/2)
const ROOT_HALF: u32 = 0x3F35_04F3;
const ONE: u32 = 0x3F80_0000;

/// Natural logarithm. Zero (and what is flushed to it) gives minus infinity, negative values NaN.
#[cube]
pub fn ln(x: f32) -> f32 {
    let bits = u32::reinterpret(x);
    // x = 2^exponent * (1 + f), 1 + f between sqrt(1/2) and sqrt(2)
    let shifted = bits + comptime![ONE - ROOT_HALF];
    let exponent = f32::cast_from(shifted >> 23u32) - 127.0f32;
    let f = f32::reinterpret((shifted & 0x007F_FFFFu32) + comptime![ROOT_HALF]) - 1.0f32;
    let square = f * f;
    let series = ((((((((7.037_683_6e-2f32 * f - 1.151_461e-1f32) * f + 1.167_699_9e-1f32)
        * f
        - 1.242_014_1e-1f32)
        * f
        + 1.424_932_3e-1f32)
        * f
        - 1.666_805_8e-1f32)
        * f
        + 2.000_071_5e-1f32)
        * f
        - 2.499_999_4e-1f32)
        * f
        + 3.333_333e-1f32)
        * f
        * square;
    // ln 2 in two parts, so that the larger product is exact
    let tail = series - 2.121_944_4e-4f32 * exponent - 0.5f32 * square;
    let result = (f + tail) + 0.693_359_4f32 * exponent;
    let magnitude = bits & 0x7FFF_FFFFu32;
    let infinite = select(bits == comptime![INFINITY], bits, 0x7FC0_0000u32);
    let special = select(
        magnitude < comptime![SMALLEST_NORMAL],
        0xFF80_0000u32,
        infinite,
    );
    // negative values are large as unsigned numbers
    let normal = bits >= comptime![SMALLEST_NORMAL] && bits < comptime![INFINITY];
    select(normal, result, f32::reinterpret(special))
}

/// Hyperbolic tangent.
#[cube]
pub fn tanh(x: f32) -> f32 {
    // 1 to f32 beyond 10; larger arguments would overflow
    let size = f32::min(f32::abs(x), 10.0f32);
    let square = size * size;
    let series = ((((-5.704_988_7e-3f32 * square + 2.063_909e-2f32) * square - 5.373_971_6e-2f32)
        * square
        + 1.333_144_2e-1f32)
        * square
        - 3.333_328e-1f32)
        * square
        * size
        + size;
    let far = 1.0f32 - 2.0f32 / (f32::exp(2.0f32 * size) + 1.0f32);
    let result = select(size < 0.625f32, series, far);
    // a minimum may drop a NaN
    let number = (u32::reinterpret(x) & 0x7FFF_FFFFu32) <= comptime![INFINITY];
    select(number, select(x < 0.0f32, -result, result), x)
}
