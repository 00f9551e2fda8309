//! The posterior of a CRM's parameter, by quadrature.

use serde::{Deserialize, Serialize};

use super::History;

/// Half-width of the grid in prior standard deviations.
const REACH: f64 = 10.0;
/// Widest step of the grid, in units of `a`.
const STEP: f64 = 0.05;
/// Log density below the largest one that counts as zero.
const NEGLIGIBLE: f64 = 45.0;
/// Positive nodes and weights of the eight-point Gauss-Legendre rule (Abramowitz and Stegun 1964,
/// table 25.4).
const GAUSS_LEGENDRE: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];

/// What the data say about the model's parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Posterior {
    /// Posterior mean of `a`.
    pub mean: f64,
    /// Posterior variance of `a`.
    pub variance: f64,
    /// Probability of toxicity at each dose at the posterior mean of `a`.
    pub toxicity: Vec<f64>,
    /// Posterior probability that toxicity exceeds the target, at each dose.
    pub overdose: Vec<f64>,
}

/// The log posterior at the nodes of a quadrature rule over `a`.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    /// Nodes and quadrature weights.
    nodes: Vec<(f64, f64)>,
    /// By node: log prior density.
    prior: Vec<f64>,
    /// By dose, then node: log p and log (1 - p).
    toxic: Vec<Vec<f64>>,
    free: Vec<Vec<f64>>,
}

impl Rule {
    fn new(skeleton: &[f64], sd: f64, nodes: Vec<(f64, f64)>) -> Self {
        let by_dose = |of: fn(f64) -> f64| -> Vec<Vec<f64>> {
            let column = |prior: &f64| {
                let log = prior.ln();
                nodes.iter().map(|(a, _)| of(log * a.exp())).collect()
            };
            skeleton.iter().map(column).collect()
        };
        Self {
            prior: nodes.iter().map(|(a, _)| -0.5 * (a / sd).powi(2)).collect(),
            toxic: by_dose(|log| log),
            free: by_dose(|log| (-log.exp_m1()).ln()),
            nodes,
        }
    }

    /// Log posterior density at the nodes, up to a constant.
    fn log_density(&self, history: &History) -> Vec<f64> {
        let mut sum = self.prior.clone();
        let mut add = |count: u32, column: &[f64]| {
            // A count of zero takes no part, even where the logarithm is infinite.
            if count > 0 {
                let times = f64::from(count);
                for (sum, log) in sum.iter_mut().zip(column) {
                    *sum += times * log;
                }
            }
        };
        let counts = history.patients().iter().zip(history.toxicities());
        let columns = self.toxic.iter().zip(&self.free);
        for ((patients, toxicities), (toxic, free)) in counts.zip(columns) {
            add(*toxicities, toxic);
            add(patients - toxicities, free);
        }
        sum
    }

    /// Integral of the density over exp(shift).
    fn integral(&self, history: &History, shift: f64) -> f64 {
        let log = self.log_density(history);
        let terms = self.nodes.iter().zip(log);
        terms
            .map(|((_, weight), log)| weight * (log - shift).exp())
            .sum()
    }
}

/// The working model with everything that does not depend on data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Model {
    skeleton: Vec<f64>,
    /// The whole line.
    line: Rule,
    /// By dose: the half-line on which its toxicity exceeds the target, p = skeleton^exp(a) >
    /// target, that is a < ln(ln target / ln skeleton).
    excess: Vec<Rule>,
}

impl Model {
    /// On the whole line the trapezoid rule converges exponentially, because the density is
    /// analytic and vanishes at both ends (Trefethen and Weideman 2014, SIAM Rev 56:385): steps of
    /// half a standard deviation of the sharpest posterior leave errors below 1e-12. Half-lines
    /// take Gauss-Legendre panels of a few steps.
    pub(super) fn new(skeleton: &[f64], target: f64, sd: f64, patients: u32) -> Self {
        let sharpest = 1.0 / f64::from(patients.max(1)).sqrt();
        let step = STEP.min(0.25 * sd).min(0.5 * sharpest);
        let half = (REACH * sd / step).ceil();
        let line = (0..=2 * half as usize)
            .map(|index| ((index as f64 - half) * step, step))
            .collect();
        let from = -half * step;
        let excess = |prior: &f64| {
            let limit = (target.ln() / prior.ln()).ln().clamp(from, -from);
            let panels = ((limit - from) / (4.0 * step)).ceil();
            let width = (limit - from) / panels.max(1.0);
            let panel = |index: usize| {
                let middle = from + (index as f64 + 0.5) * width;
                GAUSS_LEGENDRE.into_iter().flat_map(move |(node, weight)| {
                    let (place, weight) = (0.5 * width * node, 0.5 * width * weight);
                    [(middle - place, weight), (middle + place, weight)]
                })
            };
            let nodes = (0..panels as usize).flat_map(panel).collect();
            Rule::new(skeleton, sd, nodes)
        };
        Self {
            excess: skeleton.iter().map(excess).collect(),
            line: Rule::new(skeleton, sd, line),
            skeleton: skeleton.to_vec(),
        }
    }

    /// Posterior mean and variance of `a`.
    fn moments(&self, history: &History) -> (f64, f64) {
        let log = self.line.log_density(history);
        let largest = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sums = [0.0; 3];
        for ((a, _), log) in self.line.nodes.iter().zip(log) {
            if log < largest - NEGLIGIBLE {
                continue;
            }
            let weight = (log - largest).exp();
            sums[0] += weight;
            sums[1] += weight * a;
            sums[2] += weight * a * a;
        }
        let mean = sums[1] / sums[0];
        (mean, sums[2] / sums[0] - mean * mean)
    }

    /// Posterior mean of `a`.
    pub(super) fn mean(&self, history: &History) -> f64 {
        self.moments(history).0
    }

    /// Probability of toxicity at each dose for a value of `a`.
    pub(super) fn toxicity(&self, a: f64) -> Vec<f64> {
        let power = a.exp();
        self.skeleton
            .iter()
            .map(|prior| prior.powf(power))
            .collect()
    }

    /// Posterior probability that the toxicity of a dose exceeds the target.
    pub(super) fn overdose(&self, history: &History, dose: usize) -> f64 {
        let log = self.line.log_density(history);
        let shift = log.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let share = self.excess[dose].integral(history, shift) / self.line.integral(history, shift);
        share.clamp(0.0, 1.0)
    }

    pub(super) fn posterior(&self, history: &History) -> Posterior {
        let (mean, variance) = self.moments(history);
        let doses = 0..self.skeleton.len();
        Posterior {
            mean,
            variance,
            toxicity: self.toxicity(mean),
            overdose: doses.map(|dose| self.overdose(history, dose)).collect(),
        }
    }
}
