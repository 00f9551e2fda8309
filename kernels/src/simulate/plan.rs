//! What the kernel is built with, and how a patient's integration can end.

use std::sync::Arc;

use posology_model::program::{Accumulator, Block, Program};

use crate::integrate::rk4::Rk4Options;

/// Philox stream of residual error.
pub const STREAM_RESIDUAL: u32 = 1;
/// Philox stream of measurement error at visits.
pub const STREAM_VISITS: u32 = 4;

/// How a patient's integration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Status {
    Completed = 0,
    /// A state became NaN or infinite; frozen at the last good state.
    NotFinite = 1,
    /// A non-negative state fell below its tolerance; frozen at the last good state.
    Negative = 2,
    /// A steady state was not reached within the allowed cycles.
    NotSteady = 3,
}

/// Device code of a patient whose timeline another launch continues.
pub(crate) const RUNNING: u32 = 255;

impl Status {
    /// The status with this device code.
    pub fn from_code(code: u32) -> Status {
        match code {
            0 => Status::Completed,
            2 => Status::Negative,
            3 => Status::NotSteady,
            _ => Status::NotFinite,
        }
    }
}

/// What the kernel is built with besides the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelOptions {
    pub step: Rk4Options,
    /// Some timeline searches a steady state.
    pub steady_state: bool,
    /// Records carry residual error where the program declares it.
    pub residual_error: bool,
    /// Some timeline repeats rows or stops its clock.
    pub repeats: bool,
    /// Some dose is scaled by the patient.
    pub scales: bool,
    /// The run takes several launches, each within a budget of loop iterations.
    pub resumable: bool,
    /// Read the floors once, where memory is read lane by lane and registers are memory anyhow; a GPU
    /// has better use for its registers.
    pub keep_floors: bool,
}

impl KernelOptions {
    /// Loop iterations that one step costs against a launch's budget.
    pub(crate) fn iterations_per_step(&self) -> u32 {
        if self.step.unroll_stages { 1 } else { 5 }
    }
}

/// Words of a patient's result: final states, summaries, time reached, status, records stored.
pub(crate) fn result_rows(plan: &Plan) -> usize {
    plan.program.n_states + plan.program.accumulators.len() + 3
}

/// Where among them the status is: the vector, and the place in it.
pub(crate) fn status_place(plan: &Plan) -> (usize, usize) {
    let row = result_rows(plan) - 2;
    (row / 4, row % 4)
}

/// The parts of a program as the kernel takes them; shared, so that clones while building are cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    pub program: Program,
    blocks: [Arc<Block>; 7],
}

impl Plan {
    pub fn new(program: Program) -> Arc<Plan> {
        let blocks = [
            Arc::new(program.setup.clone()),
            Arc::new(program.init.clone()),
            Arc::new(program.rates.clone()),
            Arc::new(program.monitor.clone()),
            Arc::new(program.record.clone()),
            Arc::new(program.rule.clone()),
            Arc::new(program.observe.clone()),
        ];
        Arc::new(Plan { program, blocks })
    }

    /// Bytes of a patient to the device and back, his records not counted.
    pub fn patient_bytes(&self, n_scales: usize) -> (u64, u64) {
        let values = (self.program.n_slots + n_scales).next_multiple_of(4);
        let keys = 4;
        let result = result_rows(self).next_multiple_of(4);
        (4 * (values + keys) as u64, 4 * result as u64)
    }

    /// Whether an action may change what the setup block reads.
    pub(crate) fn changes_slots(&self) -> bool {
        let program = &self.program;
        let written = [&program.observe_slots, &program.rule_slots];
        program.varying || written.iter().any(|slots| !slots.is_empty())
    }

    /// Margins of the accumulators, then what the sums of the `TimeWhile` among them have lost.
    pub(crate) fn margin_count(&self) -> usize {
        self.program.accumulators.len() + self.time_whiles_before(self.program.accumulators.len())
    }

    /// `TimeWhile` accumulators before number `k`.
    pub(crate) fn time_whiles_before(&self, k: usize) -> usize {
        let before = self.program.accumulators.iter().take(k);
        before
            .filter(|accumulator| matches!(accumulator, Accumulator::TimeWhile(_)))
            .count()
    }

    pub(crate) fn setup(&self) -> Arc<Block> {
        self.blocks[0].clone()
    }
    pub(crate) fn init(&self) -> Arc<Block> {
        self.blocks[1].clone()
    }
    pub(crate) fn rates(&self) -> Arc<Block> {
        self.blocks[2].clone()
    }
    pub(crate) fn monitor(&self) -> Arc<Block> {
        self.blocks[3].clone()
    }
    pub(crate) fn record(&self) -> Arc<Block> {
        self.blocks[4].clone()
    }
    pub(crate) fn rule(&self) -> Arc<Block> {
        self.blocks[5].clone()
    }
    pub(crate) fn observe(&self) -> Arc<Block> {
        self.blocks[6].clone()
    }
}
