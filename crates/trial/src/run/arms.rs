//! Every arm, piece by piece.
//!
//! Arms share the cohort and its random numbers, so a difference between two arms is an effect
//! within one patient. A piece is a fixed range of patients of one arm, whatever the device, the
//! shard or the number of runs it takes, so that pieces put together are one run.

use posology_cohort::Cohort;
use posology_cohort::event::Timelines;
use posology_kernels::simulate::Status;
use posology_sim::RuleSet;

use super::piece::{self, Piece};
use super::plan::ArmPlan;
pub use super::result::ArmResult;
use super::store::{Key, Store};
use super::{Stage, TrialError};
use crate::Trial;
use crate::allocation::Randomisation;
use crate::design::Arm;

/// A cohort in every arm.
#[derive(Clone, Debug)]
pub struct CohortResult {
    /// What reports call it.
    pub title: String,
    /// Real patients.
    pub real: bool,
    /// Who they are.
    pub cohort: Cohort,
    /// Each patient went through every arm; otherwise he was randomised to one.
    pub every_arm: bool,
    /// As in the trial.
    pub arms: Vec<ArmResult>,
}

impl CohortResult {
    /// Positions in each arm's `members` of the patients who are analysed: of those in every arm
    /// who completed every arm, or of those in one arm who completed it.
    pub fn analysed(&self) -> Vec<Vec<usize>> {
        if !self.every_arm {
            return self
                .arms
                .iter()
                .map(|arm| arm.complete().collect())
                .collect();
        }
        let all: Vec<usize> = (0..self.cohort.len())
            .filter(|&p| {
                self.arms
                    .iter()
                    .all(|arm| arm.status.get(p) == Some(&Status::Completed))
            })
            .collect();
        vec![all; self.arms.len()]
    }

    /// Patients who completed every arm (all arms hold the same patients).
    pub fn complete(&self) -> Vec<usize> {
        self.analysed().into_iter().next().unwrap_or_default()
    }
}

/// Patients per piece: few enough that an interruption loses little, many enough for a device.
pub(super) fn piece_size(patients: usize) -> usize {
    (patients.div_ceil(16))
        .next_multiple_of(1024)
        .clamp(1024, 1 << 16)
}

/// The arm of each patient; `None` if each goes through all.
fn allocated(trial: &Trial, cohort: &Cohort, seed: u64) -> Result<Option<Vec<u32>>, TrialError> {
    let allocation = &trial.allocation;
    if allocation.every_arm {
        return Ok(None);
    }
    let strata = strata(trial, cohort);
    let randomisation = Randomisation::new(&allocation.ratio, allocation.block, seed)?;
    Ok(Some(randomisation.allocate(&strata)?))
}

/// The stratum of each patient: bit `k` is whether condition `k` holds.
pub(crate) fn strata(trial: &Trial, cohort: &Cohort) -> Vec<u32> {
    let conditions: Vec<Vec<bool>> = trial
        .allocation
        .strata
        .iter()
        .map(|split| super::groups::holds(trial, split, cohort))
        .collect();
    (0..cohort.len())
        .map(|p| {
            conditions
                .iter()
                .enumerate()
                .map(|(k, holds)| u32::from(holds[p]) << k)
                .sum()
        })
        .collect()
}

