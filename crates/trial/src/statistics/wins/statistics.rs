//! Win ratio, net benefit and win odds of unmatched patients.

use serde::{Deserialize, Serialize};

use super::counts::{Counts, Spread};
use super::endpoint::{METHOD, WinEndpoint, require_same_patients};
use crate::statistics::error::{require_count, require_level};
use crate::statistics::tails::{normal_critical, normal_two_sided};
use crate::statistics::{Estimate, StatisticsError};

/// How the variance is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WinVariance {
    /// First-order variance of the U statistics at the observed rates: Bebu and Lachin 2016,
    /// Biostatistics 17:178. For intervals.
    #[default]
    Estimated,
    /// At equal rates of wins and losses: Dong et al. 2016, Pharm Stat 15:430; as in
    /// the R package WINS. For tests.
    Null,
}

/// One win statistic with its test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WinStatistic {
    /// Value and normal interval (on the logarithm for ratio and odds).
    pub estimate: Estimate,
    /// Standardised distance from no effect.
    pub z: f64,
    /// Two-sided p value.
    pub p_value: f64,
}

/// Pairs that one endpoint decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointWins {
    /// Endpoint.
    pub name: String,
    /// Pairs won by the treated patient.
    pub wins: u64,
    /// Pairs lost by the treated patient.
    pub losses: u64,
}

/// Result of a comparison of all pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WinRatio {
    /// Pairs compared: of all strata, patients of one arm times those of the other.
    pub pairs: u64,
    /// Pairs won by the treated patient.
    pub wins: u64,
    /// Pairs lost by the treated patient.
    pub losses: u64,
    /// Pairs that no endpoint decided.
    pub ties: u64,
    /// One entry per endpoint, in the order of importance.
    pub endpoints: Vec<EndpointWins>,
    /// Wins over losses; `None` without wins or without losses.
    pub win_ratio: Option<WinStatistic>,
    /// Share of pairs won minus share lost (Buyse 2010, Stat Med 29:3245).
    pub net_benefit: WinStatistic,
    /// Wins plus half the ties, over losses plus half the ties (Brunner et al. 2021, Stat
    /// Med 40:3367); `None` if all pairs are won or all lost.
    pub win_odds: Option<WinStatistic>,
}

/// Compares every treated patient with every control patient.
///
/// # Errors
/// [`StatisticsError::TooFew`] without endpoints or with fewer than two patients in an arm,
/// `LengthsDiffer` if endpoints have different patients, `NoSpread` if all pairs have one
/// outcome, `Level`.
pub fn win_ratio(
    endpoints: &[WinEndpoint],
    variance: WinVariance,
    level: f64,
) -> Result<WinRatio, StatisticsError> {
    stratified_win_ratio(&[endpoints], variance, level)
}

/// Compares treated with control patients within strata, each stratum weighted by one over its
/// number of patients: Dong et al. 2018, J Biopharm Stat 28:778.
///
/// `strata[s]` holds the endpoints, the same in every stratum, of its patients.
///
/// # Errors
/// As [`win_ratio`], for each stratum.
pub fn stratified_win_ratio(
    strata: &[&[WinEndpoint]],
    variance: WinVariance,
    level: f64,
) -> Result<WinRatio, StatisticsError> {
    require_level(level)?;
    require_count(METHOD, "strata", strata.len(), 1)?;
    let mut counts = Vec::with_capacity(strata.len());
    for endpoints in strata {
        crate::statistics::error::require_same_length(
            "endpoints of the first stratum",
            strata[0].len(),
            "endpoints of a later stratum",
            endpoints.len(),
        )?;
        let (treated, control) = require_same_patients(endpoints)?;
        require_count(METHOD, "treated", treated, 2)?;
        require_count(METHOD, "control", control, 2)?;
        counts.push(Counts::new(endpoints, treated, control));
    }
    let sums = Sums::new(&counts, variance);
    let z = normal_critical(level);
    let net_benefit = sums.net_benefit(z, level)?;
    let endpoints = strata[0].iter().enumerate().map(|(index, endpoint)| {
        let here = counts.iter().map(|c| c.by_endpoint[index]);
        let (wins, losses) = here.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        EndpointWins {
            name: endpoint.name().to_owned(),
            wins,
            losses,
        }
    });
    let pairs = counts.iter().map(|c| (c.treated * c.control) as u64).sum();
    let wins: u64 = counts.iter().map(Counts::wins).sum();
    let losses: u64 = counts.iter().map(Counts::losses).sum();
    Ok(WinRatio {
        pairs,
        wins,
        losses,
        ties: pairs - wins - losses,
        endpoints: endpoints.collect(),
        win_ratio: sums.win_ratio(z, level),
        net_benefit,
        win_odds: sums.win_odds(z, level),
    })
}

