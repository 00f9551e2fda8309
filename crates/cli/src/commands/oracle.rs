//! `posology oracle`: what a task's baselines and oracles are worth.

use std::path::Path;

use posology_agent::baseline::tabular::baselines;
use posology_agent::environment::process::TabularProcess;
use posology_agent::play::{CompareOptions, Compared, OpenLoopOptions, compare};
use posology_agent::task::Task;
use posology_agent::train::Problem;
use serde_json::{Value, json};

use crate::args::OracleArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::library::TASKS;
use crate::output::atomic::{json_bytes, write_file};
use crate::output::provenance;

/// Run the command.
///
/// # Errors
/// Class model for the task, usage for unknown baselines, device and I/O.
pub fn run(args: &OracleArgs, context: &Context) -> Result<(), Failure> {
    let path = TASKS.find(&args.task)?;
    let problem = Problem::load(&path)?.with(&args.set)?;
    if let Some(process) = problem.tabular() {
        return exact(process, &path, args, context);
    }
    let Some(task) = problem.task() else {
        return Err(Failure::usage("a built-in process has no baselines"));
    };
    let device = context.open_device()?;
    let options = CompareOptions {
        patients: args.patients as usize,
        first_id: args.first,
        seed: args.seed,
        only: args.baselines.clone(),
        replicates: args.replicates as usize,
        plans: args.plans as usize,
        open_loop: OpenLoopOptions {
            candidates: args.candidates as usize,
            iterations: args.iterations as usize,
            ..OpenLoopOptions::default()
        },
    };
    let bar = context.progress(1, "patients");
    let rows = compare(&device, task, &options, |name, done, total| {
        bar.set_message(name.to_owned());
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let rows = rows?;
    let described = json!({
        "notice": provenance::NOTICE,
        "program": provenance::program(),
        "date": provenance::now(),
        "command": provenance::command(),
        "device": { "name": device.description.name, "backend": device.description.backend, "driver": device.description.driver },
        "task": { "file": path.display().to_string(), "title": task.title, "costs": task.spec.costs },
        "patients": args.patients,
        "seed": args.seed,
        "baselines": rows.iter().map(|row| described(row, args.out.is_some())).collect::<Vec<_>>(),
    });
    if let Some(out) = &args.out {
        write_file(out, &json_bytes(&described)?)?;
    }
    if context.global.json {
        return context.print_json(&described);
    }
    context.print(&shown(task, &rows, context))
}

/// A tabular process is solved, not sampled.
fn exact(
    process: &TabularProcess,
    path: &Path,
    args: &OracleArgs,
    context: &Context,
) -> Result<(), Failure> {
    let rows = baselines(process)?;
    let described = json!({
        "notice": provenance::NOTICE,
        "program": provenance::program(),
        "date": provenance::now(),
        "command": provenance::command(),
        "task": { "file": path.display().to_string() },
        "exact": rows,
    });
    if let Some(out) = &args.out {
        write_file(out, &json_bytes(&described)?)?;
    }
    if context.global.json {
        return context.print_json(&described);
    }
    let mut out = String::from("exact values, by solving the process\n");
    out += &format!("{:12}  {:>12}  {:>12}\n", "policy", "return", "decisions");
    for row in &rows {
        out += &format!(
            "{:12}  {:>12.6}  {:>12.3}\n",
            row.name, row.mean_return, row.decisions
        );
    }
    context.print(&out)
}

fn described(row: &Compared, patients: bool) -> Value {
    let (mean, error) = row.mean();
    let costs: Vec<f64> = row.costs.iter().map(|c| average(c)).collect();
    let mut value = json!({
        "name": row.name,
        "title": row.title,
        "mean_return": mean,
        "standard_error": error,
        "mean_costs": costs,
    });
    if let (true, Value::Object(map)) = (patients, &mut value) {
        map.insert("returns".to_owned(), json!(row.returns));
        map.insert("costs".to_owned(), json!(row.costs));
        map.insert("decisions".to_owned(), json!(row.decisions));
        let parameters = row.parameters.iter().cloned();
        map.insert(
            "parameters".to_owned(),
            json!(parameters.collect::<std::collections::BTreeMap<_, _>>()),
        );
    }
    value
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn shown(task: &Task, rows: &[Compared], context: &Context) -> String {
    let mut out = format!("{}\n", context.bold(&task.title));
    let wide = rows.iter().map(|r| r.name.len()).max().unwrap_or(0).max(8);
    out += &format!("{:wide$}  {:>12} {:>9}", "baseline", "mean return", "SE");
    for cost in &task.spec.costs {
        out += &format!("  {:>14}", cost.name);
    }
    out += "\n";
    for row in rows {
        let (mean, error) = row.mean();
        out += &format!("{:wide$}  {mean:>12.4} {error:>9.4}", row.name);
        for cost in &row.costs {
            out += &format!("  {:>14.4}", average(cost));
        }
        let blank = if row.costs.is_empty() {
            task.spec.costs.len()
        } else {
            0
        };
        out += &format!("{}  {}\n", " ".repeat(16 * blank), row.title);
    }
    out
}
