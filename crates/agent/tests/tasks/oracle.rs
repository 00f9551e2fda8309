//! Best threshold of each held-out patient of the adaptive-therapy benchmark: what a learned policy
//! is compared with.

use std::time::Instant;

use posology_agent::baseline::course::HostCourses;
use posology_agent::baseline::rules::Rule;
use posology_agent::baseline::threshold::Search;
use posology_cohort::Cohort;
use rayon::prelude::*;

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
    let continuous = courses.all(&Rule::Threshold(search.low), 0);
    let untreated = courses.all(&Rule::None, 0);
    for (patient, best) in best.iter().enumerate() {
        assert!(best.gain >= continuous[patient].time);
        assert!(best.gain >= untreated[patient].time - 28.0);
        let again = courses.course(patient, &Rule::Threshold(best.level), 0);
        assert_eq!(again.time, best.gain);
    }
}

/// Who can progress at all under continuous drug: the resistant cells' own equilibrium,
/// 1 - turnover/(1 - cost), is above 1.2 times the start. The others never progress under a
/// sufficient dose, and many not even without drug; Gallagher et al. leave such patients out.
fn can_progress(courses: &Cohort) -> Vec<bool> {
    let model = shipped("lotka-volterra-adaptive");
    let row = |name: &str| &courses.slots[model.slot_index(name).unwrap()];
    let (n0, cost, turnover) = (row("n0"), row("cost"), row("turnover"));
    (0..courses.len())
        .map(|i| 1.0 - turnover[i] / (1.0 - cost[i]) > 1.2 * n0[i])
        .collect()
}

/// Weekly and monthly decisions, with and without an error of 10 %: prints the figures of
/// `results/`. 1,000 patients take minutes.
#[test]
#[ignore = "minutes; prints the oracle of the adaptive-therapy task"]
fn oracle_of_the_held_out_patients() {
    let n = std::env::var("PATIENTS").map_or(1000, |n| n.parse().unwrap());
    println!("patients {n}, seed {SEED}, first {FIRST}; time to progression in days");
    for (every, error) in [("7 d", 0.0), ("28 d", 0.0), ("7 d", 0.1), ("28 d", 0.1)] {
        let started = Instant::now();
        let courses = courses(n, every, error);
        let able = can_progress(courses.cohort());
        let (search, replicates) = if error > 0.0 {
            let search = Search {
                levels: 34,
                best: 1,
                finer: 3,
                rounds: 1,
                replicates: 2,
                judged: 4,
                ..Search::default()
            };
            (search, 4)
        } else {
            (Search::default(), 1)
        };
        // steps of half a week for the search, of a day for what is printed: the equations are good
        // to 1e-6 with both, a time is late by half a step on average
        let coarse = courses.clone().with_steps(courses.steps() / 14);
        let best = search.run(&coarse).unwrap();
        let courses = courses.clone().with_steps(courses.steps() / 4);
        let fresh = if error > 0.0 { search.replicates } else { 0 };
        let under = |rule: &(dyn Fn(usize) -> Rule + Sync)| -> Vec<f64> {
            let one = |patient: usize| {
                let replicates = fresh..fresh + replicates;
                let time = |k| courses.course(patient, &rule(patient), k).time;
                mean(replicates.map(time))
            };
            (0..n).into_par_iter().map(one).collect()
        };
        let line = |times: Vec<f64>| {
            let count = times.len() as f64;
            let centre = mean(times.iter().copied());
            let square = times.iter().map(|t| (t - centre).powi(2)).sum::<f64>();
            let mut sorted = times;
            sorted.sort_by(f64::total_cmp);
            let standard = (square / count).sqrt() / count.sqrt();
            format!(
                "{centre:7.1} +- {standard:4.1} (median {:6.1})",
                sorted[sorted.len() / 2]
            )
        };
        let report = |name: &str, times: &[f64]| {
            let able = times.iter().zip(&able).filter(|(_, able)| **able);
            let able = line(able.map(|(t, _)| *t).collect());
            println!("  {name:<20} all {}, able {able}", line(times.to_vec()));
        };
        let count = able.iter().filter(|a| **a).count();
        println!("decided every {every}, error {error}; {count} of {n} can progress:");
        report("none", &under(&|_| Rule::None));
        report("continuous", &under(&|_| Rule::Continuous));
        report("Zhang 0.5 / 1", &under(&|_| Rule::ADAPTIVE));
        for level in [0.8, 0.9, 1.0, 1.1] {
            let name = format!("threshold {level}");
            report(&name, &under(&|_| Rule::Threshold(level)));
        }
        report(
            "best threshold each",
            &under(&|i: usize| Rule::Threshold(best[i].level)),
        );
        println!("  {:.1} s", started.elapsed().as_secs_f64());
    }
}

/// The task on the device and the host agree on the same patients: the time of a crossing is
/// interpolated there, the next quarter day here. A decision near a threshold may fall otherwise in
/// single precision, so one patient in sixteen may differ.
#[test]
fn the_task_on_the_device_has_the_same_times() {
    use posology_agent::environment::AutoReset;
    use posology_agent::environment::patients::{PatientOptions, Patients};
    use posology_agent::play::{Player, play};

    let device = posology_kernels::device::open(None).unwrap();
    let task = crate::files::task("adaptive-therapy");
    let n = 16;
    let options = PatientOptions {
        lanes: n,
        reset: AutoReset::Disabled,
        pool: Some(n),
        seed: SEED,
        first_id: FIRST,
        ..PatientOptions::default()
    };
    let mut patients = Patients::new(&device, &task, &options).unwrap();
    // the task passes over those who cannot progress
    let cohort = task.patients(&device, n, SEED, FIRST).unwrap();
    let model = shipped("lotka-volterra-adaptive");
    let courses = HostCourses::new(model, cohort, &setting("7 d", 0.0)).unwrap();
    for (name, rule) in [("continuous", Rule::Continuous), ("zhang", Rule::ADAPTIVE)] {
        let baseline = task.baselines.iter().find(|b| b.name == name).unwrap();
        let player = Player::Rule(task.rule(patients.plan(), baseline));
        let played = play(&device, &mut patients, &player, 1, FIRST).unwrap();
        let host = courses.all(&rule, 0);
        let differ = played.returns.iter().zip(&host);
        let differ = differ.filter(|(r, h)| (100.0 * **r - h.time).abs() > 0.3);
        let differ: Vec<_> = differ.collect();
        println!("{name}: {} of {n} differ: {differ:?}", differ.len());
        assert!(differ.len() <= 1, "{name}: {differ:?}");
    }
}
