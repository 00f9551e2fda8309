//! A trial file, checked against its model and its data.
//!
//! ```toml
//! name = "abiraterone"                 # = file stem
//! title = "..."
//! model = "../models/abiraterone-psa.toml"
//! seed = 2022
//! horizon = "60 mo"                    # end of follow-up; who has no event by then is censored
//! time_unit = "mo"                     # of times in the report
//!
//! [individuals]                        # real patients with their own parameters
//! file = "data/fits.csv"
//! columns = { ID = "patient", S0 = "yS0" }     # what the model calls it = what the file calls it
//! [individuals.start]                  # arms begin when each patient's own treatment began
//! when = "abi_on"
//! carry = { S0 = "S" }                 # parameter or covariate = its value then
//! [replay]                             # what was given and measured
//! [virtual]
//! patients = 10000
//! around = ["S0"]                      # log-normal around the individuals; else the model's variability
//!
//! [arms.adaptive]
//! regimen = "abi_on: 1 from 0 d"
//! [arms.adaptive.rule]                 # evaluated inside the simulation
//! every = "1 d"
//! set.abi_on = "if(psa < 0.5*psa0, 0, if(psa > psa0, 1, abi_on))"
//!
//! [endpoints.progression]              # first_time, integral, mean, last, min or max of an expression
//! first_time = "psa > 1.2*psa0"
//! unit = "mo"
//! [endpoints.share_on]
//! mean = "abi_on"
//! until = "progression"                # accumulated until the patient's own event
//! unit = "%"
//!
//! [reported]                           # what the real trial found, shown beside
//! [analysis]
//! control = "continuous"
//! primary = "progression"
//! ```
//!
//! Visits, protocols, allocation and subgroups are described at [`Visits`], [`Protocol`],
//! [`Allocation`] and [`Subgroups`]; further kinds of endpoints at [`EndpointKind`]; plans at
//! [`Sequential`], [`Operating`] and [`DoseFinding`]; credibility at [`CredibilityContext`] and
//! [`Validation`].
//!
//! Every finding has a code `T0xx` (see [`crate::codes`]); findings about expressions, units,
//! regimens and data keep the codes of the crates that make them.

mod analysis;
mod arms;
mod columns;
mod credibility;
mod dose_finding;
mod endpoints;
mod groups;
mod lookup;
mod operating;
mod parse;
mod patients;
mod policy;
mod protocols;
mod reader;
mod replay;
mod seen;
mod sequential;
mod start;
mod step;
mod visit_times;
mod visits;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;

use posology_cohort::Regimen;
use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, Source};
use posology_model::model::{Origin, StepSchedule};
use posology_model::unit::Unit;
use posology_sim::RuleSet;

pub use analysis::{Analysis, Multiplicity};
pub use credibility::{CredibilityContext, Statistic, Validation};
pub use dose_finding::{DoseFinding, DoseFindingDesign, DoseLevel};
pub use endpoints::{Class, EndpointKind};
pub use operating::Operating;
pub use patients::{Individuals, PopulationFile, Reported, ReportedGroup, Virtual};
pub use policy::{Policy, TrainedPolicy};
pub use replay::{Measurement, ReplayData};
pub use sequential::{Futility, Sequential};
pub use start::Start;
pub use visits::{
    Action, Allocation, Condition, Observed, Protocol, Rule, Split, Subgroups, Visits,
};

