//! A trained policy as an arm of a trial, from training to the tables.

use std::fs;
use std::path::{Path, PathBuf};

use posology_agent::train::container::Container;
use posology_agent::train::{EvaluateOptions, TrainedPolicy, TreatmentOptions, evaluate};
use posology_cohort::Cohort;

use crate::{Place, Table, entries, read_json};

/// Updates of a second.
const SMALL: [&str; 7] = [
    "lanes=32",
    "steps=4",
    "updates=2",
    "hidden=8",
    "encoder=8",
    "minibatches=2",
    "epochs=1",
];
const PATIENTS: usize = 40;
const SEED: u64 = 2026;

fn configs(place: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    folder.canonicalize().unwrap().join(place)
}

/// A shipped file as another folder needs it.
fn moved(name: &str) -> String {
    let mut text = fs::read_to_string(configs(name)).unwrap();
    for folder in ["models", "populations"] {
        let here = format!("\"{}/", configs(folder).display());
        text = text.replace(&format!("\"../{folder}/"), &here);
    }
    text
}

fn train<'a>(task: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", task, "--out", out], &SMALL[..], more].concat()
}

/// The shipped trial, as long as the task, with `policy`.
fn trial(policy: &str) -> String {
    moved("trials/docetaxel-learned.toml")
        .replace("horizon = \"24 wk\"", "horizon = \"18 wk\"")
        .replace("missed = 0.03\n", "")
        .replace("\"docetaxel-learned\"", "\"small\"")
        .replace("policy = { checkpoint = \"../../runs/docetaxel\" }", policy)
}

