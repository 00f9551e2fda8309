//! Treatment as it was given, and what was measured in its course.

use super::numbers::decimals;
use super::{heading, title};
use crate::Trial;
use crate::outcome::figures;
use crate::outcome::people::{death, ends_with_progression, last_scan};
use crate::outcome::swim;
use crate::plot::{Axis, TimeCourse, TimeCourseArm};
use crate::report::{Cell, Column, Section, Table, number};
use crate::run::{ArmCourse, CohortResult, Found, TrialError, TrialResult};
use crate::statistics::Summary;

/// Share of patients on either side of a band.
const TAIL: f64 = 0.05;
/// A course whose band spans more than this factor is shown on a logarithmic axis.
const WIDE: f64 = 50.0;

fn spread(found: &Found<Summary>, scale: f64, places: usize) -> Cell {
    match found {
        Ok(summary) => Cell::text(format!(
            "{} ({} to {})",
            number(scale * summary.median, places),
            number(scale * summary.q1, places),
            number(scale * summary.q3, places)
        )),
        Err(_) => Cell::missing(),
    }
}

/// Exposure, dose intensity, delays, reductions, why treatment ended; `None` without visits.
pub(in crate::outcome) fn treatment(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    if result
        .analyses
        .iter()
        .all(|analysis| analysis.courses.is_empty())
    {
        return Ok(None);
    }
    let mut section = Section::new("Treatment as given");
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        if analysis.courses.is_empty() {
            continue;
        }
        let name = heading(cohort.cohort.len(), &cohort.title);
        section = section
            .table(exposure(trial, &analysis.courses, &name))
            .table(modifications(trial, &analysis.courses, &name))
            .table(reasons(trial, &analysis.courses, &name));
        if let Some(figure) = swim::swimmer(trial, cohort)? {
            let caption = format!("Treatment of single patients, {name}.");
            section = section.figure(figure, caption);
        }
    }
    Ok(Some(section))
}

fn exposure(trial: &Trial, courses: &[ArmCourse], name: &str) -> Table {
    let mut table = Table::new(format!("Exposure, {name}: median (quartiles)"))
        .column(Column::text("Arm"))
        .column(Column::text("Drug"))
        .column(Column::number("Patients", ""))
        .column(Column::number("Cycles begun", ""))
        .column(Column::number("Time on treatment", trial.time_unit.text()))
        .column(Column::number("Amount given", ""))
        .column(Column::number("Given over planned", "%"));
    for course in courses {
        for (at, (input, intensity)) in course.intensity.iter().enumerate() {
            let drug = &trial.model.inputs[*input];
            let dose = course.dose.get(at).map(|(_, dose)| dose);
            let size = match dose {
                Some(Ok(summary)) => summary.median,
                _ => 0.0,
            };
            let lead = |cell: Cell| if at == 0 { cell } else { Cell::text("") };
            table = table.row(vec![
                lead(Cell::text(title(trial, course.arm))),
                Cell::text(format!("{} ({})", drug.name, drug.unit)),
                lead(Cell::count(course.patients)),
                lead(spread(&course.cycles, 1.0, 0)),
                lead(spread(&course.treated, 1.0, 1)),
                dose.map_or_else(Cell::missing, |dose| spread(dose, 1.0, decimals(size))),
                spread(intensity, 100.0, 1),
            ]);
        }
    }
    let table = table
        .note("Given over planned: of the whole planned course, so that stopping early counts.");
    if courses
        .iter()
        .any(|course| trial.arms[course.arm].trained.is_some())
    {
        return table.note("Under a trained policy the cycles are decisions that gave a dose, treatment lasts as long as it decides, and planned is the arm's regimen.");
    }
    table
}

fn modifications(trial: &Trial, courses: &[ArmCourse], name: &str) -> Table {
    let mut table = Table::new(format!("Delays and reductions, {name}"))
        .column(Column::text("Arm"))
        .column(Column::number("Cycles begun", ""))
        .column(Column::number("Cycles delayed", "cycles (%)"))
        .column(Column::number("Patients with a delay", "patients (%)"))
        .column(Column::number("Reductions", ""))
        .column(Column::number("Patients with a reduction", "patients (%)"));
    for course in courses {
        table = table.row(vec![
            Cell::text(title(trial, course.arm)),
            Cell::count(course.cycles_begun),
            Cell::share(course.cycles_delayed, course.cycles_begun),
            Cell::share(course.delayed, course.patients),
            Cell::count(course.reductions),
            Cell::share(course.reduced, course.patients),
        ]);
    }
    table
}

