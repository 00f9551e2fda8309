//! Prediction against measurement.

use super::interval;
use crate::Trial;
use crate::outcome::figures;
use crate::report::{Cell, Column, Section, Table, number, percent};
use crate::run::{ReplayResult, TrialError};
use crate::statistics::median;

/// Prediction against measurement.
pub(in crate::outcome) fn replay(
    trial: &Trial,
    replay: &ReplayResult,
) -> Result<Section, TrialError> {
    let title = trial
        .replay
        .as_ref()
        .map_or("Replay", |data| data.title.as_str());
    let level = interval(trial.analysis.level);
    let records: usize = replay
        .patients
        .iter()
        .map(|patient| patient.records.len())
        .sum();
    let text = format!(
        "{} measurements of {} patients against the model under the drug each of them really received; \
         the drug of a record holds from its day to the next record's. The root mean square error is {} on average over patients ({level} {} to {}).",
        number(records as f64, 0),
        replay.patients.len(),
        number(replay.rmse.value, 4),
        number(replay.rmse.low, 3),
        number(replay.rmse.high, 3),
    );
    let mut section = Section::new(title).paragraph(text);
    if trial
        .replay
        .as_ref()
        .is_some_and(|data| data.divide_by_maximum)
    {
        section = section.paragraph("Measurements are relative to each patient's largest; so are predictions, each divided by its own largest value at the record times.");
    }
    let mut groups: Vec<&str> = replay
        .patients
        .iter()
        .map(|patient| patient.group.as_str())
        .collect();
    groups.sort_unstable();
    groups.dedup();
    let mut table = Table::new("Root mean square error per patient")
        .column(Column::text("Group"))
        .column(Column::number("Patients", ""))
        .column(Column::number("Records", ""))
        .column(Column::number("Mean", ""))
        .column(Column::number("Median", ""))
        .column(Column::number("Smallest", ""))
        .column(Column::number("Largest", ""));
    let all = [("all", replay.patients.iter().collect::<Vec<_>>())];
    let by_group = groups.iter().map(|group| {
        (
            *group,
            replay
                .patients
                .iter()
                .filter(|patient| patient.group == *group)
                .collect::<Vec<_>>(),
        )
    });
    for (name, members) in all.into_iter().chain(by_group.filter(|_| groups.len() > 1)) {
        let errors: Vec<f64> = members.iter().map(|patient| patient.rmse).collect();
        table = table.row(vec![
            Cell::text(name),
            Cell::count(members.len()),
            Cell::count(members.iter().map(|patient| patient.records.len()).sum()),
            Cell::number(errors.iter().sum::<f64>() / errors.len().max(1) as f64, 4),
            Cell::number(median("RMSE", &errors)?, 3),
            Cell::number(errors.iter().copied().fold(f64::INFINITY, f64::min), 3),
            Cell::number(errors.iter().copied().fold(f64::NEG_INFINITY, f64::max), 3),
        ]);
    }
    let caption = "Measured and predicted values of each patient. Points: measured; line: predicted; shaded: drug on.";
    section = section
        .table(table)
        .figure_grid(figures::replay(trial, replay)?, caption);
    Ok(schedules(trial, replay, section))
}

/// Real schedules beside those of an arm.
fn schedules(trial: &Trial, replay: &ReplayResult, mut section: Section) -> Section {
    for arm in 0..trial.arms.len() {
        let rows: Vec<_> = replay
            .schedules
            .iter()
            .filter(|schedule| schedule.arm == arm)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let title = &trial.arms[arm].title;
        let mean = |of: fn(&crate::run::Schedule) -> f64| {
            rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64
        };
        let (real, would, same) = (
            mean(|row| row.real),
            mean(|row| row.arm_share),
            mean(|row| row.agreement),
        );
        // what two schedules with these shares would agree on if they had nothing to do with one another
        let chance = rows
            .iter()
            .map(|row| row.real * row.arm_share + (1.0 - row.real) * (1.0 - row.arm_share))
            .sum::<f64>()
            / rows.len() as f64;
        let verdict = if same > chance + 0.1 {
            "more than the share that unrelated schedules would"
        } else {
            "hardly more than the share that unrelated schedules would; the fits do not predict when a patient's drug was switched"
        };
        section = section
            .subheading(format!("{title} in reality and in the model"))
            .paragraph(format!(
                "From the start of treatment to the last record, each of the {} patients was on drug for {} of the time on average; the arm {} keeps him on for {}. \
                 The two are both on or both off for {} of the time, {verdict} ({}).",
                rows.len(), percent(real, 0), title, percent(would, 0), percent(same, 0), percent(chance, 0)
            ));
        let mut table = Table::new(format!(
            "Time on drug: real schedule and the arm {title}, over the same time"
        ))
        .column(Column::text("Patient"))
        .column(Column::number("Record", trial.time_unit.text()))
        .column(Column::number("On drug, real", "%"))
        .column(Column::number("On drug, arm", "%"))
        .column(Column::number("Agreement", "%"));
        for row in &rows {
            table = table.row(vec![
                Cell::text(row.name.clone()),
                Cell::number(trial.shown_time(row.duration), 1),
                Cell::number(100.0 * row.real, 0),
                Cell::number(100.0 * row.arm_share, 0),
                Cell::number(100.0 * row.agreement, 0),
            ]);
        }
        table = table.note("From the start of the arm to the patient's last record. Agreement: share of time in which both are on or both are off; unrelated schedules with the same shares agree for some of the time, too.");
        section = section.table(table);
    }
    section
}
