//! What a decision process offers to a policy.

use posology_kernels::policy::{Head, OutputLayout};

/// A decision process, as a policy and its trainer see it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spec {
    pub name: String,
    /// Names of the observation's rows, normalised to about unit size.
    pub features: Vec<String>,
    pub actions: Vec<ActionSpec>,
    /// Terms of the reward and their weights; the environment reports the weighted sum.
    pub rewards: Vec<RewardSpec>,
    pub costs: Vec<CostSpec>,
    /// Hidden quantities (normalised), for the belief and for task-conditioned policies.
    pub hidden: Vec<String>,
    /// Decisions of the longest episode.
    pub horizon: usize,
    /// Discount per decision that the task suggests.
    pub discount: f64,
}

/// One factor of the action.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ActionSpec {
    pub name: String,
    pub kind: ActionKind,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// One of these, at most 32; the policy gives the index.
    Levels(Vec<f64>),
    /// A number in 0..1 of the largest dose.
    Fraction,
}

/// A term of the reward.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RewardSpec {
    pub name: String,
    pub weight: f64,
    /// Counts while a policy learns and never in its evaluation (Ng, Harada and Russell 1999).
    #[serde(default)]
    pub shaping: bool,
}

/// A constraint: the sum of a cost over an episode, in expectation or in its tail.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CostSpec {
    pub name: String,
    pub limit: f64,
    /// Tail share: `Some(0.95)` limits the mean of the worst 5 % of episodes (CVaR), `None` the mean.
    pub cvar: Option<f64>,
}

impl Spec {
    /// The action's factors as heads of a network.
    pub fn heads(&self) -> Vec<Head> {
        let head = |action: &ActionSpec| match &action.kind {
            ActionKind::Levels(levels) => Head::Categorical {
                levels: levels.len() as u32,
            },
            ActionKind::Fraction => Head::Gaussian,
        };
        self.actions.iter().map(head).collect()
    }

    /// Rows of a network's outputs; `beliefs` adds a belief about every hidden quantity.
    pub fn outputs(&self, quantiles: usize, beliefs: bool) -> OutputLayout {
        OutputLayout {
            heads: self.heads(),
            costs: self.costs.len(),
            quantiles: if self.costs.is_empty() { 0 } else { quantiles },
            beliefs: if beliefs { self.hidden.len() } else { 0 },
        }
    }
}
