//! Every record type of NM-TRAN, and their combinations, against closed forms: sums of the
//! responses to single doses (the model is linear), infinite sums for steady state.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use posology_cohort::Dataset;

/// Reads and predicts a text.
fn predictions(text: &str) -> Vec<f64> {
    let model = common::model();
    let dataset = Dataset::parse("data.csv", text.as_bytes(), &model)
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    let replay = dataset
        .replay(&model, None)
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    common::predict(&model, &dataset, &replay)
}

const KA: f64 = 1.5;
const K: f64 = 1.1 / 20.0;
const V: f64 = 20.0;

fn bolus(t: f64, dose: f64) -> f64 {
    if t < 0.0 {
        0.0
    } else {
        dose / V * (-K * t).exp()
    }
}

fn oral(t: f64, dose: f64) -> f64 {
    if t < 0.0 {
        0.0
    } else {
        dose / V * KA / (KA - K) * ((-K * t).exp() - (-KA * t).exp())
    }
}

fn infusion(t: f64, rate: f64, duration: f64) -> f64 {
    let during = |t: f64| rate / (K * V) * (1.0 - (-K * t).exp());
    match t {
        t if t < 0.0 => 0.0,
        t if t < duration => during(t),
        t => during(duration) * (-K * (t - duration)).exp(),
    }
}

/// Response to a dose given at 0 and at every interval before it since ever.
fn since_ever(t: f64, interval: f64, response: impl Fn(f64) -> f64) -> f64 {
    (0..3000)
        .map(|k| response(t + f64::from(k) * interval))
        .sum()
}

fn repeated(t: f64, interval: f64, doses: i32, response: impl Fn(f64) -> f64) -> f64 {
    (0..doses)
        .map(|k| response(t - f64::from(k) * interval))
        .sum()
}

/// Data: the given lines, then observations at `times`; their predictions must be `expected`.
#[track_caller]
fn check(columns: &str, doses: &[&str], times: &[f64], expected: impl Fn(f64) -> f64) {
    let mut text = format!("{columns}\n");
    for dose in doses {
        text.push_str(&format!("{dose}\n"));
    }
    let fields = columns.split(',').count();
    for time in times {
        text.push_str(&format!("1,{time}{}\n", ",.".repeat(fields - 2)));
    }
    let seen = predictions(&text);
    for (time, &seen) in times.iter().zip(&seen[doses.len()..]) {
        let wanted = expected(*time);
        assert!(
            (seen - wanted).abs() <= 1e-9 * wanted.abs().max(1e-6),
            "at {time}: {seen}, not {wanted}\n{text}"
        );
    }
}

const TIMES: &[f64] = &[0.0, 0.5, 1.0, 3.0, 7.5, 11.0, 12.0, 13.0, 24.0, 40.0, 60.5];

#[test]
fn bolus_oral_and_their_bioavailability_and_lag() {
    check("id,time,amt,cmt", &["1,0,100,iv"], TIMES, |t| {
        bolus(t, 100.0)
    });
    check("ID,TIME,AMT,CMT", &["1,0,100,2"], TIMES, |t| {
        bolus(t, 100.0)
    });
    check("ID,TIME,AMT,CMT", &["1,0,100,depot"], TIMES, |t| {
        oral(t, 100.0)
    });
    check(
        "ID,TIME,AMT,CMT,F1,LAG",
        &["1,0,100,oral,0.4,2.5"],
        TIMES,
        |t| oral(t - 2.5, 40.0),
    );
    // units in the header
    check("ID,TIME,AMT (g),CMT", &["1,0,0.1,1"], TIMES, |t| {
        oral(t, 100.0)
    });
    check(
        "ID,TIME,AMT,CMT,LAG (min)",
        &["1,0,100,iv,150"],
        TIMES,
        |t| bolus(t - 2.5, 100.0),
    );
}

#[test]
fn infusions_given_and_modelled() {
    check("ID,TIME,AMT,RATE,CMT", &["1,0,100,10,2"], TIMES, |t| {
        infusion(t, 10.0, 10.0)
    });
    // F scales the duration, not the rate
    check(
        "ID,TIME,AMT,RATE,CMT,F1",
        &["1,0,100,10,2,0.5"],
        TIMES,
        |t| infusion(t, 10.0, 5.0),
    );
    check(
        "ID,TIME,AMT,RATE,CMT,D1,F1",
        &["1,0,100,-2,iv,8,0.5"],
        TIMES,
        |t| infusion(t, 6.25, 8.0),
    );
    check(
        "ID,TIME,AMT,RATE (mg/min),CMT,LAG",
        &["1,0,60,0.5,iv,1"],
        TIMES,
        |t| infusion(t - 1.0, 30.0, 2.0),
    );
}

