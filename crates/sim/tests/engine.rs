//! Summaries, grades, residual error, containment, repeated rows and the cutting of timelines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]
#![allow(clippy::needless_range_loop, reason = "patients index several tables")]

mod common;

use common::{Case, device, exact, grid, library, parse, shipped};
use posology_cohort::{Action, Amount, Cohort, Event, Repeat, Timeline, Timelines, philox};
use posology_kernels::reference::{self, Method};
use posology_kernels::simulate::Status;
use posology_kernels::timeline::{Action as Act, Timeline as Rows};
use posology_model::model::{Origin, StepPiece, StepSchedule};
use posology_sim::outputs::column;
use posology_sim::{OutputPlan, RuleSet, RunOptions, SimError, rows};
use proptest::prelude::*;
use rayon::prelude::*;

/// Values as bits: a NaN equals itself.
fn bits(columns: &[Vec<f64>]) -> Vec<u64> {
    columns
        .iter()
        .flatten()
        .map(|value| value.to_bits())
        .collect()
}

const DECAY: &str = r#"
name = "decay"
title = "A bolus of 100 that decays, and every kind of summary of it"
time = "h"
dt = "0.05 h"
[sources]
x = "made up for a test"
[parameters]
k = { value = 0.1, unit = "1/h", source = "x", iiv = { cv = 0.3 } }
V = { value = 10, unit = "L", source = "x" }
on = { value = 1, unit = "1", source = "x" }
[inputs.drug]
into = "central"
unit = "mg"
[states.central]
unit = "mg"
rate = "-k*central"
[observables.cp]
expr = "central/V"
unit = "mg/L"
error = { proportional = 0.2, additive = "0.5 mg/L" }
[observables.lcp]
expr = "central/V"
unit = "ug/L"
error = { lognormal = 0.3 }
[observables.blind]
expr = "central/V"
unit = "mg/L"
[toxicities.high]
expr = "central/V"
above = ["2 mg/L", "5 mg/L", "9.9 mg/L", "25 mg/L"]
grades = [1, 2, 3, 4]
source = "x"
[toxicities.low]
expr = "central/V"
below = ["8 mg/L", "1 mg/L", "0.01 mg/L"]
grades = [2, 3, 4]
source = "x"
[summaries]
least = { min = "central/V", unit = "mg/L" }
most = { max = "central/V", unit = "ug/L" }
auc = { integral = "central/V", unit = "mg*h/L" }
above = { time_above = "central/V", threshold = "3 mg/L", unit = "h" }
below = { time_below = "central/V", threshold = "3 mg/L", unit = "min" }
halved = { first_time = "central < 50[mg]", unit = "h" }
never = { first_time = "central > 1000[mg]", unit = "h" }
end = { last = "central/V", unit = "mg/L" }
at5 = { at = "central/V", time = "5 h", unit = "mg/L" }
trough = { at = "central/V", time = "24 h", unit = "mg/L" }
[scenario]
regimen = "100 mg every 24 h x 2"
duration = "30 h"
"#;

