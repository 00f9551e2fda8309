//! What a rule does.

use posology_model::diagnostic::did_you_mean;
use posology_model::file::{Place, Text};
use posology_model::unit::Dimension;

use super::Context;
use super::syntax::{At, Written, WrittenAction};
use crate::design::Action;
use crate::design::lookup::quantity;
use crate::design::reader::Reader;
use crate::design::visit_times::multiple;

/// For the first time, the second, ...
pub(super) fn actions(
    reader: &mut Reader,
    text: &Text,
    written: &Written,
    context: &Context<'_>,
) -> Option<Vec<Action>> {
    let mut out: Vec<Action> = Vec::new();
    let mut failed = false;
    for (time, action) in &written.actions {
        let place = text.origin.at(time.span.clone());
        if out.len() as u32 >= time.value && !failed {
            let finding = place.error("T019", "these times are not in order");
            reader
                .found
                .push(finding.help("first action; second time: ...; third time: ..."));
            failed = true;
        }
        let Some(action) = one(reader, text, action, written.day.as_ref(), context) else {
            failed = true;
            continue;
        };
        // a time that is not named is as the one before
        while let Some(last) = out.last().cloned()
            && (out.len() as u32) + 1 < time.value
        {
            out.push(last);
        }
        out.push(action);
    }
    (!failed).then_some(out)
}

fn one(
    reader: &mut Reader,
    text: &Text,
    action: &At<WrittenAction>,
    day: Option<&At<u32>>,
    context: &Context<'_>,
) -> Option<Action> {
    let place = text.origin.at(action.span.clone());
    match &action.value {
        WrittenAction::Stop => Some(Action::Stop),
        WrittenAction::Skip => Some(Action::Skip),
        WrittenAction::Delay { step, limit } => {
            if day.is_none_or(|day| day.value != 1) {
                let message = match day {
                    Some(day) => format!("a cycle cannot be delayed on its day {}", day.value),
                    None => "a delay is decided when a cycle is due".to_owned(),
                };
                let finding = place.error("T022", message);
                reader.found.push(finding.help(
                    "write `on day 1` before the colon; `skip` leaves out the doses of another day",
                ));
                return None;
            }
            let mut on_grid = |at: &Option<At<String>>| -> Result<Option<f64>, ()> {
                at.as_ref()
                    .map(|at| wait(reader, text, at, context).ok_or(()))
                    .transpose()
            };
            let (step, limit) = (on_grid(step), on_grid(limit));
            let (step, limit) = (step.ok()?, limit.ok()?);
            if let (Some(step), Some(limit)) = (step, limit)
                && step > limit
            {
                let finding = place.error("T013", "the delay is longer than its limit");
                reader
                    .found
                    .push(finding.help("such as `delay 7 d up to 21 d`"));
                return None;
            }
            Some(Action::Delay { limit })
        }
        WrittenAction::Reduce { percent, drug } => {
            let share = percent.value / 100.0;
            if !(share > 0.0 && share < 1.0) {
                let at = text.origin.at(percent.span.clone());
                let finding = at.error("T013", "a reduction lies between 0 and 100 %");
                reader.found.push(
                    finding.help("`reduce 25 %` takes away a quarter; `stop` ends treatment"),
                );
                return None;
            }
            let input = match drug {
                None => None,
                Some(drug) => {
                    let at = text.origin.at(drug.span.clone());
                    Some(input(reader, &drug.value, &at, context)?)
                }
            };
            Some(Action::Reduce { share, input })
        }
    }
}

/// A time that a cycle waits: a whole number of visits.
fn wait(reader: &mut Reader, text: &Text, at: &At<String>, context: &Context<'_>) -> Option<f64> {
    let part = Text {
        value: at.value.clone(),
        origin: text.origin.part(at.span.clone()),
    };
    let time = quantity(reader, &part, Dimension::TIME, context.model)?;
    if multiple(time, context.visits.every).is_some_and(|count| count > 0) {
        return Some(time);
    }
    let message = format!(
        "a delay of {} does not end at a visit: visits are every {}",
        at.value, context.visits.every_text
    );
    reader.found.push(
        part.error("T020", message)
            .help("make it a multiple of the visits, or see patients more often"),
    );
    None
}

/// Index of an input of the model.
fn input(reader: &mut Reader, name: &str, place: &Place, context: &Context<'_>) -> Option<usize> {
    let names = || context.model.inputs.iter().map(|input| input.name.as_str());
    let found = names().position(|known| known.eq_ignore_ascii_case(name));
    if found.is_none() {
        let message = format!("{} has no input `{name}`", context.model.name);
        let help = did_you_mean(name, names())
            .unwrap_or_else(|| format!("inputs: {}", names().collect::<Vec<_>>().join(", ")));
        reader.found.push(place.error("T010", message).help(help));
    }
    found
}
