//! Malformed trial files: each gives its code, at its line, with help.

use posology_trial::Trial;

use crate::folder;

fn shipped() -> String {
    std::fs::read_to_string(folder().join("abiraterone.toml")).expect("trial")
}

/// (what is replaced, by what, code, text of the line that the finding points at)
const CASES: &[(&str, &str, &str, &str)] = &[
    ("horizon = \"60 mo\"", "horizon = ", "T001", "horizon ="),
    ("seed = 2022", "sead = 2022", "T002", "sead"),
    ("title = \"Adaptive against", "#", "T003", "name ="),
    ("seed = 2022", "seed = \"many\"", "T004", "seed"),
    (
        "../models/abiraterone-psa.toml",
        "../models/abiraterone.toml",
        "T005",
        "model =",
    ),
    (
        "data/abiraterone/psa.csv",
        "data/abiraterone/psas.csv",
        "T005",
        "file =",
    ),
    (
        "[arms.adaptive]",
        "[arms.\"adaptive arm\"]",
        "T006",
        "[arms.\"adaptive arm\"]",
    ),
    (
        "regimen = \"abi_on: 1 from 0 d\"\nsource = \"zhang2022\"\n\n[arms.adaptive]",
        "source = \"zhang2022\"\n\n[arms.adaptive]",
        "T007",
        "[arms.continuous]",
    ),
    ("S0 = \"yS0\"", "S0 = \"yS_0\"", "T008", "columns ="),
    (
        "last = \"psa/psa0\"",
        "last = \"psa/psa0\"\nmax = \"psa/psa0\"",
        "T009",
        "[endpoints.psa_end]",
    ),
    (
        "until = \"progression\"\nunit = \"mo\"",
        "until = \"progresion\"\nunit = \"mo\"",
        "T010",
        "until =",
    ),
    (
        "observable = \"relPSA\"",
        "observable = \"relPSAA\"",
        "T010",
        "observable =",
    ),
    ("if(psa < 0.5*psa0", "if(S < 0.5*S0", "T011", "set.abi_on"),
    ("set.abi_on", "set.abi_onn", "T012", "set.abi_onn"),
    (
        "first = { psa0 = \"PSA\" }",
        "first = { S0 = \"PSA\" }",
        "T012",
        "first =",
    ),
    ("patients = 10000", "patients = 0.5", "T013", "patients ="),
    ("around = [\"S0\"", "around = [\"S1\"", "T012", "around ="),
    ("when = \"abi_on\"", "when = \"psa0\"", "T010", "when ="),
    (
        "carry = { S0 = \"S\"",
        "carry = { S0 = \"psa\"",
        "M204",
        "carry =",
    ),
    ("every = \"1 d\"", "every = \"-1 d\"", "T013", "every ="),
    ("level = 0.95", "level = 95", "T013", "level ="),
    (
        "horizon = \"60 mo\"",
        "horizon = \"60 mg\"",
        "T014",
        "horizon =",
    ),
    ("last = \"psa/psa0\"", "last = \"psa\"", "T014", "last ="),
    (
        "primary = \"progression\"",
        "primary = \"progression\"\nwin_ratio = [\"share_on\"]",
        "T015",
        "win_ratio =",
    ),
    (
        "source = \"gallagher2024\"",
        "source = \"galagher2024\"",
        "T016",
        "source =",
    ),
    (
        "ID = \"patient\", \"TIME (d)\"",
        "ID = \"arm\", \"TIME (d)\"",
        "T017",
        "file =",
    ),
    ("ID = \"patient\", S0", "ID = \"yS0\", S0", "T017", "file ="),
    ("event = \"event\" }", "event = \"arm\" }", "T018", "SOC,"),
    ("abi_on: 1 from 0 d", "abi_on: 1 every", "R001", "regimen ="),
    (
        "first_time = \"psa > 1.2*psa0\"",
        "first_time = \"psa > 1.2*psa_0\"",
        "M301",
        "first_time",
    ),
    (
        "first_time = \"psa > 1.2*psa0\"",
        "first_time = \"psa > 1.2\"",
        "M203",
        "first_time",
    ),
];

#[test]
fn every_malformed_file_gets_its_diagnostic() {
    for (from, to, code, line) in CASES {
        let text = shipped();
        assert!(text.contains(from), "{from}");
        let text = text.replacen(from, to, 1);
        let found =
            Trial::parse("trial.toml", &text, &folder()).expect_err(&format!("{to} is accepted"));
        let Some(finding) = found.iter().find(|finding| finding.code == *code) else {
            panic!("{to}: no {code} in\n{found}");
        };
        let label = finding
            .primary
            .as_ref()
            .unwrap_or_else(|| panic!("{to}: {code} has no place"));
        let pointed = label
            .source
            .text()
            .lines()
            .nth(finding.line().unwrap() - 1)
            .unwrap_or_default();
        assert!(
            pointed.contains(line),
            "{to}: {code} points at `{pointed}`\n{found}"
        );
        assert!(found.has_errors());
    }
}

#[test]
fn a_slip_of_the_hand_is_recognised() {
    for (from, to, help) in [
        ("seed = 2022", "sead = 2022", "did you mean `seed`?"),
        (
            "primary = \"progression\"",
            "primary = \"progresion\"",
            "did you mean `progression`?",
        ),
        ("S0 = \"yS0\"", "S0 = \"yS\"", "did you mean"),
        ("set.abi_on", "set.abi_off", "did you mean `abi_on`?"),
        ("if(psa < 0.5*psa0", "if(S < 0.5*psa0", "a rule may use:"),
    ] {
        let text = shipped().replacen(from, to, 1);
        let found = Trial::parse("trial.toml", &text, &folder()).expect_err("a finding");
        assert!(
            found.to_string().contains(help),
            "{help} is not in\n{found}"
        );
    }
}

#[test]
fn a_missing_file_is_a_finding() {
    let found = Trial::load(&folder().join("nothing.toml")).expect_err("a finding");
    assert_eq!(
        found.iter().next().map(|finding| finding.code),
        Some("T005")
    );
}

#[test]
fn the_file_has_the_trials_name() {
    let dir = std::env::temp_dir().join(format!("posology-trial-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("other.toml");
    std::fs::write(&path, shipped()).unwrap();
    let found = Trial::load(&path).expect_err("a finding");
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(
        found.iter().any(|finding| finding.code == "T006"),
        "{found}"
    );
}
