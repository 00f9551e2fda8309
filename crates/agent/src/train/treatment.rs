//! A trained policy as a clinician: what it gives patients of any cohort of its task's model.

use std::path::Path;

use posology_cohort::Cohort;
use posology_kernels::device::Device;

use super::container::Container;
use super::learner::network_shape;
use super::problem::Problem;
use super::run::problem_of;
use super::snapshot::{configuration, section};
use crate::environment::patients::{PatientOptions, Patients};
use crate::environment::{AutoReset, Environment};
use crate::error::AgentError;
use crate::policy::act::{Actor, Draw};
use crate::policy::shape::NetworkShape;
use crate::ppo::config::NetworkKind;
use crate::rollout::{Buffer, RESET, Rollout, TERMINATED};
use crate::task::Task;

/// Patients treated at once, at most.
const LANES: usize = 4096;
/// Decisions between two looks at who is still under treatment.
const CHUNK: usize = 64;

/// The policy of a checkpoint and the task that it was trained for.
#[derive(Clone, Debug)]
pub struct TrainedPolicy {
    /// The task, as the checkpoint holds it.
    pub problem: Problem,
    /// Updates before the checkpoint.
    pub update: u64,
    /// How it was trained, by name.
    pub algorithm: String,
    /// Seed of the patients that it was trained on.
    pub seed: u64,
    /// It is shown the patients' hidden parameters, as no clinician is.
    pub sees_hidden: bool,
    path: String,
    shape: NetworkShape,
    parameters: Vec<u32>,
}

/// How a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreatmentOptions {
    /// Seed of measurement errors and of drawn actions.
    pub seed: u64,
    /// The most probable action instead of a drawn one.
    pub deterministic: bool,
}

/// What was decided. Numbers are of the decisions that were taken; after a patient's last one they
/// mean nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Treated {
    /// `[patient]` decisions taken.
    pub decisions: Vec<u32>,
    /// `[patient]` the episode ended in a terminal state of the task.
    pub terminated: Vec<bool>,
    /// `[drug][decision][patient]` amounts of [`Task::doses`], coherent units.
    pub amounts: Vec<Vec<Vec<f32>>>,
    /// `[covariate][decision][patient]` values of [`Task::sets`], coherent units.
    pub values: Vec<Vec<Vec<f32>>>,
}

impl TrainedPolicy {
    /// The policy of a checkpoint file.
    ///
    /// # Errors
    /// A file that is no checkpoint, or whose task or network this program cannot read.
    pub fn read(path: &Path) -> Result<Self, AgentError> {
        let container = Container::read(path)?;
        let path = path.display().to_string();
        let problem = problem_of(&container, &path)?;
        let config = configuration(&container, &path)?;
        let broken = |cause: &str| AgentError::Checkpoint {
            path: path.clone(),
            cause: cause.to_owned(),
        };
        let task = problem.task();
        let task = task.ok_or_else(|| broken("its task has no patients of a model"))?;
        let shape = network_shape(&config, &task.spec)?;
        let words = container.words(section::PARAMETERS);
        let words = words.filter(|words| words.len() == shape.offsets().total);
        let parameters = words.ok_or_else(|| broken("its parameters do not fit its task"))?;
        Ok(Self {
            update: container.about["update"].as_u64().unwrap_or_default(),
            algorithm: container.about["configuration"]["algorithm"]
                .as_str()
                .unwrap_or("unknown")
                .to_owned(),
            seed: config.seed,
            sees_hidden: config.network == NetworkKind::TaskConditioned,
            problem,
            path,
            shape,
            parameters,
        })
    }

    /// Its task; [`TrainedPolicy::read`] has seen to it that there is one.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] if there is none.
    pub fn task(&self) -> Result<&Task, AgentError> {
        let task = self.problem.task();
        task.ok_or_else(|| AgentError::Checkpoint {
            path: self.path.clone(),
            cause: "its task has no patients of a model".to_owned(),
        })
    }

