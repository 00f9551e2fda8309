//! Subgroups, win ratios and other assumptions.

use serde_json::{Map, Value, json};

use super::found;
use crate::Trial;
use crate::run::{
    CohortAnalysis, SubgroupComparison, SubgroupFactor, SubgroupOutcome, SubgroupQuestion,
};

/// Factor by factor, question by question, arm by arm, group by group.
pub(super) fn subgroups(trial: &Trial, analysis: &CohortAnalysis) -> Value {
    let factors = analysis.subgroups.iter().map(|factor| {
        let subgroups = &trial.subgroups[factor.factor];
        let outcomes: Vec<Value> = factor
            .outcomes
            .iter()
            .map(|outcome| outcome_summary(trial, factor, outcome))
            .collect();
        let value = json!({
            "title": subgroups.title,
            "patients_in_no_group": factor.outside,
            "outcomes": outcomes,
        });
        (subgroups.name.clone(), value)
    });
    Value::Object(factors.collect())
}

fn outcome_summary(trial: &Trial, factor: &SubgroupFactor, outcome: &SubgroupOutcome) -> Value {
    let (kind, name) = match outcome.question {
        SubgroupQuestion::Endpoint(e) => ("endpoint", &trial.endpoints[e].name),
        SubgroupQuestion::Severe(t) => ("grade_3_or_worse", &trial.model.toxicities[t].name),
    };
    let comparisons: Map<String, Value> = outcome
        .comparisons
        .iter()
        .map(|comparison| {
            let arm = trial.arms[comparison.arm].name.clone();
            (arm, comparison_summary(trial, factor, comparison))
        })
        .collect();
    json!({
        "of": kind,
        "name": name,
        "measure": outcome.measure,
        "against_control": comparisons,
    })
}

fn comparison_summary(
    trial: &Trial,
    factor: &SubgroupFactor,
    comparison: &SubgroupComparison,
) -> Value {
    let groups = &trial.subgroups[factor.factor].groups;
    let rows: Vec<Value> = comparison
        .rows
        .iter()
        .map(|row| {
            json!({
                "group": groups[row.group].0,
                "condition": groups[row.group].1.text,
                "arm": row.own,
                "control": row.control,
                "effect": found(&row.effect),
                "detectable": found(&row.detectable),
                "detectable_gap": found(&row.detectable_gap),
                "within_patients": row.within.as_ref().map(found),
            })
        })
        .collect();
    json!({
        "overall": found(&comparison.overall),
        "interaction": found(&comparison.interaction),
        "interaction_test": comparison.test,
        "interaction_within_patients": comparison.interaction_within.as_ref().map(found),
        "heterogeneity": comparison.heterogeneity,
        "groups": rows,
    })
}

pub(super) fn wins(trial: &Trial, analysis: &CohortAnalysis) -> Value {
    let Some(wins) = &analysis.wins else {
        return Value::Null;
    };
    let endpoints: Vec<&str> = wins
        .endpoints
        .iter()
        .map(|&e| trial.endpoints[e].name.as_str())
        .collect();
    let comparisons: Map<String, Value> = wins
        .comparisons
        .iter()
        .map(|comparison| {
            let value = json!({
                "unmatched": comparison.unmatched.as_ref().map(found),
                "matched": comparison.matched.as_ref().map(found),
            });
            (trial.arms[comparison.arm].name.clone(), value)
        })
        .collect();
    json!({ "endpoints": endpoints, "against_control": comparisons })
}

pub(super) fn sensitivity(trial: &Trial, analysis: &CohortAnalysis) -> Value {
    let mut out = Map::new();
    for found_one in &analysis.sensitivity {
        let name = trial.arms[found_one.arm].name.clone();
        let (arm, control) = found_one.left;
        let scenarios: Vec<Value> = found_one
            .scenarios
            .iter()
            .map(|scenario| {
                json!({
                    "title": scenario.title,
                    "hazard_ratio": found(&scenario.hazard_ratio),
                    "log_rank": found(&scenario.log_rank),
                })
            })
            .collect();
        let value = json!({
            "endpoint": trial.endpoints[found_one.endpoint].name,
            "left": { "arm": arm, "control": control },
            "leaving_as_event": scenarios,
            "early_weighted_log_rank": found(&found_one.early),
            "late_weighted_log_rank": found(&found_one.late),
        });
        out.insert(name, value);
    }
    Value::Object(out)
}
