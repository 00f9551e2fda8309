//! The sections of a report.

mod claims;
mod competing;
mod credibility;
mod design;
mod model;
mod numbers;
mod population;
mod rates;
mod replay;
mod subgroups;
mod times;
mod toxicity;
mod treatment;

pub(super) use claims::{claims, sensitivity};
pub(super) use credibility::credibility;
pub(super) use design::design;
pub(super) use model::parameters;
pub(super) use numbers::{numbers, within};
pub(super) use population::population;
pub(super) use rates::rates;
pub(super) use replay::replay;
pub(super) use subgroups::subgroups;
pub(super) use times::times;
pub(super) use toxicity::toxicity;
pub(super) use treatment::{courses, treatment};

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

/// What an arm is called.
fn title(trial: &Trial, arm: usize) -> String {
    trial
        .arms
        .get(arm)
        .map_or_else(String::new, |arm| arm.title.clone())
}

/// What the control arm is called, within a sentence.
fn control(trial: &Trial) -> String {
    within_sentence(&title(trial, trial.analysis.control))
}

/// A title within a sentence: "Continuous" loses its capital, "7.4 GBq" and "PSA-guided" stay.
fn within_sentence(title: &str) -> String {
    let mut letters = title.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(title.chars().skip(1)).collect()
        }
        _ => title.to_owned(),
    }
}

/// A whole number as a label.
fn whole(value: f64) -> String {
    number(value, 0)
}

fn primary<'a>(trial: &Trial, analysis: &'a CohortAnalysis) -> Option<&'a Times> {
    analysis
        .times
        .iter()
        .find(|times| times.endpoint == Some(trial.analysis.primary))
}

/// A share and its interval in per cent.
fn shares(estimate: &crate::statistics::Estimate) -> crate::statistics::Estimate {
    crate::statistics::Estimate {
        value: 100.0 * estimate.value,
        low: 100.0 * estimate.low,
        high: 100.0 * estimate.high,
        level: estimate.level,
    }
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
    let last = result.analyses.last();
    let e = trial.analysis.primary;
    if let Some(rates) = last.and_then(|analysis| analysis.rate(e)) {
        for arm in &rates.arms {
            let detail = format!(
                "{} {}",
                interval(arm.rate.level),
                crate::report::estimate(&shares(&arm.rate), 1)
            );
            let label = format!("{}, {}", trial.endpoints[e].title, title(trial, arm.arm));
            report = report.key(label, percent(arm.rate.value, 1), detail);
        }
    }
    if let Some(numbers) = last.and_then(|analysis| analysis.number(e)) {
        let unit = match trial.endpoints[e].unit.text() {
            "1" => "",
            unit => unit,
        };
        for arm in &numbers.arms {
            let label = format!("{}, {}", trial.endpoints[e].title, title(trial, arm.arm));
            let places = numbers::decimals(arm.mean.value);
            let value = format!("{} {unit}", number(arm.quartiles[1], places));
            let detail = format!(
                "median; quartiles {} to {}",
                number(arm.quartiles[0], places),
                number(arm.quartiles[2], places)
            );
            report = report.key(label, value.trim_end(), detail);
        }
    }
    if let Some(times) = last.and_then(|analysis| primary(trial, analysis)) {
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
                format!("Median, {}", within_sentence(arm.curve.name())),
                value,
                format!(
                    "{cohort}; {} (model-based)",
                    trial.endpoints[trial.analysis.primary].title
                ),
            );
        }
        for comparison in &times.comparisons {
            if let Some(Ok(paired)) = &comparison.paired {
                let label = format!(
                    "Later event with {}",
                    within_sentence(&trial.arms[comparison.arm].title)
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