/// Two boluses, 24 h apart: every summary has a closed form.
#[test]
fn summaries_and_grades_have_their_analytic_values() {
    let model = parse(DECAY);
    let n = 200;
    let cohort = Cohort::sample(&model, n, 2, 0).unwrap_or_else(|found| panic!("{found}"));
    let timelines = common::scenario(&model, &cohort);
    let outputs = OutputPlan::of_model(&model, false);
    let case = Case {
        model,
        cohort,
        timelines,
        outputs,
        rules: RuleSet::default(),
    };
    let results = case.run(&exact());
    let of = |name: &str, i: usize| {
        let at = case
            .outputs
            .summaries
            .iter()
            .position(|column| column.name == name)
            .unwrap_or_else(|| panic!("{name}"));
        results.summaries[at][i]
    };
    let mut worst = 0.0f64;
    for i in 0..n {
        let k = case.cohort.slots[0][i];
        let first = |t: f64| 10.0 * (-k * t).exp();
        let trough = first(24.0);
        let second = |t: f64| (trough + 10.0) * (-k * (t - 24.0)).exp();
        let end = second(30.0);
        // hours above 3 mg/L
        let cross = (10.0f64 / 3.0).ln() / k;
        let again = ((trough + 10.0) / 3.0).ln() / k;
        let above = cross.min(24.0) + again.min(6.0);
        let halved = std::f64::consts::LN_2 / k;
        let halved = if halved <= 24.0 { halved } else { f64::NAN };
        let most = trough + 10.0;
        let least = trough.min(end);
        let auc = (10.0 - trough) / k + (most - end) / k;
        let grade = |levels: &[(f64, f64)], passed: &dyn Fn(f64) -> bool| {
            levels
                .iter()
                .rev()
                .find(|(level, _)| passed(*level))
                .map_or(0.0, |(_, grade)| *grade)
        };
        let high = grade(
            &[(2.0, 1.0), (5.0, 2.0), (9.9, 3.0), (25.0, 4.0)],
            &|level| most > level,
        );
        let low = grade(&[(8.0, 2.0), (1.0, 3.0), (0.01, 4.0)], &|level| {
            least < level
        });
        let expected = [
            ("least", least),
            ("most", 1000.0 * most),
            ("auc", auc),
            ("above", above),
            ("below", 60.0 * (30.0 - above)),
            ("end", end),
            ("at5", first(5.0)),
            ("trough", trough),
            ("high_grade", high),
            ("low_grade", low),
            ("high_worst", most),
        ];
        for (name, expected) in expected {
            let got = of(name, i);
            let error = (got - expected).abs() / expected.abs().max(1e-3);
            worst = worst.max(error);
            assert!(error < 1e-4, "patient {i}: {name} is {got}, not {expected}");
        }
        if halved.is_nan() {
            // the second dose lifts it before it gets there
            assert!(of("halved", i).is_nan());
        } else {
            assert!(
                (of("halved", i) / halved - 1.0).abs() < 1e-4,
                "{} {halved}",
                of("halved", i)
            );
        }
        assert!(of("never", i).is_nan());
    }
    println!("analytic summaries of {n} patients: largest relative error {worst:.1e}");
}

