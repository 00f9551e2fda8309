use super::*;
use crate::event::{Action, Event, Timelines};
use crate::population::Cohort;
use crate::testing::{model_with, pk_model};

fn read(text: &str) -> Regimen {
    Regimen::parse(&pk_model(), text, &Origin::whole("regimen", text))
        .unwrap_or_else(|found| panic!("{}", found.render(false)))
}

fn codes(text: &str) -> Vec<&'static str> {
    let found = Regimen::parse(&pk_model(), text, &Origin::whole("regimen", text));
    found
        .expect_err("bad regimen")
        .iter()
        .map(|d| d.code)
        .collect()
}

fn lowered(text: &str, cohort: &Cohort, end: f64) -> Timelines {
    read(text)
        .timelines(&pk_model(), cohort, end, &Origin::whole("regimen", text))
        .expect("lowered")
}

/// (time, input, size, is it a rate) for a patient.
fn doses(lines: &Timelines, patient: usize) -> Vec<(f64, usize, f64, bool)> {
    let shown = |event: &Event| match event.action {
        Action::Bolus { input, amount } => {
            Some((event.time, input, lines.amount(patient, amount), false))
        }
        Action::Rate { input, change } => {
            Some((event.time, input, lines.amount(patient, change), true))
        }
        _ => None,
    };
    lines
        .timeline(patient)
        .expect("patient")
        .events
        .iter()
        .filter_map(shown)
        .collect()
}

fn times(text: &str, end: f64) -> Vec<f64> {
    let lines = lowered(text, &Cohort::typical(&pk_model(), 1), end);
    doses(&lines, 0).iter().map(|dose| dose.0).collect()
}

/// The typical patient and one of 2 m2, 50 kg, 75 mL/min.
fn pair() -> Cohort {
    let model = pk_model();
    let mut cohort = Cohort::typical(&model, 2);
    let mut set =
        |name: &str, value: f64| cohort.slots[model.slot_index(name).expect("slot")][1] = value;
    set("BSA", 200.0); // dm^2
    set("WT", 50e6); // mg
    set("CRCL", 75.0 * 60.0 / 1000.0); // L/h
    cohort
}

#[test]
fn doses_per_surface_share_one_timeline() {
    let cohort = pair();
    let lines = lowered("iv: 175 mg/m2 over 3 h every 21 d x 6", &cohort, 2000.0);
    assert_eq!((lines.timelines.len(), lines.scales.len()), (1, 1));
    let first = doses(&lines, 0);
    assert_eq!(first.len(), 8); // 4 of 6 cycles lie within 2000 h
    assert_eq!(first[0].0, 0.0);
    assert!((first[0].2 - 175.0 * 1.8 / 3.0).abs() < 1e-9);
    assert_eq!((first[1].0, first[1].2), (3.0, -first[0].2));
    assert_eq!(first[2].0, 504.0);
    assert!((doses(&lines, 1)[0].2 - 175.0 * 2.0 / 3.0).abs() < 1e-9);
    assert!(lines.timelines[0].events[0].dose && !lines.timelines[0].events[1].dose);
}

#[test]
fn weight_calvert_and_flat_doses() {
    let cohort = pair();
    let of = |text: &str| {
        let lines = lowered(text, &cohort, 10.0);
        [doses(&lines, 0)[0].2, doses(&lines, 1)[0].2]
    };
    let near = |seen: [f64; 2], wanted: [f64; 2]| {
        seen.iter()
            .zip(wanted)
            .all(|(a, b)| (a - b).abs() < 1e-9 * b)
    };
    assert!(near(of("oral: 2 mg/kg"), [140.0, 100.0]));
    // AUC 5: 5 * (100 + 25) = 625 mg and 5 * (75 + 25) = 500 mg, over one hour
    assert!(near(
        of("iv: AUC 5 over 1 h every 21 d x 4"),
        [625.0, 500.0]
    ));
    assert!(near(of("iv: auc 5 mg/mL*min over 60 min"), [625.0, 500.0]));
    assert!(near(of("oral: 0.1 g"), [100.0, 100.0]));
    assert!(lowered("oral: 0.1 g", &cohort, 10.0).scales.is_empty());
    // 50 mg of 500 g/mol into a state in umol
    assert!(near(of("molar: 50 mg over 1 h"), [100.0, 100.0]));
}

