//! Decision processes of many lanes in lockstep.

pub mod analytic;
pub mod patients;
pub mod process;
pub mod tabular;
pub mod tabular_file;
pub mod wrappers;

use crate::error::AgentError;
use crate::rollout::Rollout;
use crate::spec::Spec;

/// Number of the first held-out patient: training counts up from 0 and does not come so far.
pub const HELD_OUT: u32 = 1 << 31;

/// What happens to a lane whose episode has ended; as in Gymnasium.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum AutoReset {
    /// The next step ignores the action and begins the next episode, so that the last observation
    /// of an episode is seen (and its value can be used where the episode was truncated).
    #[default]
    NextStep,
    /// The observation after the last transition is already the first of the next episode.
    SameStep,
    /// The lane rests: its flags say `RESET` from then on.
    Disabled,
}

/// A decision process of `lanes` lanes on a device.
///
/// Patients are numbered: lane `i` plays patient `first + i`, then, with automatic resets,
/// `first + i + lanes`, and so on. What a patient meets depends on the seed, his number and the
/// actions only.
pub trait Environment {
    fn spec(&self) -> &Spec;

    fn lanes(&self) -> usize;

    /// Launches of one decision of all lanes.
    fn launches(&self) -> u64 {
        1
    }

    /// Begin an episode in every lane; writes observation, mask, started and hidden at decision 0.
    ///
    /// # Errors
    /// When the device fails.
    fn reset(&mut self, seed: u64, first_patient: u32, out: &Rollout) -> Result<(), AgentError>;

    /// One decision of all lanes, in one launch: reads `action` at decision `t`, writes reward,
    /// terms, cost and flags at `t`, and observation, mask, started and hidden at `t + 1`.
    ///
    /// # Errors
    /// When the device fails.
    fn step(&mut self, rollout: &Rollout, t: usize) -> Result<(), AgentError>;

    /// Everything that the future of the lanes depends on, for a checkpoint.
    ///
    /// # Errors
    /// When the device fails.
    fn snapshot(&self) -> Result<Vec<u8>, AgentError>;

    /// Go on where [`Environment::snapshot`] was taken.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] when the bytes are of another process.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), AgentError>;
}
