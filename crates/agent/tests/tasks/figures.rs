//! What simple rules are worth in every shipped task, played on the device: prints, and checks that
//! the constraints bind where the task says so.

use posology_agent::environment::AutoReset;
use posology_agent::environment::patients::{PatientOptions, Patients};
use posology_agent::play::{Episodes, Player, SearchOptions, play, search};
use posology_agent::task::Task;
use posology_kernels::device::open;

use crate::files::{SHIPPED, task};

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len().max(1) as f64
}

/// Mean of the largest `1 - share` of the values.
fn tail(of: &[f64], share: f64) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let n = ((1.0 - share) * sorted.len() as f64).ceil().max(1.0) as usize;
    mean(&sorted[..n])
}

fn report(task: &Task, name: &str, episodes: &Episodes) {
    print!("  {name:<20} return {:9.3}", episodes.mean_return());
    for (cost, sums) in task.spec.costs.iter().zip(&episodes.costs) {
        let value = cost.cvar.map_or(mean(sums), |share| tail(sums, share));
        print!(", {} {value:.2} of {}", cost.name, cost.limit);
    }
    println!();
}

#[test]
#[ignore = "minutes; prints what rules are worth in every task"]
fn rules_in_every_task() {
    let device = open(None).unwrap();
    let only = std::env::var("TASK").ok();
    let lanes = std::env::var("PATIENTS").map_or(512, |n| n.parse().unwrap());
    for name in SHIPPED {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let task = task(name);
        println!("{name}: {lanes} patients");
        let options = PatientOptions {
            lanes,
            reset: AutoReset::Disabled,
            pool: Some(lanes),
            seed: 11,
            ..PatientOptions::default()
        };
        let mut patients = Patients::new(&device, &task, &options).unwrap();
        let zero = vec![0.0; task.spec.actions.len()];
        let mut players = vec![
            ("none".to_owned(), Player::Always(zero)),
            ("random".to_owned(), Player::Random),
        ];
        let fixed = task.baselines.iter().filter(|b| b.search.is_empty());
        players
            .extend(fixed.map(|b| (b.name.clone(), Player::Rule(task.rule(patients.plan(), b)))));
        for (rule, player) in players {
            let episodes = play(&device, &mut patients, &player, 11, 0).unwrap();
            assert!(episodes.returns.iter().all(|r| r.is_finite()), "{rule}");
            report(&task, &rule, &episodes);
        }
        for baseline in task.baselines.iter().filter(|b| !b.search.is_empty()) {
            let options = SearchOptions {
                patients: lanes.min(64),
                first_id: 0,
                seed: 11,
                replicates: 1,
                refinements: 1,
                begun: Vec::new(),
            };
            let found = search(&device, &task, baseline, &options, |_, _| {}).unwrap();
            println!(
                "  {:<20} return {:9.3} (best for each of {})",
                baseline.name,
                mean(&found.returns),
                options.patients
            );
        }
    }
}
