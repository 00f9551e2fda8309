//! A patient is the same person in every batch, shard and population size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use posology_cohort::population_file::Population;
use posology_model::model::Model;
use proptest::prelude::*;

fn population(name: &str) -> Population {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/populations");
    Population::load(&folder.join(format!("{name}.toml"))).unwrap()
}

fn breast() -> (Population, Model) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    let model = Model::load(&folder.join("docetaxel-neutropenia.toml")).unwrap();
    (population("metastatic-breast"), model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_patient_depends_on_seed_and_id_only(
        seed in any::<u64>(),
        first in 0u32..4_000_000_000,
        n in 1usize..3000,
        pick in 0.0f64..1.0,
    ) {
        let (population, model) = breast();
        let whole = population.sample(&model, n, seed, first).unwrap();
        let at = ((n - 1) as f64 * pick) as usize;
        let alone = population.sample(&model, 1, seed, first + at as u32).unwrap();
        prop_assert_eq!(alone.cohort.patient(0), whole.cohort.patient(at));
        prop_assert_eq!(alone.cohort.ids[0], whole.cohort.ids[at]);
        for (a, b) in alone.extra.iter().zip(&whole.extra) {
            prop_assert_eq!(a.values[0], b.values[at]);
        }
    }

    #[test]
    fn shards_join_to_the_whole(seed in any::<u64>(), sizes in prop::collection::vec(1usize..400, 1..6)) {
        let population = population("liposome-solid-tumour");
        let n = sizes.iter().sum();
        let whole = population.covariates(n, seed, 100).unwrap();
        let mut first = 0;
        for size in sizes {
            let part = population.covariates(size, seed, 100 + first as u32).unwrap();
            for (a, b) in part.columns.iter().zip(&whole.columns) {
                prop_assert_eq!(&a.values[..], &b.values[first..first + size]);
            }
            first += size;
        }
    }

    #[test]
    fn other_seeds_and_ids_are_other_people(seed in any::<u64>(), id in 0u32..1_000_000) {
        let population = population("reference-adults");
        let one = population.covariates(1, seed, id).unwrap();
        let other = population.covariates(1, seed.wrapping_add(1), id).unwrap();
        let next = population.covariates(1, seed, id + 1).unwrap();
        let weight = |c: &posology_cohort::population_file::Covariates| {
            c.columns.iter().find(|c| c.name == "WT").unwrap().values[0]
        };
        prop_assert_ne!(weight(&one), weight(&other));
        prop_assert_ne!(weight(&one), weight(&next));
    }
}
