//! ADRS: responses.

use posology_model::unit::Unit;

use crate::Trial;
use crate::clinical::Series;
use crate::clinical::recist::{Criteria, Response, classify};
use crate::design::EndpointKind;
use crate::outcome::people::{Person, died, study_day};
use crate::run::TrialError;
use crate::table::Table;

use super::Sheet;
use super::names::Names;

/// One response.
struct Row<'a, 'p> {
    person: &'a Person<'p>,
    /// Best response of this endpoint, or a scan of this observed quantity.
    what: What,
    response: Response,
}

#[derive(Clone, Copy)]
enum What {
    Scan {
        observed: usize,
        visit: usize,
        size: f64,
        change: f64,
    },
    Best(usize),
}

/// The observed quantities that are sums of diameters.
fn scanned(trial: &Trial) -> Vec<usize> {
    let mut out: Vec<usize> = trial
        .endpoints
        .iter()
        .filter_map(|endpoint| match endpoint.kind {
            EndpointKind::Response { observed, .. } | EndpointKind::Progression { observed } => {
                Some(observed)
            }
            _ => None,
        })
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Every scan of a patient with its response (the first, the baseline, has none).
fn scans<'a, 'p>(
    trial: &Trial,
    person: &'a Person<'p>,
    observed: usize,
    out: &mut Vec<Row<'a, 'p>>,
) -> Result<(), TrialError> {
    let Some(visits) = &person.result.visits else {
        return Ok(());
    };
    let count = visits.times.len();
    let values = visits.seen.get(observed);
    let Some(values) = values.and_then(|all| all.get(person.k * count..(person.k + 1) * count))
    else {
        return Ok(());
    };
    let measured: Vec<bool> = values.iter().map(|value| value.is_finite()).collect();
    let series = Series::new(&visits.times, values, &measured)?;
    let mut responses = vec![Response::NotEvaluable; count];
    let criteria = Criteria::recist_1_1(millimetre(trial, observed));
    classify(&series, &criteria, &mut responses)?;
    let baseline = values.first().copied().unwrap_or(f64::NAN);
    let end = died(trial, person.result, person.k);
    let seen = |visit: &usize| measured[*visit] && visits.times[*visit] <= end;
    for visit in (1..count).filter(seen) {
        let size = values[visit];
        out.push(Row {
            person,
            response: responses[visit],
            what: What::Scan {
                observed,
                visit,
                size,
                change: 100.0 * (size / baseline - 1.0),
            },
        });
    }
    Ok(())
}

/// A millimetre in the unit of an observed quantity.
fn millimetre(trial: &Trial, observed: usize) -> f64 {
    let visits = trial.visits.as_ref();
    let observed = visits.and_then(|visits| visits.observed.get(observed));
    let Some(observed) = observed else {
        return f64::NAN;
    };
    let unit = &trial.model.observables[observed.observable].unit;
    let units = &trial.model.units;
    Unit::parse("mm").map_or(f64::NAN, |mm| units.scale(&mm) / units.scale(unit))
}

/// Responses per scan and best responses; nothing if no endpoint is one of RECIST 1.1.
///
/// # Errors
/// If visits are out of order.
pub(super) fn adrs(trial: &Trial, people: &[Person<'_>]) -> Result<Option<Table>, TrialError> {
    let observed = scanned(trial);
    if observed.is_empty() {
        return Ok(None);
    }
    let mut rows: Vec<Row<'_, '_>> = Vec::new();
    for person in people.iter().filter(|person| person.completed()) {
        for &observed in &observed {
            scans(trial, person, observed, &mut rows)?;
        }
        for (e, endpoint) in trial.endpoints.iter().enumerate() {
            if !matches!(endpoint.kind, EndpointKind::Response { .. }) {
                continue;
            }
            let code = person.value(e);
            if let Some(response) = Response::from_code(code as u8).filter(|_| code.is_finite()) {
                let what = What::Best(e);
                rows.push(Row {
                    person,
                    what,
                    response,
                });
            }
        }
    }
    let mut names = Names::default();
    let visits = trial.visits.as_ref();
    let name = |observed: usize| {
        let known = visits.and_then(|visits| visits.observed.get(observed));
        known.map_or_else(String::new, |known| known.name.clone())
    };
    let overall: Vec<String> = observed.iter().map(|_| names.of("OVRLRESP")).collect();
    let best: Vec<String> = trial
        .endpoints
        .iter()
        .map(|endpoint| match endpoint.kind {
            EndpointKind::Response { .. } => names.of("BOR"),
            _ => String::new(),
        })
        .collect();
    let unit = observed.first().map_or_else(String::new, |&first| {
        let known = visits.and_then(|visits| visits.observed.get(first));
        known.map_or_else(String::new, |known| {
            let observable = &trial.model.observables[known.observable];
            observable.unit.text().to_owned()
        })
    });
    let time = |row: &Row<'_, '_>| match (row.what, &row.person.result.visits) {
        (What::Scan { visit, .. }, Some(visits)) => visits.times[visit],
        _ => f64::NAN,
    };
    let mut sheet = Sheet::new("adrs", &rows);
    sheet.subject(|row| row.person);
    sheet.text("PARAMCD", "parameter, short", |row| match row.what {
        What::Scan { observed: of, .. } => {
            let at = observed.iter().position(|&known| known == of);
            at.map_or_else(String::new, |at| overall[at].clone())
        }
        What::Best(e) => best[e].clone(),
    });
    sheet.text("PARAM", "parameter", |row| match row.what {
        What::Scan { observed, .. } => {
            format!("Response at a scan by RECIST 1.1 ({})", name(observed))
        }
        What::Best(e) => trial.endpoints[e].title.clone(),
    });
    sheet.text("AVALC", "response", |row| {
        row.response.abbreviation().to_owned()
    });
    sheet.number("AVAL", "1", "1 CR, 2 PR, 3 SD, 5 PD, 6 NE", |row| {
        f64::from(row.response.code())
    });
    sheet.number(
        "AVISITN",
        "1",
        "visit; the baseline visit is 0",
        |row| match row.what {
            What::Scan { visit, .. } => visit as f64,
            What::Best(_) => f64::NAN,
        },
    );
    sheet.number("ADY", "d", "study day of the scan", |row| {
        study_day(trial, time(row))
    });
    sheet.number(
        "SUMDIAM",
        &unit,
        "sum of diameters as measured",
        |row| match row.what {
            What::Scan { size, .. } => size,
            What::Best(_) => f64::NAN,
        },
    );
    sheet.number("PCHG", "%", "change of it from baseline", |row| {
        match row.what {
            What::Scan { change, .. } => change,
            What::Best(_) => f64::NAN,
        }
    });
    Ok(Some(sheet.table))
}
