//! Parameters, covariates, their variability and correlations.

use super::Builder;
use super::symbols::{Element, Family, Kind};
use crate::diagnostic::did_you_mean;
use crate::expr::is_identifier;
use crate::file::{self, Column, Number, Text};
use crate::model::{Covariate, Distribution, Parameter};
use crate::unit::Unit;

/// Magnitudes that the kernel's f32 holds with room for a step of arithmetic.
const SMALLEST: f64 = 1e-36;
const LARGEST: f64 = 1e36;

/// What all elements of a column share.
pub(super) struct Shared {
    pub unit: Unit,
    pub scale: f64,
    pub bounds: Option<(f64, f64)>,
    pub source: String,
}

impl Builder {
    pub(super) fn parameters(&mut self, columns: &[Column]) {
        for column in columns {
            let name = &column.name;
            if !is_identifier(&name.value) {
                let mut finding = super::index::bad_name(name, "a parameter");
                if name.value.contains('[') {
                    finding = finding.help("parameters of a family stand in [tables.INDEX]");
                }
                self.report(finding);
                continue;
            }
            let indices = self.column_indices(column);
            let sound = indices.is_some();
            let indices = indices.unwrap_or_default();
            let size = if sound {
                self.symbols.indices.size(&indices).unwrap_or(0)
            } else {
                0
            };
            let unit = self.unit(column.unit.as_ref());
            let source = self.citation(column.source.as_ref());
            let first = self.model.parameters.len();
            if first + size > super::index::LARGEST {
                let message = format!("a model has at most {} parameters", super::index::LARGEST);
                self.report(name.error("M314", message));
                return;
            }
            let nodes: Vec<_> = (0..size)
                .map(|i| {
                    let node = self.graph.slot(first + i);
                    Some(Element {
                        node,
                        dynamic: false,
                    })
                })
                .collect();
            let family = Family {
                kind: Kind::Parameter,
                place: name.place().clone(),
                indices: indices.clone(),
                unit: unit.clone().filter(|_| sound),
                elements: nodes,
            };
            if !self.register(&name.value, family) {
                continue;
            }
            let unit = unit.unwrap_or_else(Unit::one);
            let scale = self.symbols.system.scale(&unit);
            let bounds = self.bounds(column, scale);
            let shared = Shared {
                unit,
                scale,
                bounds,
                source,
            };
            if !sound {
                continue;
            }
            let values = self.values_by_element(column, &indices, size);
            for (flat, number) in values.into_iter().enumerate() {
                let full = self
                    .symbols
                    .indices
                    .element_name(&name.value, &indices, flat);
                let parameter = self.parameter(column, &shared, full, number);
                self.symbols
                    .slots
                    .insert(parameter.name.clone(), first + flat);
                self.model.parameters.push(parameter);
            }
        }
    }

    fn column_indices(&mut self, column: &Column) -> Option<Vec<usize>> {
        let mut out = Vec::new();
        for text in &column.indices {
            match self.symbols.indices.find(&text.value) {
                Some(index) => out.push(index),
                None => {
                    let message = format!("unknown index `{}`", text.value);
                    let names = self
                        .symbols
                        .indices
                        .0
                        .iter()
                        .map(|index| index.name.as_str());
                    let help = did_you_mean(&text.value, names)
                        .unwrap_or_else(|| "declare it in [index]".into());
                    self.report(text.error("M306", message).help(help));
                    return None;
                }
            }
        }
        if self.symbols.indices.size(&out).is_none() {
            self.report(column.name.error("M314", "the table has too many elements"));
            return None;
        }
        Some(out)
    }

    /// The number of every element; missing and superfluous ones are reported.
    fn values_by_element(
        &mut self,
        column: &Column,
        indices: &[usize],
        size: usize,
    ) -> Vec<Option<Number>> {
        let mut out: Vec<Option<Number>> = vec![None; size];
        let mut seen = vec![false; size];
        for (key, number) in &column.values {
            let Some(elements) = self.key_elements(column, indices, key) else {
                continue;
            };
            let flat = self.symbols.indices.flat(indices, &elements);
            if std::mem::replace(&mut seen[flat], true) {
                let place = key.last().unwrap_or(&column.name);
                let full = self
                    .symbols
                    .indices
                    .element_name(&column.name.value, indices, flat);
                self.report(place.error("M302", format!("`{full}` has two values")));
            }
            out[flat].clone_from(number);
        }
        let missing: Vec<String> = (0..size)
            .filter(|&flat| !seen[flat])
            .map(|flat| {
                self.symbols
                    .indices
                    .element_name(&column.name.value, indices, flat)
            })
            .collect();
        if let Some(first) = missing.first() {
            let more = match missing.len() {
                1 => String::new(),
                n => format!(" and {} others", n - 1),
            };
            let message = format!("`{first}`{more} has no value");
            self.report(column.name.error("M309", message));
        }
        out
    }

