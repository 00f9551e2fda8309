//! The log-rank test (Mantel-Haenszel form with the hypergeometric variance) for two or more
//! groups, plain or stratified.
//!
//! Mantel 1966, Cancer Chemother Rep 50:163; Peto and Peto 1972, J R Stat Soc A 135:185.

use serde::{Deserialize, Serialize};

use super::error::{require_count, require_same_length};
use super::linear::{Cholesky, dot};
use super::{ChiSquaredTest, StatisticsError, SurvivalSample};

/// Observed and expected events of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRankGroup {
    /// Name of the group.
    pub name: String,
    /// Patients in the group.
    pub patients: usize,
    /// Events in the group.
    pub observed: usize,
    /// Events expected if all groups shared one hazard (within each stratum).
    pub expected: f64,
}

/// Result of a log-rank test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRank {
    /// Test of equal hazards.
    pub test: ChiSquaredTest,
    /// One entry per group, in the order given.
    pub groups: Vec<LogRankGroup>,
}

struct Patient {
    time: f64,
    event: bool,
    group: usize,
    stratum: u32,
}

/// Log-rank test of equal hazards in all `groups`.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than two groups, `NoEvents`, or `NothingToCompare` if
/// their follow-up does not overlap.
pub fn log_rank(groups: &[&SurvivalSample]) -> Result<LogRank, StatisticsError> {
    let strata: Vec<Vec<u32>> = groups.iter().map(|group| vec![0; group.len()]).collect();
    let strata: Vec<&[u32]> = strata.iter().map(Vec::as_slice).collect();
    stratified_log_rank(groups, &strata)
}

/// Log-rank test that compares patients only within their stratum.
///
/// `strata[g][i]` is the stratum of patient `i` of group `g`.
///
/// # Errors
/// As [`log_rank`], and [`StatisticsError::LengthsDiffer`].
pub fn stratified_log_rank(
    groups: &[&SurvivalSample],
    strata: &[&[u32]],
) -> Result<LogRank, StatisticsError> {
    let tally = tally(groups, strata, |_| 1.0)?;
    let test = tally.test()?;
    let groups = groups
        .iter()
        .enumerate()
        .map(|(index, group)| LogRankGroup {
            name: group.name().to_owned(),
            patients: group.len(),
            observed: group.event_count(),
            expected: tally.expected[index],
        });
    Ok(LogRank {
        test,
        groups: groups.collect(),
    })
}

/// Log-rank test with the Fleming-Harrington weights S(t-)^rho (1 - S(t-))^gamma, S being the
/// Kaplan-Meier curve of all patients of the stratum. (0, 0) is the plain test, (1, 0) stresses
/// early differences, (0, 1) late ones.
///
/// `strata[g][i]`, if given, is the stratum of patient `i` of group `g`. Fleming and Harrington
/// 1991, Counting Processes and Survival Analysis, chapter 7; Harrington and Fleming 1982,
/// Biometrika 69:553.
///
/// # Errors
/// As [`stratified_log_rank`], and [`StatisticsError::Setting`] for a negative exponent.
pub fn weighted_log_rank(
    groups: &[&SurvivalSample],
    strata: Option<&[&[u32]]>,
    rho: f64,
    gamma: f64,
) -> Result<ChiSquaredTest, StatisticsError> {
    for (name, value) in [("rho", rho), ("gamma", gamma)] {
        if !(value >= 0.0 && value.is_finite()) {
            return Err(StatisticsError::Setting {
                method: "weighted log-rank test",
                name,
                value,
                range: "zero or more",
            });
        }
    }
    let weight = |survival: f64| survival.powf(rho) * (1.0 - survival).powf(gamma);
    if let Some(strata) = strata {
        return tally(groups, strata, weight)?.test();
    }
    let one: Vec<Vec<u32>> = groups.iter().map(|group| vec![0; group.len()]).collect();
    let one: Vec<&[u32]> = one.iter().map(Vec::as_slice).collect();
    tally(groups, &one, weight)?.test()
}

