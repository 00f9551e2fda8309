//! Endpoints: what is kept of each patient in each arm.

mod clinical;
mod finish;
mod kind;
mod of_model;

use posology_model::Model;
use posology_model::file::Text;
use posology_model::unit::{Dimension, Unit};

pub use kind::{Class, EndpointKind};

pub(super) use finish::finish;

use super::reader::{Reader, Section};
use super::{Endpoint, Visits};

/// The key that says what an endpoint is, and the keys that go with it.
const KINDS: [(&str, &[&str]); 17] = [
    ("first_time", &[]),
    ("integral", &["until"]),
    ("mean", &["until"]),
    ("last", &["until"]),
    ("min", &["until"]),
    ("max", &["until"]),
    ("at", &["time"]),
    ("drawn", &["time"]),
    ("hazard", &[]),
    ("response", &["confirm"]),
    ("progression", &[]),
    ("decline", &["by", "confirm"]),
    ("rise", &["by", "at_least", "confirm", "flare"]),
    ("earliest", &[]),
    ("toxicity", &["grade", "within"]),
    ("dose_intensity", &[]),
    ("dose", &[]),
];
const TIME_ON_TREATMENT: &str = "time_on_treatment";
const COMMON: [&str; 4] = ["title", "unit", "note", "source"];

/// What endpoints are read against.
pub(super) struct Context<'a> {
    pub visits: Option<&'a Visits>,
    pub has_visits: bool,
    pub horizon: f64,
    pub time_unit: Option<&'a Unit>,
}

/// An endpoint whose names of other endpoints are still to be looked up.
pub(super) struct Unresolved {
    pub endpoint: Endpoint,
    pub until: Option<Text>,
    pub earliest: Vec<Text>,
    pub name: Text,
}

fn verbs() -> Vec<&'static str> {
    let mut verbs: Vec<&str> = KINDS.iter().map(|(verb, _)| *verb).collect();
    verbs.push(TIME_ON_TREATMENT);
    verbs
}

/// One endpoint; names of other endpoints are resolved by [`finish`].
pub(super) fn endpoint(
    reader: &mut Reader,
    name: &Text,
    section: &Section<'_>,
    model: &mut Model,
    context: &Context<'_>,
) -> Option<Unresolved> {
    let verbs = verbs();
    let given: Vec<&str> = verbs
        .iter()
        .copied()
        .filter(|verb| section.table.contains_key(*verb))
        .collect();
    let mut known: Vec<&str> = COMMON.to_vec();
    known.extend(&verbs);
    known.extend(KINDS.iter().flat_map(|(_, keys)| keys.iter().copied()));
    reader.only(section, &known);
    let [verb] = given[..] else {
        let message = format!(
            "{} needs exactly one of: {}",
            section.what,
            verbs.join(", ")
        );
        let mut finding = section.place.error("T009", message);
        if given.len() > 1 {
            finding = finding.help(format!("it has {}", given.join(" and ")));
        }
        reader.found.push(finding);
        return None;
    };
    foreign_keys(reader, section, verb);
    let title = reader.words(section, "title");
    let mut unit = None;
    if section.table.contains_key("unit") {
        unit = Some(
            reader
                .text(section, "unit")
                .and_then(|text| unit_of(reader, &text))?,
        );
    }
    let mut earliest = Vec::new();
    let text;
    let kind = match verb {
        "first_time" | "integral" | "mean" | "last" | "min" | "max" | "at" | "drawn" => {
            if unit.is_none() && verb != "drawn" {
                reader.missing(section, "unit", "the unit it is shown in, such as \"mo\"");
            }
            text = reader.text(section, verb)?;
            of_model::of_expression(reader, verb, section, &text, unit.as_ref(), model, context)
        }
        "hazard" => {
            text = reader.text(section, verb)?;
            of_model::hazard(reader, name, &text, model)
        }
        "earliest" => {
            earliest = reader.texts(section, verb);
            text = joined(section, verb, &earliest, reader);
            (earliest.len() > 1).then_some(EndpointKind::Earliest(Vec::new()))
        }
        TIME_ON_TREATMENT => {
            text = Text {
                value: String::new(),
                origin: posology_model::file::Origin::within(
                    &reader.source,
                    section.place.span.clone(),
                    "",
                ),
            };
            on_treatment(reader, section)
        }
        _ => {
            text = reader.text(section, verb)?;
            clinical::of_name(reader, verb, section, &text, model, context)
        }
    };
    let kind = kind?;
    let unit = match unit {
        Some(unit) => unit,
        None => obvious(&kind, model, context)?,
    };
    fits(reader, section, &kind, &unit, model);
    let endpoint = Endpoint {
        name: name.value.clone(),
        title: if title.is_empty() {
            name.value.clone()
        } else {
            title
        },
        unit,
        kind,
        text: text.value,
        until: None,
        note: reader.words(section, "note"),
        source: reader.words(section, "source"),
    };
    let until = (section.table.contains_key("until"))
        .then(|| reader.text(section, "until"))
        .flatten();
    Some(Unresolved {
        endpoint,
        until,
        earliest,
        name: name.clone(),
    })
}

