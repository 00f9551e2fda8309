//! What is learnt: a task file of any kind, or a process that is built in.

use std::path::{Path, PathBuf};

use posology_kernels::device::Device;
use posology_model::diagnostic::did_you_mean;

use super::container::file_error;
use crate::environment::analytic::{Analytic, AnalyticEnvironment, Hidden};
use crate::environment::patients::{PatientOptions, Patients};
use crate::environment::process::TabularProcess;
use crate::environment::tabular::{Tabular, TabularOptions};
use crate::environment::tabular_file::{is_tabular, parse_tabular};
use crate::environment::{AutoReset, Environment};
use crate::error::AgentError;
use crate::task::Task;
use crate::task::edit::edited;

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Who {
    pub lanes: usize,
    pub reset: AutoReset,
    /// Seed of the population.
    pub seed: u64,
    /// Id of the first patient that is drawn.
    pub first_id: u32,
    /// Patients drawn beforehand; the task's own number where absent.
    pub pool: Option<usize>,
    /// Terms of the reward that shape learning count.
    pub learning: bool,
    /// Lanes of patients begin out of phase: for training.
    pub staggered: bool,
    /// Decisions after which an episode of patients is cut instead of the task's number.
    pub horizon: Option<usize>,
}

/// A decision process by its text.
#[derive(Clone, Debug)]
pub struct Problem {
    pub name: String,
    /// Where the text came from; files that it names are looked for beside it.
    pub path: Option<PathBuf>,
    pub text: String,
    learning: Option<toml::Table>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Patients(Box<Task>),
    Tabular(Box<TabularProcess>),
    Analytic(Analytic),
}

/// Processes that are built in, and their texts.
const BUILT_IN: [(&str, &str); 4] = [
    ("analytic", ANALYTIC),
    ("analytic-limited", ANALYTIC_LIMITED),
    ("analytic-tail", ANALYTIC_TAIL),
    ("analytic-hidden", ANALYTIC_HIDDEN),
];
const ANALYTIC: &str = "\
process = \"analytic\"        # a dose in 0..1 is to meet a target that is seen
horizon = 8

[learning]
lanes = 256
steps = 8
updates = 50
minibatches = 2
hidden = 16
encoder = 16
network = \"memoryless\"
rate = 1e-2
";
const ANALYTIC_LIMITED: &str = "\
process = \"analytic\"        # the dose is a cost, whose sum over an episode is limited
horizon = 8
limit = 2

[learning]
lanes = 256
steps = 8
updates = 200
epochs = 6
minibatches = 2
limit_share = 0.97
rate_end = 0.1
validate_every = 5
validate_patients = 4096
hidden = 16
encoder = 16
network = \"memoryless\"
rate = 3e-3
";
const ANALYTIC_TAIL: &str = "\
process = \"analytic\"        # the mean dose of the worst quarter of the episodes is limited
horizon = 1
limit = 0.65
cvar = 0.75

[learning]
lanes = 256
steps = 16
updates = 120
epochs = 4
minibatches = 2
rate_end = 0.1
validate_every = 5
validate_patients = 4096
hidden = 16
encoder = 16
network = \"memoryless\"
rate = 3e-3
";
const ANALYTIC_HIDDEN: &str = "\
process = \"analytic\"        # the target is the patient's own and seen through noise
horizon = 16
levels = 2
noise = 2

[learning]
lanes = 256
steps = 16
updates = 100
minibatches = 2
hidden = 16
encoder = 16
rate = 1e-2
";

impl Problem {
    /// A process that is built in.
    pub fn built_in(name: &str) -> Option<Result<Self, AgentError>> {
        let found = BUILT_IN.iter().find(|(known, _)| *known == name);
        found.map(|(name, text)| Self::from_text(name, None, text))
    }

