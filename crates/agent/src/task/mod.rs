//! Task files: any model and population as a decision process.
//!
//! A task says when decisions are made, what may be decided, what is measured, what the policy
//! sees of it, what is to be gained, which costs have limits and when an episode ends. Everything
//! the policy sees is made of measurements, covariates, its own actions and memory of these; the
//! true states serve rewards, costs and ends only.

mod compile;
mod course;
mod dosing;
pub mod edit;
mod read;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use posology_cohort::population_file::Population;
use posology_cohort::{Cohort, Sampler};
use posology_kernels::device::Device;
use posology_kernels::environment::{
    DecisionPlan, Factor, Foreseen, Foresight, Hazard, MaskRule, Measured, Reset, Rule,
};
use posology_kernels::integrate::rk4::Rk4Options;
use posology_kernels::launch::UNROLL_BELOW;
use posology_kernels::simulate::Plan;
use posology_kernels::timeline::Timeline;
use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, Source};
use posology_model::file::Place;
use posology_model::interpret::{Environment, Interpreter};
use posology_model::program::{Block, Kind, Noise, Program};
use posology_sim::sample::{Request, sample};

use crate::environment::AutoReset;
use crate::error::AgentError;
use crate::spec::Spec;

pub use self::dosing::Doses;

/// Batches that are drawn in search of patients who fit.
const MOST_BATCHES: usize = 64;

/// A compiled task over a model.
#[derive(Clone, Debug)]
pub struct Task {
    pub title: String,
    pub description: String,
    /// The task file's text, for provenance.
    pub source: Source,
    /// The model as its file has it: whose patients are drawn.
    pub model: Model,
    pub population: Option<Population>,
    /// Patients that are drawn before episodes begin; later ones repeat them with other errors.
    pub pool: usize,
    /// Everyone is the typical patient.
    pub typical: bool,
    /// Patients for whom this is not zero; the others are passed over.
    pub only: Option<Only>,
    pub spec: Spec,
    /// Time between decisions, in the model's time unit.
    pub every: f64,
    /// The model's equations, summaries and measurements, with the task's registers.
    pub program: Program,
    /// Doses and steps of one decision interval.
    pub interval: Timeline,
    /// What a decision gives of each drug.
    pub doses: Vec<Doses>,
    /// Rules that a learned policy is compared with.
    pub baselines: Vec<Baseline>,
    parts: Parts,
    look_ahead: Option<LookAhead>,
    /// What [`Task::floors`] has found.
    looked_at: OnceLock<Vec<f32>>,
}

/// The shield that looks ahead in a twin.
#[derive(Clone, Debug)]
struct LookAhead {
    /// The task's equations with what is predicted as accumulators.
    program: Program,
    rules: Vec<Foreseen>,
    oracle: bool,
}

/// A condition on a patient's parameters and covariates.
#[derive(Clone, Debug)]
pub struct Only {
    block: Block,
    place: Place,
}

/// A rule of the task file, with parameters that can be searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    pub name: String,
    pub title: String,
    /// One value per action, coherent units.
    block: Block,
    pub search: Vec<Axis>,
}

/// A parameter of a rule and where it is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub name: String,
    slot: usize,
    pub from: f64,
    pub to: f64,
    pub points: usize,
}

/// Something that is measured, and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Slot of the last measured value.
    pub slot: usize,
    /// Slot that says whether the last visit measured it; without one, every visit does.
    pub fresh: Option<usize>,
    /// Absent where measurements are exact.
    pub error: Option<Noise>,
    /// Lower limit of quantification, coherent.
    pub lloq: Option<f64>,
}

/// The operation lists of a task and where their outputs go.
#[derive(Clone, Debug, Default)]
struct Parts {
    factors: Vec<Factor>,
    act: Block,
    act_slots: Vec<usize>,
    watch_slots: Vec<usize>,
    measured: Vec<Measured>,
    begin: Block,
    outcome: Block,
    memory_slots: Vec<usize>,
    /// Those of them that are made of true states.
    hidden_memory: Vec<usize>,
    terminal: usize,
    truncating: usize,
    hazards: Vec<Hazard>,
    /// From where to where a weight of the reward is drawn, and its slot.
    weights: Vec<(f64, f64)>,
    weight_slots: Vec<Option<usize>>,
    look: Block,
    masks: Vec<MaskRule>,
    /// Outputs of `look` that masks use, between features and hidden quantities.
    conditions: usize,
    kept_slots: Vec<usize>,
}

