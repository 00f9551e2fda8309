//! `posology check`: whether a model can be trusted to integrate, and with which step.

mod balance;
mod report;

use std::time::Instant;

use posology_cohort::Cohort;
use posology_kernels::device::Device;
use posology_kernels::launch::{Simulator, SimulatorOptions};
use posology_kernels::probe;
use posology_kernels::simulate::Plan;
use posology_model::model::StepSchedule;
use posology_sim::step::{self, Accuracy, Stability};
use posology_sim::{OutputPlan, RuleSet, SimError, Simulation};

use crate::args::CheckArgs;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::scenario::Scenario;
use crate::table::number;
use report::{InPieces, Report};

/// Run the command.
pub fn run(args: &CheckArgs, context: &Context) -> Result<(), Failure> {
    if !(args.tolerance > 0.0 && args.tolerance < 1.0) {
        return Err(Failure::usage("--tolerance is a share between 0 and 1"));
    }
    let scenario = Scenario::load(&args.model, &args.scenario, context)?;
    let model = &scenario.model;
    let cohort = Cohort::sample(model, args.patients as usize, scenario.seed, 0)?;
    let balances = balance::verify(model, &cohort, scenario.seed);
    let timelines = scenario.timelines(&cohort, true)?;
    let outputs = OutputPlan::of_model(model, true);
    let rules = RuleSet::default();
    let simulation = Simulation {
        model,
        cohort: &cohort,
        timelines: &timelines,
        outputs: &outputs,
        rules: &rules,
    };
    let most = args.patients as usize;

    let bar = context.progress(3 + u64::from(args.pieces), "stability");
    let stability = step::stability(&simulation, &scenario.schedule, most)?;
    bar.inc(1);
    bar.set_message("accuracy");
    // an unstable step has no accuracy worth a search; the largest good one is found from a stable one
    let start = stable(&scenario.schedule, &stability);
    let mut accuracy = step::accuracy(&simulation, &start, args.tolerance, most)?;
    if start != scenario.schedule {
        accuracy.error = step::truncation_error(&simulation, &scenario.schedule, most)?;
    }
    bar.inc(1);
    let pieces = if args.pieces {
        bar.set_message("pieces");
        let pieces = in_pieces(&simulation, &scenario, args.tolerance, most)?;
        bar.inc(1);
        Some(pieces)
    } else {
        None
    };
    bar.set_message("kernel");
    let device = context.open_device()?;
    let build = build_seconds(&device, &simulation, &scenario.schedule)?;
    bar.finish_and_clear();

    let problems = problems(&scenario, &stability, &accuracy, &balances);
    let report = Report {
        scenario: &scenario,
        program: posology_sim::run::program(&simulation),
        patients: most,
        stability,
        accuracy,
        pieces,
        balances,
        device: &device.description.name,
        build,
        problems: problems
            .iter()
            .map(|problem| problem.text.clone())
            .collect(),
    };
    if context.global.json {
        context.print_json(&report.json()?)?;
    } else {
        context.print(&report.render(context)?)?;
    }
    match problems.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(Failure::new(first.class, first.text).help(first.help)),
    }
}

/// What makes the check fail.
struct Problem {
    class: Class,
    text: String,
    help: String,
}

fn problems(
    scenario: &Scenario,
    stability: &Stability,
    accuracy: &Accuracy,
    balances: &[balance::Verdict],
) -> Vec<Problem> {
    let unit = scenario.model.time_unit.text();
    let mut out = Vec::new();
    if let Some(violation) = &stability.violation {
        let (time, step, rate) = (
            number(violation.time, 4),
            number(violation.step, 4),
            number(violation.rate, 4),
        );
        out.push(Problem {
            class: Class::Numeric,
            text: format!("the step is unstable: {step} {unit} at t = {time} {unit}, where the fastest rate is {rate} per {unit}"),
            help: format!("the largest stable step is {} {unit}", number(stability.largest_step, 4)),
        });
    }
    // a NaN is over every tolerance
    if accuracy.error.is_nan() || accuracy.error > accuracy.tolerance {
        out.push(Problem {
            class: Class::Numeric,
            text: format!(
                "the step's truncation error, {} of a state's range, is over the tolerance of {}",
                number(accuracy.error, 3),
                number(accuracy.tolerance, 3)
            ),
            help: format!(
                "this schedule meets it: {}",
                crate::scenario::step_text(&accuracy.schedule, unit)
            ),
        });
    }
    out.extend(
        balances
            .iter()
            .filter(|verdict| !verdict.holds)
            .map(|verdict| Problem {
                class: Class::Model,
                text: format!(
                    "the balance `{}` does not hold: relative residual {}",
                    verdict.name,
                    number(verdict.worst, 3)
                ),
                help: "compare the rates that move mass with `gain`".to_owned(),
            }),
    );
    out
}

/// The schedule with the fewest steps found for `tolerance`, and what they are of the shipped one's.
fn in_pieces(
    simulation: &Simulation<'_>,
    scenario: &Scenario,
    tolerance: f64,
    most: usize,
) -> Result<InPieces, Failure> {
    // where `posology simulate` shows outputs, unless told otherwise
    let end = scenario.end()?;
    let times: Vec<f64> = (0..=100).map(|k| end * f64::from(k) / 100.0).collect();
    let tuner = step::Tuner::new(simulation, most, &times)?;
    let schedule = tuner.within(tolerance)?;
    Ok(InPieces {
        share: tuner.steps(&schedule)? as f64 / tuner.steps(&scenario.schedule)?.max(1) as f64,
        schedule,
    })
}

/// The schedule with every piece cut to the largest stable step.
fn stable(schedule: &StepSchedule, stability: &Stability) -> StepSchedule {
    if stability.violation.is_none() {
        return schedule.clone();
    }
    schedule.with_steps(|_, dt| dt.min(0.9 * stability.largest_step))
}

/// Seconds to build the simulation kernel on the device.
fn build_seconds(
    device: &Device,
    simulation: &Simulation<'_>,
    schedule: &StepSchedule,
) -> Result<f64, SimError> {
    let program = posology_sim::run::program(simulation);
    let timelines = posology_sim::run::lower_timelines(simulation, schedule)?;
    let floors = vec![f32::MIN; program.n_states];
    let options = SimulatorOptions {
        residual_error: true,
        guard_compensation: !probe::compensation_survives(device)?,
        ..SimulatorOptions::default()
    };
    let simulator = Simulator::new(device, Plan::new(program), &timelines, &floors, options);
    let clock = Instant::now();
    simulator.build()?;
    Ok(clock.elapsed().as_secs_f64())
}
