//! L-BFGS over the weights of a correction and the parameters of its patients.

use nalgebra::{DMatrix, DVector};

use super::individuals::{Group, factors};
use super::training::Training;
use crate::error::TwinError;
use crate::map::factor;
use crate::minimise::{Stop, minimise};

/// Steps that are remembered.
const MEMORY: usize = 20;

impl Training<'_> {
    /// Weights and individual parameters together downhill: the latter in standard deviations of
    /// their posterior, the former in what the spread of the patients' gradients says that those of
    /// weights are (empirical Fisher information; at most 1), so that both are curved alike.
    /// False where a gradient is no number.
    pub(super) fn descend(&mut self, group: &Group<'_>) -> Result<bool, TwinError> {
        let ridge = self.state.options.ridge;
        let (n, p) = (self.train.len(), self.problem.space.random.len());
        let (weights, width) = (self.places.len(), self.problem.width());
        let mut populations = [self.state.population.clone()];
        let mu = populations[0].mu.clone();
        let prior = factors(&populations).swap_remove(0);
        let spread: Vec<DMatrix<f64>> = (0..n)
            .map(|i| {
                let own = &group.covariance[i * p * p..(i + 1) * p * p];
                factor(DMatrix::from_row_slice(p, p, own))
            })
            .collect();
        let begin = self.state.phi[..n * p].to_vec();
        let phi_of = |z: &[f64]| -> Vec<f64> {
            let one = |i: usize| {
                let z = DVector::from_column_slice(&z[i * p..(i + 1) * p]);
                let own = DVector::from_column_slice(&begin[i * p..(i + 1) * p]);
                (own + &spread[i] * z).data.as_vec().clone()
            };
            (0..n).flat_map(one).collect()
        };
        let of = vec![0; n];
        let scored = self.problem.score(&self.train, &populations, &of, &begin)?;
        let unit = |&k: &usize| {
            let slopes = scored.gradient.chunks(width).map(|row| row[p + k].powi(2));
            (slopes.sum::<f64>() + ridge).max(1.0).sqrt().recip()
        };
        let units: Vec<f64> = self.places.iter().map(unit).collect();
        if !units.iter().all(|unit| unit.is_finite() && *unit > 0.0) {
            return Ok(false);
        }
        let from: Vec<f64> = self
            .places
            .iter()
            .map(|&k| populations[0].fixed[k])
            .collect();
        let weights_of = |x: &[f64]| -> Vec<f64> {
            let moved = from.iter().zip(x.iter().zip(&units));
            moved.map(|(w, (x, unit))| w + x * unit).collect()
        };
        let stop = Stop {
            rounds: self.state.options.steps,
            memory: Some(MEMORY),
            ..Stop::default()
        };
        let places = &self.places;
        let found = minimise(&[vec![0.0; weights + n * p]], &stop, |_, x| {
            let own = weights_of(x);
            for (&k, &w) in places.iter().zip(&own) {
                populations[0].fixed[k] = w;
            }
            let phi = phi_of(&x[weights..]);
            let scored = self.problem.score(&self.train, &populations, &of, &phi)?;
            let mut gradient: Vec<f64> = own.iter().map(|w| ridge * w).collect();
            let mut value = 0.5 * own.iter().map(|w| ridge * w * w).sum::<f64>();
            for (i, row) in scored.gradient.chunks(width).enumerate() {
                value -= scored.log_likelihood[i];
                for (g, &k) in gradient.iter_mut().zip(places) {
                    *g -= row[p + k];
                }
            }
            for (g, unit) in gradient.iter_mut().zip(&units) {
                *g *= unit;
            }
            for i in 0..n {
                let apart = DVector::from_fn(p, |k, _| phi[i * p + k] - mu[k]);
                let z = prior.solve_lower_triangular(&apart).unwrap_or(apart);
                value += 0.5 * z.norm_squared();
                let mut slope = prior.tr_solve_lower_triangular(&z).unwrap_or(z);
                for k in 0..p {
                    slope[k] -= scored.gradient[i * width + k];
                }
                gradient.extend(spread[i].tr_mul(&slope).iter());
            }
            Ok::<_, TwinError>((vec![value], gradient))
        })?;
        let x = &found[0].x;
        for (&k, &w) in self.places.iter().zip(&weights_of(x)) {
            self.state.population.fixed[k] = w;
        }
        self.state.phi[..n * p].copy_from_slice(&phi_of(&x[weights..]));
        Ok(true)
    }
}