#[test]
fn schedules() {
    let day = 24.0;
    assert_eq!(
        times("iv: 100 mg over 2 h q 24 h x 2", 100.0),
        [0.0, 2.0, 24.0, 26.0]
    );
    assert_eq!(times("oral: 1 mg q24h x3", 100.0), [0.0, 24.0, 48.0]);
    assert_eq!(times("oral: 1 mg daily", 48.0), [0.0, 24.0, 48.0]);
    assert_eq!(
        times("oral: 1 mg every week x 2 from 1 d", 1e4),
        [day, 8.0 * day]
    );
    assert_eq!(times("oral: 1 mg at 14 d", 1e4), [14.0 * day]);
    assert_eq!(times("oral: 1 mg at 0 h, 6 h, 30 h", 1e4), [0.0, 6.0, 30.0]);
    assert_eq!(
        times("oral: 1 mg every 1 d from 1 d until 3 d", 1e4),
        [day, 2.0 * day, 3.0 * day]
    );
    let cycles = [0.0, 7.0, 14.0, 21.0, 28.0, 35.0].map(|d| d * day);
    assert_eq!(
        times("oral: 1 mg on 1 d, 8 d, 15 d every 21 d x 2", 1e4),
        cycles
    );
    assert_eq!(
        times("oral: 1 mg on days 1, 8, 15 every 21 d x 2", 1e4),
        cycles
    );
    assert_eq!(
        times("oral: 1 mg on days 1-3, 8 every 28 d x 1", 1e4),
        [0.0, 24.0, 48.0, 168.0]
    );
}

#[test]
fn loading_doses_and_successions() {
    let amounts = |text: &str| -> Vec<(f64, f64)> {
        let lines = lowered(text, &Cohort::typical(&pk_model(), 1), 1e5);
        doses(&lines, 0)
            .iter()
            .map(|d| (d.0 / 24.0, (d.2 * 1e6).round() / 1e6))
            .collect()
    };
    assert_eq!(
        amounts("oral: load 8 mg/kg then 6 mg/kg every 21 d x 2"),
        [(0.0, 560.0), (21.0, 420.0), (42.0, 420.0)]
    );
    assert_eq!(
        amounts("oral: load 400 mg every 14 d x 2 then 300 mg every 28 d x 2"),
        [(0.0, 400.0), (14.0, 400.0), (28.0, 300.0), (56.0, 300.0)]
    );
    assert_eq!(
        amounts("oral: 1 mg every 1 d until 2 d then 2 mg"),
        [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 2.0)]
    );
    assert_eq!(
        amounts("oral: 1 mg at 2 d, 5 d then 2 mg every 7 d x 1"),
        [(2.0, 1.0), (5.0, 1.0), (12.0, 2.0)]
    );
    assert_eq!(
        amounts("oral: 1 mg then 2 mg from 3 d"),
        [(0.0, 1.0), (3.0, 2.0)]
    );
}

#[test]
fn combinations_and_levels() {
    let text = "iv: 75 mg/m2 over 1 h every 21 d x 2; ORAL: 100 mg daily x 2;\n drug_on: 1 from 0 d; drug_on: 0 from 30 d;";
    let regimen = read(text);
    assert_eq!((regimen.series.len(), regimen.levels.len()), (2, 2));
    let lines = lowered(text, &pair(), 1000.0);
    let events = &lines.timelines[0].events;
    let slot = pk_model().slot_index("drug_on").expect("slot");
    assert_eq!(events[0].action, Action::SetSlot { slot, value: 1.0 });
    assert_eq!(
        events.last().map(|e| (e.time, e.action.clone())),
        Some((720.0, Action::SetSlot { slot, value: 0.0 }))
    );
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time));
}

