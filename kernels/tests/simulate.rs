//! The simulation kernel against the f64 reference, on hand-made equations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]
#![allow(clippy::needless_range_loop, reason = "patients index several tables")]

#[path = "simulate/arithmetic.rs"]
mod arithmetic;
#[path = "simulate/random.rs"]
mod random;

use posology_kernels::device;
use posology_kernels::launch::{Batch, Outcome, Simulator, SimulatorOptions};
use posology_kernels::reference::{self, Method};
use posology_kernels::simulate::{Plan, Status};
use posology_kernels::timeline::{Action, Repeat, Row, Scaled, Timeline};
use posology_model::graph::{Graph, NodeId};
use posology_model::program::{AccumulatorRequest, Equations, Program, Request};

/// Equations that own their graph.
struct Toy {
    graph: Graph,
    init: Vec<NodeId>,
    rates: Vec<NodeId>,
    n_slots: usize,
    n_inputs: usize,
}

impl Toy {
    fn program(&self, request: &Request) -> Program {
        let signed = vec![false; self.rates.len()];
        let equations = Equations {
            graph: &self.graph,
            init: &self.init,
            rates: &self.rates,
            signed: &signed,
            n_slots: self.n_slots,
            n_inputs: self.n_inputs,
        };
        Program::lower(&equations, request)
    }

    /// Two compartments, slots k10, k12, k21; one input into the first.
    fn two_compartments() -> Toy {
        let mut g = Graph::new();
        let (a, b) = (g.state(0), g.state(1));
        let (k10, k12, k21) = (g.slot(0), g.slot(1), g.slot(2));
        let out = g.add(k10, k12);
        let loss = g.mul(out, a);
        let back = g.mul(k21, b);
        let infusion = g.input(0);
        let gain = g.add(back, infusion);
        let da = g.sub(gain, loss);
        let there = g.mul(k12, a);
        let db = g.sub(there, back);
        let zero = g.constant(0.0);
        Toy {
            graph: g,
            init: vec![zero; 2],
            rates: vec![da, db],
            n_slots: 3,
            n_inputs: 1,
        }
    }
}

fn run(
    program: Program,
    timelines: &[Timeline],
    values: &[f32],
    n: usize,
    options: SimulatorOptions,
) -> Outcome {
    let device = device::open(Some("software")).expect("a software adapter");
    let floors = vec![-1e-3; program.n_states];
    let records = timelines[0].record_count();
    let simulator = Simulator::new(&device, Plan::new(program), timelines, &floors, options);
    let ids: Vec<u32> = (0..n as u32).collect();
    simulator
        .run(&Batch {
            n,
            values,
            timeline: &vec![0; n],
            first_record: &ids,
            patient: &ids,
            record_stride: n as u32,
            record_total: records * n,
            seed: 7,
        })
        .expect("the kernel runs")
}

fn plain(value: f64) -> Scaled {
    Scaled {
        value,
        ..Scaled::default()
    }
}

#[test]
fn a_bolus_and_an_infusion_follow_the_f64_reference() {
    let toy = Toy::two_compartments();
    let states: Vec<NodeId> = vec![NodeId(0), NodeId(1)];
    let request = Request {
        records: states.iter().map(|&id| (id, None)).collect(),
        accumulators: vec![
            AccumulatorRequest::Max(states[0]),
            AccumulatorRequest::Integral(states[0]),
        ],
        ..Request::default()
    };
    let program = toy.program(&request);
    let timeline = Timeline {
        rows: vec![
            Row {
                actions: vec![
                    Action::Reset,
                    Action::Bolus {
                        state: 0,
                        amount: plain(100.0),
                    },
                    Action::Dose { slot: None },
                ],
                steps: 40,
                h: 0.1,
                ..Row::default()
            },
            Row {
                actions: vec![
                    Action::Record,
                    Action::SetRate {
                        input: 0,
                        rate: plain(20.0),
                    },
                ],
                steps: 20,
                h: 0.1,
                ..Row::default()
            },
            Row {
                actions: vec![
                    Action::Record,
                    Action::SetRate {
                        input: 0,
                        rate: plain(0.0),
                    },
                ],
                steps: 100,
                h: 0.1,
                ..Row::default()
            },
            Row {
                actions: vec![Action::Record],
                ..Row::default()
            },
        ],
    };
    let n = 100;
    let mut values = Vec::new();
    for base in [0.3f32, 0.4, 0.2] {
        values.extend((0..n).map(|i| base * (0.5 + i as f32 / n as f32)));
    }
    let outcome = run(
        program.clone(),
        std::slice::from_ref(&timeline),
        &values,
        n,
        SimulatorOptions {
            guard_compensation: true,
            ..SimulatorOptions::default()
        },
    );
    for i in 0..n {
        let slots: Vec<f64> = (0..3).map(|s| f64::from(values[s * n + i])).collect();
        let path = reference::simulate(&program, &timeline, &slots, &[], Method::Rk4 { refine: 1 })
            .unwrap();
        assert_eq!(outcome.status[i], Status::Completed);
        for r in 0..3 {
            for o in 0..2 {
                let got = f64::from(outcome.records.column(o).get(r * n + i));
                assert!(
                    (got - path.records[r][o]).abs() < 1e-5 * path.range[o],
                    "record {r} output {o} patient {i}: {got} vs {}",
                    path.records[r][o]
                );
            }
        }
        for k in 0..2 {
            let got = f64::from(outcome.summaries[k * n + i]);
            assert!(
                (got - path.summaries[k]).abs() < 1e-5 * path.summaries[k].abs(),
                "summary {k}: {got} vs {}",
                path.summaries[k]
            );
        }
    }
}

