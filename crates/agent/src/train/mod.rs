//! Training runs: the loop, its logs, its checkpoints, and what came of it.
//!
//! | module | what |
//! |---|---|
//! | [`problem`] | what is learnt: a task file, or a process that is built in |
//! | [`learner`] | rollouts and updates in memory |
//! | [`trainer`](mod@trainer) | what a run asks of an algorithm, and which there are |
//! | [`run`] | a run in a folder; going on after an interruption |
//! | [`state`] | what is carried from update to update on the host |
//! | [`snapshot`] | a learner as a checkpoint and back |
//! | [`container`] | the form of a checkpoint's file |
//! | [`log`] | TensorBoard events and JSON lines |
//! | [`speed`] | decisions per second, and what an update costs |
//! | [`treatment`] | a policy as a clinician: what it gives patients of any cohort |
//! | [`evaluate`](mod@evaluate) | a policy on patients it has never met |
//! | [`validate`] | the same during a run, which chooses the best checkpoint |

pub mod container;
pub mod evaluate;
pub mod learner;
pub mod log;
pub mod problem;
pub mod run;
pub(crate) mod sections;
pub mod snapshot;
pub mod speed;
pub mod state;
pub mod trainer;
pub mod treatment;
pub mod validate;

pub use self::evaluate::{EvaluateOptions, Evaluation, evaluate};
pub use self::learner::Learner;
pub use self::log::Metrics;
pub use self::problem::Problem;
pub use self::run::{Outcome, resume, train};
pub use self::treatment::{TrainedPolicy, Treated, TreatmentOptions};
