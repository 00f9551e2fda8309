//! A model with a `[correction]`: simulated, listed, checked and put on trial.

use std::fmt::Write;
use std::fs;

use posology_model::Model;

use crate::{Place, TINY, Table, entries, read_json};

const SECTION: &str = r#"
[correction]
inputs = ["central/100[mg]"]
width = 1
latents = 1
[correction.rates]
central = { scale = "0.2 1/h", form = "relative" }
"#;

/// The output is the bias of the output layer alone, `o`, plus `share` of a latent's `tanh`.
fn weights(model: &Model, o: f64, share: f64) -> String {
    let correction = model.correction.as_ref().unwrap();
    let value = |name: &String| match name.as_str() {
        "nn_w1_1_2" => 1.0,
        "nn_w2_1_1" => share,
        "nn_b2_1" => o,
        _ => 0.0,
    };
    let names = correction.network.weight_names();
    correction.weights_csv(&names.iter().map(value).collect::<Vec<_>>())
}

fn corrected(place: &Place, o: f64, share: f64) {
    let section = SECTION.replace("latents", "weights = \"w.csv\"\nlatents");
    let untrained = Model::parse("tiny.toml", &format!("{TINY}{SECTION}"), None).unwrap();
    place.write("w.csv", &weights(&untrained, o, share));
    place.write("tiny.toml", &format!("{TINY}{section}"));
}

const RUN: [&str; 7] = [
    "simulate",
    "tiny.toml",
    "--patients",
    "30",
    "--every",
    "6 h",
    "--out",
];

#[test]
fn a_constant_correction_is_a_clearance() {
    let place = Place::new();
    corrected(&place, -0.5, 0.0);
    place.succeed(&[&RUN[..], &["out"]].concat());
    let patients = Table::read(&place.path("out/patients.parquet"));
    let course = Table::read(&place.path("out/trajectories.parquet"));
    for i in 0..30 {
        let (cl, v) = (patients["CL"][i], patients["V"][i]);
        let k = cl / v + 0.2 * 0.5f64.tanh();
        for j in 1..5 {
            let exact = 100.0 / v * (-k * 6.0 * j as f64).exp();
            let found = course["conc"][5 * i + j];
            assert!((found / exact - 1.0).abs() < 1e-4, "{found} {exact}");
        }
    }
    // the weights are part of where the results come from
    let provenance = read_json(&place.path("out/provenance.json"));
    assert_eq!(provenance["files"][1]["role"], "weights");
    // latents are drawn like any variability: patients differ by them
    corrected(&place, 0.0, 2.0);
    place.succeed(&[&RUN[..], &["latent"]].concat());
    let patients = Table::read(&place.path("latent/patients.parquet"));
    let course = Table::read(&place.path("latent/trajectories.parquet"));
    for i in 0..30 {
        let (cl, v, z) = (patients["CL"][i], patients["V"][i], patients["nn_z1"][i]);
        let k = cl / v - 0.2 * (2.0 * z.tanh()).tanh();
        let (exact, found) = (100.0 / v * (-k * 6.0).exp(), course["conc"][5 * i + 1]);
        assert!((found / exact - 1.0).abs() < 1e-4, "{z}: {found} {exact}");
    }
    // a typical value of a latent can be given
    place.succeed(&["simulate", "tiny.toml", "--patients", "2", "nn_z1=1"]);
}

#[test]
fn an_untrained_correction_changes_no_bit() {
    let place = Place::new();
    place.succeed(&[&RUN[..], &["plain"]].concat());
    place.write("tiny.toml", &format!("{TINY}{SECTION}"));
    place.succeed(&[&RUN[..], &["off"]].concat());
    assert_eq!(entries(&place.path("plain")), entries(&place.path("off")));
    for table in ["patients.parquet", "trajectories.parquet"] {
        let [a, b] = ["plain", "off"].map(|out| Table::read(&place.path(out).join(table)));
        assert_eq!(a.numbers.len(), b.numbers.len());
        for (name, values) in &a.numbers {
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(values), bits(&b[name]), "{name}");
        }
        assert_eq!(a.texts, b.texts);
    }
}

