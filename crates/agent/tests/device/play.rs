//! Baselines of the shipped tasks against published figures, played on the device.

use std::path::Path;

use posology_agent::environment::AutoReset;
use posology_agent::environment::patients::{PatientOptions, Patients};
use posology_agent::play::{
    Episodes, OpenLoopOptions, Player, SearchOptions, optimise, play, search,
};
use posology_agent::rollout::{TERMINATED, TRUNCATED};
use posology_agent::task::Task;
use posology_kernels::device::{Device, open};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks")
}

fn task(text: &str) -> Task {
    Task::parse("task", text, Some(&folder())).unwrap_or_else(|f| panic!("{}", f.render(false)))
}

fn shipped(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn played(
    device: &Device,
    task: &Task,
    lanes: usize,
    player: impl Fn(&Patients) -> Player,
) -> Episodes {
    let options = PatientOptions {
        lanes,
        reset: AutoReset::Disabled,
        ..PatientOptions::default()
    };
    let mut patients = Patients::new(device, task, &options).unwrap();
    let player = player(&patients);
    play(device, &mut patients, &player, 7, 0).unwrap()
}

fn rule(task: &Task, name: &str) -> impl Fn(&Patients) -> Player {
    let baseline = task.baselines.iter().find(|b| b.name == name).unwrap();
    let (task, baseline) = (task.clone(), baseline.clone());
    move |patients| Player::Rule(task.rule(patients.plan(), &baseline))
}

/// LEARNING_TASKS: DTRGym's Ahn environment, setting 1.
#[test]
fn ahn_baselines_have_their_published_returns() {
    let device = open(None).unwrap();
    let task = task(&shipped("ahn-chemo.toml"));
    let switch = played(&device, &task, 1, rule(&task, "maximal_then_none"));
    assert!(
        (switch.returns[0] - 400.68).abs() < 0.01,
        "{:?}",
        switch.returns
    );
    assert_eq!((switch.decisions[0], switch.flags[0]), (600, TRUNCATED));
    let none = played(&device, &task, 1, |_| Player::Always(vec![0.0]));
    assert!((none.returns[0] + 164.0).abs() < 1.5, "{:?}", none.returns);
    assert_eq!(none.flags[0], TERMINATED);
    // random 62.4 +/- 14.3 (SD): the mean of 256 within four standard errors and the rounding
    let random = played(&device, &task, 256, |_| Player::Random);
    let mean = random.mean_return();
    assert!((mean - 62.4).abs() < 4.0 * 14.3 / 16.0 + 0.5, "{mean}");
}

/// The best switch found by the search is the published one.
#[test]
fn ahn_switch_is_found() {
    let device = open(None).unwrap();
    let task = task(&shipped("ahn-chemo.toml"));
    let baseline = task.baselines.iter().find(|b| b.name == "switch").unwrap();
    let options = SearchOptions {
        patients: 1,
        first_id: 0,
        seed: 1,
        replicates: 1,
        refinements: 0,
        begun: Vec::new(),
    };
    let found = search(&device, &task, baseline, &options, |_, _| {}).unwrap();
    assert!((found.returns[0] - 400.68).abs() < 0.01, "{found:?}");
    assert!((found.parameters[0][0] - 20.25).abs() < 0.3, "{found:?}");
}

/// LEARNING_TASKS: times to progression of the base patient, days.
#[test]
fn adaptive_therapy_baselines_have_their_published_times() {
    let device = open(None).unwrap();
    let text = shipped("adaptive-therapy.toml").replace("pool = 16384", "typical = true\npool = 1");
    let days =
        |task: &Task, name: &str| 100.0 * played(&device, task, 1, rule(task, name)).returns[0];
    let weekly = task(&text);
    assert!((days(&weekly, "continuous") - 451.75).abs() < 0.26);
    let best = |task: &Task| {
        let baseline = task
            .baselines
            .iter()
            .find(|b| b.name == "threshold")
            .unwrap();
        let options = SearchOptions {
            patients: 1,
            first_id: 0,
            seed: 1,
            replicates: 1,
            refinements: 2,
            begun: Vec::new(),
        };
        let found = search(&device, task, baseline, &options, |_, _| {}).unwrap();
        (100.0 * found.returns[0], found.parameters[0][0])
    };
    let (time, level) = best(&weekly);
    println!("weekly {time} {level}");
    assert!((time - 2019.75).abs() < 15.0, "{time} at {level}");
    assert!((level - 1.175).abs() < 0.01, "{time} at {level}");
    let rare = task(&text.replace("7 d", "28 d").replace("7[d]", "28[d]"));
    assert!((days(&rare, "zhang") - 671.5).abs() < 0.26);
    let (time, level) = best(&rare);
    println!("28-daily {time} {level}");
    assert!((time - 1401.5).abs() < 15.0, "{time} at {level}");
    let daily = task(&text.replace("7 d", "1 d").replace("7[d]", "1[d]"));
    assert!((days(&daily, "zhang") - 663.0).abs() < 0.26);
}

/// A plan for the known patient is at least as good as the best switch, less what 40 iterations
/// leave; here with few decisions.
#[test]
fn open_loop_plans_beat_doing_nothing() {
    let device = open(None).unwrap();
    let text = shipped("ahn-chemo.toml").replace("0.25 d", "10 d").replace(
        "levels = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]",
        "levels = [0, 1]",
    );
    let task = task(&text);
    let options = OpenLoopOptions {
        patients: 1,
        candidates: 64,
        iterations: 12,
        ..OpenLoopOptions::default()
    };
    let found = optimise(&device, &task, &options, |_, _| {}).unwrap();
    let switches: Vec<f64> = (0..=15)
        .map(|k| {
            let plan: Vec<f32> = (0..15).map(|t| f32::from(u8::from(t < k))).collect();
            played(&device, &task, 1, |_| Player::Plan(plan.clone())).returns[0]
        })
        .collect();
    let best = switches.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    println!("plan {:?}, best switch {best}", found.returns);
    assert!(found.returns[0] >= best - 1e-3);
}
