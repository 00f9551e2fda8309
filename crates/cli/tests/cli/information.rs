//! `devices`, `models`, help.

use std::process::Stdio;

use crate::Place;

#[test]
fn devices_are_listed_best_first() {
    let place = Place::new();
    let all = place.json(&["devices"]);
    let devices = all["devices"].as_array().unwrap();
    assert!(devices.iter().any(|device| device["kind"] == "software"));
    assert!(devices[0]["best"].as_bool().unwrap());
    assert!(devices[0]["max_binding_bytes"].as_u64().unwrap() > 0);
    let text = place.succeed(&["devices"]);
    assert!(text.lines().nth(2).unwrap().starts_with("*  0"), "{text}");
}

#[test]
fn the_library_is_found_from_anywhere() {
    let place = Place::new();
    let all = place.json(&["models"]);
    let models = all["models"].as_array().unwrap();
    let docetaxel = models
        .iter()
        .find(|model| model["name"] == "docetaxel-neutropenia")
        .unwrap();
    assert_eq!(docetaxel["states"], 8);
    assert_eq!(docetaxel["inputs"][0], "docetaxel");
    assert!(models.iter().all(|model| model["errors"].is_null()));
    let text = place.succeed(&["models"]);
    assert_eq!(text.lines().count(), models.len() + 2);
}

#[test]
fn a_model_is_described_in_its_own_units() {
    let place = Place::new();
    let model = place.json(&["models", "tiny.toml"]);
    assert_eq!(model["parameters"][0]["name"], "CL");
    assert_eq!(model["parameters"][0]["value"], 5.0);
    assert_eq!(model["parameters"][0]["unit"], "L/h");
    assert_eq!(model["parameters"][0]["bounds"][1], 50.0);
    assert_eq!(model["toxicities"][0]["thresholds"][1], 5.0);
    let text = place.succeed(&["models", "tiny.toml"]);
    for expected in [
        "log-normal, CV 30 %",
        "proportional 10 %",
        "1: > 1, 2: > 5",
        "central",
        "WT",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn unknown_models_get_a_suggestion() {
    let place = Place::new();
    let error = place.json_error(3, &["models", "docetaxel-neutropenai"]);
    assert_eq!(error["class"], "model");
    assert_eq!(error["help"], "did you mean `docetaxel-neutropenia`?");
}

#[test]
fn help_has_examples_and_exit_codes() {
    let place = Place::new();
    assert!(place.succeed(&["--help"]).contains("Exit codes"));
    for command in ["models", "check", "simulate", "trial"] {
        assert!(
            place.succeed(&[command, "--help"]).contains("Examples:"),
            "{command}"
        );
    }
    assert!(
        place
            .succeed(&["bench", "engine", "--help"])
            .contains("--quick")
    );
    assert!(place.succeed(&["--version"]).starts_with("posology "));
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["models"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty(), "{}", crate::text(&output.stderr));
}
