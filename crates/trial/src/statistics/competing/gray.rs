//! Gray's test: do groups differ in the cumulative incidence of one cause?
//!
//! Gray 1988, Ann Stat 16:1141, with the weight one (rho = 0): the score of group k sums
//! d_k - d R_k / R over the times of events d of the cause, with R_k = n_k (1 - F_k) / S_k the
//! risk set on the scale of the subdistribution. Unlike a log-rank test with other
//! causes censored, it compares the subdistribution, so that a treatment that only shortens life
//! does not look like one that prevents the event. The variance has the correction for ties of
//! the author's own program (R package cmprsk).

use serde::{Deserialize, Serialize};

use super::CompetingSample;
use crate::statistics::error::{require_count, require_same_length};
use crate::statistics::linear::{Cholesky, dot};
use crate::statistics::{ChiSquaredTest, StatisticsError};

const METHOD: &str = "Gray's test";

/// One group of the test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrayGroup {
    /// Name of the group.
    pub name: String,
    /// Patients in the group.
    pub patients: usize,
    /// Events of the cause.
    pub events: usize,
    /// Events of the cause in excess of what equal incidence would give; the scores of all groups
    /// sum to zero.
    pub score: f64,
}

/// Result of Gray's test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrayTest {
    /// The cause.
    pub cause: u32,
    /// Test of equal cumulative incidence.
    pub test: ChiSquaredTest,
    /// One entry per group, in the order given.
    pub groups: Vec<GrayGroup>,
}

#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Censored,
    Event,
    Competing,
}

struct Patient {
    time: f64,
    outcome: Outcome,
    group: usize,
    stratum: u32,
}

/// Gray's test of equal cumulative incidence of `cause` in all `groups`.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than two groups, `NoEvents` if nobody had the cause, or
/// `NothingToCompare` if their follow-up does not overlap.
pub fn gray_test(groups: &[&CompetingSample], cause: u32) -> Result<GrayTest, StatisticsError> {
    let strata: Vec<Vec<u32>> = groups.iter().map(|group| vec![0; group.len()]).collect();
    let strata: Vec<&[u32]> = strata.iter().map(Vec::as_slice).collect();
    stratified_gray_test(groups, &strata, cause)
}

/// Gray's test that compares patients only within their stratum.
///
/// `strata[g][i]` is the stratum of patient `i` of group `g`.
///
/// # Errors
/// As [`gray_test`], and [`StatisticsError::LengthsDiffer`].
pub fn stratified_gray_test(
    groups: &[&CompetingSample],
    strata: &[&[u32]],
    cause: u32,
) -> Result<GrayTest, StatisticsError> {
    require_count(METHOD, "groups", groups.len(), 2)?;
    require_same_length("groups", groups.len(), "strata", strata.len())?;
    let mut patients = Vec::new();
    for (index, (group, labels)) in groups.iter().zip(strata).enumerate() {
        let labels_name = format!("strata of {}", group.name());
        require_same_length(group.name(), group.len(), &labels_name, labels.len())?;
        let rows = group.times().iter().zip(group.causes()).zip(*labels);
        patients.extend(rows.map(|((&time, &reason), &stratum)| Patient {
            time,
            outcome: match reason {
                0 => Outcome::Censored,
                _ if reason == cause => Outcome::Event,
                _ => Outcome::Competing,
            },
            group: index,
            stratum,
        }));
    }
    if !patients.iter().any(|p| p.outcome == Outcome::Event) {
        let names: Vec<_> = groups.iter().map(|group| group.name()).collect();
        return Err(StatisticsError::NoEvents {
            name: names.join(", "),
            method: METHOD,
        });
    }
    patients.sort_by(|a, b| a.stratum.cmp(&b.stratum).then(a.time.total_cmp(&b.time)));
    let mut tally = Tally {
        score: vec![0.0; groups.len()],
        covariance: vec![vec![0.0; groups.len()]; groups.len()],
    };
    for stratum in patients.chunk_by(|a, b| a.stratum == b.stratum) {
        tally.add_stratum(stratum);
    }
    let test = tally.test()?;
    let groups = groups
        .iter()
        .zip(&tally.score)
        .map(|(group, &score)| GrayGroup {
            name: group.name().to_owned(),
            patients: group.len(),
            events: group.event_count(cause),
            score,
        });
    Ok(GrayTest {
        cause,
        test,
        groups: groups.collect(),
    })
}

struct Tally {
    score: Vec<f64>,
    covariance: Vec<Vec<f64>>,
}

/// Noise that one time adds to the scores through the events of one group and one kind.
struct Noise {
    group: usize,
    variance: f64,
    /// Weight of the later compensator increments that this noise feeds into.
    later: f64,
    /// Its direct effect on each score, less `later` times the compensator so far.
    direct: Vec<f64>,
}

