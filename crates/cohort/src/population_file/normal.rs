//! The standard normal distribution.

use std::f64::consts::{PI, SQRT_2};

use statrs::function::erf::{erfc, erfc_inv};

/// Steps of the trapezoid rule for the expected range.
const RANGE_STEP: f64 = 1e-3;
/// Beyond this many standard deviations nothing counts in double precision.
const FAR: f64 = 38.0;
/// Steps of the rule for truncated moments.
const MOMENT_STEPS: usize = 20_000;

pub(super) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Probability below `z`.
pub(super) fn below(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// The value below which a share `p` lies; infinite at 0 and 1.
pub(super) fn quantile(p: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * p)
}

/// A truncation of the standard normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Truncation {
    /// The whole line.
    None,
    Within {
        limits: (f64, f64),
        /// Probability below the lower limit, and between them; of the mirror image if flipped.
        low: f64,
        mass: f64,
        /// The limits lie in the upper tail, where probabilities near 1 have no digits left: the
        /// mirror image is truncated instead.
        flipped: bool,
    },
}

impl Truncation {
    pub fn new(limits: (f64, f64)) -> Self {
        if limits == (f64::NEG_INFINITY, f64::INFINITY) {
            return Self::None;
        }
        let flipped = limits.0 > 0.0;
        let low = if flipped {
            below(-limits.1)
        } else {
            below(limits.0)
        };
        Self::Within {
            limits,
            low,
            mass: mass(limits),
            flipped,
        }
    }

    /// `z` mapped from the whole line into the limits, so that a standard normal `z` becomes a
    /// truncated one: ranks are kept, no number is drawn again.
    pub fn map(&self, z: f64) -> f64 {
        let Self::Within {
            limits,
            low,
            mass,
            flipped,
        } = *self
        else {
            return z;
        };
        let inner = if flipped {
            -quantile(low + mass * below(-z))
        } else {
            quantile(low + mass * below(z))
        };
        inner.clamp(limits.0, limits.1)
    }
}

/// Probability of `low..high`, accurate in both tails.
pub(super) fn mass((low, high): (f64, f64)) -> f64 {
    if low > 0.0 {
        below(-low) - below(-high)
    } else {
        below(high) - below(low)
    }
}

/// First and second moment of `value(z)` for `z` standard normal within `low..high`
/// (composite Simpson rule).
pub(super) fn moments((low, high): (f64, f64), value: impl Fn(f64) -> f64) -> (f64, f64) {
    let (low, high) = (low.max(-FAR), high.min(FAR));
    let step = (high - low) / MOMENT_STEPS as f64;
    let mut sums = [0.0; 3];
    for i in 0..=MOMENT_STEPS {
        let z = low + step * i as f64;
        let rule = match i {
            0 | MOMENT_STEPS => 1.0,
            _ if i % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let weight = rule * density(z);
        if weight > 0.0 {
            let v = value(z);
            sums[0] += weight;
            sums[1] += weight * v;
            sums[2] += weight * v * v;
        }
    }
    (sums[1] / sums[0], sums[2] / sums[0])
}

/// Expected range (largest less smallest) of `n` standard normal numbers:
/// the integral of `1 - F^n - (1 - F)^n` (Tippett 1925, Biometrika 17:364).
pub(super) fn expected_range(n: f64) -> f64 {
    let steps = (2.0 * 10.0 / RANGE_STEP) as i64;
    (0..=steps)
        .map(|i| {
            let z = -10.0 + RANGE_STEP * i as f64;
            // 1 - F^n, from the upper tail so that a large n loses no digits
            let lower = -(n * (-below(-z)).ln_1p()).exp_m1();
            lower - below(-z).powf(n)
        })
        .sum::<f64>()
        * RANGE_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_undo_probabilities() {
        for i in -59..=59 {
            let z = f64::from(i) / 10.0;
            let tail = -z.abs(); // where the probability has all its digits
            assert!((quantile(below(tail)) - tail).abs() < 1e-9, "{tail}");
        }
        // Abramowitz and Stegun, table 26.1
        let error = below(1.0) - 0.841_344_746_068_543;
        assert!(error.abs() < 1e-10, "{error}");
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-9);
    }

    #[test]
    fn truncation_keeps_ranks_and_stays_inside() {
        for bounds in [(-1.0, 0.5), (3.0, 4.0), (-9.0, -8.0), (0.5, f64::INFINITY)] {
            let mut last = f64::NEG_INFINITY;
            for i in -58..=58 {
                let z = Truncation::new(bounds).map(f64::from(i) / 10.0);
                assert!(z >= bounds.0 && z <= bounds.1 && z > last, "{bounds:?} {i}");
                last = z;
            }
        }
        let everything = Truncation::new((f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(everything.map(1.5), 1.5);
    }

    /// Factors d2 of control charts (Tippett 1925; Montgomery, Statistical Quality Control, app. VI).
    #[test]
    fn expected_ranges_are_those_of_the_tables() {
        for (n, d2) in [(2.0, 1.128), (5.0, 2.326), (10.0, 3.078), (25.0, 3.931)] {
            assert!((expected_range(n) - d2).abs() < 5e-4, "{n}");
        }
    }

    /// Truncated to the positive half: mean sqrt(2/pi), second moment 1.
    #[test]
    fn moments_of_a_half_normal() {
        let (first, second) = moments((0.0, f64::INFINITY), |z| z);
        assert!((first - (2.0 / PI).sqrt()).abs() < 1e-9);
        assert!((second - 1.0).abs() < 1e-9);
        let (first, second) = moments((f64::NEG_INFINITY, f64::INFINITY), f64::exp);
        assert!((first / 0.5f64.exp() - 1.0).abs() < 1e-9);
        assert!((second / 2f64.exp() - 1.0).abs() < 1e-9);
    }
}
