//! One cohort.

use serde_json::{Map, Value, json};

use super::{found, groups, missing, times};
use crate::Trial;
use crate::clinical::recist::Response;
use crate::run::{
    ArmCourse, CohortAnalysis, CohortResult, Numbers, RateEffect, Rates, ToxicityTable,
};

pub(super) fn summary(trial: &Trial, cohort: &CohortResult, analysis: &CohortAnalysis) -> Value {
    let name = |arm: usize| trial.arms[arm].name.clone();
    let endpoint = |e: usize| trial.endpoints[e].name.clone();
    let times: Map<String, Value> = analysis
        .times
        .iter()
        .filter_map(|times| Some((endpoint(times.endpoint?), times::summary(trial, times))))
        .collect();
    let rates: Map<String, Value> = analysis
        .rates
        .iter()
        .map(|rates| (endpoint(rates.endpoint), rate(trial, rates)))
        .collect();
    let numbers: Map<String, Value> = analysis
        .numbers
        .iter()
        .map(|numbers| (endpoint(numbers.endpoint), number(trial, numbers)))
        .collect();
    let toxicities: Map<String, Value> = analysis
        .toxicities
        .iter()
        .map(|table| {
            let toxicity = &trial.model.toxicities[table.toxicity];
            (toxicity.name.clone(), toxicity_table(trial, table))
        })
        .collect();
    let courses: Map<String, Value> = analysis
        .courses
        .iter()
        .map(|course| (name(course.arm), arm_course(trial, course)))
        .collect();
    let arms: Map<String, Value> = analysis
        .arms
        .iter()
        .enumerate()
        .map(|(arm, patients)| (name(arm), json!(patients)))
        .collect();
    json!({
        "title": cohort.title,
        "real": cohort.real,
        "every_arm": analysis.every_arm,
        "patients": analysis.patients,
        "excluded": analysis.excluded,
        "arms": arms,
        "times": times,
        "rates": rates,
        "numbers": numbers,
        "toxicities": toxicities,
        "courses": courses,
        "tests": tests(trial, analysis),
        "subgroups": groups::subgroups(trial, analysis),
        "win_ratio": groups::wins(trial, analysis),
        "sensitivity": groups::sensitivity(trial, analysis),
    })
}

fn tests(trial: &Trial, analysis: &CohortAnalysis) -> Value {
    let claims = &analysis.claims;
    let tests: Vec<Value> = claims
        .claims
        .iter()
        .map(|claim| {
            json!({
                "endpoint": trial.endpoints[claim.endpoint].name,
                "primary": claim.primary,
                "arm": trial.arms[claim.arm].name,
                "test": claim.test,
                "p_value": found(&claim.p_value),
                "adjusted_p_value": claim.adjusted,
                "significant": claim.significant,
            })
        })
        .collect();
    json!({ "multiplicity": claims.multiplicity, "alpha": claims.alpha, "tests": tests })
}

fn rate(trial: &Trial, rates: &Rates) -> Value {
    let mut arms = Map::new();
    for arm in &rates.arms {
        let responses: Map<String, Value> = Response::ALL
            .iter()
            .zip(&arm.responses)
            .map(|(response, count)| (response.abbreviation().to_owned(), json!(count)))
            .collect();
        let value = json!({
            "patients": arm.patients,
            "missing_patients": arm.missing,
            "events": arm.events,
            "rate": arm.rate,
            "best_response": (!responses.is_empty()).then_some(responses),
        });
        arms.insert(trial.arms[arm.arm].name.clone(), value);
    }
    for (arm, reason) in &rates.without {
        arms.insert(trial.arms[*arm].name.clone(), missing(reason));
    }
    json!({ "arms": arms, "against_control": effects(trial, &rates.effects) })
}

fn effects(trial: &Trial, effects: &[RateEffect]) -> Map<String, Value> {
    effects
        .iter()
        .map(|effect| {
            let value = json!({
                "risk_difference": found(&effect.difference),
                "risk_ratio": found(&effect.risk_ratio),
                "odds_ratio": found(&effect.odds_ratio),
                "exact_odds_ratio": found(&effect.exact_odds_ratio),
                "fisher_p_value": found(&effect.fisher),
                "chi_squared": found(&effect.chi_squared),
                "stratified": effect.stratified.as_ref().map(found),
                "paired": effect.paired.as_ref().map(found),
            });
            (trial.arms[effect.arm].name.clone(), value)
        })
        .collect()
}

fn number(trial: &Trial, numbers: &Numbers) -> Value {
    let mut arms = Map::new();
    for arm in &numbers.arms {
        let value = json!({
            "patients": arm.summary.count,
            "missing_patients": arm.missing,
            "mean": arm.mean,
            "sd": arm.summary.sd,
            "quartiles": arm.quartiles,
            "min": arm.summary.min,
            "max": arm.summary.max,
            "geometric_mean": arm.geometric.map(|geometric| geometric.mean),
            "geometric_cv": arm.geometric.map(|geometric| geometric.cv),
        });
        arms.insert(trial.arms[arm.arm].name.clone(), value);
    }
    for (arm, reason) in &numbers.without {
        arms.insert(trial.arms[*arm].name.clone(), missing(reason));
    }
    let (mut differences, mut ratios) = (Map::new(), Map::new());
    for effect in &numbers.effects {
        let name = || trial.arms[effect.arm].name.clone();
        differences.insert(name(), found(&effect.difference));
        let ratio = effect.ratio.as_ref().map(found);
        ratios.insert(name(), json!(ratio));
    }
    json!({
        "unit": trial.endpoints[numbers.endpoint].unit.text(),
        "arms": arms,
        "difference_from_control": differences,
        "geometric_mean_ratio": ratios,
    })
}

fn toxicity_table(trial: &Trial, table: &ToxicityTable) -> Value {
    let arms: Map<String, Value> = table
        .arms
        .iter()
        .map(|arm| {
            let value = json!({
                "patients": arm.patients,
                "worst_grade": arm.grades,
                "grade_3_or_worse": found(&arm.severe),
            });
            (trial.arms[arm.arm].name.clone(), value)
        })
        .collect();
    json!({
        "knows_grade_3": table.knows_severe,
        "arms": arms,
        "against_control": effects(trial, &table.effects),
    })
}

fn arm_course(trial: &Trial, course: &ArmCourse) -> Value {
    let by_input = |columns: &[(usize, crate::run::Found<crate::statistics::Summary>)]| {
        columns
            .iter()
            .map(|(input, summary)| (trial.model.inputs[*input].name.clone(), found(summary)))
            .collect::<Map<String, Value>>()
    };
    let units: Map<String, Value> = course
        .dose
        .iter()
        .map(|(input, _)| {
            let input = &trial.model.inputs[*input];
            (input.name.clone(), json!(input.unit.text()))
        })
        .collect();
    json!({
        "patients": course.patients,
        "cycles": found(&course.cycles),
        "cycles_begun": course.cycles_begun,
        "cycles_delayed": course.cycles_delayed,
        "patients_delayed": course.delayed,
        "reductions": course.reductions,
        "patients_reduced": course.reduced,
        "time_on_treatment": found(&course.treated),
        "time_unit": trial.time_unit.text(),
        "end_of_treatment": course.reasons,
        "relative_dose": by_input(&course.intensity),
        "dose": by_input(&course.dose),
        "dose_unit": units,
    })
}
