//! Data that are bad, scarce or strange: each is refused at its place, or used and told.

use std::fs;

use crate::fit::rows;
use crate::{Place, TINY, read_json, text};

const QUICK: [&str; 6] = ["--method", "map", "--simulations", "20", "--starts", "1"];

fn fit<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["fit", model, "--data", "data.csv"], &QUICK[..], more].concat()
}

#[test]
fn bad_data_are_refused_at_their_place() {
    let place = Place::new();
    let log = TINY.replace("proportional = 0.1", "lognormal = 0.1");
    let log = log.replace("name = \"tiny\"", "name = \"log\"");
    place.write("log.toml", &log);
    for (rows, options, code, line, words) in [
        ("1,2,3\n1,3,LOST", &[][..], "D010", 3, "--missing TEXT"),
        (
            "1,2,3\n1,3,BLQ",
            &["--missing", "LOST"],
            "D010",
            3,
            "--below",
        ),
        ("1,2,3\n1,3,0", &[], "D070", 3, "--lloq"),
        (
            "1,2,3\n1,3,BLQ",
            &["--below", "BLQ=0"],
            "D070",
            3,
            "positive",
        ),
        ("1,2,.\n1,3,.", &[], "D071", 1, "EVID 0"),
        ("1,2,3\n1,1,4", &[], "D021", 3, ""),
    ] {
        place.write("data.csv", &format!("ID,TIME,DV\n{rows}\n"));
        let told = place.fail(4, &fit("log.toml", options));
        let at = format!("data.csv:{line}:");
        assert!(
            told.contains(&format!("[{code}]")) && told.contains(&at) && told.contains(words),
            "{rows:?}: {told}"
        );
    }
    for (data, code) in [
        ("ID,TIME,CONC\n1,0,2\n", "D006"),
        ("ID,TIME,DV,CENS\n1,0,2,7\n", "D012"),
    ] {
        place.write("data.csv", data);
        let error = place.json_error(4, &fit("tiny.toml", &["--out", "out"]));
        assert_eq!(error["diagnostics"][0]["code"], code, "{error:#}");
    }
    assert!(!place.path("out").exists());
}

const STRANGE: &str = "\
ID,TIME,AMT,EVID,DV,CENS
usual,-2,100,1,.,.
usual,-1,.,0,4.1,0
usual,2,.,0,1.9,0
usual,2,.,0,2.1,0
usual,4,.,0,LOST,0
usual,6,.,0,.,0
\"one, alone\",0,100,1,.,.
\"one, alone\",1,.,0,3.5,0
limits,0,100,1,.,.
limits,8,.,0,1,1
limits,9,.,0,0.1,-1
limits,10,.,0,BLQ,0
silent,0,100,1,.,.
silent,5,.,0,.,0
dosed,0,100,1,7,.
dosed,1,.,0,4,0
dosed,9,.,0,0.4,0
";

#[test]
fn strange_data_are_used_and_told() {
    let place = Place::new();
    place.write("data.csv", STRANGE);
    let words = ["--missing", "lost", "--below", "blq=0.5", "--out", "out"];
    let output = place.run(&fit("tiny.toml", &words));
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    for (code, words) in [
        ("D072", "1 patients have no observation: silent"),
        ("D073", "1 patients have one observation: one, alone"),
        (
            "D074",
            "every observation of 1 patients is censored: limits",
        ),
        (
            "D075",
            "1 patients have observations before time zero: usual",
        ),
        ("D076", "1 observations repeat the time"),
        ("D077", "1 records hold a number in DV"),
    ] {
        let warning = format!("warning[{code}]: {words}");
        // once, and in the results
        assert_eq!(told.matches(&warning).count(), 1, "{warning}\n{told}");
        assert_eq!(told.matches(words).count(), 1, "{told}");
        let notes = read_json(&place.path("out/fit.json"))["notes"].to_string();
        assert!(notes.contains(words), "{notes}");
    }
    let found = read_json(&place.path("out/fit.json"));
    let counts = ["patients", "observations", "censored", "missing"];
    let counts = counts.map(|key| found[key].as_u64().unwrap());
    assert_eq!(counts, [5, 9, 3, 3]);

    // every observation has a row, its limit in DV, and no residual where there is none
    let table = fs::read_to_string(place.path("out/predictions.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 9);
    assert!(table.contains("\n\"one, alone\",1,conc,3.5,0,"), "{table}");
    let of = |name: &str| -> Vec<Vec<String>> {
        let own = |row: &Vec<String>| row[0] == name;
        rows(&table).into_iter().filter(own).collect()
    };
    let limits = of("limits");
    let shown: Vec<[&str; 3]> = limits
        .iter()
        .map(|r| [r[3].as_str(), &r[4], &r[7]])
        .collect();
    assert_eq!(
        shown,
        [["1", "1", "."], ["0.1", "-1", "."], ["0.5", "1", "."]]
    );
    assert_eq!(of("usual").len(), 3);

    // who was not observed is a patient of the population
    let individuals = fs::read_to_string(place.path("out/individuals.csv")).unwrap();
    assert_eq!(individuals.lines().count(), 1 + 5);
    let silent = individuals.lines().find(|l| l.starts_with("silent,"));
    let values: Vec<f64> = silent
        .unwrap()
        .split(',')
        .skip(1)
        .map(|v| v.parse().unwrap())
        .collect();
    assert!((values[0] - 5.0).abs() < 0.01 && (values[1] - 20.0).abs() < 0.04);
    let simulated = place.succeed(&[
        "simulate",
        "tiny.toml",
        "--data",
        "data.csv",
        "--individuals",
        "out/individuals.csv",
    ]);
    assert_eq!(simulated.lines().count(), STRANGE.lines().count());
}
