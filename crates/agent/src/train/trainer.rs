//! What a run in a folder asks of an algorithm.

use posology_kernels::device::Device;
use posology_kernels::policy::NetworkShape;

use super::container::Container;
use super::learner::Learner;
use super::log::Metrics;
use super::problem::Problem;
use super::state::State;
use crate::dqn::DqnLearner;
use crate::environment::Environment;
use crate::error::AgentError;
use crate::ppo::config::{Algorithm, Config};
use crate::ppo::statistics::EpisodeSums;
use crate::rollout::{Buffer, Rollout};
use crate::spec::Spec;

/// A policy that can be asked for actions.
#[derive(Clone, Copy)]
pub struct Deployed<'a> {
    pub device: &'a Device,
    pub spec: &'a Spec,
    pub shape: &'a NetworkShape,
    /// `[1][parameters]`
    pub parameters: &'a Buffer,
}

/// An algorithm under way: what [`super::run`] makes updates and checkpoints of.
pub trait Trainer {
    /// The resolved configuration.
    fn config(&self) -> &Config;

    fn state(&self) -> &State;

    /// Decisions of all lanes and what is learnt from them.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] (without the name of a checkpoint), the device.
    fn update(&mut self) -> Result<Metrics, AgentError>;

    /// The parameters on the host.
    ///
    /// # Errors
    /// When the device fails.
    fn parameters(&self) -> Result<Vec<f32>, AgentError>;

    /// Everything that the rest of the run depends on.
    ///
    /// # Errors
    /// When the device fails.
    fn save(&self, problem: &Problem) -> Result<Container, AgentError>;

    /// Go on where [`Trainer::save`] was called; `path` is for the message.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] when the sections do not fit.
    fn restore(&mut self, container: &Container, path: &str) -> Result<(), AgentError>;

    /// For what [`super::run`] finds out about the policy.
    fn state_mut(&mut self) -> &mut State;

    /// The policy as it is now.
    fn deployed(&self) -> Deployed<'_>;

    /// The last rollout, the totals of the episodes that ended in it, and their sums.
    fn finished(&self) -> Option<(&Rollout, &Buffer, &EpisodeSums)>;

    fn launches_per_decision(&self) -> f64;
}

/// Pass everything on to the functions of the same names.
macro_rules! trains {
    ($learner:ty) => {
        impl Trainer for $learner {
            fn config(&self) -> &Config {
                self.config()
            }

            fn state(&self) -> &State {
                self.state()
            }

            fn update(&mut self) -> Result<Metrics, AgentError> {
                self.update()
            }

            fn parameters(&self) -> Result<Vec<f32>, AgentError> {
                self.parameters()
            }

            fn save(&self, problem: &Problem) -> Result<Container, AgentError> {
                self.save(problem)
            }

            fn restore(&mut self, container: &Container, path: &str) -> Result<(), AgentError> {
                self.restore(container, path)
            }

            fn state_mut(&mut self) -> &mut State {
                self.state_mut()
            }

            fn deployed(&self) -> Deployed<'_> {
                self.deployed()
            }

            fn finished(&self) -> Option<(&Rollout, &Buffer, &EpisodeSums)> {
                self.finished()
            }

            fn launches_per_decision(&self) -> f64 {
                self.launches_per_decision()
            }
        }
    };
}

trains!(Learner);
trains!(DqnLearner);

/// The algorithm that a configuration names, before its first decision.
///
/// # Errors
/// A configuration that does not fit the task; the device.
pub fn trainer(
    device: &Device,
    environment: Box<dyn Environment>,
    config: &Config,
) -> Result<Box<dyn Trainer>, AgentError> {
    Ok(match config.algorithm {
        Algorithm::SafePpo | Algorithm::Ppo => Box::new(Learner::new(device, environment, config)?),
        Algorithm::Dqn => Box::new(DqnLearner::new(device, environment, config)?),
    })
}
