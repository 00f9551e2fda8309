//! Randomisation and the luck of patients.

use posology_trial::allocation::{
    AllocationError, Randomisation, dropout_time, entry_time, replicate_seed, unit_exponential,
};
use proptest::prelude::*;
use serde_json::Value;

/// Largest probability with which a test of a distribution may fail although all is well.
const FALSE_ALARM: f64 = 1e-9;

/// What a chi-square variate exceeds with probability [`FALSE_ALARM`] at most: Laurent and
/// Massart 2000, Ann Stat 28:1302, lemma 1.
fn chi_square_bound(degrees: f64) -> f64 {
    let x = -FALSE_ALARM.ln();
    degrees + 2.0 * (degrees * x).sqrt() + 2.0 * x
}

/// Largest distance between an empirical distribution function of n values and the true one, but
/// with probability [`FALSE_ALARM`]: Dvoretzky, Kiefer and Wolfowitz; Massart 1990.
fn distance_bound(n: usize) -> f64 {
    ((2.0 / FALSE_ALARM).ln() / (2.0 * n as f64)).sqrt()
}

fn distance(mut values: Vec<f64>, distribution: impl Fn(f64) -> f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let gap = |(k, &value): (usize, &f64)| {
        let p = distribution(value);
        (p - k as f64 / n).abs().max((k as f64 + 1.0) / n - p)
    };
    values.iter().enumerate().map(gap).fold(0.0, f64::max)
}

#[test]
fn agrees_with_an_independent_implementation() {
    // scripts/golden/allocation.py; fixed for ever: a change here changes every trial
    let golden: Value = serde_json::from_str(include_str!("../golden/allocation.json")).unwrap();
    let seed: u64 = golden["seed"].as_str().unwrap().parse().unwrap();
    for design in golden["designs"].as_array().unwrap() {
        let (ratio, arms) = (integers(&design["ratio"]), integers(&design["arms"]));
        let block = ratio.iter().sum::<u32>() * design["repeats"].as_u64().unwrap() as u32;
        let randomisation = Randomisation::new(&ratio, block, seed).unwrap();
        let found = randomisation
            .allocate(&integers(&design["strata"]))
            .unwrap();
        assert_eq!(found, arms, "{ratio:?}");
    }
    for (k, id) in integers(&golden["ids"]).into_iter().enumerate() {
        let close = |found: f64, column: &str| {
            let expected = golden[column][k].as_f64().unwrap();
            assert!(
                (found / expected - 1.0).abs() < 1e-14,
                "{column} {found} {expected}"
            );
        };
        close(entry_time(seed, id, 365.0), "entry_accrual_365");
        close(dropout_time(seed, id, 0.01), "dropout_hazard_0.01");
        close(unit_exponential(seed, id, 5), "exponential_endpoint_5");
    }
    for (replicate, expected) in (0..).zip(golden["replicate_seeds"].as_array().unwrap()) {
        let found = replicate_seed(seed, replicate).to_string();
        assert_eq!(expected.as_str().unwrap(), found);
    }
}

fn integers(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as u32)
        .collect()
}

#[test]
fn impossible_randomisations_are_refused() {
    let refused = |ratio: &[u32], block| Randomisation::new(ratio, block, 1).unwrap_err();
    assert!(matches!(refused(&[], 4), AllocationError::Ratio { .. }));
    assert!(matches!(refused(&[0, 0], 4), AllocationError::Ratio { .. }));
    for block in [0, 3, 5, 1 << 17] {
        let error = refused(&[1, 1], block);
        assert!(
            matches!(error, AllocationError::Block { sum: 2, .. }),
            "{error}"
        );
    }
    let randomisation = Randomisation::new(&[1, 1], 4, 1).unwrap();
    assert!(matches!(
        randomisation.allocate(&[0, 1 << 16]),
        Err(AllocationError::Stratum { position: 1, .. })
    ));
    assert_eq!(randomisation.allocate(&[]).unwrap(), Vec::<u32>::new());
}

#[test]
fn neighbouring_seeds_share_no_replicates() {
    let mut seeds: Vec<u64> = (0..50)
        .flat_map(|seed| (0..200).map(move |replicate| replicate_seed(seed, replicate)))
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 50 * 200);
}

/// Ratios, repeats of them in a block.
fn design() -> impl Strategy<Value = (Vec<u32>, u32)> {
    (prop::collection::vec(0u32..4, 1..5), 1u32..4)
        .prop_filter("somebody", |(ratio, _)| ratio.iter().sum::<u32>() > 0)
}

