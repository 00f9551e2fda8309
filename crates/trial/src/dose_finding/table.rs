//! The decision table of an interval design: what to do for every count.

use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;

use super::interval::IntervalRule;

/// P(p > bound) if p has the posterior of a uniform prior after `toxicities` among `patients`.
pub(super) fn posterior_above(bound: f64, toxicities: u32, patients: u32) -> f64 {
    1.0 - posterior_below(bound, toxicities, patients)
}

fn posterior_below(bound: f64, toxicities: u32, patients: u32) -> f64 {
    if bound <= 0.0 {
        return 0.0;
    }
    if bound >= 1.0 {
        return 1.0;
    }
    let toxic = f64::from(toxicities) + 1.0;
    let free = f64::from(patients - toxicities) + 1.0;
    checked_beta_reg(toxic, free, bound).unwrap_or(f64::NAN)
}

/// Decisions at a dose after so many patients there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// Patients treated at the dose.
    pub patients: u32,
    /// Escalate with at most so many toxicities; `None`: never.
    pub escalate: Option<u32>,
    /// De-escalate from so many toxicities on; `None`: never.
    pub deescalate: Option<u32>,
    /// Never give this dose or a higher one again from so many toxicities on; `None`: never.
    pub eliminate: Option<u32>,
    /// Stop the trial from so many toxicities on if this is the lowest dose; `None`: never.
    pub stop_lowest: Option<u32>,
}

/// One row per number of patients, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionTable {
    rows: Vec<DecisionRow>,
}

impl DecisionTable {
    /// The table up to `most` patients. `cutoff` is the posterior probability of excess toxicity
    /// that eliminates a dose, `lowest_cutoff` the one that ends the trial at the lowest dose.
    pub(super) fn new(
        rule: IntervalRule,
        target: f64,
        most: u32,
        cutoff: f64,
        lowest_cutoff: f64,
    ) -> Self {
        let row = |patients: u32| {
            let toxic_from = |cutoff: f64| {
                (patients >= 3)
                    .then(|| {
                        (1..=patients).find(|&y| posterior_above(target, y, patients) > cutoff)
                    })
                    .flatten()
            };
            let eliminate = toxic_from(cutoff);
            let (escalate, deescalate) = match rule {
                IntervalRule::Boin { .. } => {
                    let (low, high) = rule.boundaries(target);
                    let n = f64::from(patients);
                    ((low * n).floor(), (high * n).ceil())
                }
                IntervalRule::Keyboard { below, above } => keyboard(target, below, above, patients),
            };
            let count =
                |value: f64| (value >= 0.0 && value <= f64::from(patients)).then_some(value as u32);
            let deescalate = match (count(deescalate), eliminate) {
                (Some(count), Some(limit)) => Some(count.min(limit)),
                (count, limit) => count.or(limit),
            };
            DecisionRow {
                patients,
                escalate: count(escalate),
                deescalate,
                eliminate,
                stop_lowest: toxic_from(lowest_cutoff),
            }
        };
        Self {
            rows: (1..=most).map(row).collect(),
        }
    }

    /// All rows.
    pub fn rows(&self) -> &[DecisionRow] {
        &self.rows
    }

    /// The row for a number of patients at a dose; `None` for 0 or more than planned.
    pub fn row(&self, patients: u32) -> Option<&DecisionRow> {
        self.rows.get((patients as usize).checked_sub(1)?)
    }
}

/// Most toxicities that escalate and fewest that de-escalate. Keys of the width of the target key
/// lie side by side from it towards 0 and 1; what is left at the ends is no key. The key with the
/// highest posterior probability decides.
fn keyboard(target: f64, below: f64, above: f64, patients: u32) -> (f64, f64) {
    let width = below + above;
    let (low, high) = (target - below, target + above);
    let side = |toxicities: u32| {
        let mass = |from: f64, to: f64| {
            posterior_below(to, toxicities, patients) - posterior_below(from, toxicities, patients)
        };
        // Tolerance: a key that ends at 0 or 1 up to rounding still counts.
        let fits = |from: f64, to: f64| from >= -1e-9 && to <= 1.0 + 1e-9;
        let best = |step: f64, start: f64| {
            (0..)
                .map(|index| start + step * f64::from(index))
                .map(|from| (from.min(from + step), from.max(from + step)))
                .take_while(|&(from, to)| fits(from, to))
                .map(|(from, to)| mass(from, to))
                .fold(0.0, f64::max)
        };
        let (under, inside, over) = (best(-width, low), mass(low, high), best(width, high));
        if under > inside && under >= over {
            -1
        } else {
            i32::from(over > inside)
        }
    };
    let escalate = (0..=patients).rev().find(|&count| side(count) < 0);
    let deescalate = (0..=patients).find(|&count| side(count) > 0);
    (
        escalate.map_or(-1.0, f64::from),
        deescalate.map_or(f64::INFINITY, f64::from),
    )
}
