//! `posology evaluate`: a policy on patients it has never met.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use posology_agent::train::container::Container;
use posology_agent::train::run::{BEST, LAST, problem_of};
use posology_agent::train::{EvaluateOptions, Evaluation, evaluate};

use crate::args::EvaluateArgs;
use crate::context::{Context, Graceful};
use crate::error::{Class, Failure};
use crate::output::atomic::Staging;
use crate::table::quoted;

/// Run the command.
///
/// # Errors
/// Class data for the checkpoint, model for its task, device, I/O.
pub fn run(args: &EvaluateArgs, context: &Context) -> Result<(), Failure> {
    let path = checkpoint(&args.checkpoint)?;
    let staging = args
        .out
        .as_deref()
        .map(|out| Staging::begin(out, args.overwrite))
        .transpose()?;
    let container = Container::read(&path)?;
    let shown = path.display().to_string();
    let mut set = args.set.clone();
    for weight in &args.weights {
        let Some((name, value)) = weight.split_once('=') else {
            let message = format!("--weight {weight}: expected NAME=VALUE");
            return Err(Failure::usage(message));
        };
        set.push(format!("reward.{name}.weight.at={value}"));
    }
    let problem = problem_of(&container, &shown)?.with(&set)?;
    let device = context.open_device()?;
    let options = EvaluateOptions {
        patients: args.patients as usize,
        first: args.first,
        seed: args.seed,
        deterministic: !args.sampled,
        ..EvaluateOptions::default()
    };
    let clock = Instant::now();
    let _graceful = Graceful::begin();
    let bar = context.progress(u64::from(args.patients), "patients");
    let found = evaluate(&device, &container, &shown, &problem, &options, |done| {
        bar.set_position(done as u64);
        !context.interrupted()
    });
    bar.finish_and_clear();
    let found = found?;
    if context.interrupted() {
        return Err(Failure::new(Class::Interrupted, "interrupted"));
    }
    if let (Some(staging), Some(out)) = (staging, args.out.as_deref()) {
        staging.write_json("evaluation.json", &found)?;
        staging.write("patients.csv", patients(&found).as_bytes())?;
        staging.commit()?;
        context.note(&format!("written: {}", out.display()));
    }
    if context.global.json {
        return context.print_json(&found);
    }
    context.print(&overview(&found, context))?;
    context.note(&format!("{shown} ({:.1} s)", clock.elapsed().as_secs_f64()));
    Ok(())
}

/// A checkpoint, or the best (else the last) one of a run's folder.
pub fn checkpoint(given: &Path) -> Result<PathBuf, Failure> {
    if given.is_file() {
        return Ok(given.to_owned());
    }
    let inside = [BEST, LAST].map(|name| given.join(name));
    let found = inside.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        let message = format!("there is no checkpoint {}", given.display());
        Failure::new(Class::Data, message).help("name a checkpoint, or the folder of a run")
    })
}

/// One row per patient.
fn patients(found: &Evaluation) -> String {
    let mut text = "patient,return,decisions,terminated,diverged".to_owned();
    for (name, _) in &found.terms {
        let _ = write!(text, ",{}", quoted(&format!("reward {name}")));
    }
    for cost in &found.costs {
        let _ = write!(text, ",{}", quoted(&format!("cost {}", cost.name)));
    }
    text.push('\n');
    for course in &found.courses {
        let _ = write!(
            text,
            "{},{},{},{},{}",
            course.patient,
            course.total,
            course.decisions,
            u8::from(course.terminated),
            u8::from(course.diverged)
        );
        for value in course.terms.iter().chain(&course.costs) {
            let _ = write!(text, ",{value}");
        }
        text.push('\n');
    }
    text
}

fn overview(found: &Evaluation, context: &Context) -> String {
    let mut text = format!(
        "{}: {} patients, policy after {} updates, {} actions\n",
        context.bold(&found.task),
        found.patients,
        found.update,
        if found.deterministic {
            "most probable"
        } else {
            "drawn"
        }
    );
    let mut line = |name: &str, value: f64, low: f64, high: f64| {
        let _ = writeln!(
            text,
            "  {name:<24} {value:>10.4}  (95 % {low:.4} to {high:.4})"
        );
    };
    line(
        "return",
        found.total.value,
        found.total.low,
        found.total.high,
    );
    line(
        "decisions",
        found.decisions.value,
        found.decisions.low,
        found.decisions.high,
    );
    for cost in &found.costs {
        line(
            &format!("{}, mean", cost.name),
            cost.mean.value,
            cost.mean.low,
            cost.mean.high,
        );
    }
    for cost in &found.costs {
        let what = match cost.cvar {
            Some(alpha) => format!("CVaR {alpha}"),
            None => "mean".to_owned(),
        };
        let kept = if cost.kept { "kept" } else { "NOT KEPT" };
        let _ = writeln!(
            text,
            "  {} {what} {:.4}, upper bound {:.4}, limit {:.4}: {kept}",
            cost.name, cost.risk, cost.risk_upper, cost.limit
        );
    }
    for worth in &found.exact {
        let _ = writeln!(
            text,
            "  exact value, actions {}: {:.6}",
            worth.name, worth.mean_return
        );
    }
    if found.diverged > 0.0 {
        let _ = writeln!(
            text,
            "  {:.3} % of the patients diverged",
            100.0 * found.diverged
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_are_quoted() {
        assert_eq!(quoted("cost grade 4, any"), "\"cost grade 4, any\"");
        assert_eq!(quoted("cost a"), "cost a");
    }
}
