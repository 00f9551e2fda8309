//! Arguments of `posology adaptation` and `fine-tune`.

use std::path::PathBuf;

use clap::Args;
use posology_agent::environment::HELD_OUT;

pub(super) const ADAPTATION_EXAMPLES: &str = "\
Examples:
  posology adaptation out/recurrent out/memoryless --patients 1000 --out out/adaptation
  posology adaptation slow=out/a fast=out/b/last.checkpoint --oracle threshold --cycle 4
  posology adaptation out/recurrent-1 out/recurrent-2 out/memoryless-1 out/memoryless-2

All treat the same held-out patients and meet the same measurement errors. The oracle of a patient
is the rule of the task with the parameters that are best for him over the whole course, or an
open-loop plan optimised for him; a policy may beat it, then its regret is negative. Policies are
named by their network; several of one name are runs, and their courses are averaged.

With --out: adaptation.json, adaptation.md, regret.svg and report.html.";

#[derive(Debug, Args)]
pub struct AdaptationArgs {
    /// Checkpoints or folders of runs (their best checkpoints), with a name of one's own as
    /// NAME=PATH
    #[arg(required = true, value_name = "[NAME=]CHECKPOINT")]
    pub checkpoints: Vec<String>,
    /// A rule of the task with parameters to search, or `plan` (the first such rule, else a plan)
    #[arg(long, value_name = "RULE")]
    pub oracle: Option<String>,
    /// Number of held-out patients
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub patients: u32,
    /// Number of the first patient; those of training begin at 0 and never come as far as the
    /// default
    #[arg(long, value_name = "ID", default_value_t = HELD_OUT)]
    pub first: u32,
    /// A key of the task that is to differ from training, such as
    /// observe.size.proportional=0.1; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Decisions of a treatment cycle (1, or a 26th of the course if it has more than 40)
    #[arg(long, value_name = "DECISIONS", value_parser = clap::value_parser!(u32).range(1..))]
    pub cycle: Option<u32>,
    /// The policy that the others are compared with (memoryless, if it is there)
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
    /// Episodes with other measurement errors over which an oracle's parameter is judged
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub replicates: u32,
    /// Candidates per patient and iteration of a plan
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(8..))]
    pub candidates: u32,
    /// Iterations of a plan
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Draw actions as in training instead of taking the most probable one
    #[arg(long)]
    pub sampled: bool,
    /// Seed of patients, measurement errors and actions
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}

pub(super) const FINE_TUNE_EXAMPLES: &str = "\
Examples:
  posology fine-tune out/adaptive --patient 3 --cycles 20 --out out/patient-3
  posology fine-tune out/docetaxel --patient 0 --cycles 6 --pool 262144 updates=40 rate=1e-4

The policy treats a held-out patient for K decisions. Virtual patients of the task take the same
doses, and count with the likelihood of his measurements; the policy goes on learning from a sample
of them, and is kept where it does better on another sample. Any key of the trainer's configuration
can be given; unless it is, 24 updates are made at a fifth of the checkpoint's learning rate.

With --out: best.checkpoint (an ordinary one) and fine-tuning.json: what is believed of the patient,
and what he gains in the rest of his course under the untuned policy, the tuned one and his oracle.";

#[derive(Debug, Args)]
pub struct FineTuneArgs {
    /// A checkpoint, or the folder of a run (its best checkpoint)
    pub checkpoint: PathBuf,
    /// Which of the held-out patients, from 0
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..1_000_000))]
    pub patient: u32,
    /// Decisions of his course that are known
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub cycles: u32,
    /// Number of patient 0
    #[arg(long, value_name = "ID", default_value_t = HELD_OUT)]
    pub first: u32,
    /// Virtual patients that are drawn
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub pool: u32,
    /// Smallest effective number of virtual patients like him
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    pub least: f64,
    /// Where measurements have no error: the share of a value within which another counts as equal
    /// (standard deviation)
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    pub tolerance: f64,
    /// Courses of the rest with other measurement errors (16 where there are errors, else 1)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub futures: Option<u32>,
    /// A rule of the task with parameters to search, or `plan` (the first such rule, else a plan)
    #[arg(long, value_name = "RULE")]
    pub oracle: Option<String>,
    /// Seed of patients, measurement errors and draws
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the folder of --out if it is there (after success)
    #[arg(long, requires = "out")]
    pub overwrite: bool,
    /// Configuration of the trainer, such as updates=40, and keys of the task, such as
    /// observe.size.proportional=0.1
    #[arg(value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
