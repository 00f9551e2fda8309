//! Names, quantities, units and citations that the sections of a trial file have in common.

use std::collections::BTreeMap;

use posology_model::Model;
use posology_model::diagnostic::did_you_mean;
use posology_model::expr::is_identifier;
use posology_model::file::Text;
use posology_model::unit::{Dimension, Unit};

use super::patients;
use super::reader::{Reader, Section};

/// Index of the name, or a finding.
pub(super) fn known(reader: &mut Reader, text: &Text, names: &[Text], noun: &str) -> Option<usize> {
    let found = names.iter().position(|name| name.value == text.value);
    if found.is_none() {
        let all = || names.iter().map(|name| name.value.as_str());
        let help = did_you_mean(&text.value, all())
            .unwrap_or_else(|| format!("{noun}s: {}", all().collect::<Vec<_>>().join(", ")));
        reader.found.push(
            text.error("T010", format!("there is no {noun} `{}`", text.value))
                .help(help),
        );
    }
    found
}

/// A quantity of a dimension, coherent.
pub(super) fn quantity(
    reader: &mut Reader,
    text: &Text,
    wanted: Dimension,
    model: &Model,
) -> Option<f64> {
    let (value, dimension) = patients::keep(reader, model.quantity(&text.value, &text.origin))?;
    if dimension != wanted {
        let message = format!(
            "`{}` is {}, not {}",
            text.value,
            model.units.describe(dimension),
            model.units.describe(wanted)
        );
        let help = format!(
            "write it in {} or a unit of the same kind",
            model.units.coherent_unit(wanted)
        );
        reader.found.push(text.error("T014", message).help(help));
        return None;
    }
    Some(value)
}

/// The unit of time under `key`.
pub(super) fn time_unit(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    model: &Model,
) -> Option<Unit> {
    let text = reader.text(section, key)?;
    match Unit::parse(&text.value) {
        Ok(unit) if unit.dimension() == Dimension::TIME => Some(unit),
        Ok(unit) => {
            let message = format!(
                "`{}` is {}, not a time",
                text.value,
                model.units.describe(unit.dimension())
            );
            reader.found.push(text.error("T014", message));
            None
        }
        Err(error) => {
            let place = text.origin.at(error.span.clone());
            reader
                .found
                .push(place.error("T014", error.message).help_if(error.help));
            None
        }
    }
}

/// Model time of a day.
pub(super) fn day(model: &Model) -> f64 {
    Unit::parse("d").map_or(1.0, |unit| model.units.scale(&unit))
}

/// `[sources]`: keys and citations.
pub(super) fn sources(reader: &mut Reader, root: &Section<'_>) -> BTreeMap<String, String> {
    reader
        .pairs(root, "sources")
        .into_iter()
        .map(|(key, text)| (key.value, text.value))
        .collect()
}

/// A source that is one word must be a key of `[sources]`; a text is a citation of its own.
pub(super) fn cited(
    reader: &mut Reader,
    section: &Section<'_>,
    sources: &BTreeMap<String, String>,
) {
    let Some(source) = section
        .table
        .get("source")
        .and_then(|_| reader.text(section, "source"))
    else {
        return;
    };
    if is_identifier(&source.value) && !sources.contains_key(&source.value) {
        let message = format!("`{}` is not a key of [sources]", source.value);
        let help = did_you_mean(&source.value, sources.keys().map(String::as_str));
        reader
            .found
            .push(source.error("T016", message).help_if(help));
    }
}