#[test]
fn models_and_check_know_a_correction() {
    let place = Place::new();
    place.write("tiny.toml", &format!("{TINY}{SECTION}"));
    let text = place.succeed(&["models", "tiny.toml"]);
    let line = "correction of central (relative) by a network of central/100[mg]: 1 x 1 tanh, \
                1 latents, 5 weights, untrained, so switched off";
    assert!(text.contains(line), "{text}");
    // mass is not kept where a network adds to it: the balance says so
    place.succeed(&["check", "tiny.toml", "--patients", "2"]);
    corrected(&place, 0.5, 0.0);
    let text = place.fail(3, &["check", "tiny.toml", "--patients", "2"]);
    assert!(text.contains("balance `drug`"), "{text}");
    let model = fs::read_to_string(place.path("tiny.toml")).unwrap();
    let (head, rest) = model.split_once("[balance.drug]").unwrap();
    let (_, rest) = rest.split_once("[scenario]").unwrap();
    place.write("tiny.toml", &format!("{head}[scenario]{rest}"));
    place.succeed(&["check", "tiny.toml", "--patients", "2"]);
    let all = place.json(&["models", "tiny.toml"]);
    assert_eq!(all["correction"]["rates"][0]["scale"], 0.2);
    assert_eq!(all["correction"]["off"], false);
    // a mistake in the weights is shown where it stands
    let mut weights = fs::read_to_string(place.path("w.csv")).unwrap();
    writeln!(weights, "nn_w1_9_9,1").unwrap();
    place.write("w.csv", &weights);
    let text = place.fail(3, &["simulate", "tiny.toml", "--patients", "2"]);
    assert!(
        text.contains("M316") && text.contains("w.csv:7:1"),
        "{text}"
    );
}

const TRIAL: &str = r#"
name = "both"
title = "Two doses of a corrected model"
model = "tiny.toml"
horizon = "24 h"
time_unit = "h"
[virtual]
patients = 60
[arms.low]
regimen = "50 mg"
[arms.high]
regimen = "100 mg"
[endpoints.peak]
max = "conc"
unit = "mg/L"
[analysis]
control = "low"
primary = "peak"
"#;

#[test]
fn a_trial_of_a_corrected_model_depends_on_its_weights() {
    let place = Place::new();
    corrected(&place, 0.5, 1.0);
    place.write("both.toml", TRIAL);
    place.succeed(&["trial", "both.toml", "--out", "out"]);
    let patients = Table::read(&place.path("out/endpoints.parquet"));
    assert!(patients.schema.fields().len() > 1);
    // other weights are another run
    place.succeed(&["trial", "both.toml", "--shard", "1/2", "--out", "a"]);
    corrected(&place, 0.25, 1.0);
    place.succeed(&["trial", "both.toml", "--shard", "2/2", "--out", "b"]);
    let text = place.fail(4, &["merge", "a", "b", "--out", "merged"]);
    assert!(text.contains("different runs"), "{text}");
}

/// Forty patients of the tiny model, whose drug is also lost by a second way at high concentrations.
fn lost_twice() -> String {
    let mut text = String::from("ID,TIME,AMT,EVID,DV\n");
    for i in 0..40 {
        let wave = |k: i32| f64::sin(f64::from(7 * i + 3 * k + 1));
        let (cl, v) = (5.0 * (0.3 * wave(0)).exp(), 20.0 * (0.2 * wave(9)).exp());
        let dose = [50.0, 100.0, 200.0, 400.0][i as usize % 4];
        let _ = writeln!(text, "P{i},0,{dose},1,.");
        let mut amount = dose;
        for k in 1..7 {
            for _ in 0..2000 {
                amount -= 0.001 * amount * (cl / v + 0.4 * amount / (amount + 100.0));
            }
            let seen = amount / v * (1.0 + 0.05 * wave(k));
            let _ = writeln!(text, "P{i},{},.,0,{seen:.5}", 2 * k);
        }
    }
    text
}

