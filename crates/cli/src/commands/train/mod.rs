//! `posology train`, `resume` and `evaluate`: policies from tasks, and what they are worth.
//!
//! A run writes into its folder as it goes, because it can be gone on with at any moment: see
//! [`posology_agent::train::run`] for its files.

mod evaluate;
mod show;
mod sweep;

use std::fs;
use std::path::Path;
use std::time::Instant;

use posology_agent::error::AgentError;
use posology_agent::ppo::config::Config;
use posology_agent::task::edit::is_about_task;
use posology_agent::train::run::{BEST, LAST};
use posology_agent::train::{Metrics, Outcome, Problem};
use serde_json::json;

pub use self::evaluate::{checkpoint, run as evaluate};

use self::show::{constraints, status};
use crate::args::{ResumeArgs, TrainArgs};
use crate::context::{Context, Graceful};
use crate::error::{Class, Failure};
use crate::library::TASKS;
use crate::output::atomic::json_bytes;
use crate::output::provenance;

/// Files of a run that a new one in the same folder replaces.
const FILES: [&str; 7] = [
    "configuration.toml",
    LAST,
    BEST,
    "metrics.jsonl",
    "validation.jsonl",
    "provenance.json",
    "summary.json",
];
const EVENTS: &str = "tensorboard";

/// The task that the user means: a path, or a name of the library.
pub fn problem(wanted: &str) -> Result<Problem, Failure> {
    if let Some(problem) = Problem::built_in(wanted) {
        return Ok(problem?);
    }
    Ok(Problem::load(&TASKS.find(wanted)?)?)
}

/// `posology train`.
///
/// # Errors
/// Class model for the task, usage for the configuration and the folder, numeric where training
/// diverges, device, I/O.
pub fn train(args: &TrainArgs, context: &Context) -> Result<(), Failure> {
    if let Some(sweep) = &args.sweep {
        return sweep::run(args, sweep, context);
    }
    let done = started(&args.task, &args.set, &args.out, args.overwrite, context)?;
    report(context, &args.out, &done)
}

/// Train from the beginning.
fn started(
    task: &str,
    set: &[String],
    out: &Path,
    overwrite: bool,
    context: &Context,
) -> Result<Done, Failure> {
    let (of_task, of_trainer): (Vec<String>, Vec<String>) =
        set.iter().cloned().partition(|set| is_about_task(set));
    let problem = problem(task)?.with(&of_task)?;
    let config = Config::resolve(problem.learning(), &of_trainer)?;
    begin(out, overwrite)?;
    let device = context.open_device()?;
    fs::create_dir_all(out).map_err(|error| Failure::io("create", out, &error))?;
    let mut files = Vec::new();
    if let Some(path) = problem.path.as_deref() {
        files.push(("task", path, provenance::hash_file(path)?));
    }
    let origin = provenance::describe(&device.description, config.seed, "as the task says", &files);
    write_json(&out.join("provenance.json"), &origin)?;
    follow(context, out, |observer| {
        posology_agent::train::train(&device, &problem, &config, out, observer)
    })
}

/// `posology resume`.
///
/// # Errors
/// As [`train`]; class data for a checkpoint that cannot be used.
pub fn resume(args: &ResumeArgs, context: &Context) -> Result<(), Failure> {
    let done = resumed(&args.folder, context)?;
    report(context, &args.folder, &done)
}

/// Go on with a run.
fn resumed(out: &Path, context: &Context) -> Result<Done, Failure> {
    if !out.join(LAST).is_file() {
        let message = format!("{} holds no run: it has no {LAST}", out.display());
        return Err(Failure::new(Class::Data, message)
            .help("name the folder that `posology train --out` was given"));
    }
    let device = context.open_device()?;
    follow(context, out, |observer| {
        posology_agent::train::resume(&device, out, observer)
    })
}

/// A run that has come to its end.
struct Done {
    outcome: Outcome,
    summary: serde_json::Value,
    seconds: f64,
}

