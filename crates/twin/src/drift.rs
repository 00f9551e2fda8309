//! Residual errors that are correlated in time: what a model leaves out of a patient's course drifts
//! on from one visit to the next, beside the error of the measurement.
//!
//! In standard deviations of the residual error, an observation is off by `z = s + n`: a stationary
//! Ornstein-Uhlenbeck process `s` of variance `1 - white` and correlation time `time`, and
//! independent `n` of variance `white`. With `white = 0` this is the continuous AR(1) of nlme's
//! `corCAR1`. What earlier observations say of the next is the Kalman filter of `s`.

/// How errors of one observable are correlated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Model time unit; 0: independent errors.
    pub time: f64,
    /// Share of the variance that is independent.
    pub white: f64,
}

/// What earlier observations say of an error: its expectation in standard deviations, and its
/// deviation as a share of theirs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given {
    pub shift: f64,
    pub spread: f64,
    /// Deviation of the drift alone.
    pub drift: f64,
    /// Correlation of the drift with that of the observation before.
    pub rho: f64,
}

impl Given {
    /// No earlier observation, no correlation.
    pub const NOTHING: Self = Self {
        shift: 0.0,
        spread: 1.0,
        drift: 0.0,
        rho: 0.0,
    };
}

/// What is known of the drift after an observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    pub at: f64,
    pub mean: f64,
    pub variance: f64,
}

/// Largest correlation: two readings of one time are still two readings.
const CLOSEST: f64 = 0.999;

impl Drift {
    pub fn is_none(self) -> bool {
        self.time <= 0.0
    }

    /// Correlation of two errors `elapsed` apart.
    pub fn correlation(self, elapsed: f64) -> f64 {
        if self.is_none() {
            0.0
        } else {
            (1.0 - self.white) * self.rho(elapsed)
        }
    }

    fn rho(self, elapsed: f64) -> f64 {
        (-elapsed.abs() / self.time).exp().min(CLOSEST)
    }

    /// What is expected at `time`.
    pub fn given(self, known: Option<Known>, time: f64) -> Given {
        if self.is_none() {
            return Given::NOTHING;
        }
        let own = 1.0 - self.white;
        let (rho, mean, variance) = known.map_or((0.0, 0.0, own), |known| {
            let rho = self.rho(time - known.at);
            let variance = rho * rho * known.variance + own * (1.0 - rho * rho);
            (rho, rho * known.mean, variance)
        });
        Given {
            shift: mean,
            spread: (variance + self.white).sqrt(),
            drift: variance.sqrt(),
            rho,
        }
    }

    /// What is known after an error of `z`, and the weight it had.
    pub fn after(self, given: Given, z: f64, time: f64) -> (Known, f64) {
        let variance = given.drift * given.drift;
        let gain = variance / (given.spread * given.spread);
        let known = Known {
            at: time,
            mean: given.shift + gain * (z - given.shift),
            variance: (1.0 - gain) * variance,
        };
        (known, gain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{DMatrix, DVector};
    use proptest::prelude::*;

    proptest! {
        /// The densities one after the other are the joint density of all errors.
        #[test]
        fn the_filter_is_the_joint_normal(
            z in proptest::collection::vec(-2.0f64..2.0, 2..6),
            time in 0.5f64..20.0,
            white in 0.0f64..0.9,
        ) {
            let drift = Drift { time, white };
            let times: Vec<f64> = (0..z.len()).map(|k| 0.7 * (k * (k + 1)) as f64).collect();
            let (mut known, mut log) = (None, 0.0);
            for (z, &t) in z.iter().zip(&times) {
                let given = drift.given(known, t);
                let x = (z - given.shift) / given.spread;
                log -= 0.5 * x * x + given.spread.ln();
                known = Some(drift.after(given, *z, t).0);
            }
            let n = z.len();
            let covariance = DMatrix::from_fn(n, n, |i, j| {
                if i == j { 1.0 } else { drift.correlation(times[i] - times[j]) }
            });
            let z = DVector::from_vec(z);
            let cholesky = covariance.cholesky().unwrap();
            let joint = -0.5 * z.dot(&cholesky.solve(&z)) - cholesky.l().diagonal().map(f64::ln).sum();
            prop_assert!((log - joint).abs() < 1e-7 * (1.0 + joint.abs()), "{log} {joint}");
        }
    }
}
