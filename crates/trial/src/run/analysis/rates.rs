//! Endpoints that happen or not, and best responses.

use serde::Serialize;

use crate::clinical::recist::Response;
use crate::design::Class;
use crate::run::within::sign_test;
use crate::statistics::{
    ChiSquaredTest, DifferenceInterval, Estimate, MantelHaenszel, RatioInterval, StatisticsError,
    TwoArms, clopper_pearson, mantel_haenszel,
};

use super::Found;
use super::data::Data;

/// Something that happens or not, in every arm.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Index of the endpoint.
    pub endpoint: usize,
    /// One per arm in which it was looked at.
    pub arms: Vec<RateArm>,
    /// Arms in which it was not, and why.
    pub without: Vec<(usize, StatisticsError)>,
    /// Every arm but the control against the control.
    pub effects: Vec<RateEffect>,
}

/// Something that happens or not, in one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct RateArm {
    /// Index of the arm.
    pub arm: usize,
    /// Patients.
    pub patients: usize,
    /// Analysed patients of whom it is not known.
    pub missing: usize,
    /// Patients with the event, or an objective response.
    pub events: usize,
    /// Their share, with Clopper and Pearson's interval.
    pub rate: Estimate,
    /// Patients by best response, in the order of [`Response::ALL`]; empty for other endpoints.
    pub responses: Vec<usize>,
}

/// An arm against the control.
#[derive(Clone, Debug)]
pub struct RateEffect {
    /// Index of the arm.
    pub arm: usize,
    /// Arm minus control, with Newcombe's interval.
    pub difference: Found<Estimate>,
    /// Arm over control, with Koopman's interval.
    pub risk_ratio: Found<Estimate>,
    /// With Woolf's interval.
    pub odds_ratio: Found<Estimate>,
    /// Conditional, with its exact interval.
    pub exact_odds_ratio: Found<Estimate>,
    /// Two-sided p value of Fisher's exact test.
    pub fisher: Found<f64>,
    /// Pearson's test without continuity correction.
    pub chi_squared: Found<ChiSquaredTest>,
    /// Within the strata of the randomisation, where there are any.
    pub stratified: Option<Found<MantelHaenszel>>,
    /// Effects within patients, where the same patients were in both.
    pub paired: Option<Found<PairedRates>>,
}

/// The same patients in two arms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedRates {
    /// Patients.
    pub patients: usize,
    /// Share with the event in the arm only.
    pub only_arm: Estimate,
    /// Share with the event in the control only.
    pub only_control: Estimate,
    /// Share with the event in both.
    pub both: Estimate,
    /// Share without the event in both.
    pub neither: Estimate,
    /// Two-sided p value of McNemar's exact test; `None` if nobody differs.
    pub p_value: Option<f64>,
}

pub(super) fn rates(data: &Data<'_>, e: usize) -> Rates {
    let endpoint = &data.trial.endpoints[e];
    let (mut arms, mut without) = (Vec::new(), Vec::new());
    for arm in 0..data.result.arms.len() {
        let known = data.known(e, arm);
        let events = data.count(e, arm, &known);
        let responses = match endpoint.class() {
            Class::Response => responses(&data.values(e, arm, &known)),
            _ => Vec::new(),
        };
        if known.is_empty() {
            without.push((arm, data.nothing("proportion", arm)));
            continue;
        }
        match clopper_pearson(events as u64, known.len() as u64, data.level()) {
            Ok(rate) => arms.push(RateArm {
                arm,
                patients: known.len(),
                missing: data.positions[arm].len() - known.len(),
                events,
                rate,
                responses,
            }),
            Err(reason) => without.push((arm, reason)),
        }
    }
    let control = data.control();
    let effects = data.others().map(|arm| {
        let events = |arm: usize| -> Vec<(usize, bool)> {
            let known = data.known(e, arm);
            let events = data.events(e, arm, &known);
            known.into_iter().zip(events).collect()
        };
        let paired = data.result.every_arm.then(|| {
            let pairs = data.pairs(e, arm);
            let (own, other) = (data.events(e, arm, &pairs), data.events(e, control, &pairs));
            paired(&own, &other, data.level())
        });
        effect(data, arm, (&events(arm), &events(control)), paired)
    });
    Rates {
        endpoint: e,
        effects: effects.collect(),
        arms,
        without,
    }
}

