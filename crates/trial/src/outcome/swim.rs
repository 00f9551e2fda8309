//! Lanes of single patients: doses, delays, reductions, responses, the end.

use crate::Trial;
use crate::clinical::Series;
use crate::clinical::recist::{Criteria, Response, assess};
use crate::design::{Action, Class, Condition, EndpointKind};
use crate::outcome::people::death;
use crate::plot::{DoseSpan, Svg, Swimmer, SwimmerLane, SwimmerMark};
use crate::protocol::reason;
use crate::run::{ArmResult, CohortResult, TrialError, VisitResult};
use posology_model::unit::Unit;

/// Lanes, over all arms.
const LANES: usize = 40;
/// Levels that are told apart.
const LEVELS: usize = 5;

/// The figure; `None` where nothing is known of single doses.
pub(super) fn swimmer(trial: &Trial, cohort: &CohortResult) -> Result<Option<Svg>, TrialError> {
    let analysed = cohort.analysed();
    let mut everybody: Vec<(usize, usize)> = Vec::new();
    for (arm, positions) in analysed.iter().enumerate() {
        if cohort.arms[arm].course.is_some() && cohort.arms[arm].visits.is_some() {
            everybody.extend(positions.iter().map(|&k| (arm, k)));
        }
    }
    if everybody.is_empty() {
        return Ok(None);
    }
    let durations: Vec<f64> = everybody
        .iter()
        .map(|&(arm, k)| treated(&cohort.arms[arm], k))
        .collect();
    let arms: Vec<usize> = everybody.iter().map(|&(arm, _)| arm).collect();
    let (chosen, sentence) = Swimmer::choose(&durations, &arms, LANES);
    let chosen: Vec<(usize, usize)> = chosen.into_iter().map(|at| everybody[at]).collect();
    let levels = levels(cohort, &chosen);
    let lanes = chosen
        .iter()
        .map(|&(arm, k)| lane(trial, cohort, arm, k, &levels))
        .collect::<Result<Vec<_>, TrialError>>()?;
    let names = levels.iter().map(|level| match *level {
        level if (level - 1.0).abs() < 1e-3 => "full dose".to_owned(),
        level => format!("{:.0} % of the dose", 100.0 * level),
    });
    let figure = Swimmer::new(
        format!("Treatment of single patients, {}", cohort.title),
        format!("Time since the start ({})", trial.time_unit),
        trial.arms.iter().map(|arm| arm.title.clone()).collect(),
        lanes,
        sentence,
    )
    .levels(names.collect());
    Ok(Some(figure.render()?))
}

fn treated(arm: &ArmResult, k: usize) -> f64 {
    let course = arm.course.as_ref();
    let until = course.and_then(|course| course.treated_until.get(k));
    until
        .copied()
        .filter(|time| time.is_finite())
        .unwrap_or(0.0)
}

/// Dose levels of a patient at the visits.
fn given(visits: &VisitResult, k: usize) -> &[f64] {
    let count = visits.times.len();
    visits
        .level
        .get(k * count..(k + 1) * count)
        .unwrap_or_default()
}

/// Levels that were given to the patients shown, the highest first.
fn levels(cohort: &CohortResult, chosen: &[(usize, usize)]) -> Vec<f64> {
    let mut out: Vec<f64> = vec![1.0];
    for &(arm, k) in chosen {
        let Some(visits) = &cohort.arms[arm].visits else {
            continue;
        };
        for &level in given(visits, k).iter().filter(|&&level| level > 0.0) {
            if !out.iter().any(|known| (known - level).abs() < 5e-3) {
                out.push(level);
            }
        }
    }
    out.sort_by(|a, b| b.total_cmp(a));
    out.truncate(LEVELS);
    out
}

fn nearest(levels: &[f64], level: f64) -> usize {
    let distance = |at: &usize| (levels[*at] - level).abs();
    (0..levels.len())
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or(0)
}

