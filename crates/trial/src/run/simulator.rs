//! Arms of many replicates, without keeping more than their endpoints.

use posology_cohort::Cohort;
use posology_kernels::device::Device;

use super::piece::{self, Piece};
use super::plan::ArmPlan;
use super::result::ArmResult;
use super::{ProgressFn, RunSettings, Stage, TrialError};
use crate::Trial;

/// Simulates arms of a trial for any patients.
pub(crate) struct Simulator<'a, 'p> {
    stage: Stage<'a, 'p>,
    plans: Vec<ArmPlan<'a>>,
}

impl<'a, 'p> Simulator<'a, 'p> {
    /// Compiles every arm.
    ///
    /// # Errors
    /// Protocols and regimens that do not fit.
    pub fn new(
        trial: &'a Trial,
        device: &'a Device,
        settings: &'a RunSettings,
        seed: u64,
        progress: &'a mut ProgressFn<'p>,
    ) -> Result<Self, TrialError> {
        let plans = trial
            .arms
            .iter()
            .map(|arm| ArmPlan::new(trial, arm, settings.clinician.as_deref()))
            .collect::<Result<_, _>>()?;
        let stage = Stage {
            trial,
            device,
            settings,
            seed,
            progress,
            step: 0,
            steps: 1,
        };
        Ok(Self { stage, plans })
    }

    /// Says how far the whole is.
    pub fn at(&mut self, step: usize, steps: usize) {
        (self.stage.step, self.stage.steps) = (step, steps);
    }

    /// Some patients of a cohort in an arm.
    ///
    /// # Errors
    /// As [`Trial::simulate`].
    pub fn arm(
        &mut self,
        arm: usize,
        cohort: &Cohort,
        members: Vec<usize>,
    ) -> Result<ArmResult, TrialError> {
        let plan = &self.plans[arm];
        let label = format!("replicates, {}", plan.arm.title);
        let piece = Piece {
            cohort: cohort.select(&members),
            place: (0, members.len()),
            members,
            label: &label,
            all: false,
        };
        piece::run(&mut self.stage, plan, piece)
    }
}
