//! Times to an event.

use serde_json::{Map, Value, json};

use super::{found, missing};
use crate::Trial;
use crate::run::{Competing, Times};

pub(super) fn summary(trial: &Trial, times: &Times) -> Value {
    let name = |arm: usize| trial.arms[arm].name.clone();
    let mut arms = Map::new();
    for arm in &times.arms {
        let free: Vec<Value> = arm
            .free
            .iter()
            .map(|(time, share)| json!({ "time": time, "share": share }))
            .collect();
        let value = json!({
            "patients": arm.curve.patients(),
            "missing_patients": arm.missing,
            "events": arm.events,
            "median": arm.median,
            "median_follow_up": arm.follow_up,
            "restricted_mean": arm.restricted_mean,
            "event_free": free,
        });
        arms.insert(name(arm.arm), value);
    }
    for (arm, reason) in &times.without {
        arms.insert(name(*arm), missing(reason));
    }
    let mut comparisons = Map::new();
    for comparison in &times.comparisons {
        let value = json!({
            "log_rank": found(&comparison.log_rank),
            "stratified_log_rank": comparison.stratified_log_rank.as_ref().map(found),
            "hazard_ratio": found(&comparison.hazard_ratio),
            "stratified_hazard_ratio": comparison.stratified_hazard_ratio.as_ref().map(found),
            "proportional_hazards": found(&comparison.proportional_hazards),
            "restricted_mean_difference": found(&comparison.restricted_mean),
            "paired": comparison.paired.as_ref().map(found),
        });
        comparisons.insert(name(comparison.arm), value);
    }
    json!({
        "unit": times.unit,
        "arms": arms,
        "against_control": comparisons,
        "competing": times.competing.as_ref().map(|competing| causes(trial, competing)),
    })
}

/// Endpoint by endpoint, where it came first.
fn causes(trial: &Trial, competing: &Competing) -> Value {
    let mut out = Map::new();
    for cause in &competing.causes {
        let arms: Map<String, Value> = cause
            .arms
            .iter()
            .enumerate()
            .map(|(arm, cause)| {
                let value = match cause {
                    Ok(cause) => {
                        let at: Vec<Value> = cause
                            .at
                            .iter()
                            .map(|(time, share)| json!({ "time": time, "share": share }))
                            .collect();
                        json!({ "events": cause.events, "incidence": at })
                    }
                    Err(reason) => missing(reason),
                };
                (trial.arms[arm].name.clone(), value)
            })
            .collect();
        let tests: Map<String, Value> = cause
            .comparisons
            .iter()
            .map(|(arm, test)| (trial.arms[*arm].name.clone(), found(test)))
            .collect();
        let value = json!({ "arms": arms, "gray_test": tests });
        out.insert(trial.endpoints[cause.endpoint].name.clone(), value);
    }
    Value::Object(out)
}
