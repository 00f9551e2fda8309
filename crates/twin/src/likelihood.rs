//! The density of one observation around its prediction, and its derivative.

use crate::drift::Given;
use posology_cohort::nmtran::Seen;
use posology_model::model::ResidualError;
use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::erf::erfc;

const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;

/// How a prediction is compared with what was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Natural logarithm of the density (or of the probability, where censored); minus infinity
    /// where the error model excludes the prediction.
    pub log: f64,
    /// Derivative with respect to the prediction, the shift held.
    pub slope: f64,
    /// Derivative with respect to [`Given::shift`].
    pub by_shift: f64,
    /// The error in standard deviations, and its derivative with respect to the prediction.
    pub z: f64,
    pub z_slope: f64,
}

/// The prediction and the standard deviation on the scale where the error is normal: logarithms
/// for a log-normal error, else the quantity itself.
pub fn normal_scale(f: f64, error: &ResidualError) -> (f64, f64) {
    if error.lognormal > 0.0 {
        (f.ln(), error.lognormal)
    } else {
        (f, error.additive.hypot(error.proportional * f))
    }
}

/// Where an observation lies on the scale of [`normal_scale`].
pub fn to_normal_scale(y: f64, error: &ResidualError) -> f64 {
    if error.lognormal > 0.0 { y.ln() } else { y }
}

/// Back from [`normal_scale`].
pub fn from_normal_scale(place: f64, error: &ResidualError) -> f64 {
    if error.lognormal > 0.0 {
        place.exp()
    } else {
        place
    }
}

/// Density of `seen` around the prediction `f`, earlier observations given. Censored observations
/// count with their probability (Beal 2001, method M3).
pub fn term(seen: Seen, f: f64, error: &ResidualError, given: Given) -> Term {
    let none = Term {
        log: f64::NEG_INFINITY,
        slope: 0.0,
        by_shift: 0.0,
        z: 0.0,
        z_slope: 0.0,
    };
    let logarithmic = error.lognormal > 0.0;
    if !f.is_finite() || (logarithmic && f <= 0.0) {
        return none;
    }
    let (centre, sd) = normal_scale(f, error);
    if sd <= 0.0 {
        return none;
    }
    // derivatives of centre and deviation with respect to f
    let (d_centre, d_sd) = if logarithmic {
        (1.0 / f, 0.0)
    } else {
        (1.0, error.proportional * error.proportional * f / sd)
    };
    let y = seen.number();
    let place = to_normal_scale(y, error);
    let z = (place - centre) / sd;
    let z_slope = -(d_centre + z * d_sd) / sd;
    let x = (z - given.shift) / given.spread;
    // logarithm, its derivative by x, and what depends on f beside x
    let (log, by_x, beside) = match seen {
        Seen::Value(_) => {
            // the Jacobian of the logarithm belongs to the density of y
            let scale = sd.ln() + given.spread.ln() + if logarithmic { place } else { 0.0 };
            (-0.5 * x * x - scale - LN_SQRT_TAU, -x, -d_sd / sd)
        }
        Seen::Below(_) => {
            let (log, hazard) = log_normal_cdf(x);
            (log, hazard, 0.0)
        }
        Seen::Above(_) => {
            let (log, hazard) = log_normal_cdf(-x);
            (log, -hazard, 0.0)
        }
    };
    Term {
        log,
        slope: by_x * z_slope / given.spread + beside,
        by_shift: -by_x / given.spread,
        z,
        z_slope,
    }
}

/// `ln Phi(z)` and its derivative.
fn log_normal_cdf(z: f64) -> (f64, f64) {
    // far out the quotient of density and probability by Laplace's continued fraction (Abramowitz and
    // Stegun 26.2.14), exact to the last bit there
    if z < -20.0 {
        let hazard = (1..=12).rev().fold(-z, |tail, k| f64::from(k) / tail - z);
        let log = -0.5 * z * z - LN_SQRT_TAU - hazard.ln();
        return (log, hazard);
    }
    let probability = 0.5 * erfc(-z / std::f64::consts::SQRT_2);
    let density = (-0.5 * z * z - LN_SQRT_TAU).exp();
    (probability.ln(), density / probability)
}

