//! Learning end to end, on processes whose optimum is known.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use posology_agent::environment::analytic::{Analytic, Hidden};
use posology_agent::ppo::config::Config;
use posology_agent::train::container::Container;
use posology_agent::train::run::{BEST, LAST};
use posology_agent::train::{
    EvaluateOptions, Evaluation, Metrics, Problem, evaluate, resume, train,
};
use posology_kernels::device::{self, Device};

fn configure(problem: &Problem, overrides: &[&str]) -> Config {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Config::resolve(problem.learning(), &overrides).unwrap()
}

fn built_in(name: &str) -> Problem {
    Problem::built_in(name).unwrap().unwrap()
}

/// Train and evaluate the last policy, or the best where there are limits.
fn learn(
    device: &Device,
    problem: &Problem,
    config: &Config,
    folder: &Path,
) -> (Vec<Metrics>, Evaluation) {
    let mut all = Vec::new();
    let clock = std::time::Instant::now();
    train(device, problem, config, folder, &mut |metrics, _| {
        all.push(metrics.clone());
        true
    })
    .unwrap();
    let limited = all.iter().any(|metrics| !metrics.costs.is_empty());
    let path = folder.join(if limited { BEST } else { LAST });
    let container = Container::read(&path).unwrap();
    let options = EvaluateOptions {
        patients: 16384,
        resamples: 200,
        ..EvaluateOptions::default()
    };
    let found = evaluate(device, &container, "last", problem, &options, |_| true).unwrap();
    println!(
        "{}: {} updates in {:.1} s, return {:.4} ({:.4} to {:.4})",
        problem.name,
        all.len(),
        clock.elapsed().as_secs_f64(),
        found.total.value,
        found.total.low,
        found.total.high
    );
    (all, found)
}

#[test]
fn the_analytic_optimum_is_learnt() {
    let device = device::open(None).unwrap();
    let problem = built_in("analytic");
    let folder = tempfile::tempdir().unwrap();
    let (all, found) = learn(&device, &problem, &configure(&problem, &[]), folder.path());
    let best = Analytic::default().best_return();
    assert!(
        found.total.value > 0.98 * best,
        "{} of {best}",
        found.total.value
    );
    // one read per update, and one more before the first
    assert!(
        all[1..].iter().all(|metrics| metrics.transfers == 1),
        "{all:?}"
    );
    assert_eq!(all[0].transfers, 2);
    assert!(all.iter().all(|metrics| metrics.steps_taken > 0.0));
}

#[test]
fn a_limit_is_kept_at_little_cost() {
    let device = device::open(None).unwrap();
    let problem = built_in("analytic-limited");
    let folder = tempfile::tempdir().unwrap();
    let (all, found) = learn(&device, &problem, &configure(&problem, &[]), folder.path());
    let process = Analytic {
        limit: Some(2.0),
        ..Analytic::default()
    };
    let (_, best, _) = process.constrained();
    let cost = &found.costs[0];
    println!(
        "cost {:.4}, upper {:.4}; return {:.4} of {best:.4}; {:?}",
        cost.risk,
        cost.risk_upper,
        found.total.value,
        all.last().unwrap().costs
    );
    assert!(cost.kept, "{cost:?}");
    assert!(
        found.total.value > 0.97 * best,
        "{} of {best}",
        found.total.value
    );
    // without multipliers the limit is passed
    let folder = tempfile::tempdir().unwrap();
    let config = configure(&problem, &["algorithm=ppo", "updates=40"]);
    let (_, free) = learn(&device, &problem, &config, folder.path());
    assert!(
        free.costs[0].risk > 3.0 && !free.costs[0].kept,
        "{:?}",
        free.costs
    );
}

/// A limit on the worst quarter of the episodes: the optimum caps the doses and takes as much as it
/// may below them, which no price on the mean dose would do.
#[test]
fn a_limit_on_the_tail_is_kept_at_little_cost() {
    let device = device::open(None).unwrap();
    let problem = built_in("analytic-tail");
    let folder = tempfile::tempdir().unwrap();
    let (all, found) = learn(&device, &problem, &configure(&problem, &[]), folder.path());
    let process = Analytic {
        horizon: 1,
        limit: Some(0.65),
        ..Analytic::default()
    };
    let (_, best) = process.tail_constrained(0.75);
    let cost = &found.costs[0];
    println!(
        "CVaR.75 {:.4}, upper {:.4}; return {:.4} of {best:.4}; {:?}",
        cost.risk,
        cost.risk_upper,
        found.total.value,
        all.last().unwrap().costs
    );
    assert!(cost.kept && cost.cvar == Some(0.75), "{cost:?}");
    // the best constant price on the mean dose with the same tail, x - m with m = 0.225, loses 0.043
    assert!(found.total.value > best - 0.01, "{}", found.total.value);
    assert!(found.total.value > 1.0 - 0.043 + 0.015);
}

#[test]
fn memory_pays_where_something_is_hidden() {
    let device = device::open(None).unwrap();
    let problem = built_in("analytic-hidden");
    let process = Analytic {
        levels: Some(2),
        horizon: 16,
        limit: None,
        cvar: None,
        hidden: Some(Hidden {
            noise: 2.0,
            spread: 0.125,
        }),
    };
    let (best, without) = (process.best_return(), process.memoryless_return());
    let folder = tempfile::tempdir().unwrap();
    let (_, recurrent) = learn(&device, &problem, &configure(&problem, &[]), folder.path());
    let folder = tempfile::tempdir().unwrap();
    let config = configure(&problem, &["network=memoryless", "updates=40"]);
    let (_, memoryless) = learn(&device, &problem, &config, folder.path());
    println!("best {best:.3}, without memory {without:.3}");
    let regret = |found: &Evaluation| best - found.total.value;
    assert!(regret(&recurrent) < 0.5 * regret(&memoryless));
    assert!(
        memoryless.total.low < without + 0.1,
        "{:?}",
        memoryless.total
    );
    assert!(recurrent.total.value > 0.97 * best, "{:?}", recurrent.total);
    // the advantage of memory grows within the treatment
    let late = |found: &Evaluation| found.curve.reward[15];
    assert!(late(&recurrent) > late(&memoryless) + 0.1);
}

