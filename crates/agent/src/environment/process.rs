//! A tabular decision process on the host: states, actions and tables of what follows what.

use std::collections::{HashMap, HashSet};

use posology_cohort::philox;
use posology_kernels::environment::{STREAM_TRANSITIONS, TabularTables, threshold};

use crate::error::AgentError;
use crate::spec::{ActionKind, ActionSpec, CostSpec, RewardSpec, Spec};

/// How far probabilities may be from a sum of one.
pub const SUM_TOLERANCE: f64 = 1e-9;
/// States beyond this have no exact index as an `f32`.
pub const MOST_STATES: usize = 1 << 24;
/// Levels of an action, as bits of a mask.
pub const MOST_ACTIONS: usize = 32;

/// One way on from a state and an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub next: u32,
    pub probability: f64,
    /// Reward terms, then costs.
    pub signals: Vec<f64>,
}

/// Rows of outcomes; pairs of state and action with equal rows share one.
#[derive(Clone, Debug, PartialEq)]
pub struct Transitions {
    /// `[states][actions]` the row of a pair.
    pub row_of: Vec<u32>,
    /// `[rows + 1]` where a row's entries begin.
    pub bounds: Vec<u32>,
    /// `[entries]`
    pub next: Vec<u32>,
    /// `[entries]`
    pub probability: Vec<f64>,
    /// `[reward terms + costs][entries]`
    pub signals: Vec<Vec<f64>>,
    known: HashMap<Vec<u64>, u32>,
}

impl Transitions {
    /// No rows yet, of so many signals (reward terms and costs).
    pub fn new(signals: usize) -> Self {
        Self {
            row_of: Vec::new(),
            bounds: vec![0],
            next: Vec::new(),
            probability: Vec::new(),
            signals: vec![Vec::new(); signals],
            known: HashMap::new(),
        }
    }

    /// The number of the row with these outcomes, which is added if there is none.
    pub fn row(&mut self, outcomes: &[Outcome]) -> u32 {
        let mut key = Vec::with_capacity(outcomes.len() * (2 + self.signals.len()));
        for outcome in outcomes {
            key.push(u64::from(outcome.next));
            key.push(outcome.probability.to_bits());
            key.extend(outcome.signals.iter().map(|value| value.to_bits()));
        }
        let number = self.bounds.len() as u32 - 1;
        if let Some(&row) = self.known.get(&key) {
            return row;
        }
        self.known.insert(key, number);
        for outcome in outcomes {
            self.next.push(outcome.next);
            self.probability.push(outcome.probability);
            for (values, &value) in self.signals.iter_mut().zip(&outcome.signals) {
                values.push(value);
            }
        }
        self.bounds.push(self.next.len() as u32);
        number
    }

    /// Different rows.
    pub fn rows(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Entries of row `row`.
    pub fn entries(&self, row: usize) -> std::ops::Range<usize> {
        self.bounds[row] as usize..self.bounds[row + 1] as usize
    }
}

/// Numbers that belong to states: what is observed in them, or hidden in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateTable {
    pub names: Vec<String>,
    /// `[names][states]`
    pub values: Vec<f32>,
}

impl StateTable {
    /// The number of the state as one row: for networks that embed it.
    pub fn index(states: usize) -> Self {
        Self {
            names: vec!["state".to_owned()],
            values: (0..states).map(|s| s as f32).collect(),
        }
    }

    /// A row per state.
    pub fn one_hot(states: usize) -> Self {
        let hot = |s: usize| (0..states).map(move |j| if s == j { 1.0 } else { 0.0 });
        Self {
            names: (0..states).map(|s| format!("state {s}")).collect(),
            values: (0..states).flat_map(hot).collect(),
        }
    }

    /// `width` rows of random signs, different for every state: nearly orthogonal, so that a
    /// first layer tells all states apart with far fewer rows than states (Johnson and
    /// Lindenstrauss 1984). `None` where `width` is too short.
    pub fn code(states: usize, width: usize, seed: u64) -> Option<Self> {
        let mut taken = HashSet::new();
        let mut codes = Vec::with_capacity(states);
        for state in 0..states {
            let fresh = (0..1000).find_map(|attempt| {
                let signs = signs(seed, state as u32, attempt, width);
                taken.insert(signs.clone()).then_some(signs)
            });
            codes.push(fresh?);
        }
        let value = |k: usize, s: usize| if codes[s][k] { 1.0 } else { -1.0 };
        Some(Self {
            names: (0..width).map(|k| format!("code {k}")).collect(),
            values: (0..width)
                .flat_map(|k| (0..states).map(move |s| (k, s)))
                .map(|(k, s)| value(k, s))
                .collect(),
        })
    }

    /// Both tables' rows.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.values.extend(other.values);
        self
    }
}

/// `width` random signs of a state.
fn signs(seed: u64, state: u32, attempt: u32, width: usize) -> Vec<bool> {
    let block = |b: u32| philox::draw(seed, state, attempt, STREAM_TRANSITIONS, b);
    (0..width)
        .map(|k| {
            let word = block((k / 128) as u32)[k / 32 % 4];
            word >> (k % 32) & 1 == 1
        })
        .collect()
}

