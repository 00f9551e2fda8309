//! What a rule looks at.

use posology_model::diagnostic::did_you_mean;
use posology_model::file::{Origin, Text};

use super::syntax::{At, EXAMPLE, WrittenCondition};
use super::{Context, measurement_of};
use crate::design::Condition;
use crate::design::reader::Reader;
use crate::design::seen::Seen;

pub(super) fn condition(
    reader: &mut Reader,
    text: &Text,
    written: &WrittenCondition,
    context: &Context<'_>,
    seen: &mut Seen,
) -> Option<Condition> {
    match written {
        WrittenCondition::Grade { grade, toxicity } => {
            graded(reader, text, grade, toxicity, context, seen)
        }
        WrittenCondition::Measured(written) => measured(reader, text, written, seen),
    }
}

fn graded(
    reader: &mut Reader,
    text: &Text,
    grade: &At<u32>,
    name: &At<String>,
    context: &Context<'_>,
    seen: &Seen,
) -> Option<Condition> {
    let place = text.origin.at(name.span.clone());
    let model = context.model;
    let names = || {
        model
            .toxicities
            .iter()
            .map(|toxicity| toxicity.name.as_str())
    };
    let Some(index) = names().position(|known| known.eq_ignore_ascii_case(&name.value)) else {
        let message = format!("{} has no toxicity `{}`", model.name, name.value);
        let all = names().collect::<Vec<_>>().join(", ");
        let help = did_you_mean(&name.value, names())
            .or_else(|| (!all.is_empty()).then(|| format!("toxicities: {all}")));
        reader.found.push(
            place
                .error("T010", message)
                .help_if(help)
                .help("or compare a measured value: `ANC < 0.5e9/L`"),
        );
        return None;
    };
    let toxicity = &model.toxicities[index];
    let known = toxicity
        .grades
        .iter()
        .find(|known| u32::from(**known) == grade.value);
    if known.is_none() {
        let grades: Vec<String> = toxicity.grades.iter().map(u8::to_string).collect();
        let message = format!("`{}` has no grade {}", toxicity.name, grade.value);
        let finding = text.origin.at(grade.span.clone()).error("T013", message);
        reader
            .found
            .push(finding.help(format!("its grades: {}", grades.join(", "))));
    }
    let position = measurement_of(model, context.visits, index);
    match position {
        Some(position) => {
            seen.used.borrow_mut().insert(position);
        }
        None => {
            let message = format!(
                "a rule cannot use `{}`: what it grades is not measured at visits",
                toxicity.name
            );
            let shows = model
                .observables
                .iter()
                .find(|observable| observable.node == toxicity.node)
                .map(|observable| format!("add [visits.observe.{}]", observable.name));
            let help = shows.unwrap_or_else(|| {
                format!(
                    "no observable of {} has the expression of this toxicity",
                    model.name
                )
            });
            reader.found.push(place.error("T011", message).help(help));
        }
    }
    position?;
    Some(Condition::Grade {
        toxicity: index,
        grade: *known?,
    })
}

fn measured(
    reader: &mut Reader,
    text: &Text,
    written: &At<String>,
    seen: &mut Seen,
) -> Option<Condition> {
    let origin = text.origin.part(written.span.clone());
    let lower = written.value.trim_start().to_ascii_lowercase();
    if lower.starts_with("grade") && !lower.contains(['<', '>', '=']) {
        let message = "a grade stands alone: `grade 4 neutropenia`";
        let finding = origin.place().error("T019", message);
        reader.found.push(finding.help(EXAMPLE));
        return None;
    }
    match seen.condition(&written.value, &origin) {
        Ok(compiled) if compiled.condition => {
            let origin =
                Origin::within(origin.source(), origin.place().span.clone(), &compiled.text);
            Some(Condition::Measured {
                text: compiled.text,
                origin,
            })
        }
        Ok(_) => {
            let message = "a rule begins with a condition, this is a number";
            let finding = origin.place().error("T019", message);
            reader
                .found
                .push(finding.help(format!("compare it: `ANC < 1.5e9/L`; {EXAMPLE}")));
            None
        }
        Err(found) => {
            reader.found.extend(found);
            None
        }
    }
}