/// Runs that are stopped and gone on with end in the same bytes, whatever the algorithm carries:
/// recurrent core, limit, value at risk, episodes longer than a rollout.
#[test]
fn an_interrupted_run_ends_in_the_same_bytes() {
    let device = device::open(None).unwrap();
    let text = "process = \"analytic\"\nhorizon = 11\nlimit = 3\n";
    let problem = Problem::from_text("interrupted", None, text).unwrap();
    let config = configure(
        &problem,
        &[
            "lanes=32",
            "steps=4",
            "updates=9",
            "hidden=8",
            "encoder=8",
            "checkpoint_every=4",
            "minibatches=2",
            "epochs=2",
            "validate_every=2",
            "validate_patients=64",
            "histogram_every=3",
        ],
    );
    let whole = tempfile::tempdir().unwrap();
    train(&device, &problem, &config, whole.path(), &mut |_, _| true).unwrap();
    let expected = std::fs::read(whole.path().join(LAST)).unwrap();
    let best = std::fs::read(whole.path().join(BEST)).unwrap();
    let validations = std::fs::read(whole.path().join("validation.jsonl")).unwrap();
    // stopped in order after 3 updates, then after 5, then on to the end
    let cut = tempfile::tempdir().unwrap();
    let stop_at = |at: u64| move |metrics: &Metrics, _: u64| metrics.update < at;
    let first = train(&device, &problem, &config, cut.path(), &mut stop_at(3)).unwrap();
    assert!(first.stopped && first.update == 3);
    resume(&device, cut.path(), &mut stop_at(5)).unwrap();
    let end = resume(&device, cut.path(), &mut |_, _| true).unwrap();
    assert!(!end.stopped && end.update == 9);
    assert!(std::fs::read(cut.path().join(LAST)).unwrap() == expected);
    let lines = std::fs::read_to_string(cut.path().join("metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 9);
    // killed between checkpoints: what was done since the last one is done again
    let killed = tempfile::tempdir().unwrap();
    let seen = AtomicU64::new(0);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        train(
            &device,
            &problem,
            &config,
            killed.path(),
            &mut |metrics, _| {
                seen.store(metrics.update, Ordering::Relaxed);
                assert!(metrics.update < 7, "killed");
                true
            },
        )
    }));
    assert!(outcome.is_err() && seen.load(Ordering::Relaxed) == 7);
    resume(&device, killed.path(), &mut |_, _| true).unwrap();
    for folder in [cut.path(), killed.path()] {
        assert!(std::fs::read(folder.join(LAST)).unwrap() == expected);
        assert!(std::fs::read(folder.join(BEST)).unwrap() == best);
        assert!(std::fs::read(folder.join("validation.jsonl")).unwrap() == validations);
    }
    // validation disturbs nothing but the limit that it calibrates
    let text = std::str::from_utf8(&validations).unwrap();
    assert_eq!(text.lines().count(), 5);
    let silent = tempfile::tempdir().unwrap();
    let mut quiet = config.clone();
    (quiet.validate_every, quiet.validate_calibration) = (0, 0.0);
    let mut config = config.clone();
    config.validate_calibration = 0.0;
    let loud = tempfile::tempdir().unwrap();
    train(&device, &problem, &quiet, silent.path(), &mut |_, _| true).unwrap();
    train(&device, &problem, &config, loud.path(), &mut |_, _| true).unwrap();
    let parameters = |folder: &Path| {
        let container = Container::read(&folder.join(LAST)).unwrap();
        container.words("parameters").unwrap()
    };
    assert!(parameters(silent.path()) == parameters(loud.path()));
    // a run that has ended has nothing left to do
    let again = resume(&device, killed.path(), &mut |_, _| true).unwrap();
    assert_eq!((again.update, again.metrics), (9, None));
}

/// A reward that leaves the numbers: the parameters are those before, and the error says what.
#[test]
fn divergence_names_the_last_good_state() {
    let device = device::open(None).unwrap();
    let problem = built_in("analytic");
    let folder = tempfile::tempdir().unwrap();
    let config = configure(
        &problem,
        &[
            "lanes=32",
            "steps=4",
            "updates=50",
            "rate=1",
            "target_kl=0",
            "max_gradient_norm=1e9",
            "adam_beta2=0",
            "adam_epsilon=1e-12",
            "value_coefficient=1000",
            "rate_schedule=constant",
            "checkpoint_every=1",
        ],
    );
    let outcome = train(&device, &problem, &config, folder.path(), &mut |_, _| true);
    match outcome {
        Err(error) => {
            let message = error.to_string();
            println!("{message}");
            assert!(
                message.contains("diverged at update") && message.contains(LAST),
                "{message}"
            );
            let container = Container::read(&folder.path().join(LAST)).unwrap();
            let parameters = container.words("parameters").unwrap();
            assert!(
                parameters
                    .iter()
                    .all(|word| f32::from_bits(*word).is_finite())
            );
        }
        // bounded activations: the network may survive even this
        Ok(outcome) => println!("survived {} updates", outcome.update),
    }
}
