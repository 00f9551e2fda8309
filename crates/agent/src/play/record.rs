//! Courses decision by decision.

use posology_kernels::device::Device;

use super::{Player, follow};
use crate::environment::Environment;
use crate::environment::patients::Patients;
use crate::error::AgentError;

/// What each patient got at each decision, until his course ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// `[patient][decision]` weighted reward.
    pub rewards: Vec<Vec<f64>>,
    /// `[cost][patient][decision]`
    pub costs: Vec<Vec<Vec<f64>>>,
    /// `[patient]` flags of the last transition.
    pub flags: Vec<u32>,
}

impl Record {
    /// `[patient]` sum of the weighted reward from a decision on.
    pub fn returns_from(&self, decision: usize) -> Vec<f64> {
        let rest = |row: &Vec<f64>| row.iter().skip(decision).sum();
        self.rewards.iter().map(rest).collect()
    }

    /// `[patient]` sum of a cost over the course.
    pub fn total_costs(&self, cost: usize) -> Vec<f64> {
        let rows = self.costs.get(cost).into_iter().flatten();
        rows.map(|row| row.iter().sum()).collect()
    }

    /// Put the patients of another record behind these.
    pub fn append(&mut self, other: Self) {
        if self.costs.is_empty() {
            self.costs = vec![Vec::new(); other.costs.len()];
        }
        self.rewards.extend(other.rewards);
        self.flags.extend(other.flags);
        for (all, part) in self.costs.iter_mut().zip(other.costs) {
            all.extend(part);
        }
    }
}

/// Plays one episode in every lane, as [`super::play`] does, and keeps every decision.
///
/// # Errors
/// As [`super::play`].
pub fn record(
    device: &Device,
    patients: &mut Patients,
    player: &Player,
    seed: u64,
    first_patient: u32,
) -> Result<Record, AgentError> {
    let (lanes, costs) = (patients.lanes(), patients.spec().costs.len());
    let mut found = Record {
        rewards: vec![Vec::new(); lanes],
        costs: vec![vec![Vec::new(); lanes]; costs],
        flags: vec![0; lanes],
    };
    follow(
        device,
        patients,
        player,
        seed,
        first_patient,
        &mut |lane, happened| {
            found.rewards[lane].push(happened.reward());
            for (k, rows) in found.costs.iter_mut().enumerate() {
                rows[lane].push(happened.cost(k));
            }
            found.flags[lane] = happened.flags;
        },
    )?;
    Ok(found)
}