/// Do what can be interrupted: it asks whether to proceed.
fn carry_on<T>(
    context: &Context,
    run: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<T, AgentError>,
) -> Result<T, Failure> {
    let _graceful = Graceful::begin();
    let found = run(&mut || !context.interrupted())?;
    if context.interrupted() {
        return Err(Failure::new(Class::Interrupted, "interrupted"));
    }
    Ok(found)
}

/// Run with a progress bar, until the end or an interruption.
fn follow(
    context: &Context,
    out: &Path,
    run: impl FnOnce(&mut dyn FnMut(&Metrics, u64) -> bool) -> Result<Outcome, AgentError>,
) -> Result<Done, Failure> {
    let clock = Instant::now();
    let _graceful = Graceful::begin();
    let bar = context.progress(1, "updates");
    let outcome = run(&mut |metrics, updates| {
        bar.set_length(updates);
        bar.set_position(metrics.update);
        bar.set_message(status(metrics));
        !context.interrupted()
    });
    bar.finish_and_clear();
    let outcome = outcome.map_err(|error| {
        let diverged = matches!(error, AgentError::Diverged { .. });
        let failure = Failure::from(error);
        if !diverged {
            return failure;
        }
        failure.help("a smaller learning rate (rate=...) or max_gradient_norm often helps")
    })?;
    let seconds = clock.elapsed().as_secs_f64();
    let summary = json!({
        "out": out,
        "update": outcome.update,
        "updates": outcome.updates,
        "finished": !outcome.stopped,
        "seconds": seconds,
        "best": outcome.best,
        "launches_per_decision": outcome.launches_per_decision,
        "last": outcome.metrics,
    });
    write_json(&out.join("summary.json"), &summary)?;
    if outcome.stopped {
        let message = format!(
            "stopped after update {} of {}",
            outcome.update, outcome.updates
        );
        return Err(Failure::new(Class::Interrupted, message).help(format!(
            "`posology resume {}` goes on from there",
            out.display()
        )));
    }
    Ok(Done {
        outcome,
        summary,
        seconds,
    })
}

/// Print what came of a run.
fn report(context: &Context, out: &Path, done: &Done) -> Result<(), Failure> {
    let (outcome, seconds) = (&done.outcome, done.seconds);
    if context.global.json {
        return context.print_json(&done.summary);
    }
    let mut text = format!("{} updates", context.bold(&outcome.update.to_string()));
    if let Some(best) = &outcome.best {
        let limits = if best.feasible {
            ""
        } else {
            ", not every limit kept"
        };
        text.push_str(&format!(
            "; best return {:.4} at update {}{limits}",
            best.mean_return, best.update
        ));
    }
    text.push('\n');
    if let Some(metrics) = &outcome.metrics {
        text.push_str(&constraints(metrics));
    }
    context.print(&text)?;
    context.note(&format!(
        "{} ({seconds:.1} s); `posology evaluate {}` tells what it is worth",
        out.display(),
        out.display()
    ));
    Ok(())
}

/// See that the folder is free, or free it of an earlier run.
fn begin(out: &Path, overwrite: bool) -> Result<(), Failure> {
    if out.exists() && !out.is_dir() {
        let message = format!("the output folder {} is a file", out.display());
        return Err(Failure::usage(message));
    }
    let occupied = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if !occupied {
        return Ok(());
    }
    if !overwrite {
        let message = format!("the output folder {} is not empty", out.display());
        let help = if out.join(LAST).is_file() {
            format!(
                "`posology resume {}` goes on with its run; --overwrite begins again",
                out.display()
            )
        } else {
            "choose another folder, or add --overwrite".to_owned()
        };
        return Err(Failure::usage(message).help(help));
    }
    for file in FILES.map(|name| out.join(name)) {
        if file.exists() {
            fs::remove_file(&file).map_err(|error| Failure::io("remove", &file, &error))?;
        }
    }
    let events = out.join(EVENTS);
    if events.is_dir() {
        fs::remove_dir_all(&events).map_err(|error| Failure::io("remove", &events, &error))?;
    }
    Ok(())
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), Failure> {
    let bytes = json_bytes(value)?;
    fs::write(path, bytes).map_err(|error| Failure::io("write", path, &error))
}
