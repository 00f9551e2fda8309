//! Trained policies as arms: which checkpoint, whether it fits the trial, and what it orders.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posology_agent::error::AgentError;
use posology_agent::train::run::{BEST, LAST};
use posology_agent::train::{TrainedPolicy, TreatmentOptions};
use posology_cohort::Cohort;
use posology_kernels::device::Device;
use posology_trial::Trial;
use posology_trial::design::Arm;
use posology_trial::run::{Clinician, Ordered, OrderedDrug, Orders};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::output::provenance;

/// The checkpoint of an arm: the same bytes, the same treatment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub path: PathBuf,
    pub sha256: String,
}

/// The trained policies of a trial, by arm.
#[derive(Debug)]
pub struct Policies {
    arms: BTreeMap<String, Player>,
}

#[derive(Debug)]
struct Player {
    file: Checkpoint,
    draws: bool,
    policy: TrainedPolicy,
    orders: Orders,
    /// Parameters and covariates that the task's model has.
    slots: usize,
}

impl Policies {
    /// The policies that the arms of a trial name; `None` if none does.
    ///
    /// # Errors
    /// Class model where a checkpoint is missing, cannot be read or does not fit the trial.
    pub fn load(trial: &Trial) -> Result<Option<Arc<Self>>, Failure> {
        let mut arms = BTreeMap::new();
        for arm in &trial.arms {
            if let Some(player) = player(trial, arm)? {
                arms.insert(arm.name.clone(), player);
            }
        }
        Ok((!arms.is_empty()).then(|| Arc::new(Self { arms })))
    }

    /// The checkpoint of each arm.
    pub fn files(&self) -> BTreeMap<String, Checkpoint> {
        let arms = self.arms.iter();
        arms.map(|(arm, player)| (arm.clone(), player.file.clone()))
            .collect()
    }

    /// Arms whose policy was trained on patients drawn with this seed, as those of the trial are.
    pub fn met(&self, seed: u64) -> Vec<&str> {
        let arms = self.arms.iter();
        let met = arms.filter(|(_, player)| player.policy.seed == seed);
        met.map(|(arm, _)| arm.as_str()).collect()
    }

    /// Lines of the report's provenance table.
    pub fn lines(&self) -> Vec<(String, String)> {
        let of = |player: &Player| {
            let policy = &player.policy;
            format!(
                "{}, task {}, {} after {} updates on patients of seed {}, {} actions, SHA-256 {}",
                player.file.path.display(),
                policy.problem.name,
                policy.algorithm,
                policy.update,
                policy.seed,
                if player.draws {
                    "drawn"
                } else {
                    "most probable"
                },
                player.file.sha256
            )
        };
        let arms = self.arms.iter();
        arms.map(|(arm, player)| (format!("Policy of arm {arm}"), of(player)))
            .collect()
    }
}

/// Exchanges checkpoints as the command line says, `ARM=PATH`.
///
/// # Errors
/// Class usage for an arm that has none.
pub fn exchange(trial: &mut Trial, given: &[String]) -> Result<(), Failure> {
    for text in given {
        let (name, path) = text
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--checkpoint {text}: give ARM=PATH")))?;
        let arms = trial.arms.iter_mut();
        let mut learned = arms.filter_map(|arm| Some((&arm.name, arm.trained.as_mut()?)));
        let found = learned.find(|(known, _)| *known == name);
        let Some((_, policy)) = found else {
            let learned = trial.arms.iter().filter(|arm| arm.trained.is_some());
            let names: Vec<&str> = learned.map(|arm| arm.name.as_str()).collect();
            let message = format!("no arm `{name}` is treated by a trained policy");
            return Err(Failure::usage(message).help(match names.as_slice() {
                [] => "write `policy = { checkpoint = \"...\" }` in an arm".to_owned(),
                names => format!("arms that are: {}", names.join(", ")),
            }));
        };
        *policy = policy.instead(PathBuf::from(path));
    }
    Ok(())
}

/// The file itself, or the best (else the last) checkpoint of a run's folder.
fn file(given: &Path) -> Option<PathBuf> {
    let inside = [BEST, LAST].map(|name| given.join(name));
    std::iter::once(given.to_owned())
        .chain(inside)
        .find(|path| path.is_file())
}