fn lane(
    trial: &Trial,
    cohort: &CohortResult,
    arm: usize,
    k: usize,
    levels: &[f64],
) -> Result<SwimmerLane, TrialError> {
    let result = &cohort.arms[arm];
    let until = result.until.get(k).copied().unwrap_or(trial.horizon);
    let mut out = SwimmerLane {
        patient: cohort.cohort.label(result.members[k]),
        arm,
        spans: Vec::new(),
        marks: Vec::new(),
        ongoing: None,
    };
    let shown = |time: f64| trial.shown_time(time);
    let end = treated(result, k);
    if let Some(visits) = &result.visits {
        doses(trial, (arm, k), result, visits, levels, end, &mut out);
        responses(trial, visits, k, &mut out)?;
    }
    let code = result
        .course
        .as_ref()
        .and_then(|course| course.reason.get(k));
    let code = code.map_or(reason::NONE, |code| code.round() as u32);
    if code == reason::DROPOUT {
        out.marks.push((shown(until), SwimmerMark::LeftTrial));
    } else if for_toxicity(trial, arm, code) {
        out.marks
            .push((shown(end), SwimmerMark::StoppedForToxicity));
    }
    let of = |e: usize| {
        let happened = result.events.get(e).and_then(|events| events.get(k)) == Some(&true);
        let scale = trial.model.units.scale(&trial.endpoints[e].unit);
        happened.then(|| shown(result.values[e][k] * scale))
    };
    let died = death(trial).and_then(of);
    if let Some(time) = died {
        out.marks.push((time, SwimmerMark::Death));
    }
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        let progression = matches!(
            endpoint.kind,
            EndpointKind::Progression { .. } | EndpointKind::Rise { .. }
        );
        if progression && endpoint.class() == Class::Time {
            out.marks
                .extend(of(e).map(|time| (time, SwimmerMark::Progression)));
        }
    }
    // the model goes on after a drawn death, the patient does not
    if let Some(time) = died {
        out.marks.retain(|(at, _)| *at <= time);
        out.spans.retain(|span| span.from <= time);
        for span in &mut out.spans {
            span.to = span.to.min(time);
        }
    }
    let planned_end = until >= trial.horizon * (1.0 - 1e-9);
    out.ongoing = (died.is_none() && planned_end).then_some(shown(until));
    Ok(out)
}

/// Whether the rule that stopped treatment is one of toxicity: of a grade, or of values that had to
/// recover before the next cycle.
fn for_toxicity(trial: &Trial, arm: usize, code: u32) -> bool {
    let Some(rule) = code.checked_sub(reason::FIRST_RULE) else {
        return false;
    };
    let protocol = trial.arms[arm].protocol;
    let rule = protocol
        .and_then(|protocol| trial.protocols.get(protocol))
        .and_then(|protocol| protocol.rules.get(rule as usize));
    rule.is_some_and(|rule| {
        let waits = |action: &Action| matches!(action, Action::Delay { .. });
        matches!(rule.condition, Condition::Grade { .. }) || rule.actions.iter().any(waits)
    })
}

/// Stretches between doses at one level, reductions and delays.
fn doses(
    trial: &Trial,
    (arm, k): (usize, usize),
    result: &ArmResult,
    visits: &VisitResult,
    levels: &[f64],
    end: f64,
    out: &mut SwimmerLane,
) {
    let shown = |time: f64| trial.shown_time(time);
    let doses: Vec<(f64, f64)> = visits
        .times
        .iter()
        .zip(given(visits, k))
        .filter(|(_, level)| **level > 0.0)
        .map(|(&time, &level)| (time, level))
        .collect();
    let regimen = trial.arms[arm].regimen.as_ref();
    let cycle = regimen
        .and_then(|(regimen, _)| regimen.series.first())
        .map_or(0.0, |series| series.every);
    let delayed = result
        .course
        .as_ref()
        .and_then(|course| course.delays.get(k))
        .is_some_and(|&delays| delays > 0.0);
    for (at, &(time, level)) in doses.iter().enumerate() {
        let next = doses.get(at + 1).map_or(end, |next| next.0);
        out.spans.push(DoseSpan {
            from: shown(time),
            to: shown(next.max(time)),
            level: nearest(levels, level),
        });
        if at > 0 && level < doses[at - 1].1 * (1.0 - 5e-3) {
            out.marks.push((shown(time), SwimmerMark::Reduction));
        }
        let waited = at > 0 && time - doses[at - 1].0 > cycle * (1.0 + 1e-6);
        if delayed && cycle > 0.0 && waited {
            out.marks.push((shown(time), SwimmerMark::Delay));
        }
    }
}

/// When a response began.
fn responses(
    trial: &Trial,
    visits: &VisitResult,
    k: usize,
    out: &mut SwimmerLane,
) -> Result<(), TrialError> {
    let count = visits.times.len();
    for endpoint in &trial.endpoints {
        let EndpointKind::Response { observed, .. } = endpoint.kind else {
            continue;
        };
        let known = trial
            .visits
            .as_ref()
            .and_then(|all| all.observed.get(observed));
        let values = visits
            .seen
            .get(observed)
            .and_then(|all| all.get(k * count..(k + 1) * count));
        let (Some(known), Some(values)) = (known, values) else {
            continue;
        };
        let units = &trial.model.units;
        let unit = &trial.model.observables[known.observable].unit;
        let millimetre =
            Unit::parse("mm").map_or(f64::NAN, |mm| units.scale(&mm) / units.scale(unit));
        let measured: Vec<bool> = values.iter().map(|value| value.is_finite()).collect();
        let series = Series::new(&visits.times, values, &measured)?;
        let mut found = vec![Response::NotEvaluable; count];
        let assessed = assess(&series, &Criteria::recist_1_1(millimetre), &mut found)?;
        if let Some(time) = assessed.first_response {
            out.marks
                .push((trial.shown_time(time), SwimmerMark::Response));
        }
    }
    Ok(())
}