/// Every summary and grade of every shipped model against the f64 reference.
#[test]
fn summaries_of_the_library_follow_the_reference() {
    let mut failed = Vec::new();
    for model in library() {
        let n = 60;
        let cohort = Cohort::sample(&model, n, 77, 0).unwrap_or_else(|found| panic!("{found}"));
        let timelines = common::scenario(&model, &cohort);
        let outputs = OutputPlan::of_model(&model, false);
        let case = Case {
            model,
            cohort,
            timelines,
            outputs,
            rules: RuleSet::default(),
        };
        let results = case.run(&exact());
        let (program, lowered) = (case.program(), case.rows());
        let schedule = &case.model.step.0;
        let dt = schedule.iter().map(|piece| piece.dt).fold(0.0, f64::max);
        let paths: Vec<_> = (0..n)
            .into_par_iter()
            .map(|i| {
                let rows = &lowered[case.timelines.of_patient[i] as usize];
                reference::simulate(
                    &program,
                    rows,
                    &case.cohort.patient(i),
                    &case.scales(i),
                    Method::Rk4 { refine: 1 },
                )
                .unwrap()
            })
            .collect();
        let mut worst = (0.0f64, String::new());
        // a summary's scale is its largest value over the patients
        let top = |k: usize| {
            let shown = &case.outputs.summaries[k];
            let values = paths
                .iter()
                .map(|path| (path.summaries[k] / shown.scale).abs());
            values.filter(|v| v.is_finite()).fold(0.0, f64::max)
        };
        for (k, shown) in case.outputs.summaries.iter().enumerate() {
            // one that is zero but for rounding, as the difference of larger amounts of its unit,
            // is as exact as these
            let alike = case.outputs.summaries.iter().enumerate();
            let alike = alike.filter(|(_, other)| other.unit == shown.unit);
            let largest = alike.map(|(other, _)| top(other)).fold(0.0, f64::max);
            let zero = top(k) < 1e-9 * largest;
            let top = if zero { 0.01 * largest } else { top(k) };
            for (i, path) in paths.iter().enumerate() {
                let (got, expected) = (results.summaries[k][i], path.summaries[k] / shown.scale);
                if got.is_nan() && expected.is_nan() {
                    continue;
                }
                let mut error = (got - expected).abs() / top.max(f64::MIN_POSITIVE);
                // where the threshold lies within rounding of the value, a grade may go either way
                if shown.name.ends_with("_grade") && got != expected {
                    error = 1.0;
                }
                // a condition that is met on one side of a step only
                if !(error <= 1e-4) {
                    failed.push(format!(
                        "{} {} of patient {i}: {got}, not {expected}; dt {dt}",
                        case.model.name, shown.name
                    ));
                }
                if !(error <= worst.0) {
                    worst = (error, shown.name.clone());
                }
            }
        }
        println!(
            "{:26} {} summaries, largest error {:.1e} ({})",
            case.model.name,
            case.outputs.summaries.len(),
            worst.0,
            worst.1
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A long time above a threshold is a sum of many equal steps.
#[test]
fn time_above_does_not_drift() {
    let mut model = parse(
        &DECAY
            .replace("value = 0.1", "value = 0.000001")
            .replace(", iiv = { cv = 0.3 }", ""),
    );
    model.step = StepSchedule::constant(0.1);
    let cohort = Cohort::typical(&model, 1);
    let timelines = common::regimen(&model, &cohort, "100 mg", 30_000.0);
    let outputs = OutputPlan::of_model(&model, false);
    let case = Case {
        model,
        cohort,
        timelines,
        outputs,
        rules: RuleSet::default(),
    };
    let results = case.run(&exact());
    let at = case
        .outputs
        .summaries
        .iter()
        .position(|column| column.name == "above")
        .unwrap();
    let error = (results.summaries[at][0] / 30_000.0 - 1.0).abs();
    println!("time above over 300,000 steps: relative error {error:.1e}");
    assert!(error < 1e-6, "{error:e}");
}

const CLOCKS: &str = r#"
name = "clocks"
title = "Integrals of time and of time after dose"
time = "h"
dt = "0.1 h"
[sources]
x = "made up for a test"
[parameters]
one = { value = 1, unit = "1", source = "x" }
[inputs.drug]
into = "dose"
unit = "1"
[states.dose]
unit = "1"
rate = "0"
[states.since]
unit = "h^2"
rate = "one*tad"
[states.whole]
unit = "h^2"
rate = "one*t"
[observables.since]
expr = "since"
unit = "h^2"
"#;

/// Time, and time after dose, are sums of thousands of equal steps.
#[test]
fn clocks_do_not_drift() {
    let model = parse(CLOCKS);
    let cohort = Cohort::typical(&model, 1);
    let timelines = common::regimen(&model, &cohort, "1 at 300 h", 3000.0);
    let case = Case {
        outputs: OutputPlan::of_model(&model, false),
        rules: RuleSet::default(),
        model,
        cohort,
        timelines,
    };
    let results = case.run(&exact());
    let since = 0.5 * (300.0f64.powi(2) + 2700.0f64.powi(2));
    let errors = [
        f64::from(results.states[1][0]) / since - 1.0,
        f64::from(results.states[2][0]) / 4.5e6 - 1.0,
    ]
    .map(f64::abs);
    println!(
        "integrals over 30,000 steps: time after dose {:.1e}, time {:.1e}",
        errors[0], errors[1]
    );
    assert!(errors.iter().all(|error| *error < 1e-6), "{errors:?}");
}

/// The device's noise is the host's normals, applied as the model says, for every patient and record.
#[test]
fn residual_error_is_that_of_the_host() {
    let model = parse(
        &DECAY
            .replace(", iiv = { cv = 0.3 }", "")
            .replace("0.05 h", "0.5 h"),
    );
    let (n, seed) = (2000, 0xfeed_beef_1234);
    let mut cohort = Cohort::typical(&model, n);
    cohort.ids.iter_mut().for_each(|id| *id += 17);
    let times: Vec<f64> = (0..20).map(|k| 1.0 + f64::from(k)).collect();
    let timelines = common::scenario(&model, &cohort).with_records(&times);
    let outputs = OutputPlan::of_model(&model, true);
    let case = Case {
        model,
        cohort,
        timelines,
        outputs,
        rules: RuleSet::default(),
    };
    let results = case.run(&RunOptions {
        seed,
        ..RunOptions::default()
    });
    let find = |name: &str| {
        case.outputs
            .records
            .iter()
            .position(|column| column.name == name)
            .unwrap()
    };
    let [cp, cp_obs, lcp, lcp_obs] = ["cp", "cp_obs", "lcp", "lcp_obs"].map(find);
    let mut worst = 0.0f64;
    let mut standardised: [Vec<f64>; 2] = Default::default();
    for i in 0..n {
        for record in 0..times.len() {
            let row = results.record_offsets[i] + record;
            let at = |column: usize| results.records[column][row];
            let z = |column: usize| {
                philox::standard_normal(
                    seed,
                    case.cohort.ids[i],
                    record as u32,
                    philox::stream::RESIDUAL,
                    column as u32,
                )
            };
            let spread = (0.5f64.powi(2) + (0.2 * at(cp)).powi(2)).sqrt();
            let got = (at(cp_obs) - at(cp)) / spread;
            worst = worst.max((got - z(cp_obs)).abs());
            standardised[0].push(got);
            let got = (at(lcp_obs) / at(lcp)).ln() / 0.3;
            worst = worst.max((got - z(lcp_obs)).abs());
            standardised[1].push(got);
        }
    }
    for (name, values) in ["combined", "log-normal"].iter().zip(&standardised) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let sd = (values.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / count).sqrt();
        println!("{name}: mean {mean:.4}, SD {sd:.4} of {count} standardised residuals");
        assert!(mean.abs() < 4.0 / count.sqrt() && (sd - 1.0).abs() < 4.0 / (2.0 * count).sqrt());
    }
    println!("device and host normals differ by at most {worst:.1e}");
    assert!(worst < 2e-5, "{worst:e}");
    // without residual error the observed columns are the predictions
    let plain = case.run(&exact());
    assert_eq!(plain.records[cp], plain.records[cp_obs]);
    assert_eq!(plain.records[find("blind")], results.records[find("blind")]);
}

const BLOW_UP: &str = r#"
name = "blow-up"
title = "Growth that explodes, decay that crosses zero"
time = "d"
dt = "0.01 d"
[sources]
x = "made up for a test"
[parameters]
k = { value = 0.1, unit = "1/d", source = "x" }
sink = { value = 0, unit = "1/d", source = "x" }
hole = { value = 0, unit = "1/d", source = "x" }
[states.x]
unit = "1"
init = "1"
rate = "k*x*x"
[states.y]
unit = "1"
init = "1"
rate = "-sink"
[states.z]
unit = "1"
init = "1"
rate = "if(hole > 0[1/d], hole*ln(2 - t/1[d]), 0)"
[observables.x]
expr = "x"
unit = "1"
[summaries]
most = { max = "x", unit = "1" }
[scenario]
duration = "4 d"
"#;

#[test]
fn divergence_is_contained_counted_and_refused() {
    let model = parse(BLOW_UP);
    let n = 1000;
    let mut cohort = Cohort::typical(&model, n);
    // 10: infinite at t = 2; 20: negative after t = 1; 30: NaN after t = 2
    cohort.slots[0][10] = 0.5;
    cohort.slots[1][20] = 1.0;
    cohort.slots[2][30] = 0.1;
    let times: Vec<f64> = (0..=8).map(|k| 0.5 * f64::from(k)).collect();
    let timelines = Timelines::shared(n, Timeline::new(Vec::new(), 4.0)).with_records(&times);
    let outputs = OutputPlan::of_model(&model, false);
    let case = Case {
        model,
        cohort,
        timelines,
        outputs,
        rules: RuleSet::default(),
    };
    let results = case.run(&RunOptions {
        max_diverged: 0.0031,
        ..exact()
    });
    assert_eq!(
        results.diverged(),
        vec![(Status::NotFinite, 2), (Status::Negative, 1)]
    );
    assert_eq!(
        (results.status[10], results.status[20], results.status[30]),
        (Status::NotFinite, Status::Negative, Status::NotFinite)
    );
    let finite = results.states.iter().flatten().all(|v| v.is_finite());
    assert!(finite, "frozen states are the last good ones");
    println!(
        "frozen at t = {}, {}, {}",
        results.time[10], results.time[20], results.time[30]
    );
    assert!(
        (results.time[10] - 2.0).abs() < 0.05
            && (results.time[20] - 1.0).abs() < 0.02
            && (results.time[30] - 2.0).abs() < 0.011
    );
    assert!(results.states[1][20] >= -1e-3);
    // x = 1/(1 - k t) at the time reached
    let x = f64::from(results.states[0][30]);
    assert!((x * (1.0 - 0.1 * results.time[30]) - 1.0).abs() < 1e-5);
    for i in 0..n {
        let records = &results.records[0][results.record_offsets[i]..results.record_offsets[i + 1]];
        let kept = times.iter().take_while(|&&t| t <= results.time[i]).count();
        assert_eq!(
            records.iter().filter(|v| v.is_finite()).count(),
            kept,
            "records of patient {i}"
        );
        if ![10, 20, 30].contains(&i) {
            assert_eq!(results.status[i], Status::Completed);
            assert!(
                (f64::from(results.states[0][i]) - 1.0 / 0.6).abs() < 1e-5,
                "neighbours are untouched"
            );
        }
    }
    let refused = posology_sim::run(
        device(),
        &case.simulation(),
        &RunOptions {
            max_diverged: 0.0029,
            ..exact()
        },
        |_, _| true,
    );
    match refused {
        Err(SimError::TooManyDiverged {
            diverged: 3,
            total: 1000,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    let interrupted = posology_sim::run(device(), &case.simulation(), &exact(), |_, _| false);
    assert!(matches!(
        interrupted,
        Err(SimError::Interrupted {
            done: 0,
            total: 1000
        })
    ));
}

/// An adaptive rule every day, as a repeated row and as events written out.
#[test]
fn repeated_rules_equal_rules_written_out() {
    let mut model = parse(&DECAY.replace("-k*central", "on*5[mg/h] - k*central"));
    let origin = Origin::whole("rule", "");
    let node = model
        .expression(
            "if(central > 40[mg], 0, if(central < 20[mg], 1, on))",
            &origin,
        )
        .unwrap_or_else(|found| panic!("{found}"))
        .node;
    let slot = model.slot_index("on").unwrap();
    let n = 100;
    let cohort = Cohort::sample(&model, n, 8, 0).unwrap_or_else(|found| panic!("{found}"));
    let outputs = OutputPlan::of_model(&model, true);
    for (every, from, until, end) in [
        (1.0, 0.0, 200.0, 200.0),
        (0.7, 3.3, 150.0, 200.0),
        (24.0, 12.0, 180.0, 200.0),
        (0.37, 0.0, 199.9, 200.0),
    ] {
        let base = common::regimen(&model, &cohort, "30 mg every 48 h x 3", end)
            .with_records(&[0.0, 11.1, 24.0, 37.3, 100.0, 150.0, 200.0]);
        let rules = RuleSet {
            set: vec![(slot, node)],
            ..RuleSet::default()
        };
        let repeated = Case {
            model: model.clone(),
            cohort: cohort.clone(),
            timelines: base.clone().with_rule(every, from, until),
            outputs: outputs.clone(),
            rules,
        };
        // the same instants as events: after what is listed at their time
        let mut expanded = base;
        for timeline in &mut expanded.timelines {
            let mut k = 0;
            while from + f64::from(k) * every <= until + 1e-9 * every {
                timeline
                    .events
                    .push(Event::new(from + f64::from(k) * every, Action::Rule));
                k += 1;
            }
            timeline.events.sort_by(|a, b| a.time.total_cmp(&b.time));
        }
        let rows = repeated.rows()[0].rows.len();
        let written = Case {
            timelines: expanded,
            model: repeated.model.clone(),
            cohort: repeated.cohort.clone(),
            outputs: repeated.outputs.clone(),
            rules: repeated.rules.clone(),
        };
        let written_rows = written.rows()[0].rows.len();
        let (a, b) = (repeated.run(&exact()), written.run(&exact()));
        let mut worst = 0.0f64;
        for (x, y) in a.states.iter().flatten().zip(b.states.iter().flatten()) {
            worst = worst.max(f64::from((x - y).abs() / y.abs()));
        }
        println!(
            "every {every} h: {rows} rows instead of {written_rows}, states differ by {worst:.1e}"
        );
        assert!(rows <= written_rows && (every > 12.0 || 5 * rows < written_rows));
        // an interval with an exact step gives the same bits; otherwise the step rounds differently
        if every == 1.0 || every == 24.0 {
            assert_eq!(a.states, b.states);
            assert_eq!(bits(&a.records), bits(&b.records));
            assert_eq!(bits(&a.summaries), bits(&b.summaries));
        } else {
            assert!(worst < 1e-5, "{worst:e}");
        }
        let on = a.states[0]
            .iter()
            .map(|v| v.to_bits())
            .collect::<std::collections::HashSet<_>>()
            .len();
        assert!(on > n / 2, "the rule decides for each patient");
    }
}

/// What a row timeline does, walked plainly: (time, action).
fn walk(rows: &Rows) -> (f64, Vec<(f64, Act)>, f64) {
    let mut time = 0.0;
    let mut done = Vec::new();
    let mut longest = 0.0f64;
    let mut row = 0;
    let mut passes = 0;
    while let Some(current) = rows.rows.get(row) {
        for &action in &current.actions {
            if let Act::Clock { time: start } = action {
                time = start;
            }
            done.push((time, action));
        }
        time += f64::from(current.steps) * current.h;
        if current.steps > 0 {
            longest = longest.max(current.h);
        }
        row += 1;
        if let Some(repeat) = current.repeat {
            passes += 1;
            if passes < repeat.passes {
                row -= repeat.rows as usize;
            } else {
                passes = 0;
            }
        }
    }
    (time, done, longest)
}

fn random_timeline() -> impl Strategy<Value = (Timeline, StepSchedule, Vec<f64>)> {
    let event = (0.0f64..100.0, 0..5u8, any::<bool>()).prop_map(|(time, kind, dose)| {
        // half of the times on a grid, so that some coincide
        let time = if dose {
            (time * 2.0).round() / 2.0
        } else {
            time
        };
        let amount = Amount::fixed(3.0);
        let action = match kind {
            0 => Action::Bolus { input: 0, amount },
            1 => Action::Rate {
                input: 0,
                change: amount,
            },
            2 => Action::SetSlot {
                slot: 0,
                value: 2.0,
            },
            _ => Action::Record,
        };
        Event {
            time,
            action,
            dose: dose && kind < 2,
        }
    });
    let repeat = proptest::option::of((0.1f64..20.0, 0.0f64..50.0, 0.0f64..100.0));
    let schedule = (
        0.01f64..2.0,
        proptest::option::of((0.5f64..10.0, 0.01f64..1.0)),
    );
    (
        proptest::collection::vec(event, 0..25),
        repeat,
        schedule,
        proptest::collection::vec(0.0f64..110.0, 0..3),
    )
        .prop_map(|(events, repeat, (dt, piece), latches)| {
            let mut timeline = Timeline::new(events, 100.0);
            timeline.repeat = repeat.map(|(every, from, until)| Repeat {
                every,
                actions: vec![Action::Rule],
                from,
                until,
            });
            let mut pieces: Vec<StepPiece> = piece
                .map(|(until, dt)| StepPiece {
                    until: Some(until),
                    dt,
                })
                .into_iter()
                .collect();
            pieces.push(StepPiece { until: None, dt });
            (timeline, StepSchedule(pieces), latches)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rows take exactly the timeline's time, in steps no longer than allowed, with every event at
    /// its time, in order, between steps.
    #[test]
    fn rows_are_the_timeline((timeline, schedule, latches) in random_timeline()) {
        let latches: Vec<(f64, usize)> = latches.into_iter().enumerate().map(|(k, time)| (time, k)).collect();
        let lowered = rows::lower(&timeline, &schedule, &[0], &latches);
        let (end, done, longest) = walk(&lowered);
        prop_assert!((end - timeline.end).abs() < 1e-6, "ends at {end}");
        let most = schedule.0.iter().map(|piece| piece.dt).fold(0.0, f64::max);
        prop_assert!(longest <= most * (1.0 + 1e-9), "a step of {longest}, allowed {most}");
        let records = timeline.record_count();
        prop_assert_eq!(lowered.record_count(), records);
        let times_of = |wanted: fn(&Act) -> bool| done.iter().filter(|(_, action)| wanted(action)).map(|(time, _)| *time).collect::<Vec<_>>();
        let near = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        let expected: Vec<f64> = timeline.events.iter().filter(|e| e.action == Action::Record).map(|e| e.time).collect();
        prop_assert!(near(&times_of(|a| matches!(a, Act::Record)), &expected));
        let expected: Vec<f64> = timeline.events.iter().filter(|e| matches!(e.action, Action::Bolus { .. })).map(|e| e.time).collect();
        let seen = times_of(|a| matches!(a, Act::Bolus { .. }));
        prop_assert!(near(&seen, &expected));
        let expected: Vec<f64> = timeline.events.iter().filter(|e| e.dose).map(|e| e.time).collect();
        let doses = times_of(|a| matches!(a, Act::Dose { .. }));
        prop_assert!(near(&doses, &expected));
        let mut expected: Vec<f64> = latches.iter().map(|(time, _)| *time).filter(|time| *time <= timeline.end).collect();
        expected.sort_by(f64::total_cmp);
        let seen = times_of(|a| matches!(a, Act::Latch { .. }));
        prop_assert!(near(&seen, &expected));
        if let Some(repeat) = &timeline.repeat {
            let ticks = (0..).map(|k| repeat.from + f64::from(k) * repeat.every);
            let expected: Vec<f64> = ticks.take_while(|t| *t <= repeat.until.min(timeline.end) + 1e-9 * repeat.every).collect();
            let seen = times_of(|a| matches!(a, Act::Rule));
            prop_assert!(near(&seen, &expected), "rules at {seen:?}, expected {expected:?}");
        }
    }
}

/// The device's limits may cut a cohort into chunks: the same numbers as in one piece.
#[test]
fn chunks_do_not_change_a_large_cohort() {
    let mut case = Case::sampled(shipped("abiraterone-psa"), 20_000, 6, &grid(4));
    case.outputs = OutputPlan::of_model(&case.model, true);
    case.model.step = StepSchedule::constant(5.0);
    let whole = case.run(&RunOptions {
        max_diverged: 1.0,
        ..RunOptions::default()
    });
    let chunks = case.run(&RunOptions {
        max_diverged: 1.0,
        batch: Some(3000),
        ..RunOptions::default()
    });
    assert_eq!(bits(&whole.records), bits(&chunks.records));
    assert_eq!(bits(&whole.summaries), bits(&chunks.summaries));
    assert_eq!(whole.states, chunks.states);
    assert_eq!(whole.record_offsets, chunks.record_offsets);
    assert_eq!(
        (whole.status, whole.time, whole.patient_steps),
        (chunks.status, chunks.time, chunks.patient_steps)
    );
    println!("20,000 patients in one batch and in 7 chunks of 3,000: equal bits");
}

/// More than 32 values at times: each is kept, before the dose of its time.
#[test]
fn many_values_at_times() {
    let mut model = parse(&DECAY.replace(", iiv = { cv = 0.3 }", ""));
    let state = model.graph.state(0);
    let cohort = Cohort::typical(&model, 1);
    let timelines = common::regimen(&model, &cohort, "100 mg every 2 h x 30", 60.0);
    let mut outputs = OutputPlan::none();
    for k in 0..40 {
        let shown = column(&model, "at", &model.states[0].unit);
        let at = outputs.summary(
            shown,
            posology_model::program::AccumulatorRequest::Latch(state),
        );
        outputs.latches.push((f64::from(k), at));
    }
    let case = Case {
        model,
        cohort,
        timelines,
        outputs,
        rules: RuleSet::default(),
    };
    let results = case.run(&exact());
    for k in 0..40 {
        let t = f64::from(k);
        // doses strictly before t
        let expected: f64 = (0..30)
            .map(|d| 2.0 * f64::from(d))
            .filter(|d| *d < t)
            .map(|d| 100.0 * (-0.1 * (t - d)).exp())
            .sum();
        let got = results.summaries[k as usize][0];
        assert!(
            (got - expected).abs() <= 1e-5 * expected.max(1.0),
            "at {t}: {got}, not {expected}"
        );
    }
}
