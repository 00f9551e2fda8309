//! Decision processes: one launch per decision of all lanes.

mod analytic;
mod carry;
mod context;
mod decide;
mod follow;
mod launch;
mod plan;
mod tabular;
mod wrap;

pub use self::analytic::{AnalyticLanes, AnalyticNoise, AnalyticPlan};
pub use self::carry::carry;
pub use self::decide::{CUT, DIVERGED, RESET, STREAM_MISSED, TERMINATED, TRUNCATED};
pub use self::launch::{DecisionBuffers, Lanes};
pub use self::plan::{DecisionPlan, Factor, MaskRule, Measured, Reset, Rule};
pub use self::tabular::{STREAM_TRANSITIONS, TabularLanes, TabularPlan, TabularTables, threshold};
pub use self::wrap::{LaneClock, STREAM_OBSERVATION, add_noise, weigh_terms, write_remaining};
