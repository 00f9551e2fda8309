//! DV: what is read, what is refused and where, what is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use posology_cohort::Dataset;
use posology_cohort::nmtran::{Observations, Reading, Seen, Word};
use posology_model::Model;
use posology_model::diagnostic::{Diagnostic, Diagnostics};

const PK: &str = include_str!("pk.toml");

fn parse(text: &str) -> Model {
    Model::parse("pk.toml", text, None).unwrap_or_else(|found| panic!("{}", found.render(false)))
}

fn pk_model() -> Model {
    parse(PK)
}

/// The model of the tests, with this residual error of `cp`.
fn with_error(error: &str) -> Model {
    let cp = "expr = \"central/V\"\nunit = \"mg/L\"\n";
    assert!(PK.contains(cp));
    parse(&PK.replace(cp, &format!("{cp}error = {{ {error} }}\n")))
}

fn observe(model: &Model, text: &str, reading: &Reading) -> Result<Observations, Diagnostics> {
    let dataset = Dataset::parse("data.csv", text.as_bytes(), model)
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    dataset.observations(model, reading)
}

fn seen(model: &Model, text: &str, reading: &Reading) -> Vec<Seen> {
    let found = observe(model, text, reading);
    let found = found.unwrap_or_else(|found| panic!("{}", found.render(false)));
    found.observations.iter().map(|o| o.seen).collect()
}

fn word(text: &str, below: Option<f64>) -> Word {
    Word {
        text: text.to_owned(),
        below,
    }
}

#[test]
fn what_cannot_be_read_is_explained_at_its_place() {
    let words = |words: Vec<Word>| Reading { words, lloq: None };
    let plain = Reading::default();
    for (text, reading, code, line, column) in [
        ("ID,TIME\n1,0\n", &plain, "D006", 1, 1),
        ("ID,TIME,DV\n1,0,2\n1,1,LOST\n", &plain, "D010", 3, 5),
        (
            "ID,TIME,DV\n1,0,LOST\n",
            &words(vec![word("BLQ", None)]),
            "D010",
            2,
            5,
        ),
        ("ID,TIME,DV,CENS\n1,0,2,7\n", &plain, "D012", 2, 7),
        ("ID,TIME,DV,CENS\n1,0,2,x\n", &plain, "D010", 2, 7),
        ("ID,TIME,DV\n1,0,2\n1,1,0\n", &plain, "D070", 3, 5),
        ("ID,TIME,DV\n1,0,-2\n", &plain, "D070", 2, 5),
        ("ID,TIME,DV,CENS\n1,0,0,1\n", &plain, "D070", 2, 5),
        (
            "ID,TIME,DV\n1,0,BLQ\n",
            &words(vec![word("BLQ", Some(0.0))]),
            "D070",
            2,
            5,
        ),
        ("ID,TIME,DV\n1,0,.\n", &plain, "D071", 1, 9),
        ("ID,TIME,DV,MDV\n1,0,3,1\n", &plain, "D071", 1, 9),
        ("ID,TIME,DV,EVID\n1,0,3,2\n", &plain, "D071", 1, 9),
        ("ID,TIME,DV (kg)\n1,0,3\n", &plain, "D008", 1, 9),
    ] {
        let found = observe(&with_error("lognormal = 0.2"), text, reading).expect_err("bad data");
        let places: Vec<_> = found
            .iter()
            .map(|d| (d.code, d.line(), d.column()))
            .collect();
        assert!(
            places.contains(&(code, Some(line), Some(column))),
            "{text:?} gives {places:?}"
        );
        assert!(
            found.to_string().contains("help"),
            "{code} without help:\n{found}"
        );
    }
    let found = observe(&pk_model(), "ID,TIME,DV\n1,0,LOST\n", &plain).expect_err("a word");
    let text = found.to_string();
    assert!(
        text.contains("--missing") && text.contains("--below"),
        "{text}"
    );
    // without a logarithm nothing is wrong with them
    let text = "ID,TIME,DV\n1,0,0\n1,1,-2\n";
    assert_eq!(
        seen(&pk_model(), text, &plain),
        [Seen::Value(0.0), Seen::Value(-2.0)]
    );
}

