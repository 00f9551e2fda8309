//! Endpoints that are made of what was measured at visits, and of the course of treatment.

use super::TrialError;
use super::result::ArmResult;
use crate::Trial;
use crate::clinical::Series;
use crate::clinical::composite::TimeToEvent;
use crate::clinical::marker::{self, Decline, Rise};
use crate::clinical::recist::{self, Confirmation, Criteria, Response};
use crate::design::EndpointKind;
use posology_model::unit::Unit;

/// Endpoints of measured values: responses, progression, markers.
pub(super) fn from_visits(trial: &Trial, out: &mut ArmResult) -> Result<(), TrialError> {
    let Some(visits) = out.visits.take() else {
        return Ok(());
    };
    let count = visits.times.len();
    let n = out.members.len();
    let mut measured = vec![false; count];
    let mut responses = vec![Response::NotEvaluable; count];
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        let (EndpointKind::Response { observed, .. }
        | EndpointKind::Progression { observed }
        | EndpointKind::Decline { observed, .. }
        | EndpointKind::Rise { observed, .. }) = endpoint.kind
        else {
            continue;
        };
        let Some(values) = visits.seen.get(observed) else {
            continue;
        };
        let unit = trial
            .visits
            .as_ref()
            .and_then(|all| all.observed.get(observed));
        let unit = unit.map(|o| trial.model.observables[o.observable].unit.clone());
        let unit = unit.unwrap_or_else(Unit::one);
        let size = |text: &str| {
            Unit::parse(text).map_or(f64::NAN, |of| {
                trial.model.units.scale(&of) / trial.model.units.scale(&unit)
            })
        };
        let shown = trial.model.units.scale(&endpoint.unit);
        let (mut result, mut events) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for k in 0..n {
            let values = &values[k * count..(k + 1) * count];
            for (flag, value) in measured.iter_mut().zip(values) {
                *flag = !value.is_nan();
            }
            let series = Series::new(&visits.times, values, &measured)?;
            let (value, event) = match endpoint.kind {
                EndpointKind::Response { confirm, .. } => {
                    let mut criteria = Criteria::recist_1_1(size("mm"));
                    criteria.confirmation = confirm.map(|after| Confirmation {
                        after,
                        not_evaluable: 1,
                        stable: 0,
                    });
                    let found = recist::assess(&series, &criteria, &mut responses)?;
                    (f64::from(found.best.code()), found.best.is_objective())
                }
                EndpointKind::Progression { .. } => {
                    let criteria = Criteria::recist_1_1(size("mm"));
                    let found = recist::assess(&series, &criteria, &mut responses)?;
                    timed(found.progression, shown)
                }
                EndpointKind::Decline { by, confirm, .. } => {
                    let rule = Decline {
                        by,
                        confirm,
                        sustained: confirm > 0.0,
                    };
                    let met = marker::decline(&series, &rule).is_some();
                    (f64::from(u8::from(met)), met)
                }
                EndpointKind::Rise {
                    by,
                    at_least,
                    confirm,
                    flare,
                    ..
                } => {
                    let rule = Rise {
                        by,
                        at_least: at_least / trial.model.units.scale(&unit),
                        confirm,
                        sustained: confirm > 0.0,
                        flare,
                    };
                    timed(marker::rise(&series, &rule).0, shown)
                }
                _ => continue,
            };
            result.push(value);
            events.push(event);
        }
        out.values[e] = result;
        out.events[e] = events;
    }
    out.visits = Some(visits);
    Ok(())
}

fn timed(found: TimeToEvent, shown: f64) -> (f64, bool) {
    (found.time / shown, found.event)
}

/// Means, toxicities and doses. `alive`: until when each patient lives, model time.
pub(super) fn numbers(trial: &Trial, out: &mut ArmResult, alive: &[f64]) {
    let units = &trial.model.units;
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        match &endpoint.kind {
            EndpointKind::Mean(_) if endpoint.until.is_none() => {
                out.values[e]
                    .iter_mut()
                    .for_each(|value| *value /= trial.horizon);
            }
            EndpointKind::Toxicity {
                toxicity, grade, ..
            } => {
                let Some(toxicity) = trial.model.toxicities.get(*toxicity) else {
                    continue;
                };
                let at = toxicity.grades.iter().position(|known| known >= grade);
                let Some(&threshold) = at.and_then(|at| toxicity.thresholds.get(at)) else {
                    continue;
                };
                let shown = units.scale(&endpoint.unit);
                let below = toxicity.direction == posology_model::model::Direction::Below;
                let passed = |value: &f64| {
                    let value = value * shown;
                    if below {
                        value < threshold
                    } else {
                        value > threshold
                    }
                };
                let events: Vec<bool> = out.values[e].iter().map(passed).collect();
                out.values[e] = events.iter().map(|&yes| f64::from(u8::from(yes))).collect();
                out.events[e] = events;
            }
            EndpointKind::DoseIntensity { input } | EndpointKind::Dose { input } => {
                let Some(course) = &out.course else { continue };
                let Some(at) = course.inputs.iter().position(|known| known == input) else {
                    continue;
                };
                out.values[e] = if matches!(endpoint.kind, EndpointKind::Dose { .. }) {
                    let from = units.scale(&trial.model.inputs[*input].unit);
                    let to = units.scale(&endpoint.unit);
                    course.dose[at]
                        .iter()
                        .map(|dose| dose * from / to)
                        .collect()
                } else {
                    let to = units.scale(&endpoint.unit);
                    course.intensity[at]
                        .iter()
                        .map(|share| share / to)
                        .collect()
                };
            }
            EndpointKind::TimeOnTreatment => {
                let Some(course) = &out.course else { continue };
                let to = units.scale(&endpoint.unit);
                let times = course.treated_until.iter().zip(alive);
                out.values[e] = times.map(|(time, alive)| time.min(*alive) / to).collect();
            }
            _ => {}
        }
    }
}
