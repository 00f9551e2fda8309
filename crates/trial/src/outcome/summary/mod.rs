//! Every number of the report, for machines.

mod cohort;
mod design;
mod groups;
mod times;

use serde_json::{Map, Value, json};

use crate::Trial;
use crate::design::Class;
use crate::run::{CohortAnalysis, CohortResult, ReplayResult, RunSettings, TrialResult};

/// The summary. Times carry the unit beside them; intervals are `{value, low, high, level}`; what
/// cannot be computed is `{missing: why}`.
pub(crate) fn summary(trial: &Trial, result: &TrialResult, settings: &RunSettings) -> Value {
    let arms: Vec<Value> = trial
        .arms
        .iter()
        .map(|arm| {
            let rule = arm.rule.as_ref().map(|rule| json!({ "every": rule.every_text, "set": rule.text.iter().cloned().collect::<std::collections::BTreeMap<_, _>>() }));
            let protocol = arm.protocol.map(|protocol| &trial.protocols[protocol].name);
            let policy = arm.policy.as_ref().map(|policy| &policy.file);
            let trained = arm.trained.as_ref().map(|policy| &policy.file);
            json!({ "policy": policy.or(trained), "name": arm.name, "title": arm.title, "regimen": arm.regimen_text, "rule": rule, "protocol": protocol })
        })
        .collect();
    let endpoints: Vec<Value> = trial
        .endpoints
        .iter()
        .map(|endpoint| {
            let until = endpoint.until.map(|until| trial.endpoints[until].name.clone());
            json!({ "name": endpoint.name, "title": endpoint.title, "class": class(endpoint.class()), "unit": endpoint.unit.text(), "expression": endpoint.text, "until": until, "source": trial.citation(&endpoint.source), "note": endpoint.note })
        })
        .collect();
    let cohorts: Vec<Value> = result
        .cohorts
        .iter()
        .zip(&result.analyses)
        .map(|(cohort, analysis)| analysis.to_json(trial, cohort))
        .collect();
    let provenance: Map<String, Value> = settings
        .provenance
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    json!({
        "trial": trial.name,
        "title": trial.title,
        "model": trial.model.name,
        "seed": result.seed,
        "drawn_on_host": result.drawn_on_host,
        "step": result.step,
        "step_unit": trial.model.time_unit.text(),
        "horizon": { "value": trial.shown_time(trial.horizon), "unit": trial.time_unit.text() },
        "control": trial.arms[trial.analysis.control].name,
        "primary": trial.endpoints[trial.analysis.primary].name,
        "design": design::summary(trial),
        "arms": arms,
        "endpoints": endpoints,
        "replay": result.replay.as_ref().map(|replay| replay_summary(trial, replay)),
        "cohorts": cohorts,
        "reported": result.reported.as_ref().map(|times| json!({
            "title": trial.reported.as_ref().map(|reported| reported.title.clone()),
            "note": trial.reported.as_ref().map(|reported| reported.note.clone()),
            "times": times::summary(trial, times),
        })),
        "limits": trial.limits,
        "use": "research software; not clinical advice",
        "provenance": provenance,
    })
}

impl CohortAnalysis {
    /// Every number of the analysis, for machines: one entry of `cohorts` in `summary.json`. Times
    /// carry the unit beside them; intervals are `{value, low, high, level}`, an infinite limit is
    /// `null`; what cannot be computed is `{missing: why}`.
    pub fn to_json(&self, trial: &Trial, cohort: &CohortResult) -> Value {
        cohort::summary(trial, cohort, self)
    }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Time => "time",
        Class::YesNo => "yes-no",
        Class::Number => "number",
        Class::Response => "response",
    }
}

fn replay_summary(trial: &Trial, replay: &ReplayResult) -> Value {
    let patients: Vec<Value> = replay
        .patients
        .iter()
        .map(|patient| json!({ "patient": patient.name, "group": patient.group, "records": patient.records.len(), "rmse": patient.rmse }))
        .collect();
    let schedules: Vec<Value> = replay
        .schedules
        .iter()
        .map(|schedule| {
            json!({
                "patient": schedule.name, "arm": trial.arms[schedule.arm].name,
                "duration": trial.shown_time(schedule.duration), "unit": trial.time_unit.text(),
                "share_on_real": schedule.real, "share_on_arm": schedule.arm_share, "agreement": schedule.agreement,
            })
        })
        .collect();
    json!({ "rmse_mean": replay.rmse, "patients": patients, "schedules": schedules })
}

/// The value, or why there is none.
fn found<T: serde::Serialize, E: std::fmt::Display>(value: &Result<T, E>) -> Value {
    match value {
        Ok(value) => json!(value),
        Err(reason) => missing(reason),
    }
}

/// Why there is no value.
fn missing(reason: &impl std::fmt::Display) -> Value {
    json!({ "missing": reason.to_string() })
}
