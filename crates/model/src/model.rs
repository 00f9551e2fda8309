//! The elaborated model: what a file means, in coherent units, over one shared graph.

use std::collections::BTreeMap;
use std::path::Path;

use crate::correction::{Correction, Weights};
use crate::diagnostic::{Diagnostics, Source};
use crate::elaborate::{self, Symbols};
use crate::graph::{Graph, NodeId};
use crate::unit::{Dimension, Unit, UnitSystem};

pub use crate::elaborate::{Origin, Scope, Typed};

/// A model file, parsed, unit-checked and expanded.
///
/// Values are in the model's coherent units (mg, umol, dm, the model's time unit); `unit` fields
/// say how the user writes and reads a quantity, `model.units.scale(&unit)` converts.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub title: String,
    pub description: String,
    /// The model's time unit; the time of every event, step and output.
    pub time_unit: Unit,
    /// The coherent unit system.
    pub units: UnitSystem,
    /// Step sizes by time after the last dose event.
    pub step: StepSchedule,
    /// Citation keys and their texts.
    pub sources: BTreeMap<String, String>,
    pub parameters: Vec<Parameter>,
    pub covariates: Vec<Covariate>,
    pub states: Vec<StateVariable>,
    pub derived: Vec<Derived>,
    pub inputs: Vec<Input>,
    pub observables: Vec<Observable>,
    pub toxicities: Vec<Toxicity>,
    pub summaries: Vec<Summary>,
    pub balances: Vec<Balance>,
    /// Correlations of the etas of two parameters (indices into `parameters`).
    pub correlations: Vec<(usize, usize, f64)>,
    /// What is added to the rates by a network; part of `rate` of the states already.
    pub correction: Option<Correction>,
    pub scenario: Option<Scenario>,
    /// Every expression of the model.
    pub graph: Graph,
    /// Findings that did not stop the model.
    pub warnings: Diagnostics,
    /// The text the model was read from.
    pub source: Source,
    pub(crate) symbols: Symbols,
}

/// Step sizes by time after the last dose event, in the model's time unit.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StepSchedule(pub Vec<StepPiece>);

/// One piece: `dt` holds until this long after the last dose; the last piece has no end.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct StepPiece {
    pub until: Option<f64>,
    pub dt: f64,
}

impl StepSchedule {
    /// One step size throughout.
    pub fn constant(dt: f64) -> Self {
        Self(vec![StepPiece { until: None, dt }])
    }

    /// The step size that holds `tad` after the last dose.
    pub fn at(&self, tad: f64) -> f64 {
        self.0
            .get(self.piece(tad))
            .map_or(f64::NAN, |piece| piece.dt)
    }

    /// Position of the piece that holds `tad` after the last dose.
    pub fn piece(&self, tad: f64) -> usize {
        let holds = |piece: &StepPiece| piece.until.is_none_or(|until| tad < until);
        let last = self.0.len().saturating_sub(1);
        self.0.iter().position(holds).unwrap_or(last)
    }

    /// The same pieces with steps of `dt(position, step)`.
    pub fn with_steps(&self, dt: impl Fn(usize, f64) -> f64) -> Self {
        let pieces = self.0.iter().enumerate().map(|(k, piece)| StepPiece {
            until: piece.until,
            dt: dt(k, piece.dt),
        });
        Self(pieces.collect())
    }
}

/// A number of the model that may differ between patients.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `CL`, or `Q[liver]` for an entry of a table.
    pub name: String,
    pub unit: Unit,
    /// Typical value, coherent.
    pub value: f64,
    /// Between patients.
    pub iiv: Option<Variability>,
    /// Between occasions of one patient.
    pub iov: Option<Variability>,
    /// Coherent; individual values outside are redrawn.
    pub bounds: Option<(f64, f64)>,
    /// The citation, resolved through `[sources]`.
    pub source: String,
    /// Calibrated by the authors of the file, not taken from the source.
    pub calibrated: bool,
    pub description: String,
}

/// How a parameter varies.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Variability {
    pub distribution: Distribution,
    /// Variance of eta: dimensionless for log-normal and logit-normal, coherent unit squared for
    /// normal. A `cv` given for a log-normal parameter is the coefficient of variation of the
    /// parameter itself, so `omega2 = ln(1 + cv^2)`; for a normal one, `(cv * value)^2`.
    pub omega2: f64,
}

