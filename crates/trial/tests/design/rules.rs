//! The language of protocols.

use posology_trial::design::{Action, Condition, Rule};
use proptest::prelude::*;

use crate::{edited, read};

const DAY: f64 = 24.0; // the model counts in hours

fn file(rule: &str) -> String {
    let quoted = format!("\"{}\"", rule.replace('\\', "\\\\").replace('"', "\\\""));
    edited(&[(
        "\"grade 4 neutropenia: reduce 25 %; second time: stop\"",
        &quoted,
    )])
}

fn rule(text: &str) -> Rule {
    let trial = read(&file(text)).unwrap_or_else(|found| panic!("{text}\n{found}"));
    trial.protocols[0].rules[1].clone()
}

fn reduce(share: f64) -> Action {
    Action::Reduce { share, input: None }
}

#[test]
fn grades() {
    for (text, grade) in [
        ("grade 4 neutropenia: stop", 4),
        ("Grade 3 Neutropenia: stop", 3),
        ("grade 3 or worse neutropenia: stop", 3),
        ("grade 3+ neutropenia: stop", 3),
        ("neutropenia grade 4: stop", 4),
        ("neutropenia grade 2 or higher : stop", 2),
        ("  GRADE 2 neutropenia  on day 8 :  STOP ;", 2),
    ] {
        let rule = rule(text);
        let Condition::Grade {
            toxicity,
            grade: found,
        } = rule.condition
        else {
            panic!("{text}: {:?}", rule.condition)
        };
        assert_eq!((toxicity, found), (0, grade), "{text}");
        assert_eq!(rule.actions, [Action::Stop], "{text}");
        assert_eq!(rule.day, text.contains("day 8").then_some(8), "{text}");
    }
}

