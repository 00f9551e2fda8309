//! A patient's numbers depend on his own inputs, his number and the seed: not on the batch, the
//! shard, the order of patients or the number of launches.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]
#![allow(clippy::needless_range_loop, reason = "patients index several tables")]

mod common;

use common::{Case, device, exact, grid, shipped};
use posology_cohort::event::Repeat;
use posology_cohort::{Action, Amount, Cohort, Event, Timeline, Timelines};
use posology_kernels::launch::{Batch, Outcome, Simulator, SimulatorOptions};
use posology_kernels::probe;
use posology_kernels::reference::{self, Method};
use posology_kernels::simulate::{Plan, Status};
use posology_sim::RuleSet;
use posology_sim::{OutputPlan, Results, RunOptions};

/// Everything of one patient, as bits.
fn bits(results: &Results, patient: usize) -> Vec<u64> {
    let records = results.record_offsets[patient]..results.record_offsets[patient + 1];
    let mut all: Vec<u64> = results
        .records
        .iter()
        .flat_map(|column| &column[records.clone()])
        .map(|v| v.to_bits())
        .collect();
    all.extend(
        results
            .summaries
            .iter()
            .map(|column| column[patient].to_bits()),
    );
    all.extend(
        results
            .states
            .iter()
            .map(|column| u64::from(column[patient].to_bits())),
    );
    all.extend([
        results.status[patient] as u64,
        results.time[patient].to_bits(),
    ]);
    all
}

