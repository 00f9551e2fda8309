//! Stopping probabilities, and critical values that keep a level.

use super::normal::{root, upper_quantile};
use super::recursion::Walk;
use super::{Crossing, SequentialError, Sides, Spending};

/// Largest critical value that is searched for (P = 1e-300).
const LARGEST: f64 = 37.0;

/// Level of one side.
pub(super) fn tail_alpha(alpha: f64, sides: Sides) -> f64 {
    match sides {
        Sides::One => alpha,
        Sides::Two => 0.5 * alpha,
    }
}

/// Probabilities of stopping. `futility` holds lower critical values of a one-sided test.
pub(super) fn crossing(
    times: &[f64],
    critical: &[f64],
    futility: Option<&[f64]>,
    sides: Sides,
    drift: f64,
) -> Crossing {
    let mut walk = Walk::new(drift);
    let mut result = Crossing {
        upper: Vec::with_capacity(times.len()),
        lower: Vec::with_capacity(times.len()),
    };
    for (index, &time) in times.iter().enumerate() {
        let last = index + 1 == times.len();
        let high = critical[index] * time.sqrt();
        let low = match (sides, futility) {
            (Sides::Two, _) => -high,
            (Sides::One, Some(bounds)) if !last => bounds[index] * time.sqrt(),
            (Sides::One, _) => f64::NEG_INFINITY,
        };
        result.upper.push(walk.above(time, high));
        result.lower.push(walk.below(time, low));
        if let Some(&next) = times.get(index + 1) {
            walk.advance(time, low, high, next);
        }
    }
    result
}

/// Critical values `C t^exponent`, with C such that the design keeps its level.
pub(super) fn constant_boundary(
    times: &[f64],
    alpha: f64,
    sides: Sides,
    exponent: f64,
) -> Result<Vec<f64>, SequentialError> {
    let boundary =
        |constant: f64| -> Vec<f64> { times.iter().map(|t| constant * t.powf(exponent)).collect() };
    // The last look alone spends less than the whole level, so C is at least the fixed value.
    let fixed = upper_quantile(tail_alpha(alpha, sides));
    let excess = |constant: f64| {
        crossing(times, &boundary(constant), None, sides, 0.0).rejection(sides) - alpha
    };
    let lowest = fixed.min(0.0) - 1e-9;
    let constant =
        root(lowest, fixed.abs() + 8.0, excess).ok_or(SequentialError::NoBoundary { look: 1 })?;
    Ok(boundary(constant))
}

/// Critical values from the level spent until each look.
pub(super) fn spending_boundary(
    times: &[f64],
    alpha: f64,
    sides: Sides,
    spending: Spending,
) -> Result<Vec<f64>, SequentialError> {
    let tail = tail_alpha(alpha, sides);
    let mut walk = Walk::new(0.0);
    let mut critical = Vec::with_capacity(times.len());
    let mut before = 0.0;
    for (index, &time) in times.iter().enumerate() {
        let spent = spending.spent(tail, time);
        let scale = time.sqrt();
        // On a logarithmic scale, because early looks may spend next to nothing.
        let wanted = (spent - before).ln();
        let bound = root(-LARGEST, LARGEST, |z| {
            walk.above(time, z * scale).max(f64::MIN_POSITIVE).ln() - wanted
        })
        .filter(|_| wanted.is_finite())
        .ok_or(SequentialError::NoBoundary { look: index + 1 })?;
        critical.push(bound);
        if let Some(&next) = times.get(index + 1) {
            let low = match sides {
                Sides::One => f64::NEG_INFINITY,
                Sides::Two => -bound * scale,
            };
            walk.advance(time, low, bound * scale, next);
        }
        before = spent;
    }
    Ok(critical)
}
