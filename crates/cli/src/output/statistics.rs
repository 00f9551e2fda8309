//! Numbers over patients.

use posology_twin::forecast::quantile;
use serde::Serialize;

/// Distribution of a quantity over patients; quantiles interpolate linearly (type 7 of Hyndman
/// and Fan 1996). Without a value every number is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// Patients with a value.
    pub n: usize,
    /// Patients without one: never reached, or frozen before.
    pub missing: usize,
    pub mean: Option<f64>,
    pub sd: Option<f64>,
    pub min: Option<f64>,
    pub p05: Option<f64>,
    pub p25: Option<f64>,
    pub median: Option<f64>,
    pub p75: Option<f64>,
    pub p95: Option<f64>,
    pub max: Option<f64>,
}

impl Distribution {
    /// Of `values`; those that are not a number are missing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let (mut sorted, mut missing) = (Vec::new(), 0);
        for value in values {
            if value.is_nan() {
                missing += 1;
            } else {
                sorted.push(value);
            }
        }
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        if n == 0 {
            return Self {
                missing,
                ..Self::default()
            };
        }
        let mean = sorted.iter().sum::<f64>() / n as f64;
        let squares: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
        let at = |p| Some(quantile(&sorted, p));
        Self {
            n,
            missing,
            mean: Some(mean),
            sd: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
            min: at(0.0),
            p05: at(0.05),
            p25: at(0.25),
            median: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            max: at(1.0),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Against R: `quantile(c(3, 1, 4, 1, 5, 9, 2, 6), c(.05, .25, .5, .75, .95))`, `sd`.
    #[test]
    fn quantiles_are_those_of_r() {
        let found = Distribution::of([3.0, 1.0, 4.0, f64::NAN, 1.0, 5.0, 9.0, 2.0, 6.0]);
        assert_eq!((found.n, found.missing), (8, 1));
        let quantiles = [found.p05, found.p25, found.median, found.p75, found.p95];
        for (value, expected) in quantiles.into_iter().zip([1.0, 1.75, 3.5, 5.25, 7.95]) {
            assert!((value.unwrap() - expected).abs() < 1e-12);
        }
        assert!((found.sd.unwrap() - 2.748_376_143_938_713).abs() < 1e-12);
    }

    #[test]
    fn nobody_has_no_quantiles() {
        let found = Distribution::of([f64::NAN]);
        assert_eq!((found.n, found.missing, found.median), (0, 1, None));
    }
}
