//! `posology fit`: a population, each patient, or a correction, from data.

mod checkpoint;
mod correction;
mod look;
mod page;
mod population;
mod results;
pub mod saved;
pub mod study;
pub mod tables;

use posology_twin::correction::Trained;
use posology_twin::population::SaemState;
use serde_json::json;

use self::checkpoint::Keeper;
use self::look::look;
use self::study::Study;
use crate::args::{FitArgs, Method};
use crate::context::{Context, Graceful};
use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::output::provenance;

/// What was done before patients were estimated.
enum Estimated {
    Population(Box<SaemState>),
    /// Each patient alone, with the given population as prior.
    Patients,
    Correction(Box<Trained>),
}

/// Run the command.
pub fn run(args: &FitArgs, context: &Context) -> Result<(), Failure> {
    if args.resume && args.method == Method::Map {
        return Err(Failure::usage(
            "--resume goes on with a population fit or the training of a correction",
        ));
    }
    let mut study = Study::load(&args.data, args.method == Method::Correction, context)?;
    if args.method == Method::Correction {
        correction::declared(&study)?;
    }
    if let Some(dir) = &args.fit {
        study.start = saved::read(dir, &study)?;
    }
    let keeper = Keeper::new(
        &study,
        args,
        json!({
            "method": args.method.word(), "seed": args.data.seed, "set": args.data.set,
            "estimate": args.data.estimate, "correlation": args.data.correlation,
            "dt": args.data.dt, "missing": args.data.missing, "below": args.data.below,
            "lloq": args.data.lloq, "iterations": args.data.iterations,
            "fit": fit_hash(args)?,
        }),
    )?;
    let staging = match &args.out {
        Some(out) => Some(Staging::begin(out, args.overwrite)?),
        None => None,
    };
    let _graceful = Graceful::begin();
    let device = context.open_device()?;
    let problem = study.problem(&device, &study.observations)?;
    let estimated = match args.method {
        Method::Population => {
            let state = population::population(&study, &problem, &keeper, args, context)?;
            Estimated::Population(Box::new(state))
        }
        Method::Map => Estimated::Patients,
        Method::Correction => {
            let trained = correction::correction(&study, &problem, &keeper, args, context)?;
            Estimated::Correction(Box::new(trained))
        }
    };
    let population = match &estimated {
        Estimated::Population(state) => &state.populations[0],
        Estimated::Patients => &study.start,
        Estimated::Correction(trained) => &trained.population,
    };
    let fitted = look(&study, &problem, population, args, context)?;
    results::write(&study, &fitted, &estimated, args, &device, staging, context)?;
    keeper.remove();
    Ok(())
}

/// What an earlier fit was, for a checkpoint that began there.
fn fit_hash(args: &FitArgs) -> Result<Option<String>, Failure> {
    let path = args.fit.as_ref().map(|dir| dir.join("fit.json"));
    path.map(|path| provenance::hash_file(&path)).transpose()
}