    /// Read a task file.
    ///
    /// # Errors
    /// [`AgentError::File`], or findings about the text.
    pub fn load(path: &Path) -> Result<Self, AgentError> {
        let text = std::fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        // a checkpoint is read from elsewhere
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self::from_text(&name, Some(place), &text)
    }

    /// From the text of a task file.
    ///
    /// # Errors
    /// Findings about the text.
    pub fn from_text(name: &str, path: Option<PathBuf>, text: &str) -> Result<Self, AgentError> {
        let (rest, learning) = without_learning(text)?;
        let folder = path.as_deref().and_then(Path::parent);
        let shown = path
            .as_ref()
            .map_or_else(|| name.to_owned(), |path| path.display().to_string());
        let kind = match process(&rest)? {
            Some(analytic) => Kind::Analytic(analytic),
            None if is_tabular(&rest) => {
                Kind::Tabular(Box::new(parse_tabular(&shown, &rest, folder)?))
            }
            None => Kind::Patients(Box::new(Task::parse(&shown, &rest, folder)?)),
        };
        Ok(Self {
            name: name.to_owned(),
            path,
            text: text.to_owned(),
            learning,
            kind,
        })
    }

    /// The same with keys of the task changed, `table.key=value` each.
    ///
    /// # Errors
    /// [`AgentError::Option`] for what is no such key; findings about the changed text.
    pub fn with(&self, assignments: &[String]) -> Result<Self, AgentError> {
        let mut text = self.text.clone();
        for assignment in assignments {
            text = edited(&text, assignment)?;
        }
        Self::from_text(&self.name, self.path.clone(), &text)
    }

    /// The task's own settings of the trainer: its `[learning]` table.
    pub fn learning(&self) -> Option<&toml::Table> {
        self.learning.as_ref()
    }

