//! Virtual populations as files: covariates with their distributions and correlations, anatomy,
//! real cohorts, and the uncertainty of a model's parameters.
//!
//! ```toml
//! name = "adults"
//! title = "Adults"
//! [sources]
//! huisinga = "Huisinga 2012, CPT PSP 1:e5"
//!
//! [covariates]
//! female = { unit = "1", bernoulli = 0.48, source = "huisinga" }
//! HT     = { unit = "m", by = "female", when.0.normal = { mean = 1.72, sd = 0.075 }, when.1.normal = { mean = 1.61, sd = 0.075 }, source = "huisinga" }
//! BMI    = { unit = "kg/m^2", lognormal = { mean = 22.8, sd = 3.3 }, bounds = [14, 45], source = "huisinga" }
//! WT     = { unit = "kg", expr = "BMI * HT^2", bounds = [35, 160] }
//! BSA    = { unit = "m^2", equation = "body-surface-area", from = { height = "HT", weight = "WT" } }
//! CRCL   = { unit = "mL/min", lognormal = { median = 87.9, range = [50.2, 110], n = 10 }, source = "...", calibrated = true }
//!
//! [[correlations]]
//! between = ["HT", "CRCL"]
//! value = 0.3                  # of the underlying normals; or `spearman = 0.3`
//! source = "..."
//!
//! [anatomy]                    # M_liver, Q_liver, ..., CO, FFM, V_plasma, HCT
//! method = "huisinga-2012"
//! reference = "data/icrp89.csv"
//! female = "female"
//! height = "HT"
//! weight = "WT"
//!
//! [data]                       # a real cohort instead of, or beside, distributions
//! file = "cohort.csv"
//! id = "ID"
//! resample = true
//! # then: WT = { unit = "kg", column = "WEIGHT", missing = "median", source = "..." }
//! [parameters]                 # individual parameters from columns; the others are drawn
//! CL = { column = "CL", missing = "reference" }
//!
//! [uncertainty.docetaxel-neutropenia.parameters]
//! k10 = { rse = 0.08, source = "..." }
//! ```
//!
//! Every drawn covariate is an increasing function of one standard normal number, which gives
//! correlations (a Gaussian copula) and truncation without changing the marginal distributions:
//! `bounds` of a drawn covariate truncate it exactly, as drawing it again until it is inside would.
//! `bounds` of a computed covariate are met by drawing the whole patient again. `range` and `n` fit
//! a spread to a reported range: what `n` draws are expected to span. Patient `i` depends on the
//! seed and `i` only, whatever the batch. What is here draws in f64, for tools without a device and as
//! the reference of [`Population::plan`], from which the device draws the patients of every run.

pub mod anatomy;
mod build;
mod check;
mod copula;
mod data;
mod distribution;
mod draw;
pub mod equations;
mod formula;
mod normal;
mod plan;
mod read;
mod sample;
mod uncertainty;

use std::collections::BTreeMap;
use std::path::Path;

use nalgebra::DMatrix;
use posology_model::diagnostic::{Diagnostic, Diagnostics, Source};
use posology_model::file::{Place, Text};
use posology_model::unit::{Unit, UnitSystem};

pub use check::{Check, Comparison, correlation_matrix};
pub use data::Missing;
pub use distribution::{Distribution, Moments};
pub use sample::{Column, Covariates, Coverage, Drawn};
pub use uncertainty::Uncertainty;

use crate::individuals::read_file;
use anatomy::Reference;
use data::Data;
use equations::Equation;
use formula::Formula;

/// A population file, checked.
#[derive(Clone, Debug)]
pub struct Population {
    pub name: String,
    pub title: String,
    pub description: String,
    /// Citation keys and their texts.
    pub sources: BTreeMap<String, String>,
    /// What every patient has: those of the file in its order, then those of the anatomy.
    pub covariates: Vec<Covariate>,
    /// Correlations of the normals behind two covariates (indices into `covariates`).
    pub correlations: Vec<Correlation>,
    /// The reference man and woman, if the file asks for an anatomy.
    pub anatomy: Option<Anatomy>,
    /// Findings that did not stop the file.
    pub warnings: Diagnostics,
    pub source: Source,
    pub(crate) data: Option<Data>,
    parameters: Vec<ParameterColumn>,
    uncertainty: Vec<uncertainty::Written>,
    units: UnitSystem,
    /// Covariates in an order in which each needs earlier ones only.
    order: Vec<Step>,
    /// Covariates that are drawn, and the Cholesky factor of their correlations.
    drawn: Vec<usize>,
    factor: DMatrix<f64>,
}

/// A covariate of the population.
#[derive(Clone, Debug)]
pub struct Covariate {
    pub name: String,
    pub unit: Unit,
    pub how: How,
    /// In `unit`.
    pub bounds: Option<(f64, f64)>,
    pub source: String,
    /// Chosen by the authors of the file, or fitted by them to what the source reports.
    pub calibrated: bool,
    pub description: String,
    /// Labels of categories that are words, with their values.
    pub labels: Vec<(String, f64)>,
    /// Figures of a publication to compare with: mean, sd, median, low, high.
    pub published: Vec<(String, f64)>,
    pub published_source: String,
    pub(crate) place: Place,
}

/// Where a covariate's value comes from.
#[derive(Clone, Debug)]
pub enum How {
    Drawn(Distribution),
    /// Drawn from the distribution that belongs to the value of another covariate.
    Mixture {
        by: usize,
        levels: Vec<(f64, Distribution)>,
    },
    /// An expression of other covariates.
    Expression(Formula),
    /// A published equation, of covariates and the factors that bring them to its units.
    Equation {
        equation: Equation,
        arguments: Vec<(usize, f64)>,
        /// Value in the covariate's unit per unit of the equation.
        scale: f64,
    },
    /// A column of the data file, by its number there.
    Data(usize),
    /// Part of the anatomy.
    Anatomy(Part),
}

