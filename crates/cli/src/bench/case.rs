//! The models that are timed, and their patients.

use anyhow::Context;
use posology_cohort::Cohort;
use posology_kernels::reference::{self, Method};
use posology_kernels::timeline::{Action, Row, Timeline};
use posology_model::Model;
use posology_model::program::{Kind, Program};
use posology_sim::{OutputPlan, RuleSet};

/// The benchmark's models, part of the program so that it needs no files.
pub const MODELS: [(&str, &str); 3] = [
    (
        "twelve-state.toml",
        include_str!("../../../../benches/engine/twelve-state.toml"),
    ),
    (
        "forty-state.toml",
        include_str!("../../../../benches/engine/forty-state.toml"),
    ),
    (
        "hundred-twenty-state.toml",
        include_str!("../../../../benches/engine/hundred-twenty-state.toml"),
    ),
];

/// Patients whose final states are compared with the f64 reference.
const CHECKED: usize = 16;
/// Largest scaled error at which a variant counts as computing the same.
pub const TOLERANCE: f64 = 1e-5;
/// Seed of the sampled patients.
const SEED: u64 = 12;
/// Multiplications and additions of one state in one step besides its rate: three stages (2 each),
/// four terms of the sum (2 each), the compensated update (5).
const UPDATE_OPERATIONS: usize = 19;

/// Arithmetic operations of one step of one patient: rates of so many operations in four stages, and
/// the update of the states.
pub fn operations_per_step(operations: usize, states: usize) -> usize {
    4 * operations + UPDATE_OPERATIONS * states
}

/// A model ready to be integrated.
pub struct Case {
    pub model: Model,
    pub program: Program,
    /// Step length, model time.
    pub h: f64,
    /// `[n_states]`
    pub floors: Vec<f32>,
}

impl Case {
    /// From the text of a model file.
    pub fn new(name: &str, text: &str) -> anyhow::Result<Self> {
        let model = Model::parse(name, text, None).with_context(|| format!("reading {name}"))?;
        let program = OutputPlan::none().program(&model, &RuleSet::default(), false);
        let h = model.step.at(0.0);
        let mut case = Self {
            model,
            program,
            h,
            floors: Vec::new(),
        };
        let path = case.reference(&case.model.typical_slots(), 1000)?;
        case.floors = path
            .range
            .iter()
            .map(|range| (-1e-4 * range) as f32)
            .collect();
        Ok(case)
    }

    /// The same with constants that differ a little and have never been used: a cold kernel build
    /// (drivers keep compiled shaders on disk).
    pub fn fresh(&self) -> Self {
        let mut program = self.program.clone();
        let mut nonce = super::synthetic::nonce();
        for op in program
            .rates
            .ops
            .iter_mut()
            .filter(|op| op.kind == Kind::Const)
        {
            let value = f64::from_bits(op.bits);
            op.bits = (value * (1.0 + 1e-3 * nonce.uniform())).to_bits();
        }
        Self {
            model: self.model.clone(),
            program,
            h: self.h,
            floors: self.floors.clone(),
        }
    }

    /// Whether [`super::native::hand`] computes this model from the same slots.
    pub fn is_handwritten(&self) -> bool {
        let names = super::native::hand::NAMES;
        self.model.name == "twelve-state"
            && names.len() == self.program.n_slots
            && names
                .iter()
                .enumerate()
                .all(|(slot, name)| self.model.slot_index(name) == Some(slot))
    }

    /// One stretch of `steps` steps from the initial state.
    pub fn timeline(&self, steps: u32) -> Timeline {
        let actions = vec![Action::Clock { time: 0.0 }, Action::Reset];
        Timeline {
            rows: vec![Row {
                actions,
                steps,
                h: self.h,
                ..Row::default()
            }],
        }
    }

    /// Operations of the rates, leaves not counted.
    pub fn operations(&self) -> usize {
        self.program.rates.arithmetic_count()
    }

    /// Arithmetic operations of one step of one patient.
    pub fn operations_per_step(&self) -> usize {
        operations_per_step(self.operations(), self.program.n_states)
    }

    /// `n` sampled patients, `[slot][n]`.
    pub fn values(&self, n: usize) -> anyhow::Result<Vec<f32>> {
        let cohort = Cohort::sample(&self.model, n, SEED, 0)?;
        Ok(cohort
            .slots
            .iter()
            .flatten()
            .map(|&value| value as f32)
            .collect())
    }

    fn reference(&self, slots: &[f64], steps: u32) -> anyhow::Result<reference::Path> {
        let timeline = self.timeline(steps);
        Ok(reference::simulate(
            &self.program,
            &timeline,
            slots,
            &[],
            Method::Rk4 { refine: 1 },
        )?)
    }

    /// Largest difference of final states `[state][n]` from the f64 reference over some of the
    /// patients, divided by the state's range.
    pub fn error(
        &self,
        values: &[f32],
        states: &[f32],
        n: usize,
        steps: u32,
    ) -> anyhow::Result<f64> {
        let mut worst = 0.0f64;
        for i in (0..n).step_by(n.div_ceil(CHECKED)) {
            let slots: Vec<f64> = (0..self.program.n_slots)
                .map(|s| f64::from(values[s * n + i]))
                .collect();
            let path = self.reference(&slots, steps)?;
            for (s, (expected, range)) in path.states.iter().zip(&path.range).enumerate() {
                let difference = (f64::from(states[s * n + i]) - expected).abs();
                let scaled = if difference == 0.0 {
                    0.0
                } else {
                    difference / range
                };
                // a comparison that NaN cannot pass
                worst = if scaled <= worst { worst } else { scaled };
            }
        }
        Ok(worst)
    }

    /// [`Case::error`], refused above [`TOLERANCE`].
    pub fn checked_error(
        &self,
        what: &str,
        values: &[f32],
        states: &[f32],
        n: usize,
        steps: u32,
    ) -> anyhow::Result<f64> {
        let error = self.error(values, states, n, steps)?;
        anyhow::ensure!(
            error <= TOLERANCE,
            "{what} does not compute {}: scaled error {error:.2e} against the f64 reference, \
             allowed {TOLERANCE:.0e}",
            self.model.name
        );
        Ok(error)
    }
}