impl Task {
    /// Reads a task file and what it names.
    ///
    /// # Errors
    /// Every finding about the file, its model and its population.
    pub fn load(path: &Path) -> Result<Self, AgentError> {
        let text = std::fs::read_to_string(path).map_err(|error| AgentError::File {
            path: path.display().to_string(),
            cause: error.to_string(),
        })?;
        Ok(Self::parse(
            &path.display().to_string(),
            &text,
            path.parent(),
        )?)
    }

    /// Reads a task from text; files that it names are looked for in `folder`.
    ///
    /// # Errors
    /// Every finding about the text, its model and its population.
    pub fn parse(name: &str, text: &str, folder: Option<&Path>) -> Result<Self, Diagnostics> {
        let source = Source::new(name, text);
        let (file, found) = read::TaskFile::read(&source);
        compile::compile(&source, &file, found, folder.map(PathBuf::from))
    }

    /// `n` patients of the task, ids from `first_id` on, those who do not fit passed over.
    ///
    /// # Errors
    /// As for any population: impossible bounds, contradictory correlations; `K012` where hardly
    /// anyone fits.
    pub fn patients(
        &self,
        device: &Device,
        n: usize,
        seed: u64,
        first_id: u32,
    ) -> Result<Cohort, AgentError> {
        let Some(only) = &self.only else {
            return self.drawn(device, n, seed, first_id);
        };
        let mut found = Cohort {
            slots: vec![Vec::with_capacity(n); self.model.slot_count()],
            ..Cohort::default()
        };
        let mut next = first_id;
        for _batch in 0..MOST_BATCHES {
            let drawn = self.drawn(device, n, seed, next)?;
            next = next.wrapping_add(n as u32);
            let fits: Vec<usize> = (0..drawn.len())
                .filter(|&p| self.takes(&drawn.patient(p)))
                .take(n - found.len())
                .collect();
            let fits = drawn.select(&fits);
            found.ids.extend(fits.ids);
            for (row, more) in found.slots.iter_mut().zip(fits.slots) {
                row.extend(more);
            }
            if found.len() == n {
                return Ok(found);
            }
        }
        let message = format!("of {} patients, {} fit", MOST_BATCHES * n, found.len());
        let finding = only.place.error("K012", message);
        let finding = finding.help("widen `only`, or the population");
        Err(Diagnostics::from(finding).into())
    }

    /// Whether a patient with these parameters and covariates is one of the task's.
    pub fn takes(&self, slots: &[f64]) -> bool {
        self.only.as_ref().is_none_or(|only| {
            let environment = Environment {
                slots,
                ..Environment::default()
            };
            let mut holds = Vec::new();
            Interpreter::default().run(&only.block, &environment, &mut holds);
            holds.first().is_some_and(|&v| v != 0.0)
        })
    }

    /// What is measured.
    pub fn measurements(&self) -> Vec<Measurement> {
        let program = &self.program;
        let errors = program.observe_slots.iter().zip(&program.observe_noise);
        let rules = errors.zip(&self.parts.measured);
        rules
            .map(|((&slot, &error), rule)| Measurement {
                slot,
                fresh: rule.fresh,
                error,
                lloq: rule.lloq.map(f64::from_bits),
            })
            .collect()
    }

    /// The same task where every due measurement is made and shows the truth.
    #[must_use]
    pub fn measured_exactly(&self) -> Self {
        let mut task = self.clone();
        task.program.observe_noise.fill(None);
        for rule in &mut task.parts.measured {
            rule.missed = 0f64.to_bits();
            rule.lloq = None;
        }
        task
    }

    /// Slots of what a patient's own course has put down and others can know: measurements,
    /// memory, actions and doses, but not what was watched in his true states.
    pub fn history_slots(&self) -> Vec<usize> {
        (self.model.slot_count()..self.program.n_slots)
            .filter(|slot| !self.parts.watch_slots.contains(slot))
            .filter(|slot| !self.parts.hidden_memory.contains(slot))
            .collect()
    }

