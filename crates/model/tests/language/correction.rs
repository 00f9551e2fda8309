//! `[correction]`: the network against plain arithmetic, its bounds, and what is left of it untrained.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use posology_model::Model;
use posology_model::correction::{Activation, Correction, Form};
use posology_model::differentiate::vector_jacobian_product;
use posology_model::graph::NodeId;
use posology_model::interpret::{Environment, Interpreter, evaluate};
use posology_model::program::{Equations, Program, Request};
use posology_model::reference::Segment;
use posology_model::stability::Jacobian;

/// Every kind of corrected state: relative, absolute with a floor, signed, and a family.
pub const MECHANISM: &str = r#"
name = "corrected"
title = "A mechanism to correct"
time = "d"
dt = "0.1 d"
[index]
organ = ["p", "q"]
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
K = { value = 100, unit = "mg", source = "made up" }
g = { value = 0.1, unit = "1/d", source = "made up" }
[derived]
effect = { expr = "y / (y + 5[ug])", unit = "1" }
[inputs.drug]
into = "x"
unit = "mg"
[states.x]
unit = "mg"
init = "10[mg]"
rate = "g*x*(1 - x/K)"
[states.y]
unit = "ug"
init = "3[ug]"
rate = "-g*y"
[states.s]
unit = "mg"
signed = true
rate = "-g*s + g*x"
[states."a[organ]"]
unit = "mg"
init = "1[mg]"
rate = "g*x - g*a[organ]"
[observables.X]
expr = "x + y + a[p]"
unit = "mg"
"#;

pub const SECTION: &str = r#"
[correction]
inputs = ["x/K", "effect", "ln(WT/70[kg] + a[q]/1[mg])"]
width = 5
layers = 2
latents = 1
weights = "w.csv"
[correction.rates]
x = { scale = "0.05 1/d", form = "relative" }
y = { scale = "2 ug/h", form = "absolute", floor = "0.5 ug" }
s = { scale = "1 mg/d", form = "absolute" }
"a[organ]" = { scale = "3 mg/d", form = "absolute", floor = "2 mg" }
"#;

const STATES: usize = 5;

pub struct Random(u64);

impl Random {
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn values(&mut self, n: usize, size: f64) -> Vec<f64> {
        (0..n).map(|_| self.uniform(-size, size)).collect()
    }
}

/// A folder of one test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (id, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("posology-correction-{id}-{next}"));
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("write");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn untrained(section: &str) -> Model {
    let text = format!(
        "{MECHANISM}{}",
        section.replace("weights = \"w.csv\"\n", "")
    );
    Model::parse_trainable("test.toml", &text, None).unwrap_or_else(|found| panic!("{found}"))
}

