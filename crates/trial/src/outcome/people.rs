//! Every patient of every cohort in every arm, and what is known of each besides his endpoints.

use posology_kernels::simulate::Status;
use posology_model::unit::Unit;

use crate::Trial;
use crate::allocation::{dropout_time, entry_time};
use crate::design::EndpointKind;
use crate::protocol::reason;
use crate::run::{ArmResult, CohortResult, TrialResult};

/// Follow-up that ends this much before its end, as a share of it, has ended early.
const EARLY: f64 = 1e-9;

/// One patient in one arm.
#[derive(Clone, Copy)]
pub(super) struct Person<'a> {
    pub trial: &'a Trial,
    pub cohort: &'a CohortResult,
    pub result: &'a ArmResult,
    /// Index of the arm.
    pub arm: usize,
    /// Position in the arm.
    pub k: usize,
    /// Index in the cohort.
    pub patient: usize,
    seed: u64,
}

/// Everybody: cohort by cohort, arm by arm.
pub(super) fn people<'a>(trial: &'a Trial, result: &'a TrialResult) -> Vec<Person<'a>> {
    let seed = result.seed;
    let mut out = Vec::new();
    for cohort in &result.cohorts {
        for (arm, result) in cohort.arms.iter().enumerate() {
            let members = result.members.iter().enumerate();
            out.extend(members.map(|(k, &patient)| Person {
                trial,
                cohort,
                result,
                arm,
                k,
                patient,
                seed,
            }));
        }
    }
    out
}

/// How a patient's part in the trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Diverged,
    Died,
    Left,
}

impl Person<'_> {
    /// Name of a real patient, number of a virtual one.
    pub fn label(&self) -> String {
        self.cohort.cohort.label(self.patient)
    }

    /// Unique over cohorts, and over arms where a patient went through all: trial, cohort (`R` real,
    /// `V` virtual), patient, arm.
    pub fn subject(&self) -> String {
        let cohort = if self.cohort.real { "R" } else { "V" };
        let (trial, label) = (&self.trial.name, self.label());
        if self.cohort.every_arm {
            let arm = &self.trial.arms[self.arm].name;
            format!("{trial}-{cohort}-{label}-{arm}")
        } else {
            format!("{trial}-{cohort}-{label}")
        }
    }

    pub fn completed(&self) -> bool {
        self.result.status.get(self.k) == Some(&Status::Completed)
    }

    /// Value of an endpoint in its unit; NaN if there is none.
    pub fn value(&self, e: usize) -> f64 {
        let values = self.result.values.get(e);
        values
            .and_then(|values| values.get(self.k))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// Whether an endpoint happened; `None` for numbers.
    pub fn event(&self, e: usize) -> Option<bool> {
        self.result.events.get(e)?.get(self.k).copied()
    }

    /// End of observation, model time.
    pub fn until(&self) -> f64 {
        let until = self.result.until.get(self.k).copied();
        until.unwrap_or(self.trial.horizon)
    }

    /// Whether the patient left before follow-up ended for him.
    pub fn left(&self) -> bool {
        let hazard = self.trial.visits.as_ref().map_or(0.0, |v| v.dropout);
        let id = self.cohort.cohort.ids[self.patient];
        let entry = entry_time(self.seed, id, self.trial.allocation.accrual);
        let leaves = dropout_time(self.seed, id, hazard);
        leaves < (self.trial.horizon - entry) * (1.0 - EARLY)
    }

    /// How his part in the trial ended.
    pub fn end(&self) -> End {
        let died = death(self.trial).and_then(|e| self.event(e));
        match (self.completed(), died, self.left()) {
            (false, ..) => End::Diverged,
            (_, Some(true), _) => End::Died,
            (.., true) => End::Left,
            _ => End::Completed,
        }
    }

    /// End of treatment, model time; only under visits.
    pub fn treated_until(&self) -> Option<f64> {
        let course = self.result.course.as_ref()?;
        let end = course.treated_until.get(self.k).copied()?;
        Some(end.min(died(self.trial, self.result, self.k)))
    }

    /// Whether he died before his treatment ended.
    pub fn died_on_treatment(&self) -> bool {
        let course = self.result.course.as_ref();
        let end = course.and_then(|course| course.treated_until.get(self.k));
        end.is_some_and(|end| died(self.trial, self.result, self.k) < end * (1.0 - EARLY))
    }

    /// Why treatment ended, as its register holds it; only under visits.
    pub fn reason(&self) -> Option<u32> {
        let course = self.result.course.as_ref()?;
        course.reason.get(self.k).map(|code| code.round() as u32)
    }

    /// Whether any treatment was given.
    pub fn treated(&self) -> bool {
        match &self.result.course {
            Some(course) => course
                .cycles
                .get(self.k)
                .is_some_and(|&cycles| cycles > 0.0),
            None => {
                let arm = &self.trial.arms[self.arm];
                arm.regimen.is_some() || arm.rule.is_some() || arm.trained.is_some()
            }
        }
    }
}

