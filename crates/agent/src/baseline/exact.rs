//! Exact values of tabular processes, in f64: a policy's by its linear system, the optimum by
//! policy iteration (Howard 1960). Episodes are not cut at the horizon here.

use crate::environment::process::TabularProcess;
use crate::error::AgentError;

/// Non-terminal states of the largest process whose linear system is solved.
const MOST_STATES: usize = 4096;
/// Improvements of policy iteration; it ends after a handful.
const MOST_IMPROVEMENTS: usize = 1000;
/// An action replaces another only if it is better by more than rounding.
const GAIN: f64 = 1e-13;

/// What is summed over an episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gain<'a> {
    /// The weighted reward.
    Reward,
    /// Reward terms with these weights.
    Weighted(&'a [f64]),
    /// Cost number `k`.
    Cost(usize),
    /// One per decision: the length of an episode.
    Decisions,
}

/// Values of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Mean over the start distribution.
    pub mean: f64,
    /// `[states]`; 0 in terminal states.
    pub by_state: Vec<f64>,
}

/// The optimum and a policy that reaches it.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    pub value: Value,
    /// `[states]` the action.
    pub action: Vec<usize>,
}

/// Among which actions the optimum is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    All,
    Admissible,
}

/// The uniform policy, `[states][actions]`.
pub fn uniform(process: &TabularProcess, among: Among) -> Vec<f64> {
    let actions = process.actions.len();
    let row = |&mask: &u32| {
        let mask = allowed(process, mask, among);
        let share = 1.0 / f64::from(mask.count_ones());
        (0..actions).map(move |a| if mask >> a & 1 == 1 { share } else { 0.0 })
    };
    process.admissible.iter().flat_map(row).collect()
}

/// The policy that always takes these actions, `[states][actions]`.
pub fn deterministic(process: &TabularProcess, action: &[usize]) -> Vec<f64> {
    let mut policy = vec![0.0; process.states * process.actions.len()];
    for (state, &a) in action.iter().enumerate() {
        policy[state * process.actions.len() + a] = 1.0;
    }
    policy
}

/// The value of a policy `[states][actions]` of probabilities.
///
/// # Errors
/// [`AgentError::Option`] where the policy is none of this process, the process too large, or
/// episodes never end under it and nothing is discounted.
pub fn evaluate(
    process: &TabularProcess,
    policy: &[f64],
    gain: Gain<'_>,
) -> Result<Value, AgentError> {
    check(process, policy)?;
    let by_entry = entries(process, gain)?;
    Solver::new(process)?.evaluate(policy, &by_entry)
}

/// The best policy for a gain.
///
/// # Errors
/// As [`evaluate`].
pub fn optimum(
    process: &TabularProcess,
    gain: Gain<'_>,
    among: Among,
) -> Result<Optimum, AgentError> {
    let by_entry = entries(process, gain)?;
    let mut solver = Solver::new(process)?;
    let actions = process.actions.len();
    let mut action: Vec<usize> = process
        .admissible
        .iter()
        .map(|&mask| allowed(process, mask, among).trailing_zeros() as usize)
        .collect();
    // a stochastic first policy ends wherever any ends
    let mut value = solver.evaluate(&uniform(process, among), &by_entry)?;
    for round in 0..MOST_IMPROVEMENTS {
        let rows = row_values(process, &by_entry, &value.by_state);
        let mut changed = round == 0;
        for state in (0..process.states).filter(|&s| !process.terminal[s]) {
            let mask = allowed(process, process.admissible[state], among);
            let q = |a: usize| rows[process.transitions.row_of[state * actions + a] as usize];
            let mut best = action[state];
            for a in (0..actions).filter(|a| mask >> a & 1 == 1) {
                if q(a) > q(best) + GAIN {
                    best = a;
                }
            }
            changed |= best != action[state];
            action[state] = best;
        }
        if !changed {
            break;
        }
        value = solver.evaluate(&deterministic(process, &action), &by_entry)?;
    }
    Ok(Optimum { value, action })
}

