//! Arguments of `posology train`, `resume` and `evaluate`.

use posology_agent::environment::HELD_OUT;
use std::path::PathBuf;

use clap::Args;

pub(super) const TRAIN_EXAMPLES: &str = "\
Examples:
  posology train docetaxel-dosing --out out/docetaxel
  posology train my-task.toml --out out/mine network=memoryless lanes=4096 rate=3e-4 seed=7
  posology train ahn-chemo --out out/unconstrained algorithm=ppo
  posology train ahn-chemo --out out/dqn algorithm=dqn lanes=128 steps=16 dqn_steps=24
  posology train ahn-chemo --out out/front --sweep reward.benefit=0.1,0.3,1

Any key of the configuration can be given as key=value; configuration.toml in the folder has all of
them with their meaning. The run can be interrupted at any moment; `posology resume` goes on.
Look at it with `tensorboard --logdir out`.";

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A task of configs/tasks, the path of a task file, or `analytic`, a process for tests
    pub task: String,
    /// Folder for checkpoints and logs
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Begin again where the folder holds an earlier run
    #[arg(long)]
    pub overwrite: bool,
    /// One run for each value of a key of the task, one after another, and the front they span in
    /// DIR/front.json; the same command goes on with an interrupted sweep
    #[arg(long, value_name = "KEY=V,V,...")]
    pub sweep: Option<String>,
    /// Configuration of the trainer, such as lanes=4096, and keys of the task, such as
    /// decisions.every=28 d
    #[arg(value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Folder of the run
    pub folder: PathBuf,
}

pub(super) const EVALUATE_EXAMPLES: &str = "\
Examples:
  posology evaluate out/docetaxel --patients 10000
  posology evaluate out/docetaxel/last.checkpoint --patients 1000 --out out/evaluation --json

With --out: evaluation.json (returns, each cost with its tail and limit, curves by decision) and
patients.csv, one row per patient. A limit counts as kept where the upper 95 % bound is within it.";

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A checkpoint, or the folder of a run (its best checkpoint)
    pub checkpoint: PathBuf,
    /// Keys of the task that are to differ from those in training, such as
    /// observe.PSA.proportional=0.2 or patients.typical=true
    #[arg(value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Weight of a reward term that the task draws for every episode, such as exposure=0.5
    #[arg(long = "weight", value_name = "X=V")]
    pub weights: Vec<String>,
    /// Number of held-out patients
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    pub patients: u32,
    /// Number of the first patient. Those of training begin at 0 and never come as far as the
    /// default; a population that lists real patients wants 0
    #[arg(long, value_name = "ID", default_value_t = HELD_OUT)]
    pub first: u32,
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