    fn key_elements(
        &mut self,
        column: &Column,
        indices: &[usize],
        key: &[Text],
    ) -> Option<Vec<usize>> {
        if key.len() != indices.len() {
            let place = key.first().unwrap_or(&column.name);
            let names = self.symbols.indices.names(indices);
            self.report(place.error("M307", format!("the table runs over [{names}]")));
            return None;
        }
        let mut elements = Vec::with_capacity(key.len());
        for (text, &index) in key.iter().zip(indices) {
            match self.symbols.indices.element(index, &text.value) {
                Some(element) => elements.push(element),
                None => {
                    let set = &self.symbols.indices.0[index];
                    let message = format!("`{}` is not an element of `{}`", text.value, set.name);
                    let known = set.elements.iter().map(String::as_str);
                    let known = known.chain(["unit", "source", "description", "calibrated"]);
                    let help = did_you_mean(&text.value, known.chain(["bounds", "iiv", "iov"]));
                    self.report(text.error("M306", message).help_if(help));
                    return None;
                }
            }
        }
        Some(elements)
    }

    fn parameter(
        &mut self,
        column: &Column,
        shared: &Shared,
        name: String,
        number: Option<Number>,
    ) -> Parameter {
        let value = number
            .as_ref()
            .map(|number| self.coherent(number, shared.scale));
        if let (Some(value), Some(number), Some((low, high))) = (value, &number, shared.bounds)
            && !(low <= value && value <= high)
        {
            let message = format!("the value of `{name}` is outside its bounds");
            let mut finding = number.place.error("M403", message);
            if let Some((place, _)) = &column.bounds {
                finding = finding.also(&place.source, place.span.clone(), "the bounds");
            }
            self.report(finding);
        }
        let value = value.unwrap_or(f64::NAN);
        let iiv = self.variability(column.iiv.as_ref(), Distribution::LogNormal, value, shared);
        if iiv.is_none() && column.iiv.is_some() {
            self.unclear.push(name.clone());
        }
        // an occasion varies like a patient unless the file says otherwise
        let like = iiv.map_or(Distribution::LogNormal, |iiv| iiv.distribution);
        let iov = self.variability(column.iov.as_ref(), like, value, shared);
        Parameter {
            name,
            unit: shared.unit.clone(),
            value,
            iiv,
            iov,
            bounds: shared.bounds,
            source: shared.source.clone(),
            calibrated: column.calibrated,
            description: column.description.clone(),
        }
    }

    /// The coherent value; one that f32 cannot hold is reported.
    fn coherent(&mut self, number: &Number, scale: f64) -> f64 {
        let value = number.value * scale;
        if value != 0.0 && !(SMALLEST..LARGEST).contains(&value.abs()) {
            let message = format!(
                "the value is {value:e} in mg, umol, dm and the model's time: beyond the kernel"
            );
            let help = "32-bit arithmetic holds 1e-36 to 1e36: choose another time unit, or check \
                        the unit";
            self.report(number.place.error("M402", message).help(help));
        }
        value
    }

    fn bounds(&mut self, column: &Column, scale: f64) -> Option<(f64, f64)> {
        let (place, numbers) = column.bounds.as_ref()?;
        if let [low, high] = numbers.as_slice()
            && low.value < high.value
        {
            return Some((low.value * scale, high.value * scale));
        }
        let message = "bounds are [lower, upper] with lower < upper";
        self.report(
            place
                .error("M402", message)
                .help("an open side is -inf or inf"),
        );
        None
    }

    pub(super) fn covariates(&mut self, covariates: &[file::Covariate]) {
        for covariate in covariates {
            let name = &covariate.name;
            if !is_identifier(&name.value) {
                self.report(super::index::bad_name(name, "a covariate"));
                continue;
            }
            let unit = self.unit(covariate.unit.as_ref());
            let slot = self.model.parameters.len() + self.model.covariates.len();
            let node = self.graph.slot(slot);
            let element = vec![Some(Element {
                node,
                dynamic: false,
            })];
            let family = Family {
                kind: Kind::Covariate,
                place: name.place().clone(),
                indices: Vec::new(),
                unit: unit.clone(),
                elements: element,
            };
            if !self.register(&name.value, family) {
                continue;
            }
            let unit = unit.unwrap_or_else(Unit::one);
            let scale = self.symbols.system.scale(&unit);
            let reference = covariate
                .reference
                .as_ref()
                .map(|n| self.coherent(n, scale));
            let source = self.citation(covariate.source.as_ref());
            self.symbols.slots.insert(name.value.clone(), slot);
            self.model.covariates.push(Covariate {
                name: name.value.clone(),
                unit,
                reference: reference.unwrap_or(f64::NAN),
                source,
                description: covariate.description.clone(),
            });
        }
    }

    /// The text of a citation: that of `[sources]` if it is a key there, else itself.
    pub(super) fn citation(&mut self, text: Option<&Text>) -> String {
        let Some(text) = text else {
            return String::new();
        };
        if let Some(full) = self.sources.get(&text.value) {
            self.cited.push(text.value.clone());
            return full.clone();
        }
        if text.value.trim().is_empty() {
            self.report(text.error("M003", "the source is empty"));
        } else if !text.value.contains(char::is_whitespace) {
            let near = did_you_mean(&text.value, self.sources.keys().map(String::as_str));
            if let Some(help) = near {
                let message = format!("`{}` is not a key of [sources]", text.value);
                self.report(text.place().warning("M312", message).help(help));
            }
        }
        text.value.clone()
    }
}
