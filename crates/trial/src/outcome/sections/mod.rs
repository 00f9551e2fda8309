//! The sections of a report.

mod design;
mod model;
mod numbers;
mod replay;
mod times;

pub(super) use design::design;
pub(super) use model::parameters;
pub(super) use numbers::{numbers, within};
pub(super) use replay::replay;
pub(super) use times::times;

use crate::Trial;
use crate::report::{Report, number, percent};
use crate::run::{CohortAnalysis, Times, TrialResult};

fn interval(level: f64) -> String {
    format!(
        "{} % CI",
        number(
            100.0 * level,
            if (100.0 * level).fract() == 0.0 { 0 } else { 1 }
        )
    )
}

fn heading(patients: usize, title: &str) -> String {
    if title.starts_with(|c: char| c.is_ascii_digit()) {
        title.to_owned()
    } else {
        format!("{} {title}", number(patients as f64, 0))
    }
}

fn primary<'a>(trial: &Trial, analysis: &'a CohortAnalysis) -> Option<&'a Times> {
    analysis
        .times
        .iter()
        .find(|times| times.endpoint == Some(trial.analysis.primary))
}

/// The headline numbers.
pub(super) fn keys(trial: &Trial, result: &TrialResult, mut report: Report) -> Report {
    if let Some(replay) = &result.replay {
        let detail = format!(
            "root mean square, mean of {} patients",
            replay.patients.len()
        );
        report = report.key("Replay error", number(replay.rmse.value, 4), detail);
    }
    if let Some(times) = result
        .analyses
        .last()
        .and_then(|analysis| primary(trial, analysis))
    {
        let cohort = result.cohorts.last().map_or(String::new(), |cohort| {
            format!(
                "{} {}",
                number(cohort.cohort.len() as f64, 0),
                cohort
                    .title
                    .trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            )
        });
        for arm in &times.arms {
            let value = arm.median.value.map_or_else(
                || "not reached".to_owned(),
                |value| format!("{} {}", number(value, 1), times.unit),
            );
            report = report.key(
                format!("Median, {}", arm.curve.name().to_lowercase()),
                value,
                format!("{cohort}; model-based endpoint"),
            );
        }
        for comparison in &times.comparisons {
            if let Some(Ok(paired)) = &comparison.paired {
                let label = format!(
                    "Later event with {}",
                    trial.arms[comparison.arm].title.to_lowercase()
                );
                report = report.key(
                    label,
                    percent(paired.better.value, 1),
                    format!("of patients; earlier in {}", percent(paired.worse.value, 1)),
                );
            }
        }
    }
    report
}