/// Keys that belong to other kinds.
fn foreign_keys(reader: &mut Reader, section: &Section<'_>, verb: &str) {
    let own = KINDS
        .iter()
        .find(|(known, _)| *known == verb)
        .map_or(&[][..], |(_, keys)| keys);
    for (key, _) in reader.entries(section.table) {
        let owner = KINDS
            .iter()
            .find(|(_, keys)| keys.contains(&key.value.as_str()));
        if owner.is_some() && !own.contains(&key.value.as_str()) {
            let message = if key.value == "until" && verb == "first_time" {
                "a time to an event has no `until`".to_owned()
            } else {
                format!("`{verb}` has no `{}`", key.value)
            };
            let owners: Vec<String> = KINDS
                .iter()
                .filter(|(_, keys)| keys.contains(&key.value.as_str()))
                .map(|(verb, _)| format!("`{verb}`"))
                .collect();
            reader.found.push(
                key.error("T009", message)
                    .help(format!("it goes with {}", owners.join(", "))),
            );
        }
    }
}

fn joined(section: &Section<'_>, key: &str, texts: &[Text], reader: &mut Reader) -> Text {
    reader.once(texts, "endpoint");
    let place = section
        .table
        .get(key)
        .map_or_else(|| section.place.clone(), |value| reader.place(value.span()));
    if texts.len() < 2
        && section
            .table
            .get(key)
            .is_some_and(|v| v.get_ref().is_array())
    {
        let finding = place.error("T007", format!("{} has fewer than two parts", section.what));
        reader
            .found
            .push(finding.help("such as `earliest = [\"progression\", \"death\"]`"));
    }
    let value = texts
        .iter()
        .map(|text| text.value.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    Text {
        origin: posology_model::file::Origin::within(&reader.source, place.span, &value),
        value,
    }
}

fn on_treatment(reader: &mut Reader, section: &Section<'_>) -> Option<EndpointKind> {
    let wanted = reader.flag(section, TIME_ON_TREATMENT)?;
    if !wanted {
        let message = "`time_on_treatment = false` is no endpoint";
        reader.found.push(
            section
                .place
                .error("T009", message)
                .help("leave the whole endpoint out"),
        );
    }
    wanted.then_some(EndpointKind::TimeOnTreatment)
}

/// The unit that goes without saying.
fn obvious(kind: &EndpointKind, model: &Model, context: &Context<'_>) -> Option<Unit> {
    match kind {
        EndpointKind::DoseIntensity { .. } => Unit::parse("%").ok(),
        EndpointKind::Dose { input } => model.inputs.get(*input).map(|input| input.unit.clone()),
        EndpointKind::TimeOnTreatment => context.time_unit.cloned(),
        kind => match kind.class() {
            Class::Time => context.time_unit.cloned(),
            Class::YesNo | Class::Response => Some(Unit::one()),
            // reported as missing
            Class::Number => None,
        },
    }
}

/// The declared unit against what the kind is.
fn fits(
    reader: &mut Reader,
    section: &Section<'_>,
    kind: &EndpointKind,
    unit: &Unit,
    model: &Model,
) {
    let wanted = match kind {
        // these were compared with their expressions
        EndpointKind::FirstTime(_)
        | EndpointKind::Integral(_)
        | EndpointKind::Mean(_)
        | EndpointKind::Last(_)
        | EndpointKind::Min(_)
        | EndpointKind::Max(_)
        | EndpointKind::At { .. } => return,
        EndpointKind::Dose { input } => match model.inputs.get(*input) {
            Some(input) => input.unit.dimension(),
            None => return,
        },
        EndpointKind::TimeOnTreatment => Dimension::TIME,
        kind if kind.class() == Class::Time => Dimension::TIME,
        _ => Dimension::NONE,
    };
    if unit.dimension() != wanted {
        let message = format!(
            "{} is {}, `{unit}` is not",
            section.what,
            model.units.describe(wanted)
        );
        let place = reader
            .text(section, "unit")
            .map_or_else(|| section.place.clone(), |text| text.place().clone());
        reader.found.push(place.error("T014", message));
    }
}

fn unit_of(reader: &mut Reader, text: &Text) -> Option<Unit> {
    match Unit::parse(&text.value) {
        Ok(unit) => Some(unit),
        Err(error) => {
            let place = text.origin.at(error.span.clone());
            reader
                .found
                .push(place.error("T014", error.message).help_if(error.help));
            None
        }
    }
}
