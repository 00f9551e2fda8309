//! `trial`, `bench`

use std::fs;

use crate::{Place, Table, entries, read_json, text};

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

#[test]
fn growth_start_up_and_latency_are_measured() {
    let place = Place::new();
    let words = ["bench", "scaling", "--quick", "--patients", "1000,100"];
    let report = place.json(&[&words[..], &["--out", "found"]].concat());
    assert_eq!(read_json(&place.path("found/scaling.json")), report);
    let patients = report["patients"].as_array().unwrap();
    assert_eq!(patients.len(), 2);
    assert_eq!(patients[0]["patients"], 100);
    for row in patients {
        let of = |key: &str| row[key].as_f64().unwrap();
        let each = row["seconds"]["median"].as_f64().unwrap() / of("patients");
        assert!((of("seconds_per_patient") / each - 1.0).abs() < 1e-9);
        assert!(of("share_of_multiply_adds") > 0.0 && of("device_bytes_per_patient") > 100.0);
    }
    // nothing is compared below 100,000 patients
    assert!(report["dearest"].is_null());
    let states = report["states"].as_array().unwrap();
    assert_eq!(states.last().unwrap()["states"], 20);
    for wait in [
        &report["start"]["cold"],
        &report["start"]["warm"],
        &report["single"],
    ] {
        assert!(wait["median"].as_f64().unwrap() > 0.0);
    }
    let page = fs::read_to_string(place.path("found/scaling.md")).unwrap();
    assert!(page.contains("cold start to first result") && page.contains("## Operations"));
    assert!(place.path("found/scaling.svg").exists());
    let told = place.fail(2, &["bench", "scaling", "--patients", "0"]);
    assert!(told.contains("--patients"), "{told}");
}

#[test]
fn the_cost_of_gradients_is_measured() {
    let place = Place::new();
    let words = ["bench", "gradient", "--quick", "--repeats", "1"];
    let report = place.json(&[&words[..], &["--out", "found/gradient.json"]].concat());
    assert_eq!(read_json(&place.path("found/gradient.json")), report);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let of = |key: &str| row[key]["median"].as_f64().unwrap();
        let ratio = of("gradient_seconds") / of("simulation_seconds");
        assert!((row["ratio"].as_f64().unwrap() / ratio - 1.0).abs() < 1e-9);
        assert!(of("gradient_seconds") > 0.0 && row["memory_bytes"].as_u64() > Some(1000));
    }
    let shown = place.run(&words);
    assert!(text(&shown.stdout).contains("stretches"));
}