#[test]
fn conditions_get_their_units() {
    for (text, expected) in [
        ("ANC < 1.5e9/L", "ANC < 1.5e9[1/L]"),
        ("ANC < 1.5", "ANC < 1.5[1e9/L]"),
        ("ANC<1500 /mm^3", "ANC<1500[1/mm^3]"),
        ("1.5 > ANC", "1.5[1e9/L] > ANC"),
        ("ANC < 0.5*ANC_baseline", "ANC < 0.5*ANC_baseline"),
        ("ANC/ANC_baseline < 0.5", "ANC/ANC_baseline < 0.5"),
        (
            "ANC > 1.25*ANC_nadir AND ANC > ANC_nadir + 2",
            "ANC > 1.25*ANC_nadir and ANC > ANC_nadir + 2[1e9/L]",
        ),
        (
            "not (ANC > 1) Or AAG > 2 g/L",
            "not (ANC > 1[1e9/L]) or AAG > 2[g/L]",
        ),
        (
            "AAG > 2 or ANC < 1.0[1e9/L]",
            "AAG > 2[g/L] or ANC < 1.0[1e9/L]",
        ),
        (
            "min(ANC, 2) < 1 and -ANC > -1",
            "min(ANC, 2[1e9/L]) < 1[1e9/L] and -ANC > -1[1e9/L]",
        ),
        ("ANC > 0 and ecog1 > 0.5", "ANC > 0 and ecog1 > 0.5"),
        ("ANC < 2e9/L*ecog1", "ANC < 2e9[1/L]*ecog1"),
        ("ANC*AAG < 2 g/L/L * 1e9", "ANC*AAG < 2[g/L/L] * 1e9"),
    ] {
        let rule = rule(&format!("{text} on day 1: skip"));
        let Condition::Measured { text: found, .. } = rule.condition else {
            panic!("{text}: {:?}", rule.condition)
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn actions() {
    for (text, expected) in [
        ("delay", vec![Action::Delay { limit: None }]),
        (
            "delay 7 d up to 21 d",
            vec![Action::Delay {
                limit: Some(21.0 * DAY),
            }],
        ),
        (
            "delay 1 wk up to 2 wk, then stop",
            vec![Action::Delay {
                limit: Some(14.0 * DAY),
            }],
        ),
        (
            "Delay up to 14 d then stop",
            vec![Action::Delay {
                limit: Some(14.0 * DAY),
            }],
        ),
        ("reduce 25 %", vec![reduce(0.25)]),
        ("reduce by 12.5%", vec![reduce(0.125)]),
        (
            "reduce docetaxel 20 percent",
            vec![Action::Reduce {
                share: 0.2,
                input: Some(0),
            }],
        ),
        (
            "reduce Docetaxel by 20 %",
            vec![Action::Reduce {
                share: 0.2,
                input: Some(0),
            }],
        ),
        ("skip", vec![Action::Skip]),
        ("stop", vec![Action::Stop]),
        (
            "reduce 25 %; second time: reduce 50 %; third time: stop",
            vec![reduce(0.25), reduce(0.5), Action::Stop],
        ),
        (
            "reduce 25 %; again: stop;",
            vec![reduce(0.25), Action::Stop],
        ),
        (
            "skip; 2nd time: reduce 25 %; 4th time: stop",
            vec![Action::Skip, reduce(0.25), reduce(0.25), Action::Stop],
        ),
        (
            "skip; third time: stop",
            vec![Action::Skip, Action::Skip, Action::Stop],
        ),
    ] {
        assert_eq!(
            rule(&format!("ANC < 1 on day 1: {text}")).actions,
            expected,
            "{text}"
        );
    }
}

/// A value that is looked at on a day on which it is not measured.
#[test]
fn a_day_without_a_measurement_is_a_warning() {
    let text = file("ANC < 1 on day 8: skip").replace(
        "[visits.observe.ANC]\nevery = \"7 d\"",
        "[visits.observe.ANC]\nevery = \"14 d\"",
    );
    let trial = read(&text).unwrap_or_else(|found| panic!("{found}"));
    let codes: Vec<(&str, Option<usize>)> = trial
        .warnings
        .iter()
        .map(|finding| (finding.code, finding.line()))
        .collect();
    let line = text
        .lines()
        .position(|line| line.contains("on day 8"))
        .unwrap()
        + 1;
    assert_eq!(codes, [("T028", Some(line))]);
}

/// Spans point at what is wrong, not at the whole rule.
#[test]
fn findings_point_into_the_rule() {
    for (text, code, what) in [
        ("ANC < 1.5 on day 9: skip", "T020", "9"),
        ("ANC < 1.5 mol on day 8: skip", "M203", "1.5 mol"),
        ("ANC < 1.5 mgg/L on day 8: skip", "M201", "mgg"),
        ("proliferating < 1 on day 8: skip", "T011", "proliferating"),
        (
            "ANC < 1 and circulating < 1 on day 8: skip",
            "T011",
            "circulating",
        ),
        ("ANC < 1 and ANCC < 1: skip", "M301", "ANCC"),
        ("ANC <: skip", "M101", ""),
        ("ANC < 1: rduce 25 %", "T019", "rduce"),
        ("ANC < 1: reduce 125 %", "T013", "125"),
        ("ANC < 1: reduce dose 25 %", "T010", "dose"),
        ("grade 1 neutropenia: stop", "T013", "1"),
        ("grade 4 neutropnia: stop", "T010", "neutropnia"),
        ("ANC < 1 on day 8: delay 7 d", "T022", "delay 7 d"),
        ("ANC < 1 on day 1: delay 7 d up to 20 d", "T020", "20 d"),
        (
            "ANC < 1: skip; third time: stop; second time: stop",
            "T019",
            "second time",
        ),
        ("ANC < 1, stop", "T019", ""),
        ("ANC: stop", "T019", "ANC"),
    ] {
        let file = file(text);
        let found = read(&file)
            .err()
            .unwrap_or_else(|| panic!("{text} is read"));
        let finding = found
            .iter()
            .find(|finding| finding.code == code)
            .unwrap_or_else(|| panic!("{text}: no {code} in\n{found}"));
        let label = finding.primary.as_ref().unwrap();
        let shown = &file[label.span.clone()];
        assert!(
            what.is_empty() || shown == what,
            "{text}: `{shown}`, not `{what}`\n{found}"
        );
        assert!(
            !finding.help.is_empty() || code.starts_with('M'),
            "{text}\n{found}"
        );
    }
}

/// Words and signs of rules in any order.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "grade",
        "4",
        "3 or worse",
        "neutropenia",
        "ANC",
        "ANC_nadir",
        "<",
        ">",
        "1.5e9/L",
        "1.5",
        "2 g/L",
        "and",
        "or",
        "not",
        "(",
        ")",
        "on day",
        "1",
        "8",
        ":",
        ";",
        "delay",
        "7 d",
        "up to",
        "21 d",
        "reduce",
        "25 %",
        "docetaxel",
        "skip",
        "stop",
        "second time",
        "again",
        "then",
        ",",
        "[",
        "]",
        "*",
        "/",
        "e",
        "°",
        "\u{a0}",
        "µg",
        "1e400",
        "if(",
        "sum[",
        "99999999999",
    ]);
    prop::collection::vec(word, 0..14).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands there, it is read or refused, and what is said points into the file.
    #[test]
    fn no_rule_breaks_the_reader(text in prop_oneof![soup(), "[ -~äµ·°]{0,60}"]) {
        let file = file(&text);
        let findings = match read(&file) {
            Ok(trial) => {
                prop_assert_eq!(trial.protocols[0].rules.len(), 2);
                trial.warnings
            }
            Err(found) => {
                prop_assert!(found.has_errors());
                found
            }
        };
        for finding in &findings {
            for label in finding.primary.iter().chain(&finding.secondary) {
                prop_assert_eq!(label.source.name(), "base.toml");
                prop_assert!(label.span.start <= label.span.end && label.span.end <= file.len());
                prop_assert!(file.is_char_boundary(label.span.start) && file.is_char_boundary(label.span.end));
            }
        }
        // and it can be shown
        prop_assert!(!findings.has_errors() || findings.render(false).contains("base.toml"));
    }
}
