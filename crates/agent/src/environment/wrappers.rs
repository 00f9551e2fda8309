//! Environments around environments; they compose.
//!
//! A shorter horizon is no wrapper, because lanes end by themselves on the device: it is an option
//! of the process ([`super::tabular::TabularOptions::horizon`]). Statistics of episodes belong to
//! whoever plays them.

use cubecl::server::Handle;
use posology_kernels::device::Device;
use posology_kernels::environment::{LaneClock, add_noise, weigh_terms, write_remaining};

use super::Environment;
use super::patients::buffers;
use super::tabular::set_weights;
use crate::error::AgentError;
use crate::rollout::Rollout;
use crate::spec::Spec;

/// Environments that can say who is in which lane, and at which decision of his episode.
pub trait Clocked: Environment {
    /// Where the device finds it.
    fn clock(&self) -> LaneClock;
}

/// The functions of [`Environment`] that a wrapper passes on unchanged.
macro_rules! pass_on {
    () => {
        fn lanes(&self) -> usize {
            self.inner.lanes()
        }

        fn snapshot(&self) -> Result<Vec<u8>, AgentError> {
            self.inner.snapshot()
        }

        fn restore(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
            self.inner.restore(bytes)
        }
    };
}

/// Other weights of the reward's terms: one small launch per decision. Weights can be changed at
/// any time, so a front of efficacy against toxicity is swept without building anything again.
pub struct RewardWeights<E> {
    inner: E,
    device: Device,
    spec: Spec,
    weights: Handle,
}

impl<E: Environment> RewardWeights<E> {
    /// One weight per term.
    ///
    /// # Errors
    /// [`AgentError::Option`] where there are more or fewer weights than terms, or no terms.
    pub fn new(device: &Device, inner: E, weights: &[f64]) -> Result<Self, AgentError> {
        let mut wrapped = Self {
            spec: inner.spec().clone(),
            weights: device.client.empty(4),
            device: device.clone(),
            inner,
        };
        wrapped.set(weights)?;
        Ok(wrapped)
    }

    /// From the next decision on.
    ///
    /// # Errors
    /// As [`RewardWeights::new`].
    pub fn set(&mut self, weights: &[f64]) -> Result<(), AgentError> {
        if weights.is_empty() {
            return Err(AgentError::Option {
                key: "weights".to_owned(),
                value: "[]".to_owned(),
                cause: "a reward needs a term".to_owned(),
            });
        }
        set_weights(&mut self.spec, weights)?;
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        self.weights = self
            .device
            .client
            .create_from_slice(bytemuck::cast_slice(&weights));
        Ok(())
    }
}

impl<E: Environment> Environment for RewardWeights<E> {
    pass_on!();

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, first_patient: u32, out: &Rollout) -> Result<(), AgentError> {
        self.inner.reset(seed, first_patient, out)
    }

    fn step(&mut self, rollout: &Rollout, t: usize) -> Result<(), AgentError> {
        self.inner.step(rollout, t)?;
        weigh_terms(
            &self.device,
            &buffers(rollout),
            &self.weights,
            self.spec.rewards.len(),
            self.inner.lanes(),
            t,
        );
        Ok(())
    }
}

impl<E: Clocked> Clocked for RewardWeights<E> {
    fn clock(&self) -> LaneClock {
        self.inner.clock()
    }
}

/// Normal noise on what is observed; a patient meets the same noise whatever his lane.
pub struct ObservationNoise<E> {
    inner: E,
    device: Device,
    sd: Handle,
    features: usize,
}

impl<E: Clocked> ObservationNoise<E> {
    /// One standard deviation per feature, in the units of the (normalised) observation.
    ///
    /// # Errors
    /// [`AgentError::Option`] where there are more or fewer of them than features, or negative
    /// ones.
    pub fn new(device: &Device, inner: E, sd: &[f32]) -> Result<Self, AgentError> {
        let features = inner.spec().features.len();
        if sd.len() != features || features == 0 || sd.iter().any(|s| !s.is_finite() || *s < 0.0) {
            return Err(AgentError::Option {
                key: "noise".to_owned(),
                value: format!("{sd:?}"),
                cause: format!("must be {features} standard deviations, one per feature"),
            });
        }
        Ok(Self {
            sd: device.client.create_from_slice(bytemuck::cast_slice(sd)),
            device: device.clone(),
            features,
            inner,
        })
    }

    fn disturb(&self, rollout: &Rollout, next: usize) {
        add_noise(
            &self.device,
            &buffers(rollout),
            &self.inner.clock(),
            &self.sd,
            self.features,
            self.inner.lanes(),
            next,
        );
    }
}

impl<E: Clocked> Environment for ObservationNoise<E> {
    pass_on!();

    fn spec(&self) -> &Spec {
        self.inner.spec()
    }

    fn reset(&mut self, seed: u64, first_patient: u32, out: &Rollout) -> Result<(), AgentError> {
        self.inner.reset(seed, first_patient, out)?;
        self.disturb(out, 0);
        Ok(())
    }

    fn step(&mut self, rollout: &Rollout, t: usize) -> Result<(), AgentError> {
        self.inner.step(rollout, t)?;
        self.disturb(rollout, t + 1);
        Ok(())
    }
}

impl<E: Clocked> Clocked for ObservationNoise<E> {
    fn clock(&self) -> LaneClock {
        self.inner.clock()
    }
}

/// One more feature: the share of the horizon that is left, so that values near it can be known.
pub struct Remaining<E> {
    inner: E,
    device: Device,
    spec: Spec,
}

impl<E: Clocked> Remaining<E> {
    /// Adds the feature `remaining` as the last row.
    pub fn new(device: &Device, inner: E) -> Self {
        let mut spec = inner.spec().clone();
        spec.features.push("remaining".to_owned());
        Self {
            inner,
            device: device.clone(),
            spec,
        }
    }

    fn write(&self, rollout: &Rollout, next: usize) {
        write_remaining(
            &self.device,
            &buffers(rollout),
            &self.inner.clock(),
            self.spec.features.len() - 1,
            self.spec.horizon,
            self.inner.lanes(),
            next,
        );
    }
}

impl<E: Clocked> Environment for Remaining<E> {
    pass_on!();

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, first_patient: u32, out: &Rollout) -> Result<(), AgentError> {
        self.inner.reset(seed, first_patient, out)?;
        self.write(out, 0);
        Ok(())
    }

    fn step(&mut self, rollout: &Rollout, t: usize) -> Result<(), AgentError> {
        self.inner.step(rollout, t)?;
        self.write(rollout, t + 1);
        Ok(())
    }
}

impl<E: Clocked> Clocked for Remaining<E> {
    fn clock(&self) -> LaneClock {
        self.inner.clock()
    }
}