/// By how much the values miss Bellman's optimality equation, at most.
pub fn bellman_residual(
    process: &TabularProcess,
    gain: Gain<'_>,
    among: Among,
    value: &Value,
) -> Result<f64, AgentError> {
    let by_entry = entries(process, gain)?;
    let rows = row_values(process, &by_entry, &value.by_state);
    let actions = process.actions.len();
    let residual = (0..process.states)
        .filter(|&s| !process.terminal[s])
        .map(|state| {
            let mask = allowed(process, process.admissible[state], among);
            let best = (0..actions)
                .filter(|a| mask >> a & 1 == 1)
                .map(|a| rows[process.transitions.row_of[state * actions + a] as usize])
                .fold(f64::NEG_INFINITY, f64::max);
            (best - value.by_state[state]).abs()
        });
    Ok(residual.fold(0.0, f64::max))
}

fn allowed(process: &TabularProcess, mask: u32, among: Among) -> u32 {
    match among {
        Among::All => process.all_actions(),
        Among::Admissible => mask & process.all_actions(),
    }
}

fn wrong(key: &str, value: String, cause: &str) -> AgentError {
    AgentError::Option {
        key: key.to_owned(),
        value,
        cause: cause.to_owned(),
    }
}

fn check(process: &TabularProcess, policy: &[f64]) -> Result<(), AgentError> {
    let actions = process.actions.len();
    if policy.len() != process.states * actions {
        return Err(wrong(
            "policy",
            format!("{} numbers", policy.len()),
            "must be [states][actions]",
        ));
    }
    // probabilities of a network are f32
    let sums = |row: &[f64]| (row.iter().sum::<f64>() - 1.0).abs() < 1e-5;
    let bad = policy
        .chunks(actions)
        .enumerate()
        .filter(|&(s, _)| !process.terminal[s])
        .find(|&(_, row)| !sums(row) || row.iter().any(|&p| p.is_nan() || p < 0.0));
    match bad {
        Some((state, _)) => Err(wrong(
            "policy",
            format!("state {state}"),
            "probabilities must be positive and sum to 1",
        )),
        None => Ok(()),
    }
}

/// The gain of every entry of the transitions.
fn entries(process: &TabularProcess, gain: Gain<'_>) -> Result<Vec<f64>, AgentError> {
    let t = &process.transitions;
    let weighted = |weights: &mut dyn Iterator<Item = f64>| {
        let mut sum = vec![0.0; t.next.len()];
        for (weight, signal) in weights.zip(&t.signals) {
            for (total, value) in sum.iter_mut().zip(signal) {
                *total += weight * value;
            }
        }
        sum
    };
    match gain {
        Gain::Reward => Ok(weighted(&mut process.rewards.iter().map(|r| r.weight))),
        Gain::Weighted(weights) if weights.len() == process.rewards.len() => {
            Ok(weighted(&mut weights.iter().copied()))
        }
        Gain::Weighted(weights) => Err(wrong(
            "weights",
            format!("{weights:?}"),
            "must be one per reward term",
        )),
        Gain::Cost(k) => t
            .signals
            .get(process.rewards.len() + k)
            .cloned()
            .ok_or_else(|| wrong("cost", k.to_string(), "does not exist")),
        Gain::Decisions => Ok(vec![1.0; t.next.len()]),
    }
}

/// Per row of transitions: what is gained now and, discounted, in the state that follows.
fn row_values(process: &TabularProcess, by_entry: &[f64], by_state: &[f64]) -> Vec<f64> {
    let t = &process.transitions;
    let one = |e: usize| {
        t.probability[e] * (by_entry[e] + process.discount * by_state[t.next[e] as usize])
    };
    (0..t.rows())
        .map(|row| t.entries(row).map(one).sum())
        .collect()
}

/// The linear system `(I - discount P) v = r` over the non-terminal states.
struct Solver<'a> {
    process: &'a TabularProcess,
    /// The non-terminal states.
    living: Vec<usize>,
    /// `[states]` position among the living.
    position: Vec<Option<usize>>,
    /// `[living][living + 1]`, the right-hand side last.
    matrix: Vec<f64>,
}

