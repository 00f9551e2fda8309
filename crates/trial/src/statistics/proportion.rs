//! Confidence intervals of a proportion.

use super::error::require_level;
use super::tails::{beta_quantile, normal_critical};
use super::{Estimate, StatisticsError};

fn check(successes: u64, trials: u64, level: f64) -> Result<f64, StatisticsError> {
    require_level(level)?;
    if trials == 0 {
        return Err(StatisticsError::TooFew {
            name: "patients".to_owned(),
            method: "proportion",
            count: 0,
            needed: 1,
        });
    }
    if successes > trials {
        return Err(StatisticsError::Counts { successes, trials });
    }
    Ok(successes as f64 / trials as f64)
}

/// Exact interval of a proportion, which covers at least at the stated level.
///
/// Clopper and Pearson 1934, Biometrika 26:404.
///
/// # Errors
/// [`StatisticsError::TooFew`] without trials, `Counts`, `Level`.
pub fn clopper_pearson(
    successes: u64,
    trials: u64,
    level: f64,
) -> Result<Estimate, StatisticsError> {
    let value = check(successes, trials, level)?;
    let tail = 0.5 * (1.0 - level);
    let (x, n) = (successes as f64, trials as f64);
    let low = if successes == 0 {
        0.0
    } else {
        beta_quantile(x, n - x + 1.0, tail)
    };
    let high = if successes == trials {
        1.0
    } else {
        beta_quantile(x + 1.0, n - x, 1.0 - tail)
    };
    Ok(Estimate {
        value,
        low,
        high,
        level,
    })
}

/// Score interval of a proportion, which covers at the stated level on average.
///
/// Wilson 1927, J Am Stat Assoc 22:209.
///
/// # Errors
/// As [`clopper_pearson`].
pub fn wilson(successes: u64, trials: u64, level: f64) -> Result<Estimate, StatisticsError> {
    let value = check(successes, trials, level)?;
    let (n, z) = (trials as f64, normal_critical(level));
    let shrink = 1.0 + z * z / n;
    let centre = (value + z * z / (2.0 * n)) / shrink;
    let margin = z / shrink * (value * (1.0 - value) / n + z * z / (4.0 * n * n)).sqrt();
    // The limits are exactly 0 and 1 at the ends; rounding must not say otherwise.
    let low = if successes == 0 {
        0.0
    } else {
        (centre - margin).max(0.0)
    };
    let high = if successes == trials {
        1.0
    } else {
        (centre + margin).min(1.0)
    };
    Ok(Estimate {
        value,
        low,
        high,
        level,
    })
}