/// A part of the anatomy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// kg; numbers of organs.
    Mass(usize),
    /// L/min
    Flow(usize),
    RestMass,
    RestFlow,
    CardiacOutput,
    FatFreeMass,
    Plasma,
    Haematocrit,
}

/// A correlation of the normals behind two covariates.
#[derive(Clone, Debug)]
pub struct Correlation {
    pub between: (usize, usize),
    pub value: f64,
    pub source: String,
    pub calibrated: bool,
}

/// The anatomy of a population.
#[derive(Clone, Debug)]
pub struct Anatomy {
    pub reference: Reference,
    pub female: usize,
    pub height: usize,
    pub weight: usize,
    /// To m and kg.
    scales: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Covariate(usize),
    Anatomy,
}

/// Individual parameters from a column of the data file.
#[derive(Clone, Debug)]
struct ParameterColumn {
    name: Text,
    column: usize,
}

impl Population {
    /// Reads a population file and what it names.
    ///
    /// # Errors
    /// Every finding: `M0xx` about its structure, `D1xx` about populations, `M2xx` and `M3xx` about
    /// its expressions, `D0xx` about its data.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let name = path.display().to_string();
        let bytes = read_file(path)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let source = Source::new(&name, String::from_utf8_lossy(error.as_bytes()));
            Diagnostics::from(
                Diagnostic::error("D001", "the file is not UTF-8 text").at(&source, at..at + 1),
            )
        })?;
        Self::parse(&name, &text, path.parent())
    }

    /// Reads a population from text; `name` is what diagnostics call it, `dir` is where the files
    /// that it names are looked for.
    ///
    /// # Errors
    /// As [`Population::load`].
    pub fn parse(name: &str, text: &str, dir: Option<&Path>) -> Result<Self, Diagnostics> {
        build::population(&Source::new(name, text), dir)
    }

    /// Index of a covariate.
    pub fn covariate_index(&self, name: &str) -> Option<usize> {
        self.covariates.iter().position(|c| c.name == name)
    }

    /// Number of patients in the data file after those that a rule drops; `None` without one.
    pub fn data_rows(&self) -> Option<usize> {
        self.data.as_ref().map(|data| data.rows)
    }

    /// Whether patients are rows of the data file, drawn with replacement.
    pub fn resamples(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.resample)
    }

    /// What the data file lacked, column by column, and what was done about it.
    pub fn missing(&self) -> &[Missing] {
        self.data.as_ref().map_or(&[], |data| &data.missing)
    }

    /// Columns of the data file that nothing uses.
    pub fn unused_columns(&self) -> &[String] {
        self.data.as_ref().map_or(&[], |data| &data.unused)
    }

    /// Expected mean, standard deviation and median of a covariate, bounds included; `None` where
    /// it is computed, read from data, or mixed by such a one.
    pub fn moments(&self, covariate: usize) -> Option<Moments> {
        let of = self.covariates.get(covariate)?;
        let (first, second, median) = match &of.how {
            How::Drawn(distribution) => distribution.raw_moments(of.bounds),
            How::Mixture { by, levels } => {
                let mut sums = (0.0, 0.0);
                for (value, share) in self.shares(*by)? {
                    let (_, distribution) = levels.iter().find(|(level, _)| *level == value)?;
                    let (first, second, _) = distribution.raw_moments(of.bounds);
                    sums = (sums.0 + share * first, sums.1 + share * second);
                }
                (sums.0, sums.1, None)
            }
            _ => return None,
        };
        Some(Moments {
            mean: first,
            sd: (second - first * first).max(0.0).sqrt(),
            median,
        })
    }

    /// Values of a categorical covariate and the share of patients with each.
    pub fn shares(&self, covariate: usize) -> Option<Vec<(f64, f64)>> {
        match &self.covariates.get(covariate)?.how {
            How::Drawn(distribution) if distribution.is_categorical() => {
                Some(distribution.levels())
            }
            How::Mixture { by, levels } => {
                let mut out: Vec<(f64, f64)> = Vec::new();
                for (value, share) in self.shares(*by)? {
                    let (_, distribution) = levels.iter().find(|(level, _)| *level == value)?;
                    if !distribution.is_categorical() {
                        return None;
                    }
                    for (inner, part) in distribution.levels() {
                        match out.iter_mut().find(|(known, _)| *known == inner) {
                            Some((_, sum)) => *sum += share * part,
                            None => out.push((inner, share * part)),
                        }
                    }
                }
                Some(out)
            }
            _ => None,
        }
    }

    /// For people: what a covariate is.
    pub fn describe(&self, covariate: usize) -> String {
        let Some(of) = self.covariates.get(covariate) else {
            return String::new();
        };
        let name = |i: &usize| self.covariates.get(*i).map_or("", |c| c.name.as_str());
        match &of.how {
            How::Drawn(distribution) => distribution.describe(),
            How::Mixture { by, levels } => {
                let parts: Vec<String> = levels
                    .iter()
                    .map(|(value, d)| format!("{} = {value}: {}", name(by), d.describe()))
                    .collect();
                parts.join("; ")
            }
            How::Expression(formula) => formula.text.clone(),
            How::Equation {
                equation,
                arguments,
                ..
            } => {
                let names: Vec<&str> = arguments.iter().map(|(i, _)| name(i)).collect();
                format!("{} of {}", equation.name(), names.join(", "))
            }
            How::Data(_) => "from the data file".to_owned(),
            How::Anatomy(_) => "anatomy, Huisinga 2012".to_owned(),
        }
    }
}
