//! Win ratio of matched pairs.

use serde::{Deserialize, Serialize};

use super::counts::{Verdict, compare};
use super::endpoint::{METHOD, WinEndpoint, require_same_patients};
use super::statistics::EndpointWins;
use crate::statistics::error::{require_level, require_same_length};
use crate::statistics::tails::{normal_critical, normal_two_sided};
use crate::statistics::{Estimate, StatisticsError};

/// Result of a comparison of matched pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatchedWinRatio {
    /// Pairs.
    pub pairs: u64,
    /// Pairs won by the treated patient.
    pub wins: u64,
    /// Pairs lost by the treated patient.
    pub losses: u64,
    /// One entry per endpoint, in the order of importance.
    pub endpoints: Vec<EndpointWins>,
    /// Wins over losses. The interval is that of the share of wins among decided pairs, as odds.
    pub win_ratio: Estimate,
    /// Distance of that share from one half, in standard errors.
    pub z: f64,
    /// Two-sided p value.
    pub p_value: f64,
}

/// Compares patient `i` of the treated arm with patient `i` of the control arm only, for example
/// pairs matched on risk, or one virtual patient under both treatments. Pocock et al. 2012, Eur
/// Heart J 33:176, appendix.
///
/// # Errors
/// [`StatisticsError::TooFew`] without endpoints, `LengthsDiffer` if the arms differ in size,
/// `EmptyCell` without wins or without losses, `Level`.
pub fn matched_win_ratio(
    endpoints: &[WinEndpoint],
    level: f64,
) -> Result<MatchedWinRatio, StatisticsError> {
    require_level(level)?;
    let (treated, control) = require_same_patients(endpoints)?;
    require_same_length("treated", treated, "control", control)?;
    let mut by_endpoint: Vec<EndpointWins> = endpoints
        .iter()
        .map(|endpoint| EndpointWins {
            name: endpoint.name().to_owned(),
            wins: 0,
            losses: 0,
        })
        .collect();
    for i in 0..treated {
        for (endpoint, tally) in endpoints.iter().zip(&mut by_endpoint) {
            match compare(endpoint.treated(), i, endpoint.control(), i) {
                Verdict::Win => tally.wins += 1,
                Verdict::Loss => tally.losses += 1,
                Verdict::Tie => continue,
            }
            break;
        }
    }
    let wins: u64 = by_endpoint.iter().map(|e| e.wins).sum();
    let losses: u64 = by_endpoint.iter().map(|e| e.losses).sum();
    if wins == 0 || losses == 0 {
        return Err(StatisticsError::EmptyCell {
            method: METHOD,
            cause: "the treated patients win no pair, or lose none",
            remedy: "report the numbers of wins and losses",
        });
    }
    let decided = (wins + losses) as f64;
    let share = wins as f64 / decided;
    let error = (share * (1.0 - share) / decided).sqrt();
    let margin = normal_critical(level) * error;
    let odds = |share: f64| {
        let share = share.clamp(0.0, 1.0);
        share / (1.0 - share)
    };
    let z = (share - 0.5) / error;
    Ok(MatchedWinRatio {
        pairs: treated as u64,
        wins,
        losses,
        endpoints: by_endpoint,
        win_ratio: Estimate {
            value: wins as f64 / losses as f64,
            low: odds(share - margin),
            high: odds(share + margin),
            level,
        },
        z,
        p_value: normal_two_sided(z),
    })
}