    /// The text without what concerns learning alone: the trainer's settings, terms of the reward
    /// that only shape learning, empty lines. Runs of the same such text can be compared.
    pub fn process_text(&self) -> String {
        let shaping = self.task().into_iter().flat_map(|task| &task.spec.rewards);
        let shaping = shaping.filter(|reward| reward.shaping);
        let left_out: Vec<String> = shaping
            .map(|reward| format!("[reward.{}]", reward.name))
            .chain(["[learning]".to_owned()])
            .collect();
        let mut text = String::new();
        let mut inside = false;
        for line in self.text.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = left_out.iter().any(|heading| line.starts_with(heading));
            }
            if !inside && !line.is_empty() {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    /// Its tables, if it is a tabular process.
    pub fn tabular(&self) -> Option<&TabularProcess> {
        match &self.kind {
            Kind::Tabular(process) => Some(process),
            _ => None,
        }
    }

    /// Its task, if it treats patients of a model.
    pub fn task(&self) -> Option<&Task> {
        match &self.kind {
            Kind::Patients(task) => Some(task),
            _ => None,
        }
    }

    /// Lanes of it.
    ///
    /// # Errors
    /// Findings about its population; the device.
    pub fn environment(
        &self,
        device: &Device,
        who: &Who,
    ) -> Result<Box<dyn Environment>, AgentError> {
        match &self.kind {
            Kind::Analytic(process) => {
                let lanes = AnalyticEnvironment::new(device, process, who.lanes, who.reset)?;
                Ok(Box::new(lanes))
            }
            Kind::Tabular(process) => {
                let options = TabularOptions {
                    lanes: who.lanes,
                    reset: who.reset,
                    ..TabularOptions::default()
                };
                Ok(Box::new(Tabular::new(device, process, &options)?))
            }
            Kind::Patients(task) => {
                let options = PatientOptions {
                    lanes: who.lanes,
                    reset: who.reset,
                    pool: who.pool,
                    seed: who.seed,
                    first_id: who.first_id,
                    learning: who.learning,
                    staggered: who.staggered,
                    horizon: who.horizon,
                    ..PatientOptions::default()
                };
                Ok(Box::new(Patients::new(device, task, &options)?))
            }
        }
    }
}

/// A process that is not made of patients, by its key `process`.
fn process(text: &str) -> Result<Option<Analytic>, AgentError> {
    // what is no TOML is left to the reader of task files, which shows where
    let Ok(mut table) = toml::from_str::<toml::Table>(text) else {
        return Ok(None);
    };
    let Some(name) = table.remove("process") else {
        return Ok(None);
    };
    let refused = |key: &str, value: &toml::Value, cause: &str| AgentError::Option {
        key: key.to_owned(),
        value: value.to_string(),
        cause: cause.to_owned(),
    };
    if name.as_str() != Some("analytic") {
        let help = did_you_mean(&name.to_string(), ["analytic"]).unwrap_or_default();
        return Err(refused(
            "process",
            &name,
            &format!("there is no such process; {help}"),
        ));
    }
    let mut process = Analytic::default();
    let (mut noise, mut spread) = (None, 0.125);
    for (key, value) in &table {
        let number = value
            .as_float()
            .or_else(|| value.as_integer().map(|whole| whole as f64));
        let number = number.ok_or_else(|| refused(key, value, "must be a number"))?;
        match key.as_str() {
            "horizon" => process.horizon = number as usize,
            "levels" => process.levels = Some(number as u32),
            "limit" => process.limit = Some(number),
            "cvar" => process.cvar = Some(number),
            "noise" => noise = Some(number),
            "spread" => spread = number,
            _ => {
                let keys = ["horizon", "levels", "limit", "cvar", "noise", "spread"];
                let help = did_you_mean(key, keys).unwrap_or_default();
                return Err(refused(
                    key,
                    value,
                    &format!("there is no such key; {help}"),
                ));
            }
        }
    }
    process.hidden = noise.map(|noise| Hidden { noise, spread });
    Ok(Some(process))
}

/// The text with the lines of its `[learning]` table left empty, so that places in messages stay,
/// and that table.
fn without_learning(text: &str) -> Result<(String, Option<toml::Table>), AgentError> {
    let (mut rest, mut own) = (String::new(), String::new());
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with('[') {
            inside = trimmed.starts_with("[learning]");
        }
        if inside {
            own.push_str(line);
            own.push('\n');
        } else {
            rest.push_str(line);
        }
        rest.push('\n');
    }
    if own.is_empty() {
        return Ok((text.to_owned(), None));
    }
    let table: toml::Table = toml::from_str(&own).map_err(|error| AgentError::Option {
        key: "learning".to_owned(),
        value: String::new(),
        cause: error.message().to_owned(),
    })?;
    let learning = table.get("learning").and_then(toml::Value::as_table);
    Ok((rest, learning.cloned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_trainer_leave_places_alone() {
        let text = "title = 1\n[learning]\nrate = 0.1\n[actions.dose]\nx = 2\n";
        let (rest, learning) = without_learning(text).unwrap();
        assert_eq!(rest, "title = 1\n\n\n[actions.dose]\nx = 2\n");
        assert_eq!(learning.unwrap()["rate"].as_float(), Some(0.1));
        assert!(without_learning("[learning]\nrate = \n").is_err());
    }

    #[test]
    fn built_in_processes_are_read() {
        for (name, _) in BUILT_IN {
            let problem = Problem::built_in(name).unwrap().unwrap();
            let config = crate::ppo::config::Config::resolve(problem.learning(), &[]).unwrap();
            assert_eq!(config.lanes, 256, "{name}");
        }
        assert!(Problem::built_in("ahn-chemo").is_none());
    }

    #[test]
    fn unknown_keys_of_a_process_are_named() {
        for (text, words) in [
            ("process = \"analitic\"", "did you mean `analytic`"),
            (
                "process = \"analytic\"\nhorizn = 3",
                "did you mean `horizon`",
            ),
            (
                "process = \"analytic\"\nhorizon = \"long\"",
                "must be a number",
            ),
        ] {
            let message = Problem::from_text("x", None, text).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
