//! `check`

use crate::{Place, TINY};

#[test]
fn a_sound_model_passes() {
    let place = Place::new();
    let report = place.json(&["check", "tiny.toml"]);
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["balances"][0]["holds"], true);
    let stability = &report["stability"];
    // the fastest rate is the largest CL/V of the sampled patients
    let (rate, step) = (
        stability["fastest"].as_f64().unwrap(),
        stability["largest_step"].as_f64().unwrap(),
    );
    assert!(rate > 0.25 && rate < 1.5, "{rate}");
    assert!((rate * step - 2.785_293_563_405_282).abs() < 1e-9);
    let accuracy = &report["accuracy"];
    assert!(accuracy["error"].as_f64().unwrap() < 1e-5);
    assert!(accuracy["largest_constant_step"].as_f64().unwrap() >= 0.1);
    assert!(report["operations"]["rates"].as_u64().unwrap() >= 1);
    assert!(report["kernel"]["build_seconds"].as_f64().unwrap() > 0.0);
    let text = place.succeed(&["check", "tiny.toml"]);
    for expected in [
        "balance",
        "holds",
        "made up for this test",
        "mass",
        "largest schedule",
        "kernel",
        "stable with 0.1 h",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn pieces_are_looked_for_on_demand() {
    let place = Place::new();
    let plain = place.json(&["check", "tiny.toml"]);
    assert!(plain["accuracy"]["in_pieces"].is_null(), "{plain:#}");
    let report = place.json(&["check", "tiny.toml", "--pieces", "--tolerance", "1e-3"]);
    let found = &report["accuracy"]["in_pieces"];
    assert!(
        found["steps_over_shipped"].as_f64().unwrap() < 1.0,
        "{found}"
    );
    assert!(!found["step"].as_array().unwrap().is_empty(), "{found}");
    let text = place.succeed(&["check", "tiny.toml", "--pieces"]);
    assert!(text.contains("in pieces"), "{text}");
}

#[test]
fn an_unstable_step_fails_with_the_largest_stable_one() {
    let place = Place::new();
    let output = place.run(&["check", "tiny.toml", "--dt", "20 h"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(
        crate::text(&output.stdout).contains("UNSTABLE"),
        "{}",
        crate::text(&output.stdout)
    );
    let stderr = crate::text(&output.stderr);
    assert!(
        stderr.contains("the step is unstable") && stderr.contains("largest stable step"),
        "{stderr}"
    );
}

#[test]
fn an_inaccurate_step_fails_with_a_schedule_that_meets_the_tolerance() {
    let place = Place::new();
    let stderr = place.fail(
        5,
        &["check", "tiny.toml", "--dt", "2 h", "--tolerance", "1e-8"],
    );
    assert!(
        stderr.contains("over the tolerance") && stderr.contains("this schedule meets it"),
        "{stderr}"
    );
}

#[test]
fn a_balance_that_does_not_hold_is_told() {
    let place = Place::new();
    place.write(
        "leaky.toml",
        &TINY
            .replace("\"tiny\"", "\"leaky\"")
            .replace("gain = \"-CL/V*central\"", "gain = \"0\""),
    );
    let stderr = place.fail(3, &["check", "leaky.toml"]);
    assert!(
        stderr.contains("the balance `drug` does not hold"),
        "{stderr}"
    );
}

#[test]
fn every_finding_of_a_model_is_shown_with_a_caret() {
    let place = Place::new();
    let broken = TINY
        .replace("\"tiny\"", "\"broken\"")
        .replace("rate = \"-CL/V*central\"", "rate = \"-CL*centrl\"");
    place.write(
        "broken.toml",
        &broken.replace("max = \"central/V\"", "max = \"central/CL\""),
    );
    let stderr = place.fail(3, &["check", "broken.toml"]);
    assert!(
        stderr.contains("broken.toml:")
            && stderr.contains('^')
            && stderr.contains("did you mean `central`?"),
        "{stderr}"
    );
    let error = place.json_error(3, &["check", "broken.toml"]);
    let found = error["diagnostics"].as_array().unwrap();
    assert!(found.len() >= 2, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|finding| finding["primary"]["line"].as_u64().unwrap() > 1)
    );
}

#[test]
fn a_shipped_model_passes() {
    let place = Place::new();
    let report = place.json(&["check", "kuznetsov", "--patients", "4"]);
    assert_eq!(report["ok"], true, "{report:#}");
}
