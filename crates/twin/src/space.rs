//! What is estimated, and on which scale.
//!
//! An individual parameter with variability is `value = h(phi)` with `phi ~ N(mu, Omega)`: the
//! logarithm for a log-normal one, the logit within its bounds for a logit-normal one. Parameters
//! without variability that a fit moves are fixed effects, on a scale that keeps their sign or
//! their bounds.

use nalgebra::DMatrix;
use posology_model::Model;
use posology_model::model::{Distribution, ResidualError};

use crate::drift::Drift;
use crate::error::TwinError;

/// How a value is transformed.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "scale")]
pub enum Scale {
    Log,
    /// The logarithm of the size of a negative value.
    NegativeLog,
    Identity,
    Logit {
        low: f64,
        high: f64,
    },
}

impl Scale {
    pub fn phi(self, value: f64) -> f64 {
        match self {
            Scale::Log => value.ln(),
            Scale::NegativeLog => (-value).ln(),
            Scale::Identity => value,
            Scale::Logit { low, high } => {
                let share = (value - low) / (high - low);
                (share / (1.0 - share)).ln()
            }
        }
    }

    pub fn value(self, phi: f64) -> f64 {
        match self {
            Scale::Log => phi.exp(),
            Scale::NegativeLog => -phi.exp(),
            Scale::Identity => phi,
            Scale::Logit { low, high } => low + (high - low) / (1.0 + (-phi).exp()),
        }
    }

    /// Derivative of the value with respect to phi.
    pub fn slope(self, phi: f64) -> f64 {
        match self {
            Scale::Log => phi.exp(),
            Scale::NegativeLog => -phi.exp(),
            Scale::Identity => 1.0,
            Scale::Logit { low, high } => {
                let share = 1.0 / (1.0 + (-phi).exp());
                (high - low) * share * (1.0 - share)
            }
        }
    }
}

/// A parameter that a fit moves.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Entry {
    pub name: String,
    pub slot: usize,
    #[serde(flatten)]
    pub scale: Scale,
    /// Of the value as it is shown.
    pub unit: String,
    /// Coherent value per shown value.
    pub shown: f64,
}

/// The parameters of a population, `p` of them random.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Population {
    /// `[p]` typical phi.
    #[serde(with = "crate::bits")]
    pub mu: Vec<f64>,
    /// `[p][p]` row by row: covariance of phi.
    #[serde(with = "crate::bits")]
    pub omega: Vec<f64>,
    /// `[q]` fixed effects, transformed.
    #[serde(with = "crate::bits")]
    pub fixed: Vec<f64>,
    /// Residual error of each observable: additive, proportional, log-normal.
    #[serde(with = "crate::bits::triples")]
    pub errors: Vec<[f64; 3]>,
    /// Correlation time of each observable's errors, model time unit; 0 for independent errors.
    #[serde(with = "crate::bits")]
    pub correlation: Vec<f64>,
    /// Share of the variance of each observable's errors that is independent in spite of that.
    #[serde(with = "crate::bits")]
    pub white: Vec<f64>,
}

impl Population {
    pub fn covariance(&self) -> DMatrix<f64> {
        let p = self.mu.len();
        DMatrix::from_row_slice(p, p, &self.omega)
    }

    /// How the errors of an observable are correlated.
    pub fn drift(&self, observable: usize) -> Drift {
        Drift {
            time: self.correlation[observable],
            white: self.white[observable],
        }
    }

    pub fn error(&self, observable: usize) -> ResidualError {
        let [additive, proportional, lognormal] = self.errors[observable];
        ResidualError {
            additive,
            proportional,
            lognormal,
            lloq: None,
        }
    }
}

/// What is estimated of a model.
#[derive(Clone, Debug)]
pub struct Space {
    pub random: Vec<Entry>,
    pub fixed: Vec<Entry>,
    /// `[p][p]`: entries of Omega that are not zero by construction.
    pub pattern: Vec<bool>,
    /// Typical values of random parameters that stay what they are.
    pub held: Vec<bool>,
    /// Variances that stay what they are (latents of a correction, whose scale is arbitrary).
    pub held_omega: Vec<bool>,
    /// Which residual errors are estimated, and which correlation times.
    pub errors: Vec<bool>,
    pub correlated: Vec<bool>,
}

