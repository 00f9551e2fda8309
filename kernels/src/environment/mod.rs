//! Decision processes: one launch per decision of all lanes.

mod carry;
mod decide;
mod follow;
mod launch;
mod plan;

pub use self::carry::carry;
pub use self::decide::{DIVERGED, RESET, STREAM_MISSED, TERMINATED, TRUNCATED};
pub use self::launch::{DecisionBuffers, Lanes};
pub use self::plan::{DecisionPlan, Factor, MaskRule, Measured, Reset, Rule};
