//! ADPPK: doses and measurements in the order of time, as NM-TRAN reads them.

use std::collections::BTreeSet;

use posology_cohort::regimen::{Basis, Series};
use posology_model::unit::Unit;

use crate::Trial;
use crate::design::{Action, Visits};
use crate::outcome::people::{Person, died};
use crate::run::{GivenResult, VisitResult};
use crate::table::Table;

use super::names::Names;
use super::{Sheet, flag};

/// Rows at most: whole subjects are left out beyond, which the table says.
const MOST_ROWS: usize = 4_000_000;
/// Times closer than this share of an interval are one instant.
const SAME: f64 = 1e-9;
/// Names that covariates must not take.
const TAKEN: [&str; 21] = [
    "STUDYID", "USUBJID", "SUBJID", "TRTP", "ID", "TIME", "EVID", "MDV", "CMT", "AMT", "AMTU",
    "RATE", "ADDL", "II", "DV", "DVU", "BLQFL", "DOSELVL", "TAD", "SS", "OCC",
];

/// A dose or a measurement.
struct Row<'a, 'p> {
    person: &'a Person<'p>,
    number: usize,
    time: f64,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Dose(Dose),
    Measured { observed: usize, value: f64 },
}

#[derive(Clone, Copy)]
struct Dose {
    input: usize,
    /// In the input's unit; NaN if the visits do not tell it.
    amount: f64,
    /// Of the infusion; 0 for a bolus or what the model says.
    duration: f64,
    more: usize,
    interval: f64,
    level: f64,
}

/// Amount of one dose for a patient, in the input's unit.
fn amount(trial: &Trial, person: &Person<'_>, series: &Series) -> f64 {
    let units = &trial.model.units;
    let size = |unit: &str| Unit::parse(unit).map_or(f64::NAN, |unit| units.scale(&unit));
    let slot = |slot: usize| person.cohort.cohort.slots[slot][person.patient];
    let basis = match series.basis {
        Basis::Flat => 1.0,
        Basis::Per(at) => slot(at),
        Basis::Calvert(at) => (slot(at) / size("mL/min") + 25.0) * size("mg"),
    };
    series.amount * basis / units.scale(&trial.model.inputs[series.input].unit)
}

/// Times as one record with its repetitions if they are regular, else one record each:
/// (time, further doses, interval).
fn packed(times: &[f64]) -> Vec<(f64, usize, f64)> {
    if let [first, second, ..] = *times {
        let interval = second - first;
        let regular = times
            .windows(2)
            .all(|pair| ((pair[1] - pair[0]) - interval).abs() <= 1e-6 * interval);
        if regular {
            return vec![(first, times.len() - 1, interval)];
        }
    }
    times.iter().map(|&time| (time, 0, 0.0)).collect()
}

/// Inputs that the arm's protocol reduces on their own.
fn reduced_alone(trial: &Trial, arm: usize) -> BTreeSet<usize> {
    let protocol = trial.arms[arm].protocol;
    let rules = protocol
        .and_then(|protocol| trial.protocols.get(protocol))
        .map_or(&[][..], |protocol| &protocol.rules);
    let actions = rules.iter().flat_map(|rule| &rule.actions);
    actions
        .filter_map(|action| match action {
            Action::Reduce { input, .. } => *input,
            _ => None,
        })
        .collect()
}

/// Doses given at visits: what the regimen has in the window after each visit, at the level that
/// was given there.
fn at_visits(
    trial: &Trial,
    person: &Person<'_>,
    visits: (&Visits, &VisitResult),
    all: &[Series],
    out: &mut Vec<(f64, What)>,
) {
    let (plan, seen) = visits;
    let count = seen.times.len();
    let every = plan.every;
    let visit_of = |time: f64| (time / every + SAME).floor().max(0.0) as usize;
    let planned = |series: &Series| -> Vec<f64> {
        let offsets = series.offsets.iter();
        offsets.map(|offset| series.start + offset).collect()
    };
    let first = all.iter().flat_map(planned).map(visit_of).min();
    let (Some(first), Some(leading)) = (first, all.first()) else {
        return;
    };
    let length = if leading.every == 0.0 {
        usize::MAX
    } else {
        (leading.every / every).round().max(1.0) as usize
    };
    let alone = reduced_alone(trial, person.arm);
    let mut start: Option<usize> = None;
    let levels = seen.level.get(person.k * count..(person.k + 1) * count);
    for (visit, &level) in levels.unwrap_or_default().iter().enumerate() {
        if level.is_nan() || level <= 0.0 {
            continue;
        }
        let began = match start {
            Some(began) if visit - began < length => began,
            _ => visit.saturating_sub(first),
        };
        start = Some(began);
        let here: Vec<(&Series, Vec<f64>)> = all
            .iter()
            .map(|series| {
                let times = planned(series);
                let due = times.into_iter().filter(|&t| visit_of(t) == visit - began);
                let shift = seen.times[visit] - (visit - began) as f64 * every;
                (series, due.map(|t| t + shift).collect::<Vec<_>>())
            })
            .filter(|(_, times)| !times.is_empty())
            .collect();
        let inputs: BTreeSet<usize> = here.iter().map(|(series, _)| series.input).collect();
        for (series, times) in &here {
            // the level kept is the highest of the drugs given at the visit
            let known = inputs.len() == 1 || !alone.contains(&series.input);
            let level = if known { level } else { f64::NAN };
            for (time, more, interval) in packed(times) {
                let dose = Dose {
                    input: series.input,
                    amount: level * amount(trial, person, series),
                    duration: series.duration.unwrap_or(0.0),
                    more,
                    interval,
                    level,
                };
                out.push((time, What::Dose(dose)));
            }
        }
    }
}

