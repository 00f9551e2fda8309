//! Two measurements of the same patients: mean difference, Wilcoxon's signed-rank test and the
//! Hodges-Lehmann shift.
//!
//! Wilcoxon 1945, Biometrics Bull 1:80; Hodges and Lehmann 1963, Ann Math Stat 34:598.

use serde::{Deserialize, Serialize};

use super::describe::{mean_interval, mean_of, variance_of};
use super::error::{require_count, require_finite, require_level, require_same_length};
use super::tails::{normal_critical, normal_two_sided, student_two_sided};
use super::{Estimate, StatisticsError};

/// Largest count for which the exact null distribution is used (without ties or zeros).
const EXACT_LIMIT: usize = 50;

/// Mean of the paired differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Pairs.
    pub pairs: usize,
    /// Mean of `first - second` with its Student interval.
    pub mean: Estimate,
    /// Standard deviation of the differences.
    pub sd: f64,
    /// Two-sided p value of Student's paired test.
    pub p_value: f64,
}

/// Wilcoxon's signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignedRank {
    /// Pairs whose difference is not zero.
    pub pairs: usize,
    /// Pairs without a difference, left out.
    pub zeros: usize,
    /// Sum of the ranks of the positive differences.
    pub statistic: f64,
    /// Two-sided p value.
    pub p_value: f64,
    /// Whether the exact null distribution was used; otherwise a normal approximation with
    /// corrections for ties and continuity.
    pub exact: bool,
    /// Hodges-Lehmann estimate of the shift: the median of all pairwise averages of the non-zero
    /// differences, with its distribution-free interval.
    pub shift: Estimate,
}

/// Mean of `first - second` with its Student interval and test.
///
/// # Errors
/// [`StatisticsError::LengthsDiffer`], `TooFew` with fewer than two pairs, `NotFinite`, `Level`,
/// `AllZero`.
pub fn paired_difference(
    first: &[f64],
    second: &[f64],
    level: f64,
) -> Result<PairedDifference, StatisticsError> {
    let differences = differences(first, second)?;
    let mean = mean_interval("paired differences", &differences, level)?;
    let sd = variance_of(&differences, mean_of(&differences)).sqrt();
    if sd == 0.0 && mean.value == 0.0 {
        return Err(StatisticsError::AllZero {
            method: "paired test",
        });
    }
    let n = differences.len() as f64;
    let p_value = student_two_sided(mean.value / (sd / n.sqrt()), n - 1.0);
    Ok(PairedDifference {
        pairs: differences.len(),
        mean,
        sd,
        p_value,
    })
}

/// Wilcoxon's signed-rank test of `first - second`, zeros left out.
///
/// # Errors
/// As [`paired_difference`].
pub fn signed_rank(
    first: &[f64],
    second: &[f64],
    level: f64,
) -> Result<SignedRank, StatisticsError> {
    require_level(level)?;
    let all = differences(first, second)?;
    let mut kept: Vec<f64> = all.iter().copied().filter(|value| *value != 0.0).collect();
    if kept.is_empty() {
        return Err(StatisticsError::AllZero {
            method: "signed-rank test",
        });
    }
    kept.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = kept.len();
    let (mut statistic, mut tie_term, mut rank) = (0.0, 0.0, 0.0);
    for tied in kept.chunk_by(|a, b| a.abs() == b.abs()) {
        let count = tied.len() as f64;
        let shared = rank + 0.5 * (count + 1.0);
        statistic += shared * tied.iter().filter(|value| **value > 0.0).count() as f64;
        tie_term += count.powi(3) - count;
        rank += count;
    }
    let size = n as f64;
    let centre = size * (size + 1.0) / 4.0;
    let variance = size * (size + 1.0) * (2.0 * size + 1.0) / 24.0 - tie_term / 48.0;
    let zeros = all.len() - n;
    let exact = n <= EXACT_LIMIT && zeros == 0 && tie_term == 0.0;
    let null = exact.then(|| null_distribution(n));
    let p_value = match &null {
        Some(null) => {
            let small = statistic.min(2.0 * centre - statistic) as usize;
            (2.0 * null[..=small].iter().sum::<f64>()).min(1.0)
        }
        None => {
            let distance = ((statistic - centre).abs() - 0.5).max(0.0);
            normal_two_sided(distance / variance.sqrt())
        }
    };
    // The interval is a pair of order statistics of the Walsh averages: the k-th from either end,
    // with k the number of averages outside at this level.
    let averages = n * (n + 1) / 2;
    let tail = 0.5 * (1.0 - level);
    let outside = match &null {
        Some(null) => {
            let mut total = 0.0;
            null.iter()
                .take_while(|share| {
                    total += **share;
                    total <= tail
                })
                .count()
        }
        None => {
            let width = normal_critical(level) * variance.sqrt();
            (centre - width).floor().max(0.0) as usize
        }
    };
    let outside = outside.clamp(1, averages.div_ceil(2));
    kept.sort_by(f64::total_cmp);
    let order = |k: usize| walsh_order_statistic(&kept, k);
    let middle = 0.5 * (order(averages.div_ceil(2)) + order(averages / 2 + 1));
    Ok(SignedRank {
        pairs: n,
        zeros,
        statistic,
        p_value,
        exact,
        shift: Estimate {
            value: middle,
            low: order(outside),
            high: order(averages + 1 - outside),
            level,
        },
    })
}

fn differences(first: &[f64], second: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    require_same_length("first", first.len(), "second", second.len())?;
    require_finite("first", first)?;
    require_finite("second", second)?;
    require_count("paired comparison", "pairs", first.len(), 2)?;
    Ok(first.iter().zip(second).map(|(a, b)| a - b).collect())
}

/// Null probabilities of the signed-rank statistic 0..=n(n+1)/2.
fn null_distribution(n: usize) -> Vec<f64> {
    let mut shares = vec![0.0; n * (n + 1) / 2 + 1];
    shares[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..shares.len()).rev() {
            let with = if sum >= rank { shares[sum - rank] } else { 0.0 };
            shares[sum] = 0.5 * (shares[sum] + with);
        }
    }
    shares
}

/// The `k`-th smallest (from 1) of all averages (x_i + x_j) / 2, i <= j, of ascending values, by
/// bisection on the count of averages below a bound: n log steps instead of n^2 averages.
fn walsh_order_statistic(sorted: &[f64], k: usize) -> f64 {
    let count_upto = |bound: f64| {
        let mut upper = sorted.len();
        let mut count = 0;
        for (i, &x) in sorted.iter().enumerate() {
            while upper > i && 0.5 * (x + sorted[upper - 1]) > bound {
                upper -= 1;
            }
            if upper <= i {
                break;
            }
            count += upper - i;
        }
        count
    };
    let (mut low, mut high) = (sorted[0], sorted[sorted.len() - 1]);
    if count_upto(low) >= k {
        return low;
    }
    loop {
        let middle = low + 0.5 * (high - low);
        if middle <= low || middle >= high {
            return high;
        }
        if count_upto(middle) >= k {
            high = middle;
        } else {
            low = middle;
        }
    }
}
