//! What holds for every shipped task file.

use std::path::PathBuf;

use posology_agent::task::Task;
use posology_cohort::population_file::Population;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks")
}

pub fn task(name: &str) -> Task {
    match Task::load(&folder().join(format!("{name}.toml"))) {
        Ok(task) => task,
        Err(found) => panic!("{name}: {found}"),
    }
}

pub const SHIPPED: [&str; 7] = [
    "abiraterone",
    "adaptive-therapy",
    "adaptive-therapy-monthly",
    "ahn-chemo",
    "docetaxel-dosing",
    "paclitaxel-carboplatin",
    "psma-activity",
];

/// Every file can be read, has what a comparison needs, and its patients can be drawn.
#[test]
fn every_task_is_complete() {
    let device = posology_kernels::device::open(None).unwrap();
    for name in SHIPPED {
        let task = task(name);
        assert!(!task.title.is_empty(), "{name}");
        assert!(!task.baselines.is_empty(), "{name}: no baseline");
        let decisions = task.spec.horizon;
        println!(
            "{name}: {decisions} decisions, {} features, {} hidden, {} costs",
            task.spec.features.len(),
            task.spec.hidden.len(),
            task.spec.costs.len()
        );
        assert!((2..=1000).contains(&decisions), "{name}: {decisions}");
        let patients = task
            .patients(&device, 8, 5, 100)
            .unwrap_or_else(|f| panic!("{f}"));
        assert_eq!(patients.len(), 8, "{name}");
    }
}

/// The real men of the trial become patients of the task's model, with the cells of their fits.
#[test]
fn the_men_of_the_trial() {
    let task = task("abiraterone");
    let path = folder().join("../populations/abiraterone-trial.toml");
    let population = Population::load(&path).unwrap_or_else(|f| panic!("{f}"));
    let men = population
        .sample(&task.model, 32, 1, 0)
        .unwrap_or_else(|f| panic!("{f}"))
        .cohort;
    let row = |name: &str| &men.slots[task.model.slot_index(name).unwrap()];
    // P1001 and the geometric means that the model's typical man has
    assert!((row("S0")[0] - 2158.32).abs() < 1e-9 && (row("R0")[0] - 52.35).abs() < 1e-9);
    for (name, typical) in [("S0", 3264.0), ("R0", 140.4)] {
        let mean = row(name).iter().map(|v| v.ln()).sum::<f64>() / 32.0;
        assert!((mean.exp() / typical - 1.0).abs() < 0.001, "{name}");
    }
}
