//! A trained network that decides.

use posology_kernels::device::Device;
use posology_kernels::policy::NetworkShape;

use crate::error::AgentError;
use crate::rollout::Buffer;
use crate::spec::Spec;
use crate::train::container::Container;
use crate::train::learner::network_shape;
use crate::train::snapshot::{configuration, section};

/// A network with its parameters on the device.
#[derive(Clone, Debug)]
pub struct Policy {
    pub shape: NetworkShape,
    pub parameters: Buffer,
    /// The most probable action instead of a drawn one.
    pub deterministic: bool,
}

impl Policy {
    /// The policy of a checkpoint for the process that `spec` describes.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where its parameters do not fit.
    pub fn of(
        device: &Device,
        container: &Container,
        path: &str,
        spec: &Spec,
        deterministic: bool,
    ) -> Result<Self, AgentError> {
        let config = configuration(container, path)?;
        let shape = network_shape(&config, spec)?;
        let words = container.words(section::PARAMETERS);
        let words = words.filter(|words| words.len() == shape.offsets().total);
        let words = words.ok_or_else(|| AgentError::Checkpoint {
            path: path.to_owned(),
            cause: "its parameters do not fit its task".to_owned(),
        })?;
        Ok(Self {
            parameters: Buffer::from_words(&device.client, &words, 1, words.len()),
            shape,
            deterministic,
        })
    }
}
