//! `population`

use std::fs;

use crate::{Place, Table, entries, read_json};

const FILE: &str = r#"
name = "small"
title = "A small population"
[sources]
x = "made up for this test"
[covariates]
female = { unit = "1", bernoulli = 0.4, source = "x" }
HT = { unit = "cm", by = "female", when.0.normal = { mean = 175, sd = 7 }, when.1.normal = { mean = 163, sd = 7 }, source = "x", published = { mean = 170, source = "x" } }
WT = { unit = "g", lognormal = { median = 70000, cv = 0.2 }, bounds = [40000, 120000], source = "x", calibrated = true }
[[correlations]]
between = ["HT", "WT"]
value = 0.5
source = "x"
"#;

#[test]
fn a_population_is_written_and_checked() {
    let place = Place::new();
    place.write("small.toml", FILE);
    let run = [
        "population",
        "small.toml",
        "--patients",
        "3000",
        "--seed",
        "5",
        "--csv",
        "--out",
        "out",
    ];
    let all = place.json(&run);
    let files = [
        "check.html",
        "cohort.csv",
        "cohort.parquet",
        "provenance.json",
        "summary.json",
    ];
    assert_eq!(entries(&place.path("out")), files);
    let table = Table::read(&place.path("out/cohort.parquet"));
    assert_eq!(table.unit("WT"), "g");
    assert_eq!(table["ID"].len(), 3000);
    assert!(table["WT"].iter().all(|w| (40e3..=120e3).contains(w)));
    let summary = read_json(&place.path("out/summary.json"));
    assert_eq!(summary, all["summary"]);
    let weight = &summary["check"]["covariates"][2];
    let mean = table["WT"].iter().sum::<f64>() / 3000.0;
    assert!((weight["mean"].as_f64().unwrap() / mean - 1.0).abs() < 1e-12);
    // five standard errors of a mean with this spread
    assert!(weight["mean_error"].as_f64().unwrap() < 5.0 * 0.2 / 3000f64.sqrt());
    let html = fs::read_to_string(place.path("out/check.html")).unwrap();
    for part in [
        "<svg",
        "Marginal distributions",
        "calibrated",
        "made up for this test",
        "HT and WT",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let csv = fs::read_to_string(place.path("out/cohort.csv")).unwrap();
    assert!(csv.starts_with("ID,female,HT (cm),WT (g)\n"));
    assert_eq!(csv.lines().count(), 3001);
    assert!(place.fail(2, &run).contains("not empty"));
    let text = place.succeed(&[&run[..], &["--overwrite"]].concat());
    assert!(
        text.contains("small: 3000 patients") && text.contains("HT"),
        "{text}"
    );
}

/// The same patients in parts, and as individuals of a simulation.
#[test]
fn a_cohort_of_a_model_can_be_simulated() {
    let place = Place::new();
    place.write("small.toml", FILE);
    let draw = |out: &str, more: &[&str]| {
        let run = [
            "population",
            "small.toml",
            "--model",
            "tiny.toml",
            "--out",
            out,
        ];
        place.json(&[&run[..], more].concat())
    };
    let all = draw("all", &["--patients", "50", "--csv"]);
    assert_eq!(
        all["summary"]["coverage"]["given"],
        serde_json::json!(["WT"])
    );
    assert_eq!(
        all["summary"]["coverage"]["extra"],
        serde_json::json!(["female", "HT"])
    );
    draw("part", &["--patients", "10", "--first", "30"]);
    let (whole, part) = (
        Table::read(&place.path("all/cohort.parquet")),
        Table::read(&place.path("part/cohort.parquet")),
    );
    for column in ["CL", "V", "WT", "HT"] {
        assert_eq!(whole[column][30..40], part[column][..], "{column}");
    }
    // the model's unit, not the population's
    assert_eq!(whole.unit("WT"), "kg");
    place.json(&[
        "simulate",
        "tiny.toml",
        "--individuals",
        "all/cohort.csv",
        "--out",
        "simulated",
        "--every",
        "none",
    ]);
    let simulated = Table::read(&place.path("simulated/patients.parquet"));
    for column in ["CL", "V", "WT"] {
        for (a, b) in simulated[column].iter().zip(&whole[column]) {
            assert!((a / b - 1.0).abs() < 1e-12, "{column}: {a} {b}");
        }
    }
}

#[test]
fn a_real_cohort_reports_what_was_missing() {
    let place = Place::new();
    place.write(
        "cohort.csv",
        "ID,WT,AGE\na,70,50\nb,.,60\nc,80,70\nd,60,40\n",
    );
    let file = "name = \"real\"\n[sources]\nx = \"made up for this test\"\n[data]\nfile = \"cohort.csv\"\nid = \"ID\"\n\
                [covariates]\nWT = { unit = \"kg\", column = \"WT\", missing = \"median\", source = \"x\" }\n";
    place.write("real.toml", file);
    let text = place.succeed(&["population", "real.toml", "--out", "out"]);
    assert!(
        text.contains("column WT: 1 missing, replaced by the median, 70"),
        "{text}"
    );
    assert!(text.contains("not used of the data file: AGE"), "{text}");
    let table = Table::read(&place.path("out/cohort.parquet"));
    assert_eq!(table["WT"], [70.0, 70.0, 80.0, 60.0]);
    assert_eq!(table.texts["ID"], ["a", "b", "c", "d"]);
    let error = place.json_error(
        4,
        &[
            "population",
            "real.toml",
            "--patients",
            "9",
            "--out",
            "more",
        ],
    );
    assert_eq!(error["diagnostics"][0]["code"], "D153");
}

#[test]
fn mistakes_have_a_class_and_leave_nothing() {
    let place = Place::new();
    place.write("small.toml", &FILE.replace("value = 0.5", "value = 1"));
    let run = ["population", "small.toml", "--out", "out"];
    let error = place.json_error(4, &run);
    assert_eq!(error["diagnostics"][0]["code"], "D123");
    assert_eq!(error["diagnostics"][0]["primary"]["line"], 11);
    place.write(
        "small.toml",
        &FILE.replace("unit = \"cm\"", "unit = \"cmm\""),
    );
    assert_eq!(place.json_error(4, &run)["diagnostics"][0]["code"], "D117");
    assert!(
        place
            .fail(3, &["population", "mcrp", "--out", "out"])
            .contains("mcrpc")
    );
    assert!(!place.path("out").exists());
}