/// `log-normal`: `value * exp(eta)`; `normal`: `value + eta`; `logit-normal`: within the bounds,
/// the logit of the relative position plus eta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    LogNormal,
    Normal,
    LogitNormal,
}

/// A property of the patient that data or a population supply.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariate {
    pub name: String,
    pub unit: Unit,
    /// Value of the reference patient, coherent.
    pub reference: f64,
    pub source: String,
    pub description: String,
}

/// A variable with a differential equation.
#[derive(Clone, Debug, PartialEq)]
pub struct StateVariable {
    /// `central`, or `amount[liver]`.
    pub name: String,
    pub unit: Unit,
    pub init: NodeId,
    /// Time derivative, running infusions included.
    pub rate: NodeId,
    /// Negative values are legitimate.
    pub signed: bool,
    pub description: String,
}

/// A named expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    pub name: String,
    pub unit: Unit,
    pub node: NodeId,
    pub description: String,
}

/// A way in for a drug.
///
/// An amount `a` in `unit` puts `a * units.scale(&unit) * amount_scale * bioavailability` into the
/// state; amounts and running rates on the device are in those coherent units of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: String,
    /// Unit of the amounts that the user gives.
    pub unit: Unit,
    /// Index of the target state.
    pub into: usize,
    /// Coherent amount of the state per coherent amount of `unit`: 1, or from the molar mass.
    pub amount_scale: NodeId,
    /// Fraction; 1 if absent.
    pub bioavailability: Option<NodeId>,
    /// Time; 0 if absent.
    pub lag: Option<NodeId>,
    /// Modelled rate (RATE = -1): coherent amount of `unit` per time, so `amount_scale` applies
    /// to it as to an amount.
    pub rate: Option<NodeId>,
    /// Modelled duration (RATE = -2): time.
    pub duration: Option<NodeId>,
    pub description: String,
}

/// Something that is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Observable {
    pub name: String,
    pub unit: Unit,
    pub node: NodeId,
    pub error: Option<ResidualError>,
    pub description: String,
}

/// Residual error: `y * exp(lognormal * e)`, or `y + sqrt(additive^2 + (proportional * y)^2) * e`
/// with `e` standard normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct ResidualError {
    /// Standard deviation, coherent; 0 if absent.
    pub additive: f64,
    /// Fraction; 0 if absent.
    pub proportional: f64,
    /// Standard deviation of the logarithm; 0 if absent.
    pub lognormal: f64,
    /// Lower limit of quantification, coherent.
    pub lloq: Option<f64>,
}

/// Grades of an adverse event.
#[derive(Clone, Debug, PartialEq)]
pub struct Toxicity {
    pub name: String,
    pub unit: Unit,
    pub node: NodeId,
    pub direction: Direction,
    /// Coherent, one per grade, from mild to severe.
    pub thresholds: Vec<f64>,
    /// Ascending, same length as `thresholds`.
    pub grades: Vec<u8>,
    pub source: String,
}

/// Which side of a threshold is harmful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Below,
    Above,
}

/// A number per patient that is accumulated while integrating.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub name: String,
    pub unit: Unit,
    pub kind: SummaryKind,
}

/// What a summary keeps. A margin is positive exactly while its condition holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SummaryKind {
    Min(NodeId),
    Max(NodeId),
    Integral(NodeId),
    /// Time during which the margin is positive.
    TimeAbove {
        margin: NodeId,
    },
    /// First time at which the margin is positive.
    FirstTime {
        margin: NodeId,
    },
    Last(NodeId),
    /// Value at a time (model time unit).
    At {
        node: NodeId,
        time: f64,
    },
}

/// `d(total)/dt` must equal `gain` while no input runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    pub name: String,
    pub unit: Unit,
    pub total: NodeId,
    pub gain: NodeId,
}

/// What `check`, the demo and the tests run when nothing else is said.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub regimen: Option<String>,
    /// Where the regimen stands, so that its own diagnostics can point there.
    pub regimen_origin: Option<Origin>,
    /// In the model's time unit.
    pub duration: f64,
}

