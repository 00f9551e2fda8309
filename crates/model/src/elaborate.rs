//! From a file to a [`Model`]: indices expanded, names resolved, units checked and converted,
//! every expression in one graph.

mod calls;
mod correction;
mod equations;
mod evaluate;
mod expect;
mod extend;
mod family;
mod index;
mod inputs;
pub(crate) mod later;
mod margin;
mod network;
mod order;
mod outputs;
mod summaries;
mod symbols;
mod values;
mod variability;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub use crate::file::Origin;
pub use extend::Scope;
pub use later::Typed;
pub(crate) use symbols::Symbols;

use crate::correction::Weights;
use crate::diagnostic::{Diagnostic, Diagnostics, Source};
use crate::expr;
use crate::file::{self, ModelFile, Text};
use crate::graph::Graph;
use crate::model::{Model, Scenario, StepPiece, StepSchedule};
use crate::unit::{Dimension, Unit, UnitSystem, parse_quantity};
use evaluate::{Body, Evaluator, Ledger};
use index::Indices;
use symbols::{Family, RESERVED};

/// Reads, parses and elaborates the file at `path`.
pub(crate) fn load(path: &Path, weights: Weights) -> Result<Model, Diagnostics> {
    let name = path.display().to_string();
    let refuse = |text: &str, at: usize, why: &str| {
        let message = format!("the model file cannot be read: {why}");
        Diagnostic::error("M005", message).at(&Source::new(&name, text), at..at)
    };
    let bytes = std::fs::read(path).map_err(|error| refuse("", 0, &error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        // what is before the fault is the same in both texts
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        refuse(&text, at, "it is not UTF-8 text").help("save it as UTF-8")
    })?;
    let source = Source::new(&name, text);
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    build(&source, path.parent(), stem.as_deref(), weights)
}

/// Parses and elaborates a text.
pub(crate) fn parse(
    source: &Source,
    dir: Option<&Path>,
    weights: Weights,
) -> Result<Model, Diagnostics> {
    build(source, dir, None, weights)
}

/// The model under construction.
struct Builder {
    symbols: Symbols,
    graph: Graph,
    ledger: Ledger,
    /// Texts of `[sources]`.
    sources: BTreeMap<String, String>,
    cited: Vec<String>,
    /// Parameters whose variability was reported, and is not there to be used.
    unclear: Vec<String>,
    /// What is finished; filled section by section.
    model: Parts,
}

#[derive(Default)]
struct Parts {
    parameters: Vec<crate::model::Parameter>,
    covariates: Vec<crate::model::Covariate>,
    states: Vec<crate::model::StateVariable>,
    derived: Vec<crate::model::Derived>,
    inputs: Vec<crate::model::Input>,
    observables: Vec<crate::model::Observable>,
    toxicities: Vec<crate::model::Toxicity>,
    summaries: Vec<crate::model::Summary>,
    balances: Vec<crate::model::Balance>,
    correlations: Vec<(usize, usize, f64)>,
    correction: Option<crate::correction::Correction>,
}

fn build(
    source: &Source,
    dir: Option<&Path>,
    stem: Option<&str>,
    weights: Weights,
) -> Result<Model, Diagnostics> {
    let (file, findings) = file::read(source, dir);
    let readable = !findings.iter().any(|finding| finding.code == "M001");
    let mut ledger = Ledger::new();
    ledger.diagnostics = findings;
    let time_unit = time_unit(&file, &mut ledger.diagnostics);
    let indices = Indices::read(&file.indices, &mut ledger.diagnostics);
    let symbols = Symbols {
        indices,
        families: BTreeMap::new(),
        slots: HashMap::new(),
        inputs: BTreeMap::new(),
        system: UnitSystem::new(&time_unit),
    };
    let sources = file
        .sources
        .iter()
        .map(|(key, text)| (key.value.clone(), text.value.clone()));
    let mut builder = Builder {
        symbols,
        graph: Graph::new(),
        ledger,
        sources: sources.collect(),
        cited: Vec::new(),
        unclear: Vec::new(),
        model: Parts::default(),
    };
    // what is missing from a text that is not TOML may only be unreadable
    if readable {
        builder.check_name(&file, stem);
        builder.elaborate(&file, weights);
    }
    let step = builder.step(&file);
    let scenario = builder.scenario(&file);
    let Builder {
        symbols,
        graph,
        ledger,
        sources,
        model,
        ..
    } = builder;
    let mut findings = ledger.diagnostics;
    findings.sort();
    let ((), warnings) = findings.into_result(())?;
    let text = |text: &Option<Text>| text.as_ref().map(|t| t.value.clone()).unwrap_or_default();
    Ok(Model {
        name: text(&file.name),
        title: text(&file.title),
        description: text(&file.description).trim().to_owned(),
        units: symbols.system.clone(),
        time_unit,
        step,
        sources,
        parameters: model.parameters,
        covariates: model.covariates,
        states: model.states,
        derived: model.derived,
        inputs: model.inputs,
        observables: model.observables,
        toxicities: model.toxicities,
        summaries: model.summaries,
        balances: model.balances,
        correlations: model.correlations,
        correction: model.correction,
        scenario,
        graph,
        warnings,
        source: source.clone(),
        symbols,
    })
}

