//! Virtual patients of a task as an environment.

use std::sync::Arc;

use posology_cohort::Cohort;
use posology_kernels::device::Device;
use posology_kernels::environment::{DecisionBuffers, DecisionPlan, Lanes, Rule};
use posology_kernels::probe;

use super::{AutoReset, Environment};
use crate::error::AgentError;
use crate::rollout::Rollout;
use crate::spec::{RewardSpec, Spec};
use crate::task::Task;

/// Who plays, and how episodes follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct PatientOptions {
    pub lanes: usize,
    pub reset: AutoReset,
    /// Patients drawn before episodes begin; `None` takes the task's number.
    pub pool: Option<usize>,
    /// Seed of the population.
    pub seed: u64,
    /// Id of the first patient of the pool: held-out patients have other ids.
    pub first_id: u32,
    /// Instead of the weights that the task declares, one per term of the reward.
    pub weights: Option<Vec<f64>>,
    /// Terms of the reward that shape learning count.
    pub learning: bool,
    /// Cut the first episode of each lane after another number of decisions, so that what is
    /// learnt from at one time comes from all of a treatment.
    pub staggered: bool,
    /// Decisions after which an episode is cut instead of the task's number; what follows has value.
    pub horizon: Option<usize>,
}

impl Default for PatientOptions {
    fn default() -> Self {
        Self {
            lanes: 1024,
            reset: AutoReset::NextStep,
            pool: None,
            seed: 1,
            first_id: 0,
            weights: None,
            learning: false,
            staggered: false,
            horizon: None,
        }
    }
}

/// Lanes of patients of one task. Patient `p` of an episode has the parameters of the pool's
/// patient number `(p - first patient) mod pool`.
pub struct Patients {
    spec: Spec,
    lanes: Lanes,
}

impl Patients {
    /// Draws the pool and puts it on the device.
    ///
    /// # Errors
    /// Findings about the population; weights that do not fit the reward; the device.
    pub fn new(device: &Device, task: &Task, options: &PatientOptions) -> Result<Self, AgentError> {
        let pool_size = options.pool.unwrap_or(task.pool).max(1);
        let cohort = task.patients(device, pool_size, options.seed, options.first_id)?;
        Self::of(device, task, &cohort, options)
    }

    /// Lanes of these patients instead of drawn ones; the pool is all of them.
    ///
    /// # Errors
    /// Weights that do not fit the reward; nobody to treat; the device.
    pub fn of(
        device: &Device,
        task: &Task,
        cohort: &Cohort,
        options: &PatientOptions,
    ) -> Result<Self, AgentError> {
        let pool_size = cohort.len();
        if pool_size == 0 {
            return Err(AgentError::Option {
                key: "patients".to_owned(),
                value: "0".to_owned(),
                cause: "there is nobody to treat".to_owned(),
            });
        }
        let pool: Vec<f32> = cohort
            .slots
            .iter()
            .flat_map(|row| row.iter().map(|&value| value as f32))
            .collect();
        let terms = task.spec.rewards.len();
        let weights: Vec<f32> = match &options.weights {
            Some(weights) if weights.len() != terms => {
                return Err(AgentError::Option {
                    key: "weights".to_owned(),
                    value: format!("{weights:?}"),
                    cause: format!("the task has {terms} reward terms"),
                });
            }
            Some(weights) => {
                let one = weights.iter().map(|&w| w as f32);
                one.clone().chain(one).collect()
            }
            None => {
                let counts = |reward: &RewardSpec| options.learning || !reward.shaping;
                let of = |end: fn(&(f64, f64)) -> f64| {
                    let terms = task.spec.rewards.iter().zip(task.weights());
                    terms.map(move |(r, range)| if counts(r) { end(range) as f32 } else { 0.0 })
                };
                of(|range| range.0).chain(of(|range| range.1)).collect()
            }
        };
        let guard = !probe::compensation_survives(device)?;
        let mut plan: Arc<DecisionPlan> = task.plan(guard, options.reset);
        if options.staggered {
            Arc::make_mut(&mut plan).staggered = true;
        }
        let floors = task.floors()?;
        let mut lanes = Lanes::new(
            device,
            plan,
            options.lanes,
            options.horizon.unwrap_or(task.spec.horizon) as u32,
            &pool,
            pool_size,
            &floors,
            &task.interval,
            &weights,
        )?;
        if let Some((sight, typical)) = task.foresight(guard) {
            lanes.look_ahead(sight, &typical, &task.interval)?;
        }
        Ok(Self {
            spec: task.spec.clone(),
            lanes,
        })
    }

