//! `fit`: a population, each patient, what is written, and going on.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::{Place, entries, read_json, text};

/// Few iterations.
const QUICK: [&str; 4] = ["--iterations", "20,10", "--simulations", "40"];

/// Twelve patients of the tiny model, four observations each.
pub fn twelve() -> String {
    let mut text = String::from("ID,TIME,AMT,EVID,DV\n");
    for i in 0..12 {
        let wave = |k: i32| f64::sin(f64::from(7 * i + 3 * k + 1));
        let (cl, v) = (5.0 * (0.4 * wave(0)).exp(), 20.0 * (0.25 * wave(9)).exp());
        let _ = writeln!(text, "P{i},0,100,1,.");
        for k in 1..5 {
            let t = f64::from(2 * k);
            let exact = 100.0 / v * (-cl / v * t).exp();
            let _ = writeln!(text, "P{i},{t},.,0,{:.4}", exact * (1.0 + 0.12 * wave(k)));
        }
    }
    text
}

fn fit<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let first = ["fit", "tiny.toml", "--data", "data.csv", "--out", out];
    [&first[..], &QUICK[..], more].concat()
}

/// Rows of a CSV file behind its header.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().skip(1).map(row).collect()
}

#[test]
fn a_population_is_fitted_and_written() {
    let place = Place::new();
    place.write("data.csv", &twelve());
    let shown = place.succeed(&fit("a", &[]));
    assert!(shown.contains("48 observations of 12 patients") && shown.contains("omega2(CL)"));
    let files = [
        "fit.json",
        "individuals.csv",
        "posteriors.csv",
        "predictions.csv",
        "provenance.json",
        "report.html",
    ];
    assert_eq!(entries(&place.path("a")), files);
    assert!(!place.path("a.checkpoint.json").exists());
    let read = |out: &str, file: &str| fs::read_to_string(place.path(out).join(file)).unwrap();

    let found = read_json(&place.path("a/fit.json"));
    assert_eq!(found["method"], "population");
    assert_eq!(
        (
            &found["observations"],
            &found["missing"],
            &found["censored"]
        ),
        (&48.into(), &0.into(), &0.into())
    );
    let estimates = found["parameters"]["estimates"].as_array().unwrap();
    let names: Vec<&str> = estimates
        .iter()
        .filter_map(|e| e["name"].as_str())
        .collect();
    let expected = ["CL", "V", "omega2(CL)", "omega2(V)", "proportional(conc)"];
    assert_eq!(names, expected);
    for (name, near) in [("CL", 5.0), ("V", 20.0)] {
        let one = estimates.iter().find(|e| e["name"] == name).unwrap();
        let value = one["value"].as_f64().unwrap();
        assert!((value / near - 1.0).abs() < 0.3, "{name} = {value}");
        assert!(one["rse"].as_f64().unwrap() > 0.0);
    }
    assert!(found["likelihood"]["bic"].is_f64());

    let individuals = read("a", "individuals.csv");
    assert!(individuals.starts_with("ID,CL,V\nP0,"), "{individuals}");
    assert_eq!(rows(&individuals).len(), 12);
    for row in rows(&individuals) {
        assert!(row[1..].iter().all(|v| v.parse::<f64>().unwrap() > 0.0));
    }
    let posteriors = read("a", "posteriors.csv");
    let header = "ID,observations,sd_CL,sd_V,log_likelihood,converged\n";
    assert!(posteriors.starts_with(header), "{posteriors}");
    assert!(rows(&posteriors).iter().all(|row| row[1] == "4"));
    let predictions = read("a", "predictions.csv");
    let header = "ID,TIME,DVID,DV,CENS,PRED,IPRED,IWRES,CWRES,NPDE\n";
    assert!(predictions.starts_with(header), "{predictions}");
    let fitted = rows(&predictions);
    assert_eq!(fitted.len(), 48);
    for row in &fitted {
        assert!(
            row[3..9]
                .iter()
                .all(|v| v.parse::<f64>().unwrap().is_finite())
        );
    }
    let html = read("a", "report.html");
    assert!(html.contains("omega2(CL)") && html.contains("<svg") && !html.contains("NaN"));

    // another run gives the same, and its patients can be simulated
    place.succeed(&fit("b", &["--quiet"]));
    let dated = |file: &str| ["provenance.json", "report.html"].contains(&file);
    for file in files.iter().filter(|file| !dated(file)) {
        assert!(read("a", file) == read("b", file), "{file}");
    }
    let again = place.succeed(&[
        "simulate",
        "tiny.toml",
        "--data",
        "data.csv",
        "--individuals",
        "a/individuals.csv",
    ]);
    let simulated: Vec<f64> = rows(&again)
        .iter()
        .filter(|row| row[3] == "0")
        .map(|row| row[5].parse().unwrap())
        .collect();
    assert_eq!(simulated.len(), 48);
    for (row, simulated) in fitted.iter().zip(simulated) {
        let own: f64 = row[6].parse().unwrap();
        assert!((simulated / own - 1.0).abs() < 1e-4, "{row:?} {simulated}");
    }
}