impl Model {
    /// Reads a model file; the weights of a correction become constants.
    ///
    /// # Errors
    /// Every finding of the file (and of the tables it names), not only the first.
    pub fn load(path: &Path) -> Result<Model, Diagnostics> {
        elaborate::load(path, Weights::Constants)
    }

    /// Reads a model from text; `file_name` is what diagnostics call it, `dir` is where the tables
    /// that it names are looked for.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse(file_name: &str, text: &str, dir: Option<&Path>) -> Result<Model, Diagnostics> {
        let source = Source::new(file_name, text);
        elaborate::parse(&source, dir, Weights::Constants)
    }

    /// As [`Model::load`], for training: the weights of the correction are parameters
    /// ([`Correction::weights`] are their slots), and untrained ones have starting values. A model
    /// without a correction is what [`Model::load`] reads.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_trainable(path: &Path) -> Result<Model, Diagnostics> {
        elaborate::load(path, Weights::Parameters)
    }

    /// As [`Model::parse`], with the weights of [`Model::load_trainable`].
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse_trainable(
        file_name: &str,
        text: &str,
        dir: Option<&Path>,
    ) -> Result<Model, Diagnostics> {
        let source = Source::new(file_name, text);
        elaborate::parse(&source, dir, Weights::Parameters)
    }

    /// Number of individual inputs of a patient: parameters, then covariates.
    pub fn slot_count(&self) -> usize {
        self.parameters.len() + self.covariates.len()
    }

    pub fn slot_index(&self, name: &str) -> Option<usize> {
        self.symbols.slot(name)
    }

    /// Name of slot `i`; empty beyond the last.
    pub fn slot_name(&self, i: usize) -> &str {
        match self.parameters.get(i) {
            Some(parameter) => &parameter.name,
            None => self.covariate_of_slot(i).map_or("", |c| &c.name),
        }
    }

    /// Unit of slot `i`; that of time beyond the last.
    pub fn slot_unit(&self, i: usize) -> &Unit {
        match self.parameters.get(i) {
            Some(parameter) => &parameter.unit,
            None => self
                .covariate_of_slot(i)
                .map_or(&self.time_unit, |c| &c.unit),
        }
    }

    fn covariate_of_slot(&self, i: usize) -> Option<&Covariate> {
        self.covariates.get(i.checked_sub(self.parameters.len())?)
    }

    /// Coherent slot values of the typical patient: parameter values, reference covariates.
    pub fn typical_slots(&self) -> Vec<f64> {
        let values = self.parameters.iter().map(|p| p.value);
        values
            .chain(self.covariates.iter().map(|c| c.reference))
            .collect()
    }

    pub fn state_index(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|state| state.name == name)
    }

    pub fn input_index(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|input| input.name == name)
    }

    /// Compiles an expression of a trial file, command line or rule against this model.
    ///
    /// # Errors
    /// Grammar, unknown names, dimensions, with spans in `origin`.
    pub fn expression(&mut self, text: &str, origin: &Origin) -> Result<Typed, Diagnostics> {
        elaborate::later::expression(self, text, origin)
    }

    /// As [`Model::expression`], and the result must have the dimension of `unit`.
    ///
    /// # Errors
    /// As [`Model::expression`], and a dimension that is not that of `unit`.
    pub fn expression_in(
        &mut self,
        text: &str,
        unit: &Unit,
        origin: &Origin,
    ) -> Result<NodeId, Diagnostics> {
        elaborate::later::expression_in(self, text, unit, origin)
    }

    /// Compiles a condition to its margin: a node that is positive exactly while it holds
    /// (`a > b` gives `a - b`, `and` the minimum, `or` the maximum).
    ///
    /// # Errors
    /// As [`Model::expression`], and conditions without a crossing such as `a == b`.
    pub fn condition(&mut self, text: &str, origin: &Origin) -> Result<NodeId, Diagnostics> {
        elaborate::later::condition(self, text, origin)
    }

    /// A number with a unit, such as `0.05 umol/L`: its coherent value and dimension.
    ///
    /// # Errors
    /// Malformed numbers and unknown units.
    pub fn quantity(&self, text: &str, origin: &Origin) -> Result<(f64, Dimension), Diagnostics> {
        elaborate::later::quantity(self, text, origin)
    }
}