impl Tally {
    /// Adds one stratum, sorted by time.
    fn add_stratum(&mut self, patients: &[Patient]) {
        let k = self.score.len();
        let mut at_risk = vec![0.0; k];
        patients.iter().for_each(|p| at_risk[p.group] += 1.0);
        let (mut survival, mut incidence) = (vec![1.0; k], vec![0.0; k]);
        let mut pooled = 0.0;
        let mut compensator = vec![vec![0.0; k]; k];
        let mut noises: Vec<Noise> = Vec::new();
        for tied in patients.chunk_by(|a, b| a.time == b.time) {
            let mut events = vec![0.0; k];
            let mut competing = vec![0.0; k];
            for patient in tied {
                match patient.outcome {
                    Outcome::Event => events[patient.group] += 1.0,
                    Outcome::Competing => competing[patient.group] += 1.0,
                    Outcome::Censored => {}
                }
            }
            let of_cause: f64 = events.iter().sum();
            if of_cause + competing.iter().sum::<f64>() > 0.0 {
                // Risk sets on the subdistribution scale (h and R of the paper).
                let scaled = ratio(&at_risk, &survival);
                let total: f64 = scaled.iter().sum();
                let remaining: Vec<f64> = (scaled.iter().zip(&incidence))
                    .map(|(n, f)| n * (1.0 - f))
                    .collect();
                let expected = of_cause / remaining.iter().sum::<f64>();
                let (before, rate) = (survival.clone(), of_cause / (total * (1.0 - pooled)));
                pooled += of_cause / total;
                let here: Vec<Vec<f64>> = (0..k)
                    .map(|i| {
                        (0..k)
                            .map(|j| {
                                let same = if i == j { scaled[i] } else { 0.0 };
                                same - scaled[i] * scaled[j] / total
                            })
                            .collect()
                    })
                    .collect();
                for i in (0..k).filter(|&i| at_risk[i] > 0.0) {
                    self.score[i] += events[i] - expected * remaining[i];
                    incidence[i] += survival[i] * events[i] / at_risk[i];
                    survival[i] *= (at_risk[i] - events[i] - competing[i]) / at_risk[i];
                    for j in 0..k {
                        compensator[i][j] += rate * here[i][j];
                    }
                }
                for g in (0..k).filter(|&g| at_risk[g] > 0.0) {
                    let share = |later: f64, direct: f64| -> Vec<f64> {
                        (0..k)
                            .map(|i| direct * here[i][g] - later * compensator[i][g])
                            .collect()
                    };
                    if of_cause > 0.0 {
                        let later = if survival[g] > 0.0 {
                            1.0 - (1.0 - pooled) / survival[g]
                        } else {
                            1.0
                        };
                        let ties = if of_cause > 1.0 {
                            1.0 - (of_cause - 1.0) / (total * before[g] - 1.0)
                        } else {
                            1.0
                        };
                        noises.push(Noise {
                            group: g,
                            variance: ties * before[g] * of_cause / (total * at_risk[g]),
                            later,
                            direct: share(later, 1.0),
                        });
                    }
                    if competing[g] > 0.0 && survival[g] > 0.0 {
                        let later = (1.0 - pooled) / survival[g];
                        let ties = if competing[g] > 1.0 {
                            1.0 - (competing[g] - 1.0) / (at_risk[g] - 1.0)
                        } else {
                            1.0
                        };
                        noises.push(Noise {
                            group: g,
                            variance: ties * (before[g] / at_risk[g]).powi(2) * competing[g],
                            later,
                            direct: share(later, 0.0),
                        });
                    }
                }
            }
            tied.iter().for_each(|p| at_risk[p.group] -= 1.0);
        }
        for noise in &noises {
            let effect: Vec<f64> = (0..k)
                .map(|i| noise.direct[i] + noise.later * compensator[i][noise.group])
                .collect();
            for i in 0..k {
                for j in 0..k {
                    self.covariance[i][j] += noise.variance * effect[i] * effect[j];
                }
            }
        }
    }

    /// Quadratic form in all groups but the last (the scores sum to zero).
    fn test(&self) -> Result<ChiSquaredTest, StatisticsError> {
        let mut used: Vec<usize> = (0..self.score.len())
            .filter(|&g| self.covariance[g][g] > 0.0)
            .collect();
        if used.pop().is_none() || used.is_empty() {
            return Err(StatisticsError::NothingToCompare);
        }
        let score: Vec<f64> = used.iter().map(|&g| self.score[g]).collect();
        let matrix: Vec<Vec<f64>> = used
            .iter()
            .map(|&g| used.iter().map(|&h| self.covariance[g][h]).collect())
            .collect();
        let factor =
            Cholesky::new(&matrix, 1e-12).map_err(|_| StatisticsError::NothingToCompare)?;
        let statistic = dot(&score, &factor.solve(&score));
        Ok(ChiSquaredTest::new(statistic, used.len()))
    }
}

/// Patients at risk over the probability of being free of any event; zero once none is left.
fn ratio(at_risk: &[f64], survival: &[f64]) -> Vec<f64> {
    (at_risk.iter().zip(survival))
        .map(|(n, s)| if *n > 0.0 { n / s } else { 0.0 })
        .collect()
}
