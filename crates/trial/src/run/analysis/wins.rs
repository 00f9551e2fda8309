//! Win ratios: endpoints in the order of their importance.

use crate::statistics::{
    Better, MatchedWinRatio, StatisticsError, WinEndpoint, WinRatio, WinVariance,
    matched_win_ratio, stratified_win_ratio,
};

use super::Found;
use super::data::Data;

/// Most pairs of patients that are compared: a few seconds.
const MOST_PAIRS: f64 = 4e8;

/// Win ratios of a cohort.
#[derive(Clone, Debug)]
pub struct Wins {
    /// Indices of the endpoints, times to an event of which the later is better, the most
    /// important first.
    pub endpoints: Vec<usize>,
    /// Every arm but the control against the control.
    pub comparisons: Vec<WinComparison>,
}

/// An arm against the control.
#[derive(Clone, Debug)]
pub struct WinComparison {
    /// Index of the arm.
    pub arm: usize,
    /// Each patient of the arm against each of the control, within the strata of the randomisation
    /// where there are any; for parallel groups.
    pub unmatched: Option<Found<WinRatio>>,
    /// Each patient in the arm against himself in the control, where the same were in both.
    pub matched: Option<Found<MatchedWinRatio>>,
}

pub(super) fn wins(data: &Data<'_>) -> Option<Wins> {
    let endpoints = &data.trial.analysis.win_ratio;
    if endpoints.is_empty() {
        return None;
    }
    let comparisons = data.others().map(|arm| {
        if data.result.every_arm {
            WinComparison {
                arm,
                unmatched: None,
                matched: Some(matched(data, endpoints, arm)),
            }
        } else {
            WinComparison {
                arm,
                unmatched: Some(unmatched(data, endpoints, arm)),
                matched: None,
            }
        }
    });
    Some(Wins {
        endpoints: endpoints.clone(),
        comparisons: comparisons.collect(),
    })
}

/// Positions of an arm for whom every endpoint exists.
fn known(data: &Data<'_>, endpoints: &[usize], arm: usize) -> Vec<usize> {
    let mut kept = data.positions[arm].clone();
    for &e in endpoints {
        let here = data.known(e, arm);
        kept.retain(|k| here.binary_search(k).is_ok());
    }
    kept
}

fn hierarchy(
    data: &Data<'_>,
    endpoints: &[usize],
    (arm, own): (usize, &[usize]),
    other: &[usize],
) -> Found<Vec<WinEndpoint>> {
    endpoints
        .iter()
        .map(|&e| {
            WinEndpoint::time(
                data.trial.endpoints[e].title.clone(),
                &data.sample(e, arm, own)?,
                &data.sample(e, data.control(), other)?,
                Better::Higher,
                0.0,
            )
        })
        .collect()
}

fn matched(data: &Data<'_>, endpoints: &[usize], arm: usize) -> Found<MatchedWinRatio> {
    let control = known(data, endpoints, data.control());
    let mut pairs = known(data, endpoints, arm);
    pairs.retain(|k| control.binary_search(k).is_ok());
    let hierarchy = hierarchy(data, endpoints, (arm, &pairs), &pairs)?;
    matched_win_ratio(&hierarchy, data.level())
}

fn unmatched(data: &Data<'_>, endpoints: &[usize], arm: usize) -> Found<WinRatio> {
    let control = data.control();
    let (own, other) = (known(data, endpoints, arm), known(data, endpoints, control));
    let pairs = own.len() as f64 * other.len() as f64;
    if pairs > MOST_PAIRS {
        return Err(StatisticsError::Setting {
            method: "win ratio",
            name: "pairs of patients",
            value: pairs,
            range: "at most 400 million; simulate fewer patients for it",
        });
    }
    let (Some(labels), Some(others)) = (data.strata_of(arm, &own), data.strata_of(control, &other))
    else {
        let all = hierarchy(data, endpoints, (arm, &own), &other)?;
        return stratified_win_ratio(&[&all], WinVariance::default(), data.level());
    };
    let mut distinct = labels.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let pick = |positions: &[usize], labels: &[u32], stratum: u32| -> Vec<usize> {
        let rows = positions.iter().zip(labels);
        rows.filter(|row| *row.1 == stratum)
            .map(|row| *row.0)
            .collect()
    };
    let mut strata = Vec::new();
    for stratum in distinct {
        let own = pick(&own, &labels, stratum);
        let other = pick(&other, &others, stratum);
        // a stratum with fewer than two patients of an arm has no variance
        if own.len() >= 2 && other.len() >= 2 {
            strata.push(hierarchy(data, endpoints, (arm, &own), &other)?);
        }
    }
    let strata: Vec<&[WinEndpoint]> = strata.iter().map(Vec::as_slice).collect();
    stratified_win_ratio(&strata, WinVariance::default(), data.level())
}
