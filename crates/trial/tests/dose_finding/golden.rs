//! Values of the R packages BOIN and dfcrm (`scripts/golden/dose_finding.R`) and of scipy
//! (`scripts/golden/dose_finding.py`).

use posology_trial::dose_finding::*;
use serde_json::Value;

use crate::history;

fn r() -> Value {
    serde_json::from_str(include_str!("r.json")).unwrap()
}

fn scipy() -> Value {
    serde_json::from_str(include_str!("scipy.json")).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn count(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn counts(value: &Value) -> Vec<u32> {
    list(value).iter().map(count).collect()
}

#[track_caller]
fn close(what: &str, got: f64, expected: f64, tolerance: f64) {
    let error = (got - expected).abs() / expected.abs().max(1e-3);
    assert!(error <= tolerance, "{what}: {got}, expected {expected}");
}

#[test]
fn boin_boundaries() {
    for expected in list(&r()["boundaries"]) {
        let target = number(&expected["target"]);
        let (low, high) = IntervalRule::boin(target).boundaries(target);
        close("lambda_e", low, number(&expected["lambda_e"]), 1e-12);
        close("lambda_d", high, number(&expected["lambda_d"]), 1e-12);
        let settings = IntervalSettings {
            extra_safe: Some(0.05),
            ..IntervalSettings::boin(5, target, 36)
        };
        let design = IntervalDesign::new(settings).unwrap();
        for (index, row) in design.table().rows().iter().enumerate() {
            let of = |column: &str| expected[column][index].as_u64().map(|n| n as u32);
            assert_eq!(row.patients as usize, index + 1);
            assert_eq!(row.escalate, of("escalate"), "{target} {row:?}");
            assert_eq!(row.deescalate, of("deescalate"), "{target} {row:?}");
            assert_eq!(row.eliminate, of("eliminate"), "{target} {row:?}");
            assert_eq!(row.stop_lowest, of("stop_lowest"), "{target} {row:?}");
        }
    }
}

#[test]
fn boin_selects_the_doses_of_the_package() {
    let golden = r();
    let cases = list(&golden["selections"]);
    let mut none = 0;
    for case in cases {
        let (patients, toxicities) = (counts(&case["patients"]), counts(&case["toxicities"]));
        let extra_safe = case["extra_safe"].as_bool().unwrap();
        let settings = IntervalSettings {
            extra_safe: extra_safe.then_some(0.05),
            bounded: case["bounded"].as_bool().unwrap(),
            ..IntervalSettings::boin(patients.len(), number(&case["target"]), 36)
        };
        let design = IntervalDesign::new(settings).unwrap();
        let expected = (count(&case["mtd"]) as usize).checked_sub(1);
        let got = design.recommend(&history(&patients, &toxicities));
        assert_eq!(got, expected, "{case}");
        none += usize::from(expected.is_none());
    }
    assert!(none > 10 && none < cases.len() / 2);
}

#[test]
fn keyboard_decisions() {
    for expected in list(&scipy()["keyboard"]) {
        let target = number(&expected["target"]);
        let halfwidth = number(&expected["halfwidth"]);
        let settings = IntervalSettings {
            rule: IntervalRule::Keyboard {
                below: halfwidth,
                above: halfwidth,
            },
            ..IntervalSettings::keyboard(5, target, 30)
        };
        let design = IntervalDesign::new(settings).unwrap();
        for (row, decisions) in design
            .table()
            .rows()
            .iter()
            .zip(list(&expected["decisions"]))
        {
            for (toxicities, side) in (0..).zip(list(decisions)) {
                let eliminated = row.eliminate.is_some_and(|least| toxicities >= least);
                let got = if row.escalate.is_some_and(|most| toxicities <= most) {
                    -1
                } else {
                    i64::from(row.deescalate.is_some_and(|least| toxicities >= least))
                };
                if !eliminated {
                    assert_eq!(got, side.as_i64().unwrap(), "{target} {row:?} {toxicities}");
                }
            }
        }
    }
}

#[test]
fn skeletons_of_lee_and_cheung() {
    for expected in list(&r()["skeletons"]) {
        let mtd = count(&expected["mtd"]) as usize - 1;
        let doses = count(&expected["doses"]) as usize;
        let halfwidth = number(&expected["halfwidth"]);
        let got = skeleton(halfwidth, number(&expected["target"]), mtd, doses).unwrap();
        assert_eq!(got.len(), doses);
        for (got, expected) in got.into_iter().zip(numbers(&expected["skeleton"])) {
            close("skeleton", got, expected, 1e-12);
        }
    }
}

fn crm(case: &Value, patients: u32) -> Crm {
    let settings = CrmSettings {
        prior_sd: number(&case["sd"]),
        ..CrmSettings::new(
            number(&case["target"]),
            numbers(&case["skeleton"]),
            patients,
        )
    };
    Crm::new(settings).unwrap()
}

#[test]
fn crm_posteriors_of_dfcrm() {
    for case in list(&r()["posteriors"]) {
        let design = crm(case, 40);
        let seen = history(&counts(&case["patients"]), &counts(&case["toxicities"]));
        let posterior = design.posterior(&seen);
        // R's integrate() stops at a relative error of 1.2e-4
        close("mean", posterior.mean, number(&case["estimate"]), 1e-4);
        close(
            "variance",
            posterior.variance,
            number(&case["variance"]),
            1e-4,
        );
        for (got, expected) in posterior.toxicity.iter().zip(numbers(&case["toxicity"])) {
            close("toxicity", *got, expected, 1e-4);
        }
        let expected = count(&case["mtd"]) as usize - 1;
        assert_eq!(design.recommend(&seen), Some(expected), "{case}");
    }
}

#[test]
fn crm_posteriors_of_adaptive_quadrature() {
    for case in list(&scipy()["posteriors"]) {
        let seen = history(&counts(&case["patients"]), &counts(&case["toxicities"]));
        for patients in [30, 300] {
            // a finer grid for a larger trial must not change the posterior
            let posterior = crm(case, patients).posterior(&seen);
            close("mean", posterior.mean, number(&case["mean"]), 1e-9);
            for (got, expected) in posterior.overdose.iter().zip(numbers(&case["overdose"])) {
                close("overdose", *got, expected, 1e-8);
            }
        }
    }
}

#[test]
fn isotonic_regressions_of_scipy() {
    for case in list(&scipy()["isotonic"]) {
        let fitted = isotonic(&numbers(&case["values"]), &numbers(&case["weights"]));
        for (got, expected) in fitted.into_iter().zip(numbers(&case["fitted"])) {
            close("fitted", got, expected, 1e-12);
        }
    }
}

/// Compares figures with those of a simulation in R: four standard errors of its own.
fn compare(case: &Value, ours: &OperatingCharacteristics, unit: f64) {
    let trials = number(&case["trials"]);
    let check = |what: &str, figure: Figure, expected: f64, spread: f64| {
        let tolerance = 4.0 * (spread / trials).sqrt() + 1e-9;
        let error = (figure.value - expected).abs();
        assert!(
            error <= tolerance,
            "{what}: {}, R {expected}\n{case}",
            figure.value
        );
    };
    let share = |p: f64| p * (1.0 - p) + 0.25 / trials;
    let size = number(&case["patients"]);
    for (dose, figures) in ours.doses.iter().enumerate() {
        let selected = number(&case["selected"][dose]) / unit;
        check(
            "selected",
            figures.selected,
            selected,
            share(figures.selected.value),
        );
        // patients at a dose lie between 0 and all, so their variance is at most mean (all - mean)
        let spread = |mean: f64| mean * (size - mean).max(0.0) + 1.0 / trials;
        let treated = number(&case["treated"][dose]);
        check(
            "treated",
            figures.patients,
            treated,
            spread(figures.patients.value),
        );
        let toxic = number(&case["toxicities"][dose]);
        check(
            "toxicities",
            figures.toxicities,
            toxic,
            spread(figures.toxicities.value),
        );
    }
}

#[test]
fn boin_operating_characteristics_of_the_package() {
    for case in list(&r()["boin"]) {
        let truth = numbers(&case["truth"]);
        let target = number(&case["target"]);
        let cohort_size = count(&case["cohort"]);
        let patients = count(&case["patients"]);
        let settings = IntervalSettings {
            cohort_size,
            stop_at: Some(count(&case["stop_at"])),
            extra_safe: case["extra_safe"].as_bool().unwrap().then_some(0.05),
            bounded: case["bounded"].as_bool().unwrap(),
            ..IntervalSettings::boin(truth.len(), target, patients)
        };
        let design = IntervalDesign::new(settings).unwrap();
        let scenario = Scenario::new(truth.clone(), target).unwrap();
        // every path where there are not too many, else more replicates than R had
        let ours = if cohort_size == 3 && patients == 30 {
            enumerate(&design, &scenario, 10_000_000).unwrap()
        } else {
            let source = FixedToxicity::new(3, truth).unwrap();
            simulate(&design, &source, &scenario, 60_000).unwrap()
        };
        compare(case, &ours, 100.0);
        let trials = number(&case["trials"]);
        let percent = |figure: Figure, expected: f64| {
            let p = figure.value;
            let tolerance = 400.0 * ((p * (1.0 - p) + 0.25 / trials) / trials).sqrt();
            assert!(
                (100.0 * p - expected).abs() <= tolerance,
                "{p}, R {expected}"
            );
        };
        percent(ours.none_selected, number(&case["stopped"]));
        // R divides by the planned patients, here those of the trial; equal without early stops
        if number(&case["stopped"]) < 0.05 && count(&case["stop_at"]) == 100 {
            percent(ours.overdosed_60, number(&case["overdose_60"]));
            percent(ours.overdosed_80, number(&case["overdose_80"]));
        }
    }
}

#[test]
fn crm_operating_characteristics_of_dfcrm() {
    for case in list(&r()["crm"]) {
        let truth = numbers(&case["truth"]);
        let settings = CrmSettings {
            cohort_size: count(&case["cohort"]),
            prior_sd: number(&case["sd"]),
            ..CrmSettings::new(
                number(&case["target"]),
                numbers(&case["skeleton"]),
                count(&case["patients"]),
            )
        };
        let design = Crm::new(settings).unwrap();
        let scenario = Scenario::new(truth.clone(), number(&case["target"])).unwrap();
        let source = FixedToxicity::new(5, truth).unwrap();
        let ours = simulate(&design, &source, &scenario, 6_000).unwrap();
        // both sides carry Monte Carlo error
        let mut case = case.clone();
        case["trials"] = (1.0 / (1.0 / number(&case["trials"]) + 1.0 / 6_000.0)).into();
        compare(&case, &ours, 1.0);
    }
}