fn reasons(trial: &Trial, courses: &[ArmCourse], name: &str) -> Table {
    let mut texts: Vec<&str> = Vec::new();
    for reason in courses.iter().flat_map(|course| &course.reasons) {
        if !texts.contains(&reason.text.as_str()) {
            texts.push(&reason.text);
        }
    }
    let mut table =
        Table::new(format!("Why treatment ended, {name}")).column(Column::text("Reason"));
    for course in courses {
        let unit = format!("n = {}", number(course.patients as f64, 0));
        table = table.column(Column::number(title(trial, course.arm), unit));
    }
    for text in texts {
        let mut row = vec![Cell::text(text)];
        row.extend(courses.iter().map(|course| {
            let own = course.reasons.iter().find(|reason| reason.text == text);
            Cell::share(own.map_or(0, |own| own.patients), course.patients)
        }));
        table = table.row(row);
    }
    table = table.note("A rule of the protocol is quoted as written.");
    if death(trial).is_some() {
        table = table.note("Treatment goes on here after a death that the model draws; in the flow of patients it ends.");
    }
    table
}

/// Courses of what was measured; `None` without measurements.
pub(in crate::outcome) fn courses(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    let Some(visits) = &trial.visits else {
        return Ok(None);
    };
    let mut section = Section::new("Measurements over time");
    let mut any = false;
    for cohort in &result.cohorts {
        let name = heading(cohort.cohort.len(), &cohort.title);
        for (o, observed) in visits.observed.iter().enumerate() {
            let arms = measured(trial, cohort, o);
            if arms.iter().all(|arm| arm.times.is_empty()) {
                continue;
            }
            any = true;
            let unit = trial.model.observables[observed.observable].unit.text();
            let label = match unit {
                "1" => observed.name.clone(),
                unit => format!("{} ({unit})", observed.name),
            };
            let lowest = bound(&arms, |arm| &arm.low, f64::INFINITY, f64::min);
            let highest = bound(&arms, |arm| &arm.high, 0.0, f64::max);
            let mut y = Axis::new(label);
            if lowest > 0.0 && highest > WIDE * lowest {
                y = y.log();
            } else {
                y = y.include(0.0);
            }
            let x = Axis::new(format!("Time since the start ({})", trial.time_unit)).include(0.0);
            let title = format!("{} as measured, {name}", observed.name);
            let mut figure = TimeCourse::new(title, x, y, arms, TAIL);
            if let Some(limit) = observed.lloq {
                let scale = trial
                    .model
                    .units
                    .scale(&trial.model.observables[observed.observable].unit);
                figure = figure.reference(limit / scale, "limit of quantification");
            }
            let error = if observed.error {
                "with the model's residual error"
            } else {
                "without residual error"
            };
            let caption = format!(
                "{} at visits, {error}, {name}, of the patients who were still seen{}.",
                observed.name,
                if ends_with_progression(trial, o) {
                    ", until their progression or death"
                } else {
                    ""
                }
            );
            section = section.figure(figure.render()?, caption);
        }
    }
    Ok(any.then_some(section))
}

fn bound(
    arms: &[TimeCourseArm],
    of: fn(&TimeCourseArm) -> &Vec<f64>,
    start: f64,
    fold: fn(f64, f64) -> f64,
) -> f64 {
    let values = arms.iter().flat_map(of).copied();
    values.filter(|value| value.is_finite()).fold(start, fold)
}

/// An observed quantity in each arm, at the visits at which anybody was measured.
fn measured(trial: &Trial, cohort: &CohortResult, observed: usize) -> Vec<TimeCourseArm> {
    let analysed = cohort.analysed();
    let mut out = Vec::new();
    for (a, arm) in cohort.arms.iter().enumerate() {
        let Some(visits) = &arm.visits else { continue };
        let Some(seen) = visits.seen.get(observed) else {
            continue;
        };
        let count = visits.times.len();
        let ends: Vec<f64> = (0..arm.members.len())
            .map(|k| last_scan(trial, arm, k, observed))
            .collect();
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (visit, &time) in visits.times.iter().enumerate() {
            let here: Vec<f64> = analysed[a]
                .iter()
                .filter(|&&k| time <= ends[k])
                .filter_map(|&k| seen.get(k * count + visit).copied())
                .filter(|value| value.is_finite())
                .collect();
            // few patients make no band
            if here.len() >= figures::FEWEST.min(analysed[a].len()) {
                times.push(trial.shown_time(time));
                values.push(here);
            }
        }
        out.push(TimeCourseArm::of_patients(
            title(trial, a),
            &times,
            &values,
            TAIL,
        ));
    }
    out
}
