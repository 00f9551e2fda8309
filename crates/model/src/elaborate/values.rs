//! Parameters, covariates, their variability and correlations.

use super::symbols::{Element, Kind};
use super::Builder;
use crate::diagnostic::{closest, did_you_mean};
use crate::expr::is_identifier;
use crate::file::{self, Column, Correlation, Number, Text};
use crate::model::{Covariate, Distribution, Parameter, Variability};
use crate::unit::Unit;

/// Magnitudes that the kernel's f32 holds with room for a step of arithmetic.
const SMALLEST: f64 = 1e-36;
const LARGEST: f64 = 1e36;

/// What all elements of a column share.
struct Shared {
    unit: Unit,
    scale: f64,
    bounds: Option<(f64, f64)>,
    source: String,
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
            let size = if sound { self.symbols.indices.size(&indices).unwrap_or(0) } else { 0 };
            let unit = self.unit(column.unit.as_ref());
            let source = self.citation(column.source.as_ref());
            let dimension = unit.as_ref().map(Unit::dimension).filter(|_| sound);
            let first = self.model.parameters.len();
            if first + size > super::index::LARGEST {
                let message = format!("a model has at most {} parameters", super::index::LARGEST);
                self.report(name.error("M314", message));
                return;
            }
            let nodes: Vec<_> = (0..size)
                .map(|i| {
                    let node = self.graph.slot(first + i);
                    Some(Element { node, dynamic: false })
                })
                .collect();
            if !self.register(&name.value, Kind::Parameter, name.place(), indices.clone(), dimension, nodes)
            {
                continue;
            }
            let unit = unit.unwrap_or_else(Unit::one);
            let scale = self.symbols.system.scale(&unit);
            let bounds = self.bounds(column, scale);
            let shared = Shared { unit, scale, bounds, source };
            if !sound {
                continue;
            }
            let values = self.values_by_element(column, &indices, size);
            for (flat, number) in values.into_iter().enumerate() {
                let full = self.symbols.indices.element_name(&name.value, &indices, flat);
                let parameter = self.parameter(column, &shared, full, number);
                self.symbols.slots.insert(parameter.name.clone(), first + flat);
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
                    let names = self.symbols.indices.0.iter().map(|index| index.name.as_str());
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
            let Some(elements) = self.key_elements(column, indices, key) else { continue };
            let flat = self.symbols.indices.flat(indices, &elements);
            if std::mem::replace(&mut seen[flat], true) {
                let place = key.last().unwrap_or(&column.name);
                let full = self.symbols.indices.element_name(&column.name.value, indices, flat);
                self.report(place.error("M302", format!("`{full}` has two values")));
            }
            out[flat].clone_from(number);
        }
        let missing: Vec<String> = (0..size)
            .filter(|&flat| !seen[flat])
            .map(|flat| self.symbols.indices.element_name(&column.name.value, indices, flat))
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
        let value = number.as_ref().map(|number| self.coherent(number, shared.scale));
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
        self.report(place.error("M402", message).help("an open side is -inf or inf"));
        None
    }

    fn variability(
        &mut self,
        written: Option<&file::Variability>,
        default: Distribution,
        value: f64,
        shared: &Shared,
    ) -> Option<Variability> {
        let written = written?;
        let distribution = match &written.distribution {
            None => default,
            Some(text) => match text.value.as_str() {
                "log-normal" => Distribution::LogNormal,
                "normal" => Distribution::Normal,
                "logit-normal" => Distribution::LogitNormal,
                other => {
                    let message = format!("unknown distribution `{other}`");
                    let known = ["log-normal", "normal", "logit-normal"];
                    let help = closest(other, known).map_or_else(
                        || format!("known: {}", known.join(", ")),
                        |meant| format!("did you mean `{meant}`?"),
                    );
                    self.report(text.error("M404", message).help(help));
                    return None;
                }
            },
        };
        let given = [&written.cv, &written.omega2, &written.sd];
        let mut sizes = given.into_iter().flatten();
        let (Some(size), None) = (sizes.next(), sizes.next()) else {
            let message = "variability is exactly one of `cv`, `omega2` and `sd`";
            self.report(written.place.error("M009", message));
            return None;
        };
        if size.value <= 0.0 {
            let message = "variability must be positive";
            self.report(size.place.error("M404", message).help("leave it out if there is none"));
            return None;
        }
        let x = size.value;
        let normal = distribution == Distribution::Normal;
        let omega2 = if written.cv.is_some() {
            match distribution {
                Distribution::LogNormal => (x * x).ln_1p(),
                Distribution::Normal => (x * value).powi(2),
                Distribution::LogitNormal => {
                    let message = "a logit-normal parameter has no `cv`";
                    let help = "give `sd` or `omega2` of its logit";
                    self.report(size.place.error("M404", message).help(help));
                    return None;
                }
            }
        } else {
            let eta = if written.sd.is_some() { x * x } else { x };
            if normal { eta * shared.scale.powi(2) } else { eta }
        };
        let trouble = match distribution {
            Distribution::LogNormal if value <= 0.0 => {
                Some("a log-normal parameter has a positive value")
            }
            Distribution::LogitNormal => match shared.bounds {
                Some((low, high)) if low.is_finite() && high.is_finite() => (value <= low
                    || value >= high)
                    .then_some("a logit-normal value lies strictly inside its bounds"),
                _ => Some("a logit-normal parameter needs two finite bounds"),
            },
            _ if omega2 <= 0.0 || omega2.is_infinite() => Some("the variance is not positive"),
            _ => None,
        };
        if let Some(message) = trouble {
            self.report(written.place.error("M404", message));
            return None;
        }
        Some(Variability { distribution, omega2 })
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
            let element = vec![Some(Element { node, dynamic: false })];
            let dimension = unit.as_ref().map(Unit::dimension);
            if !self.register(&name.value, Kind::Covariate, name.place(), Vec::new(), dimension, element)
            {
                continue;
            }
            let unit = unit.unwrap_or_else(Unit::one);
            let scale = self.symbols.system.scale(&unit);
            let reference = covariate.reference.as_ref().map(|n| self.coherent(n, scale));
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
        let Some(text) = text else { return String::new() };
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

    pub(super) fn correlations(&mut self, correlations: &[Correlation]) {
        const MOST: usize = 1000;
        let mut places = Vec::new();
        if let Some(first) = correlations.get(MOST) {
            self.report(first.place.error("M314", format!("at most {MOST} correlations")));
            return;
        }
        for correlation in correlations {
            let Some((place, names)) = &correlation.between else { continue };
            let [first, second] = names.as_slice() else {
                self.report(place.error("M009", "a correlation is between two parameters"));
                continue;
            };
            let (Some(a), Some(b)) = (self.varying(first), self.varying(second)) else { continue };
            let Some(value) = &correlation.value else { continue };
            if value.value <= -1.0 || value.value >= 1.0 {
                let message = "a correlation lies between -1 and 1";
                self.report(value.place.error("M402", message));
                continue;
            }
            let pair = (a.min(b), a.max(b));
            if a == b || self.model.correlations.iter().any(|&(x, y, _)| (x, y) == pair) {
                self.report(place.error("M302", "this pair is correlated already"));
                continue;
            }
            self.model.correlations.push((pair.0, pair.1, value.value));
            places.push(place.clone());
        }
        if let (false, Some(place)) = (self.positive_definite(), places.last()) {
            let message = "these correlations contradict each other";
            let help = "their matrix must be positive definite";
            self.report(place.error("M405", message).help(help));
        }
    }

    /// The index of a parameter with variability between patients.
    fn varying(&mut self, text: &Text) -> Option<usize> {
        let slot = self.symbols.slot(&text.value).filter(|&s| s < self.model.parameters.len());
        let Some(slot) = slot else {
            let message = format!("unknown parameter `{}`", text.value);
            let names = self.model.parameters.iter().map(|p| p.name.as_str());
            let help = did_you_mean(&text.value, names);
            self.report(text.error("M301", message).help_if(help));
            return None;
        };
        if self.model.parameters[slot].iiv.is_none() {
            let message = format!("`{}` does not vary between patients", text.value);
            self.report(text.error("M315", message).help("give it `iiv`"));
            return None;
        }
        Some(slot)
    }

    fn positive_definite(&self) -> bool {
        let pairs = &self.model.correlations;
        let mut ids: Vec<usize> = pairs.iter().flat_map(|&(a, b, _)| [a, b]).collect();
        ids.sort_unstable();
        ids.dedup();
        let position = |id: usize| ids.binary_search(&id).unwrap_or(0);
        let mut matrix = nalgebra::DMatrix::<f64>::identity(ids.len(), ids.len());
        for &(a, b, value) in pairs {
            let (i, j) = (position(a), position(b));
            matrix[(i, j)] = value;
            matrix[(j, i)] = value;
        }
        nalgebra::Cholesky::new(matrix).is_some()
    }
}
