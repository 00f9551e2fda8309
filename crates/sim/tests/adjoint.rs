//! Gradients through the simulation: kernels against f64 reverse mode on the host, and that against
//! f64 differences, for every shipped model, under its scenario with doses drawn at random.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]

mod common;

use common::{Case, device, fresh_seed, library, shipped};
use posology_cohort::philox::{draw, uniform_closed_open};
use posology_kernels::adjoint::reference::{PatientGradient, PatientSeeds};
use posology_kernels::adjoint::{
    Adjoint, AdjointOptions, AdjointPlan, Gradient, Seeds, Tape, reference,
};
use posology_kernels::launch::Batch;
use posology_kernels::probe;
use posology_kernels::reference::{Method, Path, simulate};
use posology_kernels::timeline::{Action, Repeat, Timeline};
use posology_model::Model;
use posology_model::program::Accumulator;
use posology_sim::{OutputPlan, RuleSet};
use rayon::prelude::*;

const PATIENTS: usize = 4;
/// Of a component, as a share of it.
const KERNEL_TOLERANCE: f64 = 1e-3;
/// The same with extremes and crossings.
const CORNER_TOLERANCE: f64 = 2e-2;
const DIFFERENCE_TOLERANCE: f64 = 1e-4;
/// Components are negligible if a relative change of what they belong to has less than this share of
/// the largest effect: a sum of larger terms that cancel is then no better than the terms' last bits.
const NEGLIGIBLE: f64 = 1e-2;

/// Of an extreme: single precision may choose another step whose value misses it by less.
const NEAR_EXTREME: f64 = 1e-6;

/// Random directions in which what rounding moves is looked for.
const DIRECTIONS: usize = 3;

/// Numbers that differ in every run.
struct Random {
    seed: u64,
    drawn: u32,
}

impl Random {
    fn fresh(purpose: &str) -> Self {
        Self {
            seed: fresh_seed(purpose),
            drawn: 0,
        }
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.drawn += 1;
        let [word, ..] = draw(self.seed, 0, 0, 0, self.drawn);
        low + (high - low) * uniform_closed_open(word)
    }
}

/// Everything the model declares at random times, its doses at random sizes.
fn drawn(model: Model, r: &mut Random) -> (Case, Vec<Timeline>) {
    let mut cohort =
        posology_cohort::Cohort::sample(&model, PATIENTS, r.between(0.0, 1e9) as u64, 0)
            .unwrap_or_else(|found| panic!("{found}"));
    // away from reference values, where formulas of covariates may have a corner; shares stay below 1
    for value in cohort.slots.iter_mut().flatten() {
        *value *= r.between(0.97, 1.0);
    }
    let timelines = common::scenario(&model, &cohort);
    let end = timelines.end();
    let mut times: Vec<f64> = (0..6).map(|_| end * r.between(0.02, 1.0)).collect();
    times.sort_by(f64::total_cmp);
    let outputs = OutputPlan::of_model(&model, false);
    let case = Case {
        model,
        cohort,
        timelines: timelines.with_records(&times),
        outputs,
        rules: RuleSet::default(),
    };
    let mut rows = case.rows();
    for timeline in &mut rows {
        for action in timeline.rows.iter_mut().flat_map(|row| &mut row.actions) {
            match action {
                Action::Bolus { amount, .. } => amount.value *= r.between(0.5, 1.5),
                Action::SetRate { rate, .. } => rate.value *= r.between(0.5, 1.5),
                _ => {}
            }
        }
    }
    (case, rows)
}

/// A patient's results from the device.
struct Seen {
    states: Vec<f64>,
    summaries: Vec<f64>,
    /// `[record][output]`
    records: Vec<Vec<f64>>,
}

