//! Exponential and logarithm for loops over lanes.

/// Functions of a model that a vector unit has no instruction for.
pub trait Functions {
    fn exp(x: f32) -> f32;
    fn ln(x: f32) -> f32;
}

/// Those of the platform.
pub struct Platform;

impl Functions for Platform {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        x.exp()
    }
    #[inline(always)]
    fn ln(x: f32) -> f32 {
        x.ln()
    }
}

/// Polynomials without branches, so that a loop over lanes becomes vector instructions
/// (S. Moshier, Cephes, `expf` and `logf`; normal arguments only).
pub struct Polynomial;

impl Functions for Polynomial {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        const ROUND: f32 = 12_582_912.0;
        let shifted = x.clamp(-87.0, 88.0) * core::f32::consts::LOG2_E + ROUND;
        let whole = shifted - ROUND;
        let r = x - whole * 0.693_359_4 - whole * -2.121_944_4e-4;
        let mut p = 1.987_569_1e-4f32;
        for c in [
            1.398_2e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            0.5,
        ] {
            p = p * r + c;
        }
        let power = shifted
            .to_bits()
            .wrapping_sub(ROUND.to_bits())
            .wrapping_add(127)
            << 23;
        (p * r * r + r + 1.0) * f32::from_bits(power)
    }

    #[inline(always)]
    fn ln(x: f32) -> f32 {
        // mantissa in sqrt(1/2)..sqrt(2)
        let exponent = (x.to_bits() as i32).wrapping_sub(0x3F35_04F3) >> 23;
        let f = f32::from_bits((x.to_bits() as i32).wrapping_sub(exponent << 23) as u32) - 1.0;
        let e = exponent as f32;
        let z = f * f;
        let mut p = 7.037_683_6e-2f32;
        for c in [
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ] {
            p = p * f + c;
        }
        f + (p * f * z - 2.121_944_4e-4 * e - 0.5 * z) + 0.693_359_4 * e
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_follow_the_platform() {
        for k in -2000..2000 {
            let x = k as f32 * 0.03;
            let (got, expected) = (f64::from(Polynomial::exp(x)), f64::from(x).exp());
            assert!(
                (got / expected - 1.0).abs() < 3e-7,
                "exp {x}: {got} {expected}"
            );
            let y = expected as f32;
            let (got, expected) = (f64::from(Polynomial::ln(y)), f64::from(y).ln());
            assert!(
                (got - expected).abs() < 2e-7 * expected.abs().max(1.0),
                "ln {y}: {got} {expected}"
            );
        }
    }
}
