//! One row per patient, arm and endpoint.

use crate::Trial;
use crate::clinical::recist::Response;
use crate::design::Class;
use crate::outcome::people::Person;
use crate::table::Table;

use super::Sheet;

/// The class of an endpoint as tables write it.
pub(super) const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Time => "time to an event",
        Class::YesNo => "yes or no",
        Class::Number => "number",
        Class::Response => "best response",
    }
}

/// What a value stands for where it is a code.
fn category(class: Class, value: f64) -> String {
    match class {
        Class::Response if value.is_finite() => {
            let found = Response::from_code(value as u8).unwrap_or(Response::NotEvaluable);
            found.abbreviation().to_owned()
        }
        Class::YesNo if value.is_finite() => if value > 0.5 { "yes" } else { "no" }.to_owned(),
        _ => String::new(),
    }
}

/// Every endpoint of every patient in every arm.
pub(super) fn endpoints(trial: &Trial, people: &[Person<'_>]) -> Table {
    let rows: Vec<(&Person<'_>, usize)> = people
        .iter()
        .flat_map(|person| (0..trial.endpoints.len()).map(move |e| (person, e)))
        .collect();
    let mut sheet = Sheet::new("endpoints", &rows);
    sheet.text("cohort", "real or virtual patients", |(person, _)| {
        person.cohort.title.clone()
    });
    sheet.text(
        "patient",
        "name of a real patient, number of a virtual one",
        |(person, _)| person.label(),
    );
    sheet.text("arm", "treatment", |(person, _)| {
        trial.arms[person.arm].name.clone()
    });
    sheet.text("endpoint", "key in the trial file", |(_, e)| {
        trial.endpoints[*e].name.clone()
    });
    sheet.text("class", "how it is analysed", |(_, e)| {
        class_name(trial.endpoints[*e].class()).to_owned()
    });
    sheet.number(
        "value",
        "",
        "in the unit of the row; a time without its event is that of its censoring",
        |(person, e)| person.value(*e),
    );
    sheet.text("unit", "of the value", |(_, e)| {
        trial.endpoints[*e].unit.text().to_owned()
    });
    sheet.text(
        "category",
        "what the value stands for, if it is a code",
        |(person, e)| category(trial.endpoints[*e].class(), person.value(*e)),
    );
    sheet.number(
        "event",
        "1",
        "1: the event happened, the answer is yes, the response is objective; 0: not; none for numbers",
        |(person, e)| {
            let known = person.completed() && trial.endpoints[*e].class() != Class::Number;
            match person.event(*e).filter(|_| known) {
                Some(event) => f64::from(u8::from(event)),
                None => f64::NAN,
            }
        },
    );
    sheet.table
}