/// Seeds of the size at which every result counts alike; none for what has no value or derivative, or
/// is nothing but rounding in single precision. Extremes and crossings of limits only where
/// `corners`: near a flat top or a shallow crossing the two precisions may choose neighbouring steps;
/// no extremes that another step nearly reaches.
fn seeds(case: &Case, path: &Path, seen: &Seen, corners: bool, r: &mut Random) -> PatientSeeds {
    let program = case.program();
    let mut of = |value: f64, seen: f64, range: f64| {
        let share = r.between(-1.0, 1.0);
        let resolved = (seen - value).abs() <= 1e-4 * range;
        if range > 1e-20 && resolved {
            share / range
        } else {
            0.0
        }
    };
    // an expression may be 1 less nearly 1: nothing but rounding
    let scale = |value: f64| {
        if value.abs() > 1e-12 {
            value.abs()
        } else {
            0.0
        }
    };
    let mut found = PatientSeeds::default();
    for (s, &value) in path.states.iter().enumerate() {
        found.states.push(of(value, seen.states[s], path.range[s]));
    }
    for (k, &value) in path.summaries.iter().enumerate() {
        found.summaries.push(match program.accumulators[k] {
            Accumulator::Grade { .. } => 0.0,
            Accumulator::Min(_)
            | Accumulator::Max(_)
            | Accumulator::TimeWhile(_)
            | Accumulator::FirstTime(_)
                if !corners =>
            {
                0.0
            }
            Accumulator::Min(_) | Accumulator::Max(_)
                if path.runners_up[k] <= NEAR_EXTREME * value.abs() =>
            {
                0.0
            }
            _ => of(value, seen.summaries[k], scale(value)),
        });
    }
    let mut ranges = vec![0.0f64; program.record.outputs.len()];
    for record in &path.records {
        for (range, value) in ranges.iter_mut().zip(record) {
            *range = range.max(scale(*value));
        }
    }
    for (record, seen) in path.records.iter().zip(&seen.records) {
        let outputs = record.iter().zip(seen).zip(&ranges);
        found.records.push(
            outputs
                .map(|((v, seen), range)| of(*v, *seen, *range))
                .collect(),
        );
    }
    found
}

fn weighed(path: &Path, seeds: &PatientSeeds) -> f64 {
    let sum = |values: &[f64], seeds: &[f64]| -> f64 {
        let pairs = values.iter().zip(seeds).filter(|(_, seed)| **seed != 0.0);
        pairs.map(|(value, seed)| value * seed).sum()
    };
    let records = path.records.iter().zip(&seeds.records);
    sum(&path.states, &seeds.states)
        + sum(&path.summaries, &seeds.summaries)
        + records.map(|(row, seeds)| sum(row, seeds)).sum::<f64>()
}

fn path(case: &Case, rows: &[Timeline], patient: usize, slots: &[f64]) -> Path {
    let timeline = &rows[case.timelines.of_patient[patient] as usize];
    let method = Method::Rk4 { refine: 1 };
    simulate(
        &case.program(),
        timeline,
        slots,
        &case.scales(patient),
        method,
    )
    .unwrap()
}

/// The largest relative error of the components that are not negligible, and which it is. What the
/// wanted gradient itself moves with the last bits of single precision (`moved`, as far as is known)
/// is no error.
fn worst(got: &[f64], wanted: &[f64], moved: &[f64], sizes: &[f64]) -> (f64, usize) {
    let effect = |k: usize| (wanted[k] * sizes[k]).abs();
    let largest = (0..wanted.len()).map(effect).fold(0.0, f64::max);
    let mut found = (0.0, usize::MAX);
    for k in 0..wanted.len() {
        assert!(got[k].is_finite(), "component {k}: {}", got[k]);
        if effect(k) >= NEGLIGIBLE * largest && largest > 0.0 {
            // a few directions of many: others move it a few times as far
            let beyond = (got[k] - wanted[k]).abs() - 5.0 * moved[k];
            let error = beyond.max(0.0) / wanted[k].abs();
            if !(error <= found.0) {
                found = (error, k);
            }
        }
    }
    found
}

/// All patients of a case on the device.
struct OnDevice {
    adjoint: Adjoint,
    tape: Tape,
    records: usize,
}

impl OnDevice {
    fn new(case: &Case, rows: &[Timeline], capacity: Option<u32>) -> Self {
        let options = AdjointOptions {
            guard_compensation: !probe::compensation_survives(device()).unwrap(),
            capacity,
            regimen: true,
            scales: case.timelines.scales.len(),
            ..AdjointOptions::default()
        };
        let plan = AdjointPlan::new(case.program());
        let adjoint = Adjoint::new(device(), plan, rows, options).unwrap();
        let sources = case.cohort.slots.iter().chain(&case.timelines.scales);
        let values: Vec<f32> = sources.flatten().map(|v| *v as f32).collect();
        let records = rows[0].record_count();
        let first: Vec<u32> = (0..PATIENTS as u32).collect();
        let batch = Batch {
            n: PATIENTS,
            values: &values,
            timeline: &case.timelines.of_patient,
            first_record: &first,
            patient: &first,
            record_stride: PATIENTS as u32,
            record_total: records * PATIENTS,
            seed: 0,
        };
        let tape = adjoint.forward(&batch).unwrap();
        Self {
            adjoint,
            tape,
            records,
        }
    }

