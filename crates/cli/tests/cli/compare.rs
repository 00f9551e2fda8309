//! `bench compare`: what is not there is said, and what is there is held to the reference.

use std::fs;

use crate::{Place, entries};

const RUN: [&str; 9] = [
    "bench",
    "compare",
    "--models",
    "twelve-state",
    "--patients",
    "16",
    "--repeats",
    "2",
    "--environment",
];

#[test]
fn without_peers_every_one_is_listed_with_the_reason() {
    let place = Place::new();
    let found = place.json(&[&RUN[..], &["nowhere", "--tolerances", "1e-4"]].concat());
    let missing = found["unavailable"].as_array().unwrap();
    assert!(missing.len() >= 10, "{missing:#?}");
    assert!(
        missing[0]["why"]
            .as_str()
            .unwrap()
            .contains("setup installs it")
    );
    let model = &found["models"][0];
    assert_eq!(model["peers"], serde_json::json!([]));
    let ours = model["ours"].as_array().unwrap();
    let own = ours.iter().find(|row| row["step"] == 1.0).unwrap();
    assert!(own["error"].as_f64().unwrap() < 1e-5, "{own}");
    assert!(own["share_of_peak"].as_f64().unwrap() > 0.0);
    // pieces are found from these very patients, so that their errors are those of the report
    let tuned = ours.iter().find(|row| row["tolerance"] == 1e-4).unwrap();
    assert!(tuned["error"].as_f64().unwrap() < 1.1e-4, "{tuned}");
    assert!(tuned["steps"].as_u64().unwrap() < 100, "{tuned}");
    assert!(tuned["schedule"].as_array().unwrap().len() > 1, "{tuned}");
    for (options, words) in [
        (["--peers", "matlab"], "not known"),
        (["--models", "mine"], "not known"),
    ] {
        let told = place.fail(2, &[&["bench", "compare"], &options[..]].concat());
        assert!(told.contains(words), "{told}");
    }
}

/// An environment whose Rust peers are this script.
#[cfg(unix)]
fn scripted(place: &Place, script: &str) {
    use std::os::unix::fs::PermissionsExt;

    fs::create_dir_all(place.path("there/bin")).unwrap();
    place.write("there/bin/posology-peers", script);
    let program = place.path("there/bin/posology-peers");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Rates that depend on the time after a dose reach peers as a state that doses set back.
#[cfg(unix)]
#[test]
fn the_case_of_a_peer_is_whole() {
    let place = Place::new();
    let kept = place.path("kept.json");
    let script = format!(
        r#"#!/bin/sh
cp "$2" "{}"
echo '{{"unavailable": "only looking"}}'
"#,
        kept.display()
    );
    scripted(&place, &script);
    let mut run = RUN;
    run[3] = "lu177-psma-siebinga";
    place.json(
        &[
            &run[..],
            &[
                "there",
                "--peers",
                "diffsol-bdf",
                "--steps",
                "1",
                "--tolerances",
                "1e-3",
            ],
        ]
        .concat(),
    );
    let case: serde_json::Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    assert_eq!(case["method"], "diffsol-bdf");
    assert_eq!(case["states"].as_array().unwrap().len(), 21);
    assert_eq!(
        (&case["states"][0], &case["states"][20]),
        (&"blood".into(), &"tad".into())
    );
    let parameters = case["parameters"].as_array().unwrap();
    assert_eq!((parameters.len(), &parameters[38]), (40, &"CRCL".into()));
    let doses = serde_json::json!([
        {"time": 0.0, "state": 0, "amount": 7400.0},
        {"time": 1008.0, "state": 0, "amount": 7400.0},
        {"time": 1008.0, "state": 20, "amount": -1008.0},
    ]);
    assert_eq!(case["doses"], doses);
    let steps = serde_json::json!([
        {"until": 2.0, "dt": 0.02},
        {"until": 12.0, "dt": 0.1},
        {"dt": 0.5},
    ]);
    assert_eq!(case["steps"], steps);
    assert_eq!(case["times"].as_array().unwrap().len(), 12);
}

/// A program that answers, but computes nothing.
#[cfg(unix)]
#[test]
fn a_peer_is_timed_and_its_error_is_seen() {
    let place = Place::new();
    let zeros = 16 * 10 * 12 * 8;
    let script = format!(
        r#"#!/bin/sh
[ "$1" = pharmsol ] && echo '{{"unavailable": "not today"}}' && exit 0
echo 'words that are no answer'
echo '{{"ready": true, "peer": "diffsol", "versions": {{"none": "1"}}, "precision": "f64", "method": "none"}}'
while read -r word rest; do
    case $word in
    run) echo '{{"seconds": 0.5, "patients": 16}}' ;;
    results) head -c {zeros} /dev/zero >"$rest"; echo '{{"written": 1}}' ;;
    quit) exit 0 ;;
    esac
done
"#
    );
    scripted(&place, &script);
    let more = ["there", "--peers", "diffsol,pharmsol", "--out", "out"];
    let found = place.json(&[&RUN[..], &more].concat());
    assert_eq!(found["unavailable"][0]["why"], "not today");
    let peers = found["models"][0]["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 3, "{peers:#?}");
    for row in peers {
        assert_eq!(row["seconds"]["median"], 0.5);
        assert_eq!(row["seconds"]["repeats"], 2);
        let error = row["error"].as_f64().unwrap();
        assert!((0.5..=1.0).contains(&error), "{row}");
        assert!(row["ratio"].is_null(), "{row}");
    }
    assert_eq!(
        entries(&place.path("out")),
        ["peers.json", "peers.md", "peers.svg"]
    );
    let page = fs::read_to_string(place.path("out/peers.md")).unwrap();
    assert!(
        page.contains("not the solution") && page.contains("not today"),
        "{page}"
    );
}
