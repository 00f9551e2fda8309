//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::EngineArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0 success    2 usage    3 model or trial file    4 data file or regimen
  5 numerical (unstable step, too many diverged)    6 device    7 input/output    130 interrupted

For research only; not for the treatment of patients.";

/// Simulate thousands to millions of virtual cancer patients in lockstep on a GPU.
#[derive(Debug, Parser)]
#[command(name = "posology", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The adapter: its number in `posology devices`, a part of its name, or `software`
    #[arg(long, global = true, value_name = "N|NAME|software")]
    pub device: Option<String>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log what happens (-vv and -vvv for more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colours
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the adapters of this machine, the best one first
    Devices,
    /// List the model library, or describe one model
    #[command(after_help = "Examples:\n  posology models\n  posology models docetaxel-neutropenia")]
    Models(ModelsArgs),
    /// Check a model: units, balances, stability, accuracy of its step
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Simulate virtual patients, or exactly the records of a data file
    #[command(after_help = SIMULATE_EXAMPLES)]
    Simulate(Box<SimulateArgs>),
    /// Run an in-silico trial and write its report
    #[command(after_help = TRIAL_EXAMPLES)]
    Trial(TrialArgs),
    /// Measure this machine
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Throughput of the engine beside native loops, and what limits it
    Engine(EngineArgs),
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// A name of the library, or the path of a model file
    pub name: Option<String>,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  posology check docetaxel-neutropenia
  posology check my-model.toml --tolerance 1e-5 --regimen \"75 mg/m2 over 1 h every 21 d x 6\" --days 126
  posology check paclitaxel --dt \"0.05 h\" CL=10";

/// What happens to the patients; the model's own scenario where nothing is said.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scenario")]
pub struct ScenarioArgs {
    /// Doses, such as "175 mg/m2 over 3 h every 21 d x 6"; "none" for no doses
    #[arg(long, value_name = "TEXT")]
    pub regimen: Option<String>,
    /// Duration in days
    #[arg(long, value_name = "D", conflicts_with = "until")]
    pub days: Option<f64>,
    /// Duration with its unit, such as "9 wk"
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Step, such as "0.1 h" (or a number in the model's time unit), or a schedule by time after
    /// the last dose: "0.05 h until 6 h; 0.25 h until 48 h; 1 h"
    #[arg(long, value_name = "STEP")]
    pub dt: Option<String>,
    /// Seed of every random number
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Typical values of parameters and covariates: CL=10, "CL=10 L/h", BSA=2
    #[arg(value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A name of the library, or the path of a model file
    pub model: String,
    /// Largest error of the step, as a share of each state's range
    #[arg(long, value_name = "SHARE", default_value_t = 1e-4)]
    pub tolerance: f64,
    /// Sampled patients whose courses are looked at
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub patients: u32,
    #[command(flatten)]
    pub scenario: ScenarioArgs,
}

const SIMULATE_EXAMPLES: &str = "\
Examples:
  posology simulate docetaxel-neutropenia
  posology simulate docetaxel-neutropenia --patients 10000 --out results/docetaxel \\
      --regimen \"75 mg/m2 over 1 h every 21 d x 6\" --days 126 --every \"1 d\"
  posology simulate paclitaxel --typical --at \"0 h, 3 h, 6 h; every 1 d\" \"CL=10 L/h\" BSA=2
  posology simulate docetaxel --data records.csv --out predictions

Without --out the results are summarised on the terminal and nothing is written; with --data and
without --out the predictions go to standard output.";

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// A name of the library, or the path of a model file
    pub model: String,
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// Simulate exactly the records of this file (NM-TRAN conventions)
    #[arg(long, value_name = "FILE.csv")]
    #[arg(conflicts_with_all = ["regimen", "days", "until", "patients", "typical", "every", "at", "set"])]
    pub data: Option<PathBuf>,
    /// Number of virtual patients (1000, or 1 with --typical)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub patients: Option<u32>,
    /// Individual parameters and covariates, one patient per row
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["patients", "typical"])]
    pub individuals: Option<PathBuf>,
    /// Typical patients: no variability between individuals or occasions
    #[arg(long)]
    pub typical: bool,
    /// Interval between outputs, such as "1 d" (a hundredth of the duration), or "none"
    #[arg(long, value_name = "TIME", conflicts_with = "at")]
    pub every: Option<String>,
    /// Times of outputs, such as "0 h, 1 h; every 1 d from 2 d to 63 d"
    #[arg(long, value_name = "TIMES")]
    pub at: Option<String>,
    /// Largest share of patients whose integration may diverge
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    pub max_diverged: f64,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}

const TRIAL_EXAMPLES: &str = "\
Examples:
  posology trial abiraterone --out results/abiraterone
  posology trial my-trial.toml --out my-trial --patients 1000 --seed 7 --overwrite

Writes report.html, summary.json, patients.parquet (one row per patient and arm), replay.parquet
where the trial has measurements, the trial file and provenance.json.";

#[derive(Debug, Args)]
pub struct TrialArgs {
    /// A trial of configs/trials, or the path of a trial file
    pub file: String,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long)]
    pub overwrite: bool,
    /// Number of virtual patients, instead of the trial's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub patients: Option<u32>,
    /// Seed of every random number, instead of the trial's own
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Largest share of patients whose integration may diverge
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    pub max_diverged: f64,
}