    fn seen(&self, case: &Case) -> Vec<Seen> {
        let (result, records) = self.adjoint.read(&self.tape).unwrap();
        let program = case.program();
        let seen = |i: usize| {
            let results = column(&result, i);
            let all = column(&records, i);
            let outputs = program.record.outputs.len();
            Seen {
                states: results[..program.n_states].to_vec(),
                summaries: results[program.n_states..].to_vec(),
                records: (0..self.records)
                    .map(|j| (0..outputs).map(|k| all[k * self.records + j]).collect())
                    .collect(),
            }
        };
        (0..PATIENTS).map(seen).collect()
    }

    fn gradient(&self, seeds: &[PatientSeeds]) -> Gradient {
        let rows_of = |of: &dyn Fn(&PatientSeeds) -> Vec<f64>| {
            let all: Vec<Vec<f64>> = seeds.iter().map(of).collect();
            let rows = 0..all[0].len();
            rows.flat_map(|k| all.iter().map(move |row| row[k] as f32))
                .collect::<Vec<f32>>()
        };
        let by_output = |s: &PatientSeeds| {
            let outputs = 0..s.records.first().map_or(0, Vec::len);
            outputs
                .flat_map(|k| s.records.iter().map(move |record| record[k]))
                .collect()
        };
        let seeds = Seeds {
            states: rows_of(&|s| s.states.clone()),
            summaries: rows_of(&|s| s.summaries.clone()),
            records: rows_of(&by_output),
        };
        self.adjoint.gradient(&self.tape, &seeds).unwrap()
    }
}

fn column(rows: &[f32], patient: usize) -> Vec<f64> {
    let column = rows.iter().skip(patient).step_by(PATIENTS);
    column.map(|v| f64::from(*v)).collect()
}

/// Every kind of gradient of a patient, with the sizes that weigh its components.
fn kinds<'a>(
    exact: &'a PatientGradient,
    path: &Path,
    rows: &[Timeline],
    case: &Case,
    i: usize,
) -> Vec<(&'static str, &'a [f64], Vec<f64>)> {
    let rows = &rows[case.timelines.of_patient[i] as usize].rows;
    // groups of rows are written out for the gradient
    let plain = rows.iter().all(|row| row.repeat.is_none());
    let durations = if plain {
        rows.iter()
            .map(|row| row.h * f64::from(row.steps))
            .collect()
    } else {
        vec![1.0; exact.durations.len()]
    };
    vec![
        ("slot", &exact.slots, case.cohort.patient(i)),
        ("scale", &exact.scales, case.scales(i)),
        ("initial", &exact.initial, path.range.clone()),
        ("duration", &exact.durations, durations),
    ]
}

