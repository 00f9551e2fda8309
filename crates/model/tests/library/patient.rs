//! One patient of a shipped model, integrated with the f64 reference. Doses are given by hand.

use std::path::PathBuf;

use posology_model::Model;
use posology_model::interpret::{Environment, Interpreter, evaluate};
use posology_model::model::Origin;
use posology_model::program::{AccumulatorRequest, Equations, Program, Request};
use posology_model::reference::Segment;
use posology_model::unit::Unit;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/models")
}

pub fn load(name: &str) -> Model {
    match Model::load(&folder().join(format!("{name}.toml"))) {
        Ok(model) => model,
        Err(found) => panic!("{found}"),
    }
}

/// Which integrator advances the patient.
#[derive(Clone, Copy, PartialEq)]
pub enum Method {
    /// Classical Runge-Kutta at an eighth of the shipped step: its error is 4096 times smaller.
    Converged,
    /// Classical Runge-Kutta with the step schedule of the file.
    Shipped,
}

pub struct Patient {
    pub model: Model,
    program: Program,
    pub slots: Vec<f64>,
    /// States, then the integrals asked for; coherent units.
    pub y: Vec<f64>,
    pub time: f64,
    dosed: f64,
    inputs: Vec<f64>,
    method: Method,
    interpreter: Interpreter,
}

fn compile(model: &mut Model, text: &str, unit: &str) -> (posology_model::graph::NodeId, f64) {
    let unit = Unit::parse(unit).expect("unit");
    let origin = Origin::whole("test", text);
    match model.expression_in(text, &unit, &origin) {
        Ok(node) => (node, model.units.scale(&unit)),
        Err(found) => panic!("{found}"),
    }
}

impl Patient {
    pub fn typical(name: &str) -> Self {
        Self::new(name, &[], &[])
    }

    /// The typical patient with some slots replaced (in the unit of the file), before any dose,
    /// who also carries the time integrals of some expressions (with their units).
    pub fn new(name: &str, slots: &[(&str, f64)], integrals: &[(&str, &str)]) -> Self {
        let mut model = load(name);
        let accumulators = integrals
            .iter()
            .map(|(text, unit)| AccumulatorRequest::Integral(compile(&mut model, text, unit).0))
            .collect();
        let mut values = model.typical_slots();
        for &(slot, value) in slots {
            let i = model.slot_index(slot).expect("slot");
            values[i] = value * model.units.scale(model.slot_unit(i));
        }
        let init: Vec<_> = model.states.iter().map(|state| state.init).collect();
        let rates: Vec<_> = model.states.iter().map(|state| state.rate).collect();
        let signed: Vec<_> = model.states.iter().map(|state| state.signed).collect();
        let equations = Equations {
            graph: &model.graph,
            init: &init,
            rates: &rates,
            signed: &signed,
            n_slots: model.slot_count(),
            n_inputs: model.inputs.len(),
        };
        let request = Request {
            accumulators,
            ..Request::default()
        };
        let program = Program::lower(&equations, &request);
        let mut interpreter = Interpreter::default();
        let (mut carried, mut y) = (Vec::new(), Vec::new());
        let environment = Environment {
            slots: &values,
            ..Environment::default()
        };
        interpreter.run(&program.setup, &environment, &mut carried);
        interpreter.run(
            &program.init,
            &Environment {
                carried: &carried,
                ..environment
            },
            &mut y,
        );
        y.resize(program.n_integrated(), 0.0);
        let inputs = vec![0.0; model.inputs.len()];
        Self {
            model,
            program,
            slots: values,
            y,
            time: 0.0,
            dosed: 0.0,
            inputs,
            method: Method::Converged,
            interpreter,
        }
    }

    pub fn with(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Model time of a quantity such as `21 d`.
    pub fn at(&self, time: &str) -> f64 {
        self.model
            .quantity(time, &Origin::whole("test", time))
            .expect("time")
            .0
    }

    /// Sets a slot, in the unit of the file.
    pub fn set(&mut self, slot: &str, value: f64) {
        let i = self.model.slot_index(slot).expect("slot");
        self.slots[i] = value * self.model.units.scale(self.model.slot_unit(i));
    }

    /// Sets a state, in the unit of the file.
    pub fn put(&mut self, state: &str, value: f64) {
        let i = self.model.state_index(state).expect("state");
        self.y[i] = value * self.model.units.scale(&self.model.states[i].unit);
    }

    /// Integrates to model time `end`.
    pub fn advance(&mut self, end: f64) {
        let mut carried = Vec::new();
        let environment = Environment {
            slots: &self.slots,
            ..Environment::default()
        };
        self.interpreter
            .run(&self.program.setup, &environment, &mut carried);
        while self.time < end {
            let tad = self.time - self.dosed;
            let segment = Segment {
                program: &self.program,
                carried: &carried,
                inputs: &self.inputs,
                time: self.time,
                tad,
            };
            let edges = self.model.step.0.iter().filter_map(|piece| piece.until);
            let edge = edges
                .map(|until| self.dosed + until)
                .find(|&edge| edge > self.time);
            let stop = edge.map_or(end, |edge| edge.min(end));
            let steps = ((stop - self.time) / self.model.step.at(tad) - 1e-9)
                .ceil()
                .max(1.0)
                * if self.method == Method::Converged {
                    8.0
                } else {
                    1.0
                };
            let h = (stop - self.time) / steps;
            for step in 0..steps as usize {
                segment.rk4_step(&mut self.interpreter, &mut self.y, step as f64 * h, h);
            }
            self.time = stop;
        }
    }

    fn amount(&self, input: &str, amount: f64) -> (usize, usize, f64) {
        let i = self.model.input_index(input).expect("input");
        let input = &self.model.inputs[i];
        let environment = Environment {
            slots: &self.slots,
            ..Environment::default()
        };
        let scale = evaluate(&self.model.graph, &[input.amount_scale], &environment)[0];
        (
            i,
            input.into,
            amount * self.model.units.scale(&input.unit) * scale,
        )
    }

    /// Gives an amount (in the input's unit) at once.
    pub fn bolus(&mut self, input: &str, amount: f64) {
        let (_, state, amount) = self.amount(input, amount);
        self.y[state] += amount;
        self.dosed = self.time;
    }

    /// Gives an amount (in the input's unit) over a duration in model time; ends with it.
    pub fn infuse(&mut self, input: &str, amount: f64, duration: f64) {
        let (input, _, amount) = self.amount(input, amount);
        self.dosed = self.time;
        self.inputs[input] += amount / duration;
        self.advance(self.time + duration);
        self.inputs[input] -= amount / duration;
    }

    /// An expression of the model, here and now, in `unit`.
    pub fn value(&mut self, text: &str, unit: &str) -> f64 {
        let (node, scale) = compile(&mut self.model, text, unit);
        let environment = Environment {
            states: &self.y,
            slots: &self.slots,
            inputs: &self.inputs,
            time: self.time,
            tad: self.time - self.dosed,
            ..Environment::default()
        };
        evaluate(&self.model.graph, &[node], &environment)[0] / scale
    }

    /// Integral number `k` in `unit` (that of the integrand times time).
    pub fn integral(&self, k: usize, unit: &str) -> f64 {
        let scale = self.model.units.scale(&Unit::parse(unit).expect("unit"));
        self.y[self.program.n_states + k] / scale
    }
}

/// `got` is within `share` of `expected`.
#[track_caller]
pub fn close(what: &str, got: f64, expected: f64, share: f64) {
    assert!(
        (got - expected).abs() <= share * expected.abs(),
        "{what}: got {got}, expected {expected} within {share}"
    );
}
