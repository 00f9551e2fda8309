//! Operating characteristics of a design: thousands of replicate trials on the device.
//!
//! A replicate is a trial of its own with its own virtual patients, its own randomisation and its
//! own analysis. Patient `i` of replicate `r` has the number `r * patients + i`, so all replicates
//! are one large cohort, simulated in chunks, and a replicate does not depend on how many others
//! there are or how they are cut. Under the null hypothesis every patient gets what the control arm
//! gets, whatever arm he was randomised to.

mod dose_finding;
mod looks;
mod tests_of;

use posology_cohort::Cohort;
use posology_kernels::device::Device;
use rayon::prelude::*;
use serde::Serialize;

pub use self::dose_finding::DoseFindingResult;
pub use self::looks::SequentialCount;
use self::looks::{Looks, Patients};
use self::tests_of::{METHODS_NUMBER, METHODS_SHARE, METHODS_TIME};
use crate::Trial;
use crate::allocation::{Randomisation, replicate_seed};
use crate::design::{Class, Endpoint};
use crate::run::{
    ArmResult, ProgressFn, RunSettings, Simulator, TrialError, Wanted, virtual_cohort,
};
use crate::sequential::{SequentialDesign, SequentialSettings};
use crate::statistics::{Estimate, clopper_pearson};

/// Patients simulated at a time: enough for a device, little enough for memory.
const CHUNK: usize = 1 << 18;

/// What is asked of a design.
#[derive(Clone, Debug)]
pub struct OperatingSettings {
    /// Trials.
    pub replicates: usize,
    /// Patients per trial, all arms together.
    pub patients: usize,
    /// Everybody is treated like the control arm: the rejection rate is the type I error.
    pub null: bool,
    /// Typical parameters are drawn anew for every replicate: the rejection rate is the assurance.
    pub uncertainty: bool,
    /// Instead of the trial's horizon, model time.
    pub horizon: Option<f64>,
    /// Interim analyses.
    pub sequential: Option<SequentialSettings>,
    /// Significance level of the tests without interim analyses, two-sided.
    pub alpha: f64,
}

/// How often a test rejected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rejections {
    /// The test.
    pub test: String,
    /// Replicates in which it rejected.
    pub rejected: usize,
    /// Replicates in which it does not exist (no events); they count as no rejection.
    pub undefined: usize,
    /// Share of replicates with its exact interval over replicates (95 %).
    pub rate: Estimate,
    /// Monte Carlo standard error of the rate.
    pub standard_error: f64,
}

/// One arm against the control arm, over all replicates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonCharacteristics {
    /// Key of the arm.
    pub arm: String,
    /// Key of the control arm.
    pub control: String,
    /// One per test.
    pub tests: Vec<Rejections>,
    /// With interim analyses: where replicates stopped.
    pub sequential: Option<SequentialCount>,
    /// What the effect is: hazard ratio, risk difference, difference of means.
    pub effect: String,
    /// 2.5 %, 25 %, 50 %, 75 % and 97.5 % quantiles of the estimate over replicates.
    pub estimates: [f64; 5],
    /// Events (or patients with the outcome) per replicate, mean.
    pub events: f64,
}

/// Characteristics of a design.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperatingResult {
    /// Key of the trial.
    pub trial: String,
    /// Key of the endpoint.
    pub endpoint: String,
    /// Everybody was treated like the control arm.
    pub null: bool,
    /// Parameters were drawn for each replicate.
    pub uncertainty: bool,
    /// Trials.
    pub replicates: usize,
    /// Patients per trial.
    pub patients: usize,
    /// Significance level, two-sided.
    pub alpha: f64,
    /// Patients whose integration diverged; they are left out of the analysis.
    pub diverged: usize,
    /// Integration steps of all patients.
    pub patient_steps: u64,
    /// Seconds of everything.
    pub seconds: f64,
    /// Virtual patients per second of everything: sampling, simulation, analysis.
    pub patients_per_second: f64,
    /// One per arm that is not the control.
    pub comparisons: Vec<ComparisonCharacteristics>,
    /// Why patients were drawn on the host; empty if the device drew them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drawn_on_host: Vec<String>,
}

/// Per replicate and comparison.
#[derive(Clone, Debug, Default)]
struct Outcome {
    /// p value of each test; NaN where it does not exist.
    p: Vec<f64>,
    effect: f64,
    events: usize,
    /// (look of the decision, rejected)
    stop: Option<(usize, bool)>,
}

