//! `posology train --sweep`: one run for each value of a key of the task, one after another, and
//! the front that they span.
//!
//! A run that has ended is not repeated and one that was cut off goes on, so the same command
//! resumes a sweep.

use std::fs;
use std::path::Path;

use posology_agent::train::container::Container;
use posology_agent::train::run::{BEST, LAST, problem_of};
use posology_agent::train::{EvaluateOptions, evaluate};
use serde_json::{Value, json};

use super::{carry_on, resumed, started, write_json};
use crate::args::TrainArgs;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::table;

/// The front, in the folder of the sweep.
pub const FRONT: &str = "front.json";
const EVALUATION: &str = "evaluation.json";
/// Held-out patients by whom each point is judged.
const PATIENTS: usize = 4096;

/// Run the sweep that `--sweep` asks for.
///
/// # Errors
/// As `posology train`, of any of its runs.
pub fn run(args: &TrainArgs, sweep: &str, context: &Context) -> Result<(), Failure> {
    let (key, values) = parsed(sweep)?;
    let mut points = Vec::with_capacity(values.len());
    for value in &values {
        let out = args.out.join(format!("{}={value}", key.replace('.', "_")));
        let assignment = format!("{key}={value}");
        context.note(&assignment);
        point(args, &assignment, &out, context).map_err(|failure| match failure.class() {
            Some(Class::Interrupted) => failure.help("the same command goes on from there"),
            _ => failure,
        })?;
        points.push(json!({
            "value": value,
            "out": out,
            "evaluation": read(&out.join(EVALUATION))?,
        }));
    }
    let front = json!({ "task": args.task, "key": key, "patients": PATIENTS, "points": points });
    write_json(&args.out.join(FRONT), &front)?;
    if context.global.json {
        return context.print_json(&front);
    }
    context.print(&shown(&key, &front))?;
    context.note(&args.out.join(FRONT).display().to_string());
    Ok(())
}

/// The key and its values; `reward.X` means its weight.
fn parsed(sweep: &str) -> Result<(String, Vec<String>), Failure> {
    let refused = || {
        Failure::usage(format!(
            "--sweep {sweep}: expected a key of the task and values"
        ))
        .help("such as --sweep reward.exposure=0.1,0.3,1")
    };
    let (key, values) = sweep.split_once('=').ok_or_else(refused)?;
    let values: Vec<String> = values.split(',').map(|v| v.trim().to_owned()).collect();
    let parts = key.split('.').count();
    if parts < 2 || values.iter().any(String::is_empty) {
        return Err(refused());
    }
    let key = if key.starts_with("reward.") && parts == 2 {
        format!("{key}.weight")
    } else {
        key.to_owned()
    };
    Ok((key, values))
}

/// Train (or go on, or nothing) and evaluate one value.
fn point(args: &TrainArgs, assignment: &str, out: &Path, context: &Context) -> Result<(), Failure> {
    let finished = |name: &str| {
        let summary = read(&out.join(name)).unwrap_or_default();
        summary["finished"].as_bool().unwrap_or(false)
    };
    if args.overwrite || !finished("summary.json") {
        let _ = fs::remove_file(out.join(EVALUATION));
        if !args.overwrite && out.join(LAST).is_file() {
            resumed(out, context)?;
        } else {
            let mut set = args.set.clone();
            set.push(assignment.to_owned());
            started(&args.task, &set, out, true, context)?;
        }
    }
    if out.join(EVALUATION).is_file() {
        return Ok(());
    }
    let path = [BEST, LAST].map(|name| out.join(name));
    let path = path.into_iter().find(|path| path.is_file());
    let path = path.ok_or_else(|| {
        let message = format!("{} has no checkpoint", out.display());
        Failure::new(Class::Data, message)
    })?;
    let shown = path.display().to_string();
    let container = Container::read(&path)?;
    let problem = problem_of(&container, &shown)?;
    let device = context.open_device()?;
    let options = EvaluateOptions {
        patients: PATIENTS,
        ..EvaluateOptions::default()
    };
    let found = carry_on(context, |proceed| {
        evaluate(&device, &container, &shown, &problem, &options, |_| {
            proceed()
        })
    })?;
    write_json(
        &out.join(EVALUATION),
        &serde_json::to_value(&found).unwrap_or_default(),
    )
}

fn read(path: &Path) -> Result<Value, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Class::Data, format!("{}: {error}", path.display())))
}

/// One row per value: every reward term, unweighted, and every cost beside its limit.
fn shown(key: &str, front: &Value) -> String {
    let points = front["points"].as_array().map_or(&[][..], Vec::as_slice);
    let number = |value: &Value| format!("{:.4}", value.as_f64().unwrap_or(f64::NAN));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut header = vec![key.to_owned(), "return".to_owned()];
    if let Some(first) = points.first() {
        let terms = list(&first["evaluation"]["terms"]);
        header.extend(terms.iter().map(|term| text(&term[0])));
        for cost in list(&first["evaluation"]["costs"]) {
            header.push(format!("{} (limit {})", text(&cost["name"]), cost["limit"]));
        }
    }
    let rows: Vec<Vec<String>> = points
        .iter()
        .map(|point| {
            let found = &point["evaluation"];
            let mut row = vec![text(&point["value"]), number(&found["return"]["value"])];
            row.extend(list(&found["terms"]).iter().map(|term| number(&term[1])));
            for cost in list(&found["costs"]) {
                let kept = if cost["kept"] == true {
                    ""
                } else {
                    " NOT KEPT"
                };
                row.push(format!("{}{kept}", number(&cost["risk"])));
            }
            row
        })
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    table::render(&header, &rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_of_a_key_of_the_task() {
        let (key, values) = parsed("reward.a=0.1, 1").unwrap();
        assert_eq!((key.as_str(), values.len()), ("reward.a.weight", 2));
        assert_eq!(values, ["0.1", "1"]);
        assert_eq!(parsed("costs.c.limit=1,2").unwrap().0, "costs.c.limit");
        for wrong in ["rate=1,2", "reward.a", "reward.a=1,,2"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
