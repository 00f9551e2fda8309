//! How likely a measurement is if the truth is known.

use std::f64::consts::TAU;

use posology_model::program::Noise;

use crate::environment::analytic::normal_cdf;
use crate::task::Measurement;

/// Halvings in search of the normal variate behind a measured value.
const HALVINGS: usize = 60;
/// No variate is searched farther out.
const FAR: f64 = 12.0;

/// The error of a measurement, as the device draws it: with a standard normal variate `z` and the
/// true value `m`, what is measured is `m exp(l z) + sqrt(a^2 + (p m)^2) z`, but never below the
/// limit of quantification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ErrorModel {
    additive: f64,
    proportional: f64,
    lognormal: f64,
    lloq: Option<f64>,
}

impl ErrorModel {
    /// Of a measurement; exact ones count within `tolerance`, the standard deviation of a normal
    /// kernel as a share of the value. Such a kernel is exact inference for a measurement with that
    /// error (Wilkinson 2013, Stat Appl Genet Mol Biol 12:129).
    pub fn of(measurement: &Measurement, tolerance: f64) -> Self {
        let number = |bits: fn(&Noise) -> u64| {
            let error = measurement.error.as_ref();
            error.map_or(0.0, |error| f64::from_bits(bits(error)))
        };
        let mut model = Self {
            additive: number(|n| n.additive),
            proportional: number(|n| n.proportional),
            lognormal: number(|n| n.lognormal),
            lloq: measurement.lloq,
        };
        if model.additive == 0.0 && model.proportional == 0.0 && model.lognormal == 0.0 {
            model.proportional = tolerance;
        }
        model
    }

    /// The natural logarithm of the density of a measured value; of its probability where it is at
    /// the limit of quantification.
    pub fn log_likelihood(&self, measured: f64, truth: f64) -> f64 {
        if !measured.is_finite() || !truth.is_finite() {
            return f64::NEG_INFINITY;
        }
        let spread = self.additive.hypot(self.proportional * truth);
        if spread == 0.0 && (self.lognormal == 0.0 || truth <= 0.0) {
            // nothing can be off
            return if measured == truth {
                0.0
            } else {
                f64::NEG_INFINITY
            };
        }
        // values of the device are single precision
        let cut = self.lloq.filter(|lloq| measured <= lloq * (1.0 + 1e-6));
        let value = cut.unwrap_or(measured);
        let Some(z) = self.variate(value, truth, spread) else {
            return f64::NEG_INFINITY;
        };
        if cut.is_some() {
            return normal_cdf(z).max(f64::MIN_POSITIVE).ln();
        }
        let slope = truth * self.lognormal * (self.lognormal * z).exp() + spread;
        -0.5 * z * z - 0.5 * TAU.ln() - slope.ln()
    }

    /// The variate with which the truth would be measured as `value`.
    fn variate(&self, value: f64, truth: f64, spread: f64) -> Option<f64> {
        if self.lognormal == 0.0 {
            return Some((value - truth) / spread);
        }
        if spread == 0.0 {
            return (value > 0.0).then(|| (value / truth).ln() / self.lognormal);
        }
        // increasing in z
        let at = |z: f64| truth * (self.lognormal * z).exp() + spread * z;
        let (mut low, mut high) = (-FAR, FAR);
        if at(low) > value || at(high) < value {
            return None;
        }
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if at(middle) < value {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(0.5 * (low + high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(additive: f64, proportional: f64, lognormal: f64, lloq: Option<f64>) -> ErrorModel {
        ErrorModel {
            additive,
            proportional,
            lognormal,
            lloq,
        }
    }

    /// Densities integrate to one, whatever the error; with a limit, the mass below it is at it.
    #[test]
    fn densities_are_densities() {
        for (additive, proportional, lognormal) in [
            (0.3, 0.0, 0.0),
            (0.0, 0.2, 0.0),
            (0.1, 0.2, 0.0),
            (0.0, 0.0, 0.4),
            (0.1, 0.1, 0.3),
        ] {
            for lloq in [None, Some(1.3)] {
                let error = model(additive, proportional, lognormal, lloq);
                let (step, from) = (1e-3, lloq.unwrap_or(-4.0));
                let cells = 0..((16.0 - from) / step) as usize;
                let middle = |k: usize| from + (k as f64 + 0.5) * step;
                let density = |k: usize| error.log_likelihood(middle(k), 1.5).exp() * step;
                let mut mass: f64 = cells.map(density).sum();
                if let Some(lloq) = lloq {
                    mass += error.log_likelihood(lloq, 1.5).exp();
                }
                assert!((mass - 1.0).abs() < 2e-3, "{error:?}: {mass}");
            }
        }
    }

    #[test]
    fn a_normal_error_has_the_normal_density() {
        let error = model(0.5, 0.0, 0.0, None);
        let expected = -0.5 * 4.0 - 0.5 * TAU.ln() - 0.5f64.ln();
        assert!((error.log_likelihood(3.0, 2.0) - expected).abs() < 1e-12);
        let sure = model(0.0, 0.1, 0.0, None);
        assert_eq!(sure.log_likelihood(0.0, 0.0), 0.0);
        assert_eq!(sure.log_likelihood(0.1, 0.0), f64::NEG_INFINITY);
    }
}
