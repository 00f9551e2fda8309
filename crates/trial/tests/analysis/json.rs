//! The numbers as they are written down.

use serde_json::Value;

use crate::{analysed, close, every_arm, parallel, trial};

/// Paths of values that are neither numbers, words nor their absence.
fn not_finite(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                not_finite(&format!("{path}/{key}"), value, found);
            }
        }
        Value::Array(values) => {
            for (k, value) in values.iter().enumerate() {
                not_finite(&format!("{path}/{k}"), value, found);
            }
        }
        Value::Null => found.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn parallel_groups_have_every_number() {
    let trial = trial(false);
    let cohort = parallel(&trial, 200, 11);
    let found = analysed(&trial, &cohort);
    let json = found.to_json(&trial, &cohort);
    let number = |path: &str| {
        let value = json.pointer(path).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("{path} in {json:#}"))
    };
    assert_eq!(json["every_arm"], false);
    assert_eq!(number("/patients"), 200.0);
    assert_eq!(number("/arms/d100/analysed"), 120.0);
    let comparison = &found.time(0).unwrap().comparisons[0];
    let ratio = comparison.hazard_ratio.as_ref().unwrap();
    close(
        number("/times/death/against_control/d100/hazard_ratio/value"),
        ratio.value,
    );
    close(
        number("/times/death/against_control/d100/stratified_hazard_ratio/low"),
        {
            comparison
                .stratified_hazard_ratio
                .as_ref()
                .unwrap()
                .as_ref()
                .unwrap()
                .low
        },
    );
    let causes = "/times/first/competing/neutropenia";
    assert!(number(&format!("{causes}/arms/d75/incidence/1/share/value")) > 0.0);
    assert!(number(&format!("{causes}/gray_test/d100/p_value")) <= 1.0);
    let rate = &found.rate(3).unwrap().arms[1];
    assert_eq!(number("/rates/grade4/arms/d100/events"), rate.events as f64);
    let best = &json["rates"]["response"]["arms"]["d75"]["best_response"];
    let counts: f64 = ["CR", "PR", "SD", "PD", "NE"]
        .iter()
        .map(|r| best[r].as_f64().unwrap())
        .sum();
    assert_eq!(counts, 80.0);
    assert!(number("/numbers/nadir/arms/d75/geometric_mean/value") > 0.0);
    assert!(number("/numbers/nadir/difference_from_control/d100/p_value") < 1.0);
    assert!(number("/numbers/nadir/geometric_mean_ratio/d100/low") > 0.0);
    let grades = json["toxicities"]["neutropenia"]["arms"]["d100"]["worst_grade"].as_array();
    assert_eq!(
        grades
            .unwrap()
            .iter()
            .map(|g| g.as_f64().unwrap())
            .sum::<f64>(),
        120.0
    );
    assert_eq!(
        json["courses"]["d75"]["end_of_treatment"][1]["text"],
        "left the trial"
    );
    assert!(number("/courses/d75/relative_dose/docetaxel/mean") > 0.0);
    assert_eq!(
        json["tests"]["tests"][1]["test"],
        "Cochran-Mantel-Haenszel test"
    );
    let women = "/subgroups/sex/outcomes/0/against_control/d100/groups/1";
    assert_eq!(json.pointer(women).unwrap()["group"], "women");
    assert!(number(&format!("{women}/effect/value")) > 0.0);
    assert!(number(&format!("{women}/detectable/below")) < 1.0);
    assert!(number("/win_ratio/against_control/d100/unmatched/win_ratio/estimate/value") > 0.0);
    assert!(number("/sensitivity/d100/left/arm") > 0.0);
    // what is null is what parallel groups do not have, or what follow-up did not reach
    let mut absent = Vec::new();
    not_finite("", &json, &mut absent);
    for path in absent {
        let expected = [
            "paired",
            "matched",
            "within_patients",
            "competing",
            "best_response",
        ]
        .iter()
        .any(|word| path.ends_with(word))
            || path.contains("median")
            || path.contains("residual_degrees");
        assert!(expected, "{path} is null");
    }
}

#[test]
fn patients_in_every_arm_have_their_own_effects() {
    let trial = trial(true);
    let cohort = every_arm(&trial, 100, 5);
    let json = analysed(&trial, &cohort).to_json(&trial, &cohort);
    let paired = &json["times"]["death"]["against_control"]["d100"]["paired"];
    for key in ["mean", "median", "better", "worse", "same"] {
        assert!(paired[key]["value"].is_f64(), "{key}");
    }
    assert!(json["rates"]["grade4"]["against_control"]["d100"]["paired"]["p_value"].is_number());
    let group = &json["subgroups"]["sex"]["outcomes"][0]["against_control"]["d100"]["groups"][0];
    assert!(group["within_patients"]["mean"]["value"].is_f64());
    assert!(json["win_ratio"]["against_control"]["d100"]["matched"]["wins"].is_number());
}

#[test]
fn a_reason_is_written_where_there_is_no_number() {
    let trial = trial(false);
    let mut cohort = parallel(&trial, 60, 2);
    for arm in &mut cohort.arms {
        arm.events[0].fill(false);
    }
    let json = analysed(&trial, &cohort).to_json(&trial, &cohort);
    let missing = &json["times"]["death"]["against_control"]["d100"]["hazard_ratio"]["missing"];
    assert!(missing.as_str().unwrap().contains("no events"), "{missing}");
    assert!(json["tests"]["tests"][0]["p_value"]["missing"].is_string());
}