/// Runs of the whole and of its parts in any order, compared by patient.
fn check(what: &str, case: &Case, options: &RunOptions, batches: &[usize]) {
    let n = case.cohort.len();
    let whole = case.run(options);
    let reference: Vec<Vec<u64>> = (0..n).map(|i| bits(&whole, i)).collect();
    let same = |name: &str, results: &Results, patients: &[usize]| {
        for (at, &patient) in patients.iter().enumerate() {
            assert_eq!(
                bits(results, at),
                reference[patient],
                "{what}: {name}, patient {patient}"
            );
        }
    };
    let everyone: Vec<usize> = (0..n).collect();
    same("again", &case.run(options), &everyone);
    for &batch in batches {
        same(
            &format!("batches of {batch}"),
            &case.run(&RunOptions {
                batch: Some(batch),
                ..options.clone()
            }),
            &everyone,
        );
    }
    for shard in 0..7 {
        let part: Vec<usize> = everyone
            .iter()
            .copied()
            .filter(|i| i * 7 / n == shard)
            .collect();
        same("shard", &case.select(&part).run(options), &part);
    }
    // a fixed shuffle: multiplication by a number coprime to n
    let stride = (1..).find(|s| s * 7 > 3 * n && gcd(*s, n) == 1).unwrap();
    let shuffled: Vec<usize> = everyone.iter().map(|i| i * stride % n).collect();
    same("shuffled", &case.select(&shuffled).run(options), &shuffled);
    println!(
        "{what}: {n} patients, {} words each, equal again, in batches of {batches:?}, in 7 shards, shuffled",
        reference[0].len()
    );
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A shipped model with residual error, summaries and grades; everyone has the same timeline.
#[test]
fn one_timeline_for_all() {
    let model = shipped("docetaxel-neutropenia");
    let mut case = Case::sampled(model, 700, 11, &grid(20));
    case.outputs = OutputPlan::of_model(&case.model, true);
    check(
        "one timeline",
        &case,
        &RunOptions {
            seed: 99,
            max_diverged: 1.0,
            ..RunOptions::default()
        },
        &[1, 100, 256],
    );
    let other = case.run(&RunOptions {
        seed: 100,
        max_diverged: 1.0,
        ..RunOptions::default()
    });
    let one = case.run(&RunOptions {
        seed: 99,
        max_diverged: 1.0,
        ..RunOptions::default()
    });
    let observed = case
        .outputs
        .records
        .iter()
        .position(|column| column.name.ends_with("_obs"))
        .unwrap();
    assert_ne!(
        other.records[observed], one.records[observed],
        "another seed gives other noise"
    );
}

/// Every patient has events, records and a duration of his own; some diverge, seek steady states, scale
/// or repeat their doses. The kernel of those who do none of this is another, and shows no difference.
#[test]
fn a_timeline_for_each() {
    let case = individual(150, true);
    let options = RunOptions {
        seed: 5,
        max_diverged: 1.0,
        ..RunOptions::default()
    };
    check("own timelines", &case, &options, &[1, 22, 64]);
    let plain = |i: &usize| ![STEADY, SCALED, REPEATED].contains(&(i % KINDS));
    let plain: Vec<usize> = (0..150).filter(plain).collect();
    let (whole, part) = (case.run(&options), case.select(&plain).run(&options));
    for (at, &patient) in plain.iter().enumerate() {
        assert_eq!(bits(&part, at), bits(&whole, patient), "patient {patient}");
    }
}

/// Of so many patients in turn, these are special.
const KINDS: usize = 9;
const STEADY: usize = 0;
const SCALED: usize = 2;
const REPEATED: usize = 4;

/// Doses, records and ends that differ from patient to patient; where `special`, steady states, doses
/// by patient and repeated ones as well.
fn individual(n: usize, special: bool) -> Case {
    let model = shipped("paclitaxel-neutropenia");
    let cohort = Cohort::sample(&model, n, 3, 0).unwrap_or_else(|found| panic!("{found}"));
    let bolus = |amount: f64| Action::Bolus {
        input: 0,
        amount: Amount::fixed(amount),
    };
    let scaled = |amount: f64| Action::Bolus {
        input: 0,
        amount: Amount {
            scale: Some(0),
            ..Amount::fixed(amount)
        },
    };
    let timelines = (0..n)
        .map(|i| {
            let is = |kind: usize| special && i % KINDS == kind;
            let x = |k: usize| ((i * 7919 + k * 104_729) % 1000) as f64 / 1000.0;
            let end = 100.0 + 1400.0 * x(0);
            let mut events = Vec::new();
            for k in 1..2 + i % 5 {
                let at = end * x(k);
                let amount = 200.0 * x(k + 10);
                let dose = if is(SCALED) {
                    scaled(amount)
                } else {
                    bolus(amount)
                };
                events.push(Event::dose(at, dose));
                let change = Amount::fixed(40.0);
                events.push(Event::dose(at + 1.0, Action::Rate { input: 0, change }));
                events.push(Event::new(
                    (at + 4.0).min(end),
                    Action::Rate {
                        input: 0,
                        change: change.negated(),
                    },
                ));
            }
            events.retain(|event| event.time <= end);
            events.extend((0..3 + i % 17).map(|k| Event::new(end * x(k + 30), Action::Record)));
            if is(STEADY) {
                let cycle = vec![(0.0, vec![bolus(50.0 + i as f64)])];
                events.push(Event::new(
                    0.0,
                    Action::SteadyState {
                        superpose: false,
                        cycle,
                        period: 168.0,
                    },
                ));
            }
            let repeat = is(REPEATED).then(|| Repeat {
                every: 24.0,
                actions: vec![bolus(2.0)],
                from: 6.0,
                until: end,
            });
            Timeline {
                repeat,
                ..Timeline::new(events, end)
            }
        })
        .collect();
    let outputs = OutputPlan::of_model(&model, true);
    Case {
        cohort,
        timelines: Timelines {
            of_patient: (0..n as u32).collect(),
            timelines,
            scales: vec![(0..n).map(|i| 1.0 + 0.1 * (i % 7) as f64).collect()],
        },
        outputs,
        rules: RuleSet::default(),
        model,
    }
}

/// One launch of the kernel after another, with at most `budget` loop iterations each.
fn launch(case: &Case, n: usize, budget: Option<u32>, unroll: bool) -> Outcome {
    let rows = case.rows();
    let counts: Vec<usize> = rows.iter().map(|rows| rows.record_count()).collect();
    let program = case.program();
    let floors = vec![f32::MIN; program.n_states];
    let options = SimulatorOptions {
        residual_error: true,
        guard_compensation: !probe::compensation_survives(device()).unwrap(),
        unroll_stages: Some(unroll),
        budget,
    };
    let mut first_record = Vec::new();
    let mut record_total = 0;
    for &t in &case.timelines.of_patient[..n] {
        first_record.push(record_total as u32);
        record_total += counts[t as usize];
    }
    let values: Vec<f32> = case
        .cohort
        .slots
        .iter()
        .chain(&case.timelines.scales)
        .flat_map(|row| row[..n].iter().map(|&v| v as f32))
        .collect();
    let simulator = Simulator::new(device(), Plan::new(program), &rows, &floors, options);
    if budget.is_some_and(|budget| budget < 500) {
        assert!(simulator.options().resumable);
    }
    let batch = Batch {
        n,
        values: &values,
        timeline: &case.timelines.of_patient[..n],
        first_record: &first_record,
        patient: &case.cohort.ids[..n],
        record_stride: 1,
        record_total,
        seed: 8,
    };
    simulator.run(&batch).unwrap()
}

fn outcome_bits(outcome: &Outcome) -> Vec<u32> {
    let values = [
        &outcome.states,
        &outcome.summaries,
        &outcome.time,
        outcome.records.values(),
    ];
    let mut all: Vec<u32> = values.into_iter().flatten().map(|v| v.to_bits()).collect();
    all.extend(outcome.status.iter().map(|&s| s as u32));
    all.extend(&outcome.recorded);
    all
}

/// A run that needs one launch gives the same bits cut into many, with rolled stages and without.
#[test]
fn launches_do_not_show() {
    let mut same = Case::sampled(shipped("docetaxel-neutropenia"), 50, 11, &grid(20));
    same.outputs = OutputPlan::of_model(&same.model, true);
    for (what, case, n) in [
        ("one timeline", &same, 50),
        ("own timelines", &individual(50, false), 50),
        ("with steady states", &individual(50, true), 50),
    ] {
        for unroll in [true, false] {
            let once = launch(case, n, None, unroll);
            for budget in [97, 1000, 5000] {
                let cut = launch(case, n, Some(budget), unroll);
                assert_eq!(
                    outcome_bits(&cut),
                    outcome_bits(&once),
                    "{what}, budget {budget}, unrolled {unroll}"
                );
            }
        }
        println!(
            "{what}: equal bits in one launch and in launches of 97, 1000 and 5000 iterations"
        );
    }
}

/// Neighbours whose long rows do not coincide: a software adapter counts the loop iterations of the
/// whole group, and ends the loops of a kernel that makes too many without a word.
#[test]
fn neighbours_at_different_rows_do_not_starve_each_other() {
    let model = shipped("lotka-volterra-adaptive");
    let n = 16;
    let cohort = Cohort::sample(&model, n, 4, 0).unwrap_or_else(|found| panic!("{found}"));
    // patient i takes his 15,000 steps in row i, the others' rows are short
    let timelines = (0..n)
        .map(|i| {
            let lengths: Vec<f64> = (0..n).map(|k| if k == i { 2600.0 } else { 0.3 }).collect();
            let mut at = 0.0;
            let mut events = Vec::new();
            for length in lengths {
                at += length;
                events.push(Event::new(at, Action::Record));
            }
            Timeline::new(events, at)
        })
        .collect();
    let mut case = Case::states(
        model,
        cohort,
        Timelines {
            of_patient: (0..n as u32).collect(),
            timelines,
            scales: Vec::new(),
        },
    );
    case.model.step = posology_model::model::StepSchedule::constant(2600.0 / 15_000.0);
    let results = case.run(&exact());
    let (program, rows) = (case.program(), case.rows());
    let mut worst = 0.0f64;
    for i in 0..n {
        assert_eq!(results.status[i], Status::Completed);
        let path = reference::simulate(
            &program,
            &rows[i],
            &case.cohort.patient(i),
            &[],
            Method::Rk4 { refine: 1 },
        )
        .unwrap();
        assert!(
            (results.time[i] - path.time).abs() < 1e-3,
            "patient {i} reached {} of {}",
            results.time[i],
            path.time
        );
        for s in 0..program.n_states {
            worst =
                worst.max((f64::from(results.states[s][i]) - path.states[s]).abs() / path.range[s]);
        }
    }
    println!("{n} neighbours at different rows: error {worst:.1e}");
    assert!(worst < 1e-5);
}

/// Far more steps than one launch may take.
#[test]
fn a_timeline_of_200_000_steps() {
    let mut case = Case::sampled(shipped("kuznetsov"), 40, 4, &grid(20));
    case.model.step = posology_model::model::StepSchedule::constant(300.0 / 200_000.0);
    let results = case.run(&exact());
    let (program, rows) = (case.program(), case.rows());
    assert!(rows[0].step_count() >= 200_000);
    let mut worst = 0.0f64;
    for i in 0..3 {
        let path = reference::simulate(
            &program,
            &rows[0],
            &case.cohort.patient(i),
            &[],
            Method::Rk4 { refine: 1 },
        )
        .unwrap();
        assert!((results.time[i] - 300.0).abs() < 1e-3);
        for s in 0..program.n_states {
            worst =
                worst.max((f64::from(results.states[s][i]) - path.states[s]).abs() / path.range[s]);
        }
    }
    println!("200,000 steps in several launches: error {worst:.1e}");
    assert!(worst < 1e-5, "{worst:e}");
}
