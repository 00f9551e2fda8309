//! One row per patient and arm, and one per measurement.

mod adae;
mod adppk;
mod adrs;
mod adsl;
mod adtte;
mod endpoints;
mod names;

use posology_sim::run::status_name;

use super::people::{Person, people};
use crate::Trial;
use crate::run::{ReplayResult, TrialError, TrialResult};
use crate::table::{Table, Values};

/// Everything but the patients and the replay: one row per patient, arm and endpoint, and tables
/// with the names of ADaM (CDISC Analysis Data Model) data sets.
///
/// A patient who went through every arm is one subject in each of them, so that `USUBJID` is
/// unique in ADSL; `SUBJID` tells who is who.
///
/// # Errors
/// What the response criteria say of visits that are out of order.
pub(crate) fn tables(trial: &Trial, result: &TrialResult) -> Result<Vec<Table>, TrialError> {
    let people = people(trial, result);
    let mut out = vec![
        endpoints::endpoints(trial, &people),
        adsl::adsl(trial, result, &people),
        adtte::adtte(trial, &people),
        adae::adae(trial, &people),
    ];
    out.extend(adrs::adrs(trial, &people)?);
    out.extend(adppk::adppk(trial, &people));
    Ok(out)
}

/// A table that is filled column by column from the same rows.
struct Sheet<'a, T> {
    table: Table,
    rows: &'a [T],
}

impl<'a, T> Sheet<'a, T> {
    fn new(name: &str, rows: &'a [T]) -> Self {
        Self {
            table: Table::new(name),
            rows,
        }
    }

    fn text(
        &mut self,
        name: impl Into<String>,
        what: impl Into<String>,
        of: impl Fn(&T) -> String,
    ) {
        let values = Values::Text(self.rows.iter().map(of).collect());
        self.table.push(name, "", what, values);
    }

    fn number(
        &mut self,
        name: impl Into<String>,
        unit: &str,
        what: impl Into<String>,
        of: impl Fn(&T) -> f64,
    ) {
        let values = Values::Number(self.rows.iter().map(of).collect());
        self.table.push(name, unit, what, values);
    }

    /// Who a row is about.
    fn subject<'p>(&mut self, of: impl Fn(&T) -> &Person<'p>) {
        self.text("STUDYID", "trial", |row| of(row).trial.name.clone());
        self.text("USUBJID", "patient, unique over cohorts and arms", |row| {
            of(row).subject()
        });
        self.text(
            "SUBJID",
            "name of a real patient, number of a virtual one",
            |row| of(row).label(),
        );
        self.text("TRTP", "planned treatment", |row| {
            let person = of(row);
            person.trial.arms[person.arm].title.clone()
        });
    }
}

/// `Y` or nothing, as flags are in ADaM.
fn flag(yes: bool) -> String {
    if yes { "Y".to_owned() } else { String::new() }
}

/// `Y` or `N`.
fn yes_no(yes: bool) -> String {
    if yes { "Y" } else { "N" }.to_owned()
}

/// One row per cohort, arm and patient: the patient's own inputs, endpoints and status.
pub(crate) fn patients(trial: &Trial, result: &TrialResult) -> Table {
    let model = &trial.model;
    let people = people(trial, result);
    let mut sheet = Sheet::new("patients", &people);
    sheet.text("cohort", "real or virtual patients", |person| {
        person.cohort.title.clone()
    });
    sheet.text(
        "patient",
        "name of a real patient, number of a virtual one",
        Person::label,
    );
    sheet.text("arm", "treatment", |person| {
        trial.arms[person.arm].name.clone()
    });
    for slot in 0..model.slot_count() {
        let unit = model.slot_unit(slot);
        let scale = model.units.scale(unit);
        let what = match model.parameters.get(slot) {
            Some(parameter) => parameter.description.clone(),
            None => format!(
                "{} (at the start)",
                model.covariates[slot - model.parameters.len()].description
            ),
        };
        sheet.number(model.slot_name(slot), unit.text(), what, |person| {
            person.cohort.cohort.slots[slot][person.patient] / scale
        });
    }
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        sheet.number(
            &endpoint.name,
            endpoint.unit.text(),
            &endpoint.title,
            |person| person.value(e),
        );
        if endpoint.is_time() {
            let event = people.iter().map(|person| person.event(e) == Some(true));
            let what = "whether the event happened; otherwise the time is the end of follow-up";
            sheet.table.push(
                format!("{}_event", endpoint.name),
                "",
                what,
                Values::Flag(event.collect()),
            );
        }
    }
    sheet.text("status", "how the integration ended", |person| {
        status_name(person.result.status[person.k]).to_owned()
    });
    sheet.table
}

/// One row per measurement of the replay.
pub(crate) fn replay(trial: &Trial, replay: &ReplayResult) -> Table {
    let mut table = Table::new("replay");
    let rows = || {
        replay.patients.iter().flat_map(|patient| {
            patient
                .records
                .iter()
                .zip(&patient.predicted)
                .map(move |(record, predicted)| (patient, record, predicted))
        })
    };
    let unit = trial.replay.as_ref().map_or_else(String::new, |data| {
        trial.model.observables[data.observable]
            .unit
            .text()
            .to_owned()
    });
    table.push(
        "patient",
        "",
        "name in the data",
        Values::Text(rows().map(|row| row.0.name.clone()).collect()),
    );
    table.push(
        "group",
        "",
        "group in the data",
        Values::Text(rows().map(|row| row.0.group.clone()).collect()),
    );
    table.push(
        "time",
        trial.model.time_unit.text(),
        "time of the record",
        Values::Number(rows().map(|row| row.1.time).collect()),
    );
    table.push(
        "exposure",
        "1",
        "drug on (1) or off (0) until the next record",
        Values::Number(rows().map(|row| row.1.exposure).collect()),
    );
    table.push(
        "observed",
        &unit,
        "as measured",
        Values::Number(rows().map(|row| row.1.observed).collect()),
    );
    table.push(
        "predicted",
        &unit,
        "by the model under the real treatment",
        Values::Number(rows().map(|row| *row.2).collect()),
    );
    table
}