#[test]
fn lag_bioavailability_and_modelled_duration() {
    let model = pk_model();
    let mut cohort = pair();
    let row = |name: &str| model.slot_index(name).expect("slot");
    cohort.slots[row("F1")] = vec![0.5, 0.25];
    let lines = lowered("iv: 80 mg over 4 h", &cohort, 10.0);
    // bioavailability scales the rate of an infusion of given length
    assert_eq!(
        doses(&lines, 1),
        [(0.0, 1, 5.0, true), (4.0, 1, -5.0, true)]
    );
    assert_eq!(lines.timelines.len(), 1);
    // without `over` the input's own duration (2 h) holds
    assert_eq!(
        doses(&lowered("iv: 80 mg", &cohort, 10.0), 0),
        [(0.0, 1, 20.0, true), (2.0, 1, -20.0, true)]
    );
    // a modelled rate of 10 mg/h makes 50 mg last 5 h; 500 g/mol make it 20 umol/h
    assert_eq!(
        doses(&lowered("molar: 50 mg", &cohort, 10.0), 0),
        [(0.0, 2, 20.0, true), (5.0, 2, -20.0, true)]
    );
    // equal lags shift the shared timeline, different ones need a timeline each
    cohort.slots[row("LAG")] = vec![1.5, 1.5];
    let lines = lowered("oral: 80 mg", &cohort, 10.0);
    assert_eq!(
        (lines.timelines.len(), doses(&lines, 1)[0]),
        (1, (1.5, 0, 20.0, false))
    );
    cohort.slots[row("LAG")] = vec![1.5, 0.0];
    let lines = lowered("oral: 80 mg", &cohort, 10.0);
    assert_eq!(
        (
            lines.timelines.len(),
            doses(&lines, 0)[0].0,
            doses(&lines, 1)[0].0
        ),
        (2, 1.5, 0.0)
    );
    cohort.slots[row("LAG")] = vec![-1.0, 0.0];
    let text = "oral: 80 mg";
    let error = read(text)
        .timelines(&model, &cohort, 10.0, &Origin::whole("r", text))
        .expect_err("lag");
    assert_eq!(error.iter().next().map(|d| d.code), Some("R011"));
    // a covariate is shown in its own unit
    cohort.slots[row("LAG")] = vec![0.0, 0.0];
    cohort.slots[row("BSA")] = vec![180.0, -100.0];
    let text = "oral: 80 mg/m2";
    let error = read(text)
        .timelines(&model, &cohort, 10.0, &Origin::whole("r", text))
        .expect_err("no surface");
    assert!(
        error.to_string().contains("`BSA` is -1 m^2, which"),
        "{error}"
    );
}

#[test]
fn one_input_needs_no_name() {
    let input = "[inputs.drug]\ninto = \"s\"\nunit = \"1\"\n";
    let model = model_with("A = { value = 1, unit = \"1\", source = \"x\" }", input);
    let text = "3 every 1 d x 2";
    let regimen = Regimen::parse(&model, text, &Origin::whole("r", text)).expect("regimen");
    assert_eq!(
        (regimen.series[0].input, regimen.series[0].amount),
        (0, 3.0)
    );
}

#[test]
fn bad_regimens_are_explained() {
    for (text, code) in [
        ("", "R001"),
        ("iv:", "R001"),
        ("iv: 100 mg each 21 d", "R001"),
        ("iv: 100 mg every 21 d x", "R001"),
        ("iv: 100 mg;; oral: 1 mg", "R001"),
        ("100 mg", "R003"),
        ("vi: 100 mg", "R002"),
        ("iv: 100", "R004"),
        ("iv: 100 mL", "R004"),
        ("iv: 100 umol", "R004"),
        ("iv: 100 mmg/m2", "R008"),
        ("iv: 100 mg over 3", "R008"),
        ("iv: 100 mg over 3 kg", "R008"),
        ("iv: 100 mg every 3 fortnights", "R008"),
        ("iv: 0 mg", "R006"),
        ("iv: -5 mg", "R006"),
        ("iv: 1e999 mg", "R006"),
        ("iv: 1 mg every 0 d x 3", "R006"),
        ("iv: 1 mg every 1 d x 0", "R006"),
        ("iv: 1 mg every 1 d x 2.5", "R006"),
        ("iv: 1 mg every 1 d x 1e9", "R006"),
        ("iv: 1 mg x 3", "R007"),
        ("iv: 1 mg over 1 h over 2 h", "R007"),
        ("iv: 1 mg every 1 d then 2 mg", "R007"),
        ("iv: 1 mg then 2 mg", "R007"),
        ("iv: load 1 mg every 1 d then 2 mg every 1 d", "R007"),
        ("iv: 1 mg on days 1, 8 every 7 d x 2", "R010"),
        ("iv: 1 mg on days 0, 1 every 7 d x 2", "R010"),
        ("iv: 1 mg on days 5-2 every 7 d x 2", "R010"),
        ("iv: 1 mg at 1 h on day 2", "R007"),
        ("drug_on: 1 every 1 d", "R009"),
        ("drug_on: AUC 5", "R009"),
        ("WT: 80", "R004"),
    ] {
        assert!(
            codes(text).contains(&code),
            "{text:?} gives {:?}, not {code}",
            codes(text)
        );
    }
    // several findings in one run, each at its place
    let text = "vi: 1 mg; iv: 1 umol";
    let found = Regimen::parse(&pk_model(), text, &Origin::whole("r", text)).expect_err("bad");
    let places: Vec<_> = found.iter().map(|d| (d.code, d.column())).collect();
    assert_eq!(places, [("R002", Some(1)), ("R004", Some(17))]);
    assert!(found.to_string().contains("did you mean `iv`?"));
    assert!(
        found
            .to_string()
            .contains("inputs: oral, iv, molar; covariates: BSA, "),
        "{found}"
    );
}