impl<'a> Solver<'a> {
    fn new(process: &'a TabularProcess) -> Result<Self, AgentError> {
        process.check()?;
        let living: Vec<usize> = (0..process.states)
            .filter(|&s| !process.terminal[s])
            .collect();
        if living.len() > MOST_STATES {
            return Err(wrong(
                "states",
                living.len().to_string(),
                "exact values are for at most 4096 states",
            ));
        }
        let mut position = vec![None; process.states];
        for (i, &state) in living.iter().enumerate() {
            position[state] = Some(i);
        }
        Ok(Self {
            process,
            matrix: vec![0.0; living.len() * (living.len() + 1)],
            living,
            position,
        })
    }

    fn evaluate(&mut self, policy: &[f64], by_entry: &[f64]) -> Result<Value, AgentError> {
        let (n, actions) = (self.living.len(), self.process.actions.len());
        let (t, width) = (&self.process.transitions, n + 1);
        self.matrix.fill(0.0);
        for (i, &state) in self.living.iter().enumerate() {
            let line = &mut self.matrix[i * width..(i + 1) * width];
            line[i] = 1.0;
            let chances = &policy[state * actions..(state + 1) * actions];
            // an f32 policy sums to one only nearly
            let total: f64 = chances.iter().sum();
            for (a, &chance) in chances.iter().enumerate().filter(|&(_, &p)| p > 0.0) {
                for e in t.entries(t.row_of[state * actions + a] as usize) {
                    let p = chance / total * t.probability[e];
                    line[n] += p * by_entry[e];
                    if let Some(j) = self.position[t.next[e] as usize] {
                        line[j] -= self.process.discount * p;
                    }
                }
            }
        }
        if !eliminate(&mut self.matrix, n) {
            return Err(wrong(
                "policy",
                "this one".to_owned(),
                "has no finite value: some episodes never end under it",
            ));
        }
        let mut by_state = vec![0.0; self.process.states];
        for (i, &state) in self.living.iter().enumerate() {
            by_state[state] = self.matrix[i * width + n];
        }
        let start = self.process.start.iter().zip(&by_state);
        Ok(Value {
            mean: start.map(|(p, v)| p * v).sum(),
            by_state,
        })
    }
}

/// Gauss's elimination with row pivots of `[n][n + 1]`; the solution is the last
/// column. `false` where the matrix is singular.
fn eliminate(matrix: &mut [f64], n: usize) -> bool {
    let width = n + 1;
    for k in 0..n {
        let size = |row: usize| matrix[row * width + k].abs();
        let pivot = (k..n).fold(
            k,
            |best, row| if size(row) > size(best) { row } else { best },
        );
        if size(pivot) < 1e-12 {
            return false;
        }
        for column in k..width {
            matrix.swap(k * width + column, pivot * width + column);
        }
        let (above, rest) = matrix.split_at_mut((k + 1) * width);
        let line = &above[k * width..];
        for row in rest.chunks_mut(width) {
            let factor = row[k] / line[k];
            if factor != 0.0 {
                for (x, y) in row[k..].iter_mut().zip(&line[k..]) {
                    *x -= factor * y;
                }
            }
        }
    }
    for k in (0..n).rev() {
        let mut value = matrix[k * width + n];
        for j in k + 1..n {
            value -= matrix[k * width + j] * matrix[j * width + n];
        }
        matrix[k * width + n] = value / matrix[k * width + k];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::eliminate;

    #[test]
    fn elimination_swaps_rows() {
        // 2 y = 4, x + y = 5
        let mut matrix = [0.0, 2.0, 4.0, 1.0, 1.0, 5.0];
        assert!(eliminate(&mut matrix, 2));
        assert_eq!((matrix[2], matrix[5]), (3.0, 2.0));
        assert!(!eliminate(&mut [1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 2));
    }
}
