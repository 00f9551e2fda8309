//! `trial` in parts, `merge`, `report`, `operating`, `dose-finding`

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Place, entries, read_json};

const TRIAL: &str = "capecitabine-docetaxel-mbc";

/// Tables of a result, and its summary without what a clock says.
fn content(folder: &Path) -> (Vec<(String, Vec<u8>)>, serde_json::Value) {
    let mut tables: Vec<(String, Vec<u8>)> = entries(folder)
        .into_iter()
        .filter(|name| name.ends_with(".parquet"))
        .map(|name| {
            let bytes = fs::read(folder.join(&name)).unwrap();
            (name, bytes)
        })
        .collect();
    tables.sort();
    assert!(tables.len() >= 5, "too few tables");
    let mut summary = read_json(&folder.join("summary.json"));
    summary.as_object_mut().unwrap().remove("provenance");
    (tables, summary)
}

#[test]
fn shards_merge_to_the_bits_of_one_run() {
    let place = Place::new();
    let run = ["trial", TRIAL, "--patients", "3000", "--seed", "5"];
    place.succeed(&[&run[..], &["--out", "whole"]].concat());
    for shard in ["1/3", "3/3", "2/3"] {
        let out = format!("part-{}", &shard[..1]);
        place.succeed(&[&run[..], &["--shard", shard, "--out", &out]].concat());
    }
    place.succeed(&["merge", "part-2", "part-1", "part-3", "--out", "merged"]);
    let whole = content(&place.path("whole"));
    assert!(
        whole == content(&place.path("merged")),
        "merged results differ"
    );
    // without simulating again
    place.succeed(&["report", "merged"]);
    assert!(
        whole == content(&place.path("merged")),
        "the report changed the results"
    );
    // a part is missing
    let text = place.fail(4, &["merge", "part-1", "part-3", "--out", "partial"]);
    assert!(text.contains("missing"), "{text}");
    assert!(!place.path("partial").exists());
    // parts of different runs
    let other = ["trial", TRIAL, "--patients", "3000", "--seed", "6"];
    place.succeed(&[&other[..], &["--shard", "2/3", "--out", "part-x"]].concat());
    let text = place.fail(
        4,
        &["merge", "part-1", "part-x", "part-3", "--out", "mixed"],
    );
    assert!(text.contains("different runs"), "{text}");
    let text = place.fail(
        4,
        &[&other[..], &["--shard", "2/3", "--out", "part-2"]].concat(),
    );
    assert!(
        text.contains("another run") && text.contains("--fresh"),
        "{text}"
    );
    place.fail(
        2,
        &[&run[..], &["--shard", "4/3", "--out", "part-4"]].concat(),
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_trial_goes_on_where_it_ended() {
    let place = Place::new();
    let run = ["trial", TRIAL, "--patients", "30000", "--seed", "5"];
    let mut child = place
        .command(&[&run[..], &["--out", "stopped"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pieces = place.path("stopped.pieces");
    let begun = Instant::now();
    let finished = |folder: &Path| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .filter(|file| file.path().extension().is_some_and(|e| e == "parquet"))
            .count()
    };
    while finished(&pieces) == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no piece was finished"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let kept = finished(&pieces);
    assert!(kept > 0 && !place.path("stopped").exists());
    // the same command goes on; another seed does not mix with it
    let other = ["trial", TRIAL, "--patients", "30000", "--seed", "6"];
    place.fail(4, &[&other[..], &["--out", "stopped"]].concat());
    place.succeed(&[&run[..], &["--out", "stopped"]].concat());
    assert!(!pieces.exists());
    place.succeed(&[&run[..], &["--out", "whole"]].concat());
    let same = content(&place.path("stopped")) == content(&place.path("whole"));
    assert!(same, "going on changed the results");
}

#[test]
fn every_shipped_trial_runs() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let mut names: Vec<String> = entries(&folder)
        .into_iter()
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    for wanted in [
        "abiraterone",
        "capecitabine-docetaxel-mbc",
        "docetaxel-neutropenia",
        "paclitaxel-3weekly-vs-weekly",
        "pld-vs-doxorubicin",
        "psma-fixed-vs-kidney-guided",
    ] {
        assert!(
            names.iter().any(|name| name == wanted),
            "{wanted} is not shipped"
        );
    }
    // trained policies are trained first: `learned.rs`
    names.retain(|name| name != "docetaxel-learned");
    for name in names {
        let all = place.json(&["trial", &name, "--patients", "48", "--out", &name]);
        let cohort = all["summary"]["cohorts"]
            .as_array()
            .unwrap()
            .last()
            .unwrap();
        assert_eq!(cohort["patients"], 48, "{name}: {cohort}");
        let html = fs::read_to_string(place.path(&name).join("report.html")).unwrap();
        assert!(html.contains("no clinical advice"), "{name}");
        assert!(!html.contains(">NaN<") && !html.contains(">inf<"), "{name}");
    }
}

#[test]
fn a_design_has_its_characteristics() {
    let place = Place::new();
    let run = [
        "operating",
        TRIAL,
        "--endpoint",
        "death",
        "--replicates",
        "40",
        "--patients",
        "90",
        "--boundary",
        "obrien-fleming",
        "--out",
        "oc.json",
    ];
    let all = place.json(&run);
    assert_eq!(all["results"], read_json(&place.path("oc.json"))["results"]);
    let [power, null] = all["results"].as_array().unwrap().as_slice() else {
        panic!("{all}");
    };
    assert_eq!(
        (&power["null"], &null["null"]),
        (&false.into(), &true.into())
    );
    for result in [power, null] {
        assert_eq!(result["replicates"], 40);
        for comparison in result["comparisons"].as_array().unwrap() {
            let tests = comparison["tests"].as_array().unwrap();
            assert_eq!(tests.len(), 3);
            assert!(
                tests
                    .iter()
                    .all(|test| test["rejected"].as_u64().unwrap() <= 40)
            );
            assert!(comparison["events"].as_f64().unwrap() > 10.0);
        }
    }
    let text = place.fail(2, &["operating", TRIAL, "--endpoint", "nothing"]);
    assert!(text.contains("endpoints: "), "{text}");
}

#[test]
fn dose_finding_compares_designs() {
    let place = Place::new();
    let run = [
        "dose-finding",
        "docetaxel-dose-finding",
        "--pool",
        "300",
        "--designs",
        "3+3,boin,crm",
    ];
    let all = place.json(&run);
    let result = &all["result"];
    let truth: Vec<f64> = result["truth"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_f64().unwrap())
        .collect();
    assert_eq!(truth.len(), 5);
    assert!(
        truth.windows(2).all(|pair| pair[0] <= pair[1]),
        "more drug, more toxicity: {truth:?}"
    );
    for design in result["designs"].as_array().unwrap() {
        let selected: f64 = design["doses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dose| dose["selected"]["value"].as_f64().unwrap())
            .sum();
        let none = design["none_selected"]["value"].as_f64().unwrap();
        assert!((selected + none - 1.0).abs() < 1e-9, "{design}");
    }
    let text = place.fail(2, &["dose-finding", TRIAL]);
    assert!(text.contains("[dose_finding]"), "{text}");
    place.fail(
        2,
        &[
            "dose-finding",
            "docetaxel-dose-finding",
            "--designs",
            "guess",
        ],
    );
}
