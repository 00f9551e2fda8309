//! A fit from all sides: each patient, uncertainty, likelihood, goodness of fit.

use posology_twin::goodness::{self, Goodness};
use posology_twin::map::{self, Individual, MapOptions};
use posology_twin::population::marginal::{self, Marginal};
use posology_twin::population::{Uncertainty, fisher};
use posology_twin::problem::Problem;
use posology_twin::space::Population;

use super::study::Study;
use crate::args::{FitArgs, Method};
use crate::context::Context;
use crate::error::{Class, Failure};

/// Samples of the importance sampler.
const SAMPLES: usize = 300;
/// Relative standard errors above this are pointed out, percent.
const UNSURE: f64 = 50.0;

/// A fit, looked at from all sides.
pub struct Fitted {
    pub population: Population,
    /// Every patient of the file.
    pub individuals: Vec<Individual>,
    /// Those with an observation, and their estimates.
    pub who: Vec<u32>,
    pub observed: Vec<Individual>,
    pub uncertainty: Option<Uncertainty>,
    pub marginal: Option<Marginal>,
    pub goodness: Goodness,
}

/// Look at a fit.
///
/// # Errors
/// Classes device; interrupted.
pub fn look(
    study: &Study,
    problem: &Problem,
    population: &Population,
    args: &FitArgs,
    context: &Context,
) -> Result<Fitted, Failure> {
    let everyone: Vec<u32> = (0..study.names.len() as u32).collect();
    let seed = args.data.seed;
    let options = MapOptions {
        starts: args.starts as usize,
        seed,
        ..MapOptions::default()
    };
    let populations = std::slice::from_ref(population);
    let of = vec![0; everyone.len()];
    let individuals = map::estimate(problem, &everyone, populations, &of, &options)?;
    go_on(context)?;
    let who: Vec<u32> = everyone
        .into_iter()
        .filter(|&s| !problem.points[s as usize].is_empty())
        .collect();
    let observed: Vec<Individual> = who
        .iter()
        .map(|&s| individuals[s as usize].clone())
        .collect();
    let (mut uncertainty, mut marginal) = (None, None);
    if args.method == Method::Population {
        let table =
            fisher::uncertainty(problem, &who, population, &observed, &study.observables())?;
        let count = table.estimates.len();
        go_on(context)?;
        marginal = Some(marginal::marginal(
            problem, &who, population, &observed, count, SAMPLES, seed,
        )?);
        uncertainty = Some(table);
    }
    go_on(context)?;
    let simulations = args.simulations as usize;
    let goodness = goodness::goodness(problem, &who, population, &observed, simulations, seed)?;
    Ok(Fitted {
        population: population.clone(),
        individuals,
        who,
        observed,
        uncertainty,
        marginal,
        goodness,
    })
}

/// What a user should know before he believes the table, beside the warnings about the data.
pub fn remarks(study: &Study, fitted: &Fitted) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(table) = &fitted.uncertainty {
        for group in &table.weak {
            notes.push(format!(
                "the data do not tell apart: {} (Fisher information nearly singular)",
                group.join(", ")
            ));
        }
        for e in table
            .estimates
            .iter()
            .filter(|e| e.rse.is_some_and(|r| r > UNSURE))
        {
            notes.push(format!(
                "{} is poorly known (RSE {:.0} %)",
                e.name,
                e.rse.unwrap_or(0.0)
            ));
        }
    }
    let lost: Vec<&str> = fitted
        .individuals
        .iter()
        .zip(&study.names)
        .filter(|(i, _)| !i.converged)
        .map(|(_, name)| name.as_str())
        .collect();
    if !lost.is_empty() {
        let shown = lost.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        notes.push(format!(
            "the searches of {} patients did not converge: {shown}",
            lost.len()
        ));
    }
    if study
        .scenario
        .model
        .parameters
        .iter()
        .any(|p| p.iov.is_some())
    {
        notes.push(
            "variability between occasions is not fitted; it counts as residual error".into(),
        );
    }
    notes
}

fn go_on(context: &Context) -> Result<(), Failure> {
    if context.interrupted() {
        return Err(Failure::new(
            Class::Interrupted,
            "interrupted after the fit, before its report",
        )
        .help("with --out, the same command with --resume goes on"));
    }
    Ok(())
}