/// Doses as planned, in a trial without visits.
fn as_planned(trial: &Trial, person: &Person<'_>, all: &[Series], out: &mut Vec<(f64, What)>) {
    for series in all {
        let times: Vec<f64> = series.times(person.until()).collect();
        // a cycle of several doses repeats cycle by cycle
        let parts = if series.offsets.len() > 1 {
            times.chunks(series.offsets.len()).collect::<Vec<_>>()
        } else {
            vec![&times[..]]
        };
        for (time, more, interval) in parts.into_iter().flat_map(packed) {
            let dose = Dose {
                input: series.input,
                amount: amount(trial, person, series),
                duration: series.duration.unwrap_or(0.0),
                more,
                interval,
                level: 1.0,
            };
            out.push((time, What::Dose(dose)));
        }
    }
}

/// Doses as a clinician ordered them, whatever the visits.
fn as_ordered(
    trial: &Trial,
    person: &Person<'_>,
    given: &GivenResult,
    all: &[Series],
) -> Vec<(f64, What)> {
    let mut out = Vec::new();
    let count = given.orders.decisions;
    for (drug, amounts) in given.orders.drugs.iter().zip(&given.amounts) {
        let planned = all.iter().find(|series| series.input == drug.input);
        let planned = planned.map_or(f64::NAN, |series| amount(trial, person, series));
        let own = amounts.get(person.k * count..(person.k + 1) * count);
        let decisions = given.orders.times().zip(own.unwrap_or_default());
        for (time, &amount) in decisions.filter(|(_, amount)| **amount > 0.0) {
            for at in &drug.at {
                let dose = Dose {
                    input: drug.input,
                    amount,
                    duration: drug.over.unwrap_or(0.0),
                    more: 0,
                    interval: 0.0,
                    level: amount / planned,
                };
                out.push((time + at, What::Dose(dose)));
            }
        }
    }
    out
}

/// Everything about one subject, in the order of time; a measurement comes before the dose of its
/// visit.
fn records(trial: &Trial, person: &Person<'_>) -> Vec<(f64, What)> {
    let mut out = Vec::new();
    if let Some(visits) = &person.result.visits {
        let count = visits.times.len();
        for (observed, values) in visits.seen.iter().enumerate() {
            let values = values.get(person.k * count..(person.k + 1) * count);
            let values = values.unwrap_or_default().iter().zip(&visits.times);
            out.extend(
                values
                    .filter(|(value, _)| value.is_finite())
                    .map(|(&value, &time)| (time, What::Measured { observed, value })),
            );
        }
    }
    let regimen = trial.arms[person.arm].regimen.as_ref();
    let series = regimen.map_or(&[][..], |(regimen, _)| &regimen.series);
    match (&trial.visits, &person.result.visits) {
        _ if person.result.given.is_some() => {
            let given = person.result.given.as_ref();
            out.extend(
                given.map_or_else(Vec::new, |given| as_ordered(trial, person, given, series)),
            );
        }
        (Some(plan), Some(seen)) => at_visits(trial, person, (plan, seen), series, &mut out),
        (None, _) => as_planned(trial, person, series, &mut out),
        (Some(_), None) => {}
    }
    let end = died(trial, person.result, person.k);
    out.retain(|(time, _)| *time <= end);
    let dosed = |what: &What| matches!(what, What::Dose(_));
    out.sort_by(|a, b| a.0.total_cmp(&b.0).then(dosed(&a.1).cmp(&dosed(&b.1))));
    out
}