/// A decision process of finitely many states and actions.
#[derive(Clone, Debug, PartialEq)]
pub struct TabularProcess {
    pub name: String,
    pub states: usize,
    pub actions: Vec<String>,
    /// The first signals of the transitions.
    pub rewards: Vec<RewardSpec>,
    /// The signals behind the rewards'.
    pub costs: Vec<CostSpec>,
    pub transitions: Transitions,
    /// `[states]` where an episode ends.
    pub terminal: Vec<bool>,
    /// `[states]` bit `a` is set where action `a` is allowed.
    pub admissible: Vec<u32>,
    /// `[states]` probability of beginning there.
    pub start: Vec<f64>,
    /// Decisions after which an episode is cut.
    pub horizon: usize,
    pub discount: f64,
    pub features: StateTable,
    pub hidden: StateTable,
    /// Policies that come with the data, `[states][actions]` probabilities.
    pub policies: Vec<(String, Vec<f64>)>,
}

impl TabularProcess {
    /// All actions' bits.
    pub fn all_actions(&self) -> u32 {
        u32::MAX >> (32 - self.actions.len().clamp(1, MOST_ACTIONS))
    }

    /// As a policy and its trainer see it.
    pub fn spec(&self) -> Spec {
        Spec {
            name: self.name.clone(),
            features: self.features.names.clone(),
            actions: vec![ActionSpec {
                name: "action".to_owned(),
                kind: ActionKind::Levels((0..self.actions.len()).map(|a| a as f64).collect()),
            }],
            rewards: self.rewards.clone(),
            costs: self.costs.clone(),
            hidden: self.hidden.names.clone(),
            horizon: self.horizon,
            discount: self.discount,
        }
    }

    /// That every table has its size, every index exists and probabilities sum to one.
    ///
    /// # Errors
    /// [`AgentError::Option`] with the table's name and what is wrong with it.
    pub fn check(&self) -> Result<(), AgentError> {
        let wrong = |key: &str, value: String, cause: &str| {
            Err(AgentError::Option {
                key: format!("{} of `{}`", key, self.name),
                value,
                cause: cause.to_owned(),
            })
        };
        let (states, actions) = (self.states, self.actions.len());
        if states == 0 || states > MOST_STATES {
            return wrong("states", states.to_string(), "must be 1 to 16777216");
        }
        if actions == 0 || actions > MOST_ACTIONS {
            return wrong("actions", actions.to_string(), "must be 1 to 32");
        }
        let t = &self.transitions;
        let sizes = [
            ("row_of", t.row_of.len(), states * actions),
            ("probability", t.probability.len(), t.next.len()),
            ("terminal", self.terminal.len(), states),
            ("admissible", self.admissible.len(), states),
            ("start", self.start.len(), states),
            (
                "features",
                self.features.values.len(),
                states * self.features.names.len(),
            ),
            (
                "hidden",
                self.hidden.values.len(),
                states * self.hidden.names.len(),
            ),
            (
                "signals",
                t.signals.len(),
                self.rewards.len() + self.costs.len(),
            ),
        ];
        for (key, found, wanted) in sizes {
            if found != wanted {
                return wrong(
                    key,
                    format!("{found} numbers"),
                    &format!("must be {wanted}"),
                );
            }
        }
        if t.row_of.iter().any(|&row| row as usize >= t.rows()) {
            return wrong("row_of", "a row".to_owned(), "does not exist");
        }
        if t.next.iter().any(|&next| next as usize >= states) {
            return wrong("next", "a state".to_owned(), "does not exist");
        }
        if self.admissible.iter().any(|m| m & self.all_actions() == 0) {
            return wrong("admissible", "a state".to_owned(), "allows no action");
        }
        for row in 0..t.rows() {
            let entries = &t.probability[t.entries(row)];
            if !is_distribution(entries) {
                return wrong(
                    "probability",
                    format!("{} in row {row}", entries.iter().sum::<f64>()),
                    "must be positive and sum to 1",
                );
            }
        }
        if !is_distribution(&self.start) {
            return wrong("start", "the probabilities".to_owned(), "must sum to 1");
        }
        let dead = |(&p, &end): (&f64, &bool)| p > 0.0 && end;
        if self.start.iter().zip(&self.terminal).any(dead) {
            return wrong("start", "a terminal state".to_owned(), "has no decisions");
        }
        Ok(())
    }

    /// As the device reads it.
    pub fn tables(&self) -> TabularTables {
        let t = &self.transitions;
        let mut tables = TabularTables {
            states: self.states,
            actions: self.actions.len(),
            row_of: t.row_of.clone(),
            bounds: t.bounds.clone(),
            terminal: self.terminal.iter().map(|&end| u32::from(end)).collect(),
            mask: self.admissible.clone(),
            looks: [&self.features.values[..], &self.hidden.values].concat(),
            ..TabularTables::default()
        };
        let starts = (0..self.states).filter(|&s| self.start[s] > 0.0);
        let starts: Vec<(u32, f64)> = starts.map(|s| (s as u32, self.start[s])).collect();
        let rows = (0..t.rows()).map(|row| {
            let pair = |e: usize| (t.next[e], t.probability[e]);
            t.entries(row).map(pair).collect::<Vec<_>>()
        });
        for row in rows.chain([starts.clone()]) {
            let total: f64 = row.iter().map(|&(_, p)| p).sum();
            let mut sum = 0.0;
            for (next, p) in row {
                sum += p;
                tables.next.push(next);
                tables.threshold.push(threshold(sum / total));
            }
        }
        tables.bounds.push(tables.next.len() as u32);
        for values in &t.signals {
            tables.signals.extend(values.iter().map(|&v| v as f32));
            // the start has no reward
            tables.signals.extend(starts.iter().map(|_| 0.0f32));
        }
        tables
    }
}

/// Whether these are probabilities of everything that can happen.
pub fn is_distribution(probabilities: &[f64]) -> bool {
    let sum: f64 = probabilities.iter().sum();
    probabilities.iter().all(|&p| p >= 0.0) && (sum - 1.0).abs() <= SUM_TOLERANCE
}
