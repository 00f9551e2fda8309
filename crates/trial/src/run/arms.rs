//! Every patient through every arm.
//!
//! Arms share the cohort and its random numbers, so a difference between two arms is an effect
//! within one patient.

use posology_cohort::Cohort;
use posology_cohort::event::{Timeline, Timelines};
use posology_kernels::simulate::Status;
use posology_model::program::AccumulatorRequest;
use posology_sim::outputs::column;
use posology_sim::run::run as simulate;
use posology_sim::{OutputPlan, Results, RuleSet, Simulation, step};

use super::{Stage, TrialError};
use crate::Trial;
use crate::design::{Arm, Endpoint, EndpointKind};

/// Patients whose follow-up ends at their own event are run in pieces of this size, so that their
/// timelines take little memory.
const PIECE: usize = 1 << 16;
/// Patients whose courses are looked at before a step is accepted.
const STABILITY_SAMPLE: usize = 16;

/// A cohort in every arm.
#[derive(Clone, Debug)]
pub struct CohortResult {
    /// What reports call it.
    pub title: String,
    /// Real patients.
    pub real: bool,
    /// Who they are.
    pub cohort: Cohort,
    /// As in the trial.
    pub arms: Vec<ArmResult>,
}

/// A cohort in one arm.
#[derive(Clone, Debug)]
pub struct ArmResult {
    /// `[endpoint][patient]` in the endpoint's unit. A time without its event is the horizon; NaN
    /// for patients who diverged.
    pub values: Vec<Vec<f64>>,
    /// `[endpoint][patient]`: the event happened; empty for endpoints that are not times.
    pub events: Vec<Vec<bool>>,
    /// How each patient's integration ended.
    pub status: Vec<Status>,
    /// Integration steps of all patients.
    pub patient_steps: u64,
}

impl CohortResult {
    /// Patients who completed every arm: the ones that are analysed.
    pub fn complete(&self) -> Vec<usize> {
        (0..self.cohort.len())
            .filter(|&p| {
                self.arms
                    .iter()
                    .all(|arm| arm.status[p] == Status::Completed)
            })
            .collect()
    }
}

pub(super) fn run(
    stage: &mut Stage<'_, '_>,
    title: &str,
    real: bool,
    cohort: Cohort,
) -> Result<CohortResult, TrialError> {
    let mut arms = Vec::new();
    for arm in &stage.trial.arms {
        arms.push(one(stage, title, &cohort, arm)?);
        stage.step += 1;
    }
    Ok(CohortResult {
        title: title.to_owned(),
        real,
        cohort,
        arms,
    })
}

/// What happens to a cohort in an arm until `end` (model time).
pub(super) fn timelines(
    trial: &Trial,
    arm: &Arm,
    cohort: &Cohort,
    end: f64,
) -> Result<Timelines, TrialError> {
    let timelines = match &arm.regimen {
        Some((regimen, origin)) => regimen.timelines(&trial.model, cohort, end, origin)?,
        None => super::replay::empty(cohort.len(), end),
    };
    Ok(match &arm.rule {
        Some(rule) => timelines.with_rule(rule.every, 0.0, end),
        None => timelines,
    })
}

/// The rule of an arm.
pub(super) fn rules(arm: &Arm) -> RuleSet {
    arm.rule
        .as_ref()
        .map_or_else(RuleSet::default, |rule| rule.set.clone())
}

fn one(
    stage: &mut Stage<'_, '_>,
    title: &str,
    cohort: &Cohort,
    arm: &Arm,
) -> Result<ArmResult, TrialError> {
    let trial = stage.trial;
    let n = cohort.len();
    let timelines = timelines(trial, arm, cohort, trial.horizon)?;
    let rules = rules(arm);
    let label = format!("{title}, {}", arm.title);
    let direct: Vec<usize> = (0..trial.endpoints.len())
        .filter(|&e| trial.endpoints[e].until.is_none())
        .collect();
    let results = simulated(stage, cohort, &timelines, &rules, &direct, &label, (0, n))?;
    let mut out = ArmResult {
        values: vec![vec![f64::NAN; n]; trial.endpoints.len()],
        events: vec![Vec::new(); trial.endpoints.len()],
        status: results.status.clone(),
        patient_steps: results.patient_steps,
    };
    for (k, &e) in direct.iter().enumerate() {
        let endpoint = &trial.endpoints[e];
        let values = &results.summaries[k];
        let length = |_: usize| trial.horizon;
        out.values[e] = finished(trial, endpoint, values, length);
        if endpoint.is_time() {
            out.events[e] = values.iter().map(|value| value.is_finite()).collect();
            let horizon = trial.horizon / trial.model.units.scale(&endpoint.unit);
            let complete = |p: usize| results.status[p] == Status::Completed;
            out.values[e] = values
                .iter()
                .enumerate()
                .map(|(p, &value)| match (complete(p), value.is_finite()) {
                    (false, _) => f64::NAN,
                    (true, true) => value,
                    (true, false) => horizon,
                })
                .collect();
        }
    }
    until_events(stage, cohort, &timelines, &rules, &label, &mut out)?;
    for values in &mut out.values {
        for (value, status) in values.iter_mut().zip(&out.status) {
            if *status != Status::Completed {
                *value = f64::NAN;
            }
        }
    }
    Ok(out)
}

