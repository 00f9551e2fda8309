//! Decision processes: one launch per decision of all lanes.

mod decide;
mod launch;
mod plan;

pub use self::decide::{DIVERGED, RESET, STREAM_MISSED, TERMINATED, TRUNCATED};
pub use self::launch::{DecisionBuffers, Lanes};
pub use self::plan::{DecisionPlan, Factor, MaskRule, Measured, Reset};
