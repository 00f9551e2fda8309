//! Exit codes, by class.

use crate::{Place, TINY};

#[test]
fn usage_is_2() {
    let place = Place::new();
    place.fail(2, &["simulate"]);
    place.fail(2, &["simulate", "tiny.toml", "--patients", "0"]);
    place.fail(2, &["simulate", "tiny.toml", "--max-diverged", "2"]);
    place.fail(2, &["simulate", "tiny.toml", "--overwrite"]);
    let error = place.json_error(2, &["simulate", "tiny.toml", "--nonsense"]);
    assert!(error["message"].as_str().unwrap().contains("--nonsense"));
    for (option, value) in [
        ("--until", "9 mg"),
        ("--days", "-1"),
        ("--dt", "0"),
        ("--dt", "1 h; 2 h"),
        ("--every", "1 mg"),
        ("--at", "99 d"),
    ] {
        let option = format!("{option}={value}");
        let error = place.json_error(2, &["simulate", "tiny.toml", &option]);
        assert_eq!(
            error["diagnostics"].as_array().unwrap().len(),
            1,
            "{option}: {error:#}"
        );
    }
}

#[test]
fn models_are_3() {
    let place = Place::new();
    place.write("bad.toml", "name = ");
    assert!(
        place
            .fail(3, &["simulate", "bad.toml"])
            .contains("bad.toml:1:")
    );
    place.fail(3, &["simulate", "no-such-model"]);
    place.fail(3, &["trial", "no-such-trial", "--out", "x"]);
    place.write("bad-trial.toml", "name = \"bad-trial\"\nmodel = 3\n");
    place.fail(3, &["trial", "bad-trial.toml", "--out", "x"]);
    assert_eq!(place.entries(), ["bad-trial.toml", "bad.toml"]);
}

#[test]
fn regimens_and_individuals_are_4() {
    let place = Place::new();
    let error = place.json_error(
        4,
        &["simulate", "tiny.toml", "--regimen", "100 mgg every 1 d"],
    );
    assert_eq!(error["class"], "data");
    assert_eq!(error["diagnostics"][0]["primary"]["column"], 5);
    place.write("men.csv", "ID,CLX\n1,5\n");
    place.fail(4, &["simulate", "tiny.toml", "--individuals", "men.csv"]);
}

#[test]
fn numbers_are_5() {
    let place = Place::new();
    let stderr = place.fail(
        5,
        &["simulate", "tiny.toml", "--dt", "20 h", "--out", "out"],
    );
    assert!(
        stderr.contains("the step is unstable") && stderr.contains("--dt"),
        "{stderr}"
    );
    // the amount falls at a constant rate, below zero
    let falling = TINY
        .replace("\"tiny\"", "\"falling\"")
        .replace("rate = \"-CL/V*central\"", "rate = \"-CL*5[mg/L]\"")
        .replace("gain = \"-CL/V*central\"", "gain = \"-CL*5[mg/L]\"");
    place.write("falling.toml", &falling);
    let stderr = place.fail(
        5,
        &[
            "simulate",
            "falling.toml",
            "--patients",
            "10",
            "--out",
            "out",
        ],
    );
    assert!(
        stderr.contains("10 of 10 patients") && stderr.contains("negative"),
        "{stderr}"
    );
    let allowed = [
        "simulate",
        "falling.toml",
        "--patients",
        "10",
        "--max-diverged",
        "1",
        "--out",
        "out",
    ];
    let all = place.json(&allowed);
    assert_eq!(all["summary"]["status"]["negative"], 10);
    let patients = crate::Table::read(&place.path("out/patients.parquet"));
    assert!(patients["TIME_REACHED"].iter().all(|&time| time < 24.0));
}

#[test]
fn devices_are_6() {
    let place = Place::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_posology"));
    let run = [
        "simulate",
        "tiny.toml",
        "--device",
        "no such adapter",
        "--out",
        "out",
    ];
    let output = command
        .args(run)
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(
        crate::text(&output.stderr).contains("available: 0"),
        "{}",
        crate::text(&output.stderr)
    );
    assert!(place.entries().is_empty());
}

#[test]
fn files_are_7() {
    let place = Place::new();
    place.write("file", "x");
    place.fail(7, &["simulate", "tiny.toml", "--out", "file/out"]);
    place.fail(2, &["simulate", "tiny.toml", "--out", "file"]);
    assert_eq!(place.entries(), ["file"]);
}
