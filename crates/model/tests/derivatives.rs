//! Symbolic Jacobians and vector-Jacobian products of every shipped model against central finite
//! differences, at random points around its trajectories.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::needless_range_loop, reason = "rows and columns of matrices")]

use std::path::{Path, PathBuf};

use posology_model::Model;
use posology_model::differentiate::vector_jacobian_product;
use posology_model::graph::NodeId;
use posology_model::interpret::{Environment, Interpreter, evaluate};
use posology_model::program::{Equations, Program, Request};
use posology_model::reference::Segment;
use posology_model::stability::Jacobian;

const POINTS: usize = 12;
/// Relative to the largest of the entry and what rounding leaves of the difference.
const TOLERANCE: f64 = 1e-5;

/// Step of the differences, as a share of the state.
const STEP: f64 = 1e-4;

fn step_scale(state: f64) -> f64 {
    state.abs().max(1e-6)
}

fn library() -> Vec<Model> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("model folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| Model::load(path).unwrap_or_else(|found| panic!("{found}")))
        .collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

struct Point {
    states: Vec<f64>,
    slots: Vec<f64>,
    inputs: Vec<f64>,
    time: f64,
    tad: f64,
}

impl Point {
    fn environment<'a>(&'a self, states: &'a [f64], seeds: &'a [f64]) -> Environment<'a> {
        Environment {
            states,
            slots: &self.slots,
            inputs: &self.inputs,
            seeds,
            time: self.time,
            tad: self.tad,
            ..Environment::default()
        }
    }
}

/// Points on the path after a bolus into every input, with parameters varied by up to 20 %.
fn points(model: &Model, random: &mut Random) -> Vec<Point> {
    let init: Vec<NodeId> = model.states.iter().map(|state| state.init).collect();
    let rates: Vec<NodeId> = model.states.iter().map(|state| state.rate).collect();
    let signed = vec![true; rates.len()];
    let equations = Equations {
        graph: &model.graph,
        init: &init,
        rates: &rates,
        signed: &signed,
        n_slots: model.slot_count(),
        n_inputs: model.inputs.len(),
    };
    let program = Program::lower(&equations, &Request::default());
    let end = model.scenario.as_ref().expect("scenario").duration;
    let finest = model
        .step
        .0
        .iter()
        .map(|piece| piece.dt)
        .fold(f64::INFINITY, f64::min);
    let mut found = Vec::new();
    for _ in 0..20 * POINTS {
        let slots: Vec<f64> = model
            .typical_slots()
            .iter()
            .map(|value| value * random.uniform(0.8, 1.2))
            .collect();
        let environment = Environment {
            slots: &slots,
            ..Environment::default()
        };
        let mut y = evaluate(&model.graph, &init, &environment);
        for input in &model.inputs {
            y[input.into] += random.uniform(50.0, 500.0);
        }
        let (mut carried, mut interpreter) = (Vec::new(), Interpreter::default());
        interpreter.run(&program.setup, &environment, &mut carried);
        let inputs: Vec<f64> = model
            .inputs
            .iter()
            .map(|_| random.uniform(0.0, 20.0))
            .collect();
        let segment = Segment {
            program: &program,
            carried: &carried,
            inputs: &inputs,
            time: 0.0,
            tad: 0.0,
        };
        let steps = (end * random.uniform(0.001, 0.3) / finest).clamp(1.0, 3000.0) as usize;
        for k in 0..steps {
            segment.rk4_step(&mut interpreter, &mut y, k as f64 * finest, finest);
        }
        let time = steps as f64 * finest;
        // parameters apart from each other may leave the model's domain
        if y.iter().all(|v| v.is_finite())
            && evaluate(
                &model.graph,
                &rates,
                &Environment {
                    states: &y,
                    inputs: &inputs,
                    time,
                    tad: time,
                    ..environment
                },
            )
            .iter()
            .all(|v| v.is_finite())
        {
            found.push(Point {
                states: y,
                slots,
                inputs,
                time,
                tad: time,
            });
        }
        if found.len() == POINTS {
            break;
        }
    }
    assert_eq!(found.len(), POINTS, "{}", model.name);
    found
}

