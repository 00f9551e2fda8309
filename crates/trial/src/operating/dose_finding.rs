//! Dose finding on simulated patients: a pool of virtual patients with their outcome at every dose,
//! and thousands of studies drawn from it.

use posology_kernels::device::Device;
use serde::Serialize;

use crate::Trial;
use crate::design::{Arm, Class, DoseFinding};
use crate::dose_finding::{
    DesignKind, DoseFindingSettings, OperatingCharacteristics, PatientPool, Scenario, simulate,
};
use crate::run::{ProgressFn, RunSettings, Simulator, TrialError, Wanted, virtual_cohort};

/// What dose finding on a trial's patients gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DoseFindingResult {
    /// Key of the trial.
    pub trial: String,
    /// Titles of the doses, from the lowest.
    pub doses: Vec<String>,
    /// Virtual patients of the pool; those who diverged at a dose are left out at every dose.
    pub pool: usize,
    /// Patients left out.
    pub diverged: usize,
    /// Probability of a dose-limiting toxicity at each dose, in the pool.
    pub truth: Vec<f64>,
    /// One per design.
    pub designs: Vec<OperatingCharacteristics>,
    /// Why patients were drawn on the host; empty if the device drew them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drawn_on_host: Vec<String>,
}

impl Trial {
    /// Runs the dose-finding plan of the trial, and other designs on the same patients.
    ///
    /// `pool` virtual patients are simulated once at every dose. An empty `designs` means the one
    /// of the trial file.
    ///
    /// # Errors
    /// [`TrialError::Operating`] without a plan or virtual patients; as [`Trial::simulate`].
    pub fn find_dose(
        &self,
        device: &Device,
        settings: &RunSettings,
        pool: usize,
        designs: &[DesignKind],
        progress: &mut ProgressFn<'_>,
    ) -> Result<DoseFindingResult, TrialError> {
        let refuse = |message: &str| TrialError::Operating(message.to_owned());
        let plan = self
            .dose_finding
            .as_ref()
            .ok_or_else(|| refuse("the trial has no [dose_finding] section"))?;
        if self.virtual_patients.is_none() {
            return Err(refuse(
                "dose finding needs virtual patients: give the trial a [virtual] section",
            ));
        }
        if self.endpoints[plan.dlt].class() != Class::YesNo {
            return Err(refuse(
                "the dose-limiting toxicity must be an endpoint that is yes or no",
            ));
        }
        let seed = settings.seed.unwrap_or(self.seed);
        let mut trial = self.clone();
        trial.allocation.every_arm = true;
        trial.arms = plan.doses.iter().map(|dose| self.dose_arm(dose)).collect();
        let wanted = Wanted {
            individuals: None,
            n: pool,
            seed,
            first_id: 0,
            replicates: None,
        };
        let (cohort, drawn_on_host) = virtual_cohort(&trial, device, &wanted)?;
        let everybody: Vec<usize> = (0..cohort.len()).collect();
        let mut simulator = Simulator::new(&trial, device, settings, seed, progress)?;
        let mut results = Vec::new();
        for dose in 0..trial.arms.len() {
            simulator.at(dose, trial.arms.len());
            results.push(simulator.arm(dose, &cohort, everybody.clone())?);
        }
        let kept: Vec<usize> = everybody
            .into_iter()
            .filter(|&p| results.iter().all(|result| result.complete_at(p)))
            .collect();
        let outcomes: Vec<Vec<bool>> = results
            .iter()
            .map(|result| kept.iter().map(|&p| result.events[plan.dlt][p]).collect())
            .collect();
        let source = PatientPool::new(seed, &outcomes)?;
        let truth = source.truth();
        let scenario = Scenario::new(truth.clone(), plan.target)?;
        let own = [kind(plan)];
        let designs = if designs.is_empty() {
            &own[..]
        } else {
            designs
        };
        let replicates = u32::try_from(plan.replicates).unwrap_or(u32::MAX);
        let designs = designs
            .iter()
            .map(|&design| {
                let design = asked(plan, design).build(plan.doses.len())?;
                simulate(design.as_ref(), &source, &scenario, replicates)
            })
            .collect::<Result<_, _>>()?;
        Ok(DoseFindingResult {
            trial: self.name.clone(),
            doses: plan.doses.iter().map(|dose| dose.title.clone()).collect(),
            pool: kept.len(),
            diverged: cohort.len() - kept.len(),
            truth,
            designs,
            drawn_on_host,
        })
    }

    /// A dose as an arm of its own: no modification, every patient gets it.
    fn dose_arm(&self, dose: &crate::design::DoseLevel) -> Arm {
        Arm {
            name: dose.title.clone(),
            title: dose.title.clone(),
            description: String::new(),
            regimen: Some((dose.regimen.clone(), dose.origin.clone())),
            regimen_text: String::new(),
            rule: None,
            protocol: None,
            policy: None,
            trained: None,
            source: String::new(),
        }
    }
}

fn kind(plan: &DoseFinding) -> DesignKind {
    use crate::design::DoseFindingDesign;
    match plan.design {
        DoseFindingDesign::ThreePlusThree => DesignKind::ThreePlusThree,
        DoseFindingDesign::Boin => DesignKind::Boin,
        DoseFindingDesign::Crm => DesignKind::Crm,
    }
}

/// The settings of a design under the plan; what a design does not have is left out.
fn asked(plan: &DoseFinding, design: DesignKind) -> DoseFindingSettings {
    let mut settings = DoseFindingSettings::new(design);
    settings.target = Some(plan.target);
    settings.start = Some(plan.start + 1);
    if design != DesignKind::ThreePlusThree {
        settings.patients = u32::try_from(plan.patients).ok();
        settings.cohort_size = u32::try_from(plan.cohort_size).ok();
    }
    if design == DesignKind::Crm && !plan.skeleton.is_empty() {
        settings.skeleton = Some(plan.skeleton.clone());
    }
    settings
}
