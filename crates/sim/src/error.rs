//! What can go wrong in a run.

use posology_kernels::device::DeviceError;
use posology_model::Diagnostics;
use posology_model::reference::ReferenceError;

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(
        "the step is unstable: at t = {time:.6} {unit} of {who} the fastest rate is {rate:.4} per \
         {unit} and the step {dt} {unit}; explicit Runge-Kutta of order 4 needs dt <= {limit:.4} \
         {unit} (try --dt {suggested})"
    )]
    UnstableStep {
        time: f64,
        rate: f64,
        dt: f64,
        limit: f64,
        suggested: f64,
        unit: String,
        who: String,
    },
    #[error(
        "{diverged} of {total} patients ({share:.3} %) diverged, more than the allowed {allowed:.3} \
         %: {causes}; a smaller --dt, tighter parameter bounds or --max-diverged may help"
    )]
    TooManyDiverged {
        diverged: usize,
        total: usize,
        share: f64,
        allowed: f64,
        causes: String,
    },
    #[error("the reference solver failed: {0}")]
    Reference(#[from] ReferenceError),
    #[error(
        "a timeline of {steps:.3e} steps is too long; use a larger step or check the time unit of the \
         events (the end is at {end} {unit})"
    )]
    TooManySteps { steps: f64, end: f64, unit: String },
    #[error(
        "{what} does not fit the device: it needs {needed} bytes, the adapter binds {available}"
    )]
    TooLarge {
        what: &'static str,
        needed: u64,
        available: u64,
    },
    #[error("interrupted after {done} of {total} patients")]
    Interrupted { done: usize, total: usize },
}

/// Why patients could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// What populations and models say of draws that do not exist.
    #[error("{0}")]
    Input(#[from] Diagnostics),
    /// All draws around individuals were outside the bounds.
    #[error("every draw of patient {id} around the individuals fell outside the bounds")]
    Around { id: u32 },
    /// The device gave a patient up whom the host can draw.
    #[error(
        "patient {id} could not be drawn on the device although he exists on the host: the bounds \
         of the population or the model leave next to no room"
    )]
    Disagreement { id: u32 },
}
