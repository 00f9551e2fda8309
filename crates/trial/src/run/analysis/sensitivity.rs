//! The primary time to an event under other assumptions.

use crate::allocation::entry_time;
use crate::design::Class;
use crate::statistics::{ChiSquaredTest, Estimate, SurvivalSample, log_rank, weighted_log_rank};

use super::Found;
use super::data::Data;
use super::times::two_groups;

/// An observation that ends this much before its planned end, as a share of it, has ended early.
const EARLY: f64 = 1e-9;

/// An arm against the control under other assumptions.
#[derive(Clone, Debug)]
pub struct Sensitivity {
    /// Index of the endpoint.
    pub endpoint: usize,
    /// Index of the arm.
    pub arm: usize,
    /// Patients of the arm and of the control who left before the event.
    pub left: (usize, usize),
    /// What if they had the event when they left; empty if nobody left.
    pub scenarios: Vec<Scenario>,
    /// Log-rank test that stresses early differences (Fleming and Harrington, rho 1).
    pub early: Found<ChiSquaredTest>,
    /// Log-rank test that stresses late differences (Fleming and Harrington, gamma 1).
    pub late: Found<ChiSquaredTest>,
}

/// One assumption.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Who is taken to have had the event on leaving: the arm, the control.
    pub events: (bool, bool),
    /// In words.
    pub title: String,
    /// Hazard ratio.
    pub hazard_ratio: Found<Estimate>,
    /// Log-rank test.
    pub log_rank: Found<ChiSquaredTest>,
}

pub(super) fn sensitivity(data: &Data<'_>) -> Vec<Sensitivity> {
    let e = data.trial.analysis.primary;
    if data.trial.endpoints[e].class() != Class::Time {
        return Vec::new();
    }
    data.others()
        .filter_map(|arm| one(data, e, arm).ok())
        .collect()
}

/// Follow-up in an arm, and who left before the event.
fn followed(data: &Data<'_>, e: usize, arm: usize) -> Found<(SurvivalSample, Vec<bool>)> {
    let known = data.known(e, arm);
    let (sample, result) = (data.sample(e, arm, &known)?, &data.result.arms[arm]);
    let (seed, accrual) = (data.streams.0, data.trial.allocation.accrual);
    let left = known.iter().zip(sample.events()).map(|(&k, &event)| {
        let id = data.result.cohort.ids[data.patient(arm, k)];
        let planned = data.trial.horizon - entry_time(seed, id, accrual);
        let until = result.until.get(k).copied().unwrap_or(planned);
        !event && until < planned * (1.0 - EARLY)
    });
    let left = left.collect();
    Ok((sample, left))
}

fn one(data: &Data<'_>, e: usize, arm: usize) -> Found<Sensitivity> {
    let (own, own_left) = followed(data, e, arm)?;
    let (other, other_left) = followed(data, e, data.control())?;
    let count = |left: &[bool]| left.iter().filter(|&&left| left).count();
    let left = (count(&own_left), count(&other_left));
    let title = |events: (bool, bool)| match events {
        (true, true) => "all who left had the event then".to_owned(),
        (true, false) => format!("those who left {} had the event then", data.title(arm)),
        _ => format!(
            "those who left {} had the event then",
            data.title(data.control())
        ),
    };
    let mut scenarios = Vec::new();
    if left != (0, 0) {
        for events in [(true, true), (true, false), (false, true)] {
            let own = with_events(&own, &own_left, events.0)?;
            let other = with_events(&other, &other_left, events.1)?;
            scenarios.push(Scenario {
                events,
                title: title(events),
                hazard_ratio: two_groups(&own, &other, None, data.level())
                    .map(|two| two.fit.coefficients[0].hazard_ratio),
                log_rank: log_rank(&[&other, &own]).map(|found| found.test),
            });
        }
    }
    Ok(Sensitivity {
        endpoint: e,
        arm,
        left,
        scenarios,
        early: weighted_log_rank(&[&other, &own], None, 1.0, 0.0),
        late: weighted_log_rank(&[&other, &own], None, 0.0, 1.0),
    })
}

/// The same follow-up, with an event for everyone who left if wanted.
fn with_events(sample: &SurvivalSample, left: &[bool], wanted: bool) -> Found<SurvivalSample> {
    let events = sample.events().iter().zip(left);
    SurvivalSample::new(
        sample.name(),
        sample.times().to_vec(),
        events
            .map(|(&event, &left)| event || (wanted && left))
            .collect(),
    )
}
