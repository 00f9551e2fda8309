//! A model file as written: TOML with the place of every value, before names and units mean
//! anything.
//!
//! Reading reports unknown, missing and mistyped keys and goes on; a value that was reported is
//! `None`, so that later stages stay silent about it.

mod correction;
mod csv;
mod outputs;
pub mod reader;
mod sections;
mod text;

use std::path::{Path, PathBuf};

pub use text::{Number, Origin, Place, Text};

use crate::diagnostic::{Diagnostics, Source};
use reader::{Reader, Section};

/// No model needs more; the limit keeps hostile input cheap.
const LONGEST: usize = 4 << 20;

/// Everything a model file says.
#[derive(Clone, Debug, Default)]
pub struct ModelFile {
    /// The beginning of the file, for what is said of the whole.
    pub start: Option<Place>,
    pub name: Option<Text>,
    pub title: Option<Text>,
    pub description: Option<Text>,
    pub time: Option<Text>,
    pub steps: Vec<Step>,
    pub sources: Vec<(Text, Text)>,
    pub indices: Vec<Index>,
    pub covariates: Vec<Covariate>,
    pub columns: Vec<Column>,
    pub derived: Vec<Derived>,
    pub states: Vec<State>,
    pub inputs: Vec<Input>,
    pub observables: Vec<Observable>,
    pub toxicities: Vec<Toxicity>,
    pub summaries: Vec<Summary>,
    pub balances: Vec<Balance>,
    pub correlations: Vec<Correlation>,
    pub correction: Option<Correction>,
    pub scenario: Option<Scenario>,
}

/// A piece of `dt`.
#[derive(Clone, Debug)]
pub struct Step {
    pub place: Place,
    pub until: Option<Text>,
    pub dt: Option<Text>,
}

/// An index: its own elements, or those of another index under a second name.
#[derive(Clone, Debug)]
pub struct Index {
    pub name: Text,
    pub elements: Vec<Text>,
    pub same_as: Option<Text>,
}

#[derive(Clone, Debug)]
pub struct Covariate {
    pub name: Text,
    pub unit: Option<Text>,
    pub reference: Option<Number>,
    pub source: Option<Text>,
    pub description: String,
}

/// A parameter, or a column of a table: one parameter per element.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: Text,
    /// Names of the indices; none for a plain parameter.
    pub indices: Vec<Text>,
    pub unit: Option<Text>,
    pub values: Vec<(Vec<Text>, Option<Number>)>,
    pub iiv: Option<Variability>,
    pub iov: Option<Variability>,
    pub bounds: Option<(Place, Vec<Number>)>,
    pub source: Option<Text>,
    pub calibrated: bool,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct Variability {
    pub place: Place,
    pub cv: Option<Number>,
    pub omega2: Option<Number>,
    pub sd: Option<Number>,
    pub distribution: Option<Text>,
}

#[derive(Clone, Debug)]
pub struct Derived {
    pub name: Text,
    pub unit: Option<Text>,
    pub expr: Option<Text>,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct State {
    pub name: Text,
    pub unit: Option<Text>,
    pub init: Option<Text>,
    pub rate: Option<Text>,
    pub signed: bool,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct Input {
    pub name: Text,
    pub into: Option<Text>,
    pub unit: Option<Text>,
    pub bioavailability: Option<Text>,
    pub lag: Option<Text>,
    pub rate: Option<Text>,
    pub duration: Option<Text>,
    pub molar_mass: Option<Text>,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct Observable {
    pub name: Text,
    pub unit: Option<Text>,
    pub expr: Option<Text>,
    pub error: Option<ErrorModel>,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct ErrorModel {
    pub place: Place,
    pub proportional: Option<Number>,
    pub additive: Option<Text>,
    pub lognormal: Option<Number>,
    pub lloq: Option<Text>,
}

#[derive(Clone, Debug)]
pub struct Toxicity {
    pub name: Text,
    pub expr: Option<Text>,
    pub unit: Option<Text>,
    pub below: Option<(Place, Vec<Text>)>,
    pub above: Option<(Place, Vec<Text>)>,
    pub grades: Option<(Place, Vec<Number>)>,
    pub source: Option<Text>,
}

/// What a summary keeps of its expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryVerb {
    Min,
    Max,
    Integral,
    TimeAbove,
    TimeBelow,
    FirstTime,
    Last,
    At,
}

#[derive(Clone, Debug)]
pub struct Summary {
    pub name: Text,
    pub unit: Option<Text>,
    pub verb: Option<(SummaryVerb, Text)>,
    pub threshold: Option<Text>,
    pub time: Option<Text>,
}

#[derive(Clone, Debug)]
pub struct Balance {
    pub name: Text,
    pub total: Option<Text>,
    pub gain: Option<Text>,
}

#[derive(Clone, Debug)]
pub struct Correlation {
    pub place: Place,
    pub between: Option<(Place, Vec<Text>)>,
    pub value: Option<Number>,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub regimen: Option<Text>,
    pub duration: Option<Text>,
}

/// `[correction]`
#[derive(Clone, Debug)]
pub struct Correction {
    pub place: Place,
    pub inputs: Option<(Place, Vec<Text>)>,
    pub width: Option<Number>,
    pub layers: Option<Number>,
    pub activation: Option<Text>,
    pub latents: Option<Number>,
    pub weights: Option<Weights>,
    pub seed: Option<Number>,
    pub rates: Vec<CorrectedRate>,
}

/// The weights of a correction.
#[derive(Clone, Debug)]
pub struct Weights {
    /// As the model names it.
    pub file: Text,
    pub path: PathBuf,
    /// None if something is wrong with the file, which was reported.
    pub rows: Option<Vec<(Text, Number)>>,
}

/// An entry of `[correction.rates]`.
#[derive(Clone, Debug)]
pub struct CorrectedRate {
    pub name: Text,
    pub scale: Option<Text>,
    pub form: Option<Text>,
    pub floor: Option<Text>,
}

/// Reads the text of a model file; `dir` is where its tables are looked for.
pub fn read(source: &Source, dir: Option<&Path>) -> (ModelFile, Diagnostics) {
    if source.text().len() > LONGEST {
        let finding = Place::new(source, 0..0).error("M010", "the model file is longer than 4 MiB");
        return (ModelFile::default(), finding.into());
    }
    let (mut reader, root) = Reader::open(source);
    let complete = reader.diagnostics.is_empty();
    let section = Section {
        table: root.get_ref(),
        place: reader.place(0..0),
        what: "the model".into(),
    };
    let file = sections::model(&mut reader, &section, dir, complete);
    (file, reader.finish())
}
