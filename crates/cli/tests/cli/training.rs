//! `train`, `resume`, `evaluate` and `bench train`.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::{Place, read_json, text};

/// A run of seconds.
const SMALL: [&str; 8] = [
    "lanes=32",
    "steps=4",
    "updates=12",
    "hidden=8",
    "encoder=8",
    "minibatches=2",
    "epochs=2",
    "checkpoint_every=3",
];

fn run<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [
        &["train", "analytic-limited", "--out", out],
        &SMALL[..],
        more,
    ]
    .concat()
}

#[test]
fn a_policy_is_trained_and_evaluated() {
    let place = Place::new();
    let summary = place.json(&run("out", &["checkpoint_every=6"]));
    assert_eq!(summary["update"], 12);
    assert_eq!(summary["launches_per_decision"], 2.0);
    assert_eq!(summary["last"]["transfers"], 1);
    assert_eq!(summary["last"]["costs"][0]["name"], "dose");
    let written = fs::read_to_string(place.path("out/configuration.toml")).unwrap();
    assert!(written.contains("lanes = 32") && written.contains("# patients treated at once"));
    let provenance = read_json(&place.path("out/provenance.json"));
    assert_eq!(provenance["program"]["name"], "posology");
    for file in [
        "last.checkpoint",
        "best.checkpoint",
        "metrics.jsonl",
        "validation.jsonl",
        "tensorboard",
    ] {
        assert!(place.path("out").join(file).exists(), "{file}");
    }
    // the folder is taken
    let error = place.json_error(2, &run("out", &[]));
    assert!(
        error["help"]
            .as_str()
            .unwrap()
            .contains("posology resume out")
    );
    let found = place.json(&["evaluate", "out", "--patients", "50", "--out", "worth"]);
    assert_eq!(found["patients"], 50);
    assert_eq!(found["first_patient"], 1u32 << 31);
    assert_eq!(found["curve"]["reward"].as_array().unwrap().len(), 8);
    assert_eq!(found["costs"][0]["limit"], 2.0);
    let rows = fs::read_to_string(place.path("worth/patients.csv")).unwrap();
    assert_eq!(rows.lines().count(), 51);
    assert!(
        rows.starts_with("patient,return,decisions,terminated,diverged,reward nearness,cost dose")
    );
    let again = place.json(&["evaluate", "out/best.checkpoint", "--patients", "50"]);
    assert_eq!(again["return"], found["return"]);
    let drawn = place.json(&["evaluate", "out", "--patients", "50", "--sampled"]);
    assert_ne!(drawn["return"], found["return"]);
}

