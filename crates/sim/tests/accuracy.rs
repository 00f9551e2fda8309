//! How exact the numbers are: kernel against f64, step against converged solution, order of
//! convergence, drift of slow states.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]
#![allow(clippy::needless_range_loop, reason = "patients index several tables")]

mod common;

use std::time::Instant;

use common::{Case, exact, grid, library, shipped};
use posology_kernels::reference::{self, Method, Path};
use posology_model::model::StepSchedule;
use posology_sim::step::{Tuner, accuracy, refuse_unstable, truncation_error};
use rayon::prelude::*;

const PATIENTS: usize = 1000;
/// Largest difference to the f64 reference, as a share of the state's range in the patient.
const KERNEL_TOLERANCE: f64 = 1e-5;
/// Largest difference of the shipped step to the converged solution.
const STEP_TOLERANCE: f64 = 1e-4;

/// Patients compared with the converged solution.
const SAMPLE: usize = 32;

/// The worst state of a comparison.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    error: f64,
    state: usize,
    patient: usize,
    record: usize,
}

impl Worst {
    fn see(&mut self, other: Worst) {
        // NaN counts as the worst
        if !(other.error <= self.error) {
            *self = other;
        }
    }
}

/// Every model, 1,000 sampled patients, its own scenario and steps: each state of each patient at
/// 51 instants against the f64 reference, scaled by the state's largest value in that patient.
#[test]
fn kernel_follows_the_f64_reference_in_every_state_of_every_model() {
    let mut failed = Vec::new();
    for model in library() {
        let case = Case::sampled(model, PATIENTS, 20_240, &grid(50));
        let name = case.model.name.clone();
        let start = Instant::now();
        let results = case.run(&exact());
        let device_seconds = start.elapsed().as_secs_f64();
        let (program, rows) = (case.program(), case.rows());
        let start = Instant::now();
        let worst: Worst = (0..PATIENTS)
            .into_par_iter()
            .map(|patient| {
                let timeline = &rows[case.timelines.of_patient[patient] as usize];
                let slots = case.cohort.patient(patient);
                let path = reference::simulate(
                    &program,
                    timeline,
                    &slots,
                    &case.scales(patient),
                    Method::Rk4 { refine: 1 },
                )
                .unwrap();
                compare(
                    &case,
                    &results.records,
                    results.record_offsets[patient],
                    patient,
                    &path,
                )
            })
            .reduce(Worst::default, |mut a, b| {
                a.see(b);
                a
            });
        let reference_seconds = start.elapsed().as_secs_f64();
        let steps = rows[0].step_count();
        println!(
            "{name:26} {:3} states {steps:6} steps  error {:.2e} in {} (patient {}, record {}), diverged {:?}; device {device_seconds:.1} s, reference {reference_seconds:.1} s",
            program.n_states,
            worst.error,
            case.model.states[worst.state].name,
            worst.patient,
            worst.record,
            results.diverged(),
        );
        if !(worst.error <= KERNEL_TOLERANCE) {
            failed.push((name, worst));
        }
    }
    assert!(failed.is_empty(), "beyond {KERNEL_TOLERANCE:e}: {failed:?}");
}

fn compare(case: &Case, records: &[Vec<f64>], first: usize, patient: usize, path: &Path) -> Worst {
    let mut worst = Worst::default();
    for (record, point) in path.points.iter().enumerate() {
        for (state, &expected) in point.states.iter().enumerate() {
            let got = records[state][first + record] * case.outputs.records[state].scale;
            let range = path.range[state];
            if range > 0.0 {
                worst.see(Worst {
                    error: (got - expected).abs() / range,
                    state,
                    patient,
                    record,
                });
            } else {
                assert_eq!(
                    got, expected,
                    "{}: {} has no range",
                    case.model.name, case.model.states[state].name
                );
            }
        }
    }
    worst
}

/// The step schedule of every file against the adaptive 8th-order solution at 1e-10.
#[test]
fn shipped_steps_are_converged() {
    let mut failed = Vec::new();
    for model in library() {
        let case = Case::sampled(model, SAMPLE, 7, &[]);
        let start = Instant::now();
        let (model, simulation) = (&case.model, case.simulation());
        let error = truncation_error(&simulation, &model.step, SAMPLE).unwrap();
        println!(
            "{:26} truncation {error:.2e} ({:.1} s)",
            model.name,
            start.elapsed().as_secs_f64()
        );
        if !(error <= STEP_TOLERANCE) {
            failed.push((model.name.clone(), error));
        }
    }
    assert!(failed.is_empty(), "beyond {STEP_TOLERANCE:e}: {failed:?}");
}