    fn drawn(
        &self,
        device: &Device,
        n: usize,
        seed: u64,
        first_id: u32,
    ) -> Result<Cohort, AgentError> {
        if self.typical {
            let mut cohort = Cohort::typical(&self.model, n);
            cohort.ids.iter_mut().for_each(|id| *id += first_id);
            return Ok(cohort);
        }
        let sampler = Sampler::new(&self.model)?;
        let request = Request {
            population: self.population.as_ref(),
            samplers: std::slice::from_ref(&sampler),
            around: None,
            n,
            seed,
            first_id,
        };
        Ok(sample(device, &request)?.drawn.cohort)
    }

    /// Slots of the model's covariates that a decision sets.
    pub fn sets(&self) -> Vec<usize> {
        let slots = self.parts.factors.iter().map(|factor| factor.slot);
        slots
            .filter(|&slot| slot < self.model.slot_count())
            .collect()
    }

    /// Slots of the model's covariates that decisions are made of: seen, or part of an amount.
    pub fn uses(&self) -> Vec<usize> {
        let parts = [&self.parts.look, &self.parts.begin, &self.parts.act];
        let ops = parts.into_iter().flat_map(|block| &block.ops);
        let slots = ops.filter(|op| op.kind == Kind::Slot);
        let own = self.model.parameters.len()..self.model.slot_count();
        let slots = slots.map(|op| op.a as usize);
        let used: BTreeSet<usize> = slots.filter(|slot| own.contains(slot)).collect();
        let decided = self.sets();
        used.into_iter()
            .filter(|slot| !decided.contains(slot))
            .collect()
    }

    /// Between which numbers the weight of each term of the reward is drawn for an episode; equal
    /// where it is fixed.
    pub fn weights(&self) -> &[(f64, f64)] {
        &self.parts.weights
    }

    /// What the look-ahead shield is built with, if there is one, and the typical patient's
    /// parameters.
    pub fn foresight(&self, guard_compensation: bool) -> Option<(Foresight, Vec<f32>)> {
        let look = self.look_ahead.as_ref()?;
        let parameters = self.model.parameters.len();
        let typical = self.model.typical_slots();
        let typical = typical.iter().take(parameters).map(|&v| v as f32).collect();
        let sight = Foresight {
            plan: Plan::new(look.program.clone()),
            parameters,
            oracle: look.oracle,
            rules: look.rules.clone(),
            step: self.step_options(guard_compensation),
        };
        Some((sight, typical))
    }

    fn step_options(&self, guard_compensation: bool) -> Rk4Options {
        Rk4Options {
            unroll_stages: self.program.rates.arithmetic_count() < UNROLL_BELOW,
            guard_compensation,
        }
    }

    /// A baseline as the device follows it.
    pub fn rule(&self, plan: &Arc<DecisionPlan>, baseline: &Baseline) -> Rule {
        Rule {
            plan: plan.clone(),
            block: Arc::new(baseline.block.clone()),
        }
    }

    /// Position of an axis among the plan's kept slots.
    pub fn kept(&self, axis: &Axis) -> Option<usize> {
        self.parts.kept_slots.iter().position(|&s| s == axis.slot)
    }

    /// What the kernel is built with.
    pub fn plan(&self, guard_compensation: bool, reset: AutoReset) -> Arc<DecisionPlan> {
        let parts = self.parts.clone();
        Arc::new(DecisionPlan {
            plan: Plan::new(self.program.clone()),
            own_slots: self.model.slot_count(),
            kept_slots: parts.kept_slots,
            factors: parts.factors,
            act: Arc::new(parts.act),
            act_slots: parts.act_slots,
            watch_slots: parts.watch_slots,
            measured: parts.measured,
            begin: Arc::new(parts.begin),
            outcome: Arc::new(parts.outcome),
            memory_slots: parts.memory_slots,
            terms: self.spec.rewards.len(),
            costs: self.spec.costs.len(),
            terminal: parts.terminal,
            truncating: parts.truncating,
            hazards: parts.hazards,
            weight_slots: parts.weight_slots,
            look: Arc::new(parts.look),
            features: self.spec.features.len(),
            masks: parts.masks,
            conditions: parts.conditions,
            hidden: self.spec.hidden.len(),
            step: self.step_options(guard_compensation),
            reset: match reset {
                AutoReset::NextStep => Reset::NextStep,
                AutoReset::SameStep => Reset::SameStep,
                AutoReset::Disabled => Reset::Disabled,
            },
            staggered: false,
        })
    }
}
