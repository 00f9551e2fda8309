//! Who a patient may be, and learning on for him.

use posology_agent::adapt::posterior::{History, Posterior, observe, posterior};
use posology_agent::adapt::{PosteriorOptions, TuneOptions, tune};
use posology_agent::environment::patients::{PatientOptions, Patients};
use posology_agent::environment::{AutoReset, HELD_OUT};
use posology_agent::error::AgentError;
use posology_agent::play::{Begun, Player, Policy, Record, record};
use posology_agent::task::Task;
use posology_agent::train::Problem;
use posology_cohort::Cohort;
use posology_kernels::device::{Device, open};

use crate::adapt::{checkpoint, short};

/// The policy of a network that has hardly learnt: about half of the decisions are to treat.
fn policy(device: &Device, problem: &Problem, deterministic: bool) -> Policy {
    let container = checkpoint(device, problem, &[]);
    let spec = &problem.task().unwrap().spec;
    Policy::of(device, &container, "x", spec, deterministic).unwrap()
}

fn patient(device: &Device, task: &Task, index: usize) -> Cohort {
    let all = task.patients(device, index + 1, 1, HELD_OUT).unwrap();
    all.select(&[index])
}

fn seen(device: &Device, task: &Task, who: &Cohort, policy: &Policy, decisions: usize) -> History {
    observe(device, task, who, HELD_OUT, policy, 1, decisions).unwrap()
}

fn played(device: &Device, task: &Task, who: &Cohort, lanes: usize, player: &Player) -> Record {
    let options = PatientOptions {
        lanes,
        reset: AutoReset::Disabled,
        ..PatientOptions::default()
    };
    let mut patients = Patients::of(device, task, who, &options).unwrap();
    patients.copies(lanes);
    record(device, &mut patients, player, 1, HELD_OUT).unwrap()
}

/// A policy that takes over its own beginning goes on as if nothing had been; then courses with
/// other measurement errors part, and the first stays as it was.
#[test]
fn a_course_goes_on_where_it_was() {
    let device = open(None).unwrap();
    let problem = short("364");
    let problem = problem
        .with(&["observe.size.proportional=0.2".to_owned()])
        .unwrap();
    let task = problem.task().unwrap();
    let who = patient(&device, task, 2);
    let own = policy(&device, &problem, true);
    let history = seen(&device, task, &who, &own, 6);
    assert_eq!(history.decisions(), 6);
    let whole = played(&device, task, &who, 1, &Player::Policy(own.clone()));
    let begun = |lanes: usize, numbers: Vec<u32>| Begun {
        actions: history.plan(lanes),
        decisions: 6,
        numbers,
    };
    let after = |begun| Player::After(begun, Box::new(Player::Policy(own.clone())));
    let again = played(&device, task, &who, 1, &after(begun(1, Vec::new())));
    assert_eq!(again, whole);
    let numbers = (0..4).map(|k| HELD_OUT + k).collect();
    let parted = played(&device, task, &who, 4, &after(begun(4, numbers)));
    assert_eq!(parted.rewards[0], whole.rewards[0]);
    for rewards in &parted.rewards {
        assert_eq!(rewards[..6], whole.rewards[0][..6]);
    }
    // what is measured at each decision is what the patient's number and the seed give
    let errors: Vec<f64> = history.measured.iter().map(|m| m[0].unwrap()).collect();
    assert!(
        errors.windows(2).all(|pair| pair[0] != pair[1]),
        "{errors:?}"
    );
}

/// Deviations of beliefs from the truth in their own standard deviations, and these as shares of
/// those before, of every parameter.
fn judged(found: &Posterior, task: &Task, truth: &Cohort) -> Vec<(f64, f64)> {
    let beliefs = found.beliefs(task, truth);
    let names: Vec<&str> = beliefs.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["cost", "turnover", "n0", "f0"]);
    println!("effective {:.1}", found.effective);
    for b in &beliefs {
        println!(
            "  {}: {:.4} +- {:.4}, before {:.4} +- {:.4}, truth {:.4}",
            b.name, b.mean, b.sd, b.prior_mean, b.prior_sd, b.truth
        );
    }
    let one = |b: &posology_agent::adapt::posterior::Belief| {
        (((b.mean - b.truth) / b.sd).abs(), b.sd / b.prior_sd)
    };
    beliefs.iter().map(one).collect()
}