/// The model's unit of time; hours stand in for one that was reported, so that checking goes on.
fn time_unit(file: &ModelFile, diagnostics: &mut Diagnostics) -> Unit {
    let declared = file.time.as_ref().and_then(|text| {
        let unit = unit(text, diagnostics)?;
        if unit.dimension() != Dimension::TIME {
            let message = format!("`{unit}` is not a unit of time");
            diagnostics.push(text.error("M208", message).help("such as h, d or min"));
            return None;
        }
        Some(unit)
    });
    declared
        .or_else(|| Unit::parse("h").ok())
        .unwrap_or_else(Unit::one)
}

/// Parses a declared unit and reports what is wrong with it.
fn unit(text: &Text, diagnostics: &mut Diagnostics) -> Option<Unit> {
    match Unit::parse(&text.value) {
        Ok(unit) => Some(unit),
        Err(error) => {
            let place = text.origin.at(error.span.clone());
            diagnostics.push(place.error(error.code(), error.message).help_if(error.help));
            None
        }
    }
}

impl Builder {
    fn elaborate(&mut self, file: &ModelFile, weights: Weights) {
        self.parameters(&file.columns);
        // slots of parameters come before those of covariates, expressions after all others
        let correction = file.correction.as_ref();
        let planned = correction.map(|correction| self.plan_correction(correction, weights));
        self.covariates(&file.covariates);
        self.equations(file);
        self.inputs(&file.inputs);
        self.observables(&file.observables);
        self.toxicities(&file.toxicities);
        self.summaries(&file.summaries);
        self.balances(&file.balances);
        self.correlations(&file.correlations);
        if let Some(planned) = planned {
            self.correction(planned);
        }
        self.unused(file);
    }

    fn report(&mut self, finding: Diagnostic) {
        self.ledger.diagnostics.push(finding);
    }

    fn unit(&mut self, text: Option<&Text>) -> Option<Unit> {
        unit(text?, &mut self.ledger.diagnostics)
    }

    /// A quantity with the dimension of `wanted`, coherent.
    fn quantity(&mut self, text: &Text, wanted: Dimension, what: &str) -> Option<f64> {
        let (value, unit) = match parse_quantity(&text.value) {
            Ok(found) => found,
            Err(error) => {
                let place = text.origin.at(error.span.clone());
                self.report(place.error(error.code(), error.message).help_if(error.help));
                return None;
            }
        };
        let zero = value == 0.0 && unit.dimension().is_none();
        if unit.dimension() != wanted && !zero {
            let system = &self.symbols.system;
            let message = format!(
                "{what} must be {}, `{}` is {}",
                system.describe(wanted),
                text.value,
                system.describe(unit.dimension())
            );
            let help = expect::hint(wanted, unit.dimension());
            self.report(text.error("M204", message).help_if(help));
            return None;
        }
        let value = value * self.symbols.system.scale(&unit);
        if !value.is_finite() {
            self.report(text.error("M401", "the value is beyond the range of floating point"));
            return None;
        }
        Some(value)
    }

    /// Parses an expression and reports what is wrong with it.
    fn body(&mut self, text: Option<&Text>) -> Option<Body> {
        let text = text?;
        match expr::parse(&text.value) {
            Ok(tree) => Some(Body {
                tree,
                origin: text.origin.clone(),
            }),
            Err(error) => {
                let place = text.origin.at(error.span.clone());
                self.report(place.error(error.code, error.message).help_if(error.help));
                None
            }
        }
    }

