//! The page as a whole.

use super::sections;
use crate::Trial;
use crate::report::{Report, number};
use crate::run::{RunSettings, TrialError, TrialResult};

/// A self-contained page.
pub(crate) fn report(
    trial: &Trial,
    result: &TrialResult,
    settings: &RunSettings,
) -> Result<String, TrialError> {
    let mut report = Report::new(trial.title.clone());
    if !trial.question.is_empty() {
        report = report.subtitle(trial.question.clone());
    }
    report = sections::keys(trial, result, report);
    report = report
        .section(sections::design(trial))
        .section(sections::population(trial, result)?);
    if let Some(replay) = &result.replay {
        report = report.section(sections::replay(trial, replay)?);
    }
    let parts = [
        sections::times(trial, result)?,
        sections::within(trial, result)?,
        sections::rates(trial, result)?,
        sections::numbers(trial, result)?,
        sections::treatment(trial, result)?,
        sections::toxicity(trial, result)?,
        sections::courses(trial, result)?,
        sections::subgroups(trial, result)?,
        sections::claims(trial, result),
        sections::sensitivity(trial, result),
    ];
    for section in parts.into_iter().flatten() {
        report = report.section(section);
    }
    report = report
        .section(sections::parameters(trial, result))
        .section(sections::credibility(trial, result));
    for (what, value) in &settings.provenance {
        report = report.provenance(what.clone(), value.clone());
    }
    report = report
        .provenance("Trial file", trial.source.name())
        .provenance(
            "Model",
            format!("{} ({})", trial.model.name, trial.model_file),
        )
        .provenance("Seed", result.seed.to_string())
        .provenance("Step", steps(trial, result))
        .provenance(
            "Horizon",
            format!(
                "{} {}",
                number(trial.shown_time(trial.horizon), 1),
                trial.time_unit
            ),
        );
    if !result.drawn_on_host.is_empty() {
        let reasons = result.drawn_on_host.join("; ");
        report = report.provenance("Patients", format!("drawn on the host: {reasons}"));
    }
    for (key, citation) in &trial.sources {
        report = report.provenance(format!("Source {key}"), citation.clone());
    }
    for limit in &trial.limits {
        report = report.limit(limit.clone());
    }
    Ok(report.render())
}

fn steps(trial: &Trial, result: &TrialResult) -> String {
    let unit = &trial.model.time_unit;
    let piece = |piece: &posology_model::model::StepPiece| match piece.until {
        Some(until) => format!("{} {unit} until {until} {unit} after a dose", piece.dt),
        None => format!("{} {unit}", piece.dt),
    };
    let pieces: Vec<String> = result.step.0.iter().map(piece).collect();
    format!("{} (Runge-Kutta of order 4)", pieces.join(", then "))
}