/// The virtual patients that fit a simulated patient have his parameters, as far as his
/// measurements tell them; he himself fits best.
#[test]
fn the_posterior_is_around_the_truth() {
    let device = open(None).unwrap();
    let problem = short("364");
    let task = problem.task().unwrap();
    let drawn = policy(&device, &problem, false);
    let known = (0..24).filter_map(|index| {
        let who = patient(&device, task, index);
        // those who are treated so long
        let history = observe(&device, task, &who, HELD_OUT, &drawn, 1, 16).ok()?;
        Some((index, who, history))
    });
    let known: Vec<(usize, Cohort, History)> = known.take(2).collect();
    assert_eq!(known.len(), 2);
    for (index, who, history) in known {
        let options = PosteriorOptions {
            drawn: 8192,
            least: 5.0,
            ..PosteriorOptions::default()
        };
        let found = posterior(&device, task, &history, &options, |_, _| {}).unwrap();
        assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let judged = judged(&found, task, &who);
        for (off, share) in &judged {
            assert!(*off < 3.5 && *share < 1.3, "{judged:?}");
        }
        // growth with and without drug tells size and turnover
        assert!(judged[1].1.max(judged[2].1) < 0.9, "{judged:?}");
        assert!(judged[1].1.min(judged[2].1) < 0.6, "{judged:?}");
        // the same draw as the patient's own: nobody fits better than himself
        let options = PosteriorOptions {
            drawn: 64,
            least: 0.0,
            first_id: HELD_OUT,
            ..options
        };
        let found = posterior(&device, task, &history, &options, |_, _| {}).unwrap();
        let best = (0..64).max_by(|&a, &b| found.weights[a].total_cmp(&found.weights[b]));
        assert_eq!(best, Some(index));
        // and of few, too few fit
        let options = PosteriorOptions {
            drawn: 8,
            least: 8.0,
            ..options
        };
        let refused = posterior(&device, task, &history, &options, |_, _| {}).unwrap_err();
        assert!(matches!(refused, AgentError::Unlike { drawn: 8, .. }));
    }
}

/// Declared errors, missed measurements, shields and covariates: neutrophils under docetaxel.
#[test]
fn covariates_are_known_and_errors_are_declared() {
    let device = open(None).unwrap();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../configs/tasks/docetaxel-dosing.toml"
    );
    let problem = Problem::load(path.as_ref()).unwrap();
    let problem = problem
        .with(&[
            "observe.ANC.missed=0.4".to_owned(),
            "patients.pool=32".to_owned(),
        ])
        .unwrap();
    let task = problem.task().unwrap();
    let who = patient(&device, task, 1);
    let drawn = policy(&device, &problem, false);
    let history = seen(&device, task, &who, &drawn, 4);
    let missed = history.measured.iter().filter(|m| m[0].is_none()).count();
    assert!(history.measured[0][0].is_some());
    assert!((1..5).contains(&missed), "{:?}", history.measured);
    let options = PosteriorOptions {
        drawn: 512,
        ..PosteriorOptions::default()
    };
    let found = posterior(&device, task, &history, &options, |_, _| {}).unwrap();
    assert!(
        found.effective > 30.0 && found.effective < 512.0,
        "{}",
        found.effective
    );
    let parameters = task.model.parameters.len();
    for (row, own) in found.cohort.slots.iter().zip(&who.slots).skip(parameters) {
        assert!(row.iter().all(|value| *value == own[0]));
    }
    let beliefs = found.beliefs(task, &who);
    let base = beliefs.iter().find(|b| b.name == "base").unwrap();
    assert!(
        (base.mean - base.truth).abs() < 3.5 * base.sd && base.sd < base.prior_sd,
        "{base:?}"
    );
}

/// A policy that has learnt little gains by learning on patients like the one it treats, on others
/// of them and in his own course.
#[test]
fn tuning_helps_the_patient() {
    let device = open(None).unwrap();
    let problem = short("728");
    let container = checkpoint(&device, &problem, &["lanes=64", "steps=32"]);
    let options = TuneOptions {
        patient: 0,
        decisions: 4,
        judged: 64,
        posterior: PosteriorOptions {
            drawn: 4096,
            least: 10.0,
            ..PosteriorOptions::default()
        },
        overrides: vec!["updates=24".to_owned(), "rate=1e-2".to_owned()],
        ..TuneOptions::default()
    };
    let (found, kept) = tune(&device, &container, "x", &options, |_, _, _| true).unwrap();
    for check in &found.checks {
        println!("{check:?}");
    }
    println!("{:?}\n{:?}\n{:?}", found.untuned, found.tuned, found.oracle);
    assert_eq!(found.checks.len(), 7);
    let of = |update: u64| found.checks.iter().find(|c| c.update == update).unwrap();
    assert!(found.kept > 0);
    assert!(of(found.kept).mean_return > of(0).mean_return + 0.3);
    assert!(found.tuned.rest > found.untuned.rest + 0.3);
    assert!(found.oracle.rest + 0.5 > found.tuned.rest);
    // everyone has the same past
    let past = |rest: &posology_agent::adapt::rest::Rest| rest.whole - rest.rest;
    assert!((past(&found.untuned) - past(&found.tuned)).abs() < 1e-9);
    assert!((past(&found.untuned) - past(&found.oracle)).abs() < 1e-9);
    // the checkpoint says whom it is for, and holds the tuned policy
    assert_eq!(kept.about["tuned"]["patient"], 0);
    assert_eq!(kept.about["update"], found.kept);
    assert_ne!(kept.words("parameters"), container.words("parameters"));
}
