//! Lanes out of phase, episodes cut for training, and rewards that count while learning only.

use std::path::Path;

use posology_agent::environment::Environment;
use posology_agent::environment::patients::{PatientOptions, Patients};
use posology_agent::ppo::statistics::{Accounts, EpisodeSums};
use posology_agent::rollout::{Buffer, CUT, RESET, Rollout, TRUNCATED};
use posology_agent::task::Task;
use posology_kernels::device::Device;

const LANES: usize = 64;
const HORIZON: usize = 40;

/// Maximal doses: nobody dies of them within these decisions.
fn played(device: &Device, task: &Task, options: &PatientOptions, steps: usize) -> Rollout {
    let mut environment = Patients::new(device, task, options).unwrap();
    let mut rollout = Rollout::new(device, &task.spec, steps, LANES, 0);
    let words = vec![10f32.to_bits(); steps * LANES];
    rollout.action = Buffer::from_words(&device.client, &words, 1, steps * LANES);
    environment.reset(1, 0, &rollout).unwrap();
    for t in 0..steps {
        environment.step(&rollout, t).unwrap();
    }
    rollout
}

fn chemotherapy() -> Task {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks/ahn-chemo.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let end = text.find("[learning]").unwrap();
    let rest = text[end..].find("[baselines").unwrap();
    let text = format!("{}{}", &text[..end], &text[end + rest..]);
    Task::parse("ahn-chemo", &text, path.parent()).unwrap_or_else(|f| panic!("{f}"))
}

#[test]
fn first_episodes_end_one_after_another_and_do_not_count() {
    let device = posology_kernels::device::open(None).unwrap();
    let task = chemotherapy();
    let options = PatientOptions {
        lanes: LANES,
        learning: true,
        staggered: true,
        horizon: Some(HORIZON),
        ..PatientOptions::default()
    };
    let steps = 2 * HORIZON + 2;
    let rollout = played(&device, &task, &options, steps);
    let flags = rollout.flags.words(&device.client).unwrap();
    let mut whole = 0;
    for lane in 0..LANES {
        let until = ((lane + 1) * HORIZON / LANES).max(1);
        let mut wanted = vec![0; steps];
        wanted[until - 1] = if until == HORIZON {
            TRUNCATED
        } else {
            TRUNCATED | CUT
        };
        whole += usize::from(until == HORIZON);
        // the next episodes are whole, each after a decision that only resets
        let mut at = until;
        while at < steps {
            wanted[at] = RESET;
            at += HORIZON + 1;
            if at - 1 < steps {
                wanted[at - 1] = TRUNCATED;
                whole += 1;
            }
        }
        let found: Vec<u32> = (0..steps).map(|t| flags[t * LANES + lane]).collect();
        assert_eq!(found, wanted, "lane {lane}");
    }
    let risk = Accounts::risk(&device, &task.spec.costs, &[]);
    let taken = Accounts::new(&device, 0, LANES).take(&device, &rollout, &risk);
    let sums = taken.sums.floats(&device.client).unwrap();
    let sums = EpisodeSums::from_rows(&sums[..taken.sums.rows]);
    assert!((sums.episodes - whole as f64).abs() < 0.5);
    assert!((sums.length / sums.episodes - HORIZON as f64).abs() < 1e-6);
}

#[test]
fn shaping_counts_in_training_only() {
    let device = posology_kernels::device::open(None).unwrap();
    let task = chemotherapy();
    let of = |learning| {
        let options = PatientOptions {
            lanes: LANES,
            learning,
            ..PatientOptions::default()
        };
        let rollout = played(&device, &task, &options, 8);
        let read = |buffer: &Buffer| buffer.floats(&device.client).unwrap();
        (read(&rollout.reward), read(&rollout.terms))
    };
    let ((training, terms), (evaluation, _)) = (of(true), of(false));
    let columns = training.len();
    let mut shaped = 0;
    for at in 0..columns {
        let sum = |shaping: bool| -> f64 {
            let all = task.spec.rewards.iter().enumerate();
            all.filter(|(_, reward)| reward.shaping == shaping)
                .map(|(k, reward)| reward.weight * f64::from(terms[k * columns + at]))
                .sum()
        };
        assert!((f64::from(evaluation[at]) - sum(false)).abs() < 1e-5);
        assert!((f64::from(training[at]) - sum(false) - sum(true)).abs() < 1e-4);
        shaped += usize::from(sum(true).abs() > 0.1);
    }
    assert!(shaped > columns / 2);
}
