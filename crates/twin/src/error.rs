//! Why a twin could not be fitted.

use posology_kernels::adjoint::AdjointError;
use posology_kernels::device::DeviceError;
use posology_model::Diagnostics;
use posology_sim::SimError;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Simulation(#[from] SimError),
    #[error("{0}")]
    Input(#[from] Diagnostics),
    #[error("the data cannot be differentiated: {0}")]
    Adjoint(AdjointError),
    #[error("`{name}` cannot be estimated: {why}")]
    Slot { name: String, why: String },
    #[error("{what}; {remedy}")]
    Setting { what: String, remedy: String },
    #[error(
        "patient `{patient}` has no finite likelihood at the typical parameters: {why}; give other \
         typical values (KEY=VALUE), or a smaller --dt"
    )]
    Start { patient: String, why: String },
    #[error("interrupted after {done} of {total} {what}")]
    Interrupted {
        done: usize,
        total: usize,
        what: &'static str,
    },
    #[error("{file}: {cause}")]
    Checkpoint { file: String, cause: String },
}

impl From<AdjointError> for TwinError {
    fn from(error: AdjointError) -> Self {
        match error {
            AdjointError::Device(error) => TwinError::Device(error),
            other => TwinError::Adjoint(other),
        }
    }
}
