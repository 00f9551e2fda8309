//! Which patients train, choose and judge, and which options make sense.

use posology_cohort::philox::{draw, stream, uniform_closed_open};

use super::TrainOptions;
use crate::error::TwinError;
use crate::problem::Problem;

/// Fewest patients that train, that choose, and that judge.
const FEWEST: usize = 5;
/// Apart from the steps of searches, which draw from the same stream.
const STEP: u32 = 1 << 17;

pub(super) fn check(options: &TrainOptions) -> Result<(), TwinError> {
    let wrong = |what: &str, remedy: &str| {
        Err(TwinError::Setting {
            what: what.into(),
            remedy: remedy.into(),
        })
    };
    if options.epochs == 0 || options.steps == 0 {
        return wrong("no step is asked for", "set epochs and steps above 0");
    }
    if !(options.learning_rate > 0.0 && options.learning_rate.is_finite()) {
        return wrong("the learning rate is not positive", "0.03 is usual");
    }
    if !(options.ridge >= 0.0 && options.ridge.is_finite()) {
        return wrong("the ridge is negative", "0.1 is usual, 0 for none");
    }
    if options.least_gain.is_nan() || options.least_gain < 0.0 {
        return wrong("the least gain is negative", "0.01 is usual, 0 for any");
    }
    if !(options.held_out > 0.0 && options.held_out < 1.0) {
        return wrong("the held-out share is not between 0 and 1", "0.3 is usual");
    }
    Ok(())
}

/// Who trains, who chooses, who judges; each in the order of the file.
pub(super) fn roles(problem: &Problem, options: &TrainOptions) -> Result<[Vec<u32>; 3], TwinError> {
    let all = 0..problem.engine.subjects() as u32;
    let mut all: Vec<(f64, u32)> = all
        .filter(|&s| !problem.points[s as usize].is_empty())
        .map(|s| {
            let [word, ..] = draw(options.seed, s, STEP, stream::STARTS, 0);
            (uniform_closed_open(word), s)
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let half = (0.5 * options.held_out * all.len() as f64).round() as usize;
    let of = |range: std::ops::Range<usize>| {
        let part = all.get(range).unwrap_or_default();
        let mut who: Vec<u32> = part.iter().map(|&(_, s)| s).collect();
        who.sort_unstable();
        who
    };
    let roles = [of(2 * half..all.len()), of(0..half), of(half..2 * half)];
    if roles.iter().any(|role| role.len() < FEWEST) {
        return Err(TwinError::Setting {
            what: format!(
                "{} patients with observations are too few to train, choose and judge by at least \
                 {FEWEST} each",
                all.len()
            ),
            remedy: "give more patients, or another held-out share".into(),
        });
    }
    Ok(roles)
}