    /// Treats patients of the task's model from their first decision to the end of their episodes.
    /// What a patient is given depends on his parameters, his id and the seed, and on nobody else
    /// in the cohort.
    ///
    /// # Errors
    /// When the device fails.
    pub fn treat(
        &self,
        device: &Device,
        cohort: &Cohort,
        options: TreatmentOptions,
    ) -> Result<Treated, AgentError> {
        let task = self.task()?;
        let (n, horizon) = (cohort.len(), task.spec.horizon);
        let empty = |rows: usize| vec![vec![vec![0.0; n]; horizon]; rows];
        let mut out = Treated {
            decisions: vec![0; n],
            terminated: vec![false; n],
            amounts: empty(task.doses.len()),
            values: empty(task.sets().len()),
        };
        // random numbers count by id, so lanes are a stretch of ids
        let mut by_id: Vec<usize> = (0..n).collect();
        by_id.sort_by_key(|&p| cohort.ids[p]);
        let mut rest = &by_id[..];
        while let Some(&leader) = rest.first() {
            let first = cohort.ids[leader];
            let count = rest.partition_point(|&p| ((cohort.ids[p] - first) as usize) < LANES);
            let (members, later) = rest.split_at(count);
            self.stretch(device, task, cohort, (first, members), options, &mut out)?;
            rest = later;
        }
        Ok(out)
    }

    /// The patients `members`, whose ids lie in `first..first + LANES`.
    fn stretch(
        &self,
        device: &Device,
        task: &Task,
        cohort: &Cohort,
        (first, members): (u32, &[usize]),
        options: TreatmentOptions,
        out: &mut Treated,
    ) -> Result<(), AgentError> {
        let lane_of = |p: usize| (cohort.ids[p] - first) as usize;
        let last = members.last().map_or(0, |&p| lane_of(p));
        let lanes = (last + 1).next_power_of_two();
        // ids that are not treated here are played by a neighbour
        let mut player = vec![members[0]; lanes];
        for &p in members {
            player[lane_of(p)] = p;
        }
        let settings = PatientOptions {
            lanes,
            reset: AutoReset::Disabled,
            ..PatientOptions::default()
        };
        let mut patients = Patients::of(device, task, &cohort.select(&player), &settings)?;
        let actor = Actor::new(device, &self.shape, lanes);
        let words = &self.parameters;
        let parameters = Buffer::from_words(&device.client, words, 1, words.len());
        let horizon = task.spec.horizon.max(1);
        let chunk = CHUNK.min(horizon);
        let rollout = Rollout::new(device, &task.spec, chunk, lanes, actor.core().rows);
        let drugs = task.doses.len();
        let mut slots: Vec<usize> = task.doses.iter().map(|doses| doses.slot).collect();
        slots.extend(task.sets());
        let mut over = vec![false; members.len()];
        patients.reset(options.seed, first, &rollout)?;
        let mut done = 0;
        while done < horizon && over.iter().any(|over| !over) {
            let steps = chunk.min(horizon - done);
            for t in 0..steps {
                let draw = Draw {
                    seed: options.seed,
                    first,
                    step: (done + t) as u32,
                    deterministic: options.deterministic,
                };
                actor.act(&parameters, &rollout, t, draw);
                patients.step(&rollout, t)?;
                let held = patients.slots()?;
                for (k, slot) in slots.iter().enumerate() {
                    let row = &held[slot * lanes..(slot + 1) * lanes];
                    let rows = match k.checked_sub(drugs) {
                        None => &mut out.amounts[k],
                        Some(k) => &mut out.values[k],
                    };
                    for &p in members {
                        rows[done + t][p] = row[lane_of(p)];
                    }
                }
            }
            let flags = rollout.flags.words(&device.client)?;
            for (over, &p) in over.iter_mut().zip(members) {
                for t in 0..steps {
                    let flag = flags[t * lanes + lane_of(p)];
                    if *over || flag & RESET != 0 {
                        *over = true;
                        break;
                    }
                    out.decisions[p] += 1;
                    out.terminated[p] = flag & TERMINATED != 0;
                    *over = flag != 0;
                }
            }
            rollout.carry(device);
            done += steps;
        }
        Ok(())
    }
}
