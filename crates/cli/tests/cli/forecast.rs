//! `forecast`: cuts, populations, scores.

use std::fs;

use crate::fit::{rows, twelve};
use crate::{Place, TINY, entries, read_json};

const BASE: [&str; 6] = [
    "forecast",
    "tiny.toml",
    "--data",
    "data.csv",
    "--iterations",
    "20,10",
];

fn forecast<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&BASE[..], more].concat()
}

fn place() -> Place {
    let place = Place::new();
    place.write("data.csv", &twelve());
    place
}

#[test]
fn hidden_observations_are_forecast_and_scored() {
    let place = place();
    let shown = place.succeed(&forecast(&["--hide-last", "2", "--out", "a"]));
    assert!(
        shown.contains("24 hidden observations of 12 patients"),
        "{shown}"
    );
    let files = ["forecasts.csv", "provenance.json", "summary.json"];
    assert_eq!(entries(&place.path("a")), files);
    let read = |out: &str| fs::read_to_string(place.path(out).join("forecasts.csv")).unwrap();
    let table = read("a");
    let header = "ID,TIME,DVID,DV,hidden,median,low,high,true_low,true_high\n";
    assert!(table.starts_with(header), "{table}");
    let table = rows(&table);
    // the doses are records too
    assert_eq!(table.len(), 60);
    assert_eq!(table.iter().filter(|row| row[4] == "1").count(), 24);
    let mut wider = 0.0;
    for row in table.iter().filter(|row| row[3] != ".") {
        let numbers: Vec<f64> = row[5..].iter().map(|v| v.parse().unwrap()).collect();
        let [median, low, high, true_low, true_high] = numbers[..] else {
            panic!("{row:?}");
        };
        assert!(low < median && median < high, "{row:?}");
        wider += ((high - low) / (true_high - true_low)).ln();
        assert_eq!(row[4] == "1", row[1] == "6" || row[1] == "8");
    }
    // intervals of measurements are wider, but for the luck of the draws
    assert!(wider / 48.0 > 0.1, "{wider}");
    let summary = read_json(&place.path("a/summary.json"));
    let counts = ["patients", "visible", "hidden"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [12, 24, 24]);
    let scores = &summary["scores"][0];
    assert_eq!(scores["observable"], "conc");
    let scores = &scores["scores"];
    assert_eq!(
        (&scores["patients"], &scores["left_out"]),
        (&12.into(), &0.into())
    );
    let inside = |row: &&Vec<String>| {
        let number = |k: usize| row[k].parse::<f64>().unwrap();
        row[4] == "1" && number(6) <= number(3) && number(3) <= number(7)
    };
    let coverage = table.iter().filter(inside).count() as f64 / 24.0;
    assert!((scores["coverage"].as_f64().unwrap() - coverage).abs() < 1e-9);
    for kind in ["absolute", "relative", "logarithm"] {
        let number = |key: &str| scores[kind][key].as_f64().unwrap();
        // concentrations fall: the last one is a bad forecast
        assert!(
            number("forecast") < number("carry_forward"),
            "{kind}: {scores:#}"
        );
        let difference = number("forecast") - number("carry_forward");
        assert!((number("difference") - difference).abs() < 1e-9);
    }
    place.succeed(&forecast(&["--hide-last", "2", "--out", "b", "--quiet"]));
    assert!(read("a") == read("b"));
    assert_eq!(summary, read_json(&place.path("b/summary.json")));
}

/// Learned from the other folds, kept for new patients.
#[test]
fn forecasts_are_calibrated() {
    let place = place();
    let cut = ["--hide-last", "2", "--folds", "3"];
    let run = |more: &[&str]| place.json(&forecast(&[&cut[..], more].concat()));
    let plain = run(&["--out", "plain"]);
    assert_eq!(plain["calibration"], serde_json::json!([]));
    let found = run(&["--calibrate", "--out", "cal"]);
    let learned = &found["calibration"][0];
    assert_eq!(learned["observable"], "conc");
    let learned = &learned["learned"];
    assert_eq!(
        (&learned["patients"], &learned["observations"]),
        (&12.into(), &24.into())
    );
    // concentrations fall, so the last one has little to say
    assert!(learned["share"].as_f64().unwrap() > 0.8, "{learned}");
    let read =
        |out: &str| rows(&fs::read_to_string(place.path(out).join("forecasts.csv")).unwrap());
    let (plain, calibrated) = (read("plain"), read("cal"));
    for (a, b) in plain.iter().zip(&calibrated) {
        // what was seen is not forecast, and the model keeps its course there
        assert_eq!(a == b, a[4] != "1", "{a:?} {b:?}");
    }
    let new = ["--prior", "--hide-last", "2", "--calibration"];
    let taken = place.json(&forecast(&[&new[..], &["cal"]].concat()));
    assert_eq!(taken["scores"][0]["scores"]["patients"], 12);
    let without = place.json(&forecast(&new[..3]));
    assert_ne!(taken["scores"], without["scores"]);
    let told = place.fail(4, &forecast(&[&new[..], &["plain"]].concat()));
    assert!(told.contains("without --calibrate"), "{told}");
    let told = place.fail(
        4,
        &forecast(&[&new[..], &["cal", "--level", "0.8"]].concat()),
    );
    assert!(told.contains("another --level"), "{told}");
    place.fail(7, &forecast(&[&new[..], &["nowhere"]].concat()));
    place.fail(2, &forecast(&["--calibrate", "--prior"]));
}