/// Runs what `store` does not have yet; `None` if some pieces belong to other shards.
pub(super) fn run(
    stage: &mut Stage<'_, '_>,
    (number, title, real): (u32, &str, bool),
    cohort: Cohort,
    store: &mut dyn Store,
) -> Result<Option<CohortResult>, TrialError> {
    let trial = stage.trial;
    // real patients are few and known: each goes through every arm
    let arms = if real {
        None
    } else {
        allocated(trial, &cohort, stage.seed)?
    };
    let mut results = Vec::new();
    let mut whole = true;
    for (a, arm) in trial.arms.iter().enumerate() {
        let members: Vec<usize> = match &arms {
            Some(arms) => (0..cohort.len())
                .filter(|&p| arms[p] as usize == a)
                .collect(),
            None => (0..cohort.len()).collect(),
        };
        let plan = ArmPlan::new(trial, arm, stage.settings.clinician.as_deref())?;
        let label = format!("{title}, {}", arm.title);
        let mut result = ArmResult::default();
        let size = piece_size(cohort.len());
        for (part, members) in members.chunks(size).enumerate() {
            let key = Key {
                cohort: number,
                arm: a as u32,
                part: part as u32,
            };
            if !store.wants(key) {
                whole = false;
                continue;
            }
            let stored = match store.load(key)? {
                Some(table) => {
                    let like = empty(&plan);
                    ArmResult::from_table(&table, &like).filter(|found| found.members == members)
                }
                None => None,
            };
            let done = part * size;
            let found = match stored {
                Some(found) => {
                    if !stage.report(&label, done + members.len(), cohort.len()) {
                        return Err(interrupted(done, cohort.len()));
                    }
                    found
                }
                None => {
                    let piece = Piece {
                        members: members.to_vec(),
                        cohort: cohort.select(members),
                        label: &label,
                        place: (done, done + members.len()),
                        all: true,
                    };
                    let found = piece::run(stage, &plan, piece)?;
                    store.save(key, &found.to_table(&key.name()))?;
                    found
                }
            };
            result.append(found);
        }
        stage.step += 1;
        results.push(result);
    }
    Ok(whole.then(|| CohortResult {
        title: title.to_owned(),
        real,
        cohort,
        every_arm: arms.is_none(),
        arms: results,
    }))
}

fn interrupted(done: usize, total: usize) -> TrialError {
    TrialError::Simulation(posology_sim::SimError::Interrupted { done, total })
}

/// An arm without patients, with the columns that its pieces have.
fn empty(plan: &ArmPlan<'_>) -> ArmResult {
    use super::result::{CourseResult, GivenResult, VisitResult};
    let endpoints = plan.trial.endpoints.len();
    let toxicities = plan.model.toxicities.len();
    let course = plan.machine.as_ref().and_then(|machine| {
        let inputs = match (&machine.cycle, &plan.orders) {
            (_, Some(orders)) if orders.drugs.is_empty() => return None,
            (_, Some(orders)) => super::orders::inputs(orders),
            (Some(cycle), None) => cycle.inputs(),
            (None, None) => return None,
        };
        Some(CourseResult {
            intensity: vec![Vec::new(); inputs.len()],
            dose: vec![Vec::new(); inputs.len()],
            inputs,
            ..CourseResult::default()
        })
    });
    let visits = plan.machine.as_ref().map(|machine| VisitResult {
        times: machine.visit_times().collect(),
        seen: vec![Vec::new(); machine.seen.len()],
        level: Vec::new(),
    });
    ArmResult {
        values: vec![Vec::new(); endpoints],
        events: vec![Vec::new(); endpoints],
        worst: vec![Vec::new(); toxicities],
        grade: vec![Vec::new(); toxicities],
        course,
        visits,
        given: plan.orders.as_ref().map(|orders| GivenResult {
            orders: orders.clone(),
            amounts: vec![Vec::new(); orders.drugs.len()],
        }),
        ..ArmResult::default()
    }
}

/// What happens to a cohort in an arm until `end` (model time), without visits.
pub(super) fn timelines(
    trial: &Trial,
    arm: &Arm,
    cohort: &Cohort,
    end: f64,
) -> Result<Timelines, TrialError> {
    // under a trained policy the regimen is only what doses are relative to
    let regimen = arm.regimen.as_ref().filter(|_| arm.trained.is_none());
    let timelines = match regimen {
        Some((regimen, origin)) => regimen.timelines(&trial.model, cohort, end, origin)?,
        None => super::replay::empty(cohort.len(), end),
    };
    Ok(match &arm.rule {
        Some(rule) => timelines.with_rule(rule.every, 0.0, end),
        None => timelines,
    })
}

/// The rule of an arm, without visits.
pub(super) fn rules(arm: &Arm) -> RuleSet {
    arm.rule
        .as_ref()
        .map_or_else(RuleSet::default, |rule| rule.set.clone())
}