/// A trial, ready to run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Name of the file without its ending.
    pub name: String,
    /// One line.
    pub title: String,
    /// What the trial asks.
    pub question: String,
    /// Paragraphs, separated by blank lines.
    pub description: String,
    /// What the trial cannot say.
    pub limits: Vec<String>,
    /// Citation keys and their texts.
    pub sources: BTreeMap<String, String>,
    /// The model that every arm runs.
    pub model: Model,
    /// Path of the model file as the trial file writes it.
    pub model_file: String,
    /// Seed unless the run says otherwise.
    pub seed: u64,
    /// End of follow-up, model time.
    pub horizon: f64,
    /// Unit of times in reports.
    pub time_unit: Unit,
    /// Real patients.
    pub individuals: Option<Individuals>,
    /// Their treatment and measurements.
    pub replay: Option<ReplayData>,
    /// Virtual patients.
    pub virtual_patients: Option<Virtual>,
    /// When patients are seen; without, doses follow the regimen and rules see every moment.
    pub visits: Option<Visits>,
    /// Dose modifications, in the order of the file.
    pub protocols: Vec<Protocol>,
    /// How patients come to their arms.
    pub allocation: Allocation,
    /// Ways to divide the patients.
    pub subgroups: Vec<Subgroups>,
    /// In the order of the file.
    pub arms: Vec<Arm>,
    /// In the order of the file.
    pub endpoints: Vec<Endpoint>,
    /// What the real trial found.
    pub reported: Option<Reported>,
    /// How arms are compared.
    pub analysis: Analysis,
    /// Step of the integration, if not the model's.
    pub step: Option<StepSchedule>,
    /// What the prediction is for.
    pub context: Option<CredibilityContext>,
    /// Published numbers that the report shows beside predictions.
    pub validation: Vec<Validation>,
    /// Interim analyses.
    pub sequential: Option<Sequential>,
    /// Replicate trials.
    pub operating: Option<Operating>,
    /// A phase I design.
    pub dose_finding: Option<DoseFinding>,
    /// The text the trial was read from.
    pub source: Source,
    /// Findings that did not stop the trial.
    pub warnings: Diagnostics,
}

/// One way to treat.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Key in the file.
    pub name: String,
    /// Short name in tables and legends.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Dosing and covariate levels, with the place of its text.
    pub regimen: Option<(Regimen, Origin)>,
    /// The regimen as written.
    pub regimen_text: String,
    /// Decisions during treatment.
    pub rule: Option<DecisionRule>,
    /// Index of its dose modifications.
    pub protocol: Option<usize>,
    /// Who decides doses from what is measured.
    pub policy: Option<Policy>,
    /// A checkpoint that decides everything; the regimen is then only what doses are relative to.
    pub trained: Option<TrainedPolicy>,
    /// The citation.
    pub source: String,
}

/// New values of covariates, decided at visits.
#[derive(Clone, Debug)]
pub struct DecisionRule {
    /// Time between visits, model time; the first is at time 0.
    pub every: f64,
    /// As written.
    pub every_text: String,
    /// What the simulation evaluates; empty in a trial with visits, where `text` is compiled with
    /// what was measured.
    pub set: RuleSet,
    /// Covariate and expression as written.
    pub text: Vec<(String, String)>,
}

/// A number per patient and arm.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Key in the file.
    pub name: String,
    /// One line.
    pub title: String,
    /// Unit it is shown in.
    pub unit: Unit,
    /// What it is.
    pub kind: EndpointKind,
    /// As written.
    pub text: String,
    /// Index of the endpoint (with a margin) at which it ends; the horizon if absent.
    pub until: Option<usize>,
    /// A remark for readers.
    pub note: String,
    /// The citation.
    pub source: String,
}

impl Endpoint {
    /// Whether this is a time to an event.
    pub fn is_time(&self) -> bool {
        self.class() == Class::Time
    }

    /// How it is described and compared.
    pub fn class(&self) -> Class {
        self.kind.class()
    }
}

impl Trial {
    /// Reads a trial file, its model and its data.
    ///
    /// # Errors
    /// Every finding, not only the first.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        parse::load(path)
    }

    /// Reads a trial from text; `file_name` is what diagnostics call it, `dir` is where the files
    /// that it names are looked for.
    ///
    /// # Errors
    /// As [`Trial::load`].
    pub fn parse(file_name: &str, text: &str, dir: &Path) -> Result<Self, Diagnostics> {
        parse::parse(&Source::new(file_name, text), dir, None)
    }

    /// The citation behind a key; the text itself if it is no key.
    pub fn citation<'a>(&'a self, key: &'a str) -> &'a str {
        self.sources.get(key).map_or(key, String::as_str)
    }

    /// The endpoint that is the patient's death, if one is: a time called `death`, `os`, `survival`
    /// or `overall_survival`, or titled so. What is measured after it did not happen.
    pub fn death(&self) -> Option<usize> {
        let known = ["death", "os", "survival", "overall_survival"];
        self.endpoints.iter().position(|endpoint| {
            let title = endpoint.title.to_lowercase();
            let named = known.contains(&endpoint.name.to_lowercase().as_str());
            let titled = title == "death" || title.contains("overall survival");
            endpoint.class() == Class::Time && (named || titled)
        })
    }

    /// A time in the unit of reports.
    pub fn shown_time(&self, time: f64) -> f64 {
        time / self.model.units.scale(&self.time_unit)
    }
}