/// A value that a censored observation may have had, for the uniform number `u`: a draw of the
/// normal scale beyond the limit (Samson 2006); the value itself where it is known.
pub fn imputed(seen: Seen, f: f64, error: &ResidualError, given: Given, u: f64) -> f64 {
    let (centre, sd) = normal_scale(f, error);
    let (centre, sd) = (centre + given.shift * sd, given.spread * sd);
    let limit = |limit: f64| (to_normal_scale(limit, error) - centre) / sd;
    let Ok(normal) = Normal::new(0.0, 1.0) else {
        return seen.number();
    };
    let z = match seen {
        Seen::Value(value) => return value,
        Seen::Below(l) => normal.inverse_cdf((u * normal.cdf(limit(l))).max(1e-300)),
        Seen::Above(l) => -normal.inverse_cdf((u * normal.cdf(-limit(l))).max(1e-300)),
    };
    from_normal_scale(centre + sd * z.clamp(-12.0, 12.0), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(additive: f64, proportional: f64, lognormal: f64) -> ResidualError {
        ResidualError {
            additive,
            proportional,
            lognormal,
            lloq: None,
        }
    }

    proptest! {
        /// Slopes are those of the logarithms, for every kind of observation and error.
        #[test]
        fn slopes_are_derivatives(f in 0.2f64..5.0, y in 0.2f64..5.0, a in 0.1f64..1.0, b in 0.05f64..0.6, which in 0usize..9, last in -1.5f64..1.5) {
            let given = Given { shift: 0.6 * last, spread: 0.8, ..Given::NOTHING };
            let seen = [Seen::Value(y), Seen::Below(y), Seen::Above(y)][which % 3];
            let error = [error(a, 0.0, 0.0), error(a, b, 0.0), error(0.0, 0.0, b + 0.1)][which / 3];
            let h = 1e-6 * f;
            let quotient = (term(seen, f + h, &error, given).log - term(seen, f - h, &error, given).log) / (2.0 * h);
            let Term { slope, by_shift, z, z_slope, .. } = term(seen, f, &error, given);
            let moved = |h: f64| term(seen, f, &error, Given { shift: given.shift + h, ..given }).log;
            let by = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            prop_assert!((by_shift - by).abs() <= 1e-5 * (1.0 + by.abs()), "{by_shift} {by}");
            let z_quotient = (term(seen, f + h, &error, given).z - z) / h;
            prop_assert!((z_slope - z_quotient).abs() <= 1e-3 * (1.0 + z_quotient.abs()));
            prop_assert!((slope - quotient).abs() <= 1e-5 * (1.0 + quotient.abs()), "{slope} {quotient}");
        }
    }

    /// `scipy.special.log_ndtr(z)` of SciPy 1.17.1, and `exp(-z*z/2 - log_ndtr(z)) / sqrt(2*pi)` in 60
    /// digits: on both sides of where the tail begins.
    #[test]
    fn tails_agree_with_scipy() {
        for (z, log, hazard) in [
            (-20.0, -203.917_155_371_097_3, 20.049_753_068_527_85),
            (-20.5, -214.066_728_963_263_87, 20.548_551_052_435_85),
            (-25.0, -316.639_408_008_020_27, 25.039_873_012_057_563),
            (-40.0, -804.608_442_013_753_9, 40.024_968_847_207_26),
            (-1000.0, -500_007.826_694_812_1, 1_000.000_999_998),
        ] {
            let (found, slope) = log_normal_cdf(z);
            assert!((found / log - 1.0).abs() < 1e-12, "{z}: {found}");
            assert!((slope / hazard - 1.0).abs() < 1e-9, "{z}: {slope}");
        }
    }

    /// Densities integrate to one, and a limit splits them in two.
    #[test]
    fn densities_integrate_to_one() {
        for error in [error(0.5, 0.2, 0.0), error(0.0, 0.0, 0.4)] {
            let f = 2.0;
            let step = 1e-3;
            let density = |y: f64| term(Seen::Value(y), f, &error, Given::NOTHING).log.exp();
            let from = if error.lognormal > 0.0 { step } else { -8.0 };
            let below = |limit: f64| {
                let count = ((limit - from) / step) as usize;
                (0..count)
                    .map(|i| density(from + (i as f64 + 0.5) * step) * step)
                    .sum::<f64>()
            };
            assert!((below(20.0) - 1.0).abs() < 1e-4);
            let limit = 1.7;
            let (low, high) = (
                term(Seen::Below(limit), f, &error, Given::NOTHING),
                term(Seen::Above(limit), f, &error, Given::NOTHING),
            );
            assert!((low.log.exp() - below(limit)).abs() < 2e-3);
            assert!((low.log.exp() + high.log.exp() - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn imputed_values_lie_beyond_their_limit() {
        for error in [error(0.5, 0.2, 0.0), error(0.0, 0.0, 0.4)] {
            for u in [1e-6, 0.3, 0.999_999] {
                assert!(imputed(Seen::Below(1.0), 3.0, &error, Given::NOTHING, u) <= 1.0 + 1e-9);
                assert!(imputed(Seen::Above(6.0), 3.0, &error, Given::NOTHING, u) >= 6.0 - 1e-9);
            }
            assert_eq!(
                imputed(Seen::Value(2.0), 3.0, &error, Given::NOTHING, 0.5),
                2.0
            );
        }
    }
}
