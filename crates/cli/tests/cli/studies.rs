//! `trial`, `bench`

use std::fs;

use crate::{Place, Table, entries, read_json};

#[test]
fn a_trial_writes_its_report() {
    let place = Place::new();
    let run = [
        "trial",
        "abiraterone",
        "--patients",
        "20",
        "--seed",
        "3",
        "--out",
        "out",
    ];
    let all = place.json(&run);
    let files = entries(&place.path("out"));
    for file in [
        "report.html",
        "summary.json",
        "patients.parquet",
        "replay.parquet",
        "provenance.json",
    ] {
        assert!(files.iter().any(|name| name == file), "{file}: {files:?}");
    }
    let html = fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("llvmpipe"));
    for request in ["src=\"http", "<link", "@import", "url(http"] {
        assert!(!html.contains(request), "{request}");
    }
    assert_eq!(read_json(&place.path("out/summary.json")), all["summary"]);
    let replay = Table::read(&place.path("out/replay.parquet"));
    assert!(replay.schema.fields().len() > 3);
    let provenance = read_json(&place.path("out/provenance.json"));
    assert_eq!(provenance["seed"], 3);
    assert!(place.fail(2, &run).contains("not empty"));
    let text = place.succeed(&[&run[..], &["--overwrite"]].concat());
    assert!(text.contains("replay"), "{text}");
}

#[test]
fn the_benchmark_measures_kernel_builds() {
    let place = Place::new();
    let report = place.json(&["bench", "engine", "--quick", "--only", "build"]);
    assert!(report["program"]["version"].is_string());
    assert!(report["adapter"]["name"].is_string());
    // only a complete run is written
    assert!(place.entries().is_empty());
}
