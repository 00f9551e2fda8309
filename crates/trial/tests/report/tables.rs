//! Names, rows and contents of the tables.

use std::collections::BTreeSet;

use posology_trial::Table;
use posology_trial::table::Values;

use crate::{both, died, neutropenia, responses};

fn rows_where<'a>(table: &'a Table, column: &str, value: &'a str) -> Vec<usize> {
    let texts = table.texts(column).unwrap();
    (0..texts.len())
        .filter(|&row| texts[row] == value)
        .collect()
}

#[test]
fn every_table_is_rectangular_with_unique_names_and_no_text_that_is_a_number_gone_wrong() {
    for case in both() {
        let tables = case.outcome.tables.iter();
        let mut files = BTreeSet::new();
        for table in tables.chain([&case.outcome.patients]) {
            assert!(files.insert(table.name.clone()), "{}", table.name);
            let mut names = BTreeSet::new();
            for column in &table.columns {
                let what = format!("{}.{}", table.name, column.name);
                assert!(names.insert(column.name.to_lowercase()), "{what} twice");
                assert_eq!(column.values.len(), table.len(), "{what}");
                assert!(
                    !column.description.is_empty() || table.name == "patients",
                    "{what}"
                );
                if let Values::Text(texts) = &column.values {
                    for text in texts {
                        assert!(!["NaN", "inf", "-inf"].contains(&text.as_str()), "{what}");
                    }
                }
                if let Values::Number(numbers) = &column.values {
                    assert!(numbers.iter().all(|v| !v.is_infinite()), "{what}");
                }
                // names of variables in ADaM data sets
                if table.name.starts_with("ad") {
                    assert!(column.name.len() <= 8, "{what}");
                    let letters = column.name.bytes();
                    assert!(
                        letters
                            .clone()
                            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                        "{what}"
                    );
                }
            }
        }
        for wanted in ["endpoints", "adsl", "adtte", "adae", "adppk"] {
            assert!(files.contains(wanted), "{wanted}");
        }
    }
    let has = |case: &crate::Case| case.outcome.tables.iter().any(|t| t.name == "adrs");
    assert!(has(responses()) && !has(neutropenia()));
}

#[test]
fn subjects_are_unique_and_every_table_is_about_them() {
    for case in both() {
        let adsl = case.table("adsl");
        let ids: BTreeSet<&String> = adsl.texts("USUBJID").unwrap().iter().collect();
        assert_eq!(ids.len(), adsl.len());
        let members: usize = case.result.cohorts[0]
            .arms
            .iter()
            .map(|arm| arm.members.len())
            .sum();
        assert_eq!(adsl.len(), members);
        assert_eq!(case.outcome.patients.len(), members);
        let endpoints = case.table("endpoints");
        assert_eq!(endpoints.len(), members * case.trial.endpoints.len());
        for name in ["adtte", "adae", "adppk"] {
            for id in case.table(name).texts("USUBJID").unwrap() {
                assert!(ids.contains(id), "{name}: {id}");
            }
        }
    }
    // every patient once when randomised, in both arms otherwise
    let subjects = |case: &crate::Case| -> usize {
        let ids = case.table("adsl").texts("SUBJID").unwrap();
        ids.iter().collect::<BTreeSet<_>>().len()
    };
    assert_eq!(subjects(neutropenia()), 60);
    assert_eq!(subjects(responses()), 40);
    assert_eq!(responses().table("adsl").len(), 80);
    let randomised = neutropenia().table("adsl").texts("RANDFL").unwrap();
    assert!(randomised.iter().all(|flag| flag == "Y"));
    let copied = responses().table("adsl").texts("RANDFL").unwrap();
    assert!(copied.iter().all(|flag| flag == "N"));
}

