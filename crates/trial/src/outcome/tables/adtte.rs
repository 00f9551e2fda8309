//! ADTTE: times to events.

use crate::Trial;
use crate::design::{Class, EndpointKind};
use crate::outcome::people::{Person, study_day};
use crate::table::Table;

use super::Sheet;
use super::names::Names;

/// A censoring this much before the end of observation, as a share of it, is at an assessment.
const EARLY: f64 = 1e-6;

/// What happened, in the words of the trial file; of a composite, what came first.
fn event(trial: &Trial, person: &Person<'_>, e: usize) -> String {
    let EndpointKind::Earliest(parts) = &trial.endpoints[e].kind else {
        return trial.endpoints[e].title.clone();
    };
    let scale = |e: usize| trial.model.units.scale(&trial.endpoints[e].unit);
    let own = person.value(e) * scale(e);
    let first = parts.iter().copied().find(|&part| {
        let time = person.value(part) * scale(part);
        person.event(part) == Some(true) && (time - own).abs() <= EARLY * own.abs()
    });
    first.map_or_else(
        || trial.endpoints[e].title.clone(),
        |part| event(trial, person, part),
    )
}

/// Why a time is censored.
fn censored(trial: &Trial, person: &Person<'_>, e: usize) -> &'static str {
    let time = person.value(e) * trial.model.units.scale(&trial.endpoints[e].unit);
    if time < person.until() * (1.0 - EARLY) {
        "last assessment without the event"
    } else if person.left() {
        "left the trial"
    } else {
        "end of follow-up"
    }
}

/// One row per patient, arm and time to an event that exists.
pub(super) fn adtte(trial: &Trial, people: &[Person<'_>]) -> Table {
    let mut names = Names::default();
    let times: Vec<(usize, String)> = trial
        .endpoints
        .iter()
        .enumerate()
        .filter(|(_, endpoint)| endpoint.class() == Class::Time)
        .map(|(e, endpoint)| (e, names.of(&endpoint.name)))
        .collect();
    let rows: Vec<(&Person<'_>, usize)> = people
        .iter()
        .flat_map(|person| (0..times.len()).map(move |number| (person, number)))
        .filter(|(person, number)| person.value(times[*number].0).is_finite())
        .collect();
    let endpoint = |number: usize| &trial.endpoints[times[number].0];
    let happened = |person: &Person<'_>, number: usize| person.event(times[number].0) == Some(true);
    let mut sheet = Sheet::new("adtte", &rows);
    sheet.subject(|row| row.0);
    sheet.text("PARAMCD", "endpoint, short", |row| times[row.1].1.clone());
    sheet.text("PARAM", "endpoint", |row| {
        let endpoint = endpoint(row.1);
        format!("{} ({})", endpoint.title, endpoint.unit)
    });
    sheet.number("PARAMN", "1", "endpoint, number", |row| (row.1 + 1) as f64);
    sheet.number("AVAL", "", "time, in AVALU", |row| {
        row.0.value(times[row.1].0)
    });
    sheet.text("AVALU", "unit of AVAL", |row| {
        endpoint(row.1).unit.text().to_owned()
    });
    sheet.number("STARTDY", "d", "study day from which time counts", |_| 1.0);
    sheet.number("ADY", "d", "study day of the event or censoring", |row| {
        let scale = trial.model.units.scale(&endpoint(row.1).unit);
        study_day(trial, row.0.value(times[row.1].0) * scale)
    });
    sheet.number("CNSR", "1", "0: event, 1: censored", |row| {
        f64::from(u8::from(!happened(row.0, row.1)))
    });
    sheet.text("EVNTDESC", "what happened", |row| {
        if happened(row.0, row.1) {
            event(trial, row.0, times[row.1].0)
        } else {
            String::new()
        }
    });
    sheet.text("CNSDTDSC", "why the time is censored", |row| {
        if happened(row.0, row.1) {
            String::new()
        } else {
            censored(trial, row.0, times[row.1].0).to_owned()
        }
    });
    sheet.table
}