#[test]
fn additional_doses_and_infusions_that_outlast_their_interval() {
    check("ID,TIME,AMT,CMT,ADDL,II", &["1,0,100,2,3,12"], TIMES, |t| {
        repeated(t, 12.0, 4, |t| bolus(t, 100.0))
    });
    check(
        "ID,TIME,AMT,RATE,CMT,ADDL,II",
        &["1,0,100,10,2,4,4"],
        TIMES,
        |t| repeated(t, 4.0, 5, |t| infusion(t, 10.0, 10.0)),
    );
    check(
        "ID,TIME,AMT,CMT,ADDL,II,LAG",
        &["1,0,100,2,3,12,5"],
        TIMES,
        |t| repeated(t - 5.0, 12.0, 4, |t| bolus(t, 100.0)),
    );
}

#[test]
fn doses_overlap_with_doses_of_other_records() {
    check(
        "ID,TIME,AMT,RATE,CMT",
        &["1,0,100,10,2", "1,3,50,.,1", "1,6,80,8,2"],
        &[6.0, 8.0, 12.0, 30.0],
        |t| infusion(t, 10.0, 10.0) + oral(t - 3.0, 50.0) + infusion(t - 6.0, 8.0, 10.0),
    );
}

#[test]
fn steady_state_of_boluses() {
    let steady = |t: f64| since_ever(t, 12.0, |t| bolus(t, 100.0));
    check("ID,TIME,AMT,CMT,SS,II", &["1,0,100,2,1,12"], TIMES, steady);
    check("ID,TIME,AMT,CMT,SS,II", &["1,0,100,1,1,12"], TIMES, |t| {
        since_ever(t, 12.0, |t| oral(t, 100.0))
    });
    check(
        "ID,TIME,AMT,CMT,SS,II,ADDL",
        &["1,0,100,2,1,12,20"],
        TIMES,
        |t| since_ever(t.rem_euclid(12.0), 12.0, |t| bolus(t, 100.0)),
    );
    // trough before the dose in closed form: D/V e / (1 - e)
    let e = (-K * 12.0f64).exp();
    let seen =
        predictions("ID,TIME,AMT,CMT,SS,II,ADDL\n1,0,100,2,1,12,1\n1,11.999999999,.,.,.,.,.\n");
    assert!((seen[1] - 100.0 / V * e / (1.0 - e)).abs() < 1e-8);
}

#[test]
fn steady_state_with_lag() {
    for lag in [5.0, 12.0, 15.0, 30.0] {
        let steady = |t: f64| since_ever(t - lag, 12.0, |t| bolus(t, 100.0));
        check(
            "ID,TIME,AMT,CMT,SS,II,LAG",
            &[&format!("1,0,100,2,1,12,{lag}")],
            TIMES,
            steady,
        );
        let steady = |t: f64| since_ever(t - lag, 12.0, |t| infusion(t, 4.0, 25.0));
        check(
            "ID,TIME,AMT,RATE,CMT,SS,II,LAG",
            &[&format!("1,0,100,4,2,1,12,{lag}")],
            TIMES,
            steady,
        );
        let steady = |t: f64| since_ever(t - lag, 12.0, |t| infusion(t, 20.0, 5.0));
        check(
            "ID,TIME,AMT,RATE,CMT,SS,II,LAG",
            &[&format!("1,0,100,20,2,1,12,{lag}")],
            TIMES,
            steady,
        );
    }
}

#[test]
fn steady_state_of_infusions() {
    let columns = "ID,TIME,AMT,RATE,CMT,SS,II";
    for (rate, duration) in [
        (20.0, 5.0),
        (100.0 / 12.0, 12.0),
        (4.0, 25.0),
        (100.0 / 24.0, 24.0),
        (1.0, 100.0),
    ] {
        let line = format!("1,0,100,{rate},2,1,12");
        check(columns, &[&line], TIMES, |t| {
            since_ever(t, 12.0, |t| infusion(t, rate, duration))
        });
    }
    check(
        "ID,TIME,AMT,RATE,CMT,SS,II,F1",
        &["1,0,100,4,2,1,12,0.25"],
        TIMES,
        |t| since_ever(t, 12.0, |t| infusion(t, 4.0, 6.25)),
    );
    check(
        "ID,TIME,AMT,RATE,CMT,SS,II,D1",
        &["1,0,100,-2,2,1,12,16"],
        TIMES,
        |t| since_ever(t, 12.0, |t| infusion(t, 6.25, 16.0)),
    );
    // an infusion since ever that stops at the record: R/CL, then decay
    check(
        "ID,TIME,AMT,RATE,CMT,SS,II",
        &["1,0,0,10,2,1,0"],
        TIMES,
        |t| 10.0 / 1.1 * (-K * t).exp(),
    );
}