#[test]
fn censoring_is_the_reverse_of_the_event() {
    for case in both() {
        let adtte = case.table("adtte");
        let codes = adtte.texts("PARAMCD").unwrap();
        let unique: BTreeSet<&String> = codes.iter().collect();
        let times: Vec<usize> = (0..case.trial.endpoints.len())
            .filter(|&e| case.trial.endpoints[e].is_time())
            .collect();
        assert_eq!(unique.len(), times.len());
        assert!(unique.iter().all(|code| code.len() <= 8));
        let (mut row, aval) = (0, adtte.numbers("AVAL").unwrap());
        let censored = adtte.numbers("CNSR").unwrap();
        let happened = adtte.texts("EVNTDESC").unwrap();
        let why = adtte.texts("CNSDTDSC").unwrap();
        let days = adtte.numbers("ADY").unwrap();
        for arm in &case.result.cohorts[0].arms {
            for k in 0..arm.members.len() {
                for &e in &times {
                    if !arm.values[e][k].is_finite() {
                        continue;
                    }
                    let event = arm.events[e][k];
                    assert_eq!(aval[row], arm.values[e][k]);
                    assert_eq!(censored[row], f64::from(u8::from(!event)));
                    assert_eq!(happened[row].is_empty(), !event);
                    assert_eq!(why[row].is_empty(), event);
                    assert!(days[row] >= 1.0 && days[row].fract() == 0.0);
                    row += 1;
                }
            }
        }
        assert_eq!(row, adtte.len());
        let events = censored.iter().filter(|&&c| c == 0.0).count();
        assert!(
            events > 0 && events < adtte.len(),
            "{events} of {}",
            adtte.len()
        );
    }
    // a composite names what came first
    let adtte = responses().table("adtte");
    let firsts: BTreeSet<&str> = rows_where(adtte, "PARAMCD", "PFS")
        .into_iter()
        .map(|row| adtte.texts("EVNTDESC").unwrap()[row].as_str())
        .collect();
    assert!(firsts.contains("Progression"), "{firsts:?}");
    assert!(!firsts.contains("Progression-free survival"), "{firsts:?}");
}

#[test]
fn disposition_agrees_with_the_course() {
    let case = neutropenia();
    let adsl = case.table("adsl");
    let (states, reasons) = (
        adsl.texts("EOTSTT").unwrap(),
        adsl.texts("DCTREAS").unwrap(),
    );
    let (study, left) = (
        adsl.texts("EOSSTT").unwrap(),
        adsl.texts("DCSREAS").unwrap(),
    );
    let durations = adsl.numbers("TRTDURD").unwrap();
    let mut row = 0;
    for arm in &case.result.cohorts[0].arms {
        let course = arm.course.as_ref().unwrap();
        for k in 0..arm.members.len() {
            let stopped = course.reason[k] > 0.5;
            assert_eq!(states[row] == "DISCONTINUED", stopped);
            assert_eq!(reasons[row].is_empty(), !stopped);
            assert!((durations[row] - course.treated_until[k] / 24.0).abs() < 1e-9);
            // whoever left was observed for less than the whole time
            assert_eq!(study[row] == "DISCONTINUED", left[row] == "LEFT THE TRIAL");
            assert_eq!(
                left[row] == "LEFT THE TRIAL",
                arm.until[k] < case.trial.horizon
            );
            row += 1;
        }
    }
    assert_eq!(row, adsl.len());
    let stratum = adsl.texts("STRAT1R").unwrap();
    let aag = adsl.numbers("AAG").unwrap();
    for (stratum, aag) in stratum.iter().zip(aag) {
        assert_eq!(stratum == "Y", *aag > 1.0);
    }
    assert_eq!(adsl.column("AAG").unwrap().unit, "g/L");
    let groups = adsl.texts("SUBGR1").unwrap();
    let ecog = adsl.numbers("ECOG1").unwrap();
    for (group, ecog) in groups.iter().zip(ecog) {
        assert_eq!(group, if *ecog > 0.5 { "less fit" } else { "fit" });
    }
    assert!(groups.iter().any(|g| g == "fit") && groups.iter().any(|g| g == "less fit"));
    assert!(adsl.texts("SEX").unwrap().iter().all(|sex| sex == "F"));
    let deaths = responses().table("adsl").texts("DTHFL").unwrap();
    assert!(deaths.iter().any(|flag| flag == "Y"));
}

