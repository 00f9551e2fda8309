//! Times to an event, and what the real trial reported.

use super::competing::competing;
use super::{control, heading, interval, primary};
use crate::Trial;
use crate::outcome::figures;
use crate::outcome::people::death;
use crate::report::{Cell, Column, Section, Table, estimate, number, p_value, time_estimate};
use crate::run::{Times, TrialError, TrialResult};

/// Times to an event: the primary endpoint first, and what was reported.
///
/// `None` without such endpoints.
pub(in crate::outcome) fn times(
    trial: &Trial,
    result: &TrialResult,
) -> Result<Option<Section>, TrialError> {
    if result
        .analyses
        .iter()
        .all(|analysis| analysis.times.is_empty())
        && result.reported.is_none()
    {
        return Ok(None);
    }
    let mut section = Section::new("Times to an event");
    let mut order: Vec<usize> = (0..trial.endpoints.len())
        .filter(|&e| trial.endpoints[e].is_time())
        .collect();
    order.sort_by_key(|&e| e != trial.analysis.primary);
    for e in order {
        let endpoint = &trial.endpoints[e];
        for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
            let Some(times) = analysis
                .times
                .iter()
                .find(|times| times.endpoint == Some(e))
            else {
                continue;
            };
            let horizon = trial.horizon / trial.model.units.scale(&endpoint.unit);
            let name = heading(cohort.cohort.len(), &cohort.title);
            section = section.subheading(format!("{}: {name}", endpoint.title));
            let caption = format!(
                "{} ({}), {name}, with pointwise {} % bands and numbers at risk. {}",
                endpoint.title,
                endpoint.text,
                number(100.0 * trial.analysis.level, 0),
                ratios(trial, times)
            );
            // the axis ends where hardly anything happens any more
            let figure = figures::survival(
                &format!("{}, {name}", endpoint.title),
                times,
                shown_until(times, horizon),
                outcome_label(trial, e),
            )?;
            section = section.figure(figure, caption);
            section = time_tables(
                trial,
                times,
                &format!("{}, {name}", endpoint.title),
                section,
            );
            section = competing(trial, times, &name, section)?;
        }
    }
    if let (Some(times), Some(reported)) = (&result.reported, &trial.reported) {
        let longest = times
            .arms
            .iter()
            .map(|arm| arm.curve.last_time())
            .fold(0.0, f64::max);
        section = section.subheading(reported.title.clone());
        section = section.callout(format!(
            "Beside the model for orientation only: this is another endpoint than the model's. {}",
            reported.note
        ));
        section = section.list(beside(trial, result, times));
        let figure = figures::survival(&reported.title, times, longest, "Without progression")?;
        section = section.figure(
            figure,
            format!(
                "{}. {} {}",
                reported.title,
                trial.citation(&reported.source),
                ratios(trial, times)
            ),
        );
        section = time_tables(trial, times, &reported.title, section);
    }
    Ok(Some(section))
}

/// What the curve is the share of.
fn outcome_label(trial: &Trial, e: usize) -> &'static str {
    let title = trial.endpoints[e].title.to_lowercase();
    if death(trial) == Some(e) {
        "Alive"
    } else if title.contains("progression") && !title.contains("survival") {
        "Without progression"
    } else {
        "Without the event"
    }
}

/// Where fewer than one patient in fifty is left in every arm, if that is before the horizon.
fn shown_until(times: &Times, horizon: f64) -> f64 {
    let left = |at: f64| {
        times
            .arms
            .iter()
            .any(|arm| arm.curve.survival(at).unwrap_or(0.0) > 0.02)
    };
    (1..=20)
        .map(|k| horizon * f64::from(k) / 20.0)
        .find(|&at| !left(at))
        .unwrap_or(horizon)
}

/// Hazard ratios in words.
fn ratios(trial: &Trial, times: &Times) -> String {
    let one = |comparison: &crate::run::Comparison| {
        let ratio = comparison.hazard_ratio.as_ref().ok()?;
        let shown = estimate(ratio, ratio_places(ratio.value));
        Some(format!(
            "{} against {}: hazard ratio {shown}.",
            trial.arms[comparison.arm].title,
            control(trial)
        ))
    };
    times
        .comparisons
        .iter()
        .filter_map(one)
        .collect::<Vec<_>>()
        .join(" ")
}

fn ratio_places(ratio: f64) -> usize {
    if ratio < 0.1 { 3 } else { 2 }
}

/// Medians of the model, real patients, beside those of the trial.
fn beside(trial: &Trial, result: &TrialResult, reported: &Times) -> Vec<String> {
    let Some(model) = result
        .cohorts
        .iter()
        .zip(&result.analyses)
        .find(|(cohort, _)| cohort.real)
        .and_then(|(_, analysis)| primary(trial, analysis))
    else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for arm in &reported.arms {
        if let Some(same) = model.arms.iter().find(|other| other.arm == arm.arm) {
            lines.push(format!(
                "{}: median {} {} in the trial, {} {} in the model ({})",
                arm.curve.name(),
                time_estimate(&arm.median, 1),
                reported.unit,
                time_estimate(&same.median, 1),
                model.unit,
                trial.endpoints[trial.analysis.primary].text,
            ));
        }
    }
    lines
}

