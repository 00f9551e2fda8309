//! The policy network in f64 on the host, one lane at a time: what tests compare the device with.

use posology_kernels::policy::Head;

use super::shape::NetworkShape;

/// A network's weights and shape on the host.
#[derive(Clone, Debug)]
pub struct Reference<'a> {
    pub shape: &'a NetworkShape,
    /// Laid out as [`NetworkShape::offsets`] says.
    pub parameters: &'a [f32],
}

impl Reference<'_> {
    /// One decision: outputs for `inputs`; `core` becomes the next state (untouched without
    /// memory).
    pub fn step(&self, inputs: &[f64], core: &mut [f64]) -> Vec<f64> {
        let (shape, at) = (self.shape, self.shape.offsets());
        let (encoder, hidden) = (shape.encoder, shape.hidden);
        let encoded: Vec<f64> = (0..encoder)
            .map(|r| {
                self.row(at.encoder_weight, at.encoder_bias, r, inputs)
                    .tanh()
            })
            .collect();
        let driven = |r: usize| self.row(at.core_weight, at.core_bias, r, &encoded);
        let next: Vec<f64> = if shape.recurrent {
            let held = |r: usize| self.row(at.recurrent_weight, at.recurrent_bias, r, core);
            let unit = |j: usize| {
                let reset = sigmoid(driven(j) + held(j));
                let keep = sigmoid(driven(hidden + j) + held(hidden + j));
                let new = (driven(2 * hidden + j) + reset * held(2 * hidden + j)).tanh();
                (1.0 - keep) * new + keep * core[j]
            };
            (0..hidden).map(unit).collect()
        } else {
            (0..hidden).map(|j| driven(j).tanh()).collect()
        };
        if shape.recurrent {
            core.copy_from_slice(&next);
        }
        (0..shape.rows())
            .map(|r| self.row(at.output_weight, at.output_bias, r, &next))
            .collect()
    }

    fn row(&self, weight: usize, bias: usize, row: usize, x: &[f64]) -> f64 {
        let weights = &self.parameters[weight + row * x.len()..][..x.len()];
        let products = weights.iter().zip(x).map(|(&w, &x)| f64::from(w) * x);
        f64::from(self.parameters[bias + row]) + products.sum::<f64>()
    }
}

/// Probabilities of a categorical head's levels.
pub fn probabilities(logits: &[f64], mask: u32) -> Vec<f64> {
    let allowed = |level: usize| mask >> level & 1 == 1;
    let largest = (0..logits.len())
        .filter(|&level| allowed(level))
        .map(|level| logits[level])
        .fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits
        .iter()
        .enumerate()
        .map(|(level, z)| {
            if allowed(level) {
                (z - largest).exp()
            } else {
                0.0
            }
        })
        .collect();
    let all: f64 = weights.iter().sum();
    weights.iter().map(|w| w / all).collect()
}

/// Log-probability of an action of one head, whose rows of the outputs are `rows`.
///
/// A fraction `a = (1 + tanh u) / 2` of a normal `u` has the density of `u` over
/// `da/du = 2 a (1 - a)`, and `u = (ln a - ln (1 - a)) / 2`.
pub fn log_probability(head: Head, rows: &[f64], mask: u32, action: f32) -> f64 {
    match head {
        Head::Categorical { .. } => probabilities(rows, mask)[action as usize].ln(),
        Head::Gaussian => {
            let a = f64::from(action);
            let (low, high) = Head::LOG_SD;
            let log_sd = rows[1].clamp(f64::from(low), f64::from(high));
            let u = 0.5 * (a.ln() - (1.0 - a).ln());
            let z = (u - rows[0]) / log_sd.exp();
            -0.5 * z * z - log_sd - 0.5 * std::f64::consts::TAU.ln() - (2.0 * a * (1.0 - a)).ln()
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_of_fractions_integrates_to_one() {
        for (mean, log_sd) in [(0.0, 0.0), (0.7, -1.0), (-0.4, -0.5)] {
            let n = 200_000;
            let density = |k: usize| {
                let a = (k as f64 + 0.5) / n as f64;
                log_probability(Head::Gaussian, &[mean, log_sd], 0, a as f32).exp()
            };
            let total = (0..n).map(density).sum::<f64>() / n as f64;
            assert!((total - 1.0).abs() < 1e-3, "{total}");
        }
    }

    #[test]
    fn masked_levels_have_no_probability() {
        let p = probabilities(&[1.0, 5.0, 1.0], 0b101);
        assert_eq!(p, [0.5, 0.0, 0.5]);
        let head = Head::Categorical { levels: 3 };
        assert_eq!(
            log_probability(head, &[1.0, 5.0, 1.0], 0b101, 2.0),
            0.5f64.ln()
        );
    }
}
