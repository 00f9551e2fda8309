//! `posology adaptation`: regret to each patient's own oracle by treatment cycle.

mod plot;
mod show;

use std::path::{Path, PathBuf};
use std::time::Instant;

use posology_agent::adapt::{AdaptationOptions, Entrant, adaptation};
use posology_agent::play::OpenLoopOptions;
use posology_agent::ppo::config::{Algorithm, Config, NetworkKind};
use posology_agent::train::container::Container;
use posology_agent::train::snapshot::configuration;

use super::train::checkpoint;
use crate::args::AdaptationArgs;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::atomic::Staging;
use crate::output::provenance;

/// Run the command.
///
/// # Errors
/// Class data for checkpoints, usage for names that are not there, model for the task, device,
/// I/O.
pub fn run(args: &AdaptationArgs, context: &Context) -> Result<(), Failure> {
    let staging = args
        .out
        .as_deref()
        .map(|out| Staging::begin(out, args.overwrite))
        .transpose()?;
    let mut read = Vec::new();
    for given in &args.checkpoints {
        let (name, path) = named(given)?;
        let container = Container::read(&path)?;
        let shown = path.display().to_string();
        let label = match name {
            Some(name) => name.to_owned(),
            None => kind(&configuration(&container, &shown)?).to_owned(),
        };
        read.push((label, path, shown, container));
    }
    let entrants: Vec<Entrant<'_>> = read
        .iter()
        .map(|(label, _, path, container)| Entrant {
            label,
            container,
            path,
        })
        .collect();
    let options = AdaptationOptions {
        patients: args.patients as usize,
        first: args.first,
        changes: args.set.clone(),
        seed: args.seed,
        deterministic: !args.sampled,
        oracle: args.oracle.clone(),
        cycle: args.cycle.map(|cycle| cycle as usize),
        against: args.against.clone(),
        replicates: args.replicates as usize,
        open_loop: OpenLoopOptions {
            candidates: args.candidates as usize,
            iterations: args.iterations as usize,
            ..OpenLoopOptions::default()
        },
        ..AdaptationOptions::default()
    };
    let device = context.open_device()?;
    let clock = Instant::now();
    let bar = context.progress(1, "patients");
    let found = adaptation(&device, &entrants, &options, |name, done, total| {
        bar.set_message(name.to_owned());
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let found = found?;
    if let (Some(staging), Some(out)) = (staging, args.out.as_deref()) {
        let svg = plot::curves(&found)
            .map_err(|error| Failure::new(Class::Numeric, error.to_string()))?;
        staging.write_json("adaptation.json", &found)?;
        staging.write("adaptation.md", show::markdown(&found).as_bytes())?;
        staging.write("regret.svg", svg.to_file().as_bytes())?;
        staging.write("report.html", show::page(&found, svg).as_bytes())?;
        let mut files = Vec::new();
        for (_, path, _, _) in &read {
            files.push(("checkpoint", path.as_path(), provenance::hash_file(path)?));
        }
        let origin =
            provenance::describe(&device.description, args.seed, "as the task says", &files);
        staging.write_json("provenance.json", &origin)?;
        staging.commit()?;
        context.note(&format!("written: {}", out.display()));
    }
    if context.global.json {
        return context.print_json(&found);
    }
    context.print(&show::overview(&found, context))?;
    context.note(&format!("{:.1} s", clock.elapsed().as_secs_f64()));
    Ok(())
}

/// The name of a policy: its network, or its algorithm where that is another one.
fn kind(config: &Config) -> &'static str {
    match (config.algorithm, config.network) {
        (Algorithm::Dqn, _) => "dqn",
        (_, NetworkKind::Recurrent) => "recurrent",
        (_, NetworkKind::Memoryless) => "memoryless",
        (_, NetworkKind::TaskConditioned) => "task-conditioned",
    }
}

/// `NAME=PATH`, or a path alone; a path that is there may hold the sign itself.
fn named(given: &str) -> Result<(Option<&str>, PathBuf), Failure> {
    if !Path::new(given).exists()
        && let Some((name, path)) = given.split_once('=')
        && !name.is_empty()
    {
        return Ok((Some(name), checkpoint(Path::new(path))?));
    }
    Ok((None, checkpoint(Path::new(given))?))
}
