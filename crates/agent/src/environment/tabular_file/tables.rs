//! Transitions, start, features and policies from their tables.

use std::collections::HashMap;

use posology_model::diagnostic::Diagnostics;

use super::gains::Gains;
use super::sheet::{Sheet, report};
use crate::environment::process::{Outcome, StateTable, Transitions};

/// The pairs of state and action, and what happens to those that the table leaves out.
pub(super) struct Pairs<'a> {
    pub states: usize,
    pub actions: usize,
    pub terminal: &'a [bool],
    /// A pair without a row goes on as the mean of the state's rows.
    pub mean: bool,
    /// Policies are kept from pairs without a row.
    pub masked: bool,
}

/// Next states and probabilities of the pairs that the table has.
pub(super) type Rows = HashMap<(usize, usize), Vec<(usize, f64)>>;

impl Pairs<'_> {
    /// The table of transitions; nothing where a pair that needs a row has none.
    pub fn read(&self, sheet: &Sheet, found: &mut Diagnostics) -> Option<Rows> {
        if !sheet.expect_distribution(&["state", "action"], found) {
            return None;
        }
        let before = found.len();
        let mut rows = Rows::new();
        for row in &sheet.rows {
            let (Some(state), Some(action), Some(outcomes)) = (
                sheet.index(row, 0, self.states, found),
                sheet.index(row, 1, self.actions, found),
                sheet.distribution(row, 2, self.states, found),
            ) else {
                continue;
            };
            if self.terminal[state] {
                let message = format!("state {state} is terminal, nothing follows it");
                let finding = sheet.place(row).error("K110", message);
                report(
                    found,
                    finding.help("leave the row out, or the state out of `terminal`"),
                );
            }
            if rows.insert((state, action), outcomes).is_some() {
                let message = format!("state {state} and action {action} stand here twice");
                report(found, sheet.place(row).error("K107", message));
            }
        }
        if found.len() > before {
            return None;
        }
        for state in (0..self.states).filter(|&s| !self.terminal[s]) {
            let missing: Vec<usize> = (0..self.actions)
                .filter(|&a| !rows.contains_key(&(state, a)))
                .collect();
            let (message, help) = match missing.first() {
                Some(_) if missing.len() == self.actions => (
                    format!("state {state} has no row"),
                    "give it transitions, or list it in `terminal`",
                ),
                Some(action) if !self.mean => (
                    format!("state {state} and action {action} have no row"),
                    "add it, or say `inadmissible = \"mean\"`",
                ),
                _ => continue,
            };
            report(
                found,
                sheet.header_place().error("K108", message).help(help),
            );
            return None;
        }
        Some(rows)
    }

    /// Bits of the actions that policies may take.
    pub fn admissible(&self, rows: &Rows) -> Vec<u32> {
        let all = u32::MAX >> (32 - self.actions);
        let bit = |s: usize, a: usize| u32::from(rows.contains_key(&(s, a))) << a;
        let mask = |s: usize| match self.terminal[s] || !self.masked {
            true => all,
            false => (0..self.actions).fold(0, |mask, a| mask | bit(s, a)),
        };
        (0..self.states).map(mask).collect()
    }

    /// Every pair's row, with what it gains.
    pub fn transitions(&self, rows: &Rows, gains: &Gains) -> Transitions {
        let mut out = Transitions::new(gains.signals());
        for state in 0..self.states {
            let given: Vec<&Vec<(usize, f64)>> = (0..self.actions)
                .filter_map(|a| rows.get(&(state, a)))
                .collect();
            let mean = mean(&given);
            for action in 0..self.actions {
                let pairs = match rows.get(&(state, action)) {
                    Some(pairs) => pairs.clone(),
                    // an episode has ended in a terminal state: this is never drawn
                    None if self.terminal[state] => vec![(state, 1.0)],
                    None => mean.clone(),
                };
                let outcome = |(next, probability): (usize, f64)| Outcome {
                    next: next as u32,
                    probability,
                    signals: gains.of(state, action, next),
                };
                let outcomes: Vec<Outcome> = pairs.into_iter().map(outcome).collect();
                let row = out.row(&outcomes);
                out.row_of.push(row);
            }
        }
        out
    }
}

