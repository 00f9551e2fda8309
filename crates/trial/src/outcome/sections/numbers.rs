//! Effects within patients; exposure, burden and other numbers.

use super::{control, heading, interval, primary};
use crate::Trial;
use crate::outcome::figures;
use crate::plot::Distributions;
use crate::report::{Cell, Column, Section, Table, number, percent};
use crate::run::{Paired, TrialError, TrialResult};

/// Decimals that show a quantity of this size to about three digits.
pub(super) fn decimals(size: f64) -> usize {
    if size.abs() >= 100.0 {
        0
    } else if size.abs() >= 1.0 {
        1
    } else {
        3
    }
}

/// Effects within patients.
///
/// `None` where nobody went through two arms, or the primary endpoint is no time to an event.
pub(in crate::outcome) fn within(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    let level = interval(trial.analysis.level);
    let control = control(trial);
    let mut section = Section::new("Effects within patients").paragraph(format!(
        "Every patient went through every arm with the same parameters, so each one's own effect is known exactly. Times are at most the horizon. Intervals: bootstrap over patients, {} resamples.",
        number(trial.analysis.resamples as f64, 0)
    ));
    let unit = trial.endpoints[trial.analysis.primary]
        .unit
        .text()
        .to_owned();
    let title = &trial.endpoints[trial.analysis.primary].title;
    let mut table = Table::new(format!("{title}: each arm minus {control}"))
        .column(Column::text("Arm"))
        .column(Column::number(
            format!("Mean difference ({level})"),
            unit.clone(),
        ))
        .column(Column::number(
            format!("Median difference ({level})"),
            unit.clone(),
        ))
        .column(Column::number(format!("Later ({level})"), "% of patients"))
        .column(Column::number(
            format!("Earlier ({level})"),
            "% of patients",
        ))
        .column(Column::number("Same", "% of patients"));
    let mut drawings = Vec::new();
    let mut any = false;
    let several = result.cohorts.len() > 1;
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        let Some(times) = primary(trial, analysis) else {
            continue;
        };
        for comparison in &times.comparisons {
            let Some(Ok(paired)) = &comparison.paired else {
                continue;
            };
            any = true;
            let arm = &trial.arms[comparison.arm].title;
            let name = heading(cohort.cohort.len(), &cohort.title);
            let who = if several {
                format!("{arm}, {name}")
            } else {
                arm.clone()
            };
            table = table.row(vec![
                Cell::text(who),
                Cell::estimate(&paired.mean, 2),
                Cell::estimate(&paired.median, 2),
                Cell::percent_estimate(&paired.better, 1),
                Cell::percent_estimate(&paired.worse, 1),
                Cell::number(100.0 * paired.same.value, 1),
            ]);
            if !cohort.real {
                drawings.push((
                    figures::effects(
                        &format!("Individual effects, {name}"),
                        arm,
                        &control,
                        &unit,
                        paired,
                    )?,
                    format!("{name}{}", undrawn(paired)),
                ));
            }
        }
    }
    section = section.table(table);
    for (drawing, name) in drawings {
        section = section.figure(drawing, format!("{title}: individual effects, {name}. Right of zero the event comes later than under {control}."));
    }
    Ok(any.then_some(section))
}

/// Whom the drawing of individual effects leaves out.
fn undrawn(paired: &Paired) -> String {
    if paired.same.value > 0.0 && paired.same.value < 1.0 {
        format!(
            " ({} have no difference and are not drawn)",
            percent(paired.same.value, 1)
        )
    } else {
        String::new()
    }
}

