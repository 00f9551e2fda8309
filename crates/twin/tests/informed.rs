//! Physics-informed networks: their parts against f64, and a fit whose answer is known.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN must fail")]

#[path = "../../sim/tests/common/mod.rs"]
mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Case, device, fresh_seed, library, parse, scenario};
use posology_cohort::philox::{draw, uniform_closed_open};
use posology_cohort::{Cohort, Timeline, Timelines};
use posology_kernels::reference::{Method, simulate};
use posology_model::graph::{Binary, Graph, Unary};
use posology_model::interpret::{Environment, Interpreter};
use posology_model::program::{Block, Program, lower_directly};
use posology_sim::{OutputPlan, RuleSet};
use posology_twin::informed::network::{Networks, states};
use posology_twin::informed::schedule::Schedule;
use posology_twin::informed::tensors::{Leaves, evaluate};
use posology_twin::informed::{InformedError, InformedOptions, Observation, fit_informed};

/// Patients and instants of the interpreter's test.
const SHAPE: [usize; 2] = [3, 4];

struct Random(u64, u32);

impl Random {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.1 += 1;
        let [word, ..] = draw(self.0, 0, 0, 0, self.1);
        low + (high - low) * uniform_closed_open(word)
    }
}

fn on() -> Device {
    Device::from(device().runtime.clone())
}

fn table(shape: [usize; 2], values: &[f64]) -> Tensor<2> {
    let words: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    Tensor::from_data(TensorData::new(words, shape), &on())
}

fn words<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let words = tensor.into_data().try_to_vec::<f32>().unwrap();
    words.into_iter().map(f64::from).collect()
}

/// What a block is evaluated in, one entry per patient and instant.
#[derive(Clone, Default)]
struct Instant {
    states: Vec<f64>,
    slots: Vec<f64>,
    inputs: Vec<f64>,
    time: f64,
    tad: f64,
}

impl Instant {
    fn values(&self, block: &Block, carried: &[f64]) -> Vec<f64> {
        let mut out = Vec::new();
        let environment = Environment {
            states: &self.states,
            slots: &self.slots,
            carried,
            inputs: &self.inputs,
            time: self.time,
            tad: self.tad,
            ..Environment::default()
        };
        Interpreter::default().run(block, &environment, &mut out);
        out
    }

    /// Setup, then the outputs of a block.
    fn of(&self, setup: &Block, block: &Block) -> Vec<f64> {
        self.values(block, &self.values(setup, &[]))
    }

    /// As single precision may see it.
    fn shaken(&self, random: &mut Random) -> Self {
        let mut shake = |v: f64| v * (1.0 + random.between(-1e-7, 1e-7));
        Self {
            states: self.states.iter().map(|v| shake(*v)).collect(),
            slots: self.slots.iter().map(|v| shake(*v)).collect(),
            inputs: self.inputs.iter().map(|v| shake(*v)).collect(),
            time: shake(self.time),
            tad: shake(self.tad),
        }
    }
}

fn leaves(instants: &[Instant]) -> Leaves {
    let row =
        |of: &dyn Fn(&Instant) -> f64| table(SHAPE, &instants.iter().map(of).collect::<Vec<f64>>());
    let rows = |of: &dyn Fn(&Instant) -> &Vec<f64>| -> Vec<Tensor<2>> {
        let count = of(&instants[0]).len();
        (0..count).map(|k| row(&|i| of(i)[k])).collect()
    };
    Leaves {
        states: rows(&|i| &i.states),
        slots: rows(&|i| &i.slots),
        carried: Vec::new(),
        inputs: rows(&|i| &i.inputs),
        time: row(&|i| i.time),
        tad: row(&|i| i.tad),
    }
}