/// Weighted sums over strata.
struct Sums {
    wins: f64,
    losses: f64,
    pairs: f64,
    spread: Spread,
    variance: WinVariance,
}

impl Sums {
    fn new(counts: &[Counts], variance: WinVariance) -> Self {
        let mut sums = Self {
            wins: 0.0,
            losses: 0.0,
            pairs: 0.0,
            spread: Spread {
                wins: 0.0,
                losses: 0.0,
                both: 0.0,
            },
            variance,
        };
        for count in counts {
            let weight = ((count.treated + count.control) as f64).recip();
            let spread = match variance {
                WinVariance::Estimated => count.spread(),
                WinVariance::Null => count.null_spread(),
            };
            sums.wins += weight * count.wins() as f64;
            sums.losses += weight * count.losses() as f64;
            sums.pairs += weight * count.pairs();
            sums.spread.wins += weight * weight * spread.wins;
            sums.spread.losses += weight * weight * spread.losses;
            sums.spread.both += weight * weight * spread.both;
        }
        sums
    }

    /// Variance of wins minus losses.
    fn difference(&self) -> f64 {
        (self.spread.wins + self.spread.losses - 2.0 * self.spread.both).max(0.0)
    }

    fn net_benefit(&self, z: f64, level: f64) -> Result<WinStatistic, StatisticsError> {
        let error = self.difference().sqrt() / self.pairs;
        if error <= 0.0 {
            return Err(StatisticsError::NoSpread {
                method: METHOD,
                name: "outcome of the pairs".to_owned(),
            });
        }
        let value = (self.wins - self.losses) / self.pairs;
        Ok(WinStatistic {
            estimate: Estimate {
                value,
                low: value - z * error,
                high: value + z * error,
                level,
            },
            z: value / error,
            p_value: normal_two_sided(value / error),
        })
    }

    fn win_ratio(&self, z: f64, level: f64) -> Option<WinStatistic> {
        if self.wins == 0.0 || self.losses == 0.0 {
            return None;
        }
        let variance = match self.variance {
            WinVariance::Null => self.difference() / (0.5 * (self.wins + self.losses)).powi(2),
            WinVariance::Estimated => {
                self.spread.wins / (self.wins * self.wins)
                    + self.spread.losses / (self.losses * self.losses)
                    - 2.0 * self.spread.both / (self.wins * self.losses)
            }
        };
        Some(on_logarithm(self.wins / self.losses, variance, z, level))
    }

    fn win_odds(&self, z: f64, level: f64) -> Option<WinStatistic> {
        let probability = 0.5 + 0.5 * (self.wins - self.losses) / self.pairs;
        if probability <= 0.0 || probability >= 1.0 {
            return None;
        }
        let centre = match self.variance {
            WinVariance::Null => 0.5,
            WinVariance::Estimated => probability,
        };
        let slope = 0.5 / (self.pairs * centre * (1.0 - centre));
        let odds = probability / (1.0 - probability);
        Some(on_logarithm(
            odds,
            self.difference() * slope * slope,
            z,
            level,
        ))
    }
}

fn on_logarithm(value: f64, variance: f64, z: f64, level: f64) -> WinStatistic {
    let error = variance.max(0.0).sqrt();
    let distance = value.ln() / error;
    WinStatistic {
        estimate: Estimate {
            value,
            low: value * (-z * error).exp(),
            high: value * (z * error).exp(),
            level,
        },
        z: distance,
        p_value: normal_two_sided(distance),
    }
}
