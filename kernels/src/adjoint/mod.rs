//! Gradients through the simulator: the discrete adjoint of the Runge-Kutta steps.
//!
//! Discretise, then differentiate: what comes out is the exact derivative of what the steps
//! compute, not of the equations they approximate. Two kernels share one timeline.
//!
//! - [`trace`](mod@trace) integrates a patient and writes his state on a tape, once in a block of
//!   steps.
//! - [`backward`](mod@backward) walks the tape from its end, takes the steps of each block again from
//!   the stored state, and passes adjoints through them, through doses, infusions, resets, changes
//!   of covariates, records and summaries.
//!
//! The tape is a ring of bounded length. A longer run is cut into stretches: the first pass keeps a
//! context (states, summaries, place in the timeline) at the start of each; the last stretch is
//! still on the tape, and the earlier ones are traced again, one after the other, from their
//! contexts. Memory is therefore the tape plus one context per stretch, and each step is
//! integrated at most three times before it is taken backwards.
//!
//! What is differentiated: rates, initial states, parameters, covariates, dose amounts and rates,
//! dose times (through the lengths of the rows around them), records, and summaries: integrals,
//! last values, latches, times above a limit and first times by their interpolated crossings,
//! extremes at the instant where they are attained. Grades are piecewise constant. Protocol rules,
//! measurements that feed them and the search for a steady state have no derivative here and are
//! refused ([`AdjointError`]).

pub mod backward;
mod host;
mod look;
pub mod reference;
pub mod reverse;
pub mod trace;

use std::sync::Arc;

use posology_model::program::{Accumulator, Program};

pub use self::host::{Adjoint, AdjointOptions, Gradient, Lanes, Seeds, Tape};
use self::reverse::Reverse;
use crate::simulate::Plan;
use crate::timeline::{Action, Row, Timeline};

/// Why a timeline or a program has no derivative.
#[derive(Debug, thiserror::Error)]
pub enum AdjointError {
    #[error(
        "timeline {timeline} seeks a steady state (SS), which has no derivative here; write the \
         doses that lead to it out (ADDL, II)"
    )]
    SteadyState { timeline: usize },
    #[error(
        "timeline {timeline} follows a protocol (rules, measurements, doses scaled by them), which \
         has no derivative; give the doses themselves"
    )]
    Protocol { timeline: usize },
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
}

/// A program with its blocks in reverse, as both kernels take it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AdjointPlan {
    pub plan: Arc<Plan>,
    setup: Arc<Reverse>,
    init: Arc<Reverse>,
    rates: Arc<Reverse>,
    monitor: Arc<Reverse>,
    record: Arc<Reverse>,
}

impl AdjointPlan {
    pub fn new(program: Program) -> Arc<Self> {
        let plan = Plan::new(program);
        Arc::new(Self {
            setup: Reverse::new(plan.setup()),
            init: Reverse::new(plan.init()),
            rates: Reverse::new(plan.rates()),
            monitor: Reverse::new(plan.monitor()),
            record: Reverse::new(plan.record()),
            plan,
        })
    }

    fn program(&self) -> &Program {
        &self.plan.program
    }

    /// Rows of final states and summaries, and columns of records.
    pub fn outputs(&self) -> (usize, usize) {
        let program = self.program();
        let results = program.n_states + program.accumulators.len();
        (results, program.record.outputs.len())
    }

    /// Words of one entry of the tape: states and integrals, then time and time after dose.
    pub(crate) fn width(&self) -> usize {
        self.program().n_integrated() + if self.program().needs_time { 2 } else { 0 }
    }

    /// Some summary is looked at between steps.
    pub(crate) fn looks(&self) -> bool {
        let looked = |a: &Accumulator| {
            matches!(
                a,
                Accumulator::Min(_)
                    | Accumulator::Max(_)
                    | Accumulator::TimeWhile(_)
                    | Accumulator::FirstTime(_)
                    | Accumulator::Last(_)
            )
        };
        self.program().accumulators.iter().any(looked)
    }

    /// Some summary depends on two neighbouring instants.
    pub(crate) fn crosses(&self) -> bool {
        let crossing =
            |a: &Accumulator| matches!(a, Accumulator::TimeWhile(_) | Accumulator::FirstTime(_));
        self.program().accumulators.iter().any(crossing)
    }
}

/// `timelines` with repeated rows written out, or why they have no derivative.
pub fn differentiable(timelines: &[Timeline]) -> Result<Vec<Timeline>, AdjointError> {
    let one = |(timeline, source): (usize, &Timeline)| {
        let mut rows: Vec<Row> = Vec::new();
        for (at, row) in source.rows.iter().enumerate() {
            if row.frozen_clock || row.repeat.is_some_and(|repeat| repeat.until_steady) {
                return Err(AdjointError::SteadyState { timeline });
            }
            for action in &row.actions {
                let scaled = match action {
                    Action::BeginSteadyState | Action::EndSteadyState { .. } => {
                        return Err(AdjointError::SteadyState { timeline });
                    }
                    Action::Rule | Action::Observe { .. } => true,
                    Action::Dose { slot } => slot.is_some(),
                    Action::Bolus { amount, .. }
                    | Action::SetRate { rate: amount, .. }
                    | Action::AddRate { rate: amount, .. } => amount.slot.is_some(),
                    _ => false,
                };
                if scaled {
                    return Err(AdjointError::Protocol { timeline });
                }
            }
            let plain = |row: &Row| Row {
                repeat: None,
                ..row.clone()
            };
            rows.push(plain(row));
            if let Some(repeat) = row.repeat {
                let first = (at + 1).saturating_sub(repeat.rows as usize);
                let group: Vec<Row> = source.rows[first..=at].iter().map(plain).collect();
                for _ in 1..repeat.passes {
                    rows.extend_from_slice(&group);
                }
            }
        }
        Ok(Timeline { rows })
    };
    timelines.iter().enumerate().map(one).collect()
}
