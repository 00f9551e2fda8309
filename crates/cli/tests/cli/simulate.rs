//! `simulate` with virtual patients.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Place, Table, entries, read_json};

#[test]
fn results_are_written_with_units() {
    let place = Place::new();
    let all = place.json(&[
        "simulate",
        "tiny.toml",
        "--patients",
        "40",
        "--every",
        "6 h",
        "--out",
        "deep/out",
    ]);
    let out = place.path("deep/out");
    let files = [
        "config.json",
        "patients.parquet",
        "provenance.json",
        "summary.csv",
        "summary.json",
        "trajectories.parquet",
    ];
    assert_eq!(entries(&out), files);
    assert_eq!(entries(&place.path("deep")), ["out"]);

    let trajectories = Table::read(&out.join("trajectories.parquet"));
    assert_eq!(
        (
            trajectories.unit("TIME"),
            trajectories.unit("conc"),
            trajectories.unit("conc_obs")
        ),
        ("h", "mg/L", "mg/L")
    );
    assert_eq!(trajectories["TIME"].len(), 40 * 5);
    assert_eq!(trajectories["TIME"][..5], [0.0, 6.0, 12.0, 18.0, 24.0]);
    assert_eq!((trajectories["ID"][4], trajectories["ID"][5]), (0.0, 1.0));

    let patients = Table::read(&out.join("patients.parquet"));
    assert_eq!(
        (
            patients.unit("CL"),
            patients.unit("WT"),
            patients.unit("auc")
        ),
        ("L/h", "kg", "mg*h/L")
    );
    assert_eq!(patients.unit("TIME_REACHED"), "h");
    assert!(
        patients.texts["STATUS"]
            .iter()
            .all(|status| status == "completed")
    );
    assert!(
        patients["WT"]
            .iter()
            .all(|&weight| (weight - 70.0).abs() < 1e-9)
    );
    for i in 0..40 {
        let (cl, v) = (patients["CL"][i], patients["V"][i]);
        // records come before a dose of their time
        assert_eq!(trajectories["conc"][5 * i], 0.0);
        for k in 1..5 {
            let exact = 100.0 / v * (-cl / v * 6.0 * k as f64).exp();
            assert!(
                (trajectories["conc"][5 * i + k] / exact - 1.0).abs() < 1e-4,
                "patient {i}"
            );
        }
        let auc = 100.0 / cl * (1.0 - (-cl / v * 24.0).exp());
        assert!((patients["auc"][i] / auc - 1.0).abs() < 1e-4);
        assert!((patients["peak"][i] * v - 100.0).abs() < 1e-3);
        let low = -v / cl * (0.01 * v / 100.0).ln();
        let found = patients["low"][i];
        // below the limit before the dose, so first of all at the start
        assert!(
            found == 0.0 || found.is_nan() || (found - low).abs() < 0.1,
            "{found} {low}"
        );
        let grade = if 100.0 / v > 5.0 { 2.0 } else { 1.0 };
        assert_eq!(patients["high_grade"][i], grade);
    }
    let noisy = trajectories["conc"]
        .iter()
        .zip(&trajectories["conc_obs"])
        .filter(|(a, b)| **a > 0.0 && a != b)
        .count();
    assert!(noisy > 150, "{noisy}");

    let summary = read_json(&out.join("summary.json"));
    assert_eq!(summary, all["summary"]);
    assert_eq!(summary["status"]["completed"], 40);
    let grades = summary["worst_grades"]["high"].as_object().unwrap();
    assert_eq!(
        grades
            .values()
            .map(|grade| grade["count"].as_u64().unwrap())
            .sum::<u64>(),
        40
    );
    assert!(summary["transfers"]["to_host"].as_u64().unwrap() > 0);
    let lines = fs::read_to_string(out.join("summary.csv")).unwrap();
    assert_eq!(lines.lines().count(), 1 + 2 * 5);
    let provenance = read_json(&out.join("provenance.json"));
    assert_eq!(provenance["files"][0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(provenance["device"]["kind"], "software");
    let config = read_json(&out.join("config.json"));
    assert_eq!(
        (&config["regimen"], &config["duration"]),
        (&"100 mg".into(), &24.0.into())
    );
}

#[test]
fn a_patient_depends_on_the_seed_and_his_number_only() {
    let place = Place::new();
    for (out, patients, seed) in [("a", "30", "7"), ("b", "60", "7"), ("c", "30", "8")] {
        let every = ["--every", "12 h", "--quiet", "--out", out];
        place.succeed(
            &[
                &[
                    "simulate",
                    "tiny.toml",
                    "--patients",
                    patients,
                    "--seed",
                    seed,
                ],
                &every[..],
            ]
            .concat(),
        );
    }
    let read = |out: &str| Table::read(&place.path(out).join("trajectories.parquet"));
    let (a, b, c) = (read("a"), read("b"), read("c"));
    assert_eq!(a["conc"], b["conc"][..a["conc"].len()]);
    assert_eq!(a["conc_obs"], b["conc_obs"][..a["conc_obs"].len()]);
    assert_ne!(a["conc"], c["conc"]);
}

#[test]
fn the_command_line_changes_typical_values() {
    let place = Place::new();
    let run = |settings: &[&str]| {
        let fixed = [
            "simulate",
            "tiny.toml",
            "--typical",
            "--days",
            "2",
            "--regimen",
            "50 mg every 12 h x 2",
            "--every",
            "none",
        ];
        place.json(&[&fixed[..], settings].concat())
    };
    let auc =
        |found: serde_json::Value| found["summary"]["summaries"][1]["median"].as_f64().unwrap();
    let closed = |cl: f64, v: f64| {
        let part = |hours: f64| 50.0 / cl * (1.0 - (-cl / v * hours).exp());
        part(48.0) + part(36.0)
    };
    assert!((auc(run(&[])) / closed(5.0, 20.0) - 1.0).abs() < 1e-4);
    assert!((auc(run(&["CL=10", "V=40 L"])) / closed(10.0, 40.0) - 1.0).abs() < 1e-4);
    // 120 L/d is 5 L/h
    assert!((auc(run(&["CL=120 L/d"])) / closed(5.0, 20.0) - 1.0).abs() < 1e-4);
}

#[test]
fn wrong_settings_are_told_together() {
    let place = Place::new();
    let error = place.json_error(
        2,
        &["simulate", "tiny.toml", "CLL=1", "V=1 h", "WT", "CL=1000"],
    );
    let codes: Vec<&str> = error["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["U001", "U003", "U002", "U004"]);
    assert_eq!(error["diagnostics"][0]["help"][0], "did you mean `CL`?");
}

#[test]
fn individuals_come_from_a_table() {
    let place = Place::new();
    place.write("men.csv", "ID,CL,V\nanna,5,20\nben,10,20\n");
    place.succeed(&[
        "simulate",
        "tiny.toml",
        "--individuals",
        "men.csv",
        "--at",
        "1 h, 2 h",
        "--out",
        "out",
    ]);
    let patients = Table::read(&place.path("out/patients.parquet"));
    assert_eq!(patients.texts["ID"], ["anna", "ben"]);
    assert_eq!(patients["CL"], [5.0, 10.0]);
    let found = Table::read(&place.path("out/trajectories.parquet"));
    assert!((found["conc"][2] - 5.0 * (-0.5f64).exp()).abs() < 1e-4);
}

#[test]
fn a_folder_with_results_is_kept_unless_it_is_to_be_replaced() {
    let place = Place::new();
    fs::create_dir(place.path("out")).unwrap();
    place.write("out/mine.txt", "x");
    let run = ["simulate", "tiny.toml", "--patients", "2", "--out", "out"];
    let stderr = place.fail(2, &run);
    assert!(
        stderr.contains("not empty") && stderr.contains("--overwrite"),
        "{stderr}"
    );
    // a failure after the start leaves it alone too
    place.fail(5, &[&run[..], &["--overwrite", "--dt", "30 h"]].concat());
    assert_eq!(entries(&place.path("out")), ["mine.txt"]);
    place.succeed(&[&run[..], &["--overwrite"]].concat());
    assert!(!place.path("out/mine.txt").exists() && place.path("out/summary.json").exists());
    assert_eq!(place.entries(), ["out"]);
}

#[test]
fn occasions_vary_and_rows_stay_in_order() {
    let place = Place::new();
    place.succeed(&[
        "simulate",
        "carboplatin",
        "--patients",
        "3",
        "--every",
        "7 d",
        "--out",
        "out",
    ]);
    let found = Table::read(&place.path("out/trajectories.parquet"));
    assert_eq!(found["TIME"].len(), 3 * 7);
    assert_eq!(found["TIME"][6], 42.0 * 24.0);
}

/// A signal in the middle of a long run: exit code 130, and nothing is left.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    let place = Place::new();
    let run = [
        "simulate",
        "docetaxel",
        "--patients",
        "2000000",
        "--every",
        "none",
        "--out",
        "out",
    ];
    let mut child = place
        .command(&run)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while place.entries().is_empty() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        place
            .entries()
            .iter()
            .any(|name| name.starts_with(".out.partial-")),
        "{:?}",
        place.entries()
    );
    std::thread::sleep(Duration::from_secs(2));
    let signal = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signal.success() && child.try_wait().unwrap().is_none());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        crate::text(&output.stderr)
    );
    assert!(
        crate::text(&output.stderr).contains("interrupted after"),
        "{}",
        crate::text(&output.stderr)
    );
    assert!(place.entries().is_empty(), "{:?}", place.entries());
}
