//! Times to progression of the base patient of Gallagher et al. 2024.

use posology_agent::baseline::course::{HostCourses, Outcome, Setting};
use posology_agent::baseline::rules::Rule;
use posology_agent::baseline::threshold::Search;
use posology_cohort::Cohort;

use crate::shipped;

/// The benchmark: decided every `every`, progression at 1.2 times the start, seen on the quarter
/// days of the model's step, as in the authors' code.
pub fn setting(every: &str, error: f64) -> Setting {
    Setting {
        action: "drug".to_owned(),
        largest: 1.0,
        measured: "total/n0".to_owned(),
        ends: "total > 1.2*n0".to_owned(),
        every: every.to_owned(),
        horizon: "3650 d".to_owned(),
        error,
        seed: 2024,
    }
}

fn base(every: &str) -> HostCourses {
    let model = shipped("lotka-volterra-adaptive");
    let cohort = Cohort::typical(&model, 1);
    HostCourses::new(model, cohort, &setting(every, 0.0)).unwrap()
}

fn time(every: &str, rule: &Rule) -> f64 {
    let Outcome { time, ended, .. } = base(every).course(0, rule, 0);
    assert!(ended);
    time
}

/// Exact, to the quarter day. Without drug the tumour reaches 1.2 times its start when the logistic
/// curve does: n = 0.9 from 0.75 takes ln(9 / 3) / 0.027 = 40.69 days.
#[test]
fn rules_on_the_base_patient() {
    assert_eq!(time("1 d", &Rule::Continuous), 451.75);
    assert_eq!(time("1 d", &Rule::ADAPTIVE), 663.0);
    assert_eq!(time("28 d", &Rule::ADAPTIVE), 671.5);
    assert_eq!(time("7 d", &Rule::None), 40.75);
}

/// Thresholds of the benchmark, printed to three digits. At daily decisions the time jumps by up to
/// 10 days within one unit of the third digit (2162.25 at 1.1950, 2170.75 at 1.1953).
#[test]
fn thresholds_on_the_base_patient() {
    assert_eq!(time("1 d", &Rule::Threshold(1.1953)), 2170.75);
    assert_eq!(time("1 d", &Rule::Threshold(1.195)), 2162.25);
    assert_eq!(time("7 d", &Rule::Threshold(1.175)), 2019.75);
    assert_eq!(time("28 d", &Rule::Threshold(1.084)), 1401.5);
}

/// The search finds at least what the published grid found, and not much more: the margin is what
/// a finer grid gains.
#[test]
fn search_on_the_base_patient() {
    for (every, published, more) in [
        ("1 d", 2170.75, 20.0),
        ("7 d", 2019.75, 15.0),
        ("28 d", 1401.5, 0.5),
    ] {
        let found = Search::default().run(&base(every)).unwrap()[0];
        println!("{every}: {} d at {:.4}", found.gain, found.level);
        assert!(
            found.gain >= published && found.gain <= published + more,
            "{every}: {found:?}, published {published}"
        );
    }
}

/// Drug that is on counts: continuous treatment is on all the time, the threshold rarely is.
#[test]
fn time_on_drug() {
    let continuous = base("7 d").course(0, &Rule::Continuous, 0);
    assert!((continuous.treated - continuous.time).abs() < 1e-9);
    let threshold = base("7 d").course(0, &Rule::Threshold(1.175), 0);
    let share = threshold.treated / threshold.time;
    println!("share of time on drug at 1.175: {share:.3}");
    assert!((0.1..0.9).contains(&share));
}