/// Host and device agree; prints and returns what is worst.
fn compare(case: &Case, rows: &[Timeline], corners: bool, r: &mut Random) -> f64 {
    let on_device = OnDevice::new(case, rows, None);
    let slots: Vec<Vec<f64>> = (0..PATIENTS).map(|i| case.cohort.patient(i)).collect();
    let paths: Vec<Path> = (0..PATIENTS)
        .map(|i| path(case, rows, i, &slots[i]))
        .collect();
    let all: Vec<PatientSeeds> = on_device
        .seen(case)
        .iter()
        .zip(&paths)
        .map(|(seen, path)| seeds(case, path, seen, corners, r))
        .collect();
    let plan = on_device.adjoint.plan();
    // 1e-6 is 16 units in the last place of single precision: nothing, every slot by as much, and
    // every slot up or down
    let mut shakes = vec![vec![0.0; slots[0].len()], vec![1e-6; slots[0].len()]];
    shakes.extend((0..DIRECTIONS).map(|_| {
        let either = |_| f64::copysign(1e-6, r.between(-1.0, 1.0));
        (0..slots[0].len()).map(either).collect()
    }));
    let exact: Vec<Vec<PatientGradient>> = (0..PATIENTS)
        .into_par_iter()
        .map(|i| {
            let timeline = &rows[case.timelines.of_patient[i] as usize];
            let at = |(k, shake): (usize, &Vec<f64>)| {
                // rows longer and shorter: a step may end on either side of a time in an expression
                let longer = [0.0, -1e-6, 1e-6, -1e-6, 1e-6][k];
                let mut timeline = timeline.clone();
                timeline
                    .rows
                    .iter_mut()
                    .for_each(|row| row.h *= 1.0 + longer);
                let slots: Vec<f64> = slots[i]
                    .iter()
                    .zip(shake)
                    .map(|(v, shake)| v * (1.0 + shake))
                    .collect();
                reference::gradient(plan, &timeline, &slots, &case.scales(i), &all[i]).unwrap()
            };
            shakes.iter().enumerate().map(at).collect()
        })
        .collect();
    let got = on_device.gradient(&all);
    let mut worst_error = 0.0;
    for i in 0..PATIENTS {
        let all = exact[i]
            .iter()
            .map(|of| kinds(of, &paths[i], rows, case, i));
        let all: Vec<_> = all.collect();
        for (which, (kind, wanted, sizes)) in all[0].iter().enumerate() {
            let moved = |k: usize| {
                let apart = all[1..].iter().map(|of| (of[which].1[k] - wanted[k]).abs());
                apart.fold(0.0, f64::max)
            };
            let moved: Vec<f64> = (0..wanted.len()).map(moved).collect();
            let got = match *kind {
                "slot" => &got.slots,
                "scale" => &got.scales,
                "initial" => &got.initial,
                _ => &got.durations,
            };
            let got = column(got, i);
            let (error, k) = worst(&got[..wanted.len()], wanted, &moved, sizes);
            if !(error <= worst_error) {
                worst_error = error;
                println!(
                    "  {kind} {k} of patient {i}: {} for {}, error {error:.1e}",
                    got[k], wanted[k]
                );
            }
        }
    }
    let stretches = on_device.tape.stretches();
    println!(
        "{:26} {stretches} stretches, {worst_error:.1e}",
        case.model.name
    );
    worst_error
}