#[test]
fn adverse_events_are_the_worst_grades() {
    let case = neutropenia();
    let adae = case.table("adae");
    let mut expected: Vec<f64> = Vec::new();
    for arm in &case.result.cohorts[0].arms {
        expected.extend(arm.grade[0].iter().copied().filter(|&grade| grade >= 1.0));
    }
    assert_eq!(adae.numbers("ATOXGRN").unwrap(), &expected[..]);
    for (text, grade) in adae.texts("AETOXGR").unwrap().iter().zip(&expected) {
        assert_eq!(text, &format!("{grade}"));
    }
    assert!(
        adae.texts("AEDECOD")
            .unwrap()
            .iter()
            .all(|t| t == "neutropenia")
    );
    // a worst count below 0.5e9/L is grade 4
    let (worst, grade) = (adae.numbers("AVAL").unwrap(), &expected);
    for (worst, grade) in worst.iter().zip(grade) {
        assert_eq!(*worst < 0.5, *grade == 4.0, "{worst} {grade}");
    }
}

#[test]
fn doses_add_up_to_what_was_given() {
    for case in both() {
        let adppk = case.table("adppk");
        let ids = adppk.numbers("ID").unwrap();
        let (amounts, more) = (
            adppk.numbers("AMT").unwrap(),
            adppk.numbers("ADDL").unwrap(),
        );
        let (evid, mdv) = (
            adppk.numbers("EVID").unwrap(),
            adppk.numbers("MDV").unwrap(),
        );
        let (dv, time) = (adppk.numbers("DV").unwrap(), adppk.numbers("TIME").unwrap());
        let cmt = adppk.texts("CMT").unwrap();
        for row in 0..adppk.len() {
            assert_eq!(evid[row] == 1.0, amounts[row] > 0.0, "row {row}");
            assert_eq!(mdv[row] == 1.0, dv[row].is_nan());
            if row > 0 && ids[row] == ids[row - 1] {
                assert!(time[row] >= time[row - 1]);
            }
        }
        let mut id = 0.0;
        for arm in &case.result.cohorts[0].arms {
            let course = arm.course.as_ref().unwrap();
            for k in 0..arm.members.len() {
                id += 1.0;
                let last = died(case, arm, k);
                let own = |row: &usize| ids[*row] == id;
                assert!((0..adppk.len()).filter(own).all(|row| time[row] <= last));
                if last < course.treated_until[k] {
                    continue;
                }
                for (at, &input) in course.inputs.iter().enumerate() {
                    let name = &case.trial.model.inputs[input].name;
                    let given: f64 = (0..adppk.len())
                        .filter(|&row| ids[row] == id && &cmt[row] == name)
                        .map(|row| amounts[row] * (more[row] + 1.0))
                        .sum();
                    let known = course.dose[at][k];
                    assert!(
                        (given - known).abs() <= 1e-4 * known.max(1.0),
                        "{}: {name} of {id}: {given} against {known}",
                        case.trial.name
                    );
                }
            }
        }
    }
}

#[test]
fn measurements_are_those_of_the_visits() {
    for case in both() {
        let adppk = case.table("adppk");
        let dv = adppk.numbers("DV").unwrap();
        let seen = dv.iter().filter(|value| value.is_finite()).count();
        let mut known = 0;
        for arm in &case.result.cohorts[0].arms {
            let visits = arm.visits.as_ref().unwrap();
            let count = visits.times.len();
            for (at, value) in visits.seen[0].iter().enumerate() {
                let alive = visits.times[at % count] <= died(case, arm, at / count);
                known += usize::from(alive && value.is_finite());
            }
        }
        assert_eq!(seen, known);
    }
    let case = responses();
    let adrs = case.table("adrs");
    let best = rows_where(adrs, "PARAMCD", "BOR");
    assert_eq!(best.len(), 80);
    let codes = adrs.numbers("AVAL").unwrap();
    let response = &case.result.cohorts[0].arms;
    let expected: Vec<f64> = response
        .iter()
        .flat_map(|arm| arm.values[0].clone())
        .collect();
    let found: Vec<f64> = best.iter().map(|&row| codes[row]).collect();
    assert_eq!(found, expected);
    // partial responses are at least 30 % below the baseline
    let texts = adrs.texts("AVALC").unwrap();
    let change = adrs.numbers("PCHG").unwrap();
    let partial: Vec<usize> = rows_where(adrs, "PARAMCD", "OVRLRESP")
        .into_iter()
        .filter(|&row| texts[row] == "PR")
        .collect();
    assert!(!partial.is_empty());
    assert!(partial.iter().all(|&row| change[row] <= -30.0 + 1e-6));
}
