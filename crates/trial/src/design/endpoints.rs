//! Endpoints: what is kept of each patient in each arm.

use posology_model::Model;
use posology_model::file::Text;
use posology_model::graph::NodeId;
use posology_model::unit::{Dimension, Unit};

use super::parse::known;
use super::patients::keep;
use super::reader::{Reader, Section};
use super::{Endpoint, EndpointKind};

const VERBS: [&str; 6] = ["first_time", "integral", "mean", "last", "min", "max"];

/// Endpoints in the order of the file; `until` is resolved by [`finish`].
pub(super) fn endpoint(
    reader: &mut Reader,
    name: &Text,
    section: &Section<'_>,
    model: &mut Model,
) -> Option<(Endpoint, Option<Text>)> {
    let mut keys = vec!["title", "unit", "until", "note", "source"];
    keys.extend(VERBS);
    reader.only(section, &keys);
    let title = reader.words(section, "title");
    let unit = reader.required_text(section, "unit", "the unit it is shown in, such as \"mo\"");
    let unit = unit.and_then(|text| unit_of(reader, &text));
    let given: Vec<&str> = VERBS
        .into_iter()
        .filter(|verb| section.table.contains_key(*verb))
        .collect();
    let [verb] = given[..] else {
        let finding = section.place.error(
            "T009",
            format!(
                "{} needs exactly one of: {}",
                section.what,
                VERBS.join(", ")
            ),
        );
        reader.found.push(finding);
        return None;
    };
    let text = reader.text(section, verb)?;
    let unit = unit?;
    let kind = kind(reader, verb, &text, &unit, model);
    let until = reader.text(section, "until");
    if let (Some(until), "first_time") = (&until, verb) {
        reader
            .found
            .push(until.error("T009", "a time to an event has no `until`"));
    }
    let endpoint = Endpoint {
        name: name.value.clone(),
        title: if title.is_empty() {
            name.value.clone()
        } else {
            title
        },
        unit,
        kind: kind?,
        text: text.value,
        until: None,
        note: reader.words(section, "note"),
        source: reader.words(section, "source"),
    };
    Some((endpoint, until))
}

fn kind(
    reader: &mut Reader,
    verb: &str,
    text: &Text,
    unit: &Unit,
    model: &mut Model,
) -> Option<EndpointKind> {
    let time = Dimension::TIME;
    if verb == "first_time" {
        if unit.dimension() != time {
            let message = format!("the first time of a condition is a time, `{unit}` is not");
            reader.found.push(text.error("T014", message));
        }
        return keep(reader, model.condition(&text.value, &text.origin))
            .map(EndpointKind::FirstTime);
    }
    let wanted = if verb == "integral" {
        unit.dimension().per(time)
    } else {
        unit.dimension()
    };
    let typed = keep(reader, model.expression(&text.value, &text.origin))?;
    if typed.condition || typed.dimension != wanted {
        let found = if typed.condition {
            "a condition".to_owned()
        } else {
            model.units.describe(typed.dimension)
        };
        let message = format!(
            "`{unit}` needs an expression that is {}, this is {found}",
            model.units.describe(wanted)
        );
        reader.found.push(text.error("T014", message));
        return None;
    }
    let node: NodeId = typed.node;
    Some(match verb {
        "integral" => EndpointKind::Integral(node),
        "mean" => EndpointKind::Mean(node),
        "last" => EndpointKind::Last(node),
        "min" => EndpointKind::Min(node),
        _ => EndpointKind::Max(node),
    })
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

/// Resolve `until` once every endpoint is known.
pub(super) fn finish(
    reader: &mut Reader,
    read: Vec<(Endpoint, Option<Text>)>,
    names: &[Text],
) -> Vec<Endpoint> {
    let times: Vec<bool> = read
        .iter()
        .map(|(endpoint, _)| endpoint.is_time())
        .collect();
    let order: Vec<String> = read
        .iter()
        .map(|(endpoint, _)| endpoint.name.clone())
        .collect();
    read.into_iter()
        .map(|(mut endpoint, until)| {
            if let Some(text) = until
                && known(reader, &text, names, "endpoint").is_some()
            {
                let index = order.iter().position(|name| *name == text.value);
                endpoint.until = index.filter(|&index| times[index]);
                if index.is_some() && endpoint.until.is_none() {
                    let message = format!("`{}` is not a time to an event", text.value);
                    reader.found.push(
                        text.error("T015", message)
                            .help("`until` names an endpoint with `first_time`"),
                    );
                }
            }
            endpoint
        })
        .collect()
}