#[test]
fn missing_covariates_are_named() {
    let input = "[inputs.drug]\ninto = \"s\"\nunit = \"1\"\n";
    let model = model_with("A = { value = 1, unit = \"1\", source = \"x\" }", input);
    let text = "drug: 3 1/m2";
    let found = Regimen::parse(&model, text, &Origin::whole("r", text)).expect_err("no BSA");
    assert_eq!(found.iter().next().map(|d| d.code), Some("R005"));
    assert!(found.to_string().contains("BSA"));
}

#[test]
fn patients_without_a_covariate_value_are_named() {
    let mut cohort = pair();
    cohort.slots[pk_model().slot_index("BSA").expect("slot")][1] = f64::NAN;
    let text = "iv: 10 mg/m2";
    let found = read(text)
        .timelines(&pk_model(), &cohort, 10.0, &Origin::whole("r", text))
        .expect_err("NaN");
    assert!(found.to_string().contains("patient 1: `BSA` is NaN"));
}

fn samples(text: &str, end: f64) -> Result<Vec<f64>, Vec<&'static str>> {
    sampling_times(&pk_model(), text, &Origin::whole("s", text), end)
        .map_err(|found| found.iter().map(|d| d.code).collect())
}

#[test]
fn sampling_times_are_read() {
    assert_eq!(
        samples("every 1 d to 3 d", 1e3),
        Ok(vec![0.0, 24.0, 48.0, 72.0])
    );
    assert_eq!(samples("every 6 h", 13.0), Ok(vec![0.0, 6.0, 12.0]));
    assert_eq!(
        samples("2 h, 0, 0.5 h; every 1 h from 2 h until 4 h", 1e3),
        Ok(vec![0.0, 0.5, 2.0, 3.0, 4.0])
    );
    assert_eq!(
        samples("every 0.1 h to 0.3 h", 1e3).map(|t| (t.len(), t[3])),
        Ok((4, 0.3))
    );
    assert_eq!(samples("at 7 d", 1e3), Ok(vec![168.0]));
    for (text, code) in [
        ("", "R001"),
        ("weekly-ish", "R001"),
        ("every 0 h", "R006"),
        ("every 1 ms to 10 yr", "R006"),
        ("3", "R008"),
        ("3 mg", "R008"),
    ] {
        assert_eq!(samples(text, 1e3), Err(vec![code]), "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let model = pk_model();
        let origin = Origin::whole("r", &text);
        let _ = Regimen::parse(&model, &text, &origin);
        let _ = sampling_times(&model, &text, &origin, 100.0);
    }

    #[test]
    fn words_of_the_grammar_in_any_order_do_no_harm(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "iv:", "oral:", "drug_on:", "load", "then", "AUC", "5", "1e308", "0", "-1", "mg", "mg/m2", "mg/kg", "over",
            "every", "q", "x", "from", "at", "on", "days", "until", "h", "d", "wk", ",", ";", "-", "1-5", "daily",
        ]), 0..14)
    ) {
        let (model, text) = (pk_model(), words.join(" "));
        let origin = Origin::whole("r", &text);
        if let Ok(regimen) = Regimen::parse(&model, &text, &origin) {
            let _ = regimen.timelines(&model, &Cohort::typical(&model, 2), 1000.0, &origin);
        }
    }

    /// Total drug given is amount x doses, whatever the schedule.
    #[test]
    fn the_written_doses_are_given(dose in 1u32..500, every in 1u32..30, count in 1u32..10, over in 1u32..20) {
        let text = format!("iv: {dose} mg over {over} h every {every} d x {count}");
        let lines = lowered(&text, &Cohort::typical(&pk_model(), 1), 1e5);
        let given = doses(&lines, 0);
        let total: f64 = given.iter().map(|d| -d.0 * d.2).sum(); // sum of rate * (stop - start)
        proptest::prop_assert!((total - f64::from(dose * count)).abs() < 1e-6 * total);
        proptest::prop_assert_eq!(given.len() as u32, 2 * count);
    }
}
