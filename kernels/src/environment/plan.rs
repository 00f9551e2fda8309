//! What the kernel of a decision process over a model is built with.

use std::sync::Arc;

use posology_model::program::Block;

use crate::integrate::rk4::Rk4Options;
use crate::simulate::Plan;

/// One factor of the action and the slot that it sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Factor {
    pub slot: usize,
    /// f64 bits of the levels, coherent units; empty for a fraction.
    pub levels: Vec<u64>,
    /// f64 bits: a fraction is multiplied by this.
    pub largest: u64,
}

impl Factor {
    /// The value of level `level`, coherent units; 0 for a fraction.
    pub fn value(&self, level: usize) -> f64 {
        self.levels
            .get(level)
            .map_or(0.0, |bits| f64::from_bits(*bits))
    }

    /// The level of the smallest value.
    pub fn least(&self) -> usize {
        let levels = 0..self.levels.len();
        levels
            .min_by(|&a, &b| self.value(a).total_cmp(&self.value(b)))
            .unwrap_or(0)
    }
}

/// An end whose time is drawn: in an interval with the probability `1 - exp(-H)`, where `H` is the
/// integral of its hazard over the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hazard {
    /// Slot of `H`.
    pub slot: usize,
    /// Slot that is 1 after the interval in which it struck, else 0.
    pub struck: usize,
    pub truncates: bool,
}

/// When an observation is made, and what its number can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measured {
    /// At every how manieth decision.
    pub every: u32,
    /// f64 bits: probability that the observation is missed.
    pub missed: u64,
    /// f64 bits: lower limit of quantification; values below are reported as the limit.
    pub lloq: Option<u64>,
    /// Slot that says whether the last visit measured it (1 or 0).
    pub fresh: Option<usize>,
}

/// A level of a categorical factor that is allowed only under a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaskRule {
    pub factor: usize,
    pub level: u32,
    /// Output of `look`.
    pub output: usize,
}

/// What happens to a lane whose episode has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reset {
    NextStep,
    SameStep,
    Disabled,
}

/// A decision process over a program.
///
/// In one step of a lane: the action's values go to their slots; `act` gives doses (after the
/// shield); the interval is integrated; accumulators go to their slots; hazards are drawn;
/// `Program::observe` is measured; `outcome` gives memory, reward, costs and ends; `look` gives what the policy sees.
/// All blocks read slots, states and time directly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DecisionPlan {
    pub plan: Arc<Plan>,
    /// Slots that are the patient's own, first in the slots: rows of the pool.
    pub own_slots: usize,
    /// Slots that a new patient leaves as they are: parameters of a rule, set for each lane.
    pub kept_slots: Vec<usize>,
    pub factors: Vec<Factor>,
    pub act: Arc<Block>,
    pub act_slots: Vec<usize>,
    /// Per accumulator.
    pub watch_slots: Vec<usize>,
    /// Per output of `Program::observe`.
    pub measured: Vec<Measured>,
    /// Memory at the start of an episode.
    pub begin: Arc<Block>,
    /// Memory, reward terms, costs, terminal conditions, truncating conditions.
    pub outcome: Arc<Block>,
    pub memory_slots: Vec<usize>,
    pub terms: usize,
    /// Per term of the reward: the slot of a weight that is drawn for every episode.
    pub weight_slots: Vec<Option<usize>>,
    pub costs: usize,
    pub terminal: usize,
    pub truncating: usize,
    pub hazards: Vec<Hazard>,
    /// Features, mask conditions, hidden quantities.
    pub look: Arc<Block>,
    pub features: usize,
    pub masks: Vec<MaskRule>,
    /// Mask conditions among the outputs of `look`.
    pub conditions: usize,
    pub hidden: usize,
    pub step: Rk4Options,
    pub reset: Reset,
    /// The first episode of each lane is cut after another number of decisions, so that lanes are
    /// out of phase; with resets only.
    pub staggered: bool,
}

/// A rule that decides from what a lane has in its slots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub plan: Arc<DecisionPlan>,
    /// One value per factor, coherent units.
    pub block: Arc<Block>,
}

/// Words of a lane's context besides states, what they lost, and slots.
pub(crate) const SCALARS: usize = 7;

impl DecisionPlan {
    /// Rows of the context buffer.
    pub fn context_rows(&self) -> usize {
        2 * self.plan.program.n_integrated() + self.plan.program.n_slots + SCALARS
    }

    /// All bits of a categorical factor's levels; 1 for a fraction.
    pub(crate) fn all_levels(&self, factor: usize) -> u32 {
        match self.factors[factor].levels.len() as u32 {
            0 => 1,
            32 => u32::MAX,
            n => (1 << n) - 1,
        }
    }
}
