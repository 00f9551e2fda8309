//! The population that `fit.json` holds, for `--fit`.

use std::fs;
use std::path::Path;

use posology_model::correction::PREFIX;
use posology_twin::space::{Entry, Population};
use serde::{Deserialize, Serialize};

use super::study::Study;
use crate::error::{Class, Failure};

/// What `fit.json` says of the population.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    pub model: String,
    pub random: Vec<String>,
    /// Without the weights of a correction, which have a file of their own.
    pub fixed: Vec<String>,
    /// Exact, by the bits of the numbers; `estimates` has them to read.
    pub population: Population,
}

impl Saved {
    pub fn of(study: &Study, population: &Population) -> Self {
        let names =
            |entries: &[Entry]| -> Vec<String> { entries.iter().map(|e| e.name.clone()).collect() };
        let mut population = population.clone();
        population.fixed.truncate(study.own);
        Self {
            model: study.scenario.model.name.clone(),
            random: names(&study.space.random),
            fixed: names(&study.space.fixed[..study.own]),
            population,
        }
    }
}

/// The population of the fit in folder `dir`; weights of a correction begin where the study says.
///
/// # Errors
/// Class input/output; class data where the fit is of another model or of other parameters.
pub fn read(dir: &Path, study: &Study) -> Result<Population, Failure> {
    let path = dir.join("fit.json");
    let bytes = fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
    let wrong = |why: &str| {
        Failure::new(Class::Data, format!("{}: {why}", path.display()))
            .help("--fit names the folder that `posology fit --out` wrote for this model")
    };
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    let found: Saved = serde_json::from_value(value["saved"].clone())
        .map_err(|error| wrong(&error.to_string()))?;
    let begin = Saved::of(study, &study.start);
    if found.model != begin.model {
        return Err(wrong(&format!("a fit of the model `{}`", found.model)));
    }
    // latent variables of a correction that was switched off are no parameters of that fit
    let more = begin.random.strip_prefix(found.random.as_slice());
    let more = more.filter(|more| more.iter().all(|name| name.starts_with(PREFIX)));
    if more.is_none() || found.fixed != begin.fixed {
        return Err(wrong("a fit of other parameters (see --estimate)"));
    }
    let (known, all) = (found.random.len(), begin.random.len());
    let start = &begin.population;
    let sizes = |p: &Population, random: usize| {
        p.mu.len() == random
            && p.omega.len() == random * random
            && p.fixed.len() == start.fixed.len()
            && p.correlation.len() == start.correlation.len()
            && p.errors.len() == start.errors.len()
    };
    if !sizes(&found.population, known) || !sizes(start, all) {
        return Err(wrong("a fit of other parameters or observables"));
    }
    let mut population = found.population;
    population
        .fixed
        .extend_from_slice(&study.start.fixed[study.own..]);
    population.mu.extend_from_slice(&start.mu[known..]);
    let mut omega = start.omega.clone();
    for i in 0..known {
        omega[i * all..i * all + known]
            .copy_from_slice(&population.omega[i * known..(i + 1) * known]);
    }
    population.omega = omega;
    Ok(population)
}
