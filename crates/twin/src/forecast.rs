//! What comes next for each patient, given what was seen of him: draws of his posterior by Markov
//! chains, predictions of his later records, intervals with and without measurement error.

use posology_cohort::nmtran::{Observation, Observations};
use posology_cohort::philox::{standard_normal, stream};
use rayon::prelude::*;

use crate::drift::Known;
use crate::error::TwinError;
use crate::likelihood::{from_normal_scale, normal_scale};
use crate::map::{self, MapOptions};
use crate::population::chains::{Chains, usual_moves};
use crate::problem::Problem;
use crate::space::Population;

/// How a posterior is sampled.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ForecastOptions {
    /// Chains per patient.
    pub chains: usize,
    /// Iterations that are thrown away, then draws kept of each chain, this many iterations apart.
    pub burn_in: usize,
    pub draws: usize,
    pub thinning: usize,
    pub seed: u64,
    /// Share of the interval, such as .9.
    pub level: f64,
}

impl Default for ForecastOptions {
    fn default() -> Self {
        Self {
            chains: 8,
            burn_in: 60,
            draws: 25,
            thinning: 3,
            seed: 1,
            level: 0.9,
        }
    }
}

/// One record's forecast, coherent units.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Forecast {
    /// Median of what a measurement would show.
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// Interval of the quantity itself, without measurement error.
    pub true_low: f64,
    pub true_high: f64,
}

/// What hides observations from a twin.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// Those after this time (model time unit).
    After(f64),
    /// The last ones of each patient.
    Last(usize),
    /// Those beyond this share of each patient's observations, rounded up.
    Share(f64),
}

/// Observations that a twin sees, and those kept from it.
pub fn split(all: &Observations, cut: Cut) -> (Observations, Vec<Observation>) {
    let (mut seen, mut hidden) = (Vec::new(), Vec::new());
    for own in all.observations.chunk_by(|a, b| a.subject == b.subject) {
        let keep = match cut {
            Cut::After(time) => own.partition_point(|o| o.time <= time),
            Cut::Last(n) => own.len().saturating_sub(n),
            Cut::Share(share) => ((own.len() as f64 * share).ceil() as usize).min(own.len()),
        };
        seen.extend_from_slice(&own[..keep]);
        hidden.extend_from_slice(&own[keep..]);
    }
    let seen = Observations {
        observations: seen,
        ..all.clone()
    };
    (seen, hidden)
}

/// Draws of the posteriors of patients `who`: `[patient][draw][p]`. `populations[of[i]]` is the
/// prior of patient `i`.
///
/// # Errors
/// Those of the device.
pub fn posterior(
    problem: &Problem,
    who: &[u32],
    populations: &[Population],
    of: &[usize],
    options: &ForecastOptions,
    mut progress: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<Vec<Vec<f64>>>, TwinError> {
    let p = problem.space.random.len();
    let search = MapOptions {
        seed: options.seed,
        ..MapOptions::default()
    };
    let modes = map::estimate(problem, who, populations, of, &search)?;
    let (mut subjects, mut groups, mut phi) = (Vec::new(), Vec::new(), Vec::new());
    for (i, &subject) in who.iter().enumerate() {
        for _ in 0..options.chains {
            subjects.push(subject);
            groups.push(of[i]);
            phi.extend(&modes[i].phi);
        }
    }
    let mut chains = Chains::new(problem, subjects, groups, phi, populations)?;
    let total = options.burn_in + options.draws * options.thinning;
    let mut draws = vec![Vec::with_capacity(options.chains * options.draws); who.len()];
    let moves = usual_moves(p, true);
    for k in 0..total {
        if !progress(k, total) {
            return Err(TwinError::Interrupted {
                done: k,
                total,
                what: "iterations",
            });
        }
        // step lengths settle while nothing is kept
        let adapt = if k < options.burn_in { 0.3 } else { 0.0 };
        chains.sweep(problem, populations, &moves, options.seed, k as u32, adapt)?;
        if k >= options.burn_in && (k - options.burn_in).is_multiple_of(options.thinning) {
            for (i, own) in draws.iter_mut().enumerate() {
                for c in i * options.chains..(i + 1) * options.chains {
                    own.push(chains.phi[c * p..(c + 1) * p].to_vec());
                }
            }
        }
    }
    progress(total, total);
    Ok(draws)
}

/// What the records of patients are, `[patient][record]`.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub observables: Vec<Vec<usize>>,
    /// Model time unit.
    pub times: Vec<Vec<f64>>,
}

/// Forecasts of every record of `who`, `[patient][record]`, from draws of [`posterior`].
///
/// # Errors
/// Those of the device.
pub fn forecast(
    problem: &Problem,
    who: &[u32],
    populations: &[Population],
    of: &[usize],
    draws: &[Vec<Vec<f64>>],
    records: &Records,
    options: &ForecastOptions,
) -> Result<Vec<Vec<Forecast>>, TwinError> {
    let mut out = Vec::with_capacity(who.len());
    for (i, &subject) in who.iter().enumerate() {
        let n = draws[i].len();
        let population = &populations[of[i]];
        let values = problem.values(populations, &vec![of[i]; n], &draws[i].concat());
        let f = problem.engine.predict(&vec![subject; n], &values)?;
        let count = problem.engine.record_count(subject as usize);
        let points = &problem.points[subject as usize];
        // per draw and observable: what the last measured observation says of the drift
        let last: Vec<Vec<Option<Known>>> = (0..n)
            .map(|d| {
                let mut last = vec![None; population.errors.len()];
                problem.walk(subject, f.of(d), population, |k, term, step| {
                    if step.known.is_some() && term.z.is_finite() {
                        last[points[k].observable] = step.known;
                    }
                });
                last
            })
            .collect();
        let one = |r: usize| {
            let observable = records.observables[i][r];
            let error = population.error(observable);
            let drift = population.drift(observable);
            let (mut quantity, mut expected) = (Vec::new(), Vec::new());
            let mut measured = Vec::new();
            for (d, known) in last.iter().enumerate() {
                let value = f.of(d)[r];
                if !value.is_finite() {
                    continue;
                }
                let e = standard_normal(
                    options.seed,
                    subject,
                    d as u32,
                    stream::PREDICTIVE,
                    r as u32,
                );
                let (centre, sd) = normal_scale(value, &error);
                // correlated errors carry the last one on, and are part of the course
                let given = drift.given(known[observable], records.times[i][r]);
                let shown = |z: f64| from_normal_scale(centre + sd * z, &error);
                quantity.push(shown(given.shift + given.drift * e));
                expected.push(shown(given.shift));
                measured.push(shown(given.shift + given.spread * e));
            }
            expected.sort_by(f64::total_cmp);
            quantity.sort_by(f64::total_cmp);
            measured.sort_by(f64::total_cmp);
            let tail = 0.5 * (1.0 - options.level);
            Forecast {
                median: quantile(&expected, 0.5),
                low: quantile(&measured, tail),
                high: quantile(&measured, 1.0 - tail),
                true_low: quantile(&quantity, tail),
                true_high: quantile(&quantity, 1.0 - tail),
            }
        };
        out.push((0..count).into_par_iter().map(one).collect());
    }
    Ok(out)
}

/// Quantile of ascending values, linear between neighbours (type 7 of Hyndman and Fan 1996); not a
/// number without values.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = share * last as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(last);
    let between = at - low as f64;
    // at a value itself the next one does not matter, be it infinite
    if between == 0.0 {
        sorted[low]
    } else {
        sorted[low] + between * (sorted[high] - sorted[low])
    }
}
