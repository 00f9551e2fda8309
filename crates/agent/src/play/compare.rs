//! Every baseline of a task on the same patients.

use posology_cohort::Cohort;
use posology_kernels::device::Device;

use super::{Episodes, OpenLoopOptions, Player, SearchOptions, optimise_among, play, search_among};
use crate::environment::patients::{PatientOptions, Patients};
use crate::environment::{AutoReset, HELD_OUT};
use crate::error::AgentError;
use crate::spec::ActionKind;
use crate::task::Task;

/// Patients of one launch.
const LANES: usize = 16_384;

/// Whom baselines are played on, and which.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareOptions {
    pub patients: usize,
    pub first_id: u32,
    pub seed: u64,
    /// Only these; every one if empty.
    pub only: Vec<String>,
    /// Episodes over which a searched parameter is judged.
    pub replicates: usize,
    /// Also optimise an open-loop plan for so many of the patients.
    pub plans: usize,
    pub open_loop: OpenLoopOptions,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            patients: 1000,
            first_id: HELD_OUT,
            seed: 1,
            only: Vec::new(),
            replicates: 1,
            plans: 0,
            open_loop: OpenLoopOptions::default(),
        }
    }
}

/// A baseline and how its patients fared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    pub name: String,
    pub title: String,
    /// `[patient]` sum of the weighted reward.
    pub returns: Vec<f64>,
    /// `[cost][patient]`; empty for searches.
    pub costs: Vec<Vec<f64>>,
    /// `[patient]`; empty for searches and plans.
    pub decisions: Vec<u32>,
    /// Parameters found per patient, by name.
    pub parameters: Vec<(String, Vec<f64>)>,
}

impl Compared {
    /// Mean return and its standard error.
    pub fn mean(&self) -> (f64, f64) {
        let n = self.returns.len().max(1) as f64;
        let mean = self.returns.iter().sum::<f64>() / n;
        let squares: f64 = self.returns.iter().map(|r| (r - mean).powi(2)).sum();
        (mean, (squares / (n - 1.0).max(1.0) / n).sqrt())
    }
}

/// Plays no treatment, the most that can be given, chance, every rule of the task file, searches
/// the rules that have parameters, and optimises plans, all on the same patients.
///
/// # Errors
/// A name that the task has not; findings about the population; the device.
pub fn compare(
    device: &Device,
    task: &Task,
    options: &CompareOptions,
    mut progress: impl FnMut(&str, usize, usize),
) -> Result<Vec<Compared>, AgentError> {
    let known: Vec<&str> = ["none", "most", "random"]
        .into_iter()
        .chain(task.baselines.iter().map(|b| b.name.as_str()))
        .collect();
    for name in &options.only {
        if !known.contains(&name.as_str()) {
            return Err(AgentError::Option {
                key: "baseline".to_owned(),
                value: name.clone(),
                cause: format!("the task has {}", known.join(", ")),
            });
        }
    }
    // batches of one draw: every baseline meets the same patients
    let cohort = task.patients(device, options.patients, options.seed, options.first_id)?;
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    let mut rows = Vec::new();
    let most = task.spec.actions.iter().map(|action| match &action.kind {
        ActionKind::Levels(levels) => (0..levels.len())
            .max_by(|&a, &b| levels[a].total_cmp(&levels[b]))
            .unwrap_or(0) as f32,
        ActionKind::Fraction => 1.0,
    });
    let least = task.spec.actions.iter().map(|action| match &action.kind {
        ActionKind::Levels(levels) => (0..levels.len())
            .min_by(|&a, &b| levels[a].total_cmp(&levels[b]))
            .unwrap_or(0) as f32,
        ActionKind::Fraction => 0.0,
    });
    for (name, title, player) in [
        ("none", "no treatment", Player::Always(least.collect())),
        ("most", "the most, always", Player::Always(most.collect())),
        ("random", "any allowed action", Player::Random),
    ] {
        if wanted(name) {
            progress(name, 0, 1);
            rows.push(played(device, task, &cohort, options, name, title, |_| {
                player.clone()
            })?);
        }
    }
    for baseline in task.baselines.iter().filter(|b| wanted(&b.name)) {
        if baseline.search.is_empty() {
            progress(&baseline.name, 0, 1);
            let (name, title) = (&baseline.name, &baseline.title);
            let rule = |patients: &Patients| Player::Rule(task.rule(patients.plan(), baseline));
            rows.push(played(device, task, &cohort, options, name, title, rule)?);
            continue;
        }
        let search_options = SearchOptions {
            patients: options.patients,
            first_id: options.first_id,
            seed: options.seed,
            replicates: options.replicates,
            refinements: 2,
            begun: Vec::new(),
        };
        let tell = |done, total| progress(&baseline.name, done, total);
        let found = search_among(device, task, baseline, &cohort, &search_options, tell)?;
        let names = baseline.search.iter().map(|axis| axis.name.clone());
        rows.push(Compared {
            name: baseline.name.clone(),
            title: baseline.title.clone(),
            returns: found.returns,
            parameters: names.zip(found.parameters).collect(),
            ..Compared::default()
        });
    }
    if options.plans > 0 {
        let plan_options = OpenLoopOptions {
            patients: options.plans.min(options.patients),
            first_id: options.first_id,
            seed: options.seed,
            ..options.open_loop.clone()
        };
        let known: Vec<usize> = (0..plan_options.patients).collect();
        let known = cohort.select(&known);
        let tell = |done, total| progress("plan", done, total);
        let found = optimise_among(device, task, &known, &plan_options, tell)?;
        rows.push(Compared {
            name: "plan".to_owned(),
            title: "open-loop plan of a patient who is known".to_owned(),
            returns: found.returns,
            costs: found.costs,
            ..Compared::default()
        });
    }
    Ok(rows)
}

#[allow(clippy::too_many_arguments)]
fn played(
    device: &Device,
    task: &Task,
    cohort: &Cohort,
    options: &CompareOptions,
    name: &str,
    title: &str,
    player: impl Fn(&Patients) -> Player,
) -> Result<Compared, AgentError> {
    let mut row = Compared {
        name: name.to_owned(),
        title: title.to_owned(),
        costs: vec![Vec::new(); task.spec.costs.len()],
        ..Compared::default()
    };
    let mut first = 0;
    while first < options.patients {
        let n = LANES.min(options.patients - first);
        let first_id = options.first_id + first as u32;
        let who: Vec<usize> = (first..first + n).collect();
        let mut patients = Patients::of(
            device,
            task,
            &cohort.select(&who),
            &PatientOptions {
                lanes: n,
                reset: AutoReset::Disabled,
                pool: None,
                seed: options.seed,
                first_id,
                ..PatientOptions::default()
            },
        )?;
        let player = player(&patients);
        let Episodes {
            returns,
            costs,
            decisions,
            ..
        } = play(device, &mut patients, &player, options.seed, first_id)?;
        row.returns.extend(returns);
        row.decisions.extend(decisions);
        for (all, part) in row.costs.iter_mut().zip(costs) {
            all.extend(part);
        }
        first += n;
    }
    Ok(row)
}
