//! The standard normal distribution to f32, the same on every adapter: WGSL asks of `cos` an
//! absolute error of 2^-11 only and of `exp` a relative one that grows with its argument, so that
//! who a patient is would depend on the adapter.

// coefficients stand as they were published
#![allow(clippy::excessive_precision, clippy::approx_constant)]

use cubecl::prelude::*;

use crate::elementary::ln;
use crate::random::philox4x32_10;

/// Exponential function (Cephes `expf`, Moshier 1992), within two ulps between -87 and 88; beyond
/// them the value there.
#[cube]
pub fn exp(x: f32) -> f32 {
    let x = f32::min(f32::max(x, -87.0f32), 88.0f32);
    let n = f32::floor(x * core::f32::consts::LOG2_E + 0.5f32);
    // ln 2 in two parts, so that the larger product is exact
    let r = (x - n * 0.693_359_4f32) + n * 2.121_944_4e-4f32;
    let series = ((((1.987_569_1e-4f32 * r + 1.398_2e-3f32) * r + 8.333_452e-3f32) * r
        + 4.166_579_6e-2f32)
        * r
        + 1.666_666_5e-1f32)
        * r
        + 5.000_000_1e-1f32;
    let power = u32::cast_from(n + 127.0f32) << 23u32;
    (series * r * r + r + 1.0f32) * f32::reinterpret(power)
}

/// Cosine of a share of a full turn, in steps of 2^-24 of it (Cephes `sinf`, `cosf`). The reduction
/// to an eighth of a turn is exact.
#[cube]
pub fn cos_turn(share: u32) -> f32 {
    let moved = share + 0x0020_0000u32;
    let quarter = (moved >> 22u32) & 3u32;
    let x = (f32::cast_from(moved & 0x003F_FFFFu32) - 2_097_152.0f32)
        * (core::f32::consts::FRAC_PI_2 / 4_194_304.0f32);
    let z = x * x;
    let sine = ((-1.951_529_6e-4f32 * z + 8.332_161e-3f32) * z - 1.666_665_5e-1f32) * z * x + x;
    let cosine = ((2.443_315_7e-5f32 * z - 1.388_731_6e-3f32) * z + 4.166_664_6e-2f32) * z * z
        - 0.5f32 * z
        + 1.0f32;
    let odd = (quarter & 1u32) == 1u32;
    let value = select(odd, sine, cosine);
    // cos, -sin, -cos, sin
    let negative = quarter == 1u32 || quarter == 2u32;
    select(negative, -value, value)
}

/// Standard normal number `index` of a patient's stream: the host's to f32 rounding.
#[cube]
pub fn standard_normal(
    patient: u32,
    step: u32,
    stream: u32,
    index: u32,
    seed_lo: u32,
    seed_hi: u32,
) -> f32 {
    let mut c = Array::<u32>::new(4usize);
    c[0] = patient;
    c[1] = step;
    c[2] = stream;
    c[3] = index;
    philox4x32_10(&mut c, seed_lo, seed_hi);
    let u = f32::cast_from((c[0] >> 8u32) + 1u32) * (1.0f32 / 16_777_216.0f32);
    f32::sqrt(-2.0f32 * ln(u)) * cos_turn(c[1] >> 8u32)
}

/// Probability below `z`, to a relative `(1 + z^2) 2^-23` down to -12 (Cephes `ndtrf`).
#[cube]
pub fn below(z: f32) -> f32 {
    let x = f32::abs(z) * core::f32::consts::FRAC_1_SQRT_2;
    let square = x * x;
    // up to 1: 0.5 erf
    let near = ((((((7.853_861_4e-5f32 * square - 8.010_194e-4f32) * square
        + 5.188_327_6e-3f32)
        * square
        - 2.685_381_3e-2f32)
        * square
        + 1.128_358_5e-1f32)
        * square
        - 3.761_262_6e-1f32)
        * square
        + 1.128_379_2f32)
        * (0.5f32 * x);
    let q = 1.0f32 / f32::max(x, 1.0f32);
    let y = q * q;
    let middle = (((((((2.326_82e-2f32 * y - 1.387_039_4e-1f32) * y + 3.687_424_7e-1f32) * y
        - 5.824_733e-1f32)
        * y
        + 6.210_004_6e-1f32)
        * y
        - 4.944_515_3e-1f32)
        * y
        + 3.404_879_9e-1f32)
        * y
        - 2.741_127e-1f32)
        * y
        + 5.638_259_4e-1f32;
    let far = ((((((-1.047_766_4e1f32 * y + 1.297_72e1f32) * y - 7.495_518_7f32) * y
        + 2.921_019f32)
        * y
        - 1.015_265_3f32)
        * y
        + 4.218_463_4e-1f32)
        * y
        - 2.820_767_4e-1f32)
        * y
        + 5.641_895e-1f32;
    let tail = 0.5f32 * exp(-square) * q * select(x < 2.0f32, middle, far);
    let lower = select(x < 1.0f32, 0.5f32 - near, tail);
    let upper = select(x < 1.0f32, 0.5f32 + near, 1.0f32 - tail);
    select(z > 0.0f32, upper, lower)
}

