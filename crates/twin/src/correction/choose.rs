//! How much of a trained correction is kept.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::individuals::Group;
use super::{Improvement, Share};
use crate::error::TwinError;
use crate::problem::Problem;
use crate::space::Population;

/// Shares of the output layer that are tried.
const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Rounds of estimates and residual errors of every share.
const SETTLE: usize = 4;
const ROUNDS: usize = 40;
/// How sure a correction has to be of its use.
const LEVEL: f64 = 0.95;

type Chosen = (Vec<Share>, Improvement, (f64, Population));

/// `outer`: where the output layer is among the fixed effects. `roles`: who trains, chooses,
/// judges; `phi` of the first two, where their searches begin.
pub(super) fn choose(
    problem: &Problem,
    outer: &[usize],
    roles: [&[u32]; 3],
    trained: &Population,
    phi: &[f64],
    least_gain: f64,
) -> Result<Chosen, TwinError> {
    let [train, choose, judge] = roles.map(<[u32]>::len);
    let each = train + choose + judge;
    let mut populations = Vec::with_capacity(SHARES.len());
    let (mut who, mut of, mut begin) = (Vec::new(), Vec::new(), Vec::new());
    for (g, alpha) in SHARES.into_iter().enumerate() {
        let mut population = trained.clone();
        // no -0: a file of zeros says that the correction is off
        let shrink = |w: f64| if alpha == 0.0 { 0.0 } else { alpha * w };
        outer
            .iter()
            .for_each(|&k| population.fixed[k] = shrink(population.fixed[k]));
        populations.push(population);
        who.extend(roles.iter().flat_map(|role| role.iter().copied()));
        of.extend(std::iter::repeat_n(g, each));
        begin.extend_from_slice(phi);
        begin.extend((0..judge).flat_map(|_| trained.mu.clone()));
    }
    let mut group = Group::new(problem, who, of, begin);
    let mut f = Default::default();
    for _ in 0..SETTLE {
        group.estimate(&populations, ROUNDS)?;
        f = group.predict(&populations)?;
        let errors: Vec<_> = (0..SHARES.len())
            .map(|g| group.errors(&populations, g, &f, |i| i % each < train))
            .collect();
        for (population, errors) in populations.iter_mut().zip(errors) {
            population.errors = errors;
        }
    }
    let logs = group.marginal(&populations, &f);
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let part = |g: usize, from: usize, to: usize| &logs[g * each + from..g * each + to];
    let shares: Vec<Share> = SHARES
        .into_iter()
        .enumerate()
        .map(|(g, alpha)| Share {
            alpha,
            held_out: mean(part(g, train, train + choose)),
        })
        .collect();
    let best = (1..SHARES.len()).max_by(|&a, &b| {
        let [a, b] = [a, b].map(|g| finite(shares[g].held_out));
        a.total_cmp(&b)
    });
    let best = best.unwrap_or(0);
    let pairs = part(best, train + choose, each)
        .iter()
        .zip(part(0, train + choose, each));
    let differences: Vec<f64> = pairs.map(|(with, without)| with - without).collect();
    let seen = |&s: &u32| problem.points[s as usize].len();
    let observations: usize = roles[2].iter().map(seen).sum();
    let least = least_gain * observations as f64 / judge as f64;
    let improvement = paired(&differences, least);
    let better = finite(shares[best].held_out) > finite(shares[0].held_out);
    let kept = if better && improvement.is_clear() {
        best
    } else {
        0
    };
    Ok((
        shares,
        improvement,
        (SHARES[kept], populations.swap_remove(kept)),
    ))
}

fn finite(value: f64) -> f64 {
    if value.is_finite() {
        value
    } else {
        f64::NEG_INFINITY
    }
}

/// Mean and standard error of differences, with the quantile of a one-sided t test.
fn paired(differences: &[f64], least: f64) -> Improvement {
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0);
    Improvement {
        mean,
        se: (squares / (n - 1.0) / n).sqrt(),
        patients: differences.len(),
        least,
        quantile: quantile.map_or(f64::INFINITY, |t| t.inverse_cdf(LEVEL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 95 % quantile of 4 degrees of freedom is 2.1318 in tables.
    #[test]
    fn a_gain_is_judged_by_students_t() {
        let found = paired(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0);
        assert!((found.quantile - 2.131_8).abs() < 1e-4);
        assert!((found.se - 0.5f64.sqrt()).abs() < 1e-12);
        assert!(found.is_clear());
        assert!(!paired(&[1.0, -1.0, 2.0, -1.5, 0.4], 0.0).is_clear());
        assert!(!paired(&[1.0, 2.0, 3.0, 4.0, 5.0], 1.6).is_clear());
        assert!(!paired(&[f64::NAN, 1.0, 2.0], 0.0).is_clear());
        assert!(!paired(&[0.0; 5], 0.0).is_clear());
    }
}
