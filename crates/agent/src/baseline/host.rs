//! A model on the host, in f64, one patient at a time: what oracles search with.

use posology_model::Model;
use posology_model::interpret::{Environment, Interpreter};
use posology_model::model::Origin;
use posology_model::program::{Equations, Program, Request};
use posology_model::reference::Segment;
use posology_model::unit::Unit;

use crate::error::AgentError;

/// A number that is watched along a patient's course.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watched<'a> {
    /// An expression of the model, and the unit in which it is read.
    Value(&'a str, &'a str),
    /// The margin of a condition: positive exactly while it holds.
    Condition(&'a str),
}

/// A model compiled for the host, with the numbers that are watched.
#[derive(Clone, Debug)]
pub struct HostModel {
    pub model: Model,
    program: Program,
    /// Coherent units per unit of what is watched.
    scales: Vec<f64>,
}

impl HostModel {
    /// # Errors
    /// Findings about what is watched.
    pub fn new(mut model: Model, watched: &[Watched<'_>]) -> Result<Self, AgentError> {
        let mut request = Request::default();
        let mut scales = Vec::with_capacity(watched.len());
        for what in watched {
            let (node, scale) = match *what {
                Watched::Value(text, unit) => {
                    let unit = Unit::parse(unit).map_err(|cause| AgentError::Option {
                        key: text.to_owned(),
                        value: unit.to_owned(),
                        cause: format!("{cause:?}"),
                    })?;
                    let node = model.expression_in(text, &unit, &Origin::whole("watched", text))?;
                    (node, model.units.scale(&unit))
                }
                Watched::Condition(text) => {
                    (model.condition(text, &Origin::whole("watched", text))?, 1.0)
                }
            };
            request.records.push((node, None));
            scales.push(scale);
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
        let program = Program::lower(&equations, &request);
        Ok(Self {
            model,
            program,
            scales,
        })
    }

    /// Index of a parameter or covariate.
    ///
    /// # Errors
    /// [`AgentError::Option`] when the model has none of this name.
    pub fn slot(&self, name: &str) -> Result<usize, AgentError> {
        self.model
            .slot_index(name)
            .ok_or_else(|| AgentError::Option {
                key: "slot".to_owned(),
                value: name.to_owned(),
                cause: format!("{} has no such parameter or covariate", self.model.name),
            })
    }

    /// Coherent units per unit of a slot.
    pub fn slot_scale(&self, slot: usize) -> f64 {
        self.model.units.scale(self.model.slot_unit(slot))
    }

    /// A duration such as `7 d`, in the model's time.
    ///
    /// # Errors
    /// Findings about the text.
    pub fn duration(&self, text: &str) -> Result<f64, AgentError> {
        Ok(self
            .model
            .quantity(text, &Origin::whole("duration", text))?
            .0)
    }

    /// A patient at time zero; `slots` in coherent units.
    pub fn start(&self, slots: &[f64]) -> Walk<'_> {
        let mut walk = Walk {
            host: self,
            slots: slots.to_vec(),
            carried: Vec::new(),
            states: Vec::new(),
            inputs: vec![0.0; self.model.inputs.len()],
            time: 0.0,
            dosed: 0.0,
            seen: Vec::new(),
            interpreter: Interpreter::default(),
        };
        walk.settle();
        let environment = Environment {
            slots: &walk.slots,
            carried: &walk.carried,
            ..Environment::default()
        };
        walk.interpreter
            .run(&self.program.init, &environment, &mut walk.states);
        walk.look();
        walk
    }
}

/// A patient on his way.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    host: &'a HostModel,
    slots: Vec<f64>,
    carried: Vec<f64>,
    states: Vec<f64>,
    inputs: Vec<f64>,
    /// Since the start, in the model's time.
    pub time: f64,
    dosed: f64,
    seen: Vec<f64>,
    interpreter: Interpreter,
}

impl Walk<'_> {
    fn settle(&mut self) {
        let environment = Environment {
            slots: &self.slots,
            ..Environment::default()
        };
        self.interpreter
            .run(&self.host.program.setup, &environment, &mut self.carried);
    }

    fn look(&mut self) {
        let environment = Environment {
            states: &self.states,
            carried: &self.carried,
            inputs: &self.inputs,
            time: self.time,
            tad: self.time - self.dosed,
            ..Environment::default()
        };
        self.interpreter
            .run(&self.host.program.record, &environment, &mut self.seen);
    }

    /// Number `k` of what is watched, here and now, in its unit.
    pub fn watched(&self, k: usize) -> f64 {
        self.seen[k] / self.host.scales[k]
    }

    /// Sets a slot, in coherent units.
    pub fn set(&mut self, slot: usize, value: f64) {
        if self.slots[slot] != value {
            self.slots[slot] = value;
            self.settle();
            self.look();
        }
    }

    /// Adds an amount (coherent units) to a state at once.
    pub fn bolus(&mut self, state: usize, amount: f64) {
        self.states[state] += amount;
        self.dosed = self.time;
        self.look();
    }

    /// Sets the rate (coherent units) at which an input runs.
    pub fn infuse(&mut self, input: usize, rate: f64) {
        self.inputs[input] = rate;
        if rate > 0.0 {
            self.dosed = self.time;
        }
        self.look();
    }

    /// One Runge-Kutta step; to times that add up, `end` is where it ends.
    pub fn step(&mut self, end: f64) {
        let segment = Segment {
            program: &self.host.program,
            carried: &self.carried,
            inputs: &self.inputs,
            time: self.time,
            tad: self.time - self.dosed,
        };
        segment.rk4_step(
            &mut self.interpreter,
            &mut self.states,
            0.0,
            end - self.time,
        );
        self.time = end;
        self.look();
    }

    /// To `end`, in the steps of the model's schedule, each cut into `refine` parts.
    pub fn advance(&mut self, end: f64, refine: u32) {
        while self.time < end {
            let tad = self.time - self.dosed;
            let pieces = self.host.model.step.0.iter();
            let edge = pieces
                .filter_map(|piece| piece.until)
                .map(|until| self.dosed + until)
                .find(|&edge| edge > self.time);
            let stop = edge.map_or(end, |edge| edge.min(end));
            let length = stop - self.time;
            let steps = (length / self.host.model.step.at(tad) - 1e-9)
                .ceil()
                .max(1.0);
            let steps = steps as u32 * refine.max(1);
            let begin = self.time;
            for k in 1..=steps {
                let last = k == steps;
                self.step(if last {
                    stop
                } else {
                    begin + length * f64::from(k) / f64::from(steps)
                });
            }
        }
    }
}
