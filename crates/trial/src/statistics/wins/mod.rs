//! Win statistics: patients of two arms compared pair by pair on endpoints in the order of their
//! importance. The first endpoint on which the two differ decides the pair.
//!
//! Pocock et al. 2012, Eur Heart J 33:176.

mod counts;
mod endpoint;
mod matched;
mod pooled;
mod statistics;

pub use endpoint::{Better, WinEndpoint};
pub use matched::{MatchedWinRatio, matched_win_ratio};
pub use pooled::{FinkelsteinSchoenfeld, finkelstein_schoenfeld};
pub use statistics::{
    EndpointWins, WinRatio, WinStatistic, WinVariance, stratified_win_ratio, win_ratio,
};
