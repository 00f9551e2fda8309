//! A large trial arm from sampling to summaries: seconds, and peak memory of a process of its own.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use posology_cohort::event::Timeline;
use posology_cohort::{Cohort, Timelines};
use posology_kernels::device::Device;
use posology_model::Model;
use posology_model::model::{Origin, StepSchedule};
use posology_sim::{OutputPlan, RuleSet, RunOptions, Simulation};
use serde::{Deserialize, Serialize};

use super::machine::peak_memory;

const MODEL: &str = include_str!("../../../../configs/models/abiraterone-psa.toml");
/// Drug off below half of the starting PSA, on again above it (Zhang et al. 2022).
const RULE: &str = "if(psa < 0.5*psa0, 0, if(psa > psa0, 1, abi_on))";
const DAYS_PER_YEAR: f64 = 365.25;

/// One population.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PopulationFigures {
    pub patients: usize,
    pub years: u32,
    pub patient_steps: u64,
    pub sampling_seconds: f64,
    /// Kernel build, upload, integration, download.
    pub simulation_seconds: f64,
    pub bytes_to_device: u64,
    pub bytes_to_host: u64,
    /// Largest resident memory of the process; with a software adapter its buffers are in it.
    pub peak_memory_bytes: Option<u64>,
    /// Mean days on drug, and share of men whose PSA progressed: that something was computed.
    pub mean_days_on: f64,
    pub share_progressed: f64,
}

/// Sample and simulate in this process.
pub fn here(device: &Device, patients: usize, years: u32) -> anyhow::Result<PopulationFigures> {
    let mut model = Model::parse("abiraterone-psa.toml", MODEL, None)?;
    let slot = model
        .slot_index("abi_on")
        .context("the model has no covariate abi_on")?;
    let rule = model.expression(RULE, &Origin::whole("rule", RULE))?;
    let rules = RuleSet {
        set: vec![(slot, rule.node)],
        ..RuleSet::default()
    };
    let mut outputs = OutputPlan::none();
    outputs.all_summaries(&model);
    let start = Instant::now();
    let cohort = Cohort::sample(&model, patients, 2022, 0)?;
    let sampling_seconds = start.elapsed().as_secs_f64();
    let end = (f64::from(years) * DAYS_PER_YEAR).floor();
    let timelines =
        Timelines::shared(patients, Timeline::new(Vec::new(), end)).with_rule(1.0, 0.0, end);
    let simulation = Simulation {
        model: &model,
        cohort: &cohort,
        timelines: &timelines,
        outputs: &outputs,
        rules: &rules,
    };
    let options = RunOptions {
        step: Some(StepSchedule::constant(1.0)),
        ..RunOptions::default()
    };
    let start = Instant::now();
    let results = posology_sim::run(device, &simulation, &options, |_, _| true)?;
    let simulation_seconds = start.elapsed().as_secs_f64();
    let column = |name: &str| -> anyhow::Result<&Vec<f64>> {
        let at = outputs
            .summaries
            .iter()
            .position(|column| column.name == name);
        Ok(&results.summaries[at.with_context(|| format!("the model has no summary {name}"))?])
    };
    let share = |count: usize| count as f64 / patients.max(1) as f64;
    Ok(PopulationFigures {
        patients,
        years,
        patient_steps: results.patient_steps,
        sampling_seconds,
        simulation_seconds,
        bytes_to_device: results.transfers.to_device,
        bytes_to_host: results.transfers.to_host,
        peak_memory_bytes: peak_memory(),
        mean_days_on: column("days_on")?.iter().sum::<f64>() / patients.max(1) as f64,
        share_progressed: share(column("ttp")?.iter().filter(|time| !time.is_nan()).count()),
    })
}

/// [`here`], in a child process, so that its memory is its own.
pub fn in_child(device: &Device, patients: u32, years: u32) -> anyhow::Result<PopulationFigures> {
    let output = Command::new(super::this_program()?)
        .args([
            "bench",
            "engine",
            "--json",
            "--device",
            &device.description.index.to_string(),
        ])
        .args(["--population", &format!("{patients},{years}")])
        // rules at every visit: the width that `posology trial` runs at
        .env_remove(crate::driver::LANES)
        .env_remove(crate::driver::SHADER_CACHE)
        .stdin(Stdio::null())
        .output()
        .context("starting the population run")?;
    let message = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "the population run failed: {}",
        message.trim()
    );
    serde_json::from_slice(&output.stdout).context("reading the population run's figures")
}
