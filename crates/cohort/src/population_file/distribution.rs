//! Distributions of a covariate, all as increasing functions of a standard normal number, so that
//! a Gaussian copula, truncation and categories are the same operation for each.

use super::normal;

/// A distribution in the covariate's unit.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    Normal {
        mean: f64,
        sd: f64,
    },
    /// The logarithm is normal with these.
    LogNormal {
        mean_log: f64,
        sd_log: f64,
    },
    Uniform {
        low: f64,
        high: f64,
    },
    Exponential {
        mean: f64,
    },
    /// Values, ascending in rank, and the share of patients with each.
    Categories {
        values: Vec<f64>,
        shares: Vec<f64>,
    },
    Fixed(f64),
}

/// Mean, standard deviation and median.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Moments {
    pub mean: f64,
    pub sd: f64,
    /// `None` for categories and mixtures.
    pub median: Option<f64>,
}

const EVERYTHING: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

impl Distribution {
    /// `mean` and `sd` of the variable itself, not of its logarithm.
    pub fn log_normal_of_mean(mean: f64, sd: f64) -> Self {
        let variance = (sd / mean).powi(2).ln_1p();
        Self::LogNormal {
            mean_log: mean.ln() - 0.5 * variance,
            sd_log: variance.sqrt(),
        }
    }

    /// `cv` is the coefficient of variation of the variable itself.
    pub fn log_normal_of_median(median: f64, cv: f64) -> Self {
        Self::LogNormal {
            mean_log: median.ln(),
            sd_log: cv.powi(2).ln_1p().sqrt(),
        }
    }

    /// Value at a standard normal number; never decreasing.
    pub fn at(&self, z: f64) -> f64 {
        match self {
            Self::Normal { mean, sd } => mean + sd * z,
            Self::LogNormal { mean_log, sd_log } => (mean_log + sd_log * z).exp(),
            Self::Uniform { low, high } => low + (high - low) * normal::below(z),
            Self::Exponential { mean } => -mean * normal::below(-z).ln(),
            Self::Categories { values, shares } => {
                let rank = normal::below(z);
                let mut sum = 0.0;
                for (value, share) in values.iter().zip(shares) {
                    sum += share;
                    if rank < sum {
                        return *value;
                    }
                }
                // shares sum to one but for rounding
                values.last().copied().unwrap_or(f64::NAN)
            }
            Self::Fixed(value) => *value,
        }
    }

    /// The standard normal number at which the value is `value`, infinite beyond the support.
    fn rank(&self, value: f64) -> f64 {
        match self {
            Self::Normal { mean, sd } => (value - mean) / sd,
            Self::LogNormal { mean_log, sd_log } => {
                if value <= 0.0 {
                    f64::NEG_INFINITY
                } else {
                    (value.ln() - mean_log) / sd_log
                }
            }
            Self::Uniform { low, high } => {
                normal::quantile(((value - low) / (high - low)).clamp(0.0, 1.0))
            }
            Self::Exponential { mean } => {
                // from the upper tail: P(X > value) = exp(-value/mean)
                -normal::quantile((-value.max(0.0) / mean).exp())
            }
            Self::Categories { .. } | Self::Fixed(_) => f64::NAN,
        }
    }

    /// Bounds on the value as bounds on the standard normal number.
    pub(super) fn limits(&self, bounds: Option<(f64, f64)>) -> (f64, f64) {
        match (self, bounds) {
            (Self::Categories { .. } | Self::Fixed(_), _) | (_, None) => EVERYTHING,
            (_, Some((low, high))) => (self.rank(low), self.rank(high)),
        }
    }

    /// Whether the values are a few codes.
    pub fn is_categorical(&self) -> bool {
        matches!(self, Self::Categories { .. } | Self::Fixed(_))
    }