/// A state that gains 1e-9 of itself per step: every increment is below half an ulp of f32.
#[test]
fn compensation_keeps_increments_below_half_an_ulp() {
    let mut g = Graph::new();
    let k = g.slot(0);
    let one = g.constant(1.0);
    let toy = Toy {
        init: vec![one],
        rates: vec![k],
        graph: g,
        n_slots: 1,
        n_inputs: 0,
    };
    let steps = 432_000u32;
    let timeline = Timeline {
        rows: vec![Row {
            actions: vec![Action::Reset],
            steps,
            h: 1.0,
            ..Row::default()
        }],
    };
    let options = SimulatorOptions {
        guard_compensation: true,
        ..SimulatorOptions::default()
    };
    let outcome = run(
        toy.program(&Request::default()),
        &[timeline],
        &[1e-9],
        1,
        options,
    );
    let expected = 1.0 + 1e-9 * f64::from(steps);
    assert!(
        (f64::from(outcome.states[0]) - expected).abs() < 1e-6,
        "{} vs {expected}",
        outcome.states[0]
    );
}

#[test]
fn a_group_of_rows_repeats_until_steady() {
    let toy = Toy::two_compartments();
    let program = toy.program(&Request::default());
    let timeline = Timeline {
        rows: vec![
            Row {
                actions: vec![Action::Reset, Action::BeginSteadyState],
                ..Row::default()
            },
            Row {
                actions: vec![Action::Bolus {
                    state: 0,
                    amount: plain(100.0),
                }],
                steps: 80,
                h: 0.1,
                repeat: Some(Repeat {
                    rows: 1,
                    passes: 10_000,
                    until_steady: true,
                }),
                frozen_clock: true,
            },
            Row {
                actions: vec![Action::EndSteadyState { superpose: false }],
                ..Row::default()
            },
        ],
    };
    let values = [0.3f32, 0.4, 0.2];
    let outcome = run(
        program.clone(),
        std::slice::from_ref(&timeline),
        &values,
        1,
        SimulatorOptions {
            guard_compensation: true,
            ..SimulatorOptions::default()
        },
    );
    let slots: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
    let path =
        reference::simulate(&program, &timeline, &slots, &[], Method::Rk4 { refine: 1 }).unwrap();
    assert_eq!(outcome.status[0], Status::Completed);
    assert_eq!(outcome.time[0], 0.0);
    for s in 0..2 {
        let got = f64::from(outcome.states[s]);
        assert!(
            (got - path.states[s]).abs() < 1e-4 * path.states[s],
            "{got} vs {}",
            path.states[s]
        );
    }
}

#[test]
fn a_patient_who_diverges_is_frozen_at_his_last_good_state() {
    let mut g = Graph::new();
    let (x, k) = (g.state(0), g.slot(0));
    let square = g.mul(x, x);
    let rate = g.mul(k, square);
    let one = g.constant(1.0);
    let toy = Toy {
        init: vec![one],
        rates: vec![rate],
        graph: g,
        n_slots: 1,
        n_inputs: 0,
    };
    let timeline = Timeline {
        rows: vec![Row {
            actions: vec![Action::Reset],
            steps: 400,
            h: 0.01,
            ..Row::default()
        }],
    };
    // x' = k x^2 explodes at t = 1/k: the second patient inside the run, the first after it
    let outcome = run(
        toy.program(&Request::default()),
        &[timeline],
        &[0.1, 0.5],
        2,
        SimulatorOptions::default(),
    );
    assert_eq!(outcome.status, vec![Status::Completed, Status::NotFinite]);
    assert!((outcome.time[0] - 4.0).abs() < 1e-4);
    assert!(
        outcome.time[1] > 1.9 && outcome.time[1] < 2.3,
        "{}",
        outcome.time[1]
    );
    assert!(outcome.states[1].is_finite());
    assert!((outcome.states[0] - 1.0 / (1.0 - 0.4)).abs() < 1e-4);
}
