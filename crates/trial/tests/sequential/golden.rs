//! Values of rpact (`scripts/golden/sequential.R`), of a second implementation
//! (`scripts/golden/sequential.py`) and of published tables.

use posology_trial::sequential::*;
use serde_json::Value;

use crate::{even, two_sided};

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn kind(value: &Value) -> BoundaryKind {
    value.as_str().unwrap().parse().unwrap()
}

#[track_caller]
fn close(what: &str, got: f64, expected: f64, relative: f64) {
    let error = (got - expected).abs() / expected.abs().max(1e-3);
    assert!(error <= relative, "{what}: {got}, expected {expected}");
}

#[test]
fn designs_agree_with_rpact() {
    let golden: Value = serde_json::from_str(include_str!("rpact.json")).unwrap();
    let designs = golden["designs"].as_array().unwrap();
    assert!(designs.len() > 40);
    for expected in designs {
        let name = format!(
            "{} {} sides {} shape {}",
            expected["kind"], expected["looks"], expected["sides"], expected["shape"]
        );
        let mut looks = numbers(&expected["looks"]);
        *looks.last_mut().unwrap() = 1.0;
        let power = expected["power"].as_f64().unwrap();
        let futility = &expected["futility"];
        let settings = SequentialSettings {
            kind: kind(&expected["kind"]),
            looks,
            alpha: expected["alpha"].as_f64().unwrap(),
            sides: u8::try_from(expected["sides"].as_u64().unwrap()).unwrap(),
            shape: expected["shape"].as_f64(),
            futility: futility.is_object().then(|| FutilitySettings {
                kind: kind(&futility["kind"]),
                power,
                shape: futility["shape"].as_f64(),
            }),
        };
        let design = SequentialDesign::new(&settings).unwrap();
        let compare = |what: &str, got: &dyn Fn(usize) -> f64, expected: &Value, relative: f64| {
            for (index, expected) in numbers(expected).into_iter().enumerate() {
                close(
                    &format!("{name}: {what} {index}"),
                    got(index),
                    expected,
                    relative,
                );
            }
        };
        let look = |index: usize| design.looks()[index];
        compare(
            "critical",
            &|i| look(i).critical,
            &expected["critical"],
            1e-6,
        );
        compare(
            "nominal p",
            &|i| look(i).nominal_p,
            &expected["nominal_p"],
            1e-6,
        );
        // rpact reports the last sum short by its search tolerance of 1e-8
        for (index, spent) in numbers(&expected["alpha_spent"]).into_iter().enumerate() {
            assert!(
                (look(index).alpha_spent - spent).abs() < 2e-8,
                "{name}: spent"
            );
        }
        if futility.is_object() {
            let bound = |i: usize| look(i).futility.unwrap();
            compare("futility", &bound, &expected["futility_bounds"], 1e-6);
        }
        let drift = design.drift(power).unwrap();
        close(
            &format!("{name}: drift"),
            drift,
            expected["drift"].as_f64().unwrap(),
            1e-6,
        );
        let inflation = expected["inflation"].as_f64().unwrap();
        close(
            &format!("{name}: inflation"),
            design.inflation(power).unwrap(),
            inflation,
            1e-6,
        );
        let drifts = numbers(&expected["drifts"]);
        // rpact's tables of power count both sides, its drifts and inflation factors the right one
        let rejection = |i: usize| design.rejection(drifts[i]);
        compare("power", &rejection, &expected["rejection"], 1e-6);
        let information = |i: usize| design.expected_information(drifts[i]);
        compare(
            "information",
            &information,
            &expected["expected_information"],
            1e-6,
        );
    }
}

#[test]
fn designs_agree_with_a_second_implementation() {
    let golden: Value = serde_json::from_str(include_str!("scipy.json")).unwrap();
    for expected in golden["designs"].as_array().unwrap() {
        let name = format!("{} {}", expected["kind"], expected["looks"]);
        let looks = numbers(&expected["looks"]);
        let alpha = expected["alpha"].as_f64().unwrap();
        let design = two_sided(kind(&expected["kind"]), looks, alpha);
        for (look, expected) in design.looks().iter().zip(numbers(&expected["critical"])) {
            close(&name, look.critical, expected, 1e-10);
        }
        let power = design.rejection(expected["drift"].as_f64().unwrap());
        close(&name, power, expected["power"].as_f64().unwrap(), 1e-10);
    }
}

/// Jennison and Turnbull 2000, tables 2.1 and 2.3: constants of Pocock and of O'Brien and
/// Fleming, two-sided 0.05, 1 to 10 looks.
const POCOCK: [f64; 10] = [
    1.960, 2.178, 2.289, 2.361, 2.413, 2.453, 2.485, 2.512, 2.535, 2.555,
];
const OBRIEN_FLEMING: [f64; 10] = [
    1.960, 1.977, 2.004, 2.024, 2.040, 2.053, 2.063, 2.072, 2.080, 2.087,
];
/// Tables 2.2 and 2.4: ratio of the maximum information to that of a fixed trial, power 0.9.
const POCOCK_INFLATION: [f64; 10] = [
    1.000, 1.100, 1.151, 1.183, 1.207, 1.225, 1.239, 1.252, 1.262, 1.271,
];
const OBRIEN_FLEMING_INFLATION: [f64; 10] = [
    1.000, 1.007, 1.016, 1.022, 1.026, 1.030, 1.032, 1.034, 1.036, 1.037,
];

#[test]
fn constants_of_jennison_and_turnbull() {
    let published = |got: f64, printed: f64| {
        assert!(
            (got - printed).abs() <= 0.000_5 + 1e-9,
            "{got}, printed {printed}"
        );
    };
    for looks in 1..=10 {
        let pocock = two_sided(BoundaryKind::Pocock, even(looks), 0.05);
        published(pocock.looks()[0].critical, POCOCK[looks - 1]);
        published(pocock.inflation(0.9).unwrap(), POCOCK_INFLATION[looks - 1]);
        let fleming = two_sided(BoundaryKind::ObrienFleming, even(looks), 0.05);
        published(
            fleming.looks()[looks - 1].critical,
            OBRIEN_FLEMING[looks - 1],
        );
        let first = fleming.looks()[0].critical;
        close(
            "first look",
            first,
            fleming.looks()[looks - 1].critical * (looks as f64).sqrt(),
            1e-12,
        );
        published(
            fleming.inflation(0.9).unwrap(),
            OBRIEN_FLEMING_INFLATION[looks - 1],
        );
    }
    // the smallest trial: one look is a fixed test
    let fixed = two_sided(BoundaryKind::Pocock, vec![1.0], 0.05);
    close(
        "fixed",
        fixed.looks()[0].critical,
        1.959_963_984_540_054,
        1e-13,
    );
    close("fixed", fixed.expected_information(2.0), 1.0, 1e-15);
}
