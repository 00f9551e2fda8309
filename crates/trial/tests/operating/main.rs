//! Replicate trials under the null hypothesis: tests and boundaries keep their level.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use posology_kernels::device;
use posology_trial::operating::{OperatingResult, OperatingSettings};
use posology_trial::sequential::{BoundaryKind, SequentialSettings};
use posology_trial::{RunSettings, Trial};
use statrs::distribution::{Binomial, DiscreteCDF};

const REPLICATES: usize = 1500;
/// A false alarm in a million runs per comparison.
const ALARM: f64 = 1e-6;

fn trial(primary: &str) -> Trial {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../configs/trials/capecitabine-docetaxel-mbc.toml");
    let mut trial = Trial::load(&path).unwrap_or_else(|found| panic!("{found}"));
    trial.analysis.primary = trial
        .endpoints
        .iter()
        .position(|endpoint| endpoint.name == primary)
        .unwrap();
    trial
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seed = now.as_nanos() as u64 & 0xFFFF_FFFF;
    println!("seed {seed}");
    seed
}

fn run(trial: &Trial, settings: &OperatingSettings, seed: u64) -> OperatingResult {
    let device = device::open(Some("software")).unwrap();
    let run = RunSettings {
        seed: Some(seed),
        ..RunSettings::default()
    };
    trial
        .operating(&device, &run, settings, &mut |_| true)
        .unwrap()
}

fn null(kind: Option<BoundaryKind>) -> OperatingSettings {
    OperatingSettings {
        replicates: REPLICATES,
        patients: 120,
        null: true,
        uncertainty: false,
        horizon: None,
        sequential: kind.map(|kind| SequentialSettings::new(kind, vec![0.5, 0.75, 1.0])),
        alpha: 0.05,
    }
}

/// Whether so many rejections are possible if each has probability `p`.
fn plausible(rejected: usize, p: f64) -> bool {
    let law = Binomial::new(p, REPLICATES as u64).unwrap();
    let rejected = rejected as u64;
    law.cdf(rejected) > ALARM && law.sf(rejected.saturating_sub(1)) > ALARM
}

#[test]
fn tests_and_boundaries_keep_their_level() {
    let seed = fresh_seed();
    for (primary, kind) in [
        ("death", BoundaryKind::ObrienFleming),
        ("response", BoundaryKind::Pocock),
        ("week6", BoundaryKind::LanDeMetsObrienFleming),
    ] {
        let result = run(&trial(primary), &null(Some(kind)), seed);
        assert_eq!(result.comparisons.len(), 2);
        for comparison in &result.comparisons {
            for test in &comparison.tests {
                println!("{primary} {}: {} of {REPLICATES}", test.test, test.rejected);
                // 80 patients in two arms: small samples move the level by a few per mille
                let within = [0.042, 0.05, 0.058]
                    .iter()
                    .any(|&p| plausible(test.rejected, p));
                assert!(
                    within,
                    "{primary}, {}: {} rejections",
                    test.test, test.rejected
                );
            }
            let looks = comparison.sequential.as_ref().unwrap();
            let rejected: usize = looks.rejected_at.iter().sum();
            println!(
                "{primary} with looks: {rejected}, at {:?}",
                looks.rejected_at
            );
            let within = [0.04, 0.05, 0.06].iter().any(|&p| plausible(rejected, p));
            assert!(within, "{primary} with looks: {rejected} rejections");
        }
    }
}

#[test]
fn a_replicate_does_not_depend_on_the_others() {
    let trial = trial("death");
    let seed = fresh_seed();
    let ask = |replicates| OperatingSettings {
        replicates,
        null: false,
        ..null(None)
    };
    // a single replicate shows its own estimate; the first of many is the same trial
    let one = run(&trial, &ask(1), seed);
    let many = run(&trial, &ask(3), seed);
    let again = run(&trial, &ask(3), seed);
    for (a, b) in many.comparisons.iter().zip(&again.comparisons) {
        assert_eq!(a, b, "the same seed gave another result");
    }
    for (one, many) in one.comparisons.iter().zip(&many.comparisons) {
        let own = one.estimates[2];
        let found = many.estimates.contains(&own);
        assert!(found, "{own} is none of {:?}", many.estimates);
    }
}

#[test]
fn settings_without_a_trial_are_refused() {
    let trial = trial("death");
    let device = device::open(Some("software")).unwrap();
    for settings in [
        OperatingSettings {
            replicates: 0,
            ..null(None)
        },
        OperatingSettings {
            patients: 3,
            ..null(None)
        },
        OperatingSettings {
            replicates: 1 << 30,
            patients: 1 << 10,
            ..null(None)
        },
    ] {
        let refused = trial.operating(&device, &RunSettings::default(), &settings, &mut |_| true);
        assert!(refused.is_err(), "{settings:?}");
    }
}