/// Patients by best response; what is no response is not evaluable.
fn responses(values: &[f64]) -> Vec<usize> {
    let mut counts = vec![0; Response::ALL.len()];
    for value in values {
        let response = if value.is_finite() {
            Response::from_code(*value as u8)
        } else {
            None
        };
        let response = response.unwrap_or(Response::NotEvaluable);
        if let Some(at) = Response::ALL.iter().position(|known| *known == response) {
            counts[at] += 1;
        }
    }
    counts
}

/// (position in the arm, whether it happened) of some patients.
pub(super) type Happened = [(usize, bool)];

/// Compares what happened in an arm and in the control.
pub(super) fn effect(
    data: &Data<'_>,
    arm: usize,
    (own, other): (&Happened, &Happened),
    paired: Option<Found<PairedRates>>,
) -> RateEffect {
    let (level, control) = (data.level(), data.control());
    let table = table(own, other);
    let with = |of: &dyn Fn(&TwoArms) -> Found<Estimate>| table.clone().and_then(|t| of(&t));
    let stratified = data.strata.as_ref().map(|_| {
        let label = |arm: usize, rows: &[(usize, bool)]| {
            let positions: Vec<usize> = rows.iter().map(|row| row.0).collect();
            data.strata_of(arm, &positions).unwrap_or_default()
        };
        let (labels, others) = (label(arm, own), label(control, other));
        let mut all = [labels.as_slice(), &others].concat();
        all.sort_unstable();
        all.dedup();
        let pick = |rows: &[(usize, bool)], labels: &[u32], stratum: u32| -> Vec<(usize, bool)> {
            let here = rows
                .iter()
                .zip(labels)
                .filter(|(_, label)| **label == stratum);
            here.map(|(row, _)| *row).collect()
        };
        // a stratum with one arm only says nothing of the difference
        let tables: Vec<TwoArms> = all
            .iter()
            .filter_map(|&s| self::table(&pick(own, &labels, s), &pick(other, &others, s)).ok())
            .collect();
        mantel_haenszel(&tables, level)
    });
    RateEffect {
        arm,
        difference: with(&|t| t.risk_difference(DifferenceInterval::Newcombe, level)),
        risk_ratio: with(&|t| t.risk_ratio(RatioInterval::Koopman, level)),
        odds_ratio: with(&|t| t.odds_ratio(level)),
        exact_odds_ratio: with(&|t| t.exact_odds_ratio(level)),
        fisher: table
            .as_ref()
            .map(TwoArms::fisher_exact)
            .map_err(Clone::clone),
        chi_squared: table.clone().and_then(|t| t.chi_squared(false)),
        stratified,
        paired,
    }
}

/// Counts of an arm and of the control.
pub(super) fn table(own: &Happened, other: &Happened) -> Found<TwoArms> {
    let count = |rows: &[(usize, bool)]| rows.iter().filter(|row| row.1).count() as u64;
    let (own_events, other_events) = (count(own), count(other));
    TwoArms::new(
        own_events,
        own.len() as u64,
        other_events,
        other.len() as u64,
    )
}

/// What happened to the same patients in an arm and in the control.
pub(super) fn paired(own: &[bool], other: &[bool], level: f64) -> Found<PairedRates> {
    let count = |arm: bool, control: bool| {
        let rows = own.iter().zip(other);
        rows.filter(|row| (*row.0, *row.1) == (arm, control))
            .count()
    };
    let share = |count: usize| clopper_pearson(count as u64, own.len() as u64, level);
    Ok(PairedRates {
        patients: own.len(),
        only_arm: share(count(true, false))?,
        only_control: share(count(false, true))?,
        both: share(count(true, true))?,
        neither: share(count(false, false))?,
        p_value: sign_test(count(true, false), count(false, true)),
    })
}
