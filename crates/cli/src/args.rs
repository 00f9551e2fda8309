//! The command line.

mod adapt;
mod fit;
mod train;

use posology_agent::environment::HELD_OUT;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::{
    CompareArgs, CorrectionBenchArgs, EngineArgs, GradientBenchArgs, RecoveryArgs, ScalingArgs,
    TrainBenchArgs,
};

use self::adapt::{ADAPTATION_EXAMPLES, FINE_TUNE_EXAMPLES};
pub use self::adapt::{AdaptationArgs, FineTuneArgs};
pub use self::fit::{DataArgs, FitArgs, ForecastArgs, Method};
use self::fit::{FIT_EXAMPLES, FORECAST_EXAMPLES};
use self::train::{EVALUATE_EXAMPLES, TRAIN_EXAMPLES};
pub use self::train::{EvaluateArgs, ResumeArgs, TrainArgs};

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
    /// Draw a virtual population and check it against its file
    #[command(after_help = POPULATION_EXAMPLES)]
    Population(PopulationArgs),
    /// Run an in-silico trial and write its report
    #[command(after_help = TRIAL_EXAMPLES)]
    Trial(TrialArgs),
    /// Put the shards of a trial together
    #[command(after_help = MERGE_EXAMPLES)]
    Merge(MergeArgs),
    /// Write the report of a finished trial again, without simulating its arms
    #[command(after_help = "Example:\n  posology report out/docetaxel")]
    Report(ReportArgs),
    /// Operating characteristics of a trial's design: power, type I error, expected size, assurance
    #[command(after_help = OPERATING_EXAMPLES)]
    Operating(OperatingArgs),
    /// Dose-finding designs (3+3, BOIN, keyboard, CRM) on a trial's virtual patients
    #[command(
        after_help = "Example:\n  posology dose-finding my-phase-1.toml --designs 3+3,boin,crm --out dose-finding.json"
    )]
    DoseFinding(DoseFindingArgs),
    /// What a task's baselines and oracles are worth: rules, searches per patient, plans
    #[command(after_help = ORACLE_EXAMPLES)]
    Oracle(OracleArgs),
    /// Train a dosing policy on a task, within its limits
    #[command(after_help = TRAIN_EXAMPLES)]
    Train(TrainArgs),
    /// Go on with an interrupted training run, to the same bits
    #[command(after_help = "Example:\n  posology resume out/docetaxel")]
    Resume(ResumeArgs),
    /// What a trained policy is worth on patients it has never met
    #[command(after_help = EVALUATE_EXAMPLES)]
    Evaluate(EvaluateArgs),
    /// Regret of policies to each patient's own oracle, by treatment cycle
    #[command(after_help = ADAPTATION_EXAMPLES)]
    Adaptation(AdaptationArgs),
    /// Let a policy learn on for one patient from the beginning of his course
    #[command(after_help = FINE_TUNE_EXAMPLES)]
    FineTune(FineTuneArgs),
    /// Fit a model to data: a population with its variability, or each patient
    #[command(after_help = FIT_EXAMPLES)]
    Fit(Box<FitArgs>),
    /// What comes next for each patient, with intervals, given what was seen of him
    #[command(after_help = FORECAST_EXAMPLES)]
    Forecast(Box<ForecastArgs>),
    /// Measure this machine
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Throughput of the engine beside native loops, and what limits it
    Engine(EngineArgs),
    /// Decisions per second of environments, policies and training
    Train(TrainBenchArgs),
    /// The same courses by other programs: times, errors, ratios (benches/peers/setup first)
    Compare(CompareArgs),
    /// How time grows with patients, states and operations; start-up, latency, memory
    Scaling(ScalingArgs),
    /// What a gradient through the simulation costs beside the simulation
    Gradient(GradientBenchArgs),
    /// How often fits of simulated studies find the truth: bias and coverage
    Recovery(RecoveryArgs),
    /// What a trained correction finds of a term that its mechanism misses, and its forecasts
    Correction(CorrectionBenchArgs),
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
    /// Also look for the fewest steps within the tolerance: fine after a dose, coarse later
    #[arg(long)]
    pub pieces: bool,
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

const POPULATION_EXAMPLES: &str = "\
Examples:
  posology population reference-adults --patients 100000 --out adults
  posology population metastatic-breast --model docetaxel-neutropenia --patients 1000 --csv --out women

Writes cohort.parquet, check.html (marginals, correlations and organ sums against the file and its
sources), summary.json and provenance.json. With --model the cohort has the model's parameters and
covariates, and cohort.csv can be given to `posology simulate --individuals`.";

#[derive(Debug, Args)]
pub struct PopulationArgs {
    /// A population of configs/populations, or the path of a population file
    pub file: String,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of patients (10000, or every patient of the data file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub patients: Option<u32>,
    /// The model whose parameters and covariates the patients get
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Seed of every random number
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Number of the first patient: a part of a larger cohort
    #[arg(long, value_name = "I", default_value_t = 0)]
    pub first: u32,
    /// Also write cohort.csv
    #[arg(long)]
    pub csv: bool,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long)]
    pub overwrite: bool,
}