#[test]
fn steady_state_replaces_or_superposes() {
    let columns = "ID,TIME,AMT,RATE,CMT,SS,II,ADDL";
    // morning and evening doses that differ: SS=1, then SS=2 twelve hours later
    let both = |t: f64| {
        since_ever(t, 24.0, |t| bolus(t, 100.0)) + since_ever(t - 12.0, 24.0, |t| oral(t, 50.0))
    };
    check(
        columns,
        &["1,0,100,.,2,1,24,0", "1,12,50,.,1,2,24,0"],
        &[12.0, 13.0, 20.0, 40.0],
        both,
    );
    // SS=1 forgets the infusion before it; SS=2 keeps it
    let dose = "1,0,100,10,2,.,24,5";
    let steady = |t: f64| since_ever(t - 5.0, 12.0, |t| bolus(t, 70.0));
    check(
        columns,
        &[dose, "1,5,70,.,2,1,12,0"],
        &[5.0, 6.0, 30.0],
        steady,
    );
    check(
        columns,
        &[dose, "1,5,70,.,2,2,12,0"],
        &[5.0, 6.0, 30.0, 50.0],
        |t| steady(t) + repeated(t, 24.0, 6, |t| infusion(t, 10.0, 10.0)),
    );
}

#[test]
fn resets() {
    let columns = "ID,TIME,AMT,RATE,CMT,ADDL,II,EVID";
    let doses = ["1,0,100,5,2,9,12,1", "1,8,.,.,.,.,.,3"];
    check(columns, &doses, &[8.0, 9.0, 12.0, 30.0], |_| 0.0);
    let doses = ["1,0,100,5,2,9,12,1", "1,8,60,.,2,.,.,4"];
    check(columns, &doses, &[8.0, 9.0, 12.0, 30.0], |t| {
        bolus(t - 8.0, 60.0)
    });
    // time starts again at a reset
    let text = "ID,TIME,AMT,CMT,EVID\n1,0,100,2,1\n1,10,.,.,0\n1,0,60,2,4\n1,3,.,.,0\n2,0,.,.,0\n";
    let seen = predictions(text);
    let wanted = [5.0, bolus(10.0, 100.0), 3.0, bolus(3.0, 60.0), 0.0];
    assert!(
        seen.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12),
        "{seen:?}"
    );
}

#[test]
fn records_of_equal_time_act_in_file_order() {
    let text = "ID,TIME,AMT,CMT,ADDL,II,EVID\n1,0,.,.,.,.,0\n1,0,100,2,1,12,1\n1,0,.,.,.,.,2\n1,12,.,.,.,.,0\n1,12,20,2,.,.,1\n";
    let after_two = bolus(12.0, 100.0) + 5.0;
    let wanted = [0.0, 5.0, 5.0, after_two, after_two + 1.0];
    let seen = predictions(text);
    assert!(
        seen.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12),
        "{seen:?}"
    );
}

#[test]
fn values_of_columns_are_carried_forward_and_back() {
    // CL doubles at 5 h: k = 0.055 until then, 0.11 after; `cl` in mL/min
    let text = "ID,TIME,AMT,CMT,cl [mL/min]\n1,0,100,2,.\n1,2,.,.,18.3333333333333333\n1,5,.,.,36.6666666666666667\n1,9,.,.,.\n";
    let seen = predictions(text);
    let wanted = [
        5.0,
        bolus(2.0, 100.0),
        bolus(5.0, 100.0),
        bolus(5.0, 100.0) * (-0.11f64 * 4.0).exp(),
    ];
    assert!(
        seen.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12),
        "{seen:?}"
    );
}

#[test]
fn a_modelled_rate() {
    // 25 mg/h of 500 g/mol are 50 umol/h; 100 mg last 4 h, with F = 1
    let text = "ID,TIME,AMT,RATE,CMT,R1\n1,0,100,-1,molar,25\n1,2,.,.,moles,.\n1,9,.,.,moles,.\n";
    let seen = predictions(text);
    let wanted = [0.0, infusion(2.0, 50.0, 4.0), infusion(9.0, 50.0, 4.0)];
    assert!(
        seen.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12),
        "{seen:?}"
    );
    // since ever, until the record
    let text = "ID,TIME,AMT,RATE,CMT,R1,SS\n1,0,0,-1,molar,25,1\n1,2,.,.,moles,.,.\n";
    let seen = predictions(text);
    let wanted = [0.0, 50.0 / 1.1 * (-K * 2.0f64).exp()];
    assert!((seen[1] - wanted[1]).abs() < 1e-9, "{seen:?}");
}

#[test]
fn a_mass_dose_enters_a_molar_state() {
    // 50 mg of 500 g/mol are 100 umol
    let seen = predictions(
        "ID,TIME,AMT,CMT,DVID\n1,0,50,molar,molar_cp\n1,0,.,.,2\n1,0,.,moles,.\n1,0,.,.,cp\n",
    );
    assert_eq!(seen, [5.0, 5.0, 5.0, 0.0]);
}