/// With weights of a file: as constants, and as parameters.
fn trained(section: &str, size: f64, random: &mut Random) -> (Model, Model) {
    let folder = Folder::new();
    let start = untrained(section);
    let correction = start.correction.as_ref().expect("correction");
    let values = random.values(correction.network.weight_count(), size);
    folder.write("w.csv", &correction.weights_csv(&values));
    let text = format!("{MECHANISM}{section}");
    let constant = Model::parse("test.toml", &text, Some(&folder.0));
    let trainable = Model::parse_trainable("test.toml", &text, Some(&folder.0));
    let constant = constant.unwrap_or_else(|found| panic!("{found}"));
    let trainable = trainable.unwrap_or_else(|found| panic!("{found}"));
    for model in [&constant, &trainable] {
        assert!(model.warnings.is_empty(), "{}", model.warnings);
        let read = &model.correction.as_ref().expect("correction").values;
        assert_eq!(bits(read), bits(&values));
    }
    (constant, trainable)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn nodes(model: &Model, states: &[f64], slots: &[f64], nodes: &[NodeId]) -> Vec<f64> {
    let environment = Environment {
        states,
        slots,
        inputs: &[7.0],
        ..Environment::default()
    };
    evaluate(&model.graph, nodes, &environment)
}

fn rates(model: &Model) -> Vec<NodeId> {
    model.states.iter().map(|state| state.rate).collect()
}

fn program(model: &Model) -> Program {
    let init: Vec<NodeId> = model.states.iter().map(|state| state.init).collect();
    let signed: Vec<bool> = model.states.iter().map(|state| state.signed).collect();
    let equations = Equations {
        graph: &model.graph,
        init: &init,
        rates: &rates(model),
        signed: &signed,
        n_slots: model.slot_count(),
        n_inputs: model.inputs.len(),
    };
    let records = model.observables.iter().map(|o| (o.node, None)).collect();
    let request = Request {
        records,
        ..Request::default()
    };
    Program::lower(&equations, &request)
}

/// The network from names and loops, sharing nothing with the expansion but the names.
fn by_hand(correction: &Correction, inputs: &[f64]) -> Vec<f64> {
    let network = correction.network;
    let names = network.weight_names();
    let weights: HashMap<String, f64> = names.into_iter().zip(correction.values.clone()).collect();
    assert_eq!(weights.len(), network.weight_count());
    let mut values = inputs.to_vec();
    for layer in 1..=network.layers + 1 {
        let output = layer == network.layers + 1;
        let units = if output {
            network.outputs
        } else {
            network.width
        };
        values = (1..=units)
            .map(|unit| {
                let mut sum = weights[&format!("nn_b{layer}_{unit}")];
                for (i, value) in values.iter().enumerate() {
                    sum += weights[&format!("nn_w{layer}_{unit}_{}", i + 1)] * value;
                }
                match network.activation {
                    _ if output => sum,
                    Activation::Tanh => sum.tanh(),
                    Activation::Softplus => sum.exp().ln_1p(),
                    Activation::Swish => sum / (1.0 + (-sum).exp()),
                }
            })
            .collect();
    }
    values
}

fn drawn_states(random: &mut Random) -> [f64; STATES] {
    let mut states = [0.0; STATES];
    states.fill_with(|| random.uniform(0.0, 20.0));
    states[2] -= 10.0;
    states
}

#[test]
fn the_expansion_is_the_network() {
    let mut random = Random(1);
    for word in ["tanh", "softplus", "swish"] {
        for layers in 1..=3 {
            let section = SECTION
                .replace("layers = 2", &format!("layers = {layers}"))
                .replace("latents", &format!("activation = \"{word}\"\nlatents"));
            let (constant, trainable) = trained(&section, 1.0, &mut random);
            let correction = constant.correction.clone().expect("correction");
            assert_eq!(correction.network.activation.word(), word);
            assert!(!correction.is_trainable() && !correction.is_off());
            assert!(
                trainable
                    .correction
                    .as_ref()
                    .is_some_and(Correction::is_trainable)
            );
            // ug to mg and h to d: coherent values
            let scales: Vec<f64> = correction.rates.iter().map(|rate| rate.scale).collect();
            for (found, wanted) in scales.iter().zip([0.05, 0.048, 1.0, 3.0, 3.0]) {
                assert!((found / wanted - 1.0f64).abs() < 1e-12, "{scales:?}");
            }
            for _ in 0..20 {
                let states = drawn_states(&mut random);
                let (weight, latent) = (random.uniform(40.0, 120.0), random.uniform(-2.0, 2.0));
                let inputs = [
                    states[0] / 100.0,
                    states[1] / (states[1] + 0.005),
                    (weight / 70.0 + states[4]).ln(),
                    latent,
                ];
                let outputs = by_hand(&correction, &inputs);
                for model in [&constant, &trainable] {
                    let of = model.correction.as_ref().expect("correction");
                    let mut slots = model.typical_slots();
                    slots[of.latents[0]] = latent;
                    // masses are coherent in mg
                    slots[model.slot_index("WT").expect("WT")] = 1e6 * weight;
                    for (rate, output) in of.rates.iter().zip(&outputs) {
                        let state = states[rate.state];
                        let share = output.tanh();
                        let wanted = match (rate.form, rate.floor) {
                            (Form::Relative, _) => rate.scale * state * share,
                            (_, Some(floor)) if share < 0.0 => {
                                rate.scale * share * state / (state + floor)
                            }
                            _ => rate.scale * share,
                        };
                        let whole = model.states[rate.state].rate;
                        let all = [rate.term, rate.mechanism, whole];
                        let found = nodes(model, &states, &slots, &all);
                        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * rate.scale * 20.0;
                        assert!(close(found[0], wanted), "{word}: {} {wanted}", found[0]);
                        assert!(close(found[2], found[0] + found[1]));
                    }
                    // the running infusion is part of the mechanism
                    let x = nodes(model, &states, &slots, &[of.rates[0].mechanism])[0];
                    let logistic = 0.1 * states[0] * (1.0 - states[0] / 100.0);
                    assert!((x - logistic - 7.0).abs() < 1e-12);
                }
            }
        }
    }
}

#[test]
fn weights_and_latents_are_parameters_in_training() {
    let model = untrained(SECTION);
    assert!(model.warnings.is_empty(), "{}", model.warnings);
    let correction = model.correction.as_ref().expect("correction");
    assert_eq!(correction.network.weight_count(), 5 * 5 + 5 * 6 + 5 * 6);
    assert_eq!(correction.weights.len(), 85);
    assert_eq!(correction.inputs[1], "effect");
    assert_eq!(model.slot_index("nn_z1"), Some(2));
    assert_eq!(model.slot_index("nn_w1_1_1"), Some(3));
    assert_eq!(model.slot_index("nn_b3_5"), Some(87));
    assert_eq!(model.slot_index("WT"), Some(88));
    let latent = &model.parameters[correction.latents[0]];
    assert_eq!(latent.iiv.map(|iiv| iiv.omega2), Some(1.0));
    for &slot in &correction.weights {
        let weight = &model.parameters[slot];
        assert!(weight.calibrated && weight.iiv.is_none());
        assert_eq!(weight.source, "correction weights");
    }
    // Glorot's bound, no two alike, and an output layer of zeros
    let names = correction.network.weight_names();
    let mut seen = Vec::new();
    for (name, &value) in names.iter().zip(&correction.values) {
        if name.starts_with("nn_b") || name.starts_with("nn_w3") {
            assert_eq!(value, 0.0, "{name}");
        } else {
            let limit = (6.0f64 / if name.starts_with("nn_w1") { 9.0 } else { 10.0 }).sqrt();
            assert!(value != 0.0 && value.abs() <= limit && !seen.contains(&value));
            seen.push(value);
        }
    }
    let other = untrained(&SECTION.replace("width", "seed = 2\nwidth"));
    assert_ne!(
        other.correction.expect("correction").values,
        correction.values
    );
    // later expressions know them
    let mut model = model;
    let text = "nn_w1_1_1 + nn_z1";
    let origin = posology_model::model::Origin::whole("rule", text);
    assert!(model.expression(text, &origin).is_ok());
    assert!(model.knows("nn_b3_5"));
}

#[test]
fn an_untrained_correction_vanishes() {
    let plain = super::model(MECHANISM);
    let section = SECTION.replace("weights = \"w.csv\"\n", "");
    let off = super::model(&format!("{MECHANISM}{section}"));
    let correction = off.correction.as_ref().expect("correction");
    assert!(correction.is_off() && correction.latents.is_empty());
    assert_eq!(off.slot_count(), plain.slot_count());
    assert_eq!(program(&off), program(&plain));
    for rate in &correction.rates {
        assert_eq!(off.states[rate.state].rate, rate.mechanism);
        assert_eq!(off.graph.as_constant(rate.term), Some(0.0));
    }
    // in training it is there, and adds nothing yet
    let trainable = untrained(SECTION);
    let slots = trainable.typical_slots();
    let states = [10.0, 3.0, -1.0, 1.0, 2.0];
    let found = nodes(&trainable, &states, &slots, &rates(&trainable));
    let wanted = nodes(&plain, &states, &plain.typical_slots(), &rates(&plain));
    assert_eq!(found, wanted);
    // without the section both ways of reading are one
    let none = Model::parse_trainable("test.toml", MECHANISM, None).expect("model");
    assert!(none.correction.is_none());
    assert_eq!(program(&none), program(&plain));
}

#[test]
fn bounds_hold_and_states_stay_nonnegative() {
    let mut random = Random(3);
    for _ in 0..20 {
        // large weights saturate the outputs: the bounds are met
        let (model, _) = trained(SECTION, 8.0, &mut random);
        let correction = model.correction.as_ref().expect("correction");
        let slots = model.typical_slots();
        for step in 0..20 {
            let mut states = drawn_states(&mut random);
            if step % 2 == 0 {
                for (state, value) in states.iter_mut().enumerate() {
                    *value *= if state == 2 { 1.0 } else { 1e-9 };
                }
            }
            for rate in &correction.rates {
                let term = nodes(&model, &states, &slots, &[rate.term])[0];
                let state = states[rate.state];
                let (low, high) = match (rate.form, rate.floor) {
                    (Form::Relative, _) => (rate.scale * state, rate.scale * state),
                    (_, Some(floor)) => (rate.scale * state / (state + floor), rate.scale),
                    _ => (rate.scale, rate.scale),
                };
                let room = 1.0 + 1e-12;
                assert!(
                    -low * room <= term && term <= high * room,
                    "{term} {low} {high}"
                );
            }
        }
        // a course of 50 days in small steps
        let program = program(&model);
        let environment = Environment {
            slots: &slots,
            ..Environment::default()
        };
        let (mut carried, mut y) = (Vec::new(), Vec::new());
        let mut interpreter = Interpreter::default();
        interpreter.run(&program.setup, &environment, &mut carried);
        let inside = Environment {
            carried: &carried,
            ..environment
        };
        interpreter.run(&program.init, &inside, &mut y);
        let segment = Segment {
            program: &program,
            carried: &carried,
            inputs: &[0.0],
            time: 0.0,
            tad: 0.0,
        };
        for step in 0..5000 {
            segment.rk4_step(&mut interpreter, &mut y, 0.01 * f64::from(step), 0.01);
            for (state, &value) in model.states.iter().zip(&y) {
                assert!(value.is_finite() && (state.signed || value >= 0.0), "{y:?}");
            }
        }
    }
}

#[test]
fn derivatives_agree_with_differences() {
    let mut random = Random(4);
    for word in ["tanh", "softplus", "swish"] {
        let section = SECTION.replace("latents", &format!("activation = \"{word}\"\nlatents"));
        let (_, model) = trained(&section, 0.7, &mut random);
        let correction = model.correction.as_ref().expect("correction");
        let rates = rates(&model);
        let states = drawn_states(&mut random).map(f64::abs);
        let slots = model.typical_slots();
        let difference = |states: [&[f64]; 2], slots: [&[f64]; 2], step: f64| -> Vec<f64> {
            let [up, down] = [0, 1].map(|k| nodes(&model, states[k], slots[k], &rates));
            let pairs = up.iter().zip(&down);
            pairs.map(|(up, down)| (up - down) / (2.0 * step)).collect()
        };
        let environment = Environment {
            states: &states,
            slots: &slots,
            inputs: &[7.0],
            ..Environment::default()
        };
        let dense = Jacobian::new(&model.graph, &rates).dense(&environment);
        for (column, &at) in states.iter().enumerate() {
            let step = 1e-5 * at.max(1e-3);
            let (mut up, mut down) = (states, states);
            up[column] += step;
            down[column] -= step;
            let found = difference([&up, &down], [&slots, &slots], step);
            for (row, found) in found.into_iter().enumerate() {
                let wanted = dense[(row, column)];
                assert!(
                    (found - wanted).abs() < 1e-6 * (1.0 + wanted.abs()),
                    "{found} {wanted}"
                );
            }
        }
        // all weights and latents at once: a sum of rates with random seeds
        let mut graph = model.graph.clone();
        let shares = random.values(STATES, 1.0);
        let seeds: Vec<NodeId> = shares.iter().map(|&share| graph.constant(share)).collect();
        let slots_of: Vec<usize> = correction
            .latents
            .iter()
            .chain(&correction.weights)
            .copied()
            .collect();
        let wrt: Vec<NodeId> = slots_of.iter().map(|&slot| graph.slot(slot)).collect();
        let products = vector_jacobian_product(&mut graph, &rates, &seeds, &wrt);
        let exact = evaluate(&graph, &products, &environment);
        for (&slot, exact) in slots_of.iter().zip(exact) {
            let (mut up, mut down) = (slots.clone(), slots.clone());
            up[slot] += 1e-5;
            down[slot] -= 1e-5;
            let found = difference([&states, &states], [&up, &down], 1e-5);
            let found: f64 = found
                .iter()
                .zip(&shares)
                .map(|(rate, share)| rate * share)
                .sum();
            assert!(
                (found - exact).abs() < 1e-7,
                "{}: {found} {exact}",
                model.slot_name(slot)
            );
        }
    }
}

#[test]
fn weights_survive_their_file_to_the_bit() {
    let folder = Folder::new();
    let start = untrained(SECTION);
    let correction = start.correction.as_ref().expect("correction");
    let mut random = Random(5);
    let mut values = random.values(correction.network.weight_count(), 1.0);
    let odd = [
        0.1 + 0.2,
        -0.0,
        1e-300,
        -4.9e-324,
        1e35,
        f64::MIN_POSITIVE,
        1.0 / 3.0,
        12345.0,
    ];
    values[..odd.len()].copy_from_slice(&odd);
    let text = correction.weights_csv(&values);
    folder.write(
        "w.csv",
        &format!("# a remark\n{}", text.replace('\n', "\r\n")),
    );
    let section = format!("{MECHANISM}{SECTION}");
    let read = Model::parse("test.toml", &section, Some(&folder.0)).expect("model");
    let read = read.correction.expect("correction");
    assert_eq!(bits(&read.values), bits(&values));
    assert_eq!(read.weights_csv(&read.values), text);
    assert_eq!(read.file, Some(folder.0.join("w.csv")));
}
