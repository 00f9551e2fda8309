//! Mann-Whitney test of two independent groups, with the Hodges-Lehmann shift.
//!
//! Mann and Whitney 1947, Ann Math Stat 18:50; Hodges and Lehmann 1963, Ann Math Stat 34:598;
//! interval after Hollander and Wolfe 1999, Nonparametric Statistical Methods, section 4.3.

use serde::{Deserialize, Serialize};

use super::error::{require_count, require_finite, require_level};
use super::tails::{normal_critical, normal_two_sided};
use super::{Estimate, StatisticsError};

/// Largest group for which the exact null distribution is used (without ties), as in R.
const EXACT_LIMIT: usize = 50;

/// Result of a Mann-Whitney test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankSum {
    /// Pairs in which the first group's value is larger, ties counting one half.
    pub statistic: f64,
    /// That number over all pairs: the probability that a value of the first group is larger.
    pub probability: f64,
    /// Two-sided p value.
    pub p_value: f64,
    /// Whether the exact null distribution was used; otherwise a normal approximation with
    /// corrections for ties and continuity.
    pub exact: bool,
    /// Hodges-Lehmann shift: the median of all differences, first minus second, with its
    /// distribution-free interval.
    pub shift: Estimate,
}

/// Compares the location of two groups.
///
/// # Errors
/// [`StatisticsError::TooFew`] if a group is empty, `NotFinite`, `Level`, `AllZero` if all values
/// are equal.
pub fn rank_sum(first: &[f64], second: &[f64], level: f64) -> Result<RankSum, StatisticsError> {
    require_level(level)?;
    for (name, values) in [("first", first), ("second", second)] {
        require_count(METHOD, name, values.len(), 1)?;
        require_finite(name, values)?;
    }
    let mut all: Vec<(f64, bool)> = first
        .iter()
        .map(|&value| (value, true))
        .chain(second.iter().map(|&value| (value, false)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (mut ranks, mut before) = (0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let count = tied.len() as f64;
        let members = tied.iter().filter(|row| row.1).count() as f64;
        ranks += members * (before + 0.5 * (count + 1.0));
        before += count;
    }
    let statistic = ranks - 0.5 * n * (n + 1.0);
    let ties = tie_term(all.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len));
    let variance = spread(n, m, ties);
    if variance <= 0.0 {
        return Err(StatisticsError::AllZero { method: METHOD });
    }
    let exact = ties == 0.0 && first.len() < EXACT_LIMIT && second.len() < EXACT_LIMIT;
    let null = exact.then(|| null_distribution(first.len(), second.len()));
    let pairs = n * m;
    let p_value = match &null {
        Some(null) => {
            let small = statistic.min(pairs - statistic) as usize;
            (2.0 * null[..=small].iter().sum::<f64>()).min(1.0)
        }
        None => {
            let distance = ((statistic - 0.5 * pairs).abs() - 0.5).max(0.0);
            normal_two_sided(distance / variance.sqrt())
        }
    };
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (first, second) = (sorted(first), sorted(second));
    let total = first.len() * second.len();
    let tail = 0.5 * (1.0 - level);
    // Rank, from either end, of the difference that limits the interval.
    let rank = match &null {
        Some(null) => {
            let mut sum = 0.0;
            null.iter()
                .take_while(|share| {
                    sum += **share;
                    sum < tail
                })
                .count()
        }
        None => {
            // After a shift only ties within a group are left.
            let within = [&first, &second]
                .map(|values| tie_term(values.chunk_by(|a, b| a == b).map(<[_]>::len)));
            let deviation = spread(n, m, within.iter().sum()).sqrt();
            (0.5 * pairs - 0.5 - normal_critical(level) * deviation)
                .ceil()
                .max(0.0) as usize
        }
    };
    let rank = rank.clamp(1, total.div_ceil(2));
    let order = |k: usize| difference_of_rank(&first, &second, k);
    Ok(RankSum {
        statistic,
        probability: statistic / pairs,
        p_value,
        exact,
        shift: Estimate {
            value: 0.5 * (order(total.div_ceil(2)) + order(total / 2 + 1)),
            low: order(rank),
            high: order(total + 1 - rank),
            level,
        },
    })
}

const METHOD: &str = "Mann-Whitney test";

fn tie_term(counts: impl Iterator<Item = usize>) -> f64 {
    counts
        .map(|count| {
            let count = count as f64;
            count * (count * count - 1.0)
        })
        .sum()
}

fn spread(n: f64, m: f64, ties: f64) -> f64 {
    let all = n + m;
    n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)))
}

/// Null probabilities of the statistic 0..=n m: the coefficients of the Gaussian binomial.
fn null_distribution(n: usize, m: usize) -> Vec<f64> {
    let size = n * m + 1;
    let mut shares = vec![0.0; size];
    shares[0] = 1.0;
    // Times (1 - q^(m + i)) / (1 - q^i) for each i, scaled so that the sum stays one.
    for i in 1..=n {
        for k in (m + i..size).rev() {
            shares[k] -= shares[k - m - i];
        }
        for k in i..size {
            shares[k] += shares[k - i];
        }
        let scale = i as f64 / (m + i) as f64;
        shares.iter_mut().for_each(|share| *share *= scale);
    }
    shares
}

/// The `k`-th smallest (from 1) of all differences `first - second` of ascending columns, by
/// bisection on the count of differences up to a bound.
fn difference_of_rank(first: &[f64], second: &[f64], k: usize) -> f64 {
    let count_upto = |bound: f64| {
        let mut lower = 0;
        first
            .iter()
            .map(|x| {
                while lower < second.len() && x - second[lower] > bound {
                    lower += 1;
                }
                second.len() - lower
            })
            .sum::<usize>()
    };
    let mut low = first[0] - second[second.len() - 1];
    let mut high = first[first.len() - 1] - second[0];
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
