//! Who is simulated.

use std::path::PathBuf;

use posology_cohort::{Cohort, Sampler};
use posology_kernels::device::Device;
use posology_sim::sample::{Request, Sampled, sample};
use serde_json::{Value, json};

use crate::args::SimulateArgs;
use crate::error::Failure;
use crate::output::provenance;
use crate::scenario::Scenario;

/// The patients of a run, made in parts so that memory stays bounded.
pub enum Population {
    /// Drawn from the model's variability.
    Sampled(usize),
    /// Copies of the typical patient.
    Typical(usize),
    /// Read from a file: path and SHA-256.
    Table {
        cohort: Cohort,
        path: PathBuf,
        hash: String,
    },
}

impl Population {
    /// The patients that the command line asks for.
    ///
    /// # Errors
    /// Class data for a file of individuals.
    pub fn new(scenario: &Scenario, args: &SimulateArgs) -> Result<Self, Failure> {
        let count = |default: u32| args.patients.unwrap_or(default) as usize;
        Ok(match &args.individuals {
            Some(path) => {
                let hash = provenance::hash_file(path)?;
                let cohort = Cohort::from_csv(&scenario.model, path)?;
                Population::Table {
                    cohort,
                    path: path.clone(),
                    hash,
                }
            }
            None if args.typical => Population::Typical(count(1)),
            None => Population::Sampled(count(1000)),
        })
    }

    pub fn len(&self) -> usize {
        match self {
            Population::Sampled(n) | Population::Typical(n) => *n,
            Population::Table { cohort, .. } => cohort.len(),
        }
    }

    /// Patients have names.
    pub fn named(&self) -> bool {
        matches!(self, Population::Table { cohort, .. } if cohort.names.is_some())
    }

    /// Parameters vary between occasions too.
    pub fn varied(&self) -> bool {
        matches!(self, Population::Sampled(_))
    }

    /// Patients `first..first + n`, drawn on the device.
    ///
    /// # Errors
    /// Class data where the variability contradicts the bounds, class device.
    pub fn part(
        &self,
        scenario: &Scenario,
        first: usize,
        n: usize,
        device: &Device,
    ) -> Result<Sampled<Cohort>, Failure> {
        let Population::Sampled(_) = self else {
            return Ok(Sampled {
                drawn: self.on_host(scenario, first, n)?,
                on_host: Vec::new(),
            });
        };
        let samplers = [Sampler::new(&scenario.model)?];
        let request = Request {
            population: None,
            samplers: &samplers,
            around: None,
            n,
            seed: scenario.seed,
            first_id: first as u32,
        };
        let sampled = sample(device, &request)?;
        Ok(Sampled {
            drawn: sampled.drawn.cohort,
            on_host: sampled.on_host,
        })
    }

    /// Patients `first..first + n` before there is a device: the same but for f32 rounding.
    ///
    /// # Errors
    /// Class data where the variability contradicts the bounds.
    pub fn on_host(&self, scenario: &Scenario, first: usize, n: usize) -> Result<Cohort, Failure> {
        Ok(match self {
            Population::Sampled(_) => {
                Cohort::sample(&scenario.model, n, scenario.seed, first as u32)?
            }
            Population::Typical(_) => {
                let mut cohort = Cohort::typical(&scenario.model, n);
                cohort.ids.iter_mut().for_each(|id| *id += first as u32);
                cohort
            }
            Population::Table { cohort, .. } => {
                cohort.select(&(first..first + n).collect::<Vec<_>>())
            }
        })
    }

    /// For `config.json`.
    pub fn describe(&self) -> Value {
        match self {
            Population::Sampled(n) => json!({"kind": "sampled", "patients": n}),
            Population::Typical(n) => json!({"kind": "typical", "patients": n}),
            Population::Table { cohort, path, hash } => {
                json!({"kind": "individuals", "patients": cohort.len(), "file": path, "sha256": hash})
            }
        }
    }
}