#[test]
fn patients_alone_are_fitted_with_the_prior() {
    let place = Place::new();
    place.write("data.csv", &twelve());
    let arguments = [
        &["fit", "tiny.toml", "--data", "data.csv", "--method", "map"],
        &QUICK[..],
    ]
    .concat();
    let found = place.json(&arguments);
    assert_eq!(found["method"], "map");
    assert!(found["parameters"].is_null() && found["likelihood"].is_null());
    assert_eq!(found["saved"]["random"], serde_json::json!(["CL", "V"]));
    // without a folder, standard output has the patients
    let shown = place.succeed(&arguments);
    assert!(shown.contains("ID,CL,V\nP0,"), "{shown}");
    place.fail(2, &[&arguments[..], &["--out", "x", "--resume"]].concat());
    assert_eq!(place.entries(), ["data.csv"]);
}

/// Interrupt a run as soon as its checkpoint is there.
#[cfg(unix)]
pub fn interrupted(place: &Place, arguments: &[&str], checkpoint: &Path) {
    let child = place
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let clock = Instant::now();
    while !checkpoint.exists() && clock.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("interrupted") && said.contains("--resume"),
        "{said}"
    );
}

/// Interrupted at some moment and gone on with: the fit of a run that was never touched.
#[cfg(unix)]
#[test]
fn an_interrupted_fit_goes_on_to_the_same_bits() {
    let place = Place::new();
    place.write("data.csv", &twelve());
    let long = |out, more: &[&'static str]| {
        let first = ["fit", "tiny.toml", "--data", "data.csv", "--out", out];
        let rest = ["--iterations", "60,40", "--simulations", "20"];
        [&first[..], &rest[..], more].concat()
    };
    place.succeed(&long("whole", &[]));
    let checkpoint = place.path("part.checkpoint.json");
    interrupted(&place, &long("part", &[]), &checkpoint);
    assert!(checkpoint.exists() && !place.path("part").exists());

    // of another fit, or damaged
    for other in [["--seed", "2"], ["--lloq", "0.01"], ["--missing", "X"]] {
        let told = place.fail(4, &[long("part", &["--resume"]), other.to_vec()].concat());
        assert!(told.contains("belongs to another fit"), "{told}");
    }
    fs::copy(&checkpoint, place.path("torn.checkpoint.json")).unwrap();
    let half = fs::read(&checkpoint).unwrap();
    fs::write(place.path("torn.checkpoint.json"), &half[..half.len() / 2]).unwrap();
    let told = place.fail(4, &long("torn", &["--resume"]));
    assert!(told.contains("damaged"), "{told}");
    place.fail(7, &long("nothing", &["--resume"]));
    // begun anew, it would be lost without a word
    let told = place.fail(2, &long("part", &[]));
    assert!(told.contains("holds an interrupted fit"), "{told}");

    place.succeed(&long("part", &["--resume"]));
    assert!(!checkpoint.exists());
    for file in ["fit.json", "individuals.csv", "predictions.csv"] {
        let read = |out: &str| fs::read_to_string(place.path(out).join(file)).unwrap();
        assert!(read("whole") == read("part"), "{file}");
    }
}

#[test]
fn mistakes_have_their_codes() {
    let place = Place::new();
    place.write("data.csv", &twelve());
    let base = ["fit", "tiny.toml", "--data", "data.csv"];
    for (options, words) in [
        (&["--below", "BLQ"][..], "not TEXT=LIMIT"),
        (&["--below", "BLQ=low"], "not TEXT=LIMIT"),
        (&["--iterations", "many"], "not two numbers"),
        (&["--iterations", "300"], "not two numbers"),
        (&["--iterations", "5,0"], "not two numbers"),
        (&["--estimate", "KA"], "`KA` cannot be estimated"),
        (&["--correlation", "3 mg"], "not a time"),
        (&["--correlation=-2"], "must be positive"),
        (&["--overwrite"], "--out"),
        (&["--resume"], "--out"),
        (&["--starts", "0"], "--starts"),
        (&["CLL=3"], "CL"),
    ] {
        let told = place.fail(2, &[&base[..], options].concat());
        assert!(told.contains(words), "{options:?}: {told}");
    }
    place.fail(2, &["fit", "tiny.toml"]);
    place.fail(4, &["fit", "tiny.toml", "--data", "nowhere.csv"]);
    let taken = [&base[..], &["--out", "taken"]].concat();
    fs::create_dir(place.path("taken")).unwrap();
    fs::write(place.path("taken/mine.txt"), "mine").unwrap();
    place.fail(2, &taken);
    assert_eq!(entries(&place.path("taken")), ["mine.txt"]);
    assert_eq!(place.entries(), ["data.csv", "taken"]);
}
