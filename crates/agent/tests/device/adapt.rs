//! Regret to the patient's own oracle, from courses on the device.

use std::path::{Path, PathBuf};

use posology_agent::adapt::{AdaptationOptions, Entrant, adaptation};
use posology_agent::environment::AutoReset;
use posology_agent::play::OpenLoopOptions;
use posology_agent::ppo::config::Config;
use posology_agent::train::container::Container;
use posology_agent::train::problem::Who;
use posology_agent::train::{EvaluateOptions, Learner, Problem, evaluate};
use posology_kernels::device::{Device, open};

const PATIENTS: usize = 20;

/// A shipped task with a year of weekly decisions and a coarse search.
pub fn short(days: &str) -> Problem {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks");
    let path: PathBuf = path.join("adaptive-therapy.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace("horizon = \"3650 d\"", &format!("horizon = \"{days} d\""))
        .replace("points = 61", "points = 13")
        .replace("pool = 16384", "pool = 64");
    Problem::from_text("short", Some(path), &text).unwrap()
}

pub const SMALL: [&str; 6] = [
    "lanes=32",
    "steps=8",
    "updates=2",
    "hidden=8",
    "encoder=8",
    "minibatches=2",
];

/// A checkpoint of a network that has hardly learnt.
pub fn checkpoint(device: &Device, problem: &Problem, more: &[&str]) -> Container {
    let overrides = SMALL.iter().chain(more).map(|&text| text.to_owned());
    let overrides: Vec<String> = overrides.collect();
    let config = Config::resolve(None, &overrides).unwrap();
    let who = Who {
        lanes: config.lanes,
        reset: AutoReset::NextStep,
        seed: 1,
        first_id: 0,
        pool: None,
        learning: true,
        staggered: true,
        horizon: None,
    };
    let environment = problem.environment(device, &who).unwrap();
    let mut learner = Learner::new(device, environment, &config).unwrap();
    for _ in 0..config.updates {
        learner.update().unwrap();
    }
    learner.save(problem).unwrap()
}

/// The policies' returns are those of `evaluate`, the oracle is the best threshold of each patient,
/// and the regret at the end is their difference.
#[test]
fn regret_is_what_the_oracle_has_more() {
    let device = open(None).unwrap();
    let problem = short("364");
    let recurrent = checkpoint(&device, &problem, &[]);
    let memoryless = checkpoint(&device, &problem, &["network=memoryless", "seed=2"]);
    let entrants = [
        ("recurrent", &recurrent),
        ("memoryless", &memoryless),
        ("recurrent", &recurrent),
    ];
    let entrants = entrants.map(|(label, container)| Entrant {
        label,
        container,
        path: label,
    });
    let options = AdaptationOptions {
        patients: PATIENTS,
        cycle: Some(4),
        refinements: 1,
        ..AdaptationOptions::default()
    };
    let found = adaptation(&device, &entrants, &options, |_, _, _| {}).unwrap();
    assert_eq!(
        (found.cycles, found.oracle.name.as_str()),
        (13, "threshold")
    );
    assert_eq!((found.policies[0].runs, found.policies[1].runs), (2, 1));
    for (curve, container) in found.policies.iter().zip([&recurrent, &memoryless]) {
        let options = EvaluateOptions {
            patients: PATIENTS,
            ..EvaluateOptions::default()
        };
        let told = evaluate(&device, container, "x", &problem, &options, |_| true).unwrap();
        assert!(
            (curve.total.value - told.total.value).abs() < 1e-9,
            "{}",
            curve.label
        );
        let last = curve.regret[12].value;
        let gap = found.oracle.total.value - told.total.value;
        assert!((last - gap).abs() < 1e-9, "{last} {gap}");
        let sum: f64 = curve.increment.iter().map(|e| e.value).sum();
        assert!((sum - last).abs() < 1e-9);
        assert_eq!(curve.treated[0], 1.0);
    }
    // the oracle lives at least as long as with any one threshold for all, here the task's
    // highest, and its rewards are days
    let treated = &found.oracle.treated;
    assert!(treated.windows(2).all(|pair| pair[1] <= pair[0]));
    assert_eq!(found.oracle.parameters[0].1.len(), PATIENTS);
    assert_eq!(found.reductions[0].label, "recurrent");
}

/// A plan is an oracle too; what is not there is refused.
#[test]
fn oracles_are_chosen_by_name() {
    let device = open(None).unwrap();
    let problem = short("56");
    let container = checkpoint(&device, &problem, &[]);
    let entrant = Entrant {
        label: "a",
        container: &container,
        path: "a",
    };
    let mut options = AdaptationOptions {
        patients: 3,
        oracle: Some("plan".to_owned()),
        open_loop: OpenLoopOptions {
            candidates: 16,
            iterations: 3,
            ..OpenLoopOptions::default()
        },
        resamples: 50,
        ..AdaptationOptions::default()
    };
    let found = adaptation(&device, &[entrant], &options, |_, _, _| {}).unwrap();
    assert_eq!((found.cycles, found.oracle.name.as_str()), (8, "plan"));
    assert!(found.oracle.total.value > 0.0 && found.reductions.is_empty());
    options.oracle = Some("zhang".to_owned());
    let error = adaptation(&device, &[entrant], &options, |_, _, _| {}).unwrap_err();
    assert!(error.to_string().contains("threshold, plan"), "{error}");
    let other = checkpoint(&device, &short("63"), &[]);
    let other = Entrant {
        label: "b",
        container: &other,
        path: "b",
    };
    let error = adaptation(&device, &[entrant, other], &options, |_, _, _| {}).unwrap_err();
    assert!(
        error.to_string().contains("another one than that of a"),
        "{error}"
    );
}