proptest! {
    #[test]
    fn every_block_of_every_stratum_is_balanced(
        (ratio, repeats) in design(),
        strata in prop::collection::vec(0u32..5, 0..200),
        seed: u64,
    ) {
        let block = ratio.iter().sum::<u32>() * repeats;
        let arms = Randomisation::new(&ratio, block, seed).unwrap().allocate(&strata).unwrap();
        for stratum in 0..5 {
            let within: Vec<u32> = strata
                .iter()
                .zip(&arms)
                .filter(|&(&s, _)| s == stratum)
                .map(|(_, &arm)| arm)
                .collect();
            for part in within.chunks(block as usize) {
                for (arm, &patients) in (0..).zip(&ratio) {
                    let found = part.iter().filter(|&&a| a == arm).count() as u32;
                    prop_assert!(found <= patients * repeats);
                    if part.len() == block as usize {
                        prop_assert_eq!(found, patients * repeats);
                    }
                }
            }
        }
    }

    #[test]
    fn a_stratum_does_not_depend_on_the_others_nor_on_later_patients(
        strata in prop::collection::vec(0u32..4, 1..150),
        seed: u64,
        part in 0usize..150,
    ) {
        let randomisation = Randomisation::new(&[2, 1], 6, seed).unwrap();
        let arms = randomisation.allocate(&strata).unwrap();
        prop_assert_eq!(&arms, &randomisation.allocate(&strata).unwrap());
        let part = part.min(strata.len());
        prop_assert_eq!(&arms[..part], randomisation.allocate(&strata[..part]).unwrap());
        let alone: Vec<u32> = strata.iter().copied().filter(|&s| s == 2).collect();
        let same: Vec<u32> = strata
            .iter()
            .zip(&arms)
            .filter(|&(&s, _)| s == 2)
            .map(|(_, &arm)| arm)
            .collect();
        prop_assert_eq!(same, randomisation.allocate(&alone).unwrap());
    }

    #[test]
    fn replicates_differ(seed: u64, replicate in 0u64..u64::MAX) {
        prop_assert_ne!(replicate_seed(seed, replicate), replicate_seed(seed, replicate + 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn all_orders_of_a_block_are_equally_likely(seed: u64, stratum in 0u32..1000) {
        // blocks of 4 with two arms: 6 orders
        let blocks = 12_000;
        let randomisation = Randomisation::new(&[1, 1], 4, seed).unwrap();
        let arms = randomisation.allocate(&vec![stratum; 4 * blocks]).unwrap();
        let mut counts = [0u32; 16];
        for block in arms.chunks(4) {
            counts[block.iter().fold(0, |code, &arm| 2 * code + arm as usize)] += 1;
        }
        let expected = blocks as f64 / 6.0;
        let seen: Vec<u32> = counts.into_iter().filter(|&count| count > 0).collect();
        prop_assert_eq!(seen.len(), 6);
        let chi_square: f64 =
            seen.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        prop_assert!(chi_square < chi_square_bound(5.0), "{chi_square}");
    }

    #[test]
    fn neighbouring_blocks_strata_and_replicates_are_independent(seed: u64, which in 0usize..3) {
        // order of a block against that of its neighbour: 36 combinations
        let blocks = 12_000u64;
        let order = |seed: u64, stratum: u32, number: u64| {
            let randomisation = Randomisation::new(&[1, 1], 4, seed).unwrap();
            let strata = vec![stratum; 4 * (number as usize + 1)];
            let arms = randomisation.allocate(&strata).unwrap();
            arms[arms.len() - 4..].iter().fold(0, |code, &arm| 2 * code + arm as usize)
        };
        let mut counts = [[0u32; 16]; 16];
        for k in 0..blocks {
            let (a, b) = match which {
                0 => (order(seed, k as u32, 0), order(seed, k as u32, 1)),
                1 => (order(seed, 2 * k as u32, 0), order(seed, 2 * k as u32 + 1, 0)),
                _ => (
                    order(replicate_seed(seed, 2 * k), 0, 0),
                    order(replicate_seed(seed, 2 * k + 1), 0, 0),
                ),
            };
            counts[a][b] += 1;
        }
        let expected = blocks as f64 / 36.0;
        let seen: Vec<u32> = counts.into_iter().flatten().filter(|&count| count > 0).collect();
        prop_assert_eq!(seen.len(), 36);
        let chi_square: f64 =
            seen.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        prop_assert!(chi_square < chi_square_bound(35.0), "{chi_square}");
    }

    #[test]
    fn times_have_their_distributions(seed: u64, endpoint: u16) {
        let n = 20_000;
        let bound = distance_bound(n as usize);
        let entries = (0..n).map(|id| entry_time(seed, id, 365.0)).collect();
        prop_assert!(distance(entries, |t| t / 365.0) < bound);
        let dropouts = (0..n).map(|id| dropout_time(seed, id, 0.01)).collect();
        prop_assert!(distance(dropouts, |t| 1.0 - (-0.01 * t).exp()) < bound);
        let exponentials = (0..n).map(|id| unit_exponential(seed, id, endpoint)).collect();
        prop_assert!(distance(exponentials, |t| 1.0 - (-t).exp()) < bound);
        prop_assert_eq!(dropout_time(seed, 0, 0.0), f64::INFINITY);
    }

    #[test]
    fn purposes_are_independent(seed: u64, endpoint in 0u16..u16::MAX) {
        // signs of (value - median) of pairs: binomial(n, 1/2); Hoeffding's bound
        let n = 20_000u32;
        let half = std::f64::consts::LN_2;
        let signs = |id: u32| {
            [
                entry_time(seed, id, 2.0) > 1.0,
                dropout_time(seed, id, 1.0) > half,
                unit_exponential(seed, id, endpoint) > half,
                unit_exponential(seed, id, endpoint + 1) > half,
                entry_time(replicate_seed(seed, 0), id, 2.0) > 1.0,
                entry_time(seed, id + 1, 2.0) > 1.0,
            ]
        };
        let bound = f64::from(n) / 2.0 + (f64::from(n) * (2.0 / FALSE_ALARM).ln() / 2.0).sqrt();
        for a in 0..6 {
            for b in 0..a {
                let same = (0..n).map(signs).filter(|signs| signs[a] == signs[b]).count() as f64;
                prop_assert!(same.max(f64::from(n) - same) < bound, "{a} {b} {same}");
            }
        }
    }
}