/// Killed at any moment and gone on with: the last checkpoint has the bytes of a run that was
/// never touched.
#[cfg(unix)]
#[test]
fn a_killed_run_ends_in_the_same_bytes() {
    let place = Place::new();
    place.succeed(&run("whole", &[]));
    let expected = fs::read(place.path("whole/last.checkpoint")).unwrap();
    let mut child = place
        .command(&run("killed", &[]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || {
        let text = fs::read_to_string(place.path("killed/metrics.jsonl"));
        text.map_or(0, |text| text.lines().count())
    };
    let clock = Instant::now();
    while lines() < 5 && clock.elapsed() < Duration::from_secs(300) {
        assert!(child.try_wait().unwrap().is_none() || lines() >= 5);
        std::thread::sleep(Duration::from_millis(2));
    }
    // SIGKILL: nothing is written any more
    child.kill().unwrap();
    child.wait().unwrap();
    let summary = place.json(&["resume", "killed"]);
    assert_eq!(
        (&summary["update"], &summary["finished"]),
        (&12.into(), &true.into())
    );
    assert!(fs::read(place.path("killed/last.checkpoint")).unwrap() == expected);
    let text = fs::read_to_string(place.path("killed/metrics.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 12);
}

#[test]
fn q_learning_is_a_baseline() {
    let place = Place::new();
    place.write(
        "levels.toml",
        "process = \"analytic\"\nhorizon = 4\nlevels = 3\n",
    );
    let small = ["algorithm=dqn", "dqn_steps=2", "dqn_batch=32", "updates=4"];
    let run = |task, out| [&["train", task, "--out", out], &SMALL[..2], &small].concat();
    let summary = place.json(&run("levels.toml", "out"));
    assert_eq!(summary["update"], 4);
    assert_eq!(summary["launches_per_decision"], 3.0);
    assert_eq!(summary["last"]["transfers"], 1);
    assert_eq!(summary["last"]["steps_taken"], 2.0);
    assert!(summary["last"]["values"]["epsilon"].as_f64().unwrap() < 0.1);
    let found = place.json(&["evaluate", "out", "--patients", "20"]);
    assert_eq!(found["patients"], 20);
    let error = place.json_error(2, &run("analytic", "none"));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("dose is a fraction"), "{message}");
}

/// A front over a weight, gone on with for nothing; then one policy for all weights, asked for one.
#[test]
fn weights_are_swept_and_drawn() {
    let place = Place::new();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/models");
    let task = format!(
        "model = \"{models}/docetaxel-neutropenia.toml\"\n\
         [patients]\npool = 64\n\
         [decisions]\nevery = \"2 d\"\nhorizon = \"4 d\"\n\
         [actions.dose]\ninto = \"docetaxel\"\nlevels = [0, 100]\n\
         [observe.ANC]\n\
         [features.count]\nvalue = \"ANC/5[1e9/L]\"\n\
         [reward.given]\nvalue = \"dose/100[mg]\"\n\
         [reward.count]\nvalue = \"circulating/5[1e9/L]\"\n"
    );
    place.write("small.toml", &task);
    let sweep = [
        &[
            "train",
            "small.toml",
            "--out",
            "front",
            "--sweep",
            "reward.given=0.5,2",
        ],
        &SMALL[..],
        &["updates=2"],
    ]
    .concat();
    let front = place.json(&sweep);
    assert_eq!(front["key"], "reward.given.weight");
    let points = front["points"].as_array().unwrap();
    assert_eq!(points.len(), 2);
    for point in points {
        let found = &point["evaluation"];
        let term = |k: usize| found["terms"][k][1].as_f64().unwrap();
        let weight: f64 = point["value"].as_str().unwrap().parse().unwrap();
        let whole = weight * term(0) + term(1);
        assert!((found["return"]["value"].as_f64().unwrap() - whole).abs() < 1e-4);
    }
    let shown = place.succeed(&sweep);
    assert!(shown.contains("reward.given.weight"), "{shown}");
    assert_eq!(place.json(&sweep), front);
    place.json_error(
        2,
        &["train", "small.toml", "--out", "x", "--sweep", "rate=1,2"],
    );

    place.write(
        "drawn.toml",
        &task.replace(
            "value = \"dose/100[mg]\"",
            "value = \"dose/100[mg]\"\nweight = { from = 0, to = 4 }",
        ),
    );
    let train = [
        &["train", "drawn.toml", "--out", "drawn"],
        &SMALL[..],
        &["updates=2"],
    ]
    .concat();
    place.json(&train);
    let of = |weights: &[&str]| {
        let found = place.json(&[&["evaluate", "drawn", "--patients", "64"], weights].concat());
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        let terms = [0, 1].map(|k| number(&found["terms"][k][1]));
        (number(&found["return"]["value"]), terms)
    };
    let (fixed, terms) = of(&["--weight", "given=3"]);
    assert!((fixed - 3.0 * terms[0] - terms[1]).abs() < 1e-4);
    let (drawn, terms) = of(&[]);
    assert!(drawn >= terms[1] - 1e-6 && drawn <= terms[1] + 4.0 * terms[0] + 1e-6);
    place.fail(2, &["evaluate", "drawn", "--weight", "given"]);
}

#[test]
fn mistakes_have_their_codes() {
    let place = Place::new();
    for (option, words) in [
        ("lane=3", "did you mean `lanes`?"),
        ("lanes", "key=value"),
        ("rate=fast", "rate = fast"),
        ("rate=7", "from 0 to 1"),
        ("minibatches=3", "must divide lanes = 256"),
        ("network=transformer", "memoryless"),
    ] {
        let error = place.json_error(2, &["train", "analytic", "--out", "x", option]);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{option}: {message}");
    }
    place.fail(2, &["train", "analytic"]);
    let error = place.json_error(3, &["train", "analitic-task", "--out", "x"]);
    assert!(error["message"].as_str().unwrap().contains("analitic-task"));
    place.write("broken.toml", "title = ");
    place.fail(3, &["train", "broken.toml", "--out", "x"]);
    place.fail(4, &["resume", "nowhere"]);
    place.fail(4, &["evaluate", "nowhere"]);
    place.write("text.checkpoint", "title = 1");
    let message = place.fail(4, &["evaluate", "text.checkpoint"]);
    assert!(message.contains("not a checkpoint"), "{message}");
    assert_eq!(place.entries(), ["broken.toml", "text.checkpoint"]);
}

#[test]
fn speed_is_measured() {
    let place = Place::new();
    let words = [
        &["bench", "train", "analytic", "--patients", "32,64"],
        &["--repeats", "1", "--decisions", "128", "--kernels"][..],
        &["--out", "found/training.json"],
        &SMALL[1..7],
    ];
    let found = place.json(&words.concat());
    assert_eq!(read_json(&place.path("found/training.json")), found);
    let plot = fs::read_to_string(place.path("found/training.svg")).unwrap();
    assert!(
        plot.starts_with("<svg") || plot.starts_with("<?xml"),
        "{plot}"
    );
    assert!(plot.contains("with inference") && plot.contains("Patients"));
    for key in ["machine", "adapter", "date", "program", "busy", "notes"] {
        assert!(!found[key].is_null(), "{key}");
    }
    let speed = found["speed"].as_array().unwrap();
    // 128 decisions: 4 steps of 32 patients, 2 of 64
    for (row, (patients, steps)) in speed.iter().zip([(32, 4), (64, 2)]) {
        assert_eq!(
            (&row["lanes"], &row["steps"]),
            (&patients.into(), &steps.into())
        );
        // a launch of the policy, one of the environment, and what is expected at the end
        let launches = &row["launches"];
        assert_eq!(launches["environment"], steps, "{row:#}");
        assert_eq!(launches["rollout"], 2 * steps + 1);
        assert!(launches["update_fused"].as_u64() < launches["update_unfused"].as_u64());
        assert_eq!(row["transfers_per_update"], 1.0);
        assert_eq!(row["transfers_beyond_metrics"], 0);
        for rate in ["environment", "inference", "training", "ratio"] {
            assert!(row[rate].as_f64().unwrap() > 0.0, "{rate}");
        }
        let kernels = row["kernels"].as_array().unwrap();
        assert!(
            kernels.iter().any(|k| k["name"] == "loss::safe_ppo_loss"),
            "{kernels:?}"
        );
    }
    assert_eq!(speed.len(), 2);
    let shown = place.run(&[
        "bench",
        "train",
        "analytic",
        "--patients",
        "32",
        "--quick",
        "steps=4",
    ]);
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("patients") && shown.contains("unfused"),
        "{shown}"
    );
}

/// Zhang's rule for the published base patient: 671.5 days with decisions every 28 days.
#[test]
fn keys_of_a_task_are_changed_where_it_is_used() {
    let place = Place::new();
    let found = place.json(&[
        "oracle",
        "adaptive-therapy",
        "patients.typical=true",
        "patients.pool=1",
        "decisions.every=28 d",
        "--patients",
        "1",
        "--baseline",
        "zhang",
    ]);
    let days = 100.0 * found["baselines"][0]["mean_return"].as_f64().unwrap();
    assert!((days - 671.5).abs() < 1.0, "{found:#}");
    for (change, words) in [
        ("decisions.every=fortnight", "fortnight"),
        ("decisions.evry=7 d", "did you mean `every`"),
        ("title.x=1", "not a table"),
    ] {
        let code = if change.starts_with("title") { 2 } else { 3 };
        let text = place.fail(
            code,
            &["oracle", "adaptive-therapy", change, "--patients", "1"],
        );
        assert!(text.contains(words), "{change}: {text}");
    }
}
