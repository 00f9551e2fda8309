//! `posology`: the program. Thin over the libraries; every failure has a class and an exit code.

mod args;
mod bench;
mod commands;
mod context;
mod driver;
mod error;
mod library;
mod output;
mod scenario;
mod table;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{BenchCommand, Cli, Colour, Command, Global};
use context::Context;
use error::{Class, Failure};

fn main() -> ExitCode {
    driver::silence_display_libraries();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    if steps_dominate(&cli.command) {
        driver::widen_software_lanes();
    }
    log(&cli.global);
    context::watch_for_interruption();
    let context = Context::new(cli.global);
    let outcome = match cli.command {
        Command::Devices => commands::devices::run(&context),
        Command::Models(args) => commands::models::run(&args, &context),
        Command::Check(args) => commands::check::run(&args, &context),
        Command::Simulate(args) => commands::simulate::run(&args, &context),
        Command::Population(args) => commands::population::run(&args, &context),
        Command::Trial(args) => commands::trial::run(&args, &context),
        Command::Merge(args) => commands::trial::merge(&args, &context),
        Command::Report(args) => commands::trial::report(&args, &context),
        Command::Operating(args) => commands::trial::operating(&args, &context),
        Command::DoseFinding(args) => commands::trial::dose_finding(&args, &context),
        Command::Oracle(args) => commands::oracle::run(&args, &context),
        Command::Train(args) => commands::train::train(&args, &context),
        Command::Resume(args) => commands::train::resume(&args, &context),
        Command::Evaluate(args) => commands::train::evaluate(&args, &context),
        Command::Adaptation(args) => commands::adaptation::run(&args, &context),
        Command::FineTune(args) => commands::fine_tune::run(&args, &context),
        Command::Fit(args) => commands::fit::run(&args, &context),
        Command::Forecast(args) => commands::forecast::run(&args, &context),
        Command::Bench(BenchCommand::Engine(args)) => bench::engine(&args, &context),
        Command::Bench(BenchCommand::Train(args)) => bench::train(&args, &context),
        Command::Bench(BenchCommand::Gradient(args)) => bench::gradient(&args, &context),
        Command::Bench(BenchCommand::Recovery(args)) => bench::recovery(&args, &context),
        Command::Bench(BenchCommand::Correction(args)) => bench::correction(&args, &context),
        Command::Bench(BenchCommand::Scaling(args)) => bench::scaling(&args, &context),
        Command::Bench(BenchCommand::Compare(args)) => bench::compare(&args, &context),
    };
    match outcome {
        Ok(()) | Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, context.global.json, context.colour_err()),
    }
}

/// Whether patients mostly take long stretches of steps. A trial's rules break them into a row per
/// visit, and reading rows gains nothing from wider lanes.
fn steps_dominate(command: &Command) -> bool {
    match command {
        Command::Simulate(_) | Command::Check(_) | Command::Operating(_) => true,
        Command::Bench(
            BenchCommand::Gradient(_)
            | BenchCommand::Recovery(_)
            | BenchCommand::Compare(_)
            | BenchCommand::Scaling(_),
        ) => true,
        Command::DoseFinding(_) => true,
        Command::Bench(BenchCommand::Engine(args)) => args.population.is_empty(),
        Command::Devices
        | Command::Models(_)
        | Command::Population(_)
        | Command::Trial(_)
        | Command::Merge(_)
        | Command::Report(_)
        | Command::Oracle(_)
        | Command::Train(_)
        | Command::Resume(_)
        | Command::Evaluate(_)
        | Command::Adaptation(_)
        | Command::FineTune(_)
        | Command::Fit(_)
        | Command::Forecast(_)
        | Command::Bench(BenchCommand::Train(_) | BenchCommand::Correction(_)) => false,
    }
}

/// Tell standard error why a command failed; nothing can be done if that is closed.
fn report(failure: &Failure, json: bool, colour: bool) -> ExitCode {
    let text = if json {
        format!("{:#}\n", failure.json())
    } else {
        failure.render(colour)
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(failure.class().map_or(0, Class::code))
}

/// Help, version, or a command line that cannot be understood.
fn refuse(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && json {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ");
        return report(&Failure::usage(message), true, false);
    }
    let _ = error.print();
    ExitCode::from(if error.use_stderr() {
        Class::Usage.code()
    } else {
        0
    })
}

fn log(global: &Global) {
    // the libraries below speak at length; only what concerns the user is shown
    let filter = match global.verbose {
        0 => "error",
        1 => "warn,posology=info,posology_sim=info,wgpu_hal=error",
        2 => "info,posology=debug,posology_sim=debug,wgpu_hal=warn",
        _ => "debug,posology=trace",
    };
    let filter = if global.quiet {
        EnvFilter::new("off")
    } else {
        EnvFilter::new(filter)
    };
    let colour = global.color != Colour::Never && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour);
    // a second subscriber cannot be: this is the program's only one
    let _ = subscriber
        .with_writer(std::io::stderr)
        .without_time()
        .try_init();
}
