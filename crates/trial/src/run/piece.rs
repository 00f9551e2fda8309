//! A part of a cohort in one arm, on the device and then on the host.

use posology_cohort::Cohort;
use posology_cohort::event::{Timeline, Timelines};
use posology_cohort::regimen::Basis;
use posology_kernels::simulate::Status;
use posology_model::unit::Unit;
use posology_sim::run::run as simulate;
use posology_sim::{Results, Simulation, step};

use super::measures;
use super::plan::{ArmPlan, Layout};
use super::result::{ArmResult, CourseResult, VisitResult};
use super::{Stage, TrialError, orders};
use crate::allocation;
use crate::design::{Class, EndpointKind};
use crate::protocol::reason;

/// Patients whose courses are looked at before a step is accepted.
const STABILITY_SAMPLE: usize = 16;

/// Who is simulated, and what progress says of it.
pub(super) struct Piece<'a> {
    /// Index in the whole cohort of each patient.
    pub members: Vec<usize>,
    /// These patients only.
    pub cohort: Cohort,
    pub label: &'a str,
    /// (patients of this arm before, in all)
    pub place: (usize, usize),
    /// Keep records and courses, not only endpoints.
    pub all: bool,
}

pub(super) fn run(
    stage: &mut Stage<'_, '_>,
    plan: &ArmPlan<'_>,
    piece: Piece<'_>,
) -> Result<ArmResult, TrialError> {
    let trial = plan.trial;
    let Piece {
        members,
        mut cohort,
        label,
        place,
        all,
    } = piece;
    let n = cohort.len();
    let seed = stage.seed;
    let dropout = trial.visits.as_ref().map_or(0.0, |visits| visits.dropout);
    let leaves: Vec<f64> = cohort
        .ids
        .iter()
        .map(|&id| allocation::dropout_time(seed, id, dropout))
        .collect();
    let until: Vec<f64> = cohort
        .ids
        .iter()
        .zip(&leaves)
        .map(|(&id, &leave)| {
            let entry = allocation::entry_time(seed, id, trial.allocation.accrual);
            leave.min(trial.horizon - entry)
        })
        .collect();
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        if let EndpointKind::Hazard { threshold, .. } = endpoint.kind {
            let number = u16::try_from(e).unwrap_or(u16::MAX);
            cohort.slots[threshold] = cohort
                .ids
                .iter()
                .map(|&id| allocation::unit_exponential(seed, id, number))
                .collect();
        }
    }
    let people = cohort;
    // an absent register must still be a number on the device
    let finite: Vec<f64> = leaves
        .iter()
        .map(|&time| time.min(1e9 + 10.0 * trial.horizon))
        .collect();
    let ordered = plan.ordered(stage, &people, &leaves)?;
    let cohort = plan.cohort(&people, &finite);
    let visits_matter = all || needs_visits(plan);
    let timelines = plan.timelines(&cohort, visits_matter, ordered.as_ref())?;
    let (results, layout) = simulated(
        stage,
        plan,
        &cohort,
        &timelines,
        (&plan.direct, true),
        (label, place),
    )?;

    let endpoints = trial.endpoints.len();
    let mut out = ArmResult {
        members,
        values: vec![vec![f64::NAN; n]; endpoints],
        events: vec![Vec::new(); endpoints],
        status: results.status.clone(),
        worst: layout
            .toxicities
            .iter()
            .map(|&(worst, _)| results.summaries[worst].clone())
            .collect(),
        grade: layout
            .toxicities
            .iter()
            .map(|&(_, grade)| results.summaries[grade].clone())
            .collect(),
        until,
        patient_steps: results.patient_steps,
        ..ArmResult::default()
    };
    for (k, &e) in layout.endpoints.iter().enumerate() {
        out.values[e].clone_from(&results.summaries[k]);
    }
    let alive = alive(trial, &out);
    out.visits = visits(plan, &results, &layout, &alive).filter(|_| visits_matter);
    match (&plan.orders, &ordered) {
        (Some(orders), Some(ordered)) => {
            orders::written(plan, orders, ordered, &people, &leaves, &mut out)?;
        }
        _ => out.course = course(plan, &people, &results, &layout, &out.until),
    }
    measures::from_visits(trial, &mut out)?;
    measures::numbers(trial, &mut out, &alive);
    ends(trial, &mut out);
    by_event(stage, plan, &cohort, &timelines, label, &mut out)?;
    for values in &mut out.values {
        for (value, status) in values.iter_mut().zip(&out.status) {
            if *status != Status::Completed {
                *value = f64::NAN;
            }
        }
    }
    if !all {
        (out.visits, out.given) = (None, None);
    }
    Ok(out)
}

/// Until when each patient can be measured: the end of his observation, or his death.
/// The model goes on after a death that it draws.
fn alive(trial: &crate::Trial, out: &ArmResult) -> Vec<f64> {
    let Some(death) = trial.death() else {
        return out.until.clone();
    };
    let scale = trial.model.units.scale(&trial.endpoints[death].unit);
    let times = out.values[death].iter().zip(&out.until);
    // a death that is not reached is not a number, which a minimum ignores
    times.map(|(time, until)| until.min(time * scale)).collect()
}