/// Sums over all event times, each weighted by a function of the survival just before it.
fn tally(
    groups: &[&SurvivalSample],
    strata: &[&[u32]],
    weight: impl Fn(f64) -> f64,
) -> Result<Tally, StatisticsError> {
    require_count("log-rank test", "groups", groups.len(), 2)?;
    require_same_length("groups", groups.len(), "strata", strata.len())?;
    let mut patients = Vec::new();
    for (index, (group, labels)) in groups.iter().zip(strata).enumerate() {
        let labels_name = format!("strata of {}", group.name());
        require_same_length(group.name(), group.len(), &labels_name, labels.len())?;
        let rows = group.times().iter().zip(group.events()).zip(*labels);
        patients.extend(rows.map(|((&time, &event), &stratum)| Patient {
            time,
            event,
            group: index,
            stratum,
        }));
    }
    if !patients.iter().any(|patient| patient.event) {
        let names: Vec<_> = groups.iter().map(|group| group.name()).collect();
        return Err(StatisticsError::NoEvents {
            name: names.join(", "),
            method: "log-rank test",
        });
    }
    patients.sort_by(|a, b| a.stratum.cmp(&b.stratum).then(a.time.total_cmp(&b.time)));

    let mut tally = Tally::new(groups.len());
    for stratum in patients.chunk_by(|a, b| a.stratum == b.stratum) {
        tally.add_stratum(stratum, &weight);
    }
    Ok(tally)
}

struct Tally {
    observed: Vec<f64>,
    expected: Vec<f64>,
    covariance: Vec<Vec<f64>>,
}

impl Tally {
    fn new(groups: usize) -> Self {
        Self {
            observed: vec![0.0; groups],
            expected: vec![0.0; groups],
            covariance: vec![vec![0.0; groups]; groups],
        }
    }

    /// Adds one stratum, sorted by time.
    fn add_stratum(&mut self, patients: &[Patient], weight: &impl Fn(f64) -> f64) {
        let groups = self.observed.len();
        let mut at_risk = vec![0.0; groups];
        let mut survival = 1.0;
        for patient in patients {
            at_risk[patient.group] += 1.0;
        }
        for tied in patients.chunk_by(|a, b| a.time == b.time) {
            let events = tied.iter().filter(|patient| patient.event).count() as f64;
            let total: f64 = at_risk.iter().sum();
            if events > 0.0 {
                let weight = weight(survival);
                survival *= (total - events) / total;
                for patient in tied.iter().filter(|patient| patient.event) {
                    self.observed[patient.group] += weight;
                }
                // Hypergeometric moments of the events per group, given the margins.
                let spread = if total > 1.0 {
                    events * (total - events) / (total * total * (total - 1.0))
                } else {
                    0.0
                };
                for g in 0..groups {
                    self.expected[g] += weight * events * at_risk[g] / total;
                    for h in 0..groups {
                        let same = if g == h { total * at_risk[g] } else { 0.0 };
                        self.covariance[g][h] +=
                            weight * weight * spread * (same - at_risk[g] * at_risk[h]);
                    }
                }
            }
            for patient in tied {
                at_risk[patient.group] -= 1.0;
            }
        }
    }

    /// Quadratic form in the groups that were ever at risk, less one (their sum is zero).
    fn test(&self) -> Result<ChiSquaredTest, StatisticsError> {
        let mut used: Vec<usize> = (0..self.observed.len())
            .filter(|&g| self.expected[g] > 0.0 && self.covariance[g][g] > 0.0)
            .collect();
        if used.pop().is_none() || used.is_empty() {
            return Err(StatisticsError::NothingToCompare);
        }
        let difference: Vec<f64> = used
            .iter()
            .map(|&g| self.observed[g] - self.expected[g])
            .collect();
        let matrix: Vec<Vec<f64>> = used
            .iter()
            .map(|&g| used.iter().map(|&h| self.covariance[g][h]).collect())
            .collect();
        let factor =
            Cholesky::new(&matrix, 1e-12).map_err(|_| StatisticsError::NothingToCompare)?;
        Ok(ChiSquaredTest::new(
            dot(&difference, &factor.solve(&difference)),
            used.len(),
        ))
    }
}
