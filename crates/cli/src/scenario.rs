//! A model, what the command line changes in it, and what happens to its patients.

mod overrides;
mod step;

use std::path::{Path, PathBuf};

use posology_cohort::{Cohort, Regimen, Sampler, Timeline, Timelines, sampling_times};
use posology_kernels::device::AdapterDescription;
use posology_model::Model;
use posology_model::diagnostic::{Diagnostic, Diagnostics, Source};
use posology_model::model::{Origin, StepSchedule};
use posology_model::unit::{Dimension, Unit};
use serde_json::{Value, json};

use crate::args::ScenarioArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::library;
use crate::output::provenance;

pub use overrides::Override;
pub use step::{text as step_text, value as step_value};

/// A model as one command uses it.
pub struct Scenario {
    pub model: Model,
    pub path: PathBuf,
    /// SHA-256 of the model file.
    pub hash: String,
    /// The file of the correction's weights and its SHA-256.
    weights: Option<(PathBuf, String)>,
    pub overrides: Vec<Override>,
    pub schedule: StepSchedule,
    pub seed: u64,
    /// Duration, model time units; `None` where neither the user nor the model says it.
    duration: Option<f64>,
    regimen: Option<Dosing>,
}

struct Dosing {
    text: String,
    origin: Origin,
    regimen: Regimen,
}

impl Scenario {
    /// Load the model and understand the command line.
    ///
    /// # Errors
    /// Classes model, usage and data.
    pub fn load(model: &str, args: &ScenarioArgs, context: &Context) -> Result<Self, Failure> {
        Self::of(model, args, Model::load, context)
    }

    /// As [`Self::load`]; the weights of the model's correction are parameters.
    ///
    /// # Errors
    /// Classes model, usage and data.
    pub fn load_trainable(
        model: &str,
        args: &ScenarioArgs,
        context: &Context,
    ) -> Result<Self, Failure> {
        Self::of(model, args, Model::load_trainable, context)
    }

    fn of(
        model: &str,
        args: &ScenarioArgs,
        load: impl Fn(&Path) -> Result<Model, Diagnostics>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let path = library::MODELS.find(model)?;
        let mut model = load(&path)?;
        context.warn(&model.warnings);
        let overrides = overrides::apply(&mut model, &args.set)?;
        let schedule = match &args.dt {
            Some(text) => step::parse(&model, text)?,
            None => model.step.clone(),
        };
        let duration = duration(&model, args)?;
        let regimen = dosing(&model, args.regimen.as_deref())?;
        let hash = provenance::hash_file(&path)?;
        let weights = model.correction.as_ref().and_then(|c| c.file.clone());
        let weights = weights.map(|file| provenance::hash_file(&file).map(|hash| (file, hash)));
        let weights = weights.transpose()?;
        Ok(Self {
            model,
            path,
            hash,
            weights,
            overrides,
            schedule,
            seed: args.seed,
            duration,
            regimen,
        })
    }

    /// Duration, model time units.
    ///
    /// # Errors
    /// Class usage where nothing says it.
    pub fn end(&self) -> Result<f64, Failure> {
        self.duration.ok_or_else(|| {
            Failure::usage(format!(
                "the model {} has no scenario of its own, so its duration is unknown",
                self.model.name
            ))
            .help("give --days or --until")
        })
    }

    /// The doses as text, if there are any.
    pub fn regimen_text(&self) -> Option<&str> {
        self.regimen.as_ref().map(|dosing| dosing.text.as_str())
    }

    /// What happens to a cohort until the end; occasions if `varied`.
    ///
    /// # Errors
    /// Classes usage and data.
    pub fn timelines(&self, cohort: &Cohort, varied: bool) -> Result<Timelines, Failure> {
        let end = self.end()?;
        let Some(Dosing {
            regimen, origin, ..
        }) = &self.regimen
        else {
            return Ok(Timelines::shared(
                cohort.len(),
                Timeline::new(Vec::new(), end),
            ));
        };
        let timelines = regimen.timelines(&self.model, cohort, end, origin)?;
        if !varied {
            return Ok(timelines);
        }
        let sampler = Sampler::new(&self.model)?;
        Ok(timelines.with_occasions(&sampler, cohort, self.seed, &self.occasions(end))?)
    }

    /// Starts of the dosing cycles: each is an occasion of inter-occasion variability.
    fn occasions(&self, end: f64) -> Vec<f64> {
        let series = self
            .regimen
            .iter()
            .flat_map(|dosing| &dosing.regimen.series);
        let mut starts: Vec<f64> = series
            .flat_map(|series| {
                let first = series.offsets.first().copied().unwrap_or(0.0);
                series.times(end).filter(move |time| {
                    let cycles =
                        (time - series.start - first) / series.every.max(f64::MIN_POSITIVE);
                    series.every == 0.0 || (cycles - cycles.round()).abs() < 1e-6
                })
            })
            .collect();
        starts.sort_by(f64::total_cmp);
        starts.dedup();
        starts
    }

