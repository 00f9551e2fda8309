//! A model and a data file, read and ready to be fitted: shared by `fit` and `forecast`.

use posology_cohort::Dataset;
use posology_cohort::nmtran::{Observations, Reading, Replay, Word};
use posology_kernels::device::Device;
use posology_sim::{Column, OutputPlan, RuleSet, Simulation, step};
use posology_twin::TwinError;
use posology_twin::population::{Saem, SaemOptions};
use posology_twin::problem::{Problem, observables};
use posology_twin::space::{Population, Space};

use crate::args::{DataArgs, ScenarioArgs};
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::scenario::{Scenario, positive_time};

/// Patients whose courses are looked at before a step is accepted.
const STABILITY_SAMPLE: usize = 16;

/// Where the search for the independent share of correlated errors begins.
const WHITE: f64 = 0.1;

/// What a command works on.
pub struct Study {
    pub scenario: Scenario,
    pub dataset: Dataset,
    pub replay: Replay,
    pub observations: Observations,
    pub space: Space,
    /// Fixed effects that are parameters; weights of a correction follow them.
    pub own: usize,
    pub start: Population,
    pub options: SaemOptions,
    /// Names of the patients.
    pub names: Vec<String>,
}

impl Study {
    /// `trainable`: the weights of the model's correction are among the fixed effects.
    ///
    /// # Errors
    /// Classes usage, model, data, numeric.
    pub fn load(args: &DataArgs, trainable: bool, context: &Context) -> Result<Self, Failure> {
        let load = if trainable {
            Scenario::load_trainable
        } else {
            Scenario::load
        };
        let scenario = load(
            &args.model,
            &ScenarioArgs {
                regimen: None,
                days: None,
                until: None,
                dt: args.dt.clone(),
                seed: args.seed,
                set: args.set.clone(),
            },
            context,
        )?;
        let model = &scenario.model;
        let dataset = Dataset::load(&args.data, model)?;
        context.warn(&dataset.warnings);
        let observations = dataset.observations(model, &reading(args)?)?;
        context.warn(&observations.warnings);
        let replay = dataset.replay(model, None)?;
        let own = args.estimate.len();
        let correction = model.correction.as_ref().filter(|_| trainable);
        let weights = correction.map_or_else(Vec::new, |c| c.network.weight_names());
        let fixed = args.estimate.iter().chain(&weights);
        let fixed: Vec<&str> = fixed.map(String::as_str).collect();
        let (mut space, mut start) = Space::new(model, &fixed)?;
        if let Some(text) = &args.correlation {
            let time = positive_time(model, "--correlation", text)?;
            start.correlation.fill(time);
            start.white.fill(WHITE);
            space.correlated.fill(true);
        }
        let mut outputs = OutputPlan::none();
        outputs.all_observables(model, false);
        let rules = RuleSet::default();
        let simulation = Simulation {
            model,
            cohort: &replay.cohort,
            timelines: &replay.timelines,
            outputs: &outputs,
            rules: &rules,
        };
        step::refuse_unstable(&simulation, &scenario.schedule, STABILITY_SAMPLE)?;
        let names = dataset.subjects().map(str::to_owned).collect();
        let options = saem_options(args)?;
        Ok(Self {
            scenario,
            replay,
            observations,
            space,
            own,
            start,
            options,
            names,
            dataset,
        })
    }

    /// The problem of fitting `observations`.
    ///
    /// # Errors
    /// Classes usage, device.
    pub fn problem(
        &self,
        device: &Device,
        observations: &Observations,
    ) -> Result<Problem, Failure> {
        let schedule = Some(&self.scenario.schedule);
        let model = &self.scenario.model;
        let space = self.space.clone();
        Ok(Problem::new(
            device,
            model,
            &self.replay,
            observations,
            space,
            schedule,
        )?)
    }

    /// Names, units and scales of the observables.
    pub fn observables(&self) -> Vec<Column> {
        observables(&self.scenario.model)
    }

    /// Run a population fit to its end. `each` is called after every iteration; it returns whether
    /// to go on.
    ///
    /// # Errors
    /// Classes numeric, device; interrupted.
    pub fn saem(
        &self,
        fit: &mut Saem<'_>,
        context: &Context,
        mut each: impl FnMut(&Saem<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let bar = context.progress(fit.total() as u64, "iterations");
        while !fit.done() {
            bar.set_position(fit.state.iteration as u64);
            fit.iterate().map_err(|error| self.named(error))?;
            each(fit)?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// An error that speaks of patients by their names.
    pub fn named(&self, error: TwinError) -> Failure {
        match error {
            TwinError::Start { patient, why } => {
                let number = patient.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                let name = number.and_then(|n| self.names.get(n).cloned());
                TwinError::Start {
                    patient: name.unwrap_or(patient),
                    why,
                }
                .into()
            }
            other => other.into(),
        }
    }
}

fn reading(args: &DataArgs) -> Result<Reading, Failure> {
    let mut words: Vec<Word> = args
        .missing
        .iter()
        .map(|text| Word {
            text: text.clone(),
            below: None,
        })
        .collect();
    for text in &args.below {
        let parts = text.rsplit_once('=');
        let limit = parts.and_then(|(word, limit)| {
            let limit: f64 = limit.trim().parse().ok()?;
            limit.is_finite().then(|| (word.trim().to_owned(), limit))
        });
        let Some((word, limit)) = limit else {
            return Err(
                Failure::usage(format!("--below `{text}` is not TEXT=LIMIT"))
                    .help("such as --below \"TOO SMALL TO MEASURE=5\""),
            );
        };
        words.push(Word {
            text: word,
            below: Some(limit),
        });
    }
    Ok(Reading {
        words,
        lloq: args.lloq,
    })
}

fn saem_options(args: &DataArgs) -> Result<SaemOptions, Failure> {
    let parts: Vec<Option<usize>> = args
        .iterations
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect();
    match parts[..] {
        [Some(explore), Some(converge)] if explore >= 10 && converge >= 1 => Ok(SaemOptions {
            explore,
            converge,
            seed: args.seed,
            ..SaemOptions::default()
        }),
        _ => Err(Failure::usage(format!(
            "--iterations `{}` is not two numbers",
            args.iterations
        ))
        .help("exploring (at least 10) and converging, such as 300,200")),
    }
}

impl From<TwinError> for Failure {
    fn from(error: TwinError) -> Self {
        let class = match error {
            TwinError::Input(found) => return found.into(),
            TwinError::Device(error) => return error.into(),
            TwinError::Simulation(error) => return error.into(),
            TwinError::Adjoint(_) | TwinError::Checkpoint { .. } => Class::Data,
            TwinError::Slot { .. } | TwinError::Setting { .. } => Class::Usage,
            TwinError::Start { .. } => Class::Numeric,
            TwinError::Interrupted { .. } => Class::Interrupted,
        };
        Self::new(class, error.to_string())
    }
}
