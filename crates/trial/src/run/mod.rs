//! Running a trial: the replay, every arm, the analysis, the report.

mod analysis;
mod arms;
mod clinician;
mod groups;
mod measures;
mod orders;
mod piece;
mod plan;
mod random;
mod replay;
mod result;
mod simulator;
mod start;
mod store;
mod within;

use std::sync::Arc;

use posology_kernels::device::Device;
use posology_model::diagnostic::Diagnostics;
use posology_model::model::StepSchedule;
use posology_sim::{RunOptions, SampleError, SimError};

use crate::Trial;
use crate::plot::PlotError;
use crate::statistics::StatisticsError;
use crate::table::Table;

pub use analysis::{
    ArmCount, ArmCourse, ArmPatients, ArmTimes, Cause, CauseArm, Claim, Claims, CohortAnalysis,
    Comparison, Competing, Detectable, Difference, Found, Geometric, Measure, NumberArm,
    NumberEffect, Numbers, PairedRates, RateArm, RateEffect, Rates, Ratio, Scenario, Sensitivity,
    StopReason, SubgroupComparison, SubgroupFactor, SubgroupOutcome, SubgroupQuestion, SubgroupRow,
    Times, ToxicityArm, ToxicityEffect, ToxicityTable, WinComparison, Wins, Within,
};
pub(crate) use arms::strata;
pub use arms::{ArmResult, CohortResult};
pub use clinician::{Clinician, Ordered, OrderedDrug, Orders};
pub(crate) use groups::group_of;
pub use replay::{ReplayPatient, ReplayResult, Schedule};
pub use result::{CourseResult, GivenResult, VisitResult};
pub(crate) use simulator::Simulator;
pub(crate) use start::{Wanted, logarithms, virtual_cohort};
pub use store::{Key, NoStore, Store, StoreError};
pub use within::Paired;

/// How to run a trial.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Instead of the trial's own seed.
    pub seed: Option<u64>,
    /// Instead of the trial's own number of virtual patients.
    pub patients: Option<usize>,
    /// Largest batch on the device; results do not depend on it.
    pub batch: Option<usize>,
    /// Instead of the model's own step schedule.
    pub step: Option<StepSchedule>,
    /// Largest share of patients who may diverge.
    pub max_diverged: f64,
    /// Who decides in arms with a trained policy.
    pub clinician: Option<Arc<dyn Clinician>>,
    /// Lines of the provenance table: version, commit, device, date, command. The run adds the
    /// trial, the model, the seed and the steps.
    pub provenance: Vec<(String, String)>,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            seed: None,
            patients: None,
            batch: None,
            step: None,
            max_diverged: 0.001,
            clinician: None,
            provenance: Vec::new(),
        }
    }
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, for a person to read.
    pub stage: String,
    /// Stages done.
    pub step: usize,
    /// Stages in all.
    pub steps: usize,
    /// Patients done in this stage.
    pub done: usize,
    /// Patients in this stage.
    pub total: usize,
}

/// Called between batches; `false` stops the run.
pub type ProgressFn<'a> = dyn FnMut(&Progress) -> bool + 'a;

/// Everything a run found.
#[derive(Clone, Debug)]
pub struct TrialResult {
    /// Seed used.
    pub seed: u64,
    /// Step schedule used.
    pub step: StepSchedule,
    /// Predictions against measurements.
    pub replay: Option<ReplayResult>,
    /// Real patients first, then virtual ones.
    pub cohorts: Vec<CohortResult>,
    /// One per cohort.
    pub analyses: Vec<CohortAnalysis>,
    /// What the real trial found.
    pub reported: Option<Times>,
    /// Why virtual patients were drawn on the host; empty if the device drew them.
    pub drawn_on_host: Vec<String>,
}

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct TrialOutcome {
    /// A self-contained page.
    pub report_html: String,
    /// Every number of the report.
    pub summary: serde_json::Value,
    /// One row per patient and arm.
    pub patients: Table,
    /// One row per measurement of the replay.
    pub replay: Option<Table>,
    /// Endpoints one by one, and tables with the names of ADaM data sets.
    pub tables: Vec<Table>,
}