impl Trial {
    /// Runs many replicates of the trial and counts what its primary analysis would have said.
    ///
    /// # Errors
    /// As [`Trial::simulate`]; [`TrialError::Operating`] for settings that make no trial.
    pub fn operating(
        &self,
        device: &Device,
        settings: &RunSettings,
        ask: &OperatingSettings,
        progress: &mut ProgressFn<'_>,
    ) -> Result<OperatingResult, TrialError> {
        let start = std::time::Instant::now();
        let refuse = |message: &str| Err(TrialError::Operating(message.to_owned()));
        if self.arms.len() < 2 {
            return refuse(
                "operating characteristics compare arms: give the trial a control and another arm",
            );
        }
        if self.virtual_patients.is_none() {
            return refuse(
                "operating characteristics need virtual patients: give the trial a [virtual] section",
            );
        }
        if ask.replicates == 0 || ask.patients < 2 * self.arms.len() {
            return refuse("give at least one replicate and two patients per arm");
        }
        let total = ask.replicates as u64 * ask.patients as u64;
        if total >= u64::from(u32::MAX) {
            return refuse(
                "more than 4 billion patients in all: give fewer replicates or smaller trials",
            );
        }
        let mut trial = self.clone();
        if let Some(horizon) = ask.horizon {
            trial.horizon = horizon;
        }
        let looks = match &ask.sequential {
            Some(sequential) => Some(Looks::new(SequentialDesign::new(sequential)?)),
            None => None,
        };
        let seed = settings.seed.unwrap_or(trial.seed);
        let work = Work {
            trial: &trial,
            ask,
            looks: looks.as_ref(),
            endpoint: &trial.endpoints[trial.analysis.primary],
            seed,
        };
        work.run(device, settings, progress, start)
    }
}

struct Work<'a> {
    trial: &'a Trial,
    ask: &'a OperatingSettings,
    looks: Option<&'a Looks>,
    endpoint: &'a Endpoint,
    seed: u64,
}

