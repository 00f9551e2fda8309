//! The rest of one real patient's course, whoever treats him.

use posology_cohort::Cohort;
use posology_kernels::device::Device;
use serde::Serialize;

use super::compare::{PLAN, searched};
use super::posterior::History;
use super::tune::TuneOptions;
use crate::environment::AutoReset;
use crate::environment::patients::{PatientOptions, Patients};
use crate::error::AgentError;
use crate::play::{
    Begun, OpenLoopOptions, Player, Record, SearchOptions, optimise_among, record, search_among,
};
use crate::rollout::TERMINATED;
use crate::task::Task;

/// The rest of the real patient's course; means over courses with other measurement errors.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rest {
    pub name: String,
    /// Return from the first decision that is not known.
    #[serde(rename = "return")]
    pub rest: f64,
    /// Return of the whole course.
    pub whole: f64,
    /// Costs of the whole course.
    pub costs: Vec<f64>,
    /// Decisions of the whole course.
    pub decisions: f64,
    /// Share of the courses that end in a terminal state.
    pub terminated: f64,
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The real patient after his known decisions.
pub(super) struct Course<'a> {
    pub device: &'a Device,
    pub task: &'a Task,
    pub real: &'a Cohort,
    pub number: u32,
    pub history: &'a History,
    pub futures: usize,
    pub seed: u64,
}

impl Course<'_> {
    fn patients(&self) -> Result<Patients, AgentError> {
        let options = PatientOptions {
            lanes: self.futures,
            reset: AutoReset::Disabled,
            seed: self.seed,
            ..PatientOptions::default()
        };
        let mut patients = Patients::of(self.device, self.task, self.real, &options)?;
        patients.copies(self.futures);
        Ok(patients)
    }

    /// Everyone has the same past and measurement errors of his own from now on; those of the
    /// first are the ones that the patient meets in an evaluation.
    fn begun(&self) -> Begun {
        Begun {
            actions: self.history.plan(self.futures),
            decisions: self.history.decisions(),
            numbers: (0..self.futures as u32)
                .map(|k| self.number.wrapping_add(k))
                .collect(),
        }
    }

    pub fn rest(&self, name: &str, player: Player) -> Result<Rest, AgentError> {
        let mut patients = self.patients()?;
        self.play(name, &mut patients, player)
    }

    fn play(
        &self,
        name: &str,
        patients: &mut Patients,
        player: Player,
    ) -> Result<Rest, AgentError> {
        let player = Player::After(self.begun(), Box::new(player));
        let found: Record = record(self.device, patients, &player, self.seed, self.number)?;
        let lengths = found.rewards.iter().map(|row| row.len() as f64);
        let ended = found.flags.iter().filter(|&&f| f & TERMINATED != 0).count();
        Ok(Rest {
            name: name.to_owned(),
            rest: mean(&found.returns_from(self.history.decisions())),
            whole: mean(&found.returns_from(0)),
            costs: (0..found.costs.len())
                .map(|k| mean(&found.total_costs(k)))
                .collect(),
            decisions: lengths.sum::<f64>() / self.futures as f64,
            terminated: ended as f64 / self.futures as f64,
        })
    }

    /// What is best for him from now on, the past as it is.
    pub fn oracle(&self, options: &TuneOptions) -> Result<Rest, AgentError> {
        let (device, task) = (self.device, self.task);
        let Some(baseline) = searched(task, options.oracle.as_deref())? else {
            let how = OpenLoopOptions {
                first_id: self.number,
                seed: self.seed,
                begun: self.history.actions.clone(),
                ..options.open_loop.clone()
            };
            let found = optimise_among(device, task, self.real, &how, |_, _| {})?;
            let rows = found.plans.iter().flatten().flatten();
            let plan = rows.flat_map(|&v| std::iter::repeat_n(v, self.futures));
            return self.rest(PLAN, Player::Plan(plan.collect()));
        };
        let how = SearchOptions {
            patients: 1,
            first_id: self.number,
            seed: self.seed,
            replicates: self.futures,
            refinements: 2,
            begun: self.history.actions.clone(),
        };
        let found = search_among(device, task, baseline, self.real, &how, |_, _| {})?;
        let mut patients = self.patients()?;
        let mut kept = vec![0.0f32; patients.plan().kept_slots.len() * self.futures];
        for (axis, values) in baseline.search.iter().zip(&found.parameters) {
            if let (Some(row), Some(&value)) = (task.kept(axis), values.first()) {
                kept[row * self.futures..(row + 1) * self.futures].fill(value as f32);
            }
        }
        patients.keep(&kept);
        let rule = Player::Rule(task.rule(patients.plan(), baseline));
        self.play(&baseline.name, &mut patients, rule)
    }
}
