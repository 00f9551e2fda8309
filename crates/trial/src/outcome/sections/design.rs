//! What was asked and how.

use crate::Trial;
use crate::report::{Cell, Column, Section, Table, number};
use crate::run::TrialResult;

/// What was asked and how.
pub(in crate::outcome) fn design(trial: &Trial, result: &TrialResult) -> Section {
    let mut section = Section::new("Design");
    for paragraph in trial
        .description
        .split("\n\n")
        .filter(|paragraph| !paragraph.is_empty())
    {
        section = section.paragraph(paragraph);
    }
    let mut arms = Table::new("Arms")
        .column(Column::text("Arm"))
        .column(Column::text("Treatment"))
        .column(Column::text("Rule at visits"))
        .column(Column::text("Source"));
    for arm in &trial.arms {
        let rule = arm.rule.as_ref().map_or_else(
            || "none".to_owned(),
            |rule| {
                let set: Vec<String> = rule
                    .text
                    .iter()
                    .map(|(name, text)| format!("{name} := {text}"))
                    .collect();
                format!("every {}: {}", rule.every_text, set.join("; "))
            },
        );
        let text = if arm.description.is_empty() {
            arm.regimen_text.clone()
        } else {
            arm.description.clone()
        };
        arms = arms.row(vec![
            Cell::text(arm.title.clone()),
            Cell::text(text),
            Cell::text(rule),
            cite(trial, &arm.source),
        ]);
    }
    let mut endpoints = Table::new("Endpoints")
        .column(Column::text("Endpoint"))
        .column(Column::text("Definition"))
        .column(Column::text("Role"))
        .column(Column::text("Source"));
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        let verb = match endpoint.kind {
            crate::design::EndpointKind::FirstTime(_) => "first time",
            crate::design::EndpointKind::Integral(_) => "integral of",
            crate::design::EndpointKind::Mean(_) => "time average of",
            crate::design::EndpointKind::Last(_) => "last value of",
            crate::design::EndpointKind::Min(_) => "smallest",
            crate::design::EndpointKind::Max(_) => "largest",
            crate::design::EndpointKind::At { .. } => "value at a time of",
            crate::design::EndpointKind::Drawn { .. } => "time drawn by the model from",
            crate::design::EndpointKind::Hazard { .. } => "time to an event with the hazard",
            crate::design::EndpointKind::Response { .. } => "best response (RECIST 1.1) on",
            crate::design::EndpointKind::Progression { .. } => {
                "time to progression (RECIST 1.1) on"
            }
            crate::design::EndpointKind::Decline { .. } => "fall of",
            crate::design::EndpointKind::Rise { .. } => "time to a rise of",
            crate::design::EndpointKind::Earliest(_) => "earliest of",
            crate::design::EndpointKind::Toxicity { .. } => "toxicity",
            crate::design::EndpointKind::DoseIntensity { .. } => "dose intensity of",
            crate::design::EndpointKind::Dose { .. } => "amount given of",
            crate::design::EndpointKind::TimeOnTreatment => "time on treatment",
        };
        let until = endpoint.until.map_or_else(String::new, |until| {
            format!(", until {}", trial.endpoints[until].name)
        });
        let note = if endpoint.note.is_empty() {
            String::new()
        } else {
            format!(" ({})", endpoint.note)
        };
        let role = if e == trial.analysis.primary {
            "primary"
        } else {
            "secondary"
        };
        endpoints = endpoints.row(vec![
            Cell::text(endpoint.title.clone()),
            Cell::text(format!("{verb} {}{until}{note}", endpoint.text)),
            Cell::text(role),
            cite(trial, &endpoint.source),
        ]);
    }
    let mut patients = Table::new("Patients")
        .column(Column::text("Cohort"))
        .column(Column::number("Simulated in every arm", ""))
        .column(Column::number("Analysed", ""))
        .column(Column::number("Left out (diverged)", ""));
    for (cohort, analysis) in result.cohorts.iter().zip(&result.analyses) {
        patients = patients.row(vec![
            Cell::text(cohort.title.clone()),
            Cell::count(cohort.cohort.len()),
            Cell::count(analysis.patients),
            Cell::count(analysis.excluded),
        ]);
    }
    let horizon = format!(
        "Follow-up ends after {} {}; whoever has no event by then is censored there. Every patient goes through every arm with the same parameters and the same random numbers.",
        number(trial.shown_time(trial.horizon), 0),
        trial.time_unit
    );
    section
        .paragraph(horizon)
        .table(arms)
        .table(endpoints)
        .table(patients)
}

fn cite(trial: &Trial, key: &str) -> Cell {
    if key.is_empty() {
        Cell::missing()
    } else {
        Cell::text(trial.citation(key))
    }
}
