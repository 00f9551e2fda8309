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
    let found = place.json(&[&RUN[..], &["nowhere"]].concat());
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
    for (options, words) in [
        (["--peers", "matlab"], "not known"),
        (["--models", "mine"], "not known"),
    ] {
        let told = place.fail(2, &[&["bench", "compare"], &options[..]].concat());
        assert!(told.contains(words), "{told}");
    }
}

/// A program that answers, but computes nothing.
#[cfg(unix)]
#[test]
fn a_peer_is_timed_and_its_error_is_seen() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    fs::create_dir_all(place.path("there/bin")).unwrap();
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
    place.write("there/bin/posology-peers", &script);
    let program = place.path("there/bin/posology-peers");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
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