/// The largest error of a block's outputs beyond what the last bits of its leaves move them, and the
/// largest of all, which sums of cancelling terms dominate.
fn error(setup: &Block, block: &Block, instants: &[Instant], random: &mut Random) -> [f64; 2] {
    let mut leaves = leaves(instants);
    assert!(!block.outputs.is_empty());
    leaves.carried = evaluate(setup, &leaves).unwrap();
    let got: Vec<Vec<f64>> = evaluate(block, &leaves)
        .unwrap()
        .into_iter()
        .map(words)
        .collect();
    let mut worst = [0.0; 2];
    for (j, instant) in instants.iter().enumerate() {
        let wanted = instant.of(setup, block);
        let moved: Vec<Vec<f64>> = (0..8)
            .map(|_| instant.shaken(random).of(setup, block))
            .collect();
        for (k, wanted) in wanted.iter().enumerate() {
            let moves = moved.iter().map(|m| (m[k] - wanted).abs());
            let allowed = 4.0 * moves.fold(0.0, f64::max);
            let apart = (got[k][j] - wanted).abs();
            let errors = [(apart - allowed).max(0.0), apart].map(|e| e / wanted.abs().max(1e-30));
            for (worst, error) in worst.iter_mut().zip(errors) {
                if !(error <= *worst) {
                    *worst = error;
                }
            }
        }
    }
    worst
}

fn instants(program: &Program, case: &Case, random: &mut Random) -> Vec<Instant> {
    let rows = case.rows();
    let mut found = Vec::new();
    for i in 0..SHAPE[0] {
        let timeline = &rows[case.timelines.of_patient[i] as usize];
        let (slots, scales) = (case.cohort.patient(i), case.scales(i));
        let method = Method::Rk4 { refine: 1 };
        let path = simulate(program, timeline, &slots, &scales, method).unwrap();
        for _ in 0..SHAPE[1] {
            let range = &path.range[..program.n_states];
            found.push(Instant {
                states: range.iter().map(|r| r * random.between(0.1, 1.0)).collect(),
                slots: slots.iter().map(|v| v * random.between(0.9, 1.0)).collect(),
                inputs: (0..program.n_inputs)
                    .map(|_| random.between(0.1, 2.0))
                    .collect(),
                time: random.between(1.0, 30.0),
                tad: random.between(1.0, 10.0),
            });
        }
    }
    found
}