#[test]
fn cuts_hide_what_they_say() {
    let place = place();
    for (cut, hidden) in [
        (&["--hide-last", "1"][..], 12),
        (&["--keep-share", "0.5"], 24),
        (&["--keep-share", "0.6"], 12),
        (&["--after", "2 h"], 36),
        (&["--after", "4"], 24),
        (&[], 0),
    ] {
        let found = place.json(&forecast(&[&["--prior"], cut].concat()));
        assert_eq!(found["hidden"], hidden, "{cut:?}");
        assert_eq!(found["visible"], 48 - hidden);
        assert_eq!(
            found["scores"].as_array().unwrap().len(),
            usize::from(hidden > 0)
        );
    }
    // without a cut, the forecasts are the answer
    let table = place.succeed(&forecast(&["--prior"]));
    assert_eq!(rows(&table).len(), 60);
    // nobody has as many observations: nothing is scored
    let found = place.json(&forecast(&[
        "--prior",
        "--hide-last",
        "1",
        "--at-least",
        "5",
    ]));
    assert_eq!(found["scores"], serde_json::json!([]));
    let told = place.fail(4, &forecast(&["--prior", "--hide-last", "4"]));
    assert!(told.contains("nothing is left"), "{told}");
}

#[test]
fn an_earlier_fit_is_the_population() {
    let place = place();
    let fit = [
        "fit",
        "tiny.toml",
        "--data",
        "data.csv",
        "--iterations",
        "20,10",
    ];
    place.succeed(&[&fit[..], &["--simulations", "20", "--out", "fit"]].concat());
    let of = |more: &[&str]| place.json(&forecast(&[&["--hide-last", "2"], more].concat()));
    let (saved, prior) = (of(&["--fit", "fit"]), of(&["--prior"]));
    assert_eq!(saved["hidden"], 24);
    assert_ne!(saved["scores"], prior["scores"]);
    assert_eq!(saved, of(&["--fit", "fit", "--seed", "1"]));

    let refused = |code, words: &str, more: &[&str]| {
        let told = place.fail(code, more);
        assert!(told.contains(words), "{more:?}: {told}");
    };
    place.write(
        "other.toml",
        &TINY.replace("name = \"tiny\"", "name = \"other\""),
    );
    let other = [
        "forecast",
        "other.toml",
        "--data",
        "data.csv",
        "--fit",
        "fit",
    ];
    refused(4, "a fit of the model `tiny`", &other);
    // one parameter less varies
    fs::create_dir(place.path("fewer")).unwrap();
    place.write("fewer/tiny.toml", &TINY.replace(", iiv = { cv = 0.2 }", ""));
    let fewer = [
        "forecast",
        "fewer/tiny.toml",
        "--data",
        "data.csv",
        "--fit",
        "fit",
    ];
    refused(4, "--estimate", &fewer);
    let saved = fs::read_to_string(place.path("fit/fit.json")).unwrap();
    let mut damaged: serde_json::Value = serde_json::from_str(&saved).unwrap();
    damaged["saved"]["population"]["mu"] = serde_json::json!([]);
    fs::create_dir(place.path("damaged")).unwrap();
    place.write("damaged/fit.json", &damaged.to_string());
    refused(4, "fit.json", &forecast(&["--fit", "damaged"]));
    refused(7, "nowhere", &forecast(&["--fit", "nowhere"]));
    refused(2, "--prior", &forecast(&["--fit", "fit", "--prior"]));
}

#[test]
fn mistakes_have_their_codes() {
    let place = place();
    for (options, words) in [
        (&["--level", "2"][..], "--level"),
        (&["--level", "0"], "--level"),
        (&["--keep-share", "1.5"], "--keep-share"),
        (&["--keep-share", "0"], "--keep-share"),
        (&["--after", "3 mg"], "not a time"),
        (
            &["--hide-last", "1", "--after", "3 h"],
            "cannot be used with",
        ),
        (&["--hide-last=-1"], "--hide-last"),
        (&["--estimate", "KA"], "`KA` cannot be estimated"),
    ] {
        let told = place.fail(2, &forecast(options));
        assert!(told.contains(words), "{options:?}: {told}");
    }
    assert_eq!(place.entries(), ["data.csv"]);
}