    /// What the kernel is built with.
    pub fn plan(&self) -> &Arc<DecisionPlan> {
        self.lanes.plan()
    }

    /// Neighbouring lanes, so many, play the same patient from the next reset on.
    pub fn copies(&mut self, copies: usize) {
        self.lanes.copies(copies as u32);
    }

    /// Parameters of a rule, `[kept slots][lanes]`; a reset must follow.
    pub fn keep(&mut self, values: &[f32]) {
        self.lanes.keep(values);
    }

    /// What every slot of every lane holds now, `[slots][lanes]`: the host reads it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn slots(&self) -> Result<Vec<f32>, AgentError> {
        Ok(self.lanes.slots()?)
    }

    /// Put these values, one per slot, into these slots of all lanes.
    ///
    /// # Errors
    /// When the device fails.
    pub fn put(&mut self, slots: &[usize], values: &[f32]) -> Result<(), AgentError> {
        Ok(self.lanes.put(slots, values)?)
    }

    /// From now on the patient of each lane meets the measurement errors of this number.
    ///
    /// # Errors
    /// When the device fails.
    pub fn renumber(&mut self, numbers: &[u32]) -> Result<(), AgentError> {
        Ok(self.lanes.renumber(numbers)?)
    }

    /// The actions of a rule at decision `t`, one launch.
    pub fn follow(&self, rollout: &Rollout, t: usize, rule: &Rule) {
        self.lanes.follow(t, rule, &buffers(rollout));
    }

    /// Random actions at decision `t`, the `number`th of the episode, one launch.
    pub fn wander(&self, rollout: &Rollout, t: usize, number: usize, seed: u64) {
        self.lanes.wander(t, number as u32, seed, &buffers(rollout));
    }
}

pub(super) fn buffers(rollout: &Rollout) -> DecisionBuffers {
    let of = |buffer: &crate::rollout::Buffer| (buffer.handle.clone(), buffer.len());
    DecisionBuffers {
        steps: rollout.steps,
        action: of(&rollout.action),
        observation: of(&rollout.observation),
        mask: of(&rollout.mask),
        started: of(&rollout.started),
        hidden: of(&rollout.hidden),
        reward: of(&rollout.reward),
        terms: of(&rollout.terms),
        cost: of(&rollout.cost),
        flags: of(&rollout.flags),
    }
}

impl Environment for Patients {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn lanes(&self) -> usize {
        self.lanes.lanes()
    }

    fn launches(&self) -> u64 {
        self.lanes.launches()
    }

    fn reset(&mut self, seed: u64, first_patient: u32, out: &Rollout) -> Result<(), AgentError> {
        self.lanes.begin(seed, first_patient, &buffers(out));
        Ok(())
    }

    fn step(&mut self, rollout: &Rollout, t: usize) -> Result<(), AgentError> {
        self.lanes.step(t, &buffers(rollout));
        Ok(())
    }

    fn snapshot(&self) -> Result<Vec<u8>, AgentError> {
        Ok(self.lanes.snapshot()?)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        if self.lanes.restore(bytes) {
            return Ok(());
        }
        Err(AgentError::Checkpoint {
            path: "environment".to_owned(),
            cause: "its state belongs to another task or number of lanes".to_owned(),
        })
    }
}