/// Doses and measurements of every subject whose simulation completed; nothing if there are
/// neither.
pub(super) fn adppk(trial: &Trial, people: &[Person<'_>]) -> Option<Table> {
    let mut rows: Vec<Row<'_, '_>> = Vec::new();
    let mut left_out = false;
    for (number, person) in people.iter().enumerate().filter(|(_, p)| p.completed()) {
        let records = records(trial, person);
        if rows.len() + records.len() > MOST_ROWS {
            left_out = true;
            break;
        }
        rows.extend(records.into_iter().map(|(time, what)| Row {
            person,
            number,
            time,
            what,
        }));
    }
    if rows.is_empty() {
        return None;
    }
    let mut sheet = Sheet::new("adppk", &rows);
    sheet.subject(|row| row.person);
    let id = if left_out {
        "subject, number; later subjects are left out to bound the file"
    } else {
        "subject, number"
    };
    sheet.number("ID", "1", id, |row| (row.number + 1) as f64);
    let time = trial.model.time_unit.text();
    sheet.number("TIME", time, "since the start", |row| row.time);
    doses(trial, &mut sheet);
    measured(trial, &mut sheet);
    let mut names = Names::without(&TAKEN);
    for slot in trial.model.parameters.len()..trial.model.slot_count() {
        let unit = trial.model.slot_unit(slot);
        let scale = trial.model.units.scale(unit);
        let covariate = &trial.model.covariates[slot - trial.model.parameters.len()];
        let what = format!("{} at the start: {}", covariate.name, covariate.description);
        sheet.number(names.of(&covariate.name), unit.text(), what, |row| {
            row.person.cohort.cohort.slots[slot][row.person.patient] / scale
        });
    }
    Some(sheet.table)
}

fn doses(trial: &Trial, sheet: &mut Sheet<'_, Row<'_, '_>>) {
    let dose = |row: &Row<'_, '_>| match row.what {
        What::Dose(dose) => Some(dose),
        What::Measured { .. } => None,
    };
    let number = |of: fn(Dose) -> f64| move |row: &Row<'_, '_>| dose(row).map_or(f64::NAN, of);
    sheet.number("EVID", "1", "1 dose, 0 measurement", |row| {
        f64::from(u8::from(dose(row).is_some()))
    });
    sheet.number("MDV", "1", "1 where DV is missing", |row| {
        f64::from(u8::from(dose(row).is_some()))
    });
    sheet.text(
        "CMT",
        "what is dosed (input) or measured (observable)",
        |row| match row.what {
            What::Dose(dose) => trial.model.inputs[dose.input].name.clone(),
            What::Measured { observed, .. } => {
                let visits = trial.visits.as_ref();
                let known = visits.and_then(|visits| visits.observed.get(observed));
                known.map_or_else(String::new, |known| known.name.clone())
            }
        },
    );
    sheet.number(
        "AMT",
        "",
        "amount given, in AMTU; none where drugs are reduced separately and visits do not tell",
        number(|dose| dose.amount),
    );
    sheet.text("AMTU", "unit of AMT", |row| {
        let input = dose(row).map(|dose| &trial.model.inputs[dose.input]);
        input.map_or_else(String::new, |input| input.unit.text().to_owned())
    });
    let what = "AMTU per unit of TIME; 0 for a bolus";
    sheet.number(
        "RATE",
        "",
        what,
        number(|dose| {
            if dose.duration > 0.0 {
                dose.amount / dose.duration
            } else {
                0.0
            }
        }),
    );
    sheet.number(
        "ADDL",
        "1",
        "further doses like this",
        number(|dose| dose.more as f64),
    );
    let time = trial.model.time_unit.text();
    sheet.number(
        "II",
        time,
        "interval between them",
        number(|dose| dose.interval),
    );
    sheet.number(
        "DOSELVL",
        "1",
        "dose level relative to the regimen",
        number(|dose| dose.level),
    );
}

fn measured(trial: &Trial, sheet: &mut Sheet<'_, Row<'_, '_>>) {
    let visits = trial.visits.as_ref();
    let observed = |row: &Row<'_, '_>| match row.what {
        What::Measured { observed, value } => {
            let known = visits.and_then(|visits| visits.observed.get(observed))?;
            Some((known, &trial.model.observables[known.observable], value))
        }
        What::Dose(_) => None,
    };
    sheet.number("DV", "", "measured value, in DVU", |row| {
        observed(row).map_or(f64::NAN, |(_, _, value)| value)
    });
    sheet.text("DVU", "unit of DV", |row| {
        observed(row).map_or_else(String::new, |(_, of, _)| of.unit.text().to_owned())
    });
    sheet.text(
        "BLQFL",
        "below the limit of quantification, reported as it",
        |row| {
            let below = observed(row).is_some_and(|(known, of, value)| {
                let value = value * trial.model.units.scale(&of.unit);
                known
                    .lloq
                    .is_some_and(|limit| value <= limit * (1.0 + 1e-6))
            });
            flag(below)
        },
    );
}
