//! Task files that cannot work: each gets a diagnostic with a code and the line at fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use posology_agent::codes;
use posology_agent::task::Task;

const GOOD: &str = r#"title = "by the count"
model = "docetaxel-neutropenia.toml"
[patients]
pool = 8
[decisions]
every = "7 d"
horizon = "63 d"
[actions.docetaxel]
into = "docetaxel"
levels = [0, 50, 100]
unit = "mg/m^2"
amount = "docetaxel * BSA"
over = "1 h"
allowed = "ANC >= 1.5[1e9/L]"
[observe.ANC]
[watch.nadir]
min = "circulating"
[memory.lowest]
start = "ANC"
next = "min(lowest, ANC)"
[features.count]
value = "ln(ANC/5[1e9/L])"
[hidden.slope]
value = "ln(slope/15.6[L/umol])"
[reward.count]
value = "circulating/1[1e9/L]"
[costs.neutropenia]
value = "nadir < 0.5[1e9/L]"
limit = 1
budget = true
[end.deep]
when = "nadir < 0.05[1e9/L]"
[baselines.low]
docetaxel = "dose*50[mg/m^2]"
search.dose = { from = 0, to = 1 }
"#;

/// What is replaced by what, the code that follows, and the line it points at (of the result).
const CASES: &[(&str, &str, &str, usize)] = &[
    (
        "when = \"nadir < 0.05[1e9/L]\"",
        "hazard = \"0.1\"",
        "K002",
        32,
    ),
    (
        "when = \"nadir < 0.05[1e9/L]\"",
        "truncates = true",
        "M003",
        31,
    ),
    (
        "over = \"1 h\"",
        "over = \"1 h\"\nlook_ahead = { min = \"circulating\", within = \"10 d\", limit = \"1e9/L\" }",
        "K007",
        14,
    ),
    (
        "over = \"1 h\"",
        "over = \"1 h\"\nlook_ahead = { min = \"circulating\", within = \"7 d\", limit = \"1 d\" }",
        "K002",
        14,
    ),
    (
        "over = \"1 h\"",
        "over = \"1 h\"\nlook_ahead = { min = \"circulating\", within = \"7 d\", limit = \"1e9/L\", twin = \"his\" }",
        "K013",
        14,
    ),
    ("pool = 8", "only = \"slope\"", "K010", 4),
    ("pool = 8", "only = \"circulating > 1[1e9/L]\"", "K010", 4),
    ("title =", "titel =", "M002", 1),
    ("docetaxel-neutropenia.toml", "nobody.toml", "K001", 2),
    ("pool = 8", "pool = 0", "K008", 4),
    ("every = \"7 d\"", "every = \"7 mg\"", "K002", 6),
    ("every = \"7 d\"", "every = \"-7 d\"", "K008", 6),
    ("every = \"7 d\"", "every = 7", "M004", 6),
    ("horizon = \"63 d\"\n", "", "M003", 5),
    ("horizon = \"63 d\"", "horizon = \"1e9 d\"", "K008", 7),
    ("into = \"docetaxel\"", "into = \"docetaxol\"", "K006", 9),
    ("into = \"docetaxel\"", "sets = \"BSO\"", "K006", 9),
    ("into = \"docetaxel\"\n", "", "K004", 8),
    ("[0, 50, 100]", "[0]", "K005", 10),
    ("[0, 50, 100]", "[0, -50]", "K005", 10),
    ("levels = [0, 50, 100]\n", "", "K005", 8),
    ("unit = \"mg/m^2\"", "unit = \"mg/n^2\"", "M201", 11),
    (
        "amount = \"docetaxel * BSA\"",
        "amount = \"docetaxel\"",
        "K002",
        12,
    ),
    ("amount = \"docetaxel * BSA\"\n", "", "K002", 8),
    (
        "amount = \"docetaxel * BSA\"",
        "amount = \"docetaxel * slope\"",
        "K011",
        12,
    ),
    ("over = \"1 h\"", "over = \"8 d\"", "K007", 8),
    (
        "allowed = \"ANC >= 1.5[1e9/L]\"",
        "allowed = \"ANC\"",
        "K010",
        14,
    ),
    (
        "allowed = \"ANC >= 1.5[1e9/L]\"",
        "allowed = \"circulating > 1[1e9/L]\"",
        "K011",
        14,
    ),
    ("[observe.ANC]", "[observe.AMC]", "K006", 15),
    (
        "[observe.ANC]",
        "[observe.ANC]\nevery = \"10 d\"",
        "K007",
        16,
    ),
    ("[observe.ANC]", "[observe.ANC]\nmissed = 2", "K008", 16),
    ("[observe.ANC]", "[observe.ANC]\nerror = 3", "M004", 16),
    ("min = \"circulating\"\n", "", "M003", 16),
    (
        "min = \"circulating\"",
        "time_while = \"circulating\"",
        "M105",
        17,
    ),
    ("[memory.lowest]", "[memory.slope]", "K003", 18),
    ("next = \"min(lowest, ANC)\"", "next = \"1\"", "K002", 18),
    (
        "value = \"ln(ANC/5[1e9/L])\"",
        "value = \"ANC\"",
        "K002",
        22,
    ),
    (
        "value = \"ln(ANC/5[1e9/L])\"",
        "value = \"ln(circulating/5[1e9/L])\"",
        "K011",
        22,
    ),
    (
        "value = \"ln(ANC/5[1e9/L])\"",
        "value = \"ANC/5[1e9/L]\"\nscale = 0",
        "K008",
        23,
    ),
    ("limit = 1\n", "", "M003", 27),
    ("limit = 1", "limit = 1\ncvar = 1", "K008", 30),
    (
        "when = \"nadir < 0.05[1e9/L]\"",
        "when = \"nadir\"",
        "K010",
        32,
    ),
    (
        "docetaxel = \"dose*50[mg/m^2]\"",
        "docetaxel = \"dose\"",
        "K002",
        34,
    ),
    (
        "docetaxel = \"dose*50[mg/m^2]\"",
        "paclitaxel = \"1\"",
        "M002",
        34,
    ),
    ("from = 0, to = 1", "from = 1, to = 0", "K008", 35),
];