#[test]
fn kernels_agree_with_f64_for_every_model() {
    let mut r = Random::fresh("gradients");
    let mut failed = Vec::new();
    for model in library() {
        let name = model.name.clone();
        let (case, rows) = drawn(model, &mut r);
        let smooth = compare(&case, &rows, false, &mut r);
        let all = compare(&case, &rows, true, &mut r);
        if !(smooth <= KERNEL_TOLERANCE) || !(all <= CORNER_TOLERANCE) {
            failed.push((name, smooth, all));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// A tape so short that the run is cut into many stretches gives the same bits, for every number that
/// is not a sum over the stretches, and the same sums to their rounding.
#[test]
fn stretches_do_not_matter() {
    let mut r = Random::fresh("stretches");
    for name in ["paclitaxel-neutropenia", "docetaxel-neutropenia"] {
        let (case, rows) = drawn(shipped(name), &mut r);
        let (whole, cut) = (
            OnDevice::new(&case, &rows, None),
            OnDevice::new(&case, &rows, Some(31)),
        );
        assert!(cut.tape.stretches() > 4 * whole.tape.stretches());
        assert_eq!(
            whole.adjoint.read(&whole.tape).unwrap(),
            cut.adjoint.read(&cut.tape).unwrap()
        );
        let seen = whole.seen(&case);
        let all: Vec<PatientSeeds> = (0..PATIENTS)
            .map(|i| {
                let path = path(&case, &rows, i, &case.cohort.patient(i));
                seeds(&case, &path, &seen[i], true, &mut r)
            })
            .collect();
        let (a, b) = (whole.gradient(&all), cut.gradient(&all));
        // the walk back leaves the results alone
        assert_eq!(
            whole.adjoint.read(&whole.tape).unwrap(),
            cut.adjoint.read(&cut.tape).unwrap()
        );
        assert_eq!((a.initial, a.amounts), (b.initial, b.amounts));
        let wide = |rows: &[f32], i| column(rows, i);
        for i in 0..PATIENTS {
            let (a, b) = (wide(&a.slots, i), wide(&b.slots, i));
            let (error, k) = worst(&b, &a, &vec![0.0; a.len()], &case.cohort.patient(i));
            assert!(error <= 1e-4, "{name}: slot {k} of patient {i}, {error:e}");
        }
    }
}

/// A run as long as one launch may be, of a model whose stages are a loop: none of its iterations
/// is lost to the adapter's limit.
#[test]
fn the_longest_stretch_is_walked_to_its_start() {
    let mut r = Random::fresh("longest");
    let (case, rows) = drawn(shipped("nanoparticle-mouse"), &mut r);
    assert!(case.program().rates.arithmetic_count() > 150);
    let [whole, cut] = [None, Some(100)].map(|capacity| OnDevice::new(&case, &rows, capacity));
    assert!(whole.tape.stretches() > 1 && cut.tape.stretches() > whole.tape.stretches());
    let seen = whole.seen(&case);
    let all: Vec<PatientSeeds> = (0..PATIENTS)
        .map(|i| {
            let path = path(&case, &rows, i, &case.cohort.patient(i));
            seeds(&case, &path, &seen[i], false, &mut r)
        })
        .collect();
    let (a, b) = (whole.gradient(&all), cut.gradient(&all));
    assert!(a.initial.iter().any(|v| *v != 0.0));
    assert_eq!(a.initial, b.initial);
}

/// What has no derivative is refused with what to do instead.
#[test]
fn steady_states_and_protocols_are_refused() {
    let (case, mut rows) = drawn(shipped("paclitaxel"), &mut Random::fresh("refusals"));
    let plan = AdjointPlan::new(case.program());
    let open = |rows: &[Timeline]| {
        let found = Adjoint::new(device(), plan.clone(), rows, AdjointOptions::default());
        found.err().map(|error| error.to_string())
    };
    assert_eq!(open(&rows), None);
    let last = rows[0].rows.len() - 1;
    rows[0].rows[last].repeat = Some(Repeat {
        rows: 1,
        passes: 9,
        until_steady: true,
    });
    assert!(open(&rows).unwrap().contains("ADDL"));
    rows[0].rows[last].repeat = None;
    rows[0].rows[last].actions.push(Action::Rule);
    assert!(
        open(&rows)
            .unwrap()
            .contains("timeline 0 follows a protocol")
    );
}

/// The host's reverse mode, which knows nothing of the kernels, against central differences.
#[test]
fn reverse_mode_agrees_with_differences() {
    let mut r = Random::fresh("differences");
    let mut failed = Vec::new();
    for model in library() {
        let name = model.name.clone();
        let (case, rows) = drawn(model, &mut r);
        let plan = AdjointPlan::new(case.program());
        let slots = case.cohort.patient(0);
        let here = path(&case, &rows, 0, &slots);
        // what a change of the last bits moves is rounding
        let nearly: Vec<f64> = slots.iter().map(|v| v * (1.0 + 1e-12)).collect();
        let there = path(&case, &rows, 0, &nearly);
        let seen = Seen {
            states: there.states,
            summaries: there.summaries,
            records: there.records,
        };
        let seeds = seeds(&case, &here, &seen, true, &mut r);
        let timeline = &rows[case.timelines.of_patient[0] as usize];
        let exact = reference::gradient(&plan, timeline, &slots, &case.scales(0), &seeds).unwrap();
        let difference: Vec<f64> = (0..slots.len())
            .into_par_iter()
            .map(|slot| {
                let moved = |by: f64| {
                    let mut slots = slots.clone();
                    slots[slot] += by;
                    weighed(&path(&case, &rows, 0, &slots), &seeds)
                };
                let size = if slots[slot] == 0.0 {
                    1.0
                } else {
                    slots[slot].abs()
                };
                let quotient = |share: f64| {
                    let by = share * size;
                    (moved(by) - moved(-by)) / (2.0 * by)
                };
                // an extreme may move to the next step, and a first time appear, between the two points
                // of a difference: a shorter one, or that of one side, is then the better
                let middle = moved(0.0);
                let side = |share: f64| (moved(share * size) - middle) / (share * size);
                let both = [quotient(1e-6), quotient(1e-7), side(1e-7), side(-1e-7)];
                let apart = |q: &f64| (q - exact.slots[slot]).abs();
                both.into_iter()
                    .min_by(|a, b| apart(a).total_cmp(&apart(b)))
                    .unwrap()
            })
            .collect();
        let still = vec![0.0; slots.len()];
        let (error, k) = worst(&exact.slots, &difference, &still, &slots);
        println!("{name:26} {error:.1e} (slot {k})");
        if !(error <= DIFFERENCE_TOLERANCE) {
            println!("  {} for {}", exact.slots[k], difference[k]);
            failed.push((name, error));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// A correction in training: nonnegative, signed and faded terms, a latent, two hidden layers.
const CORRECTED: &str = r#"
name = "corrected"
title = "Tumour and effector cells with a network"
time = "d"
dt = "0.05 d"
[parameters]
K = { value = 100, unit = "mg", source = "made up" }
g = { value = 0.3, unit = "1/d", source = "made up", iiv = { cv = 0.2 } }
k = { value = 0.8, unit = "1/d", source = "made up" }
[inputs.drug]
into = "central"
unit = "mg"
[states.central]
unit = "mg"
rate = "-k*central"
[states.tumour]
unit = "mg"
init = "20[mg]"
rate = "g*tumour*(1 - tumour/K) - 0.02[1/mg/d]*central*tumour"
[states.effector]
unit = "mg"
init = "4[mg]"
rate = "1[mg/d] - 0.2[1/d]*effector"
[states.mood]
unit = "1"
signed = true
rate = "-0.1[1/d]*mood"
[observables.size]
expr = "tumour"
[summaries]
burden = { integral = "tumour", unit = "mg*d" }
[correction]
inputs = ["tumour/K", "ln(1 + central/1[mg])", "mood"]
width = 6
layers = 2
activation = "ACTIVATION"
latents = 1
[correction.rates]
tumour = { scale = "0.2 1/d", form = "relative" }
effector = { scale = "1 mg/d", form = "absolute", floor = "1 mg" }
mood = { scale = "0.5 1/d", form = "absolute" }
[scenario]
regimen = "10 mg every 2 d x 3"
duration = "8 d"
"#;

/// The kernel of a corrected model and its gradient with respect to every weight, against f64.
#[test]
fn corrections_have_gradients_by_their_weights() {
    for (k, activation) in ["tanh", "softplus", "swish"].iter().enumerate() {
        let text = CORRECTED.replace("ACTIVATION", activation);
        let mut model = Model::parse_trainable("corrected.toml", &text, None)
            .unwrap_or_else(|found| panic!("{found}"));
        // the same numbers in every run: what is compared are components that do not cancel
        let mut r = Random {
            seed: 7 + k as u64,
            drawn: 0,
        };
        let correction = model.correction.clone().unwrap();
        for &slot in &correction.weights {
            model.parameters[slot].value = r.between(-0.8, 0.8);
        }
        let (case, rows) = drawn(model, &mut r);
        let on_device = OnDevice::new(&case, &rows, None);
        let all = on_device.seen(&case);
        let mut all_seeds = Vec::new();
        for (i, seen) in all.iter().enumerate() {
            let path = path(&case, &rows, i, &case.cohort.patient(i));
            let rounded = path.states.iter().zip(&path.range).zip(&seen.states);
            for ((wanted, range), found) in rounded {
                assert!(
                    (wanted - found).abs() <= 1e-5 * range.max(1.0),
                    "{found} {wanted}"
                );
            }
            all_seeds.push(seeds(&case, &path, seen, false, &mut r));
        }
        let got = on_device.gradient(&all_seeds);
        let plan = on_device.adjoint.plan();
        for (i, seeds) in all_seeds.iter().enumerate() {
            let timeline = &rows[case.timelines.of_patient[i] as usize];
            let slots = case.cohort.patient(i);
            let wanted =
                reference::gradient(plan, timeline, &slots, &case.scales(i), seeds).unwrap();
            let got = column(&got.slots, i);
            let learned = || correction.weights.iter().chain(&correction.latents);
            let sizes = learned().map(|&slot| wanted.slots[slot].abs());
            let largest = sizes.fold(0.0, f64::max);
            assert!(largest > 0.0);
            for &slot in learned() {
                let (got, wanted) = (got[slot], wanted.slots[slot]);
                let error = (got - wanted).abs() / largest;
                assert!(error <= KERNEL_TOLERANCE, "slot {slot}: {got} {wanted}");
            }
        }
        let worst = compare(&case, &rows, false, &mut r);
        assert!(worst <= KERNEL_TOLERANCE, "{activation}: {worst:e}");
    }
}