#[test]
fn censoring_has_two_sides_and_several_sources() {
    let coherent = pk_model().units.scale(&pk_model().observables[0].unit);
    let numbers = |seen: Vec<Seen>| -> Vec<(char, f64)> {
        let one = |s: Seen| {
            let side = match s {
                Seen::Value(_) => '=',
                Seen::Below(_) => '<',
                Seen::Above(_) => '>',
            };
            (side, s.number() / coherent)
        };
        seen.into_iter().map(one).collect()
    };
    let plain = Reading::default();
    let text = "ID,TIME,DV,CENS\n1,0,2,0\n1,1,3,1\n1,2,4,-1\n1,3,5,.\n";
    let all = seen(&pk_model(), text, &plain);
    assert!(!all[0].censored() && all[1].censored() && all[2].censored());
    assert_eq!(
        numbers(all),
        [('=', 2.0), ('<', 3.0), ('>', 4.0), ('=', 5.0)]
    );
    // a limit in the unit of DV, at which a value is censored too; above stays above
    let reading = Reading {
        words: vec![word("too small", Some(1500.0))],
        lloq: Some(3000.0),
    };
    let text = "ID,TIME,DV (ug/L),CENS\n1,0,2000,0\n1,1,3000,0\n1,2,3001,0\n1,3,2000,-1\n1,4,Too Small,0\n";
    let found = numbers(seen(&pk_model(), text, &reading));
    let expected = [('<', 3.0), ('<', 3.0), ('=', 3.001), ('>', 2.0), ('<', 1.5)];
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        assert!(
            (found.1 - expected.1).abs() < 1e-9,
            "{found:?} {expected:?}"
        );
    }
    // the limit of the model, unless the reading gives one
    let model = with_error("proportional = 0.1, lloq = \"1 mg/L\"");
    let text = "ID,TIME,DV\n1,0,0.5\n1,1,2\n";
    assert_eq!(
        numbers(seen(&model, text, &plain)),
        [('<', 1.0), ('=', 2.0)]
    );
    let reading = Reading {
        lloq: Some(0.25),
        ..plain
    };
    assert_eq!(
        numbers(seen(&model, text, &reading)),
        [('=', 0.5), ('=', 2.0)]
    );
}

#[test]
fn what_is_not_measured_is_counted() {
    let reading = Reading {
        words: vec![word("lost", None)],
        lloq: None,
    };
    let text = "ID,TIME,AMT,CMT,EVID,MDV,DV\n1,0,5,iv,1,1,.\n1,1,.,.,0,0,2\n1,2,.,.,0,0,LOST\n\
                1,3,.,.,0,1,7\n1,4,.,.,0,0,.\n1,5,.,.,2,0,.\n1,6,.,.,0,0,3\n";
    let found = observe(&pk_model(), text, &reading).expect("observations");
    let records: Vec<usize> = found.observations.iter().map(|o| o.record).collect();
    assert_eq!((records, found.missing), (vec![1, 6], 3));
    assert!(found.warnings.is_empty(), "{}", found.warnings);
}

#[test]
fn what_a_user_should_know_is_a_warning() {
    let warnings = |text: &str| -> Vec<(&'static str, String)> {
        let found = observe(&pk_model(), text, &Reading::default()).expect("used");
        let one = |d: &Diagnostic| (d.code, d.message.clone());
        found.warnings.iter().map(one).collect()
    };
    for (text, code, words) in [
        (
            "ID,TIME,DV\na,0,1\na,1,1\nb,0,.\n",
            "D072",
            "1 patients have no observation: b",
        ),
        (
            "ID,TIME,DV\na,0,1\na,1,1\nb,0,2\n",
            "D073",
            "have one observation: b",
        ),
        (
            "ID,TIME,DV,CENS\na,0,1,0\na,1,1,0\nb,0,2,1\nb,1,2,-1\n",
            "D074",
            "is censored: b",
        ),
        ("ID,TIME,DV\na,-1,1\na,1,1\n", "D075", "before time zero: a"),
        (
            "ID,TIME,DV\na,1,1\na,1,1\n",
            "D076",
            "1 observations repeat",
        ),
        (
            "ID,TIME,AMT,CMT,DV\na,0,5,iv,3\na,1,.,.,1\na,2,.,.,1\n",
            "D077",
            "1 records hold a number in DV",
        ),
    ] {
        let found = warnings(text);
        assert_eq!(found.len(), 1, "{text:?} gives {found:?}");
        assert_eq!(found[0].0, code);
        assert!(found[0].1.contains(words), "{}", found[0].1);
    }
    // two quantities at one time are no repetition, and a zero on a dose is usual
    let none = "ID,TIME,AMT,CMT,DVID,DV\na,0,5,iv,cp,0\na,1,.,.,cp,1\na,1,.,.,molar_cp,1\n";
    assert_eq!(warnings(none), []);
}
