//! One row per patient and arm, and one per measurement.

use posology_sim::run::status_name;

use crate::Trial;
use crate::run::{ReplayResult, TrialResult};
use crate::table::{Table, Values};

/// One row per cohort, arm and patient: the patient's own inputs, endpoints and status.
pub(crate) fn patients(trial: &Trial, result: &TrialResult) -> Table {
    let model = &trial.model;
    let mut table = Table::new("patients");
    let rows = || {
        result.cohorts.iter().flat_map(|cohort| {
            (0..cohort.arms.len()).flat_map(move |arm| {
                (0..cohort.cohort.len()).map(move |patient| (cohort, arm, patient))
            })
        })
    };
    let text = |of: &dyn Fn(&crate::run::CohortResult, usize, usize) -> String| {
        Values::Text(
            rows()
                .map(|(cohort, arm, patient)| of(cohort, arm, patient))
                .collect(),
        )
    };
    table.push(
        "cohort",
        "",
        "real or virtual patients",
        text(&|cohort, _, _| cohort.title.clone()),
    );
    table.push(
        "patient",
        "",
        "name of a real patient, number of a virtual one",
        text(&|cohort, _, patient| cohort.cohort.label(patient)),
    );
    table.push(
        "arm",
        "",
        "treatment",
        text(&|_, arm, _| trial.arms[arm].name.clone()),
    );
    for slot in 0..model.slot_count() {
        let unit = model.slot_unit(slot);
        let scale = model.units.scale(unit);
        let value = rows()
            .map(|(cohort, _, patient)| cohort.cohort.slots[slot][patient] / scale)
            .collect();
        let what = match model.parameters.get(slot) {
            Some(parameter) => parameter.description.clone(),
            None => format!(
                "{} (at the start)",
                model.covariates[slot - model.parameters.len()].description
            ),
        };
        table.push(
            model.slot_name(slot),
            unit.text(),
            what,
            Values::Number(value),
        );
    }
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        let value = rows()
            .map(|(cohort, arm, patient)| cohort.arms[arm].values[e][patient])
            .collect();
        table.push(
            &endpoint.name,
            endpoint.unit.text(),
            &endpoint.title,
            Values::Number(value),
        );
        if endpoint.is_time() {
            let event = rows()
                .map(|(cohort, arm, patient)| cohort.arms[arm].events[e][patient])
                .collect();
            let what = "whether the event happened; otherwise the time is the end of follow-up";
            table.push(
                format!("{}_event", endpoint.name),
                "",
                what,
                Values::Flag(event),
            );
        }
    }
    table.push(
        "status",
        "",
        "how the integration ended",
        text(&|cohort, arm, patient| status_name(cohort.arms[arm].status[patient]).to_owned()),
    );
    table
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
