//! What the arms did: survival curves, comparisons with the control arm, effects within patients.

use serde::Serialize;

use super::TrialError;
use super::arms::{ArmResult, CohortResult};
use super::within::{Paired, paired};
use crate::Trial;
use crate::design::{Endpoint, Reported};
use crate::statistics::{
    Band, ChiSquaredTest, Estimate, KaplanMeier, RestrictedMean, RestrictedMeanDifference,
    StatisticsError, SurvivalSample, TimeEstimate, clopper_pearson, hazard_ratio, log_rank,
    mean_interval, paired_difference, quantile, restricted_mean, restricted_mean_difference,
};

/// One cohort.
#[derive(Clone, Debug)]
pub struct CohortAnalysis {
    /// Patients analysed: those who completed every arm.
    pub patients: usize,
    /// Patients left out because an arm did not complete.
    pub excluded: usize,
    /// One per endpoint that is a time to an event.
    pub times: Vec<Times>,
    /// One per other endpoint.
    pub numbers: Vec<Numbers>,
}

/// A time to an event in every group.
#[derive(Clone, Debug)]
pub struct Times {
    /// Index of the endpoint; `None` for what was reported.
    pub endpoint: Option<usize>,
    /// Unit of all times.
    pub unit: String,
    /// One per arm (or reported group).
    pub arms: Vec<ArmTimes>,
    /// Every arm but the control against the control.
    pub comparisons: Vec<Comparison>,
}

/// A time to an event in one group.
#[derive(Clone, Debug)]
pub struct ArmTimes {
    /// Index of the arm.
    pub arm: usize,
    /// Patients with the event.
    pub events: usize,
    /// The curve.
    pub curve: KaplanMeier,
    /// With its interval.
    pub median: TimeEstimate,
    /// Up to the horizon, or the last time that every group reaches.
    pub restricted_mean: Option<RestrictedMean>,
    /// (time, event-free share): Clopper-Pearson where nobody was censored before, else the curve's.
    pub free: Vec<(f64, Option<Estimate>)>,
}

/// An arm against the control.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Index of the arm.
    pub arm: usize,
    /// Log-rank test; the reason if there is none.
    pub log_rank: Result<ChiSquaredTest, StatisticsError>,
    /// Hazard ratio; the reason if there is none.
    pub hazard_ratio: Result<Estimate, StatisticsError>,
    /// Arm minus control; the reason if there is none.
    pub restricted_mean: Result<RestrictedMeanDifference, StatisticsError>,
    /// Effects within patients, where the same patients were in both.
    pub paired: Option<Paired>,
}

/// A number in every arm.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Index of the endpoint.
    pub endpoint: usize,
    /// One per arm.
    pub arms: Vec<NumberArm>,
    /// Every arm but the control against the control.
    pub effects: Vec<NumberEffect>,
}

/// A number in one arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberArm {
    /// With Student's interval.
    pub mean: Estimate,
    /// 25 %, 50 % and 75 % quantiles.
    pub quartiles: [f64; 3],
}

/// Arm minus control within patients.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberEffect {
    /// Index of the arm.
    pub arm: usize,
    /// Mean difference with Student's interval; `None` if all differences are zero.
    pub difference: Option<Estimate>,
}

pub(super) fn cohort(
    trial: &Trial,
    result: &CohortResult,
    seed: u64,
    number: u32,
) -> Result<CohortAnalysis, TrialError> {
    let complete = result.complete();
    if complete.len() < 2 {
        return Err(TrialError::NobodyCompleted {
            cohort: result.title.clone(),
        });
    }
    let mut out = CohortAnalysis {
        patients: complete.len(),
        excluded: result.cohort.len() - complete.len(),
        times: Vec::new(),
        numbers: Vec::new(),
    };
    for (e, endpoint) in trial.endpoints.iter().enumerate() {
        if endpoint.is_time() {
            out.times.push(times(
                trial,
                e,
                endpoint,
                result,
                &complete,
                (seed, number),
            )?);
        } else {
            out.numbers
                .push(numbers(trial, e, endpoint, result, &complete)?);
        }
    }
    Ok(out)
}

fn picked(values: &[f64], patients: &[usize]) -> Vec<f64> {
    patients.iter().map(|&p| values[p]).collect()
}

fn times(
    trial: &Trial,
    e: usize,
    endpoint: &Endpoint,
    result: &CohortResult,
    complete: &[usize],
    (seed, number): (u64, u32),
) -> Result<Times, TrialError> {
    let scale = trial.model.units.scale(&endpoint.unit);
    let horizon = trial.horizon / scale;
    let at: Vec<f64> = trial
        .analysis
        .times
        .iter()
        .map(|time| time / scale)
        .collect();
    let sample = |arm: usize, result: &ArmResult| {
        let times = picked(&result.values[e], complete);
        let events = complete.iter().map(|&p| result.events[e][p]).collect();
        SurvivalSample::new(trial.arms[arm].title.clone(), times, events)
            .map(|sample| (arm, sample))
    };
    let samples: Vec<(usize, SurvivalSample)> = result
        .arms
        .iter()
        .enumerate()
        .map(|(arm, result)| sample(arm, result))
        .collect::<Result<_, _>>()?;
    let mut out = compared(trial, &samples, horizon, &at)?;
    out.endpoint = Some(e);
    out.unit = endpoint.unit.text().to_owned();
    let control = samples
        .iter()
        .find(|(arm, _)| *arm == trial.analysis.control);
    if let Some((_, control)) = control {
        for comparison in &mut out.comparisons {
            if let Some((_, arm)) = samples.iter().find(|(arm, _)| *arm == comparison.arm) {
                let streams = (seed, number, (e * 1024 + comparison.arm) as u32 * 2);
                comparison.paired = Some(paired(
                    trial,
                    arm.times(),
                    control.times(),
                    horizon,
                    streams,
                )?);
            }
        }
    }
    Ok(out)
}