/// The plain mean of some rows, by next state.
fn mean(rows: &[&Vec<(usize, f64)>]) -> Vec<(usize, f64)> {
    let mut sum = std::collections::BTreeMap::new();
    for &&(next, p) in rows
        .iter()
        .flat_map(|row| row.iter())
        .collect::<Vec<_>>()
        .iter()
    {
        *sum.entry(next).or_insert(0.0) += p / rows.len() as f64;
    }
    sum.into_iter().collect()
}

/// Probability of beginning in each state.
pub(super) fn start(sheet: &Sheet, pairs: &Pairs<'_>, found: &mut Diagnostics) -> Option<Vec<f64>> {
    if !sheet.expect_distribution(&[], found) {
        return None;
    }
    let [row] = &sheet.rows[..] else {
        let message = format!("the start has one row, not {}", sheet.rows.len());
        found.push(sheet.header_place().error("K108", message));
        return None;
    };
    let mut start = vec![0.0; pairs.states];
    for (state, p) in sheet.distribution(row, 0, pairs.states, found)? {
        if pairs.terminal[state] {
            let message = format!("nobody can begin in the terminal state {state}");
            found.push(sheet.place(row).error("K110", message));
            return None;
        }
        start[state] = p;
    }
    Some(start)
}

/// Features of states: a column `state`, then one per feature; terminal and other states without
/// a row have zeros.
pub(super) fn state_table(
    sheet: &Sheet,
    states: usize,
    found: &mut Diagnostics,
) -> Option<StateTable> {
    if sheet.header.first().map(String::as_str) != Some("state") || sheet.header.len() < 2 {
        let message = "the header is not `state`, then a column per feature";
        found.push(sheet.header_place().error("K102", message));
        return None;
    }
    let before = found.len();
    let names: Vec<String> = sheet.header[1..].to_vec();
    let mut values = vec![0.0; names.len() * states];
    let mut seen = vec![false; states];
    for row in &sheet.rows {
        let Some(state) = sheet.index(row, 0, states, found) else {
            continue;
        };
        if std::mem::replace(&mut seen[state], true) {
            let message = format!("state {state} stands here twice");
            report(found, sheet.place(row).error("K107", message));
        }
        for k in 0..names.len() {
            if let Some(value) = sheet.number(row, k + 1, found) {
                values[k * states + state] = value as f32;
            }
        }
    }
    (found.len() == before).then_some(StateTable { names, values })
}

/// A policy, `[states][actions]`; terminal states are uniform.
pub(super) fn policy(
    sheet: &Sheet,
    pairs: &Pairs<'_>,
    found: &mut Diagnostics,
) -> Option<Vec<f64>> {
    if !sheet.expect_distribution(&["state"], found) {
        return None;
    }
    let before = found.len();
    let actions = pairs.actions;
    let mut policy = vec![0.0; pairs.states * actions];
    let mut seen = vec![false; pairs.states];
    for row in &sheet.rows {
        let (Some(state), Some(chances)) = (
            sheet.index(row, 0, pairs.states, found),
            sheet.distribution(row, 1, actions, found),
        ) else {
            continue;
        };
        if std::mem::replace(&mut seen[state], true) {
            let message = format!("state {state} stands here twice");
            report(found, sheet.place(row).error("K107", message));
        }
        for (action, p) in chances {
            policy[state * actions + action] = p;
        }
    }
    for (state, seen) in seen.into_iter().enumerate() {
        if pairs.terminal[state] {
            policy[state * actions..(state + 1) * actions].fill(1.0 / actions as f64);
        } else if !seen {
            let message = format!("state {state} has no row");
            report(found, sheet.header_place().error("K108", message));
        }
    }
    (found.len() == before).then_some(policy)
}
