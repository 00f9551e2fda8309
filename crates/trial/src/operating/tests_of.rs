//! The primary analysis of one replicate.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::looks::Data;
use crate::design::Class;
use crate::statistics::{
    LogRankScore, TwoGroupScratch, cox_two_groups, log_rank_score, log_rank_z, sort_two_groups,
};

pub(super) const METHODS_TIME: [&str; 3] = ["stratified log-rank", "log-rank", "Cox (Wald)"];
pub(super) const METHODS_SHARE: [&str; 2] = [
    "Cochran-Mantel-Haenszel",
    "difference of proportions (score)",
];
pub(super) const METHODS_NUMBER: [&str; 1] = ["Welch t"];

/// What an analysis finds.
pub(super) struct Found {
    /// One p value per method, NaN where it does not exist.
    pub p: Vec<f64>,
    /// Of the first method (the one that interim looks use), positive for fewer events (times) or more (shares, numbers) in the
    /// treated arm; NaN where it does not exist.
    pub z: f64,
    pub effect: f64,
    pub events: usize,
}

fn two_sided(z: f64) -> f64 {
    if z.is_nan() {
        f64::NAN
    } else {
        2.0 * Normal::standard().sf(z.abs())
    }
}

pub(super) fn test(class: Class, data: &mut Data) -> Found {
    match class {
        Class::Time => times(data),
        Class::YesNo | Class::Response => shares(data),
        Class::Number => numbers(data),
    }
}

fn times(data: &mut Data) -> Found {
    let mut scratch = TwoGroupScratch::default();
    let stratified = stratified_log_rank(data, &mut scratch);
    let events = data.event.iter().filter(|&&event| event).count();
    let sorted = sort_two_groups(
        &mut data.value,
        &mut data.event,
        &mut data.treated,
        &mut scratch,
    );
    let z = sorted
        .and_then(|()| log_rank_z(&data.value, &data.event, &data.treated))
        .unwrap_or(f64::NAN);
    let cox = cox_two_groups(&data.value, &data.event, &data.treated, &mut scratch);
    let (wald, effect) = match cox {
        Ok(fit) => (
            fit.log_hazard_ratio / fit.standard_error,
            fit.log_hazard_ratio.exp(),
        ),
        Err(_) => (f64::NAN, f64::NAN),
    };
    Found {
        p: vec![two_sided(stratified), two_sided(z), two_sided(wald)],
        z: -stratified,
        effect,
        events,
    }
}

/// z of the strata together; negative for fewer events in the treated arm. Randomisation within
/// strata makes tests that forget them conservative.
fn stratified_log_rank(data: &Data, scratch: &mut TwoGroupScratch) -> f64 {
    let count = data.stratum.iter().max().map_or(0, |&last| last + 1);
    let mut score = LogRankScore::default();
    for stratum in 0..count {
        let chosen = || (0..data.value.len()).filter(|&k| data.stratum[k] == stratum);
        let mut value: Vec<f64> = chosen().map(|k| data.value[k]).collect();
        let mut event: Vec<bool> = chosen().map(|k| data.event[k]).collect();
        let mut treated: Vec<bool> = chosen().map(|k| data.treated[k]).collect();
        let one = sort_two_groups(&mut value, &mut event, &mut treated, scratch)
            .and_then(|()| log_rank_score(&value, &event, &treated));
        // a stratum with nobody, or with one arm only, says nothing
        if let Ok(one) = one {
            score += one;
        }
    }
    score.z().unwrap_or(f64::NAN)
}

/// z of Cochran, Mantel and Haenszel without correction: events in the treated arm against their
/// expectation, summed over strata.
fn mantel_haenszel(data: &Data) -> f64 {
    let count = data
        .stratum
        .iter()
        .max()
        .map_or(0, |&last| last as usize + 1);
    let mut tables = vec![[[0f64; 2]; 2]; count];
    for k in 0..data.event.len() {
        let table = &mut tables[data.stratum[k] as usize];
        table[usize::from(data.treated[k])][usize::from(data.event[k])] += 1.0;
    }
    let (mut excess, mut variance) = (0.0, 0.0);
    for [[c0, c1], [t0, t1]] in tables {
        let (treated, control, events) = (t0 + t1, c0 + c1, t1 + c1);
        let n = treated + control;
        if n > 1.0 {
            excess += t1 - treated * events / n;
            variance += treated * control * events * (n - events) / (n * n * (n - 1.0));
        }
    }
    if variance > 0.0 {
        excess / variance.sqrt()
    } else {
        f64::NAN
    }
}

/// Score test of two proportions (pooled variance), without correction.
fn shares(data: &Data) -> Found {
    let mut counts = [[0f64; 2]; 2];
    for (&event, &treated) in data.event.iter().zip(&data.treated) {
        counts[usize::from(treated)][usize::from(event)] += 1.0;
    }
    let n = [counts[0][0] + counts[0][1], counts[1][0] + counts[1][1]];
    let rate = [counts[0][1] / n[0], counts[1][1] / n[1]];
    let pooled = (counts[0][1] + counts[1][1]) / (n[0] + n[1]);
    let variance = pooled * (1.0 - pooled) * (1.0 / n[0] + 1.0 / n[1]);
    let effect = rate[1] - rate[0];
    let z = if variance > 0.0 {
        effect / variance.sqrt()
    } else {
        f64::NAN
    };
    let stratified = mantel_haenszel(data);
    Found {
        p: vec![two_sided(stratified), two_sided(z)],
        z: stratified,
        effect,
        events: (counts[0][1] + counts[1][1]) as usize,
    }
}

fn numbers(data: &Data) -> Found {
    let group = |treated: bool| {
        let values = || {
            data.value
                .iter()
                .zip(&data.treated)
                .filter(move |(_, is)| **is == treated)
                .map(|(value, _)| *value)
        };
        let n = values().count() as f64;
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (n, mean, variance / n)
    };
    let ((n0, mean0, error0), (n1, mean1, error1)) = (group(false), group(true));
    let effect = mean1 - mean0;
    let error = error0 + error1;
    let t = effect / error.sqrt();
    // Welch and Satterthwaite
    let freedom = error * error / (error0 * error0 / (n0 - 1.0) + error1 * error1 / (n1 - 1.0));
    let p = match StudentsT::new(0.0, 1.0, freedom) {
        Ok(law) if t.is_finite() => 2.0 * law.sf(t.abs()),
        _ => f64::NAN,
    };
    let z = if p > 0.0 && p <= 1.0 {
        t.signum() * -Normal::standard().inverse_cdf(0.5 * p)
    } else {
        t
    };
    Found {
        p: vec![p],
        z,
        effect,
        events: data.value.len(),
    }
}