impl Work<'_> {
    fn run(
        &self,
        device: &Device,
        settings: &RunSettings,
        progress: &mut ProgressFn<'_>,
        start: std::time::Instant,
    ) -> Result<OperatingResult, TrialError> {
        let (trial, ask) = (self.trial, self.ask);
        let control = trial.analysis.control;
        let treated: Vec<usize> = if ask.null {
            vec![control; trial.arms.len()]
        } else {
            (0..trial.arms.len()).collect()
        };
        let mut simulator = Simulator::new(trial, device, settings, self.seed, progress)?;
        let per_chunk = (CHUNK / ask.patients).max(1);
        let chunks = ask.replicates.div_ceil(per_chunk);
        let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); trial.arms.len()];
        let (mut diverged, mut patient_steps) = (0, 0);
        let mut drawn_on_host = Vec::new();
        for chunk in 0..chunks {
            let first = chunk * per_chunk;
            let replicates = per_chunk.min(ask.replicates - first);
            simulator.at(chunk, chunks);
            let (cohort, strata, arms) =
                self.people(device, (first, replicates), &mut drawn_on_host)?;
            // the same treatment is one launch
            let mut results: Vec<Option<ArmResult>> = vec![None; trial.arms.len()];
            let mut distinct: Vec<usize> = treated.clone();
            distinct.sort_unstable();
            distinct.dedup();
            for treatment in distinct {
                let members: Vec<usize> = (0..cohort.len())
                    .filter(|&p| treated[arms[p] as usize] == treatment)
                    .collect();
                let result = simulator.arm(treatment, &cohort, members)?;
                diverged += result.members.len() - result.complete().count();
                patient_steps += result.patient_steps;
                results[treatment] = Some(result);
            }
            let columns = self.columns(&cohort, strata, &results);
            for arm in (0..trial.arms.len()).filter(|&arm| arm != control) {
                let found: Vec<Outcome> = (0..replicates)
                    .into_par_iter()
                    .map(|r| {
                        let range = r * ask.patients..(r + 1) * ask.patients;
                        self.replicate(&columns, &arms, range, arm as u32, control as u32)
                    })
                    .collect();
                outcomes[arm].extend(found);
            }
        }
        let comparisons = (0..trial.arms.len())
            .filter(|&arm| arm != control)
            .map(|arm| self.summed(arm, &outcomes[arm]))
            .collect::<Result<_, TrialError>>()?;
        let seconds = start.elapsed().as_secs_f64();
        let patients = ask.replicates * ask.patients;
        Ok(OperatingResult {
            trial: trial.name.clone(),
            endpoint: self.endpoint.name.clone(),
            null: ask.null,
            uncertainty: ask.uncertainty,
            replicates: ask.replicates,
            patients: ask.patients,
            alpha: ask.alpha,
            diverged,
            patient_steps,
            seconds,
            patients_per_second: patients as f64 / seconds,
            comparisons,
            drawn_on_host,
        })
    }

    /// The patients of some replicates, their strata, and the arm each was randomised to.
    fn people(
        &self,
        device: &Device,
        (first, replicates): (usize, usize),
        drawn_on_host: &mut Vec<String>,
    ) -> Result<(Cohort, Vec<u32>, Vec<u32>), TrialError> {
        let (trial, ask) = (self.trial, self.ask);
        let wanted = Wanted {
            individuals: None,
            n: if ask.uncertainty {
                ask.patients
            } else {
                replicates * ask.patients
            },
            seed: self.seed,
            first_id: (first * ask.patients) as u32,
            replicates: ask
                .uncertainty
                .then(|| first as u32..(first + replicates) as u32),
        };
        let (cohort, reasons) = virtual_cohort(trial, device, &wanted)?;
        for reason in reasons {
            if !drawn_on_host.contains(&reason) {
                drawn_on_host.push(reason);
            }
        }
        let allocation = &trial.allocation;
        let ratio = if allocation.ratio.is_empty() {
            vec![1; trial.arms.len()]
        } else {
            allocation.ratio.clone()
        };
        let block = if allocation.block == 0 {
            2 * ratio.iter().sum::<u32>()
        } else {
            allocation.block
        };
        let strata = crate::run::strata(trial, &cohort);
        let arms = (0..replicates)
            .into_par_iter()
            .map(|r| {
                let seed = replicate_seed(self.seed, (first + r) as u64);
                let strata = &strata[r * ask.patients..(r + 1) * ask.patients];
                Randomisation::new(&ratio, block, seed)?.allocate(strata)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok((cohort, strata, arms.concat()))
    }

    /// What the analysis needs of every patient of a chunk.
    fn columns(
        &self,
        cohort: &Cohort,
        stratum: Vec<u32>,
        results: &[Option<ArmResult>],
    ) -> Patients {
        let n = cohort.len();
        let e = self.trial.analysis.primary;
        let mut out = Patients {
            value: vec![f64::NAN; n],
            event: vec![false; n],
            stratum,
            entry: cohort
                .ids
                .iter()
                .map(|&id| {
                    let accrual = self.trial.allocation.accrual;
                    let entry = crate::allocation::entry_time(self.seed, id, accrual);
                    entry / self.trial.model.units.scale(&self.endpoint.unit)
                })
                .collect(),
        };
        for result in results.iter().flatten() {
            for k in result.complete() {
                let p = result.members[k];
                out.value[p] = result.values[e][k];
                out.event[p] = result.events[e].get(k).copied().unwrap_or_default();
            }
        }
        out
    }

    fn replicate(
        &self,
        all: &Patients,
        arms: &[u32],
        range: std::ops::Range<usize>,
        arm: u32,
        control: u32,
    ) -> Outcome {
        let chosen: Vec<usize> = range
            .filter(|&p| (arms[p] == arm || arms[p] == control) && !all.value[p].is_nan())
            .collect();
        let mut data = looks::Data::new(all, &chosen, |p| arms[p] == arm);
        let class = self.endpoint.class();
        let found = tests_of::test(class, &mut data);
        let stop = self
            .looks
            .map(|looks| looks.stop(class, all, &chosen, |p| arms[p] == arm));
        Outcome {
            p: found.p,
            effect: found.effect,
            events: found.events,
            stop,
        }
    }

    fn summed(
        &self,
        arm: usize,
        outcomes: &[Outcome],
    ) -> Result<ComparisonCharacteristics, TrialError> {
        let n = outcomes.len();
        let (methods, effect): (&[&str], &str) = match self.endpoint.class() {
            Class::Time => (&METHODS_TIME, "hazard ratio"),
            Class::YesNo | Class::Response => (&METHODS_SHARE, "risk difference"),
            Class::Number => (&METHODS_NUMBER, "difference of means"),
        };
        let mut tests = Vec::new();
        for (k, method) in methods.iter().enumerate() {
            let p = |outcome: &Outcome| outcome.p.get(k).copied().unwrap_or(f64::NAN);
            let rejected = outcomes.iter().filter(|o| p(o) <= self.ask.alpha).count();
            let undefined = outcomes.iter().filter(|o| p(o).is_nan()).count();
            let share = rejected as f64 / n as f64;
            tests.push(Rejections {
                test: (*method).to_owned(),
                rejected,
                undefined,
                rate: clopper_pearson(rejected as u64, n as u64, 0.95)?,
                standard_error: (share * (1.0 - share) / n as f64).sqrt(),
            });
        }
        let mut effects: Vec<f64> = outcomes
            .iter()
            .map(|o| o.effect)
            .filter(|e| e.is_finite())
            .collect();
        effects.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let last = effects.len().saturating_sub(1);
            effects
                .get((q * last as f64).round() as usize)
                .copied()
                .unwrap_or(f64::NAN)
        };
        let sequential = match self.looks {
            Some(looks) => Some(looks.count(outcomes.iter().filter_map(|o| o.stop))?),
            None => None,
        };
        Ok(ComparisonCharacteristics {
            arm: self.trial.arms[arm].name.clone(),
            control: self.trial.arms[self.trial.analysis.control].name.clone(),
            tests,
            sequential,
            effect: effect.to_owned(),
            estimates: [0.025, 0.25, 0.5, 0.75, 0.975].map(at),
            events: outcomes.iter().map(|o| o.events as f64).sum::<f64>() / n.max(1) as f64,
        })
    }
}
