//! The standard normal distribution, and a bracketed root search.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::checked_gamma_ur;

/// Density.
pub(super) fn density(z: f64) -> f64 {
    const INVERSE_ROOT_TAU: f64 = 0.398_942_280_401_432_7;
    INVERSE_ROOT_TAU * (-0.5 * z * z).exp()
}

/// P(Z > z), accurate far into the tail. From the incomplete gamma function, because the normal
/// distribution of `statrs` 0.19 is good to ten digits only.
pub(super) fn upper(z: f64) -> f64 {
    let beyond = 0.5 * checked_gamma_ur(0.5, 0.5 * z * z).unwrap_or(0.0);
    if z > 0.0 {
        beyond
    } else if z < 0.0 {
        1.0 - beyond
    } else {
        0.5
    }
}

/// P(Z <= z).
pub(super) fn lower(z: f64) -> f64 {
    upper(-z)
}

/// The z with P(Z > z) = p. Two Newton steps take the library's value to rounding.
pub(super) fn upper_quantile(p: f64) -> f64 {
    let mut z = -Normal::standard().inverse_cdf(p);
    for _ in 0..2 {
        let slope = density(z);
        if slope > 0.0 && z.is_finite() {
            z += (upper(z) - p) / slope;
        }
    }
    z
}

/// The root of a continuous function between two points where its signs differ, by the method of
/// Brent in the form of Chandrupatla 1997, Adv Eng Softw 28:145. `None` without a change of sign.
pub(super) fn root(low: f64, high: f64, mut function: impl FnMut(f64) -> f64) -> Option<f64> {
    let (mut a, mut b) = (high, low);
    let (mut at_a, mut at_b) = (function(a), function(b));
    if at_a == 0.0 {
        return Some(a);
    }
    if at_b == 0.0 {
        return Some(b);
    }
    if at_a.is_nan() || at_b.is_nan() || at_a.signum() == at_b.signum() {
        return None;
    }
    let mut fraction = 0.5;
    for _ in 0..200 {
        let x = a + fraction * (b - a);
        let at_x = function(x);
        let (c, at_c);
        if at_x.signum() == at_a.signum() {
            (c, at_c) = (a, at_a);
        } else {
            (c, at_c) = (b, at_b);
            (b, at_b) = (a, at_a);
        }
        (a, at_a) = (x, at_x);
        let (best, at_best) = if at_a.abs() < at_b.abs() {
            (a, at_a)
        } else {
            (b, at_b)
        };
        let tolerance = 2.0 * f64::EPSILON * best.abs() + 1e-15;
        let share = tolerance / (b - a).abs();
        if share > 0.5 || at_best == 0.0 {
            return Some(best);
        }
        let xi = (a - b) / (c - b);
        let phi = (at_a - at_b) / (at_c - at_b);
        let quadratic = phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi;
        fraction = if quadratic {
            at_a / (at_b - at_a) * at_c / (at_b - at_c)
                + (c - a) / (b - a) * at_a / (at_c - at_a) * at_b / (at_c - at_b)
        } else {
            0.5
        };
        fraction = fraction.clamp(share, 1.0 - share);
    }
    Some(a)
}