fn tables(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let names = entries(folder).into_iter();
    let tables = names.filter(|name| name.ends_with(".parquet"));
    tables
        .map(|name| {
            let bytes = fs::read(folder.join(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}

#[test]
fn a_trained_policy_is_an_arm() {
    let place = Place::new();
    // without its shield every action is the dose, which evaluation reports
    let task: String = moved("tasks/docetaxel-dosing.toml")
        .lines()
        .filter(|line| !line.starts_with("shield"))
        .flat_map(|line| [line, "\n"])
        .collect();
    place.write("dosing.toml", &task.replace("pool = 16384", "pool = 64"));
    place.succeed(&train("dosing.toml", "run", &[]));
    place.write("small.toml", &trial("policy = { checkpoint = \"run\" }"));
    let patients = PATIENTS.to_string();
    let run = ["trial", "small.toml", "--patients", &patients];
    let found = place.json(&[&run[..], &["--out", "whole"]].concat());
    let cohort = &found["summary"]["cohorts"][0];
    for endpoint in ["days_grade4", "exposure", "intensity"] {
        for arm in ["label", "learned"] {
            let mean = &cohort["numbers"][endpoint]["arms"][arm]["mean"]["value"];
            assert!(mean.as_f64().is_some(), "{endpoint} {arm}: {mean}");
        }
    }
    provenance(&place);
    // in parts, and going on from what an interrupted run has left
    for (shard, out) in [("1/2", "a"), ("2/2", "b"), ("2/2", "killed.pieces")] {
        place.succeed(&[&run[..], &["--shard", shard, "--out", out]].concat());
    }
    place.succeed(&["merge", "b", "a", "--out", "merged"]);
    place.succeed(&[&run[..], &["--out", "killed"]].concat());
    let whole = tables(&place.path("whole"));
    assert!(
        whole == tables(&place.path("merged")),
        "merging changed the tables"
    );
    assert!(
        whole == tables(&place.path("killed")),
        "going on changed the tables"
    );
    same_treatment(&place);

    // another checkpoint is another run
    fs::copy(place.path("run/last.checkpoint"), place.path("kept")).unwrap();
    place.succeed(&train("dosing.toml", "run", &["--overwrite", "seed=7"]));
    let text = place.fail(4, &["report", "whole"]);
    assert!(
        text.contains("checkpoint") && text.contains("changed"),
        "{text}"
    );
    let text = place.fail(4, &[&run[..], &["--shard", "1/2", "--out", "b"]].concat());
    assert!(text.contains("another run"), "{text}");
    // its place does not matter
    let named = [
        "--checkpoint",
        "learned=kept",
        "--shard",
        "1/2",
        "--out",
        "b",
    ];
    place.succeed(&[&run[..], &named].concat());
    misfits(&place);
}

fn provenance(place: &Place) {
    let provenance = read_json(&place.path("whole/provenance.json"));
    let policy = &provenance["files"][1];
    assert_eq!(
        (&policy["role"], &policy["arm"]),
        (&"policy".into(), &"learned".into())
    );
    let hash = policy["sha256"].as_str().unwrap();
    let html = fs::read_to_string(place.path("whole/report.html")).unwrap();
    for words in [
        hash,
        "Policy of arm learned",
        "task dosing",
        "after 2 updates",
    ] {
        assert!(html.contains(words), "{words}");
    }
}

/// What the tables say was given, and what came of it, against the policy played by itself.
fn same_treatment(place: &Place) {
    let device = posology_kernels::device::open(Some("software")).unwrap();
    let path = ["best.checkpoint", "last.checkpoint"].map(|name| place.path("run").join(name));
    let path = path.iter().find(|path| path.is_file()).unwrap();
    let policy = TrainedPolicy::read(path).unwrap();
    let task = policy.task().unwrap();
    let cohort = task.patients(&device, PATIENTS, SEED, 0).unwrap();
    let options = TreatmentOptions {
        seed: SEED,
        deterministic: true,
    };
    let all = policy.treat(&device, &cohort, options).unwrap();

    // evaluation meets the same patients by their numbers
    let container = Container::read(path).unwrap();
    let ask = EvaluateOptions {
        patients: PATIENTS,
        first: 0,
        seed: SEED,
        resamples: 10,
        ..EvaluateOptions::default()
    };
    let shown = path.display().to_string();
    let found = evaluate(&device, &container, &shown, &policy.problem, &ask, |_| true).unwrap();

    let doses = Table::read(&place.path("whole/adppk.parquet"));
    let learned = doses.texts["TRTP"].iter().map(|arm| arm == "learned");
    let learned: Vec<bool> = learned.collect();
    let given: Vec<usize> = (0..learned.len())
        .filter(|&row| learned[row] && doses["EVID"][row] == 1.0)
        .collect();
    assert!(!given.is_empty());
    let mut level = [0.0; 18];
    let mut total = 0.0;
    for &row in &given {
        let week = (doses["TIME"][row] / 168.0).round() as usize;
        level[week] += doses["AMT"][row] / doses["BSA"][row];
        total += doses["AMT"][row];
    }
    let amounts: f64 = all.amounts[0]
        .iter()
        .enumerate()
        .flat_map(|(decision, row)| {
            let taken = all.decisions.iter().zip(row);
            taken.filter(move |(taken, _)| decision < **taken as usize)
        })
        .map(|(_, amount)| f64::from(*amount))
        .sum();
    let entering = posology_cohort::regimen::entering(&task.model, &cohort, 0).unwrap()[0];
    let unit = task.model.units.scale(&task.model.inputs[0].unit);
    assert!((amounts / (entering * unit) / total - 1.0).abs() < 1e-6);
    for (week, level) in level.iter().enumerate() {
        let treated = f64::from(found.curve.patients[week]);
        let mean = found.curve.actions[0][week];
        assert!(
            (level / treated - mean).abs() < 1e-4 * mean.max(1.0),
            "{week}: {level} {mean}"
        );
    }
    // what the environment saw and what the trial computes: steps fall elsewhere, no more
    let rows = Table::read(&place.path("whole/patients.parquet"));
    let arm = &rows.texts["arm"];
    let of = |column: &str| -> Vec<f64> {
        let rows = rows[column].iter().zip(arm);
        rows.filter(|(_, arm)| *arm == "learned")
            .map(|(v, _)| *v)
            .collect()
    };
    let (exposure, days) = (of("exposure"), of("days_grade4"));
    for (p, course) in found.courses.iter().enumerate() {
        assert!((exposure[p] - 3.508 * course.terms[0]).abs() < 1e-2 * exposure[p].max(0.1));
        assert!(
            (days[p] - course.costs[0]).abs() < 0.1,
            "{p}: {} {:?}",
            days[p],
            course.costs
        );
    }

    // alone, in another order and in halves a patient gets the same bits
    let back: Vec<usize> = (0..PATIENTS).rev().filter(|p| p % 3 != 1).collect();
    let some: Cohort = cohort.select(&back);
    let part = policy.treat(&device, &some, options).unwrap();
    for (k, &p) in back.iter().enumerate() {
        assert_eq!(part.decisions[k], all.decisions[p]);
        for decision in 0..all.decisions[p] as usize {
            let (a, b) = (&part.amounts[0][decision][k], &all.amounts[0][decision][p]);
            assert_eq!(a.to_bits(), b.to_bits(), "patient {p}, decision {decision}");
        }
    }
}

/// What cannot be an arm says why.
fn misfits(place: &Place) {
    let try_it = |policy: &str, code: i32, words: &str| {
        place.write("small.toml", &trial(policy));
        let text = place.fail(code, &["trial", "small.toml", "--out", "never"]);
        assert!(text.contains(words), "{policy}: {text}");
        assert!(text.contains("small.toml"), "a place: {text}");
    };
    try_it(
        "policy = { checkpoint = \"nowhere\" }",
        3,
        "there is no checkpoint",
    );
    place.write("text.checkpoint", "not one");
    try_it(
        "policy = { checkpoint = \"text.checkpoint\" }",
        3,
        "not a checkpoint",
    );
    place.succeed(&train("analytic", "analytic", &[]));
    try_it(
        "policy = { checkpoint = \"analytic\" }",
        3,
        "no patients of a model",
    );
    let task = moved("tasks/adaptive-therapy.toml").replace("pool = 16384", "pool = 64");
    place.write("adaptive.toml", &task);
    let options = ["updates=1", "network=task-conditioned"];
    place.succeed(&train("adaptive.toml", "knowing", &options));
    try_it(
        "policy = { checkpoint = \"knowing\" }",
        3,
        "hidden parameters",
    );
    place.succeed(&train(
        "adaptive.toml",
        "adaptive",
        &["updates=1", "network=memoryless"],
    ));
    try_it(
        "policy = { checkpoint = \"adaptive\" }",
        3,
        "patients of the model `lotka",
    );
    place.write("small.toml", &trial("policy = { checkpoint = \"run\" }"));
    let usage = ["--checkpoint", "label=run", "--out", "never"];
    let text = place.fail(2, &[&["trial", "small.toml"][..], &usage].concat());
    assert!(text.contains("arms that are: learned"), "{text}");
    short_trial(place);
}

/// A covariate that the policy sets: the adaptive-therapy task in a trial of its model.
fn short_trial(place: &Place) {
    let text = format!(
        r#"name = "sets"
title = "Adaptive"
model = "{}"
seed = 3
horizon = "300 d"
time_unit = "d"
[virtual]
patients = 24
[arms.on]
regimen = "drug: 1 from 0 d"
[arms.learned]
policy = {{ checkpoint = "adaptive" }}
[endpoints.progression]
first_time = "total > 1.2*n0"
unit = "d"
[endpoints.on_drug]
integral = "drug"
until = "progression"
unit = "d"
[analysis]
control = "on"
primary = "progression"
times = ["100 d"]
"#,
        configs("models/lotka-volterra-adaptive.toml").display()
    );
    place.write("sets.toml", &text);
    let found = place.json(&["trial", "sets.toml", "--out", "sets"]);
    let arms = &found["summary"]["cohorts"][0]["numbers"]["on_drug"]["arms"];
    let mean = |arm: &str| arms[arm]["mean"]["value"].as_f64().unwrap();
    assert!(mean("learned") > 0.0 && mean("on") > 0.0);
    let rows = Table::read(&place.path("sets/patients.parquet"));
    let arm = &rows.texts["arm"];
    let of = |values: &[f64]| -> Vec<f64> {
        let rows = values.iter().zip(arm);
        rows.filter(|(_, arm)| *arm == "learned")
            .map(|(v, _)| *v)
            .collect()
    };
    let device = posology_kernels::device::open(Some("software")).unwrap();
    let policy = ["best.checkpoint", "last.checkpoint"]
        .map(|name| place.path("adaptive").join(name))
        .into_iter()
        .find(|path| path.is_file())
        .map(|path| TrainedPolicy::read(&path).unwrap())
        .unwrap();
    // the same men, one by one, in the environment
    let model = &policy.task().unwrap().model;
    let mut cohort = Cohort::typical(model, 24);
    for (slot, row) in cohort.slots.iter_mut().enumerate() {
        let name = model.slot_name(slot);
        if let Some(values) = rows.numbers.get(name) {
            let scale = model.units.scale(model.slot_unit(slot));
            *row = of(values).iter().map(|value| value * scale).collect();
        }
    }
    let options = TreatmentOptions {
        seed: 3,
        deterministic: true,
    };
    let treated = policy.treat(&device, &cohort, options).unwrap();
    let on = of(&rows["on_drug"])
        .into_iter()
        .zip(of(&rows["progression"]));
    for (p, (on, progression)) in on.enumerate() {
        let weeks = (0..).take_while(|week| f64::from(*week) * 7.0 < progression);
        let expected: f64 = weeks
            .map(|week| {
                let length = (progression - f64::from(week) * 7.0).min(7.0);
                f64::from(treated.values[0][week as usize][p]) * length
            })
            .sum();
        assert!(
            (on - expected).abs() < 0.5,
            "{p}: {on} days, {expected} decided"
        );
    }
}
