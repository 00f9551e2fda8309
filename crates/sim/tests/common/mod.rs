//! Shared by this crate's tests: the device, the shipped models and their scenarios.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use posology_cohort::{Cohort, Regimen, Timeline, Timelines};
use posology_kernels::device::{self, Device};
use posology_kernels::timeline::Timeline as Rows;
use posology_model::Model;
use posology_model::model::Origin;
use posology_model::program::Program;
use posology_sim::run::{lower_timelines, program};
use posology_sim::{OutputPlan, Results, RuleSet, RunOptions, Simulation};

/// The software adapter, opened once per binary.
pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| device::open(Some("software")).expect("a software adapter"))
}

/// Every file of the model library, by name.
pub fn library() -> Vec<Model> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    let entries = std::fs::read_dir(folder).expect("model folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    paths.iter().map(|path| load(path)).collect()
}

pub fn load(path: &Path) -> Model {
    Model::load(path).unwrap_or_else(|found| panic!("{found}"))
}

pub fn shipped(name: &str) -> Model {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../configs/models/{name}.toml")))
}

/// A model of a test.
pub fn parse(text: &str) -> Model {
    Model::parse("test.toml", text, None).unwrap_or_else(|found| panic!("{found}"))
}

/// The model's scenario; without a regimen, nothing but time until its end.
pub fn scenario(model: &Model, cohort: &Cohort) -> Timelines {
    let scenario = model.scenario.as_ref().expect("scenario");
    match (&scenario.regimen, &scenario.regimen_origin) {
        (Some(text), Some(origin)) => Regimen::parse(model, text, origin)
            .and_then(|regimen| regimen.timelines(model, cohort, scenario.duration, origin))
            .unwrap_or_else(|found| panic!("{}: {found}", model.name)),
        _ => Timelines::shared(cohort.len(), Timeline::new(Vec::new(), scenario.duration)),
    }
}

/// A regimen as text, until `end` (model time).
pub fn regimen(model: &Model, cohort: &Cohort, text: &str, end: f64) -> Timelines {
    let origin = Origin::whole("regimen", text);
    Regimen::parse(model, text, &origin)
        .and_then(|regimen| regimen.timelines(model, cohort, end, &origin))
        .unwrap_or_else(|found| panic!("{found}"))
}

/// A simulation that owns its parts.
pub struct Case {
    pub model: Model,
    pub cohort: Cohort,
    pub timelines: Timelines,
    pub outputs: OutputPlan,
    pub rules: RuleSet,
}

impl Case {
    /// Every state at every record.
    pub fn states(mut model: Model, cohort: Cohort, timelines: Timelines) -> Self {
        let mut outputs = OutputPlan::none();
        outputs.all_states(&mut model);
        Self {
            model,
            cohort,
            timelines,
            outputs,
            rules: RuleSet::default(),
        }
    }

    /// `n` sampled patients under the model's scenario, every state at `times` (shares of the duration).
    pub fn sampled(model: Model, n: usize, seed: u64, shares: &[f64]) -> Self {
        let cohort = Cohort::sample(&model, n, seed, 0).unwrap_or_else(|found| panic!("{found}"));
        let timelines = scenario(&model, &cohort);
        let end = timelines.end();
        let times: Vec<f64> = shares.iter().map(|share| share * end).collect();
        Self::states(model, cohort, timelines.with_records(&times))
    }

    pub fn simulation(&self) -> Simulation<'_> {
        Simulation {
            model: &self.model,
            cohort: &self.cohort,
            timelines: &self.timelines,
            outputs: &self.outputs,
            rules: &self.rules,
        }
    }

    pub fn run(&self, options: &RunOptions) -> Results {
        posology_sim::run(device(), &self.simulation(), options, |_, _| true)
            .unwrap_or_else(|error| panic!("{}: {error}", self.model.name))
    }

    pub fn program(&self) -> Program {
        program(&self.simulation())
    }

    /// The rows of every timeline, with the model's own steps.
    pub fn rows(&self) -> Vec<Rows> {
        lower_timelines(&self.simulation(), &self.model.step).expect("rows")
    }

    /// Dose factors of one patient.
    pub fn scales(&self, patient: usize) -> Vec<f64> {
        self.timelines
            .scales
            .iter()
            .map(|row| row[patient])
            .collect()
    }

    /// A part of the patients, in the order asked for.
    pub fn select(&self, patients: &[usize]) -> Self {
        Self {
            model: self.model.clone(),
            cohort: self.cohort.select(patients),
            timelines: self.timelines.select(patients),
            outputs: self.outputs.clone(),
            rules: self.rules.clone(),
        }
    }
}

/// No residual error, any number of diverged patients: for comparisons that look at them.
pub fn exact() -> RunOptions {
    RunOptions {
        residual_error: false,
        max_diverged: 1.0,
        ..RunOptions::default()
    }
}

/// 0, 1/n, ..., 1
pub fn grid(n: usize) -> Vec<f64> {
    (0..=n).map(|k| k as f64 / n as f64).collect()
}

/// A seed that differs between runs, printed so that a failure can be repeated:
/// `POSOLOGY_TEST_SEED=…` takes its place.
pub fn fresh_seed(what: &str) -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("clock");
    let seed = std::env::var("POSOLOGY_TEST_SEED").map_or_else(
        |_| now.as_nanos() as u64,
        |given| given.parse().expect("a whole number"),
    );
    println!("{what}: seed {seed}");
    seed
}