/// Why a trial gave no result.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The simulation failed.
    #[error(transparent)]
    Simulation(#[from] SimError),
    /// Patients or regimens do not fit.
    #[error("{0}")]
    Input(#[from] Diagnostics),
    /// A statistic does not exist.
    #[error("the analysis failed: {0}")]
    Statistics(#[from] StatisticsError),
    /// Measurements that no endpoint can be made of.
    #[error("an endpoint could not be made of the visits: {0}")]
    Clinical(#[from] crate::clinical::ClinicalError),
    /// Patients cannot be randomised as asked for.
    #[error("randomisation failed: {0}")]
    Allocation(#[from] crate::allocation::AllocationError),
    /// Interim analyses that make no design.
    #[error("the interim analyses make no design: {0}")]
    Sequential(#[from] crate::sequential::SequentialError),
    /// A dose-finding plan that makes no design.
    #[error("the dose-finding plan makes no design: {0}")]
    DoseFinding(#[from] crate::dose_finding::DoseFindingError),
    /// Settings that make no trial to replicate.
    #[error("{0}")]
    Operating(String),
    /// A finished piece could not be kept or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody decides in an arm, or whoever does failed.
    #[error("arm `{arm}`: {cause}")]
    Clinician {
        /// Key of the arm.
        arm: String,
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A figure could not be drawn.
    #[error("a figure could not be drawn: {0}")]
    Plot(#[from] PlotError),
    /// Values around the individuals all fell outside the bounds of the model's parameters.
    #[error(
        "draws of {names} around the individuals all fell outside the bounds; widen the bounds in the model"
    )]
    Bounds {
        /// The parameters.
        names: String,
    },
    /// A patient whom the device could not draw.
    #[error(transparent)]
    Sampling(SampleError),
    /// Every patient of a cohort diverged.
    #[error(
        "no patient of `{cohort}` completed every arm; a smaller step or tighter parameter bounds may help"
    )]
    NobodyCompleted {
        /// Title of the cohort.
        cohort: String,
    },
}

/// What every stage needs.
pub(crate) struct Stage<'a, 'p> {
    pub trial: &'a Trial,
    pub device: &'a Device,
    pub settings: &'a RunSettings,
    pub seed: u64,
    pub progress: &'a mut ProgressFn<'p>,
    pub step: usize,
    pub steps: usize,
}

impl Stage<'_, '_> {
    pub fn options(&self) -> RunOptions {
        RunOptions {
            seed: self.seed,
            step: self.settings.step.clone(),
            residual_error: false,
            batch: self.settings.batch,
            max_diverged: self.settings.max_diverged,
        }
    }

    /// Reports to the caller; `false` stops the run.
    pub fn report(&mut self, stage: &str, done: usize, total: usize) -> bool {
        let (step, steps) = (self.step, self.steps);
        (self.progress)(&Progress {
            stage: stage.to_owned(),
            step,
            steps,
            done,
            total,
        })
    }
}

impl Trial {
    /// Runs the trial on a device and writes its report.
    ///
    /// The outcome depends on the trial, the seed, the number of virtual patients, the step and the
    /// device's arithmetic, and on nothing else but `settings.provenance`, which is printed.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn run(
        &self,
        device: &Device,
        settings: &RunSettings,
        progress: &mut ProgressFn<'_>,
    ) -> Result<TrialOutcome, TrialError> {
        let Some(result) = self.simulate(device, settings, &mut NoStore, progress)? else {
            return Err(TrialError::NobodyCompleted {
                cohort: self.title.clone(),
            });
        };
        self.outcome(&result, settings)
    }

    /// Reports a result.
    ///
    /// # Errors
    /// [`TrialError`], of statistics and figures.
    pub fn outcome(
        &self,
        result: &TrialResult,
        settings: &RunSettings,
    ) -> Result<TrialOutcome, TrialError> {
        Ok(TrialOutcome {
            report_html: crate::outcome::report(self, result, settings)?,
            summary: crate::outcome::summary(self, result, settings),
            patients: crate::outcome::patients(self, result),
            replay: result
                .replay
                .as_ref()
                .map(|replay| crate::outcome::replay(self, replay)),
            tables: crate::outcome::tables(self, result)?,
        })
    }

    /// Runs what `store` does not have yet, and analyses the whole; `None` if pieces are left to
    /// other shards.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn simulate(
        &self,
        device: &Device,
        settings: &RunSettings,
        store: &mut dyn Store,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Option<TrialResult>, TrialError> {
        let seed = settings.seed.unwrap_or(self.seed);
        let cohorts =
            usize::from(self.individuals.is_some()) + usize::from(self.virtual_patients.is_some());
        let steps = usize::from(self.replay.is_some()) + cohorts * self.arms.len();
        let mut stage = Stage {
            trial: self,
            device,
            settings,
            seed,
            progress,
            step: 0,
            steps,
        };
        let real = match &self.individuals {
            Some(real) => Some(start::individuals(&mut stage, real, self.replay.as_ref())?),
            None => None,
        };
        let replay = match &self.replay {
            Some(data) => Some(replay::run(&mut stage, data, real.as_ref())?),
            None => None,
        };
        let mut results = Vec::new();
        let mut drawn_on_host = Vec::new();
        if let (Some(individuals), Some(real)) = (&self.individuals, &real) {
            let who = (0, individuals.title.as_str(), true);
            results.push(arms::run(&mut stage, who, real.clone(), store)?);
        }
        if let Some(sampled) = &self.virtual_patients {
            let n = settings.patients.unwrap_or(sampled.patients).max(2);
            let wanted = Wanted {
                individuals: real.as_ref(),
                n,
                seed,
                first_id: 0,
                replicates: None,
            };
            let (cohort, reasons) = virtual_cohort(self, device, &wanted)?;
            drawn_on_host = reasons;
            let who = (1, sampled.title.as_str(), false);
            results.push(arms::run(&mut stage, who, cohort, store)?);
        }
        let Some(results) = results.into_iter().collect::<Option<Vec<CohortResult>>>() else {
            return Ok(None);
        };
        let analyses = results
            .iter()
            .enumerate()
            .map(|(index, cohort)| CohortAnalysis::new(self, cohort, seed, index as u32))
            .collect::<Result<_, _>>()?;
        let reported = match &self.reported {
            Some(reported) => Some(analysis::reported(self, reported)?),
            None => None,
        };
        let step = settings
            .step
            .clone()
            .unwrap_or_else(|| self.model.step.clone());
        Ok(Some(TrialResult {
            seed,
            step,
            replay,
            cohorts: results,
            analyses,
            reported,
            drawn_on_host,
        }))
    }
}
