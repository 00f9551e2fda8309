//! The statistics of a trial: survival curves and tests, proportional hazards, proportions,
//! resampling, paired comparisons and plain summaries.
//!
//! Conventions: times carry the caller's unit, `events[i]` is `true` for an event and `false`
//! for a censored patient, confidence levels are fractions (`0.95`), all tests are two-sided.
//! Every method is checked against independent packages (`scripts/golden`).

mod bootstrap;
mod competing;
mod conditional;
mod cox;
mod describe;
mod error;
mod estimate;
mod kaplan_meier;
mod least_squares;
mod linear;
mod log_rank;
mod logistic;
mod mantel_haenszel;
mod multiplicity;
mod paired;
mod power;
mod proportion;
mod random;
mod rank_sum;
mod restricted_mean;
mod roots;
mod sample;
mod subgroup_parts;
mod subgroups;
mod tails;
mod two_arms;
mod two_groups;
mod two_means;
mod wins;

pub use bootstrap::{
    Bootstrap, BootstrapInterval, bias_corrected_interval, bootstrap, bootstrap_indices,
    bootstrap_paired, bootstrap_unpaired, percentile_interval,
};
pub use competing::{
    CompetingSample, CumulativeIncidence, GrayGroup, GrayTest, IncidenceStep, gray_test,
    stratified_gray_test,
};
pub use cox::{
    Covariate, CoxCoefficient, CoxFit, ProportionalHazards, ProportionalHazardsTerm, TimeTransform,
    cox, hazard_ratio, proportional_hazards,
};
pub use describe::{Summary, mean, mean_interval, median, quantile, root_mean_square_error};
pub use error::StatisticsError;
pub use estimate::{ChiSquaredTest, Estimate, TimeEstimate};
pub use kaplan_meier::{Band, KaplanMeier, Step};
pub use least_squares::{LinearCoefficient, LinearFit, adjusted_difference, least_squares};
pub use log_rank::{LogRank, LogRankGroup, log_rank, stratified_log_rank, weighted_log_rank};
pub use logistic::{LogisticCoefficient, LogisticFit, logistic};
pub use mantel_haenszel::{MantelHaenszel, mantel_haenszel};
pub use multiplicity::{Multiplicity, adjust_p_values};
pub use paired::{PairedDifference, SignedRank, paired_difference, signed_rank};
pub use power::{
    detectable_hazard_ratio, detectable_interaction, detectable_mean_difference,
    detectable_risk_difference, freedman_events, freedman_power, mean_difference_power,
    schoenfeld_events, schoenfeld_power, two_proportions_patients, two_proportions_power,
};
pub use proportion::{clopper_pearson, wilson};
pub use random::UniformSource;
pub use rank_sum::{RankSum, rank_sum};
pub use restricted_mean::{
    RestrictedMean, RestrictedMeanDifference, restricted_mean, restricted_mean_difference,
};
pub use sample::SurvivalSample;
pub use subgroups::{
    BinaryScale, Heterogeneity, InteractionTest, SubgroupAnalysis, SubgroupEffect,
    binary_subgroups, heterogeneity, mean_subgroups, survival_subgroups,
};
pub use two_arms::{DifferenceInterval, RatioInterval, TwoArms};
pub use two_groups::{
    LogRankScore, TwoGroupHazardRatio, TwoGroupScratch, cox_two_groups, log_rank_score, log_rank_z,
    sort_two_groups,
};
pub use two_means::{
    GeometricMeanRatio, GroupVariance, MeanDifference, geometric_mean_ratio, mean_difference,
};
pub use wins::{
    Better, EndpointWins, FinkelsteinSchoenfeld, MatchedWinRatio, WinEndpoint, WinRatio,
    WinStatistic, WinVariance, finkelstein_schoenfeld, matched_win_ratio, stratified_win_ratio,
    win_ratio,
};
