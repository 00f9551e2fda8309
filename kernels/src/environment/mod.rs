//! Decision processes: one launch per decision of all lanes.

mod analytic;
mod carry;
mod context;
mod decide;
mod follow;
mod foresee;
mod interval;
mod launch;
mod plan;
mod tabular;
mod wrap;

pub use self::analytic::{AnalyticLanes, AnalyticNoise, AnalyticPlan};
pub use self::carry::carry;
pub use self::decide::{
    CUT, DIVERGED, RESET, STREAM_HAZARD, STREAM_MISSED, STREAM_WEIGHTS, TERMINATED, TRUNCATED,
};
pub use self::foresee::{Foreseen, Foresight};
pub use self::launch::{DecisionBuffers, Lanes};
pub use self::plan::{DecisionPlan, Factor, Hazard, MaskRule, Measured, Reset, Rule};
pub use self::tabular::{STREAM_TRANSITIONS, TabularLanes, TabularPlan, TabularTables, threshold};
pub use self::wrap::{LaneClock, STREAM_OBSERVATION, add_noise, weigh_terms, write_remaining};
