//! What a run leaves behind.

use posology_trial::statistics::{Band, KaplanMeier, SurvivalSample};

use crate::{MEN, device, outcome, quiet, settings, trial};

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_batch() {
    let mut again = settings();
    again.batch = Some(37);
    let second = trial().run(device(), &again, &mut quiet).expect("a run");
    assert_eq!(outcome().report_html, second.report_html);
    assert_eq!(outcome().summary, second.summary);
    assert_eq!(
        format!("{:?}", outcome().patients),
        format!("{:?}", second.patients)
    );
    let mut other = settings();
    other.seed = Some(7);
    let third = trial().run(device(), &other, &mut quiet).expect("a run");
    assert_ne!(outcome().summary["cohorts"][1], third.summary["cohorts"][1]);
    // the seed only draws the virtual men and resamples
    assert_eq!(outcome().summary["replay"], third.summary["replay"]);
}

#[test]
fn the_patients_table_holds_every_man_in_every_arm() {
    let table = &outcome().patients;
    assert_eq!(table.len(), trial().arms.len() * (32 + MEN));
    for column in &table.columns {
        assert_eq!(column.values.len(), table.len(), "{}", column.name);
    }
    let status = table.texts("status").unwrap();
    assert!(status.iter().all(|status| status == "completed"));
    assert_eq!(table.column("progression").unwrap().unit, "mo");
    assert_eq!(table.column("rS").unwrap().unit, "1/d");
}

#[test]
fn curves_agree_with_the_patients_table() {
    let (table, summary) = (&outcome().patients, &outcome().summary);
    let cohorts = table.texts("cohort").unwrap();
    let arms = table.texts("arm").unwrap();
    let times = table.numbers("progression").unwrap();
    let events = table.flags("progression_event").unwrap();
    for cohort in summary["cohorts"].as_array().unwrap() {
        for arm in &trial().arms {
            let rows: Vec<usize> = (0..table.len())
                .filter(|&row| {
                    cohorts[row] == cohort["title"].as_str().unwrap() && arms[row] == arm.name
                })
                .collect();
            let sample = SurvivalSample::new(
                "again",
                rows.iter().map(|&row| times[row]).collect(),
                rows.iter().map(|&row| events[row]).collect(),
            )
            .unwrap();
            let median = KaplanMeier::fit(&sample)
                .median(Band::LogLog, 0.95)
                .unwrap();
            let shown = &cohort["times"]["progression"]["arms"][&arm.name];
            assert_eq!(shown["median"]["value"].as_f64(), median.value);
            assert_eq!(shown["patients"].as_u64(), Some(rows.len() as u64));
            assert_eq!(shown["events"].as_u64(), Some(sample.event_count() as u64));
        }
    }
}

#[test]
fn the_report_is_self_contained_and_says_its_limits() {
    let html = &outcome().report_html;
    for wanted in [
        "<!DOCTYPE html>",
        "Limits and use",
        "not clinical advice",
        "radiographic",
        "calibrated",
        "Provenance",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    // no request may leave the page: the only addresses are names of XML vocabularies
    for (at, _) in html.match_indices("http") {
        assert!(
            html[at..].starts_with("http://www.w3.org/") || html[at..].starts_with("http-equiv"),
            "{}",
            &html[at..at + 60]
        );
    }
    assert!(html.matches("RMSE 0.").count() >= 32);
}

#[test]
fn a_run_can_be_stopped() {
    let stopped = trial().run(device(), &settings(), &mut |_| false);
    assert!(stopped.is_err());
}