fn parsed(text: &str) -> Result<Task, posology_model::Diagnostics> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    Task::parse("task.toml", text, Some(&models))
}

#[test]
fn the_good_one_is_good() {
    if let Err(found) = parsed(GOOD) {
        panic!("{}", found.render(false));
    }
}

#[test]
fn every_fault_has_its_code_and_line() {
    let mut wrong = Vec::new();
    for (from, to, code, line) in CASES {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let found = match parsed(&text) {
            Ok(_) => {
                wrong.push(format!("{to:?}: accepted"));
                continue;
            }
            Err(found) => found,
        };
        let hit = found
            .iter()
            .any(|d| d.code == *code && d.file() == Some("task.toml") && d.line() == Some(*line));
        if !hit {
            wrong.push(format!(
                "{to:?}: wanted {code} in line {line}, got\n{}",
                found.render(false)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_is_listed_once_and_used() {
    assert!(codes::CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let used: std::collections::BTreeSet<&str> =
        CASES.iter().map(|(_, _, code, _)| *code).collect();
    // met when patients are drawn, not when the file is read: its own test
    let drawn = "K012";
    for (code, _) in codes::CODES
        .iter()
        .filter(|(code, _)| *code < "K100" && *code != drawn)
    {
        assert!(used.contains(code), "{code} is never met here");
    }
    for code in used.iter().filter(|code| code.starts_with('K')) {
        assert!(codes::meaning(code).is_some(), "{code} is not listed");
    }
}

#[test]
fn a_condition_on_patients_passes_others_over() {
    let some = GOOD.replacen("pool = 8", "only = \"slope > 15.6[L/umol]\"", 1);
    let task = parsed(&some).unwrap();
    let slope = task.model.slot_index("slope").unwrap();
    let device = posology_kernels::device::open(None).unwrap();
    let cohort = task.patients(&device, 200, 3, 0).unwrap();
    assert_eq!(cohort.len(), 200);
    assert!(cohort.ids.windows(2).all(|pair| pair[0] < pair[1]));
    let least = cohort.slots[slope].iter().copied().fold(f64::MAX, f64::min);
    let limit = 15.6 * task.model.units.scale(&task.model.parameters[slope].unit);
    assert!(least > limit && least < 1.1 * limit, "{least} {limit}");

    let nobody = GOOD.replacen("pool = 8", "only = \"slope > 1e9[L/umol]\"", 1);
    let found = parsed(&nobody).unwrap().patients(&device, 20, 3, 0);
    let Err(posology_agent::error::AgentError::Task(found)) = found else {
        panic!("{found:?}");
    };
    let first = found.iter().next().unwrap();
    assert_eq!((first.code, first.line()), ("K012", Some(4)));
}