const TRIAL_EXAMPLES: &str = "\
Examples:
  posology trial abiraterone --out results/abiraterone
  posology trial my-trial.toml --out my-trial --patients 1000 --seed 7 --overwrite
  posology trial docetaxel-learned --out out/learned --checkpoint learned=runs/docetaxel

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
    /// Run only part I of N; --out becomes a folder of pieces for `posology merge`
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Begin again instead of going on with the pieces of an interrupted run
    #[arg(long)]
    pub fresh: bool,
    /// Another checkpoint for an arm with a trained policy: a file, or the folder of a run
    #[arg(long = "checkpoint", value_name = "ARM=PATH")]
    pub checkpoints: Vec<String>,
}

/// One of several parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    pub of: u32,
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(index, of)| {
            Some((
                index.trim().parse::<u32>().ok()?,
                of.trim().parse::<u32>().ok()?,
            ))
        });
        match parts {
            Some((index, of)) if index >= 1 && index <= of => Ok(Self { index, of }),
            _ => Err("a shard is I/N with I from 1 to N, such as 2/8".to_owned()),
        }
    }
}

const MERGE_EXAMPLES: &str = "\
Example:
  posology trial docetaxel-neutropenia --shard 1/2 --out shard-1
  posology trial docetaxel-neutropenia --shard 2/2 --out shard-2
  posology merge shard-1 shard-2 --out out/docetaxel

The result is that of one run, bit for bit. scripts/slurm-array is a job array that does this.";

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folders of the shards
    #[arg(required = true)]
    pub shards: Vec<PathBuf>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folder of a finished trial
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct DoseFindingArgs {
    /// A trial with a [dose_finding] section
    pub file: String,
    /// Virtual patients, each simulated at every dose
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(10..))]
    pub pool: u32,
    /// Designs to compare, instead of the trial's own: 3+3, boin, keyboard, crm
    #[arg(long, value_name = "D,D,...", value_delimiter = ',')]
    pub designs: Vec<String>,
    /// Seed of every random number, instead of the trial's own
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Largest share of patients whose integration may diverge
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    pub max_diverged: f64,
    /// JSON file for the results
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

const OPERATING_EXAMPLES: &str = "\
Examples:
  posology operating docetaxel-neutropenia --replicates 10000 --patients 300
  posology operating my-trial.toml --replicates 2000 --boundary obrien-fleming --looks 0.5,1 --out oc.json
  posology operating my-trial.toml --replicates 2000 --uncertainty

The primary endpoint decides: log-rank (stratified, and without strata) and Cox for times, Cochran-
Mantel-Haenszel and a score test for yes and no, Welch for numbers. Beside the power stands the type I error, with every patient treated like the control arm.";

#[derive(Debug, Args)]
pub struct OperatingArgs {
    /// A trial of configs/trials, or the path of a trial file
    pub file: String,
    /// Endpoint that decides, instead of the trial's primary one
    #[arg(long, value_name = "NAME")]
    pub endpoint: Option<String>,
    /// Replicate trials, instead of the trial's own number (or 1000)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub replicates: Option<u32>,
    /// Patients per trial, all arms together, instead of the trial's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..))]
    pub patients: Option<u32>,
    /// End of follow-up instead of the trial's own, such as "21 d"
    #[arg(long, value_name = "TIME")]
    pub horizon: Option<String>,
    /// Two-sided significance level, instead of the trial's own
    #[arg(long, value_name = "A")]
    pub alpha: Option<f64>,
    /// Interim analyses: obrien-fleming, pocock, lan-demets-of, lan-demets-pocock
    #[arg(long, value_name = "KIND")]
    pub boundary: Option<String>,
    /// Information fractions of the looks
    #[arg(long, value_name = "F,F,...", value_delimiter = ',', default_values_t = [0.5, 1.0])]
    pub looks: Vec<f64>,
    /// Draw the typical parameters for every replicate from the population's uncertainty
    #[arg(long)]
    pub uncertainty: bool,
    /// Only the type I error
    #[arg(long, conflicts_with = "no_null")]
    pub null_only: bool,
    /// Only the power
    #[arg(long)]
    pub no_null: bool,
    /// Seed of every random number, instead of the trial's own
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Largest share of patients whose integration may diverge
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    pub max_diverged: f64,
    /// JSON file for the results
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

const ORACLE_EXAMPLES: &str = "\
Examples:
  posology oracle adaptive-therapy --patients 1000
  posology oracle ahn-chemo --patients 1 --plans 1 --candidates 512
  posology oracle my-task.toml --baseline threshold --replicates 8 --out oracle.json

Patients are held out: training never meets them. A searched rule gets the best parameters for each
patient, which no policy knows; a plan is optimised for a patient who is known. Both are what regret
is measured against.";

#[derive(Debug, Args)]
pub struct OracleArgs {
    /// A task of configs/tasks, or the path of a task file
    pub task: String,
    /// Keys of the task that are to differ from its file, such as decisions.every=28 d
    #[arg(value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Held-out patients
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub patients: u32,
    /// Number of the first patient. Those of training begin at 0 and never come as far as the
    /// default; a population that lists real patients wants 0
    #[arg(long, value_name = "ID", default_value_t = HELD_OUT)]
    pub first: u32,
    /// Only these baselines: none, most, random, or rules of the task
    #[arg(long = "baseline", value_name = "B,B,...", value_delimiter = ',')]
    pub baselines: Vec<String>,
    /// Episodes with other measurement errors over which a searched parameter is judged
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub replicates: u32,
    /// Optimise an open-loop plan for so many of the patients
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub plans: u32,
    /// Candidates per patient and iteration of the plans
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(8..))]
    pub candidates: u32,
    /// Iterations of the plans
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Seed of every random number
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// JSON file for the results, patient by patient
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
