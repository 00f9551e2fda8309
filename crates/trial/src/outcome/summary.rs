//! Every number of the report, for machines.

use serde_json::{Map, Value, json};

use crate::Trial;
use crate::run::{CohortAnalysis, CohortResult, ReplayResult, RunSettings, Times, TrialResult};

/// The summary. Times carry the unit beside them; intervals are `{value, low, high, level}`.
pub(crate) fn summary(trial: &Trial, result: &TrialResult, settings: &RunSettings) -> Value {
    let arms: Vec<Value> = trial
        .arms
        .iter()
        .map(|arm| {
            let rule = arm.rule.as_ref().map(|rule| json!({ "every": rule.every_text, "set": rule.text.iter().cloned().collect::<std::collections::BTreeMap<_, _>>() }));
            json!({ "name": arm.name, "title": arm.title, "regimen": arm.regimen_text, "rule": rule })
        })
        .collect();
    let endpoints: Vec<Value> = trial
        .endpoints
        .iter()
        .map(|endpoint| {
            let until = endpoint.until.map(|until| trial.endpoints[until].name.clone());
            json!({ "name": endpoint.name, "title": endpoint.title, "unit": endpoint.unit.text(), "expression": endpoint.text, "until": until, "source": trial.citation(&endpoint.source), "note": endpoint.note })
        })
        .collect();
    let cohorts: Vec<Value> = result
        .cohorts
        .iter()
        .zip(&result.analyses)
        .map(|(cohort, analysis)| cohort_summary(trial, cohort, analysis))
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
        "step": result.step,
        "step_unit": trial.model.time_unit.text(),
        "horizon": { "value": trial.shown_time(trial.horizon), "unit": trial.time_unit.text() },
        "control": trial.arms[trial.analysis.control].name,
        "primary": trial.endpoints[trial.analysis.primary].name,
        "arms": arms,
        "endpoints": endpoints,
        "replay": result.replay.as_ref().map(|replay| replay_summary(trial, replay)),
        "cohorts": cohorts,
        "reported": result.reported.as_ref().map(|times| json!({
            "title": trial.reported.as_ref().map(|reported| reported.title.clone()),
            "note": trial.reported.as_ref().map(|reported| reported.note.clone()),
            "times": times_summary(trial, times),
        })),
        "limits": trial.limits,
        "use": "research software; not clinical advice",
        "provenance": provenance,
    })
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

fn cohort_summary(trial: &Trial, cohort: &CohortResult, analysis: &CohortAnalysis) -> Value {
    let numbers: Map<String, Value> = analysis
        .numbers
        .iter()
        .map(|numbers| {
            let endpoint = &trial.endpoints[numbers.endpoint];
            let arms: Map<String, Value> =
                numbers.arms.iter().enumerate().map(|(arm, number)| (trial.arms[arm].name.clone(), json!(number))).collect();
            let effects: Map<String, Value> =
                numbers.effects.iter().map(|effect| (trial.arms[effect.arm].name.clone(), json!(effect.difference))).collect();
            (endpoint.name.clone(), json!({ "unit": endpoint.unit.text(), "arms": arms, "difference_from_control": effects }))
        })
        .collect();
    let times: Map<String, Value> = analysis
        .times
        .iter()
        .filter_map(|times| {
            Some((
                trial.endpoints[times.endpoint?].name.clone(),
                times_summary(trial, times),
            ))
        })
        .collect();
    json!({
        "title": cohort.title,
        "real": cohort.real,
        "patients": analysis.patients,
        "excluded": analysis.excluded,
        "times": times,
        "numbers": numbers,
    })
}

fn times_summary(trial: &Trial, times: &Times) -> Value {
    let mut arms = Map::new();
    for arm in &times.arms {
        let free: Vec<Value> = arm
            .free
            .iter()
            .map(|(time, share)| json!({ "time": time, "share": share }))
            .collect();
        let value = json!({
            "patients": arm.curve.patients(),
            "events": arm.events,
            "median": arm.median,
            "restricted_mean": arm.restricted_mean,
            "event_free": free,
        });
        arms.insert(trial.arms[arm.arm].name.clone(), value);
    }
    let mut comparisons = Map::new();
    for comparison in &times.comparisons {
        let value = json!({
            "log_rank": result(&comparison.log_rank),
            "hazard_ratio": result(&comparison.hazard_ratio),
            "restricted_mean_difference": result(&comparison.restricted_mean),
            "paired": comparison.paired,
        });
        comparisons.insert(trial.arms[comparison.arm].name.clone(), value);
    }
    json!({ "unit": times.unit, "arms": arms, "against_control": comparisons })
}

/// The value, or why there is none.
fn result<T: serde::Serialize, E: std::fmt::Display>(value: &Result<T, E>) -> Value {
    match value {
        Ok(value) => json!(value),
        Err(reason) => json!({ "missing": reason.to_string() }),
    }
}