/// Curves of every group, and each group against the control.
fn compared(
    trial: &Trial,
    samples: &[(usize, SurvivalSample)],
    horizon: f64,
    at: &[f64],
) -> Result<Times, TrialError> {
    let level = trial.analysis.level;
    let mut arms = Vec::new();
    for (arm, sample) in samples {
        let curve = KaplanMeier::fit(sample);
        let mut free = Vec::new();
        for &time in at {
            free.push((time, event_free(&curve, sample, time, level)?));
        }
        arms.push(ArmTimes {
            arm: *arm,
            events: sample.event_count(),
            median: curve.median(Band::LogLog, level)?,
            restricted_mean: restricted_mean(&curve, horizon, level).ok(),
            free,
            curve,
        });
    }
    let mut comparisons = Vec::new();
    if let Some((_, control)) = samples
        .iter()
        .find(|(arm, _)| *arm == trial.analysis.control)
    {
        let control_curve = KaplanMeier::fit(control);
        for (arm, sample) in samples
            .iter()
            .filter(|(arm, _)| *arm != trial.analysis.control)
        {
            comparisons.push(Comparison {
                arm: *arm,
                log_rank: log_rank(&[control, sample]).map(|result| result.test),
                hazard_ratio: hazard_ratio(sample, control, level)
                    .map(|fit| fit.coefficients[0].hazard_ratio),
                restricted_mean: restricted_mean_difference(
                    &KaplanMeier::fit(sample),
                    &control_curve,
                    horizon,
                    level,
                ),
                paired: None,
            });
        }
    }
    Ok(Times {
        endpoint: None,
        unit: String::new(),
        arms,
        comparisons,
    })
}

/// Share without the event at `time`: an exact binomial interval where all were followed for that
/// long, else that of the curve.
fn event_free(
    curve: &KaplanMeier,
    sample: &SurvivalSample,
    time: f64,
    level: f64,
) -> Result<Option<Estimate>, StatisticsError> {
    let censored_before = sample
        .times()
        .iter()
        .zip(sample.events())
        .any(|(&t, &event)| !event && t < time);
    if censored_before {
        return curve.survival_interval(time, Band::LogLog, level);
    }
    let events = curve.events_until(time);
    clopper_pearson((sample.len() - events) as u64, sample.len() as u64, level).map(Some)
}

fn numbers(
    trial: &Trial,
    e: usize,
    endpoint: &Endpoint,
    result: &CohortResult,
    complete: &[usize],
) -> Result<Numbers, TrialError> {
    let level = trial.analysis.level;
    let columns: Vec<Vec<f64>> = result
        .arms
        .iter()
        .map(|arm| picked(&arm.values[e], complete))
        .collect();
    let mut arms = Vec::new();
    for column in &columns {
        let at = |p: f64| quantile(&endpoint.title, column, p);
        arms.push(NumberArm {
            mean: mean_interval(&endpoint.title, column, level)?,
            quartiles: [at(0.25)?, at(0.5)?, at(0.75)?],
        });
    }
    let control = &columns[trial.analysis.control];
    let effects = (0..columns.len())
        .filter(|&arm| arm != trial.analysis.control)
        .map(|arm| NumberEffect {
            arm,
            difference: paired_difference(&columns[arm], control, level)
                .ok()
                .map(|paired| paired.mean),
        })
        .collect();
    Ok(Numbers {
        endpoint: e,
        arms,
        effects,
    })
}

/// What the real trial found, with the same methods.
pub(super) fn reported(trial: &Trial, reported: &Reported) -> Result<Times, TrialError> {
    let samples: Vec<(usize, SurvivalSample)> = reported
        .groups
        .iter()
        .map(|group| {
            let name = trial.arms[group.arm].title.clone();
            SurvivalSample::new(name, group.times.clone(), group.events.clone())
                .map(|sample| (group.arm, sample))
        })
        .collect::<Result<_, _>>()?;
    let scale = trial.model.units.scale(&reported.unit);
    let at: Vec<f64> = trial
        .analysis
        .times
        .iter()
        .map(|time| time / scale)
        .collect();
    // as far as every curve is known
    let known = samples
        .iter()
        .map(|(_, sample)| sample.last_time())
        .fold(f64::INFINITY, f64::min);
    let mut out = compared(trial, &samples, known, &at)?;
    out.unit = reported.unit.text().to_owned();
    Ok(out)
}
