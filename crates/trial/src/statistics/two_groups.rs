//! Log-rank test and Cox hazard ratio of two groups for many replicate trials: one pass over
//! patients sorted by time, without allocation beyond buffers that the caller keeps.
//!
//! The results equal those of [`log_rank`](super::log_rank) (Mantel 1966, Cancer Chemother Rep
//! 50:163) and [`hazard_ratio`](super::hazard_ratio) (Cox 1972, J R Stat Soc B 34:187; ties after
//! Efron 1977, J Am Stat Assoc 72:557), which also give names, intervals and tests of several
//! covariates.

use std::ops::AddAssign;

use super::StatisticsError;
use super::error::require_same_length;

/// Log-rank score of a treated group and its null variance. Scores of strata, or of separate
/// sets of patients, add up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LogRankScore {
    /// Events in the treated group, less those expected under one common hazard.
    pub observed_minus_expected: f64,
    /// Hypergeometric variance of that difference: the statistical information on the log hazard
    /// ratio under the null hypothesis.
    pub variance: f64,
    /// Events in both groups.
    pub events: usize,
}

impl LogRankScore {
    /// Standardised score, negative when the treated group has fewer events than expected; `None`
    /// if the groups were never at risk together at an event.
    pub fn z(&self) -> Option<f64> {
        (self.variance > 0.0).then(|| self.observed_minus_expected / self.variance.sqrt())
    }
}

impl AddAssign for LogRankScore {
    fn add_assign(&mut self, other: Self) {
        self.observed_minus_expected += other.observed_minus_expected;
        self.variance += other.variance;
        self.events += other.events;
    }
}

/// Hazard ratio of the treated group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoGroupHazardRatio {
    /// Log hazard ratio, treated against control.
    pub log_hazard_ratio: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Events in both groups.
    pub events: usize,
}

/// Buffers of the functions below, to be kept between replicates.
#[derive(Debug, Clone, Default)]
pub struct TwoGroupScratch {
    rows: Vec<(f64, bool, bool)>,
    sets: Vec<RiskSet>,
}

/// Counts at one time with events.
#[derive(Debug, Clone, Copy)]
struct RiskSet {
    events: f64,
    treated_events: f64,
    at_risk: f64,
    treated_at_risk: f64,
}

/// Sorts three columns of the same patients by time, ascending.
///
/// # Errors
/// [`StatisticsError::LengthsDiffer`].
pub fn sort_two_groups(
    times: &mut [f64],
    events: &mut [bool],
    treated: &mut [bool],
    scratch: &mut TwoGroupScratch,
) -> Result<(), StatisticsError> {
    require_columns(times, events, treated)?;
    let rows = &mut scratch.rows;
    rows.clear();
    rows.extend((0..times.len()).map(|i| (times[i], events[i], treated[i])));
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    for (i, row) in rows.iter().enumerate() {
        (times[i], events[i], treated[i]) = *row;
    }
    Ok(())
}

/// Log-rank score of patients sorted by time. Allocates nothing.
///
/// # Errors
/// [`StatisticsError::LengthsDiffer`], `NotSorted` (which also covers NaN).
pub fn log_rank_score(
    times: &[f64],
    events: &[bool],
    treated: &[bool],
) -> Result<LogRankScore, StatisticsError> {
    let mut score = LogRankScore::default();
    visit_risk_sets(times, events, treated, |set| {
        let share = set.treated_at_risk / set.at_risk;
        score.observed_minus_expected += set.treated_events - set.events * share;
        if set.at_risk > 1.0 {
            let spread = set.events * (set.at_risk - set.events) / (set.at_risk - 1.0);
            score.variance += spread * share * (1.0 - share);
        }
        score.events += set.events as usize;
    })?;
    Ok(score)
}

/// Standardised log-rank statistic of patients sorted by time: standard normal without an effect,
/// negative when the treated group has fewer events. Its square is the statistic of
/// [`log_rank`](super::log_rank). Allocates nothing.
///
/// # Errors
/// As [`log_rank_score`], and [`StatisticsError::NoEvents`], `NothingToCompare`.
pub fn log_rank_z(
    times: &[f64],
    events: &[bool],
    treated: &[bool],
) -> Result<f64, StatisticsError> {
    let score = log_rank_score(times, events, treated)?;
    if score.events == 0 {
        return Err(StatisticsError::NoEvents {
            name: "both groups".to_owned(),
            method: "log-rank test",
        });
    }
    score.z().ok_or(StatisticsError::NothingToCompare)
}