#[cfg(unix)]
#[test]
fn a_correction_is_trained_interrupted_and_used() {
    let place = Place::new();
    place.write("data.csv", &lost_twice());
    let section = SECTION
        .replace("latents = 1", "")
        .replace("width = 1", "width = 3")
        .replace("0.2 1/h", "1 1/h");
    place.write("tiny.toml", &format!("{TINY}{section}"));
    let train = |out, more: &[&'static str]| {
        let first = ["fit", "tiny.toml", "--data", "data.csv", "--out", out];
        let rest = [
            "--method",
            "correction",
            "--epochs",
            "12",
            "--simulations",
            "20",
        ];
        [&first[..], &rest[..], more].concat()
    };
    let shown = place.succeed(&train("whole", &[]));
    assert!(shown.contains("correction kept at"), "{shown}");
    let checkpoint = place.path("part.checkpoint.json");
    crate::fit::interrupted(&place, &train("part", &[]), &checkpoint);
    let told = place.fail(4, &train("part", &["--resume", "--seed", "2"]));
    assert!(told.contains("belongs to another fit"), "{told}");
    place.fail(2, &train("part", &["--resume", "--ridge", "1"]));
    place.succeed(&train("part", &["--resume"]));
    assert!(!checkpoint.exists());
    for file in ["fit.json", "weights.csv", "individuals.csv"] {
        let read = |out: &str| fs::read_to_string(place.path(out).join(file)).unwrap();
        assert!(read("whole") == read("part"), "{file}");
    }
    let found = read_json(&place.path("whole/fit.json"));
    assert_eq!(found["method"], "correction");
    assert_eq!(found["correction"]["shares"].as_array().unwrap().len(), 5);
    assert_eq!(found["saved"]["fixed"], serde_json::json!([]));
    let individuals = fs::read_to_string(place.path("whole/individuals.csv")).unwrap();
    assert!(individuals.starts_with("ID,CL,V\n"), "{individuals}");
    let report = fs::read_to_string(place.path("whole/report.html")).unwrap();
    assert!(report.contains("<h2>Correction</h2>"));
    assert!(report.contains("Correction kept at"));

    // the corrected model forecasts what the mechanism cannot
    let score = |place: &Place, more: &[&str]| {
        let first = [
            "forecast",
            "tiny.toml",
            "--data",
            "data.csv",
            "--after",
            "4 h",
        ];
        let found = place.json(&[&first[..], more].concat());
        found["scores"][0]["scores"]["logarithm"]["forecast"]
            .as_f64()
            .unwrap()
    };
    let mechanism = score(&place, &["--prior"]);
    let named = section.replace("width", "weights = \"whole/weights.csv\"\nwidth");
    place.write("tiny.toml", &format!("{TINY}{named}"));
    let corrected = score(&place, &["--fit", "whole"]);
    assert!(corrected < 0.5 * mechanism, "{corrected} {mechanism}");
    // patients alone, with what was found as prior; and training that goes on from its file
    place.succeed(&[
        "fit",
        "tiny.toml",
        "--data",
        "data.csv",
        "--method",
        "map",
        "--fit",
        "whole",
        "--simulations",
        "20",
    ]);
    place.succeed(&train("more", &["--fit", "whole", "--optimiser", "lbfgs"]));
    // the mechanism's population, then a correction with a latent that it knows nothing of
    place.write("tiny.toml", &format!("{TINY}{SECTION}"));
    let base = [
        "fit",
        "tiny.toml",
        "--data",
        "data.csv",
        "--simulations",
        "20",
    ];
    let quick = ["--iterations", "20,10", "--out", "study"];
    place.succeed(&[&base[..], &quick].concat());
    let more = [
        "--method",
        "correction",
        "--epochs",
        "2",
        "--fit",
        "study",
        "--out",
        "net",
    ];
    place.succeed(&[&base[..], &more].concat());
    let saved = &read_json(&place.path("net/fit.json"))["saved"];
    assert_eq!(saved["random"], serde_json::json!(["CL", "V", "nn_z1"]));
    let told = place.fail(
        4,
        &[&base[..], &["--fit", "net", "--method", "map"]].concat(),
    );
    assert!(told.contains("other parameters"), "{told}");
}

#[test]
fn what_cannot_be_trained_is_explained() {
    let place = Place::new();
    place.write("data.csv", &lost_twice());
    let base = [
        "fit",
        "tiny.toml",
        "--data",
        "data.csv",
        "--method",
        "correction",
    ];
    let told = place.fail(2, &base);
    assert!(told.contains("no correction to train"), "{told}");
    place.write("tiny.toml", &format!("{TINY}{SECTION}"));
    for (option, words) in [
        (["--epochs", "0"], "no step"),
        (["--held-out", "1.5"], "held-out share"),
        (["--held-out", "0.05"], "too few"),
        (["--learning-rate", "0"], "learning rate"),
    ] {
        let told = place.fail(2, &[&base[..], &option].concat());
        assert!(told.contains(words), "{option:?}: {told}");
    }
}
