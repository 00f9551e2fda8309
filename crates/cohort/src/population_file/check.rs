//! Whether drawn patients are those that the file describes.

use super::distribution::Distribution;
use super::normal::mass;
use super::sample::Covariates;
use super::{How, Moments, Part, Population};

/// A covariate as drawn, beside what the file says of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Comparison {
    pub name: String,
    pub unit: String,
    pub n: usize,
    pub mean: f64,
    /// With the divisor n - 1.
    pub sd: f64,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// What the file's distribution gives, bounds included; `None` for computed covariates.
    pub expected: Option<Moments>,
    /// Difference of the mean, as a share of the expected one (of the SD where that is larger).
    pub mean_error: Option<f64>,
    /// Difference of the standard deviation, as a share of the expected one.
    pub sd_error: Option<f64>,
    /// Figures of a publication that the file names: mean, sd, median, low, high.
    pub published: Vec<(String, f64)>,
    pub published_source: String,
    pub source: String,
    pub calibrated: bool,
    pub what: String,
}

/// Drawn patients against their file.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    pub covariates: Vec<Comparison>,
    /// Largest |sum of organ masses / body weight - 1| over patients; `None` without an anatomy.
    pub mass_error: Option<f64>,
    /// Largest |sum of arterial flows / cardiac output - 1|.
    pub flow_error: Option<f64>,
    /// Draws thrown away, as a share of all.
    pub redrawn: f64,
}

impl Population {
    /// Compares drawn covariates (of this population) with what the file says.
    pub fn check(&self, drawn: &Covariates) -> Check {
        let covariates = (0..self.covariates.len())
            .map(|i| self.compare(i, drawn))
            .collect();
        let sums = self.sums(drawn);
        let n = drawn.ids.len() as f64;
        Check {
            covariates,
            mass_error: sums.map(|(mass, _)| mass),
            flow_error: sums.map(|(_, flow)| flow),
            redrawn: drawn.redraws as f64 / (n + drawn.redraws as f64).max(1.0),
        }
    }

    /// Expected share of patients with a covariate in `low..high` (below `high`), bounds included;
    /// `None` where it is computed or read from data. For histograms.
    pub fn expected_share(&self, covariate: usize, low: f64, high: f64) -> Option<f64> {
        let of = self.covariates.get(covariate)?;
        let within = |distribution: &Distribution| {
            if distribution.is_categorical() {
                let inside = |(value, _): &(f64, f64)| *value >= low && *value < high;
                return distribution
                    .levels()
                    .into_iter()
                    .filter(inside)
                    .map(|(_, share)| share)
                    .sum();
            }
            let all = distribution.limits(of.bounds);
            let part = distribution.limits(Some((low, high)));
            let part = (part.0.max(all.0), part.1.min(all.1));
            if part.0 < part.1 {
                mass(part) / mass(all)
            } else {
                0.0
            }
        };
        match &of.how {
            How::Drawn(distribution) => Some(within(distribution)),
            How::Mixture { by, levels } => {
                let mut sum = 0.0;
                for (value, share) in self.shares(*by)? {
                    let (_, distribution) = levels.iter().find(|(level, _)| *level == value)?;
                    sum += share * within(distribution);
                }
                Some(sum)
            }
            _ => None,
        }
    }

    fn compare(&self, i: usize, drawn: &Covariates) -> Comparison {
        let covariate = &self.covariates[i];
        let mut values = drawn
            .columns
            .get(i)
            .map_or(Vec::new(), |c| c.values.clone());
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        // from a value among them, so that a constant has no spread by rounding
        let origin = values.first().copied().unwrap_or(0.0);
        let mean = origin + values.iter().map(|v| v - origin).sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let sd = (squares / (n - 1.0).max(1.0)).sqrt();
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => values[middle],
            _ => 0.5 * (values[middle - 1] + values[middle]),
        };
        let expected = self.moments(i);
        let mean_error = expected.map(|e| {
            let size = e.mean.abs().max(e.sd);
            if size > 0.0 {
                (mean - e.mean).abs() / size
            } else {
                0.0
            }
        });
        let sd_error = expected.map(|e| {
            if e.sd > 0.0 {
                (sd - e.sd).abs() / e.sd
            } else {
                sd
            }
        });
        Comparison {
            name: covariate.name.clone(),
            unit: covariate.unit.text().to_owned(),
            n: values.len(),
            mean,
            sd,
            median,
            min: values.first().copied().unwrap_or(f64::NAN),
            max: values.last().copied().unwrap_or(f64::NAN),
            expected,
            mean_error,
            sd_error,
            published: covariate.published.clone(),
            published_source: covariate.published_source.clone(),
            source: covariate.source.clone(),
            calibrated: covariate.calibrated,
            what: self.describe(i),
        }
    }

    /// Largest relative errors of the sums of masses and of flows.
    fn sums(&self, drawn: &Covariates) -> Option<(f64, f64)> {
        let anatomy = self.anatomy.as_ref()?;
        let organs = &anatomy.reference.organs;
        let column = |i: usize| drawn.columns.get(i).map(|column| column.values.as_slice());
        let (mut masses, mut flows, mut output) = (Vec::new(), Vec::new(), None);
        for (i, covariate) in self.covariates.iter().enumerate() {
            match covariate.how {
                How::Anatomy(Part::Mass(o)) if organs[o].part_of.is_none() => masses.push(i),
                How::Anatomy(Part::RestMass) => masses.push(i),
                How::Anatomy(Part::Flow(o))
                    if organs[o].part_of.is_none() && organs[o].flow_into.is_none() =>
                {
                    flows.push(i);
                }
                How::Anatomy(Part::RestFlow) => flows.push(i),
                How::Anatomy(Part::CardiacOutput) => output = Some(i),
                _ => {}
            }
        }
        let (weight, output) = (column(anatomy.weight)?, column(output?)?);
        let (mut mass_error, mut flow_error) = (0.0f64, 0.0f64);
        for patient in 0..drawn.ids.len() {
            let sum = |parts: &[usize]| -> f64 {
                parts.iter().filter_map(|&i| column(i)?.get(patient)).sum()
            };
            let body = weight[patient] * anatomy.scales.1;
            mass_error = mass_error.max((sum(&masses) / body - 1.0).abs());
            flow_error = flow_error.max((sum(&flows) / output[patient] - 1.0).abs());
        }
        Some((mass_error, flow_error))
    }
}

/// Pearson correlations of columns with the same number of patients; not a number for a column
/// that does not vary.
pub fn correlation_matrix(columns: &[&[f64]]) -> Vec<Vec<f64>> {
    let centred: Vec<Vec<f64>> = columns
        .iter()
        .map(|column| {
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            column.iter().map(|v| v - mean).collect()
        })
        .collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let norms: Vec<f64> = centred.iter().map(|c| product(c, c).sqrt()).collect();
    (0..columns.len())
        .map(|i| {
            (0..columns.len())
                .map(|j| product(&centred[i], &centred[j]) / (norms[i] * norms[j]))
                .collect()
        })
        .collect()
}
