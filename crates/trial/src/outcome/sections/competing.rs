//! Which event of a composite came first.

use super::{control, interval, title};
use crate::Trial;
use crate::outcome::figures;
use crate::plot::{IncidenceArm, IncidenceCurve, IncidenceFigure};
use crate::report::{Cell, Column, Section, Table, number, p_value};
use crate::run::{CauseArm, Times, TrialError};
use crate::statistics::Band;

/// Numbers at risk along an axis.
const TICKS: usize = 6;

/// Cumulative incidences of the events of a composite; nothing for other endpoints.
pub(super) fn competing(
    trial: &Trial,
    times: &Times,
    name: &str,
    section: Section,
) -> Result<Section, TrialError> {
    let Some(competing) = &times.competing else {
        return Ok(section);
    };
    let level = interval(trial.analysis.level);
    let mut table = Table::new(format!("Which event came first, {name}"))
        .column(Column::text("First event"))
        .column(Column::text("Arm"))
        .column(Column::number("Patients", ""));
    let shown = competing
        .causes
        .iter()
        .flat_map(|cause| &cause.arms)
        .find_map(|arm| arm.as_ref().ok());
    for (time, _) in shown.map_or(&[][..], |arm| &arm.at) {
        table = table.column(Column::number(
            format!("By {} {} ({level})", number(*time, 0), times.unit),
            "%",
        ));
    }
    table = table.column(Column::number("Gray's test p", ""));
    let columns = shown.map_or(0, |arm| arm.at.len());
    for cause in &competing.causes {
        let event = &trial.endpoints[cause.endpoint].title;
        for arm in cause.arms.iter().filter_map(|arm| arm.as_ref().ok()) {
            let mut row = vec![
                Cell::text(event.clone()),
                Cell::text(title(trial, arm.arm)),
                Cell::count(arm.events),
            ];
            for at in 0..columns {
                let share = arm.at.get(at).and_then(|(_, share)| share.as_ref());
                row.push(share.map_or_else(Cell::missing, |s| Cell::percent_estimate(s, 1)));
            }
            let test = cause.comparisons.iter().find(|(of, _)| *of == arm.arm);
            row.push(match test {
                Some((_, Ok(test))) => Cell::text(p_value(test.p_value)),
                _ => Cell::missing(),
            });
            table = table.row(row);
        }
    }
    table = table.note(format!(
        "Aalen and Johansen; Gray's test against {}.",
        control(trial)
    ));
    let mut section = section.table(table);
    let arms: Vec<usize> = times.arms.iter().map(|arm| arm.arm).collect();
    let longest = competing
        .causes
        .iter()
        .flat_map(|cause| &cause.arms)
        .filter_map(|arm| arm.as_ref().ok())
        .map(|arm| arm.curve.last_time())
        .fold(0.0, f64::max);
    let step = figures::step(longest.max(f64::MIN_POSITIVE));
    let drawn: Option<Vec<IncidenceArm>> = arms
        .iter()
        .map(|&a| {
            let causes: Option<Vec<IncidenceCurve>> = competing
                .causes
                .iter()
                .map(|cause| {
                    let found = cause.arms.iter().filter_map(|arm| arm.as_ref().ok());
                    let own = found.into_iter().find(|arm| arm.arm == a)?;
                    Some(curve(trial, cause.endpoint, own))
                })
                .collect();
            let found = competing.causes.first()?;
            let found = found.arms.iter().filter_map(|arm| arm.as_ref().ok());
            let own = found.into_iter().find(|arm| arm.arm == a)?;
            let at_risk = (0..=TICKS).map(|k| {
                let time = step * k as f64;
                (time, own.curve.at_risk(time))
            });
            Some(IncidenceArm {
                name: title(trial, a),
                causes: causes?,
                at_risk: at_risk.filter(|(time, _)| *time <= longest).collect(),
            })
        })
        .collect();
    if let Some(drawn) = drawn.filter(|drawn| longest > 0.0 && !drawn.is_empty()) {
        let label = format!("Time since the start ({})", times.unit);
        let figure =
            IncidenceFigure::lines(format!("Which event came first, {name}"), label, drawn)
                .until((longest / step - 1e-9).ceil().max(1.0) * step)
                .every(step);
        let caption = format!("Cumulative incidence of each first event, {name}.");
        section = section.figure(figure.render()?, caption);
    }
    Ok(section)
}

fn curve(trial: &Trial, endpoint: usize, arm: &CauseArm) -> IncidenceCurve {
    let steps = arm.curve.steps();
    let band = arm
        .curve
        .band(Band::LogLog, trial.analysis.level)
        .ok()
        .filter(|band| band.len() == steps.len())
        .unwrap_or_default();
    IncidenceCurve {
        cause: trial.endpoints[endpoint].title.clone(),
        times: steps.iter().map(|step| step.time).collect(),
        incidence: steps.iter().map(|step| step.incidence).collect(),
        band,
    }
}