fn needs_visits(plan: &ArmPlan<'_>) -> bool {
    plan.trial.endpoints.iter().any(|endpoint| {
        matches!(
            endpoint.kind,
            EndpointKind::Response { .. }
                | EndpointKind::Progression { .. }
                | EndpointKind::Decline { .. }
                | EndpointKind::Rise { .. }
        )
    })
}

/// Times are events if they come while the patient is observed; yes and no are events.
fn ends(trial: &crate::Trial, out: &mut ArmResult) {
    let units = &trial.model.units;
    let mut waiting: Vec<usize> = Vec::new();
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        let scale = units.scale(&endpoint.unit);
        match (&endpoint.kind, endpoint.class()) {
            (EndpointKind::Earliest(_), _) => waiting.push(e),
            // progression on scans is censored at the last scan already
            (EndpointKind::Progression { .. } | EndpointKind::Rise { .. }, _) => {}
            (_, Class::Time) => {
                let seen = |(value, until): (&f64, &f64)| {
                    if value.is_finite() && value * scale <= *until {
                        (*value, true)
                    } else {
                        (until / scale, false)
                    }
                };
                let (values, events) = out.values[e].iter().zip(&out.until).map(seen).unzip();
                out.values[e] = values;
                out.events[e] = events;
            }
            _ => {}
        }
    }
    // composites of composites come after their parts
    let mut done = vec![true; trial.endpoints.len()];
    for &e in &waiting {
        done[e] = false;
    }
    for _ in 0..waiting.len() {
        for &e in &waiting {
            let EndpointKind::Earliest(parts) = &trial.endpoints[e].kind else {
                continue;
            };
            if !done[e] && parts.iter().all(|&part| done[part]) {
                earliest(trial, e, parts, out);
                done[e] = true;
            }
        }
    }
}

/// The first of several events; without any, observed until the last time at which all were.
fn earliest(trial: &crate::Trial, e: usize, parts: &[usize], out: &mut ArmResult) {
    let units = &trial.model.units;
    let own = units.scale(&trial.endpoints[e].unit);
    let n = out.members.len();
    let (mut values, mut events) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for k in 0..n {
        let (mut first, mut censored) = (f64::INFINITY, f64::INFINITY);
        for &part in parts {
            let time = out.values[part][k] * units.scale(&trial.endpoints[part].unit);
            if out.events[part][k] {
                first = first.min(time);
            } else {
                censored = censored.min(time);
            }
        }
        // a scan missed between the last scan and an event does not hide the event
        events.push(first.is_finite());
        values.push(if first.is_finite() { first } else { censored } / own);
    }
    out.values[e] = values;
    out.events[e] = events;
}

fn course(
    plan: &ArmPlan<'_>,
    people: &Cohort,
    results: &Results,
    layout: &Layout,
    until: &[f64],
) -> Option<CourseResult> {
    let machine = plan.machine.as_ref()?;
    let cycle = machine.cycle.as_ref()?;
    let [
        cycles,
        delays,
        reductions,
        started,
        stopped_at,
        stopped,
        why,
    ] = *layout.course.get(..7)?
    else {
        return None;
    };
    let column = |at: usize| &results.summaries[at];
    let length = if cycle.length == u32::MAX {
        0.0
    } else {
        f64::from(cycle.length) * machine.every
    };
    let treated_until = (0..people.len())
        .map(|p| {
            let given = column(started)[p] + length;
            let end = if column(stopped)[p] > 0.5 && column(why)[p] as u32 != reason::NONE {
                column(stopped_at)[p]
            } else {
                given
            };
            end.min(until[p]).max(0.0)
        })
        .collect();
    let mut out = CourseResult {
        cycles: column(cycles).clone(),
        delays: column(delays).clone(),
        reductions: column(reductions).clone(),
        treated_until,
        reason: column(why).clone(),
        inputs: Vec::new(),
        intensity: Vec::new(),
        dose: Vec::new(),
    };
    for (k, &(input, _)) in machine.course.totals.iter().enumerate() {
        let totals = column(*layout.course.get(7 + k)?);
        let planned = cycle.planned(input).max(f64::MIN_POSITIVE);
        let course: Vec<f64> = (0..people.len())
            .map(|p| {
                let number = cycle.cycles.map_or(column(cycles)[p].max(1.0), f64::from);
                totals[p] / (planned * number)
            })
            .collect();
        let per_cycle = planned_amount(plan, people, input);
        out.dose.push(
            totals
                .iter()
                .zip(&per_cycle)
                .map(|(total, amount)| total / planned * amount)
                .collect(),
        );
        out.inputs.push(input);
        out.intensity.push(course);
    }
    Some(out)
}