/// What the tuner finds is within the tolerance where it was told to look, close to it elsewhere,
/// stable, and has fewer steps than the shipped schedule made evenly longer.
#[test]
fn pieces_meet_the_tolerance_with_fewer_steps() {
    const TOLERANCE: f64 = 1e-5;
    for name in ["docetaxel-neutropenia", "paclitaxel"] {
        let case = Case::sampled(shipped(name), SAMPLE, 7, &[]);
        let (model, simulation) = (&case.model, case.simulation());
        let end = case.timelines.end();
        let times: Vec<f64> = (1..=20).map(|k| end * f64::from(k) / 20.0).collect();
        let tuner = Tuner::new(&simulation, 8, &times).unwrap();
        let pieces = tuner.within(TOLERANCE).unwrap();
        let even = accuracy(&simulation, &model.step, TOLERANCE, 8)
            .unwrap()
            .schedule;
        let (steps, of_even) = (tuner.steps(&pieces).unwrap(), tuner.steps(&even).unwrap());
        println!(
            "{}: {steps} steps in {pieces:?}, {of_even} in {even:?}",
            model.name
        );
        assert!(tuner.error(&pieces).unwrap() <= TOLERANCE, "{}", model.name);
        assert!(steps < of_even, "{}: {steps} of {of_even}", model.name);
        let elsewhere = truncation_error(&simulation, &pieces, 8).unwrap();
        assert!(elsewhere <= 4.0 * TOLERANCE, "{}: {elsewhere}", model.name);
        refuse_unstable(&simulation, &pieces, 8).unwrap();
    }
}

const LOGISTIC: &str = r#"
name = "logistic"
title = "Logistic growth, its closed form known"
time = "d"
dt = "1 d"
[sources]
x = "made up for a test"
[parameters]
k = { value = 0.5, unit = "1/d", source = "x" }
top = { value = 1, unit = "1", source = "x" }
[states.x]
unit = "1"
init = "0.02"
rate = "k*x*(1 - x/top)"
[scenario]
duration = "24 d"
"#;

/// Starts at the sine's zero, where the error of the phase is the error of the state.
const OSCILLATOR: &str = r#"
name = "oscillator"
title = "Harmonic oscillator"
time = "d"
dt = "1 d"
[sources]
x = "made up for a test"
[parameters]
w = { value = 1, unit = "1/d", source = "x" }
[states.x]
unit = "1"
signed = true
rate = "w*v"
[states.v]
unit = "1"
signed = true
init = "1"
rate = "-w*x"
[scenario]
duration = "24 d"
"#;

/// Slopes of log2(error) over successive halvings of the step.
fn slopes(errors: &[f64]) -> Vec<f64> {
    errors
        .windows(2)
        .map(|pair| (pair[0] / pair[1]).log2())
        .collect()
}

