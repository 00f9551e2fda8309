//! How good forecasts were: errors against what was kept from the twin, and against carrying the
//! last observation forward.

use posology_cohort::nmtran::{Observation, Seen};
use posology_cohort::philox::{draw, stream};

use crate::forecast::{Forecast, quantile};

/// One hidden observation with its forecast; coherent units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub subject: usize,
    pub time: f64,
    pub observable: usize,
    pub seen: Seen,
    pub forecast: Forecast,
    /// The patient's last visible observation of the same observable, if there is one.
    pub carried: Option<f64>,
}

impl Scored {
    /// The observation, unless it is censored.
    pub fn measured(&self) -> Option<f64> {
        (!self.seen.censored()).then(|| self.seen.number())
    }
}

/// Scores of one observable over patients: every error is averaged within a patient first.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Scores {
    pub observable: usize,
    pub patients: usize,
    pub observations: usize,
    /// Hidden observations that are censored, or without an earlier one: not scored.
    pub left_out: usize,
    /// Mean absolute error in coherent units, relative to each patient's largest observation, and of
    /// the natural logarithm (observations of zero left out of the last).
    pub absolute: Comparison,
    pub relative: Comparison,
    pub logarithm: Comparison,
    /// Share of hidden observations inside their interval; not a number where none is scored.
    pub coverage: f64,
}

/// Mean absolute errors of the forecast and of carrying forward, and their paired difference with
/// the 95 % interval of a bootstrap over patients.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Comparison {
    pub patients: usize,
    pub forecast: f64,
    pub carry_forward: f64,
    pub difference: f64,
    pub interval: (f64, f64),
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 10_000;

/// Score hidden observations. `largest[subject]`: the patient's largest visible observation of
/// the observable that is scored.
pub fn scores(
    all: &[Scored],
    observable: usize,
    largest: impl Fn(usize) -> f64,
    seed: u64,
) -> Scores {
    let of = |s: &&Scored| s.observable == observable;
    let usable =
        |s: &Scored| !s.seen.censored() && s.forecast.median.is_finite() && s.carried.is_some();
    let own: Vec<Scored> = all.iter().filter(of).copied().collect();
    let used: Vec<Scored> = own.iter().filter(|s| usable(s)).copied().collect();
    let inside = |s: &&Scored| {
        let y = s.seen.number();
        y >= s.forecast.low && y <= s.forecast.high
    };
    let compare = |error: &dyn Fn(&Scored, f64) -> Option<f64>| {
        let mut pairs = Vec::new();
        for patient in used.chunk_by(|a, b| a.subject == b.subject) {
            let mean = |of: &dyn Fn(&Scored) -> f64| {
                let errors: Vec<f64> = patient.iter().filter_map(|s| error(s, of(s))).collect();
                (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
            };
            if let (Some(a), Some(b)) = (
                mean(&|s| s.forecast.median),
                mean(&|s| s.carried.unwrap_or(f64::NAN)),
            ) {
                pairs.push((a, b));
            }
        }
        comparison(&pairs, seed)
    };
    let patients = used.chunk_by(|a, b| a.subject == b.subject).count();
    Scores {
        observable,
        patients,
        observations: used.len(),
        left_out: own.len() - used.len(),
        absolute: compare(&|s, f| Some((f - s.seen.number()).abs())),
        relative: compare(&|s, f| Some((f - s.seen.number()).abs() / largest(s.subject))),
        logarithm: compare(&|s, f| {
            let y = s.seen.number();
            let positive = y > 0.0 && s.forecast.median > 0.0 && s.carried.unwrap_or(0.0) > 0.0;
            positive.then(|| (f.ln() - y.ln()).abs())
        }),
        coverage: used.iter().filter(inside).count() as f64 / used.len() as f64,
    }
}

/// Mean errors of pairs (forecast, carried forward), one pair per patient.
pub fn comparison(pairs: &[(f64, f64)], seed: u64) -> Comparison {
    let n = pairs.len();
    if n == 0 {
        return Comparison::default();
    }
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n as f64;
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|b| {
            let one = |i: usize| {
                let [word, ..] = draw(seed, b as u32, 0, stream::PREDICTIVE, i as u32);
                let (forecast, carried) = pairs[((u64::from(word) * n as u64) >> 32) as usize];
                forecast - carried
            };
            (0..n).map(one).sum::<f64>() / n as f64
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    Comparison {
        patients: n,
        forecast: mean(&|p| p.0),
        carry_forward: mean(&|p| p.1),
        difference: mean(&|p| p.0 - p.1),
        interval: (quantile(&resampled, 0.025), quantile(&resampled, 0.975)),
    }
}

/// The last visible value of every patient and observable, coherent.
pub fn carried(seen: &[Observation], subject: usize, observable: usize) -> Option<f64> {
    let own = |o: &&Observation| o.subject == subject && o.observable == observable;
    seen.iter().rfind(own).map(|o| o.seen.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_paired() {
        let pairs: Vec<(f64, f64)> = (0..50)
            .map(|i| (f64::from(i), f64::from(i) + 0.5))
            .collect();
        let found = comparison(&pairs, 1);
        assert!((found.difference + 0.5).abs() < 1e-12);
        assert!((found.interval.0 + 0.5).abs() < 1e-9 && (found.interval.1 + 0.5).abs() < 1e-9);
        let noisy: Vec<(f64, f64)> = (0..50)
            .map(|i| (f64::from(i % 7), f64::from(i % 5)))
            .collect();
        let found = comparison(&noisy, 1);
        assert!(found.interval.0 < found.difference && found.difference < found.interval.1);
    }
}
