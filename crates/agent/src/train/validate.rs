//! Validation: what the policy, taken at its word, is worth on patients of its own.
//!
//! Training draws its actions and watches costs that are still changing; what is deployed takes the
//! most probable action. So, every so often, the policy as it is treats the same fresh patients,
//! whom neither training nor `posology evaluate` ever meets. The best checkpoint is the one with
//! the best return among those whose upper bound of every risk lies within its limit. Validation
//! has buffers of its own: what is learnt afterwards depends on its findings only.

use posology_kernels::device::Device;
use serde::Serialize;

use super::evaluate::{EvaluateOptions, Sums, treat};
use super::problem::{Problem, Who};
use super::state::{Best, State};
use super::trainer::Deployed;
use crate::environment::{AutoReset, Environment};
use crate::error::AgentError;
use crate::policy::act::Actor;
use crate::ppo::config::Config;
use crate::ppo::risk::{UPPER, risk_and_error};
use crate::spec::Spec;

/// Number of the first patient of validations: above those of training, below the held-out ones.
pub const VALIDATION: u32 = 1 << 30;
/// Quantile .995 of the standard normal distribution.
const CERTAIN: f64 = 2.575_829;
/// Where validated bounds are brought, as a share of the limit: half of them would lie beyond it
/// otherwise.
const AIM: f64 = 0.98;
/// Bounds of [`calibrated`]: what is left of a limit, at least and at most.
const KEPT: (f64, f64) = (0.25, 1.25);

/// What a validation found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Validation {
    pub update: u64,
    pub patients: usize,
    /// Mean return of an episode.
    #[serde(rename = "return")]
    pub mean_return: f64,
    pub costs: Vec<CostValidation>,
    /// Whether every risk is within its limit with the certainty that a choice needs.
    pub feasible: bool,
}

/// One constraint of a validation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CostValidation {
    pub name: String,
    /// What the limit is about, and its one-sided upper 95 % bound.
    pub risk: f64,
    pub upper: f64,
    /// Standard error of the risk.
    pub error: f64,
    pub limit: f64,
}

impl CostValidation {
    /// One-sided upper 99.5 % bound of the risk: the best of many looks at the same patients is one
    /// that they happen to bear well, so that a bound of 95 % would not hold for others.
    fn certain(&self) -> f64 {
        self.risk + CERTAIN * self.error
    }
}

impl Validation {
    /// As a candidate for the best checkpoint.
    pub fn candidate(&self) -> Best {
        let bounds = self.costs.iter().map(|cost| (cost.certain(), cost.limit));
        Best::of(self.update, self.mean_return, bounds)
    }
}

/// The patients of a run's validations.
pub struct Validator {
    environment: Box<dyn Environment>,
    options: EvaluateOptions,
}

impl Validator {
    /// Draws the patients that the configuration asks for; none where it validates never.
    ///
    /// # Errors
    /// Findings about the population; the device.
    pub fn new(
        device: &Device,
        problem: &Problem,
        config: &Config,
    ) -> Result<Option<Self>, AgentError> {
        if config.validate_every == 0 {
            return Ok(None);
        }
        let who = Who {
            lanes: config.validate_patients,
            reset: AutoReset::Disabled,
            seed: config.seed,
            first_id: VALIDATION,
            pool: Some(config.validate_patients),
            learning: false,
            staggered: false,
            horizon: None,
        };
        Ok(Some(Self {
            environment: problem.environment(device, &who)?,
            options: EvaluateOptions {
                patients: config.validate_patients,
                first: VALIDATION,
                seed: config.seed,
                deterministic: true,
                resamples: 0,
            },
        }))
    }

    /// Let the policy treat them as it is after `update` updates.
    ///
    /// # Errors
    /// When the device fails.
    pub fn validate(
        &mut self,
        policy: &Deployed<'_>,
        update: u64,
    ) -> Result<Validation, AgentError> {
        let device = policy.device;
        let actor = Actor::new(device, policy.shape, self.options.patients);
        let courses = treat(
            device,
            self.environment.as_mut(),
            &actor,
            policy.parameters,
            &self.options,
            self.options.first,
            self.options.patients,
            &mut Sums::default(),
        )?;
        let n = courses.len().max(1) as f64;
        let costs = policy.spec.costs.iter().enumerate().map(|(k, cost)| {
            let mut values: Vec<f64> = courses.iter().map(|course| course.costs[k]).collect();
            let (risk, error) = risk_and_error(&mut values, cost);
            CostValidation {
                name: cost.name.clone(),
                risk,
                upper: risk + UPPER * error,
                error,
                limit: cost.limit,
            }
        });
        let costs: Vec<CostValidation> = costs.collect();
        Ok(Validation {
            update,
            patients: courses.len(),
            mean_return: courses.iter().map(|course| course.total).sum::<f64>() / n,
            feasible: costs.iter().all(|cost| cost.certain() <= cost.limit),
            costs,
        })
    }
}

/// Learn from a validation how training's estimates of risks relate to what is validated.
pub fn calibrate(state: &mut State, config: &Config, spec: &Spec, found: &Validation) {
    for (k, (cost, seen)) in spec.costs.iter().zip(&found.costs).enumerate() {
        let estimate = state.tails[k].risk(cost);
        let rate = config.validate_calibration;
        state.kept[k] = calibrated(state.kept[k], estimate, seen.upper, rate);
    }
}

/// The share of a limit that training keeps, after a validation: training's `estimate` of a risk
/// and the validated bound `upper` are of the same policy, so the bound is brought just below the
/// limit where the estimate is kept at `0.98 limit estimate / upper`. `rate` is how much of the way is gone.
pub fn calibrated(share: f64, estimate: f64, upper: f64, rate: f64) -> f64 {
    if !(estimate > 0.0 && upper > 0.0 && upper.is_finite()) {
        return share;
    }
    let wanted = (AIM * estimate / upper).clamp(KEPT.0, KEPT.1);
    share.powf(1.0 - rate) * wanted.powf(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_calibrated_towards_the_validated_bound() {
        // drawn actions risk 0.9, the most probable ones 1.2 at most: 3/4 of 98 % of the limit
        assert!((calibrated(1.0, 0.9, 1.2, 1.0) - 0.735).abs() < 1e-12);
        assert!((calibrated(1.0, 0.9, 1.2, 0.5) - 0.735f64.sqrt()).abs() < 1e-12);
        assert!((calibrated(0.8, 0.9, 1.2, 0.0) - 0.8).abs() < 1e-12);
        assert_eq!(calibrated(1.0, 9.0, 1.0, 1.0), 1.25);
        assert_eq!(calibrated(0.8, 0.0, 1.2, 1.0), 0.8);
        assert_eq!(calibrated(0.8, 0.9, f64::NAN, 1.0), 0.8);
    }
}