/// The normal number below which a share `p` up to one half lies, from PPND7 (Wichura 1988,
/// Appl Stat 37:477, algorithm AS 241).
#[cube]
pub fn quantile_low(p: f32) -> f32 {
    let p = f32::max(p, f32::MIN_POSITIVE);
    let q = p - 0.5f32;
    let r = 0.180_625f32 - q * q;
    let centre = q
        * (((59.109_375f32 * r + 159.291_13f32) * r + 50.434_27f32) * r + 3.387_132_7f32)
        / (((67.187_56f32 * r + 78.757_76f32) * r + 17.895_17f32) * r + 1.0f32);
    let root = f32::sqrt(-ln(p));
    let s = root - 1.6f32;
    let tail = (((1.702_382_1e-1f32 * s + 1.306_728_5f32) * s + 2.756_815_4f32) * s
        + 1.423_437_3f32)
        / ((1.202_113_3e-1f32 * s + 7.370_016_4e-1f32) * s + 1.0f32);
    let t = root - 5.0f32;
    let far = (((1.733_720_4e-2f32 * t + 4.286_829_4e-1f32) * t + 3.081_226_3f32) * t
        + 6.657_905f32)
        / ((1.225_820_3e-2f32 * t + 2.419_789_4e-1f32) * t + 1.0f32);
    let outer = select(root <= 5.0f32, -tail, -far);
    select(q >= -0.425f32, centre, outer)
}

/// `z` mapped into a truncation with these probabilities below, within and above its limits: the
/// smaller of the two tails is inverted, so that neither loses its digits.
#[cube]
pub fn truncated(z: f32, below_limits: f32, within: f32, above_limits: f32) -> f32 {
    let lower = below_limits + within * below(z);
    let upper = above_limits + within * below(-z);
    let left = lower < upper;
    let at = quantile_low(f32::min(select(left, lower, upper), 0.5f32));
    select(left, at, -at)
}

/// `-ln P(-z)`, the rank of an exponential distribution.
#[cube]
pub fn exponential(z: f32) -> f32 {
    // small values from P(z) = p: -ln(1 - p) = 2 artanh(p / (2 - p))
    let p = below(z);
    let s = p / (2.0f32 - p);
    let y = s * s;
    let series = ((((((y * (1.0f32 / 15.0f32) + 1.0f32 / 13.0f32) * y + 1.0f32 / 11.0f32) * y
        + 1.0f32 / 9.0f32)
        * y
        + 1.0f32 / 7.0f32)
        * y
        + 1.0f32 / 5.0f32)
        * y
        + 1.0f32 / 3.0f32)
        * y
        + 1.0f32;
    select(z < 0.0f32, 2.0f32 * s * series, -ln(below(-z)))
}

/// Every function here of the same arguments, for comparison with the host: `[7][x]`.
#[cube(launch_unchecked)]
pub fn tabulate(x: &[f32], p: &[f32], share: &[u32], out: &mut [f32]) {
    let i = ABSOLUTE_POS;
    let n = x.len();
    if i < n {
        out[i] = exp(x[i]);
        out[n + i] = cos_turn(share[i]);
        out[2 * n + i] = below(x[i]);
        out[3 * n + i] = quantile_low(p[i]);
        out[4 * n + i] = exponential(x[i]);
        // 1 to 2 SD
        out[5 * n + i] = truncated(x[i], 0.841_344_74f32, 0.135_905_12f32, 0.022_750_132f32);
        out[6 * n + i] = standard_normal(share[i], 3u32, 2u32, 5u32, 7u32, 9u32);
    }
}