/// Central differences of the rates in every state: `[column][row]`, with what rounding makes of each.
fn differences(model: &Model, rates: &[NodeId], point: &Point) -> Vec<Vec<(f64, f64)>> {
    let at = |states: &[f64]| evaluate(&model.graph, rates, &point.environment(states, &[]));
    (0..rates.len())
        .map(|column| {
            let size = step_scale(point.states[column]);
            let slope = |h: f64| -> Vec<(f64, f64)> {
                let (mut up, mut down) = (point.states.clone(), point.states.clone());
                up[column] += h;
                down[column] -= h;
                let step = up[column] - down[column];
                at(&up)
                    .iter()
                    .zip(at(&down))
                    .map(|(a, b)| {
                        (
                            (a - b) / step,
                            (a.abs() + b.abs()) * f64::EPSILON / step.abs(),
                        )
                    })
                    .collect()
            };
            // Richardson's extrapolation of two steps removes the error of second order
            let (coarse, fine) = (slope(STEP * size), slope(0.5 * STEP * size));
            let kink =
                |c: f64, f: f64, rounding: f64| (c - f).abs() > 1e-3 * f.abs() + 20.0 * rounding;
            let entry = |((c, _), (f, rounding)): (&(f64, f64), &(f64, f64))| {
                // where the steps straddle a kink there is no derivative to compare with
                (
                    (4.0 * f - c) / 3.0,
                    if kink(*c, *f, *rounding) {
                        f64::INFINITY
                    } else {
                        20.0 * rounding
                    },
                )
            };
            coarse.iter().zip(&fine).map(entry).collect()
        })
        .collect()
}

#[test]
fn jacobians_and_their_products_are_those_of_finite_differences() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("clock");
    let mut random = Random(now.as_nanos() as u64);
    println!("seed {}", random.0);
    for mut model in library() {
        let rates: Vec<NodeId> = model.states.iter().map(|state| state.rate).collect();
        let n = rates.len();
        let jacobian = Jacobian::new(&model.graph, &rates);
        let points = points(&model, &mut random);
        let seeds: Vec<NodeId> = (0..n).map(|i| model.graph.seed(i)).collect();
        let states: Vec<NodeId> = (0..n).map(|i| model.graph.state(i)).collect();
        let product = vector_jacobian_product(&mut model.graph, &rates, &seeds, &states);
        let (mut worst, mut worst_product, mut entries, mut kinks) = (0.0f64, 0.0f64, 0, 0);
        for point in &points {
            let dense = jacobian.dense(&point.environment(&point.states, &[]));
            // the terms of a rate may cancel; their size is that of their derivatives times the states
            let terms: Vec<f64> = (0..n)
                .map(|row| {
                    (0..n)
                        .map(|column| (dense[(row, column)] * point.states[column]).abs())
                        .sum()
                })
                .collect();
            let noise = |row: usize, column: usize| {
                40.0 * f64::EPSILON * terms[row] / (STEP * step_scale(point.states[column]))
            };
            let expected = differences(&model, &rates, point);
            let seed: Vec<f64> = (0..n).map(|_| random.uniform(-1.0, 1.0)).collect();
            let got = evaluate(
                &model.graph,
                &product,
                &point.environment(&point.states, &seed),
            );
            for column in 0..n {
                // derivatives along a column differ by orders of magnitude: each is held to its own size
                for row in 0..n {
                    let (difference, mut rounding) = expected[column][row];
                    rounding += noise(row, column);
                    let exact = dense[(row, column)];
                    let error = ((exact - difference).abs() - rounding).max(0.0)
                        / exact.abs().max(difference.abs()).max(f64::MIN_POSITIVE);
                    worst = worst.max(error);
                    entries += usize::from(exact != 0.0);
                    kinks += usize::from(rounding.is_infinite());
                    assert!(
                        error <= TOLERANCE,
                        "{}: d({}')/d({}) is {exact}, by differences {difference} at t = {}",
                        model.name,
                        model.states[row].name,
                        model.states[column].name,
                        point.time
                    );
                }
                // the product against finite differences, and to rounding against the Jacobian
                let by_matrix: f64 = (0..n).map(|row| seed[row] * dense[(row, column)]).sum();
                let size: f64 = (0..n)
                    .map(|row| (seed[row] * dense[(row, column)]).abs())
                    .sum();
                assert!(
                    (got[column] - by_matrix).abs() <= 1e-12 * size,
                    "{}: product {} and matrix {by_matrix}",
                    model.name,
                    got[column]
                );
                let by_difference: f64 =
                    (0..n).map(|row| seed[row] * expected[column][row].0).sum();
                let rounding: f64 = (0..n)
                    .map(|row| (seed[row] * (expected[column][row].1 + noise(row, column))).abs())
                    .sum();
                let error = ((got[column] - by_difference).abs() - rounding).max(0.0)
                    / size.max(f64::MIN_POSITIVE);
                worst_product = worst_product.max(error);
                assert!(
                    error <= TOLERANCE,
                    "{}: product for {}: {} and {by_difference}",
                    model.name,
                    model.states[column].name,
                    got[column]
                );
            }
        }
        assert!(50 * kinks <= entries, "{}: {kinks} kinks", model.name);
        println!(
            "{:26} {POINTS} points, {} of {} entries, error {worst:.1e}; product {worst_product:.1e}",
            model.name,
            entries / POINTS,
            n * n
        );
    }
}
