//! The 32 men of the adaptive-abiraterone trial, each with his own fit, under rules and under his
//! own best threshold.

use posology_agent::baseline::course::{HostCourses, Outcome, Setting};
use posology_agent::baseline::rules::Rule;
use posology_agent::baseline::threshold::Search;
use posology_cohort::population_file::Population;

use crate::files::folder;
use crate::shipped;

fn men(error: f64) -> HostCourses {
    let model = shipped("abiraterone-psa");
    let path = folder().join("../populations/abiraterone-trial.toml");
    let population = Population::load(&path).unwrap_or_else(|f| panic!("{f}"));
    let cohort = population.sample(&model, 32, 1, 0);
    let cohort = cohort.unwrap_or_else(|f| panic!("{f}")).cohort;
    let setting = Setting {
        action: "abi_on".to_owned(),
        largest: 1.0,
        measured: "relative_psa".to_owned(),
        ends: "psa > 1.2*psa0".to_owned(),
        every: "28 d".to_owned(),
        horizon: "1820 d".to_owned(),
        error,
        seed: 2022,
    };
    HostCourses::new(model, cohort, &setting).unwrap()
}

/// Median, mean, men who reach the horizon, and mean share of time on drug.
fn summary(name: &str, outcomes: &[Outcome]) -> f64 {
    let mut times: Vec<f64> = outcomes.iter().map(|o| o.time).collect();
    times.sort_by(f64::total_cmp);
    let n = times.len() as f64;
    let mean = times.iter().sum::<f64>() / n;
    let share = outcomes.iter().map(|o| o.treated / o.time).sum::<f64>() / n;
    let held = outcomes.iter().filter(|o| !o.ended).count();
    println!(
        "{name:<22} median {:6.1} d, mean {mean:6.1} d, {held} of 32 at 5 years, on drug {:.0} %",
        f64::midpoint(times[15], times[16]),
        100.0 * share
    );
    mean
}

/// No published time to progression belongs to this convention (PSA above 1.2 times that at the
/// first record on drug; the trial's times are radiographic), so what is checked is the order.
#[test]
fn the_men_under_rules() {
    for error in [0.0, 0.1] {
        println!("measured with an error of {error}:");
        let courses = men(error);
        let mean = |name: &str, rule: &Rule| summary(name, &courses.all(rule, 100));
        let continuous = mean("continuous", &Rule::Continuous);
        let adaptive = mean("adaptive, 28 days", &Rule::ADAPTIVE);
        mean("none", &Rule::None);
        for level in [0.6, 0.8, 1.0] {
            mean(&format!("threshold {level}"), &Rule::Threshold(level));
        }
        let search = Search {
            low: 0.02,
            levels: 60,
            replicates: if error > 0.0 { 4 } else { 1 },
            ..Search::default()
        };
        let best = search.run(&courses).unwrap();
        let under = best.iter().enumerate().map(|(man, best)| {
            let replicate = if error > 0.0 { 100 } else { 0 };
            courses.course(man, &Rule::Threshold(best.level), replicate)
        });
        let best = summary("best threshold of each", &under.collect::<Vec<_>>());
        assert!(best > continuous && best > adaptive);
    }
}