/// Cox hazard ratio of the treated group, with Efron's treatment of ties, of patients sorted by
/// time. Newton's method inside a bracket; allocates only to grow `scratch`.
///
/// # Errors
/// As [`log_rank_score`], and [`StatisticsError::NoEvents`], `NotEstimable` if the groups were
/// never at risk together, `Separated` if one group has no event while the other is at risk.
pub fn cox_two_groups(
    times: &[f64],
    events: &[bool],
    treated: &[bool],
    scratch: &mut TwoGroupScratch,
) -> Result<TwoGroupHazardRatio, StatisticsError> {
    let sets = &mut scratch.sets;
    sets.clear();
    let mut count = 0;
    // Whether the likelihood has a maximum: it falls towards either end only if each group has an
    // event while the other is at risk.
    let (mut bounded_above, mut bounded_below) = (false, false);
    visit_risk_sets(times, events, treated, |set| {
        count += set.events as usize;
        let control_at_risk = set.at_risk - set.treated_at_risk;
        if set.treated_at_risk > 0.0 && control_at_risk > 0.0 {
            bounded_above |= set.events > set.treated_events;
            bounded_below |= set.treated_events > 0.0;
            sets.push(set);
        }
    })?;
    let covariate = || "treated vs control".to_owned();
    if count == 0 {
        return Err(StatisticsError::NoEvents {
            name: "both groups".to_owned(),
            method: "Cox model",
        });
    }
    if sets.is_empty() {
        return Err(StatisticsError::NotEstimable {
            covariate: covariate(),
        });
    }
    if !(bounded_above && bounded_below) {
        return Err(StatisticsError::Separated {
            covariate: covariate(),
        });
    }
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    let mut beta = 0.0_f64;
    for _ in 0..MAX_ITERATIONS {
        let (gradient, information) = derivatives(sets, beta);
        let step = (gradient / information).clamp(-MAX_STEP, MAX_STEP);
        if step.abs() <= STEP_TOLERANCE * (1.0 + beta.abs()) {
            return Ok(TwoGroupHazardRatio {
                log_hazard_ratio: beta + step,
                standard_error: information.sqrt().recip(),
                events: count,
            });
        }
        if gradient > 0.0 {
            low = beta;
        } else {
            high = beta;
        }
        let next = beta + step;
        // A step of full length on the far side of a point already ruled out.
        beta = if next > low && next < high {
            next
        } else {
            0.5 * (low + high)
        };
    }
    Err(StatisticsError::NotConverged {
        iterations: MAX_ITERATIONS,
    })
}

const MAX_ITERATIONS: usize = 100;
const MAX_STEP: f64 = 4.0;
const STEP_TOLERANCE: f64 = 1e-12;

/// First derivative of the log partial likelihood and minus the second.
fn derivatives(sets: &[RiskSet], beta: f64) -> (f64, f64) {
    let ratio = beta.exp();
    let (mut gradient, mut information) = (0.0, 0.0);
    for set in sets {
        let control_at_risk = set.at_risk - set.treated_at_risk;
        let control_events = set.events - set.treated_events;
        gradient += set.treated_events;
        let mut removed = 0.0;
        while removed < set.events {
            // Efron: the tied deaths leave the risk set in equal parts.
            let share = removed / set.events;
            let treated = (set.treated_at_risk - share * set.treated_events) * ratio;
            let control = control_at_risk - share * control_events;
            let probability = treated / (treated + control);
            gradient -= probability;
            information += probability * (1.0 - probability);
            removed += 1.0;
        }
    }
    (gradient, information)
}

fn visit_risk_sets(
    times: &[f64],
    events: &[bool],
    treated: &[bool],
    mut visit: impl FnMut(RiskSet),
) -> Result<(), StatisticsError> {
    require_columns(times, events, treated)?;
    let mut treated_at_risk = treated.iter().filter(|&&treated| treated).count();
    let mut first = 0;
    while first < times.len() {
        let time = times[first];
        let (mut leaving, mut dying, mut treated_dying) = (0, 0, 0);
        let mut next = first;
        while next < times.len() && times[next] == time {
            leaving += usize::from(treated[next]);
            dying += usize::from(events[next]);
            treated_dying += usize::from(events[next] & treated[next]);
            next += 1;
        }
        // NaN is not equal to itself, so that it stops here, too.
        if next == first || times.get(next).is_some_and(|&later| later < time) {
            return Err(StatisticsError::NotSorted { index: next });
        }
        if dying > 0 {
            visit(RiskSet {
                events: dying as f64,
                treated_events: treated_dying as f64,
                at_risk: (times.len() - first) as f64,
                treated_at_risk: treated_at_risk as f64,
            });
        }
        treated_at_risk -= leaving;
        first = next;
    }
    Ok(())
}

fn require_columns(
    times: &[f64],
    events: &[bool],
    treated: &[bool],
) -> Result<(), StatisticsError> {
    require_same_length("times", times.len(), "events", events.len())?;
    require_same_length("times", times.len(), "treated", treated.len())
}
