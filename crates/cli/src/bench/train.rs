//! `posology bench train`: decisions per second of environments, policies and training.

use posology_agent::ppo::config::Config;
use posology_agent::train::speed::{Speed, measure};
use serde_json::json;

use super::TrainBenchArgs;
use super::machine::Machine;
use crate::commands::train::problem;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::provenance;
use crate::table::render;

/// Measure and print.
///
/// # Errors
/// Class model for the task, usage for the configuration, device, numeric.
pub fn train(args: &TrainBenchArgs, context: &Context) -> Result<(), Failure> {
    let problem = problem(&args.task)?;
    let base = Config::resolve(problem.learning(), &args.set)?;
    let sizes = if args.lanes.is_empty() {
        vec![base.lanes as u32]
    } else {
        args.lanes.clone()
    };
    let device = context.open_device()?;
    let bar = context.progress(sizes.len() as u64, "lanes");
    let mut found: Vec<Speed> = Vec::new();
    for lanes in sizes {
        if context.interrupted() {
            return Err(Failure::new(Class::Interrupted, "interrupted"));
        }
        let config = Config {
            lanes: lanes as usize,
            ..base.clone()
        };
        config.check()?;
        found.push(measure(&device, &problem, &config, args.repeats as usize)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let result = json!({
        "task": problem.name,
        "machine": Machine::here(),
        "device": device.description.name,
        "program": provenance::program(),
        "command": provenance::command(),
        "configuration": base,
        "speed": found,
    });
    if context.global.json {
        return context.print_json(&result);
    }
    context.print(&text(&found))
}

fn text(found: &[Speed]) -> String {
    let header = [
        "lanes",
        "environment/s",
        "inference/s",
        "training/s",
        "update, s",
        "unfused, s",
        "launches",
        "reads",
    ];
    let row = |speed: &Speed| {
        vec![
            speed.lanes.to_string(),
            format!("{:.0}", speed.environment),
            format!("{:.0}", speed.inference),
            format!("{:.0}", speed.training),
            format!("{:.3}", speed.update_fused),
            format!("{:.3}", speed.update_unfused),
            format!("{:.1}", speed.launches_per_decision),
            format!("{:.1}", speed.transfers_per_update),
        ]
    };
    render(&header, &found.iter().map(row).collect::<Vec<_>>())
}
