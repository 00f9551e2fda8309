//! What a model says of a dose for one patient: amount conversion, bioavailability, lag,
//! modelled rate and duration.

use posology_model::graph::{Graph, NodeId};
use posology_model::interpret::{Environment, Interpreter};
use posology_model::model::{Input, Model};
use posology_model::program::{Block, lower_expressions};

/// Expressions of slots, lowered once and evaluated for many patients.
#[derive(Clone, Debug)]
pub(crate) struct SlotExpressions {
    setup: Block,
    block: Block,
}

impl SlotExpressions {
    pub fn new(graph: &Graph, nodes: &[NodeId]) -> Self {
        let (setup, block) = lower_expressions(graph, nodes);
        Self { setup, block }
    }

    /// Values in the order of the nodes, coherent units.
    pub fn evaluate(&self, slots: &[f64], time: f64) -> Vec<f64> {
        let environment = Environment {
            slots,
            time,
            ..Environment::default()
        };
        let mut interpreter = Interpreter::default();
        let (mut carried, mut out) = (Vec::new(), Vec::new());
        interpreter.run(&self.setup, &environment, &mut carried);
        interpreter.run(
            &self.block,
            &Environment {
                carried: &carried,
                ..environment
            },
            &mut out,
        );
        out
    }
}

/// The dose rules of one input.
#[derive(Clone, Debug)]
pub(crate) struct DoseRule {
    expressions: SlotExpressions,
    lag: bool,
    pub models_rate: bool,
    pub models_duration: bool,
}

/// The dose rules of one input for one patient; times in model time units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DoseValues {
    /// Coherent amount of the state per coherent amount given, without bioavailability.
    pub amount_scale: f64,
    pub bioavailability: f64,
    pub lag: f64,
    rate: Option<f64>,
    duration: Option<f64>,
}

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

impl DoseValues {
    /// Modelled rate, coherent amount given per time; checked where it is used, so that data may
    /// leave it idle.
    pub fn rate(&self, input: &Input) -> Result<Option<f64>, DoseFault> {
        Self::used(self.rate, "the modelled rate", input)
    }

    /// Modelled duration.
    pub fn duration(&self, input: &Input) -> Result<Option<f64>, DoseFault> {
        Self::used(self.duration, "the modelled duration", input)
    }

    fn used(
        value: Option<f64>,
        what: &'static str,
        input: &Input,
    ) -> Result<Option<f64>, DoseFault> {
        match value.filter(|&value| !positive(value)) {
            Some(value) => Err(DoseFault {
                what,
                input: input.name.clone(),
                value,
                must: "which must be positive",
            }),
            None => Ok(value),
        }
    }
}

/// An individual value that no dose can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} of input `{input}` is {value}, {must}")]
pub(crate) struct DoseFault {
    pub what: &'static str,
    pub input: String,
    pub value: f64,
    pub must: &'static str,
}

impl DoseRule {
    pub fn new(model: &Model, input: &Input) -> Self {
        let mut nodes = vec![input.amount_scale];
        let optional = [input.bioavailability, input.lag, input.rate, input.duration];
        nodes.extend(optional.iter().flatten());
        Self {
            expressions: SlotExpressions::new(&model.graph, &nodes),
            lag: input.lag.is_some(),
            models_rate: input.rate.is_some(),
            models_duration: input.duration.is_some(),
        }
    }

    /// The rules of every input of a model, in its order.
    pub fn all(model: &Model) -> Vec<Self> {
        model
            .inputs
            .iter()
            .map(|input| Self::new(model, input))
            .collect()
    }

    /// Evaluates for a patient.
    ///
    /// # Errors
    /// The first value that is not finite or not in its range.
    pub fn evaluate(
        &self,
        input: &Input,
        slots: &[f64],
        time: f64,
    ) -> Result<DoseValues, DoseFault> {
        let mut values = self.expressions.evaluate(slots, time).into_iter();
        let mut next = |present: bool| if present { values.next() } else { None };
        let out = DoseValues {
            amount_scale: next(true).unwrap_or(1.0),
            bioavailability: next(input.bioavailability.is_some()).unwrap_or(1.0),
            lag: next(self.lag).unwrap_or(0.0),
            rate: next(self.models_rate),
            duration: next(self.models_duration),
        };
        let fault = |what, value, must| {
            Err(DoseFault {
                what,
                input: input.name.clone(),
                value,
                must,
            })
        };
        let not_negative = |value: f64| value.is_finite() && value >= 0.0;
        if !positive(out.amount_scale) {
            return fault(
                "the amount conversion",
                out.amount_scale,
                "which must be positive",
            );
        }
        if !not_negative(out.bioavailability) {
            return fault(
                "the bioavailability",
                out.bioavailability,
                "which must not be negative",
            );
        }
        if !not_negative(out.lag) {
            return fault("the lag", out.lag, "which must not be negative");
        }
        Ok(out)
    }
}