#[test]
fn tensors_agree_with_the_interpreter_for_every_model() {
    let mut random = Random(fresh_seed("interpreter"), 0);
    let mut failed = Vec::new();
    for model in library() {
        let name = model.name.clone();
        let seed = random.0 % 1000;
        let cohort = Cohort::sample(&model, SHAPE[0], seed, 0).unwrap_or_else(|e| panic!("{e}"));
        let timelines = scenario(&model, &cohort);
        let outputs = OutputPlan::of_model(&model, false);
        let case = Case {
            timelines,
            outputs,
            rules: RuleSet::default(),
            cohort,
            model,
        };
        let program = case.program();
        let at = instants(&program, &case, &mut random);
        let [rates, records] =
            [&program.rates, &program.record].map(|b| error(&program.setup, b, &at, &mut random));
        let [[r, all_r], [o, all_o]] = [rates, records];
        println!("{name:26} rates {r:.1e} ({all_r:.1e}), observables {o:.1e} ({all_o:.1e})");
        if !(rates[0] <= 2e-5) || !(records[0] <= 2e-5) {
            failed.push((name, rates, records));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// Every operation there is, on leaves of both signs and on constants.
#[test]
fn every_operation_is_known() {
    let mut random = Random(fresh_seed("operations"), 0);
    let mut g = Graph::new();
    let (x, y, t) = (g.slot(0), g.slot(1), g.time());
    let (positive, two, half) = (g.slot(2), g.constant(2.0), g.constant(0.5));
    let mut roots = Vec::new();
    for op in [Unary::Neg, Unary::Recip, Unary::Exp, Unary::Abs] {
        roots.push(g.unary(op, x));
    }
    for op in [Unary::Ln, Unary::Log10, Unary::Sqrt] {
        roots.push(g.unary(op, positive));
    }
    roots.push(g.unary(Unary::Tanh, y));
    let low = g.binary(Binary::Lt, x, y);
    roots.push(g.unary(Unary::Not, low));
    use Binary::{Add, And, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Or, Pow, Sub};
    for op in [Add, Sub, Mul, Div, Min, Max, Lt, Le, Gt, Ge, Eq, Ne] {
        for (a, b) in [(x, y), (x, half), (two, y), (x, t), (x, x)] {
            roots.push(g.binary(op, a, b));
        }
    }
    let high = g.binary(Binary::Gt, x, half);
    for op in [And, Or] {
        roots.push(g.binary(op, low, high));
        roots.push(g.binary(op, low, t));
    }
    roots.push(g.binary(Pow, positive, y));
    roots.push(g.binary(Pow, two, y));
    let odd = g.constant(1.7);
    roots.push(g.binary(Pow, positive, odd));
    roots.push(g.select(low, positive, two));
    roots.push(g.select(high, x, y));
    let block = lower_directly(&g, &roots);
    let signs = [1.0, -1.0];
    let at: Vec<Instant> = (0..SHAPE[0] * SHAPE[1])
        .map(|k| Instant {
            slots: vec![
                signs[k % 2] * random.between(0.6, 2.0),
                signs[k / 2 % 2] * random.between(0.1, 0.4),
                random.between(0.1, 2.0),
            ],
            time: random.between(3.0, 4.0),
            ..Instant::default()
        })
        .collect();
    let [worst, all] = error(&Block::default(), &block, &at, &mut random);
    println!("every operation: {worst:.1e}, {all:.1e}");
    assert!(worst <= 1e-5, "{worst:e}");
    // what is not given is said
    let mut short = leaves(&at);
    short.slots.clear();
    assert_eq!(evaluate(&block, &short).unwrap_err().what, "slot");
}

#[test]
fn derivative_by_time_agrees_with_differences() {
    let seed = fresh_seed("network");
    let (n, points, outputs) = (3, 5, 2);
    let biases = vec![vec![0.3, -0.2]; n];
    let networks = Networks::new(&[1, 16, 16, outputs], &[7, 8, 9], &biases, seed, &on());
    let mut random = Random(seed, 0);
    let times: Vec<f64> = (0..n * points).map(|_| random.between(-1.0, 1.0)).collect();
    let slope = 0.3;
    let full = |value: f64, shape: [usize; 3]| Tensor::<3>::full(shape, value, &on());
    let at = |by: f64| {
        let x: Vec<f64> = times.iter().map(|t| t + slope * by).collect();
        let x = table([n, points], &x).reshape([n, points, 1]);
        let (value, rate) = networks.at(x, full(slope, [n, 1, 1]));
        let (u, du) = states(value, rate, full(5.0, [n, 1, outputs]), &[false, true]);
        (words(u), words(du))
    };
    let h = 0.05;
    let (above, below, (middle, exact)) = (at(h), at(-h), at(0.0));
    let largest = exact.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for k in 0..exact.len() {
        let difference = (above.0[k] - below.0[k]) / (2.0 * h);
        let apart = (difference - exact[k]).abs() / largest;
        assert!(apart <= 2e-3, "{k}: {difference} for {}", exact[k]);
        assert!(k % outputs == 1 || middle[k] > 0.0);
    }
}

const LOGISTIC: &str = r#"
name = "logistic"
title = "Logistic growth"
time = "d"
dt = "0.05 d"
sources = { known = "exact solution" }

[covariates]
dose = { unit = "1/d", reference = 0 }

[parameters]
r  = { value = 0.3, unit = "1/d", source = "known" }
K  = { value = 4.0, unit = "g", source = "known" }
y0 = { value = 0.5, unit = "g", source = "known" }

[inputs.graft]
into = "y"
unit = "g"

[states.y]
unit = "g"
init = "y0"
rate = "(r - dose)*y*(1 - y/K)"

[observables.size]
expr = "y"
unit = "g"

[scenario]
duration = "12 d"
"#;

fn logistic(n: usize) -> Case {
    let model = parse(LOGISTIC);
    let cohort = Cohort::typical(&model, n);
    let timelines = Timelines::shared(n, Timeline::new(Vec::new(), 12.0));
    let outputs = OutputPlan::of_model(&model, false);
    Case {
        outputs,
        rules: RuleSet::default(),
        model,
        cohort,
        timelines,
    }
}

/// Growth rates are found from eight noiseless observations, and the course beyond them where the
/// equations are asked for there.
#[test]
fn logistic_growth_is_recovered() {
    let truth = [0.2, 0.5];
    let case = logistic(truth.len());
    // grams of the coherent system
    let scale = case.outputs.records[0].scale;
    let size = |r: f64, t: f64| 4.0 / (1.0 + (4.0 / 0.5 - 1.0) * (-r * t).exp());
    let observe = |(patient, r): (usize, &f64)| {
        let r = *r;
        (1..=8).map(move |k| Observation {
            patient,
            time: f64::from(k),
            output: 0,
            value: size(r, f64::from(k)) * scale,
            sd: 0.05 * scale,
        })
    };
    let observations: Vec<Observation> = truth.iter().enumerate().flat_map(observe).collect();
    let options = InformedOptions {
        trainable: vec![(case.model.slot_index("r").unwrap(), 1.0)],
        iterations: 200,
        collocation: 32,
        hidden: vec![16, 16],
        until: Some(12.0),
        learning_rate: 3e-2,
        ..InformedOptions::default()
    };
    let started = std::time::Instant::now();
    let fit = fit_informed(device(), &case.simulation(), &observations, &options).unwrap();
    println!("{:?} in {:.1?}", fit.losses, started.elapsed());
    let times = [2.5, 6.5, 10.0, 12.0];
    let found = fit.predict(&times).unwrap();
    for (i, r) in truth.iter().enumerate() {
        let fitted = fit.slots[case.model.slot_index("r").unwrap()][i];
        println!("patient {i}: r {fitted:.4} for {r}");
        assert!((fitted / r - 1.0).abs() <= 0.1, "{fitted} for {r}");
        for (k, t) in times.iter().enumerate() {
            let (got, wanted) = (found.records[0][i][k] / scale, size(*r, *t));
            println!("  t {t}: {got:.4} for {wanted:.4}");
            assert!((got / wanted - 1.0).abs() <= 0.05, "{got} for {wanted}");
        }
        assert_eq!(found.states[0][i].len(), times.len());
    }
}

/// Infusions, boluses at the start and covariates that change are functions of time.
#[test]
fn events_become_functions_of_time() {
    let mut case = logistic(1);
    let text = "graft: 2 g at 0 d; graft: 6 g over 3 d at 2 d; dose: 0.25 1/d from 7 d";
    case.timelines = common::regimen(&case.model, &case.cohort, text, 12.0);
    let dose = case.model.slot_index("dose").unwrap();
    let schedule = Schedule::of(&case.model, &case.timelines, 0).unwrap();
    let gram = case.outputs.records[0].scale;
    assert_eq!(schedule.given, vec![(0, 2.0 * gram)]);
    let rates = [1.9, 2.0, 4.9, 5.1].map(|t| schedule.rate(0, t) / gram);
    assert_eq!(rates, [0.0, 2.0, 2.0, 0.0]);
    assert_eq!(
        [6.9, 7.0].map(|t| schedule.slot(dose, t)),
        [None, Some(0.25)]
    );
    assert_eq!([1.5, 2.0, 4.5].map(|t| schedule.tad(t)), [1.5, 0.0, 2.5]);
    let options = InformedOptions {
        iterations: 1,
        until: Some(12.0),
        ..InformedOptions::default()
    };
    let fit = fit_informed(device(), &case.simulation(), &[], &options).unwrap();
    assert_eq!(fit.losses[0].data, 0.0);
    // the network begins far from the two grams more
    assert!(fit.losses[0].initial > 1e-4 && fit.losses[0].residual > 1e-4);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let mut case = logistic(1);
    let options = InformedOptions {
        iterations: 2,
        ..InformedOptions::default()
    };
    let good = Observation {
        patient: 0,
        time: 3.0,
        output: 0,
        value: 1.0,
        sd: 0.1,
    };
    let fit = |case: &Case, seen: &[Observation], options: &InformedOptions| {
        fit_informed(device(), &case.simulation(), seen, options).map(drop)
    };
    assert!(fit(&case, &[good], &options).is_ok());
    let bad = Observation { output: 3, ..good };
    let found = fit(&case, &[good, bad], &options).unwrap_err();
    assert!(matches!(found, InformedError::Observation { index: 1, .. }));
    let found = fit(&case, &[], &options).unwrap_err();
    assert!(matches!(found, InformedError::Option { key: "until", .. }));
    let covariate = InformedOptions {
        trainable: vec![(case.model.slot_index("dose").unwrap(), 1.0)],
        ..options.clone()
    };
    let found = fit(&case, &[good], &covariate).unwrap_err();
    assert!(matches!(
        found,
        InformedError::Option {
            key: "trainable",
            ..
        }
    ));
    case.timelines = common::regimen(&case.model, &case.cohort, "1 g every 2 d x 2", 12.0);
    let found = fit(&case, &[good], &options).unwrap_err();
    assert!(found.to_string().contains("a bolus at t = 2"), "{found}");
}
