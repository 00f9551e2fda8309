//! What can go wrong while learning.

use posology_kernels::device::DeviceError;
use posology_model::diagnostic::Diagnostics;

/// An error of the trainer, its environments and its files.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Findings about a task file, its model or its population.
    #[error("{0}")]
    Task(Diagnostics),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Simulation(#[from] posology_sim::SimError),
    #[error(transparent)]
    Sampling(posology_sim::SampleError),
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    File { path: String, cause: String },
    /// A checkpoint does not belong to this task or configuration.
    #[error("{path}: {cause}")]
    Checkpoint { path: String, cause: String },
    /// An option has a value that cannot work.
    #[error("{key} = {value}: {cause}")]
    Option {
        key: String,
        value: String,
        cause: String,
    },
    /// Too few virtual patients are like a real one.
    #[error(
        "of {drawn} virtual patients only {effective:.1} effectively fit the first {decisions} \
         decisions of this one, {wanted} are needed"
    )]
    Unlike {
        drawn: usize,
        effective: f64,
        decisions: usize,
        wanted: f64,
    },
    /// Training diverged.
    #[error("training diverged at update {update}: {what}; the last good state is {checkpoint}")]
    Diverged {
        update: u64,
        what: String,
        checkpoint: String,
    },
}

impl From<Diagnostics> for AgentError {
    fn from(findings: Diagnostics) -> Self {
        AgentError::Task(findings)
    }
}

impl From<posology_sim::SampleError> for AgentError {
    fn from(error: posology_sim::SampleError) -> Self {
        match error {
            posology_sim::SampleError::Input(found) => AgentError::Task(found),
            posology_sim::SampleError::Device(error) => AgentError::Device(error),
            other => AgentError::Sampling(other),
        }
    }
}
