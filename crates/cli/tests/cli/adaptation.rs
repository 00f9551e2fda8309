//! `adaptation`.

use std::fs;

use crate::Place;

/// The adaptive-therapy task with eight decisions.
pub fn task(place: &Place) {
    let configs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");
    let text = fs::read_to_string(format!("{configs}/tasks/adaptive-therapy.toml")).unwrap();
    let text = text
        .replace("../models", &format!("{configs}/models"))
        .replace("3650 d", "56 d")
        .replace("points = 61", "points = 7")
        .replace("pool = 16384", "pool = 64");
    place.write("task.toml", &text);
}

/// Train for a moment.
pub fn train(place: &Place, out: &str, more: &[&str]) {
    let small = [
        "lanes=32",
        "steps=8",
        "updates=2",
        "hidden=8",
        "encoder=8",
        "minibatches=2",
    ];
    let arguments = [&["train", "task.toml", "--out", out], &small[..], more].concat();
    place.succeed(&arguments);
}

#[test]
fn regret_is_reported_by_cycle() {
    let place = Place::new();
    task(&place);
    train(&place, "gru", &[]);
    train(&place, "mlp", &["network=memoryless", "rate=1e-4"]);
    let found = place.json(&[
        "adaptation",
        "gru",
        "mlp",
        "mine=gru/last.checkpoint",
        "--patients",
        "12",
        "--cycle",
        "2",
        "--out",
        "report",
    ]);
    assert_eq!(found["cycles"], 4);
    assert_eq!(found["oracle"]["name"], "threshold");
    let labels: Vec<&str> = found["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|curve| curve["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["recurrent", "memoryless", "mine"]);
    assert_eq!(found["policies"][0]["regret"].as_array().unwrap().len(), 4);
    assert_eq!(found["reductions"][0]["against"], "memoryless");
    let markdown = fs::read_to_string(place.path("report/adaptation.md")).unwrap();
    assert!(
        markdown.contains("| cycle | recurrent, so far |"),
        "{markdown}"
    );
    let svg = fs::read_to_string(place.path("report/regret.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("Treatment cycle"));
    let page = fs::read_to_string(place.path("report/report.html")).unwrap();
    assert!(page.contains("Regret to each patient") && page.contains("<svg"));
    assert!(place.path("report/provenance.json").exists());
    let shown = place.succeed(&["adaptation", "gru", "--patients", "3"]);
    assert!(
        shown.contains("Oracle of each patient: `threshold`"),
        "{shown}"
    );
    let error = place.json_error(2, &["adaptation", "gru", "--oracle", "zhang"]);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("threshold, plan")
    );
    place.fail(
        2,
        &[
            "adaptation",
            "gru",
            "--against",
            "nobody",
            "--patients",
            "2",
        ],
    );
    place.fail(4, &["adaptation", "nowhere"]);
    place.fail(2, &["adaptation"]);
    place.succeed(&["train", "analytic", "--out", "toy", "updates=1"]);
    let error = place.json_error(4, &["adaptation", "toy"]);
    assert!(error["message"].as_str().unwrap().contains("no patients"));
}

#[test]
fn a_policy_is_tuned_for_one_patient() {
    let place = Place::new();
    task(&place);
    train(&place, "gru", &[]);
    let tune = |more: &[&str]| {
        let all = ["fine-tune", "gru", "--patient", "1", "--cycles", "3"];
        [&all[..], more]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<String>>()
    };
    let arguments = tune(&[
        "--pool",
        "4096",
        "--least",
        "5",
        "--out",
        "tuned",
        "updates=4",
    ]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = place.json(&arguments)["fine_tuning"].clone();
    assert_eq!(
        (&found["decisions"], &found["patient"]),
        (&3.into(), &1.into())
    );
    let names: Vec<&str> = found["beliefs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|belief| belief["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cost", "turnover", "n0", "f0"]);
    // the untuned policy, then after four updates
    assert_eq!(found["checks"].as_array().unwrap().len(), 2);
    assert_eq!(found["oracle"]["name"], "threshold");
    let rest = |name: &str| found[name]["return"].as_f64().unwrap();
    assert!(rest("oracle") >= rest("untuned") - 1e-6, "{found:#}");
    // its checkpoint is an ordinary one
    let worth = place.json(&["evaluate", "tuned", "--patients", "4"]);
    assert_eq!(worth["patients"], 4);
    // nobody is like him
    let arguments = tune(&["--pool", "16", "--least", "15", "updates=1"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let error = place.json_error(5, &arguments);
    assert!(error["message"].as_str().unwrap().contains("15 are needed"));
    assert!(error["help"].as_str().unwrap().contains("--pool"));
    place.fail(2, &["fine-tune", "gru", "--patient", "0", "--cycles", "8"]);
    place.fail(
        2,
        &[
            "fine-tune",
            "gru",
            "--patient",
            "0",
            "--cycles",
            "2",
            "rat=1",
        ],
    );
}
