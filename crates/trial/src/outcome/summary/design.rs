//! What was asked and how.

use serde_json::{Map, Value, json};

use crate::Trial;

/// Allocation, visits, dose modifications and the plan of the analysis.
pub(super) fn summary(trial: &Trial) -> Value {
    let time =
        |time: f64| json!({ "value": trial.shown_time(time), "unit": trial.time_unit.text() });
    let allocation = &trial.allocation;
    let strata: Vec<&str> = allocation.strata.iter().map(|s| s.text.as_str()).collect();
    let visits = trial.visits.as_ref().map(|visits| {
        let per_time = trial.model.units.scale(&trial.time_unit);
        let observed: Vec<&str> = visits.observed.iter().map(|o| o.name.as_str()).collect();
        json!({
            "every": visits.every_text,
            "missed": visits.missed,
            "dropout": { "value": visits.dropout * per_time, "per": trial.time_unit.text() },
            "observed": observed,
        })
    });
    let protocols: Map<String, Value> = trial
        .protocols
        .iter()
        .map(|protocol| {
            let rules: Vec<&str> = protocol
                .rules
                .iter()
                .map(|rule| rule.text.as_str())
                .collect();
            (protocol.name.clone(), json!(rules))
        })
        .collect();
    let name = |e: &usize| trial.endpoints[*e].name.as_str();
    let analysis = &trial.analysis;
    json!({
        "allocation": if allocation.every_arm { "every-arm" } else { "parallel" },
        "ratio": allocation.ratio,
        "block": allocation.block,
        "strata": strata,
        "accrual": time(allocation.accrual),
        "visits": visits,
        "protocols": protocols,
        "analysis": {
            "secondary": analysis.secondary.iter().map(name).collect::<Vec<_>>(),
            "multiplicity": analysis.multiplicity.name(),
            "alpha": analysis.alpha,
            "level": analysis.level,
            "resamples": analysis.resamples,
            "win_ratio": analysis.win_ratio.iter().map(name).collect::<Vec<_>>(),
        },
    })
}
