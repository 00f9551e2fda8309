//! Philox4x32-10 on the device (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
//!
//! Keyed by the seed, counted by (patient, step, stream, block): a draw depends on what it is for,
//! never on which thread or batch makes it.

use cubecl::prelude::*;

use crate::elementary::ln;

/// The high word of `a * b`, from 16-bit halves: WGSL has neither such a product nor, on every
/// adapter, 64-bit integers.
#[cube]
pub(crate) fn mul_hi(a: u32, b: u32) -> u32 {
    let (a_low, a_high) = (a & 0xFFFFu32, a >> 16u32);
    let (b_low, b_high) = (b & 0xFFFFu32, b >> 16u32);
    let low_high = a_low * b_high;
    let high_low = a_high * b_low;
    let middle = ((a_low * b_low) >> 16u32) + (low_high & 0xFFFFu32) + (high_low & 0xFFFFu32);
    a_high * b_high + (low_high >> 16u32) + (high_low >> 16u32) + (middle >> 16u32)
}

/// Ten rounds over the counter `c`, in place.
#[cube]
pub fn philox4x32_10(c: &mut Array<u32>, seed_lo: u32, seed_hi: u32) {
    let mut k0 = seed_lo;
    let mut k1 = seed_hi;
    #[unroll]
    for _round in 0..10u32 {
        let h0 = mul_hi(0xD251_1F53u32, c[0]);
        let l0 = 0xD251_1F53u32 * c[0];
        let h1 = mul_hi(0xCD9E_8D57u32, c[2]);
        let l1 = 0xCD9E_8D57u32 * c[2];
        let n0 = h1 ^ c[1] ^ k0;
        let n2 = h0 ^ c[3] ^ k1;
        c[0] = n0;
        c[1] = l1;
        c[2] = n2;
        c[3] = l0;
        k0 += 0x9E37_79B9u32;
        k1 += 0xBB67_AE85u32;
    }
}

/// A standard normal from the first two words of a block, by Box and Muller.
#[cube]
pub fn normal_from_words(w0: u32, w1: u32) -> f32 {
    // 24 bits each: u1 in (0, 1], u2 in [0, 1)
    let u1 = f32::cast_from((w0 >> 8u32) + 1u32) * (1.0f32 / 16_777_216.0f32);
    let u2 = f32::cast_from(w1 >> 8u32) * (1.0f32 / 16_777_216.0f32);
    f32::sqrt(-2.0f32 * ln(u1)) * f32::cos(core::f32::consts::TAU * u2)
}

/// Words and normals of counters `(patient, step, stream, 0)`, for comparison with the host.
#[cube(launch_unchecked)]
pub fn draw_words(
    words: &mut [u32],
    normals: &mut [f32],
    step: u32,
    stream: u32,
    seed_lo: u32,
    seed_hi: u32,
) {
    let i = ABSOLUTE_POS;
    if i < normals.len() {
        let mut c = Array::<u32>::new(4usize);
        c[0] = i as u32;
        c[1] = step;
        c[2] = stream;
        c[3] = 0u32;
        philox4x32_10(&mut c, seed_lo, seed_hi);
        #[unroll]
        for j in 0..4usize {
            words[i * 4 + j] = c[j];
        }
        normals[i] = normal_from_words(c[0], c[1]);
    }
}