/// Endpoints that are accumulated until the patient's own event: the same course once more, ended
/// there.
fn until_events(
    stage: &mut Stage<'_, '_>,
    cohort: &Cohort,
    timelines: &Timelines,
    rules: &RuleSet,
    label: &str,
    out: &mut ArmResult,
) -> Result<(), TrialError> {
    let trial = stage.trial;
    let mut ends: Vec<usize> = trial
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.until)
        .collect();
    ends.sort_unstable();
    ends.dedup();
    for event in ends {
        let chosen: Vec<usize> = (0..trial.endpoints.len())
            .filter(|&e| trial.endpoints[e].until == Some(event))
            .collect();
        let scale = trial.model.units.scale(&trial.endpoints[event].unit);
        let stop: Vec<f64> = out.values[event]
            .iter()
            .map(|time| {
                if time.is_finite() {
                    (time * scale).min(trial.horizon)
                } else {
                    trial.horizon
                }
            })
            .collect();
        for first in (0..cohort.len()).step_by(PIECE) {
            let piece: Vec<usize> = (first..cohort.len().min(first + PIECE)).collect();
            let part = cohort.select(&piece);
            let cut = ended(&timelines.select(&piece), &stop[first..first + piece.len()]);
            let results = simulated(
                stage,
                &part,
                &cut,
                rules,
                &chosen,
                label,
                (first, cohort.len()),
            )?;
            out.patient_steps += results.patient_steps;
            for (k, &e) in chosen.iter().enumerate() {
                let values = finished(trial, &trial.endpoints[e], &results.summaries[k], |p| {
                    stop[first + p]
                });
                out.values[e][first..first + piece.len()].copy_from_slice(&values);
            }
        }
    }
    Ok(())
}

/// Each patient's timeline ended at his own time.
fn ended(timelines: &Timelines, stop: &[f64]) -> Timelines {
    let one = |p: usize, &stop: &f64| {
        let base: &Timeline = &timelines.timelines[timelines.of_patient[p] as usize];
        let mut timeline = base.clone();
        timeline.events.retain(|event| event.time <= stop);
        timeline.end = stop;
        if let Some(repeat) = &mut timeline.repeat {
            repeat.until = repeat.until.min(stop);
        }
        timeline
    };
    Timelines {
        of_patient: (0..stop.len() as u32).collect(),
        timelines: stop
            .iter()
            .enumerate()
            .map(|(p, stop)| one(p, stop))
            .collect(),
        scales: timelines.scales.clone(),
    }
}

fn simulated(
    stage: &mut Stage<'_, '_>,
    cohort: &Cohort,
    timelines: &Timelines,
    rules: &RuleSet,
    endpoints: &[usize],
    label: &str,
    (before, total): (usize, usize),
) -> Result<Results, TrialError> {
    let model = &stage.trial.model;
    let mut outputs = OutputPlan::none();
    for &e in endpoints {
        let endpoint = &stage.trial.endpoints[e];
        let request = match endpoint.kind {
            EndpointKind::FirstTime(margin) => AccumulatorRequest::FirstTime(margin),
            EndpointKind::Integral(node) | EndpointKind::Mean(node) => {
                AccumulatorRequest::Integral(node)
            }
            EndpointKind::Last(node) => AccumulatorRequest::Last(node),
            EndpointKind::Min(node) => AccumulatorRequest::Min(node),
            EndpointKind::Max(node) => AccumulatorRequest::Max(node),
            _ => continue,
        };
        outputs.summary(column(model, &endpoint.name, &endpoint.unit), request);
    }
    let simulation = Simulation {
        model,
        cohort,
        timelines,
        outputs: &outputs,
        rules,
    };
    let (options, device) = (stage.options(), stage.device);
    if before == 0 {
        let schedule = options.step.as_ref().unwrap_or(&model.step);
        step::refuse_unstable(&simulation, schedule, STABILITY_SAMPLE)?;
    }
    Ok(simulate(device, &simulation, &options, |done, _| {
        stage.report(label, before + done, total)
    })?)
}

/// A mean is its integral over the time it was taken over.
fn finished(
    trial: &Trial,
    endpoint: &Endpoint,
    values: &[f64],
    length: impl Fn(usize) -> f64,
) -> Vec<f64> {
    debug_assert!(trial.horizon > 0.0);
    match endpoint.kind {
        EndpointKind::Mean(_) => values
            .iter()
            .enumerate()
            .map(|(p, value)| value / length(p))
            .collect(),
        _ => values.to_vec(),
    }
}