fn short(errors: &[f64]) -> String {
    errors
        .iter()
        .map(|error| format!("{error:.1e}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Errors of `x` at the end for constant steps.
fn errors_of(case: &mut Case, steps: &[f64], exact_value: f64, on_device: bool) -> Vec<f64> {
    steps
        .iter()
        .map(|&dt| {
            case.model.step = StepSchedule::constant(dt);
            let got = if on_device {
                f64::from(case.run(&exact()).states[0][0])
            } else {
                let rows = &case.rows()[0];
                let path = reference::simulate(
                    &case.program(),
                    rows,
                    &case.cohort.patient(0),
                    &[],
                    Method::Rk4 { refine: 1 },
                )
                .unwrap();
                path.states[0]
            };
            (got - exact_value).abs()
        })
        .collect()
}

#[test]
fn order_of_convergence_is_four() {
    // closed form of the logistic curve, halfway up
    let mut logistic = Case::sampled(common::parse(LOGISTIC), 1, 1, &[1.0]);
    let end: f64 = 8.0;
    logistic.timelines = logistic.timelines.clone().with_end(end);
    let grown = 0.02 * (0.5 * end).exp();
    let exact_value = grown / (1.0 - 0.02 + grown);
    let reference = errors_of(
        &mut logistic,
        &[0.5, 0.25, 0.125, 0.0625],
        exact_value,
        false,
    );
    println!(
        "logistic, f64: errors {}, slopes {:.3?}",
        short(&reference),
        slopes(&reference)
    );
    assert!(
        slopes(&reference)
            .iter()
            .all(|slope| (slope - 4.0).abs() < 0.2)
    );

    // a shipped model without kinks: two linear compartments, a Friberg chain and its feedback
    let chain = common::shipped("docetaxel-neutropenia");
    let smooth = Case::sampled(chain, 1, 3, &[1.0]);
    let mut smooth = Case {
        timelines: smooth.timelines.clone().with_end(72.0),
        ..smooth
    };
    let truth = {
        smooth.model.step = StepSchedule::constant(0.05);
        let rows = &smooth.rows()[0];
        let path = reference::simulate(
            &smooth.program(),
            rows,
            &smooth.cohort.patient(0),
            &smooth.scales(0),
            Method::Dop853 {
                rtol: 1e-12,
                atol: 1e-13,
            },
        )
        .unwrap();
        path.states
    };
    let at = smooth.model.state_index("circulating").unwrap();
    let errors: Vec<f64> = [0.05, 0.025, 0.0125, 0.00625]
        .iter()
        .map(|&dt| {
            smooth.model.step = StepSchedule::constant(dt);
            let rows = &smooth.rows()[0];
            let path = reference::simulate(
                &smooth.program(),
                rows,
                &smooth.cohort.patient(0),
                &smooth.scales(0),
                Method::Rk4 { refine: 1 },
            )
            .unwrap();
            (path.states[at] / truth[at] - 1.0).abs()
        })
        .collect();
    println!(
        "docetaxel-neutropenia, f64: errors {}, slopes {:.3?}",
        short(&errors),
        slopes(&errors)
    );
    assert!(
        slopes(&errors)
            .iter()
            .all(|slope| (slope - 4.0).abs() < 0.2)
    );

    // where truncation is far above rounding, the kernel shows the same order: four turns of an
    // oscillator
    let turns = 8.0 * std::f64::consts::PI;
    let mut oscillator = Case::sampled(common::parse(OSCILLATOR), 1, 1, &[1.0]);
    oscillator.timelines = oscillator.timelines.clone().with_end(turns);
    for on_device in [false, true] {
        let errors = errors_of(
            &mut oscillator,
            &[turns / 50.0, turns / 100.0, turns / 200.0],
            0.0,
            on_device,
        );
        println!(
            "oscillator, {}: errors {}, slopes {:.3?}",
            if on_device { "kernel" } else { "f64" },
            short(&errors),
            slopes(&errors)
        );
        assert!(
            slopes(&errors)
                .iter()
                .all(|slope| (slope - 4.0).abs() < 0.2)
        );
    }
}

const SLOW: &str = r#"
name = "slow"
title = "A slow enzyme: turnover and decay in steps of six seconds"
time = "h"
dt = "6 s"
[sources]
x = "made up for a test"
[parameters]
kout = { value = 0.0002, unit = "1/h", source = "x" }
high = { value = 3, unit = "1", source = "x" }
[states.enzyme]
unit = "1"
init = "1"
rate = "kout*(high - enzyme)"
[states.decay]
unit = "1"
init = "1"
rate = "-kout*decay"
[states.growth]
unit = "1"
init = "1"
rate = "kout*growth"
[scenario]
duration = "720 h"
"#;

/// 432,000 steps of six seconds, each change far below an ulp of the state.
#[test]
fn slow_states_do_not_drift_over_432_000_steps() {
    let case = Case::sampled(
        common::parse(&SLOW.replace("6 s", "0.0016666666666666668 h")),
        1,
        1,
        &[1.0],
    );
    let steps = case.rows()[0].step_count();
    assert_eq!(steps, 432_000);
    let results = case.run(&exact());
    let (k, t) = (2e-4f64, 720.0);
    let expected = [3.0 - 2.0 * (-k * t).exp(), (-k * t).exp(), (k * t).exp()];
    for (state, expected) in expected.into_iter().enumerate() {
        let error = (f64::from(results.states[state][0]) / expected - 1.0).abs();
        // the same steps in f32 without compensation, on the host
        let plain = uncompensated(state, steps);
        let drift = (f64::from(plain) / expected - 1.0).abs();
        println!(
            "{:8} after {steps} steps: compensated {error:.1e}, uncompensated {drift:.1e}",
            case.model.states[state].name
        );
        assert!(error <= 1e-6, "state {state}: {error:e}");
        assert!(
            drift > 1e-4,
            "state {state}: the test shows nothing, {drift:e}"
        );
    }
}

fn uncompensated(state: usize, steps: u64) -> f32 {
    let (k, h) = (2e-4f32, (720.0 / steps as f64) as f32);
    let rate = |x: f32| match state {
        0 => k * (3.0 - x),
        1 => -k * x,
        _ => k * x,
    };
    let mut x = 1.0f32;
    for _ in 0..steps {
        let k1 = rate(x);
        let k2 = rate(x + 0.5 * h * k1);
        let k3 = rate(x + 0.5 * h * k2);
        let k4 = rate(x + h * k3);
        x += h * (k1 / 6.0 + k2 / 3.0 + k3 / 3.0 + k4 / 6.0);
    }
    x
}