fn time_tables(trial: &Trial, times: &Times, caption: &str, mut section: Section) -> Section {
    let level = interval(trial.analysis.level);
    let mut table = Table::new(format!("{caption}, by arm"))
        .column(Column::text("Arm"))
        .column(Column::number("Patients", ""))
        .column(Column::number("Events", ""))
        .column(Column::number(
            format!("Median ({level})"),
            times.unit.clone(),
        ));
    let restricted = times.arms.iter().find_map(|arm| arm.restricted_mean);
    if let Some(mean) = &restricted {
        table = table.column(Column::number(
            format!("Restricted mean ({level})"),
            format!("{}, up to {}", times.unit, number(mean.horizon, 1)),
        ));
    }
    for arm in &times.arms {
        let mut row = vec![
            Cell::text(arm.curve.name()),
            Cell::count(arm.curve.patients()),
            Cell::count(arm.events),
            Cell::text(time_estimate(&arm.median, 1)),
        ];
        if restricted.is_some() {
            row.push(
                arm.restricted_mean
                    .map_or_else(Cell::missing, |mean| Cell::estimate(&mean.mean, 1)),
            );
        }
        table = table.row(row);
    }
    table = table.note("Kaplan and Meier, with log-log intervals.");
    section = section.table(table);
    section = free_table(trial, times, caption, section);
    if times.comparisons.is_empty() {
        return section;
    }
    let control = control(trial);
    let mut table = Table::new(format!("{caption}, against {control}"))
        .column(Column::text("Arm"))
        .column(Column::number(format!("Hazard ratio ({level})"), ""))
        .column(Column::number("Log-rank p", ""))
        .column(Column::number(
            format!("Difference of restricted means ({level})"),
            times.unit.clone(),
        ));
    let mut reasons = Vec::new();
    for comparison in &times.comparisons {
        let arm = &trial.arms[comparison.arm].title;
        if let Some(Ok(ratio)) = &comparison.stratified_hazard_ratio {
            let shown = estimate(ratio, ratio_places(ratio.value));
            reasons.push(format!(
                "{arm}: hazard ratio within the strata of the randomisation {shown}."
            ));
        }
        if let Some(Ok(test)) = &comparison.stratified_log_rank {
            let shown = p_value(test.p_value);
            reasons.push(format!("{arm}: stratified log-rank p {shown}."));
        }
        if let Ok(test) = &comparison.proportional_hazards {
            let shown = p_value(test.p_value);
            reasons.push(format!(
                "{arm}: test of proportional hazards (Grambsch and Therneau) p {shown}."
            ));
        }
        let mut kept = |reason: String| {
            reasons.push(reason);
            Cell::missing()
        };
        let ratio = match &comparison.hazard_ratio {
            Ok(ratio) => Cell::estimate(ratio, ratio_places(ratio.value)),
            Err(reason) => kept(reason.to_string()),
        };
        let test = match &comparison.log_rank {
            Ok(test) => Cell::text(p_value(test.p_value)),
            Err(reason) => kept(reason.to_string()),
        };
        let difference = match &comparison.restricted_mean {
            Ok(difference) => Cell::estimate(&difference.difference, 1),
            Err(reason) => kept(reason.to_string()),
        };
        table = table.row(vec![
            Cell::text(trial.arms[comparison.arm].title.clone()),
            ratio,
            test,
            difference,
        ]);
    }
    for reason in reasons {
        table = table.note(reason);
    }
    if times.comparisons.iter().any(|one| one.paired.is_some()) {
        table = table.note("These compare the arms as if they held different patients. The same patients are in every arm, so the comparisons within patients below are the ones to read; hazards need not be proportional.");
    }
    section.table(table)
}

/// Shares without the event at fixed times.
fn free_table(trial: &Trial, times: &Times, caption: &str, section: Section) -> Section {
    let level = interval(trial.analysis.level);
    let Some(first) = times.arms.first().filter(|arm| !arm.free.is_empty()) else {
        return section;
    };
    let mut table = Table::new(format!("{caption}: share without the event, % ({level})"))
        .column(Column::text("Arm"));
    for (time, _) in &first.free {
        table = table.column(Column::number(
            format!("At {}", number(*time, 0)),
            times.unit.clone(),
        ));
    }
    for arm in &times.arms {
        let mut row = vec![Cell::text(arm.curve.name())];
        row.extend(arm.free.iter().map(|(_, share)| {
            share
                .as_ref()
                .map_or_else(Cell::missing, |share| Cell::percent_estimate(share, 1))
        }));
        table = table.row(row);
    }
    section.table(table.note("Clopper and Pearson where everybody was followed for that long, else the interval of the curve."))
}