    /// Values and their shares, of a categorical distribution.
    pub fn levels(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Categories { values, shares } => {
                values.iter().copied().zip(shares.iter().copied()).collect()
            }
            Self::Fixed(value) => vec![(*value, 1.0)],
            _ => Vec::new(),
        }
    }

    /// First and second moment about zero, and the median, within bounds.
    pub(super) fn raw_moments(&self, bounds: Option<(f64, f64)>) -> (f64, f64, Option<f64>) {
        if self.is_categorical() {
            let levels = self.levels();
            let sum = |power: i32| levels.iter().map(|(v, p)| p * v.powi(power)).sum::<f64>();
            return (sum(1), sum(2), None);
        }
        let limits = self.limits(bounds);
        let (first, second) = normal::moments(limits, |z| self.at(z));
        (
            first,
            second,
            Some(self.at(normal::Truncation::new(limits).map(0.0))),
        )
    }

    /// For people: `normal, mean 1.72, SD 0.075`.
    pub fn describe(&self) -> String {
        let g = |value: &f64| {
            let text = format!("{value:.4e}");
            text.parse::<f64>().map_or(text, |short| short.to_string())
        };
        match self {
            Self::Normal { mean, sd } => format!("normal, mean {}, SD {}", g(mean), g(sd)),
            Self::LogNormal { mean_log, sd_log } => {
                let median = mean_log.exp();
                format!(
                    "log-normal, median {}, SD of the logarithm {}",
                    g(&median),
                    g(sd_log)
                )
            }
            Self::Uniform { low, high } => format!("uniform from {} to {}", g(low), g(high)),
            Self::Exponential { mean } => format!("exponential, mean {}", g(mean)),
            Self::Categories { values, shares } => {
                let parts = values.iter().zip(shares);
                let parts: Vec<String> = parts
                    .map(|(value, share)| format!("{} in {} %", g(value), g(&(100.0 * share))))
                    .collect();
                parts.join(", ")
            }
            Self::Fixed(value) => format!("always {}", g(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_normals_have_the_moments_they_are_given() {
        let (first, second, _) = Distribution::log_normal_of_mean(22.8, 3.3).raw_moments(None);
        assert!((first - 22.8).abs() < 1e-7);
        assert!(((second - first * first).sqrt() - 3.3).abs() < 1e-6);
        let by_median = Distribution::log_normal_of_median(10.0, 0.5);
        assert!((by_median.at(0.0) - 10.0).abs() < 1e-12);
        let (first, second, _) = by_median.raw_moments(None);
        assert!(((second / first.powi(2) - 1.0).sqrt() - 0.5).abs() < 1e-7);
    }

    #[test]
    fn ranks_undo_values() {
        for distribution in [
            Distribution::Normal { mean: 3.0, sd: 2.0 },
            Distribution::log_normal_of_median(3.0, 0.7),
            Distribution::Uniform {
                low: -1.0,
                high: 4.0,
            },
            Distribution::Exponential { mean: 2.5 },
        ] {
            for i in -40..=40 {
                let z = f64::from(i) / 10.0;
                let back = distribution.rank(distribution.at(z));
                assert!((back - z).abs() < 1e-8, "{distribution:?} {z} {back}");
            }
        }
    }

    /// A uniform cut to half its support is a uniform; an exponential cut below is a shifted one.
    #[test]
    fn truncated_moments_have_closed_forms() {
        let uniform = Distribution::Uniform {
            low: 0.0,
            high: 4.0,
        };
        let (first, second, median) = uniform.raw_moments(Some((1.0, 3.0)));
        assert!((first - 2.0).abs() < 1e-6 && (second - 4.0 - 1.0 / 3.0).abs() < 1e-5);
        assert!((median.unwrap() - 2.0).abs() < 1e-9);
        let exponential = Distribution::Exponential { mean: 2.0 };
        let (first, second, _) = exponential.raw_moments(Some((3.0, f64::INFINITY)));
        assert!((first - 5.0).abs() < 1e-5, "{first}");
        assert!(((second - first * first).sqrt() - 2.0).abs() < 1e-4);
    }

    #[test]
    fn categories_have_their_shares() {
        let three = Distribution::Categories {
            values: vec![0.0, 1.0, 2.0],
            shares: vec![0.5, 0.3, 0.2],
        };
        assert_eq!(three.at(-0.01), 0.0);
        assert_eq!(three.at(0.01), 1.0);
        assert_eq!(three.at(9.0), 2.0);
        assert_eq!(three.raw_moments(None), (0.7, 1.1, None));
    }
}
