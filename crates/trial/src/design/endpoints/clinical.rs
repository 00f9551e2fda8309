//! Endpoints of what is measured, graded and given.

use posology_model::Model;
use posology_model::diagnostic::did_you_mean;
use posology_model::file::Text;
use posology_model::graph::Binary;
use posology_model::model::Direction;
use posology_model::unit::Dimension;

use super::{Context, EndpointKind};
use crate::design::lookup::quantity;
use crate::design::reader::{Reader, Section};
use crate::design::visit_times::measured;

/// What an accumulator never takes for a toxicity.
const HARMLESS: f64 = 1e30;

pub(super) fn of_name(
    reader: &mut Reader,
    verb: &str,
    section: &Section<'_>,
    text: &Text,
    model: &mut Model,
    context: &Context<'_>,
) -> Option<EndpointKind> {
    match verb {
        "toxicity" => toxicity(reader, section, text, model, context),
        "dose" => input(reader, text, model).map(|input| EndpointKind::Dose { input }),
        "dose_intensity" => {
            input(reader, text, model).map(|input| EndpointKind::DoseIntensity { input })
        }
        _ => {
            if !context.has_visits {
                let message = format!("`{verb}` is seen at visits, and the trial has no [visits]");
                reader.found.push(text.error("T021", message).help(format!(
                    "give [visits] with `every`, and [visits.observe.{}]",
                    text.value
                )));
                return None;
            }
            let observed = measured(reader, text, model, context.visits);
            let by = matches!(verb, "decline" | "rise").then(|| share(reader, section, verb));
            let confirm = time(reader, section, "confirm", model);
            let flare = time(reader, section, "flare", model);
            let at_least = at_least(reader, section, observed, model, context);
            let (observed, confirm, flare) = (observed?, confirm.ok()?, flare.ok()?);
            Some(match (verb, by) {
                ("response", _) => EndpointKind::Response { observed, confirm },
                ("decline", Some(by)) => EndpointKind::Decline {
                    observed,
                    by: by?,
                    confirm: confirm.unwrap_or(0.0),
                },
                ("rise", Some(by)) => EndpointKind::Rise {
                    observed,
                    by: by?,
                    at_least: at_least?,
                    confirm: confirm.unwrap_or(0.0),
                    flare: flare.unwrap_or(0.0),
                },
                _ => EndpointKind::Progression { observed },
            })
        }
    }
}

fn share(reader: &mut Reader, section: &Section<'_>, verb: &str) -> Option<f64> {
    if !section.table.contains_key("by") {
        let help = if verb == "decline" {
            "share of the first value, such as `by = 0.5`"
        } else {
            "share of the lowest value, such as `by = 0.25`"
        };
        reader.missing(section, "by", help);
    }
    if verb == "decline" {
        let fits = |by: f64| by > 0.0 && by < 1.0;
        reader.within(section, "by", fits, "above 0 and below 1, such as 0.5")
    } else {
        let fits = |by: f64| (0.0..=100.0).contains(&by);
        reader.within(
            section,
            "by",
            fits,
            "a share that is not negative, such as 0.25",
        )
    }
}

/// A positive time under a key, if there is one.
fn time(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    model: &Model,
) -> Result<Option<f64>, ()> {
    if !section.table.contains_key(key) {
        return Ok(None);
    }
    let text = reader.text(section, key).ok_or(())?;
    let time = quantity(reader, &text, Dimension::TIME, model).ok_or(())?;
    if time > 0.0 {
        return Ok(Some(time));
    }
    let message = format!("`{key}` must be positive");
    reader.found.push(text.error("T013", message));
    Err(())
}

fn at_least(
    reader: &mut Reader,
    section: &Section<'_>,
    observed: Option<usize>,
    model: &Model,
    context: &Context<'_>,
) -> Option<f64> {
    let Some(text) = reader.text(section, "at_least") else {
        return Some(0.0);
    };
    let observed = &context.visits?.observed[observed?];
    let dimension = model.observables[observed.observable].unit.dimension();
    let value = quantity(reader, &text, dimension, model)?;
    if value < 0.0 {
        let message = "the smallest rise that counts is not negative";
        reader.found.push(text.error("T013", message));
    }
    Some(value)
}

fn toxicity(
    reader: &mut Reader,
    section: &Section<'_>,
    name: &Text,
    model: &mut Model,
    context: &Context<'_>,
) -> Option<EndpointKind> {
    let names = || {
        model
            .toxicities
            .iter()
            .map(|toxicity| toxicity.name.as_str())
    };
    let Some(index) = names().position(|known| known == name.value) else {
        let all = names().collect::<Vec<_>>().join(", ");
        let help = did_you_mean(&name.value, names())
            .or_else(|| (!all.is_empty()).then(|| format!("toxicities: {all}")));
        let message = format!("{} has no toxicity `{}`", model.name, name.value);
        reader.found.push(name.error("T010", message).help_if(help));
        return None;
    };
    let toxicity = model.toxicities[index].clone();
    let grades: Vec<String> = toxicity.grades.iter().map(u8::to_string).collect();
    if !section.table.contains_key("grade") {
        reader.missing(
            section,
            "grade",
            &format!("this grade or worse; its grades: {}", grades.join(", ")),
        );
    }
    let grade = reader.number(section, "grade").and_then(|number| {
        let known = toxicity
            .grades
            .iter()
            .find(|known| f64::from(**known) == number.value);
        if known.is_none() {
            let message = format!("`{}` has no grade {}", toxicity.name, number.value);
            let finding = number.place.error("T013", message);
            reader
                .found
                .push(finding.help(format!("its grades: {}", grades.join(", "))));
        }
        known.copied()
    });
    let within = time(reader, section, "within", model).ok()?;
    if let (Some(time), Some(text)) = (within, reader.text(section, "within"))
        && time > context.horizon
    {
        let message = format!("{} is beyond follow-up", text.value);
        reader.found.push(text.error("T013", message));
    }
    let node = match within {
        None => toxicity.node,
        Some(within) => {
            let graph = &mut model.graph;
            let (now, end) = (graph.time(), graph.constant(within));
            let inside = graph.binary(Binary::Le, now, end);
            let harmless = graph.constant(match toxicity.direction {
                Direction::Below => HARMLESS,
                Direction::Above => -HARMLESS,
            });
            graph.select(inside, toxicity.node, harmless)
        }
    };
    Some(EndpointKind::Toxicity {
        toxicity: index,
        grade: grade?,
        within,
        node,
    })
}

fn input(reader: &mut Reader, name: &Text, model: &Model) -> Option<usize> {
    let found = model.input_index(&name.value);
    if found.is_none() {
        let names = || model.inputs.iter().map(|input| input.name.as_str());
        let all = names().collect::<Vec<_>>().join(", ");
        let help = did_you_mean(&name.value, names())
            .or_else(|| (!all.is_empty()).then(|| format!("inputs: {all}")));
        let message = format!("{} has no input `{}`", model.name, name.value);
        reader.found.push(name.error("T010", message).help_if(help));
    }
    found
}
