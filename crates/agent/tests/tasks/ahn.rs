//! Returns of the Ahn chemotherapy environment (DTRGym), setting 1.

use std::time::{SystemTime, UNIX_EPOCH};

use posology_agent::baseline::host::{HostModel, Watched};
use posology_cohort::philox::{draw, uniform_closed_open};

use crate::shipped;

/// Sum over 600 quarter days of N/N0 - T/T0 - dose before the step; -100 instead, and the end, once
/// N is below 0.7 N0. `dose` gives the dose of a step, 0..1.
fn total(host: &HostModel, refine: u32, mut dose: impl FnMut(u32) -> f64) -> f64 {
    let action = host.slot("dose").unwrap();
    let mut walk = host.start(&host.model.typical_slots());
    let mut total = 0.0;
    for step in 0..600 {
        let dose = dose(step);
        let reward = walk.watched(0) - dose;
        walk.set(action, dose * host.slot_scale(action));
        walk.advance(0.25 * f64::from(step + 1), refine);
        if walk.watched(1) > 0.0 {
            return total - 100.0;
        }
        total += reward;
    }
    total
}

fn host() -> HostModel {
    let watched = [
        Watched::Value("N/N0 - T/T0", "1"),
        Watched::Condition("N < 0.7*N0"),
    ];
    HostModel::new(shipped("ahn-chemotherapy"), &watched).unwrap()
}

/// 400.68 as printed; "about -164, depending on whether the last step's reward counts": 1 %.
#[test]
fn fixed_regimens() {
    let host = host();
    let front = total(&host, 8, |step| f64::from(u8::from(step < 81)));
    let none = total(&host, 8, |_| 0.0);
    println!("81 maximal doses {front:.4}, none {none:.2}");
    assert!((front - 400.68).abs() < 0.005, "{front}");
    assert!((none + 164.0).abs() < 1.64, "{none}");
    // the step of the file is as good
    let shipped = total(&host, 1, |step| f64::from(u8::from(step < 81)));
    assert!((shipped - front).abs() < 1e-3, "{shipped} and {front}");
}

/// 81 doses are the best number of maximal doses from the start.
#[test]
fn best_number_of_maximal_doses() {
    let host = host();
    let first = |n: u32| total(&host, 1, |step| f64::from(u8::from(step < n)));
    let best = (60..110).max_by(|a, b| first(*a).total_cmp(&first(*b)));
    assert_eq!(best, Some(81));
}

/// Eleven doses drawn at random at every step: 62.4 with a standard deviation of 14.3 between
/// episodes. The seed is the clock; the bounds are four standard errors of 200 episodes, plus half
/// of the last printed digit.
#[test]
fn random_doses() {
    let host = host();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = clock.as_nanos() as u64;
    let n = 200;
    let returns: Vec<f64> = (0..n)
        .map(|episode| {
            total(&host, 1, |step| {
                let word = draw(seed, episode, step, 0, 0)[0];
                (11.0 * uniform_closed_open(word)).floor() / 10.0
            })
        })
        .collect();
    let count = f64::from(n);
    let mean = returns.iter().sum::<f64>() / count;
    let square: f64 = returns.iter().map(|r| (r - mean).powi(2)).sum();
    let sd = (square / (count - 1.0)).sqrt();
    println!("random, seed {seed}: {mean:.2} +- {sd:.2}");
    assert!((mean - 62.4).abs() < 4.0 * 14.3 / count.sqrt() + 0.05);
    assert!((sd - 14.3).abs() < 4.0 * 14.3 / (2.0 * count).sqrt() + 0.05);
}
