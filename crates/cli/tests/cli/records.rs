//! `simulate --data`

use std::fs;

use crate::{Place, entries, read_json};

const DATA: &str = "\
ID,TIME,AMT,EVID,DV,note
7,0,100,1,.,first dose
7,1,.,0,4.1,
7,8,.,0,.,
9,0,50,1,.,
9,2,.,0,1.4,\"a, b\"
";

#[test]
fn one_prediction_per_record() {
    let place = Place::new();
    place.write("data.csv", DATA);
    place.succeed(&[
        "simulate",
        "tiny.toml",
        "--data",
        "data.csv",
        "--out",
        "out",
    ]);
    assert_eq!(
        entries(&place.path("out")),
        [
            "config.json",
            "predictions.csv",
            "provenance.json",
            "summary.json"
        ]
    );
    let table = fs::read_to_string(place.path("out/predictions.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), DATA.lines().count());
    assert_eq!(lines[0], "ID,TIME,AMT,EVID,DV,note,PRED,STATUS");
    let prediction = |line: &str| -> f64 { line.rsplit(',').nth(1).unwrap().parse().unwrap() };
    for (line, exact) in [
        (2, 5.0 * (-0.25f64).exp()),
        (3, 5.0 * (-2.0f64).exp()),
        (5, 2.5 * (-0.5f64).exp()),
    ] {
        assert!(
            (prediction(lines[line]) / exact - 1.0).abs() < 1e-4,
            "{}",
            lines[line]
        );
        assert!(lines[line].ends_with(",completed"));
    }
    assert!(lines[1].starts_with("7,0,100,1,.,first dose,") && lines[5].contains("\"a, b\""));
    let provenance = read_json(&place.path("out/provenance.json"));
    let roles: Vec<&str> = provenance["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["model", "data"]);
}

#[test]
fn without_a_folder_predictions_go_to_standard_output() {
    let place = Place::new();
    place.write("data.csv", DATA);
    place.write("men.csv", "ID,CL,V\n9,10,20\n7,5,20\n");
    let table = place.succeed(&[
        "simulate",
        "tiny.toml",
        "--data",
        "data.csv",
        "--individuals",
        "men.csv",
    ]);
    assert_eq!(table.lines().count(), DATA.lines().count());
    let last: f64 = table
        .lines()
        .last()
        .unwrap()
        .rsplit(',')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!((last - 2.5 * (-1.0f64).exp()).abs() < 1e-4, "{last}");
    let all = place.json(&["simulate", "tiny.toml", "--data", "data.csv"]);
    assert_eq!(all["predictions"].as_array().unwrap().len(), 5);
    assert_eq!(all["data"]["subjects"], 2);
}

#[test]
fn bad_records_are_shown_where_they_are() {
    let place = Place::new();
    place.write("data.csv", "ID,TIME,AMT,EVID\n1,0,-5,1\n1,x,.,0\n1,3,.,9\n");
    let error = place.json_error(
        4,
        &[
            "simulate",
            "tiny.toml",
            "--data",
            "data.csv",
            "--out",
            "out",
        ],
    );
    let found = error["diagnostics"].as_array().unwrap();
    assert!(found.len() >= 3, "{found:#?}");
    let lines: Vec<u64> = found
        .iter()
        .map(|finding| finding["primary"]["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines[..3], [2, 3, 4]);
    assert_eq!(place.entries(), ["data.csv"]);
}

#[test]
fn data_exclude_a_regimen() {
    let place = Place::new();
    place.write("data.csv", DATA);
    place.fail(
        2,
        &[
            "simulate",
            "tiny.toml",
            "--data",
            "data.csv",
            "--patients",
            "3",
        ],
    );
    place.fail(
        2,
        &[
            "simulate",
            "tiny.toml",
            "--data",
            "data.csv",
            "--regimen",
            "1 mg",
        ],
    );
}
