//! Tail probabilities and quantiles of the few distributions that the tests need.

use statrs::distribution::{Beta, ContinuousCDF, Normal, StudentsT};
use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::checked_gamma_ur;

/// P(|Z| > |z|) of a standard normal Z.
pub(super) fn normal_two_sided(z: f64) -> f64 {
    2.0 * Normal::standard().sf(z.abs())
}

/// Standard normal distribution function.
pub(super) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// Standard normal quantile; infinite at 0 and 1.
pub(super) fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        f64::NEG_INFINITY
    } else if p >= 1.0 {
        f64::INFINITY
    } else {
        Normal::standard().inverse_cdf(p)
    }
}

/// Half-width, in standard errors, of a two-sided normal interval.
pub(super) fn normal_critical(level: f64) -> f64 {
    normal_quantile(0.5 + 0.5 * level)
}

/// P(X > x) of a chi-squared X.
pub(super) fn chi_squared_upper(x: f64, degrees: usize) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    checked_gamma_ur(0.5 * degrees as f64, 0.5 * x).unwrap_or(f64::NAN)
}

/// P(|T| > |t|) of a Student T.
pub(super) fn student_two_sided(t: f64, degrees: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees) {
        Ok(distribution) => 2.0 * distribution.sf(t.abs()),
        Err(_) => f64::NAN,
    }
}

/// Half-width, in standard errors, of a two-sided Student interval.
pub(super) fn student_critical(level: f64, degrees: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees) {
        Ok(distribution) => distribution.inverse_cdf(0.5 + 0.5 * level),
        Err(_) => f64::NAN,
    }
}

/// Quantile of Beta(a, b). The library's inverse is a starting point; bisection on the
/// distribution function makes it exact to rounding.
pub(super) fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let Ok(distribution) = Beta::new(a, b) else {
        return f64::NAN;
    };
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut middle = distribution.inverse_cdf(p);
    for _ in 0..200 {
        if !(middle > low && middle < high) {
            middle = 0.5 * (low + high);
        }
        let excess = distribution.cdf(middle) - p;
        if excess == 0.0 {
            return middle;
        }
        if excess > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
        if high - low <= 4.0 * f64::EPSILON * high {
            break;
        }
        // Step a little beyond the library's root first, so that the bracket closes at once.
        let nudge = 1e-9 * middle;
        middle = if high - low > 4.0 * nudge && nudge > 0.0 {
            if excess > 0.0 {
                middle - nudge
            } else {
                middle + nudge
            }
        } else {
            0.5 * (low + high)
        };
    }
    0.5 * (low + high)
}

/// P(T > t) of a Student T.
pub(super) fn student_upper(t: f64, degrees: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees) {
        Ok(distribution) => distribution.sf(t),
        Err(_) => f64::NAN,
    }
}

/// P(F > f) of Fisher's F. Abramowitz and Stegun 1964, equation 26.6.2.
pub(super) fn fisher_upper(f: f64, first: f64, second: f64) -> f64 {
    if f <= 0.0 {
        return 1.0;
    }
    checked_beta_reg(0.5 * second, 0.5 * first, second / (second + first * f)).unwrap_or(f64::NAN)
}
