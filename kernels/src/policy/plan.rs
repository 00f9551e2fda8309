//! How the kernel of inference is built.

use super::{NetworkShape, Offsets};

/// How the kernel is built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActPlan {
    pub shape: NetworkShape,
    /// Lanes of one thread.
    pub lanes: usize,
    /// Rows of a block; a multiple of 8 where weights are shared.
    pub block: usize,
    /// Most inputs that one pass of a layer's loop takes: sums are written back once per pass.
    pub unroll: usize,
    /// The threads of a plane (at least 8) read different weights and pass them on to each other:
    /// where a read of one word by all threads costs as much as eight reads.
    pub share_weights: bool,
    /// Only the critics' expectations are wanted (after the last decision of a rollout): nothing
    /// is decided and the core does not move.
    pub values_only: bool,
}

impl ActPlan {
    /// Rows of `scratch`: the encoder, then the next state of the core.
    pub fn scratch_rows(&self) -> usize {
        self.shape.encoder + self.shape.hidden
    }

    /// Threads for `n` lanes.
    pub fn threads(&self, n: usize) -> usize {
        n.div_ceil(self.lanes)
    }

    /// Inputs of one pass over `columns` of them: a divisor, so that no pass is cut short.
    pub(super) fn pass(&self, columns: usize) -> usize {
        (1..=self.unroll.max(1))
            .rev()
            .find(|pass| columns.is_multiple_of(*pass))
            .unwrap_or(1)
    }

    pub(super) fn at(&self) -> Offsets {
        self.shape.offsets()
    }
}

/// Where gate `g` of what is held goes among the sums: the new state's waits for the reset gate.
pub(super) fn part_of_held(g: usize) -> usize {
    if g == 2 { 3 } else { g }
}
