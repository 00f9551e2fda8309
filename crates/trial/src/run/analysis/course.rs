//! Treatment as it was given under visits.

use std::collections::BTreeMap;

use crate::protocol::reason;
use crate::run::result::CourseResult;
use crate::statistics::{StatisticsError, Summary};

use super::Found;
use super::data::Data;
use crate::protocol::reason::ENDED;

/// Treatment in one arm.
#[derive(Clone, Debug)]
pub struct ArmCourse {
    /// Index of the arm.
    pub arm: usize,
    /// Patients.
    pub patients: usize,
    /// Cycles begun per patient.
    pub cycles: Found<Summary>,
    /// Cycles begun in all.
    pub cycles_begun: usize,
    /// Cycles that waited at least one visit, in all.
    pub cycles_delayed: usize,
    /// Patients with at least one delay.
    pub delayed: usize,
    /// Reductions of a dose level, in all.
    pub reductions: usize,
    /// Patients with at least one reduction.
    pub reduced: usize,
    /// Time on treatment, in the trial's unit of time.
    pub treated: Found<Summary>,
    /// Why treatment ended, in the order of the protocol.
    pub reasons: Vec<StopReason>,
    /// (index of the input, given over planned)
    pub intensity: Vec<(usize, Found<Summary>)>,
    /// (index of the input, amount given, in the input's unit)
    pub dose: Vec<(usize, Found<Summary>)>,
}

/// Why treatment ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StopReason {
    /// The rule of the protocol, or words.
    pub text: String,
    /// Whether it is a rule of the protocol.
    pub rule: bool,
    /// Patients.
    pub patients: usize,
}

pub(super) fn courses(data: &Data<'_>) -> Vec<ArmCourse> {
    (0..data.result.arms.len())
        .filter_map(|arm| {
            let course = data.result.arms[arm].course.as_ref()?;
            Some(one(data, arm, course))
        })
        .collect()
}

fn one(data: &Data<'_>, arm: usize, course: &CourseResult) -> ArmCourse {
    let positions = &data.positions[arm];
    let pick = |column: &[f64]| -> Vec<f64> { positions.iter().map(|&k| column[k]).collect() };
    let total = |column: &[f64]| pick(column).iter().sum::<f64>() as usize;
    let some = |column: &[f64]| pick(column).iter().filter(|&&value| value > 0.0).count();
    let treated: Vec<f64> = pick(&course.treated_until)
        .into_iter()
        .map(|time| data.trial.shown_time(time))
        .collect();
    let summaries = |columns: &[Vec<f64>]| -> Vec<(usize, Found<Summary>)> {
        let rows = course.inputs.iter().zip(columns);
        rows.map(|(&input, column)| {
            (
                input,
                known(&data.trial.model.inputs[input].name, &pick(column)),
            )
        })
        .collect()
    };
    ArmCourse {
        arm,
        patients: positions.len(),
        cycles: known("cycles", &pick(&course.cycles)),
        cycles_begun: total(&course.cycles),
        cycles_delayed: total(&course.delays),
        delayed: some(&course.delays),
        reductions: total(&course.reductions),
        reduced: some(&course.reductions),
        treated: known("time on treatment", &treated),
        reasons: reasons(data, arm, &pick(&course.reason)),
        intensity: summaries(&course.intensity),
        dose: summaries(&course.dose),
    }
}

fn known(name: &str, values: &[f64]) -> Result<Summary, StatisticsError> {
    Summary::of(name, values)
}

fn reasons(data: &Data<'_>, arm: usize, codes: &[f64]) -> Vec<StopReason> {
    let protocol = data.trial.arms[arm]
        .protocol
        .and_then(|protocol| data.trial.protocols.get(protocol));
    let trained = data.trial.arms[arm].trained.is_some();
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for &code in codes {
        *counts.entry(code.round() as u32).or_default() += 1;
    }
    let text = |code: u32| match code {
        reason::NONE => "as planned, or until the end of observation".to_owned(),
        reason::DROPOUT => "left the trial".to_owned(),
        _ if trained => ENDED.to_owned(),
        code => {
            let rule = (code - reason::FIRST_RULE) as usize;
            let known = protocol.and_then(|protocol| protocol.rules.get(rule));
            known.map_or_else(|| format!("rule {}", rule + 1), |rule| rule.text.clone())
        }
    };
    counts
        .into_iter()
        .map(|(code, patients)| StopReason {
            text: text(code),
            rule: code >= reason::FIRST_RULE && !trained,
            patients,
        })
        .collect()
}