    /// Output times (model time units, ascending), from `--every` or `--at`.
    ///
    /// # Errors
    /// Class usage.
    pub fn times(&self, every: Option<&str>, at: Option<&str>) -> Result<Vec<f64>, Failure> {
        let end = self.end()?;
        let (name, text) = match (every, at) {
            (Some("none"), _) => return Ok(Vec::new()),
            (Some(every), _) => ("--every", format!("every {every}")),
            (None, Some(at)) => ("--at", at.to_owned()),
            (None, None) => return Ok((0..=100).map(|k| end * f64::from(k) / 100.0).collect()),
        };
        let origin = Origin::whole(name, &text);
        let times =
            sampling_times(&self.model, &text, &origin, end).map_err(Failure::of_command_line)?;
        if let Some(late) = times.iter().find(|time| **time > end * (1.0 + 1e-9)) {
            let unit = &self.model.time_unit;
            let message =
                format!("the output time {late} {unit} lies after the end at {end} {unit}");
            let finding =
                Diagnostic::error("U006", message).at(origin.source(), origin.place().span.clone());
            return Err(finding
                .help("give a longer --days or --until")
                .into_failure());
        }
        Ok(times)
    }

    /// For `provenance.json`. `files`: (role, path, SHA-256).
    pub fn provenance(
        &self,
        device: &AdapterDescription,
        files: &[(&str, &Path, String)],
    ) -> Value {
        let step = step_text(&self.schedule, self.model.time_unit.text());
        let mut files = files.to_vec();
        if let Some((path, hash)) = &self.weights {
            files.push(("weights", path, hash.clone()));
        }
        provenance::describe(device, self.seed, &step, &files)
    }

    /// The resolved configuration, for `config.json`.
    pub fn describe(&self) -> Value {
        let model = &self.model;
        let slots: Vec<Value> = model
            .typical_slots()
            .into_iter()
            .enumerate()
            .map(|(slot, value)| {
                let unit = model.slot_unit(slot);
                json!({"name": model.slot_name(slot), "value": value / model.units.scale(unit), "unit": unit})
            })
            .collect();
        let (parameters, covariates) = slots.split_at(model.parameters.len());
        json!({
            "model": {"name": model.name, "file": self.path, "sha256": self.hash},
            "parameters": parameters,
            "covariates": covariates,
            "overrides": self.overrides,
            "regimen": self.regimen_text(),
            "duration": self.duration,
            "time_unit": model.time_unit,
            "step": step_value(&self.schedule),
            "seed": self.seed,
        })
    }
}

/// A finding about the command line as a failure of class usage.
pub trait IntoFailure {
    fn into_failure(self) -> Failure;
}

impl IntoFailure for Diagnostic {
    fn into_failure(self) -> Failure {
        Failure::of_command_line(Diagnostics::from(self))
    }
}

fn duration(model: &Model, args: &ScenarioArgs) -> Result<Option<f64>, Failure> {
    let (name, text) = match (args.days, &args.until) {
        (Some(days), _) => ("--days", format!("{days} d")),
        (None, Some(until)) => ("--until", until.clone()),
        (None, None) => return Ok(model.scenario.as_ref().map(|scenario| scenario.duration)),
    };
    positive_time(model, name, &text).map(Some)
}

/// A positive time such as `9 wk`; a plain number is in the model's unit.
pub fn positive_time(model: &Model, name: &str, text: &str) -> Result<f64, Failure> {
    let origin = Origin::whole(name, text);
    let (value, dimension) = match text.trim().parse::<f64>() {
        Ok(value) => (value, time_dimension(model)),
        Err(_) => model
            .quantity(text, &origin)
            .map_err(Failure::of_command_line)?,
    };
    let refuse = |message: &str| {
        let finding = Diagnostic::error("U005", message).at(origin.source(), 0..text.len());
        finding
            .help(format!(
                "give a time such as `63 d` or `0.5 {}`",
                model.time_unit
            ))
            .into_failure()
    };
    if dimension != time_dimension(model) {
        return Err(refuse("this is not a time"));
    }
    if !(value > 0.0 && value.is_finite()) {
        return Err(refuse("the time must be positive"));
    }
    Ok(value)
}

fn time_dimension(model: &Model) -> Dimension {
    model.time_unit.dimension()
}

fn dosing(model: &Model, given: Option<&str>) -> Result<Option<Dosing>, Failure> {
    let scenario = model.scenario.as_ref();
    let own = scenario
        .and_then(|scenario| Some((scenario.regimen.clone()?, scenario.regimen_origin.clone()?)));
    let (text, origin) = match (given, own) {
        (Some("none"), _) | (None, None) => return Ok(None),
        (Some(text), _) => (text.to_owned(), Origin::whole("--regimen", text)),
        (None, Some(own)) => own,
    };
    let regimen = Regimen::parse(model, &text, &origin)?;
    Ok(Some(Dosing {
        text,
        origin,
        regimen,
    }))
}

/// A whole command-line argument as the place of a finding.
fn argument(text: &str) -> Source {
    Source::new("command line", text)
}

/// The unit of a slot and how many coherent units it has.
fn slot_unit(model: &Model, slot: usize) -> (&Unit, f64) {
    let unit = model.slot_unit(slot);
    (unit, model.units.scale(unit))
}
