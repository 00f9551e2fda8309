//! `posology fine-tune`: a policy learns on for one patient.

use std::fmt::Write;
use std::time::Instant;

use posology_agent::adapt::{PosteriorOptions, TuneOptions, Tuned, tune};
use posology_agent::train::container::Container;
use posology_agent::train::run::BEST;
use serde_json::json;

use super::train::checkpoint;
use crate::args::FineTuneArgs;
use crate::context::{Context, Graceful};
use crate::error::{Class, Failure};
use crate::output::atomic::Staging;
use crate::output::provenance;

/// Run the command.
///
/// # Errors
/// Class data for the checkpoint, usage for the configuration, numeric where too few virtual
/// patients are like the patient or training diverges, model for the task, device, I/O.
pub fn run(args: &FineTuneArgs, context: &Context) -> Result<(), Failure> {
    for (name, value) in [("least", args.least), ("tolerance", args.tolerance)] {
        if value.is_nan() || value <= 0.0 {
            return Err(Failure::usage(format!("--{name} must be above 0")));
        }
    }
    let path = checkpoint(&args.checkpoint)?;
    let staging = args
        .out
        .as_deref()
        .map(|out| Staging::begin(out, args.overwrite))
        .transpose()?;
    let container = Container::read(&path)?;
    let shown = path.display().to_string();
    let options = TuneOptions {
        patient: args.patient,
        first: args.first,
        decisions: args.cycles as usize,
        seed: args.seed,
        posterior: PosteriorOptions {
            drawn: args.pool as usize,
            seed: args.seed,
            tolerance: args.tolerance,
            least: args.least,
            ..PosteriorOptions::default()
        },
        futures: args.futures.map(|futures| futures as usize),
        oracle: args.oracle.clone(),
        overrides: args.set.clone(),
        ..TuneOptions::default()
    };
    let device = context.open_device()?;
    let clock = Instant::now();
    let _graceful = Graceful::begin();
    let bar = context.progress(1, "patients");
    let found = tune(&device, &container, &shown, &options, |what, done, all| {
        bar.set_message(what.to_owned());
        bar.set_length(all);
        bar.set_position(done);
        !context.interrupted()
    });
    bar.finish_and_clear();
    let (found, tuned) = found?;
    if context.interrupted() {
        return Err(Failure::new(Class::Interrupted, "interrupted"));
    }
    let described = json!({
        "notice": provenance::NOTICE,
        "program": provenance::program(),
        "date": provenance::now(),
        "command": provenance::command(),
        "device": { "name": device.description.name, "backend": device.description.backend, "driver": device.description.driver },
        "checkpoint": { "file": shown, "sha256": provenance::hash_file(&path)? },
        "fine_tuning": found,
    });
    if let (Some(staging), Some(out)) = (staging, args.out.as_deref()) {
        staging.write_json("fine-tuning.json", &described)?;
        staging.write(BEST, &tuned.to_bytes())?;
        staging.commit()?;
        context.note(&format!("written: {}", out.display()));
    }
    if context.global.json {
        return context.print_json(&described);
    }
    context.print(&overview(&found, context))?;
    context.note(&format!("{shown} ({:.1} s)", clock.elapsed().as_secs_f64()));
    Ok(())
}

fn overview(found: &Tuned, context: &Context) -> String {
    let mut text = format!(
        "{}: patient {} after {} decisions; {:.1} of {} virtual patients effectively fit\n",
        context.bold(&found.task),
        found.patient,
        found.decisions,
        found.effective,
        found.drawn
    );
    for belief in &found.beliefs {
        let unit = match belief.unit.as_str() {
            "1" => String::new(),
            unit => format!(" {unit}"),
        };
        let _ = writeln!(
            text,
            "  {:<12} {:>10.4} +- {:.4}{unit} (before: {:.4} +- {:.4}; his own: {:.4})",
            belief.name, belief.mean, belief.sd, belief.prior_mean, belief.prior_sd, belief.truth
        );
    }
    if let Some(first) = found.checks.first() {
        let kept = found.checks.iter().find(|check| check.update == found.kept);
        let kept = kept.unwrap_or(first);
        let _ = writeln!(
            text,
            "  on virtual patients like him: {:.4} untuned, {:.4} after {} updates (kept)",
            first.mean_return, kept.mean_return, found.kept
        );
    }
    text.push_str("  the rest of his course:\n");
    for rest in [&found.untuned, &found.tuned, &found.oracle] {
        let _ = write!(
            text,
            "    {:<12} return {:>10.4}, {:.1} decisions in all",
            rest.name, rest.rest, rest.decisions
        );
        for cost in &rest.costs {
            let _ = write!(text, ", cost {cost:.4}");
        }
        text.push('\n');
    }
    text
}
