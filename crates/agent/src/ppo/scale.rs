//! Running sizes of returns: what rewards and costs are divided by.
//!
//! Critics learn best on targets of about unit size, and the trade between value and policy in one
//! network should not depend on the unit of the reward. Scales change ever more slowly, so that
//! critics can follow.

use serde::{Deserialize, Serialize};

/// Updates after which an old size counts 1/e, once there are as many.
const MEMORY: f64 = 50.0;
/// A signal that hardly occurs is not blown up to unit size.
const LEAST: f64 = 1e-6;

/// The size of one signal's returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Running mean of the squared returns, in the signal's own unit.
    pub square: f64,
    /// Updates in the mean, old ones counting less.
    pub weight: f64,
}

impl Scale {
    /// With the mean squared return of an update; what is no number changes nothing.
    #[must_use]
    pub fn after(self, square: f64) -> Self {
        if !square.is_finite() {
            return self;
        }
        let kept = self.weight * (-1.0 / MEMORY).exp();
        let weight = kept + 1.0;
        Self {
            square: (kept * self.square + square) / weight,
            weight,
        }
    }

    /// What the signal is divided by; `least` in the signal's unit.
    pub fn divisor(&self, least: f64) -> f64 {
        if self.weight == 0.0 {
            return 1.0;
        }
        let size = self.square.sqrt().max(least);
        if size > LEAST { size } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_the_size_of_the_returns() {
        assert_eq!(Scale::default().divisor(0.0), 1.0);
        let first = Scale::default().after(16.0);
        assert_eq!((first.divisor(0.0), first.divisor(7.0)), (4.0, 7.0));
        assert_eq!(first.after(f64::NAN), first);
        assert_eq!(Scale::default().after(0.0).divisor(0.0), 1.0);
        let later = (0..1000).fold(first, |scale, _| scale.after(4.0));
        assert!((later.divisor(0.0) - 2.0).abs() < 1e-6);
        assert!(later.weight < MEMORY + 1.0);
    }
}