impl Space {
    /// The random effects that the model declares, and `fixed`, names of further parameters.
    ///
    /// # Errors
    /// [`TwinError::Slot`] for unknown names and for values that their scale excludes,
    /// [`TwinError::Setting`] where nothing varies.
    pub fn new(model: &Model, fixed: &[&str]) -> Result<(Self, Population), TwinError> {
        let entry = |slot: usize, scale: Scale| {
            let parameter = &model.parameters[slot];
            Entry {
                name: parameter.name.clone(),
                slot,
                scale,
                unit: parameter.unit.text().to_owned(),
                shown: model.units.scale(&parameter.unit),
            }
        };
        let refuse = |name: &str, why: &str| TwinError::Slot {
            name: name.to_owned(),
            why: why.to_owned(),
        };
        let (mut random, mut mu, mut variance) = (Vec::new(), Vec::new(), Vec::new());
        for (slot, parameter) in model.parameters.iter().enumerate() {
            let Some(iiv) = parameter.iiv.filter(|iiv| iiv.omega2 > 0.0) else {
                continue;
            };
            let scale = match (iiv.distribution, parameter.bounds) {
                (Distribution::LogNormal, _) if parameter.value < 0.0 => Scale::NegativeLog,
                (Distribution::LogNormal, _) => Scale::Log,
                (Distribution::LogitNormal, Some((low, high))) => Scale::Logit { low, high },
                _ => Scale::Identity,
            };
            let phi = scale.phi(parameter.value);
            if !phi.is_finite() {
                return Err(refuse(
                    &parameter.name,
                    "its typical value lies at the edge of its distribution",
                ));
            }
            random.push(entry(slot, scale));
            mu.push(phi);
            variance.push(iiv.omega2);
        }
        let p = random.len();
        let mut omega = vec![0.0; p * p];
        let mut pattern = vec![false; p * p];
        for i in 0..p {
            omega[i * p + i] = variance[i];
            pattern[i * p + i] = true;
        }
        let at = |slot: usize| random.iter().position(|e| e.slot == slot);
        for &(a, b, correlation) in &model.correlations {
            if let (Some(i), Some(j)) = (at(a), at(b)) {
                for k in [i * p + j, j * p + i] {
                    omega[k] = correlation * (variance[i] * variance[j]).sqrt();
                    pattern[k] = true;
                }
            }
        }
        let (mut fixed_entries, mut fixed_phi) = (Vec::new(), Vec::new());
        for name in fixed {
            let slot = model
                .slot_index(name)
                .filter(|&s| s < model.parameters.len());
            let Some(slot) = slot else {
                return Err(refuse(name, "the model has no parameter of this name"));
            };
            if at(slot).is_some() {
                continue;
            }
            let parameter = &model.parameters[slot];
            let scale = match parameter.bounds {
                Some((low, high)) if low.is_finite() && high.is_finite() => {
                    Scale::Logit { low, high }
                }
                _ if parameter.value > 0.0 && parameter.unit.text() != "1" => Scale::Log,
                _ => Scale::Identity,
            };
            let phi = scale.phi(parameter.value);
            if !phi.is_finite() {
                return Err(refuse(name, "its value lies at one of its bounds"));
            }
            fixed_entries.push(entry(slot, scale));
            fixed_phi.push(phi);
        }
        if random.is_empty() && fixed_entries.is_empty() {
            return Err(TwinError::Setting {
                what: format!("nothing in `{}` varies between patients", model.name),
                remedy: "declare `iiv` for some parameters, or name parameters to estimate".into(),
            });
        }
        let errors: Vec<[f64; 3]> = model
            .observables
            .iter()
            .map(|o| {
                o.error
                    .map_or([0.0; 3], |e| [e.additive, e.proportional, e.lognormal])
            })
            .collect();
        let space = Self {
            held: vec![false; p],
            held_omega: vec![false; p],
            pattern,
            errors: errors.iter().map(|e| e.iter().any(|&x| x > 0.0)).collect(),
            correlated: vec![false; errors.len()],
            random,
            fixed: fixed_entries,
        };
        let population = Population {
            mu,
            omega,
            fixed: fixed_phi,
            correlation: vec![0.0; errors.len()],
            white: vec![0.0; errors.len()],
            errors,
        };
        Ok((space, population))
    }

    /// Slots in the order of a job's values: random, then fixed.
    pub fn slots(&self) -> Vec<usize> {
        let all = self.random.iter().chain(&self.fixed);
        all.map(|entry| entry.slot).collect()
    }

    /// Append the values of a job.
    pub fn values(&self, phi: &[f64], fixed: &[f64], out: &mut Vec<f64>) {
        let all = self
            .random
            .iter()
            .zip(phi)
            .chain(self.fixed.iter().zip(fixed));
        out.extend(all.map(|(entry, &phi)| entry.scale.value(phi)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn scales_go_there_and_back(phi in -4.0f64..4.0) {
            for scale in [Scale::Log, Scale::NegativeLog, Scale::Identity, Scale::Logit { low: -1.0, high: 3.0 }] {
                let value = scale.value(phi);
                prop_assert!((scale.phi(value) - phi).abs() < 1e-9);
                let h = 1e-6;
                let quotient = (scale.value(phi + h) - scale.value(phi - h)) / (2.0 * h);
                prop_assert!((scale.slope(phi) - quotient).abs() < 1e-6 * (1.0 + quotient.abs()));
            }
        }
    }
}