/// Who plays an arm, if a trained policy does.
fn player(trial: &Trial, arm: &Arm) -> Result<Option<Player>, Failure> {
    let Some(named) = &arm.trained else {
        return Ok(None);
    };
    let refuse = |message: String, help: &str| -> Result<Option<Player>, Failure> {
        Err(named.refuse(message, help).into())
    };
    let Some(path) = file(&named.checkpoint) else {
        let message = format!("there is no checkpoint `{}`", named.checkpoint.display());
        return refuse(
            message,
            "train it first (`posology train TASK --out DIR`); the path is relative to the file that names it, and --checkpoint ARM=PATH names another",
        );
    };
    let policy = match TrainedPolicy::read(&path) {
        Ok(policy) => policy,
        Err(AgentError::Task(found)) => return Err(found.into()),
        Err(error) => {
            let help = "an arm needs a checkpoint of a task that treats patients of a model";
            return refuse(error.to_string(), help);
        }
    };
    let name = policy.problem.name.clone();
    if policy.sees_hidden {
        let message = format!("the policy of `{name}` is shown the patients' hidden parameters");
        let help = "network=task-conditioned is an upper bound that nobody can measure: train a recurrent or memoryless one";
        return refuse(message, help);
    }
    if named.draws && policy.algorithm == "dqn" {
        let message =
            format!("the policy of `{name}` is one of values, from which nothing is drawn");
        return refuse(message, "leave out `draws`");
    }
    let task = policy.task()?;
    let (own, model) = (&task.model, &trial.model);
    if own.source.text() != model.source.text() {
        let message = format!(
            "the policy of `{name}` treats patients of the model `{}`, the trial those of `{}`",
            own.name, model.name
        );
        return refuse(message, "train on the model of the trial");
    }
    let slots = own.slot_count();
    let same = slots <= model.slot_count()
        && (0..slots).all(|slot| own.slot_name(slot) == model.slot_name(slot));
    if !same {
        let message = format!("the parameters of `{name}` are not those of the trial");
        return refuse(message, "train on the model of the trial");
    }
    if task.every >= trial.horizon {
        let unit = &model.time_unit;
        let message = format!(
            "the policy decides every {} {unit}, and the trial ends after {} {unit}",
            task.every, trial.horizon
        );
        return refuse(message, "follow the patients for longer");
    }
    let given: BTreeSet<usize> = task.doses.iter().map(|doses| doses.input).collect();
    if let Some((regimen, _)) = &arm.regimen {
        let missing = regimen.series.iter().find(|s| !given.contains(&s.input));
        if let Some(series) = missing {
            let drug = &model.inputs[series.input].name;
            let message = format!("the regimen gives `{drug}`, the policy of `{name}` does not");
            let help = "under a trained policy `regimen` is only what its doses are relative to: give its drugs";
            return refuse(message, help);
        }
    }
    let unknown = unknown_covariates(trial, task);
    if !unknown.is_empty() {
        let message = format!(
            "the policy of `{name}` uses {}, which no patient of the trial has",
            unknown.join(", ")
        );
        return refuse(message, "take a population that has these covariates");
    }
    let drug = |doses: &posology_agent::task::Doses| OrderedDrug {
        input: doses.input,
        at: doses.at.clone(),
        over: doses.over,
    };
    let orders = Orders {
        every: task.every,
        decisions: task.spec.horizon,
        drugs: task.doses.iter().map(drug).collect(),
        covariates: task.sets(),
    };
    let sha256 = provenance::hash_file(&path)?;
    let path = path.canonicalize().unwrap_or(path);
    Ok(Some(Player {
        file: Checkpoint { path, sha256 },
        draws: named.draws,
        orders,
        slots,
        policy,
    }))
}

/// Covariates that decisions are made of and that the policy's own patients differ in, which the
/// trial's virtual patients do not have.
fn unknown_covariates(trial: &Trial, task: &posology_agent::task::Task) -> Vec<String> {
    let known = trial.virtual_patients.as_ref();
    let known = known.map(|patients| patients.population.as_ref());
    let (Some(theirs), Some(own)) = (known, &task.population) else {
        return Vec::new();
    };
    let has = |name: &str| {
        let mut names = theirs.iter().flat_map(|population| &population.covariates);
        names.any(|covariate| covariate.name == name)
    };
    let used = task
        .uses()
        .into_iter()
        .map(|slot| task.model.slot_name(slot));
    used.filter(|name| own.covariates.iter().any(|c| c.name == *name) && !has(name))
        .map(|name| format!("`{name}`"))
        .collect()
}

impl Clinician for Policies {
    fn orders(&self, arm: &str) -> Option<Orders> {
        self.arms.get(arm).map(|player| player.orders.clone())
    }

    fn treat(
        &self,
        device: &Device,
        arm: &str,
        patients: &Cohort,
        seed: u64,
    ) -> Result<Ordered, Box<dyn Error + Send + Sync>> {
        let player = self.arms.get(arm).ok_or("no policy treats this arm")?;
        let options = TreatmentOptions {
            seed,
            deterministic: !player.draws,
        };
        // the trial's own slots come after those of the model
        let known = Cohort {
            ids: patients.ids.clone(),
            names: None,
            slots: patients.slots.iter().take(player.slots).cloned().collect(),
        };
        let treated = player.policy.treat(device, &known, options)?;
        let wide = |rows: Vec<Vec<Vec<f32>>>| -> Vec<Vec<Vec<f64>>> {
            let row = |row: Vec<f32>| row.into_iter().map(f64::from).collect();
            let rows = rows.into_iter();
            rows.map(|rows| rows.into_iter().map(row).collect())
                .collect()
        };
        Ok(Ordered {
            decisions: treated.decisions,
            ended: treated.terminated,
            amounts: wide(treated.amounts),
            values: wide(treated.values),
        })
    }
}