/// The endpoint that is the patient's death, if one is.
pub(super) fn death(trial: &Trial) -> Option<usize> {
    trial.death()
}

/// When a patient died, model time; never (infinite) if he did not. The model goes on after a death
/// that is drawn; what is measured and given then did not happen.
pub(super) fn died(trial: &Trial, result: &ArmResult, k: usize) -> f64 {
    let time = death(trial).and_then(|e| {
        let happened = *result.events.get(e)?.get(k)?;
        let time = *result.values.get(e)?.get(k)?;
        let scale = trial.model.units.scale(&trial.endpoints[e].unit);
        (happened && time.is_finite()).then_some(time * scale)
    });
    time.unwrap_or(f64::INFINITY)
}

/// Why treatment in an arm ended, in the words of the protocol.
pub(super) fn reason_text(trial: &Trial, arm: usize, code: u32) -> String {
    match code {
        reason::NONE => String::new(),
        reason::DROPOUT => "left the trial".to_owned(),
        _ if trial.arms[arm].trained.is_some() => reason::ENDED.to_owned(),
        code => {
            let rule = (code - reason::FIRST_RULE) as usize;
            let protocol = trial.arms[arm].protocol;
            let known = protocol
                .and_then(|protocol| trial.protocols.get(protocol))
                .and_then(|protocol| protocol.rules.get(rule));
            known.map_or_else(|| format!("rule {}", rule + 1), |rule| rule.text.clone())
        }
    }
}

/// Days of a model time.
pub(super) fn days(trial: &Trial, time: f64) -> f64 {
    let day = Unit::parse("d").map_or(f64::NAN, |day| trial.model.units.scale(&day));
    time / day
}

/// Study day of a model time: the first is 1.
pub(super) fn study_day(trial: &Trial, time: f64) -> f64 {
    // device clocks are single precision: a day that is short by less is over
    (days(trial, time) * (1.0 + 1e-6)).floor() + 1.0
}

/// The slot of the first covariate with one of these names, whatever its case.
pub(super) fn people_covariate(trial: &Trial, names: &[&str]) -> Option<usize> {
    let found = trial.model.covariates.iter().position(|covariate| {
        names
            .iter()
            .any(|name| covariate.name.eq_ignore_ascii_case(name))
    });
    found.map(|at| trial.model.parameters.len() + at)
}

/// Whether measurements of an observed quantity end with a progression on it.
pub(super) fn ends_with_progression(trial: &Trial, observed: usize) -> bool {
    progression(trial, observed).is_some()
}

/// The endpoint that is the progression on an observed quantity.
fn progression(trial: &Trial, observed: usize) -> Option<usize> {
    trial
        .endpoints
        .iter()
        .position(|endpoint| match endpoint.kind {
            EndpointKind::Progression { observed: of } => of == observed,
            _ => false,
        })
}

/// The last scan that figures show, model time: scans end with progression on them, and with death.
pub(super) fn last_scan(trial: &Trial, result: &ArmResult, k: usize, observed: usize) -> f64 {
    let progressed = progression(trial, observed).and_then(|e| {
        let happened = *result.events.get(e)?.get(k)?;
        let time = *result.values.get(e)?.get(k)?;
        let scale = trial.model.units.scale(&trial.endpoints[e].unit);
        // the scan itself is shown, whatever the rounding of its time
        (happened && time.is_finite()).then_some(time * scale * (1.0 + 1e-6))
    });
    progressed
        .unwrap_or(f64::INFINITY)
        .min(died(trial, result, k))
}
