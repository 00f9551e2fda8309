//! The primary analysis of one replicate.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::looks::Data;
use crate::design::Class;
use crate::statistics::{TwoGroupScratch, cox_two_groups, log_rank_z, sort_two_groups};

pub(super) const METHODS_TIME: [&str; 2] = ["log-rank", "Cox (Wald)"];
pub(super) const METHODS_SHARE: [&str; 1] = ["difference of proportions (score)"];
pub(super) const METHODS_NUMBER: [&str; 1] = ["Welch t"];

/// What an analysis finds.
pub(super) struct Found {
    /// One p value per method, NaN where it does not exist.
    pub p: Vec<f64>,
    /// Of the first method, positive for fewer events (times) or more (shares, numbers) in the
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
        p: vec![two_sided(z), two_sided(wald)],
        z: -z,
        effect,
        events,
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
    Found {
        p: vec![two_sided(z)],
        z,
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
