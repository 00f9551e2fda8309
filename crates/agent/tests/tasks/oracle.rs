//! Best threshold of each held-out patient of the adaptive-therapy benchmark: what a learned policy
//! is compared with.

use std::time::Instant;

use posology_agent::baseline::course::HostCourses;
use posology_agent::baseline::rules::Rule;
use posology_agent::baseline::threshold::{Best, Search};
use posology_cohort::Cohort;

use crate::adaptive::setting;
use crate::shipped;

/// Held-out patients: their numbers, and the seed of their draw, are not those of training.
const SEED: u64 = 1_000_003;
const FIRST: u32 = 1 << 30;

fn courses(n: usize, every: &str, error: f64) -> HostCourses {
    let model = shipped("lotka-volterra-adaptive");
    let cohort = Cohort::sample(&model, n, SEED, FIRST).unwrap_or_else(|found| panic!("{found}"));
    HostCourses::new(model, cohort, &setting(every, error)).unwrap()
}

fn mean(of: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = of.fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    sum / n
}

/// The best threshold is at least as good as each rule it contains, patient by patient.
#[test]
fn best_thresholds_dominate() {
    let courses = courses(12, "28 d", 0.0);
    let search = Search {
        levels: 41,
        rounds: 1,
        ..Search::default()
    };
    let best = search.run(&courses).unwrap();
    // the first level of the grid is low enough to be continuous treatment at the start of the course
    let continuous = courses.cohort(&Rule::Threshold(search.low), 0);
    let untreated = courses.cohort(&Rule::None, 0);
    for (patient, best) in best.iter().enumerate() {
        assert!(best.gain >= continuous[patient].time);
        assert!(best.gain >= untreated[patient].time - 28.0);
        let again = courses.course(patient, &Rule::Threshold(best.level), 0);
        assert_eq!(again.time, best.gain);
    }
}

/// Weekly and monthly decisions, with and without an error of 10 %: prints the figures of
/// `results/`. 1,000 patients take minutes.
#[test]
#[ignore = "minutes; prints the oracle of the adaptive-therapy task"]
fn oracle_of_the_held_out_patients() {
    let n = std::env::var("PATIENTS").map_or(1000, |n| n.parse().unwrap());
    println!("patients {n}, seed {SEED}, first {FIRST}; time to progression in days, at most 3640");
    for (every, error) in [("7 d", 0.0), ("28 d", 0.0), ("7 d", 0.1), ("28 d", 0.1)] {
        let started = Instant::now();
        let courses = courses(n, every, error);
        let noisy = error > 0.0;
        let search = if noisy {
            Search {
                levels: 41,
                best: 2,
                finer: 5,
                rounds: 1,
                replicates: 4,
                judged: 8,
                ..Search::default()
            }
        } else {
            Search {
                levels: 51,
                ..Search::default()
            }
        };
        // four steps a week: the equations are then good to 1e-6, the time to two days at most
        let steps = courses.steps();
        let coarse = courses.clone().with_steps(steps / 4);
        let best = search.run(&coarse).unwrap();
        let replicates = if noisy { 8 } else { 1 };
        let replicate = |k: u32| search.replicates * u32::from(noisy) + k;
        let under = |rule: &(dyn Fn(usize) -> Rule + Sync)| -> Vec<f64> {
            let one = |patient: usize| {
                mean(
                    (0..replicates)
                        .map(|k| courses.course(patient, &rule(patient), replicate(k)).time),
                )
            };
            use rayon::prelude::*;
            (0..n).into_par_iter().map(one).collect()
        };
        let report = |name: &str, times: &[f64]| {
            let at_end = times.iter().filter(|t| **t >= 3640.0).count();
            let mut sorted = times.to_vec();
            sorted.sort_by(f64::total_cmp);
            let mean = mean(times.iter().copied());
            let square = times.iter().map(|t| (t - mean).powi(2)).sum::<f64>();
            let error = (square / n as f64).sqrt() / (n as f64).sqrt();
            println!(
                "  {name:<22} mean {mean:8.1} +- {error:.1}, median {:8.1}, {at_end} at the horizon",
                sorted[n / 2]
            );
        };
        println!("decided every {every}, error {error}:");
        report("none", &under(&|_| Rule::None));
        report("continuous", &under(&|_| Rule::Continuous));
        report("Zhang 0.5 / 1", &under(&|_| Rule::ADAPTIVE));
        for level in [0.9, 1.0, 1.05, 1.1] {
            let name = format!("threshold {level}");
            report(&name, &under(&|_| Rule::Threshold(level)));
        }
        report(
            "best threshold each",
            &under(&|i: usize| Rule::Threshold(best[i].level)),
        );
        let levels = |b: &Best| b.level;
        println!(
            "  mean level {:.3}, {:.1} s",
            mean(best.iter().map(levels)),
            started.elapsed().as_secs_f64()
        );
    }
}