/// Amount of an input that one cycle gives each patient, in the input's unit.
pub(super) fn planned_amount(plan: &ArmPlan<'_>, people: &Cohort, input: usize) -> Vec<f64> {
    let units = &plan.model.units;
    let size = |unit: &str| Unit::parse(unit).map_or(f64::NAN, |unit| units.scale(&unit));
    let scale = units.scale(&plan.model.inputs[input].unit);
    let mut amounts = vec![0.0; people.len()];
    let Some(regimen) = plan.regimen() else {
        return amounts;
    };
    for series in regimen.series.iter().filter(|series| series.input == input) {
        for (p, amount) in amounts.iter_mut().enumerate() {
            let basis = match series.basis {
                Basis::Flat => 1.0,
                Basis::Per(slot) => people.slots[slot][p],
                Basis::Calvert(slot) => {
                    (people.slots[slot][p] / size("mL/min") + 25.0) * size("mg")
                }
            };
            *amount += series.amount * basis * series.offsets.len() as f64 / scale;
        }
    }
    amounts
}

fn visits(
    plan: &ArmPlan<'_>,
    results: &Results,
    layout: &Layout,
    until: &[f64],
) -> Option<VisitResult> {
    let machine = plan.machine.as_ref()?;
    let times: Vec<f64> = machine.visit_times().collect();
    let count = times.len();
    let complete = results
        .records
        .first()
        .is_some_and(|column| column.len() == count * until.len());
    if !complete {
        return None;
    }
    let seen = layout
        .seen
        .iter()
        .map(|&(value, fresh)| {
            (0..until.len() * count)
                .map(|at| {
                    let here =
                        results.records[fresh][at] > 0.5 && times[at % count] <= until[at / count];
                    if here {
                        results.records[value][at]
                    } else {
                        f64::NAN
                    }
                })
                .collect()
        })
        .collect();
    Some(VisitResult {
        times,
        seen,
        level: results.records[layout.level?].clone(),
    })
}

/// Endpoints that end with the patient's own event: simulated again until then.
fn by_event(
    stage: &mut Stage<'_, '_>,
    plan: &ArmPlan<'_>,
    cohort: &Cohort,
    timelines: &Timelines,
    label: &str,
    out: &mut ArmResult,
) -> Result<(), TrialError> {
    let trial = plan.trial;
    let mut ends: Vec<usize> = trial
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.until)
        .collect();
    ends.sort_unstable();
    ends.dedup();
    for event in ends {
        let chosen: Vec<usize> = (0..trial.endpoints.len())
            .filter(|&e| trial.endpoints[e].until == Some(event))
            .collect();
        let scale = trial.model.units.scale(&trial.endpoints[event].unit);
        let stop: Vec<f64> = out.values[event]
            .iter()
            .map(|time| {
                if time.is_finite() {
                    (time * scale).min(trial.horizon)
                } else {
                    trial.horizon
                }
            })
            .collect();
        let cut = ended(timelines, &stop);
        let place = (0, cohort.len());
        let (results, layout) =
            simulated(stage, plan, cohort, &cut, (&chosen, false), (label, place))?;
        out.patient_steps += results.patient_steps;
        for (k, &e) in layout.endpoints.iter().enumerate() {
            out.values[e].clone_from(&results.summaries[k]);
            if matches!(trial.endpoints[e].kind, EndpointKind::Mean(_)) {
                for (value, length) in out.values[e].iter_mut().zip(&stop) {
                    *value /= length;
                }
            }
        }
    }
    Ok(())
}

/// Each patient's timeline ended at his own time, without records.
fn ended(timelines: &Timelines, stop: &[f64]) -> Timelines {
    let one = |p: usize, &stop: &f64| {
        let base: &Timeline = &timelines.timelines[timelines.of_patient[p] as usize];
        let mut timeline = base.clone();
        timeline
            .events
            .retain(|event| event.time <= stop && event.action != posology_cohort::Action::Record);
        timeline.end = stop;
        if let Some(repeat) = &mut timeline.repeat {
            repeat.until = repeat.until.min(stop);
        }
        timeline
    };
    Timelines {
        of_patient: (0..stop.len() as u32).collect(),
        timelines: stop
            .iter()
            .enumerate()
            .map(|(p, stop)| one(p, stop))
            .collect(),
        scales: timelines.scales.clone(),
    }
}

fn simulated(
    stage: &mut Stage<'_, '_>,
    plan: &ArmPlan<'_>,
    cohort: &Cohort,
    timelines: &Timelines,
    (endpoints, all): (&[usize], bool),
    (label, (before, total)): (&str, (usize, usize)),
) -> Result<(Results, Layout), TrialError> {
    let (model, outputs, layout) = plan.outputs(endpoints, all);
    let simulation = Simulation {
        model: &model,
        cohort,
        timelines,
        outputs: &outputs,
        rules: &plan.rules,
    };
    let (options, device) = (stage.options(), stage.device);
    if before == 0 {
        let schedule = options.step.as_ref().unwrap_or(&model.step);
        step::refuse_unstable(&simulation, schedule, STABILITY_SAMPLE)?;
    }
    let results = simulate(device, &simulation, &options, |done, _| {
        stage.report(label, before + done, total)
    })?;
    Ok((results, layout))
}