    fn evaluator<'a>(&'a mut self, origin: &'a Origin, constant: Option<&'a str>) -> Evaluator<'a> {
        Evaluator {
            symbols: &self.symbols,
            graph: &mut self.graph,
            ledger: &mut self.ledger,
            origin,
            constant,
            bindings: Vec::new(),
        }
    }

    /// Enters a family into the name space; false (and a finding) if the name is taken.
    fn register(&mut self, base: &str, family: Family) -> bool {
        let (kind, place) = (family.kind, &family.place);
        if RESERVED.contains(&base) {
            let message = format!(
                "`{base}` is a reserved word, not a name for a {}",
                kind.noun()
            );
            self.report(place.error("M303", message));
            return false;
        }
        if let Some(other) = self.symbols.families.get(base) {
            let message = format!("`{base}` is a {} and a {}", other.kind.noun(), kind.noun());
            let finding = place.error("M302", message).also(
                &other.place.source,
                other.place.span.clone(),
                "first defined here",
            );
            self.report(finding);
            return false;
        }
        self.symbols.families.insert(base.to_owned(), family);
        true
    }

    fn check_name(&mut self, file: &ModelFile, stem: Option<&str>) {
        let Some(name) = &file.name else { return };
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.value.is_empty() || !name.value.chars().all(allowed) {
            let message = format!("`{}` is not a name for a model", name.value);
            let help = "names are letters, digits, `-` and `_`";
            self.report(name.error("M006", message).help(help));
        } else if let Some(stem) = stem.filter(|stem| *stem != name.value) {
            let message = format!("the model is named `{}`, its file `{stem}`", name.value);
            self.report(name.error("M007", message).help("give both the same name"));
        }
    }

    fn step(&mut self, file: &ModelFile) -> StepSchedule {
        let mut pieces: Vec<StepPiece> = Vec::new();
        let count = file.steps.len();
        for (i, step) in file.steps.iter().enumerate() {
            let dt = step
                .dt
                .as_ref()
                .and_then(|text| self.positive_time(text, "a step"));
            let until = step
                .until
                .as_ref()
                .map(|text| self.positive_time(text, "`until`"));
            let last = i + 1 == count;
            if last == step.until.is_some() {
                let message = match last {
                    true => "the last piece of `dt` holds for good: it has no `until`",
                    false => "only the last piece of `dt` has no `until`",
                };
                self.report(step.place.error("M407", message));
            }
            let until = until.flatten();
            let before = pieces.last().and_then(|piece| piece.until);
            if let (Some(a), Some(b)) = (before, until)
                && a >= b
            {
                let place = step.until.as_ref().map_or(&step.place, Text::place);
                self.report(place.error("M407", "`until` must grow from piece to piece"));
            }
            pieces.push(StepPiece {
                until,
                dt: dt.unwrap_or(1.0),
            });
        }
        StepSchedule(pieces)
    }

    fn positive_time(&mut self, text: &Text, what: &str) -> Option<f64> {
        let value = self.quantity(text, Dimension::TIME, what)?;
        if value <= 0.0 {
            self.report(text.error("M402", format!("{what} must be longer than 0")));
            return None;
        }
        Some(value)
    }

    fn scenario(&mut self, file: &ModelFile) -> Option<Scenario> {
        let scenario = file.scenario.as_ref()?;
        let duration = self.positive_time(scenario.duration.as_ref()?, "the duration")?;
        Some(Scenario {
            regimen: scenario.regimen.as_ref().map(|text| text.value.clone()),
            regimen_origin: scenario.regimen.as_ref().map(|text| text.origin.clone()),
            duration,
        })
    }

    /// Warns of parameters and sources that nothing uses. What stands in a broken expression may be
    /// used there, so a model with errors is not warned.
    fn unused(&mut self, file: &ModelFile) {
        if self.ledger.diagnostics.has_errors() {
            return;
        }
        for column in &file.columns {
            let name = &column.name.value;
            if !self.ledger.used.contains(name) {
                let message = format!("the parameter `{name}` is not used");
                self.report(column.name.place().warning("M313", message));
            }
        }
        for (key, _) in &file.sources {
            if !self.cited.contains(&key.value) {
                let message = format!("the source `{}` is not cited", key.value);
                self.report(key.place().warning("M311", message));
            }
        }
    }
}

#[cfg(test)]
mod tests;