/// Exposure, burden and other numbers.
///
/// `None` without such endpoints.
pub(in crate::outcome) fn numbers(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    if result
        .analyses
        .iter()
        .all(|analysis| analysis.numbers.is_empty())
    {
        return Ok(None);
    }
    let level = interval(trial.analysis.level);
    let mut section = Section::new("Drug exposure and other endpoints");
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        if analysis.numbers.is_empty() {
            continue;
        }
        let name = heading(cohort.cohort.len(), &cohort.title);
        let control = control(trial);
        let mut table = Table::new(format!("Endpoints that are numbers, {name}"))
            .column(Column::text("Endpoint"))
            .column(Column::text("Arm"))
            .column(Column::number(format!("Mean ({level})"), ""))
            .column(Column::number("Median (quartiles)", ""))
            .column(Column::number(
                format!("Mean difference from {control} ({level})"),
                "",
            ));
        for numbers in &analysis.numbers {
            let endpoint = &trial.endpoints[numbers.endpoint];
            let unit = if endpoint.unit.text() == "1" {
                String::new()
            } else {
                format!(" ({})", endpoint.unit)
            };
            let places = decimals(
                numbers
                    .arms
                    .iter()
                    .map(|arm| arm.mean.value.abs())
                    .fold(0.0, f64::max),
            );
            for values in &numbers.arms {
                let arm = values.arm;
                let [low, middle, high] = values.quartiles;
                let effect = numbers.effects.iter().find(|effect| effect.arm == arm);
                let difference = match (
                    arm == trial.analysis.control,
                    effect.and_then(|effect| effect.difference.as_ref().ok()),
                ) {
                    (true, _) => Cell::missing(),
                    (_, Some(difference)) => Cell::estimate(&difference.estimate, places),
                    (_, None) => Cell::text("none"),
                };
                table = table.row(vec![
                    Cell::text(if arm == 0 {
                        format!("{}{unit}", endpoint.title)
                    } else {
                        String::new()
                    }),
                    Cell::text(trial.arms[arm].title.clone()),
                    Cell::estimate(&values.mean, places),
                    Cell::text(format!(
                        "{} ({} to {})",
                        number(middle, places),
                        number(low, places),
                        number(high, places)
                    )),
                    difference,
                ]);
            }
        }
        section = section.table(table.note(if cohort.every_arm {
            "Means and differences within patients with Student's intervals."
        } else {
            "Means with Student's intervals, differences between arms with Welch's."
        }));
        section = distributions(trial, result, cohort.title.as_str(), section)?;
    }
    Ok(Some(section))
}

/// Numbers that are drawn.
const MOST_DRAWN: usize = 6;

/// The first number of the trial that is accumulated until the primary event, drawn by arm; without
/// one, every number up to a limit.
fn distributions(
    trial: &Trial,
    result: &TrialResult,
    title: &str,
    section: Section,
) -> Result<Section, TrialError> {
    let Some(cohort) = result
        .cohorts
        .iter()
        .find(|cohort| cohort.title == title && !cohort.real)
    else {
        return Ok(section);
    };
    let chosen = trial
        .endpoints
        .iter()
        .position(|endpoint| endpoint.until == Some(trial.analysis.primary));
    let analysed = cohort.analysed();
    let by_arm = |e: usize| -> Vec<(String, Vec<f64>)> {
        let arms = trial.arms.iter().zip(&cohort.arms).zip(&analysed);
        arms.map(|((arm, result), positions)| {
            let values = positions.iter().map(|&k| result.values[e][k]);
            (arm.title.clone(), values.collect())
        })
        .collect()
    };
    let name = heading(cohort.cohort.len(), &cohort.title);
    let label = |e: usize| match trial.endpoints[e].unit.text() {
        "1" => trial.endpoints[e].title.clone(),
        unit => format!("{} ({unit})", trial.endpoints[e].title),
    };
    if let Some(e) = chosen {
        let title = &trial.endpoints[e].title;
        let figure = figures::distribution(title, &label(e), &by_arm(e))?;
        return Ok(section.figure(figure, format!("{title}, {name}.")));
    }
    let mut section = section;
    let numbers = (0..trial.endpoints.len())
        .filter(|&e| trial.endpoints[e].class() == crate::design::Class::Number);
    for e in numbers.take(MOST_DRAWN) {
        let arms = by_arm(e);
        let known = |values: &[f64]| values.iter().any(|value| value.is_finite());
        if !arms.iter().any(|(_, values)| known(values)) {
            continue;
        }
        let title = &trial.endpoints[e].title;
        let figure = Distributions::new(format!("{title}, {name}"), label(e), arms);
        section = section.figure(figure.render()?, format!("{title} by arm, {name}."));
    }
    Ok(section)
}
