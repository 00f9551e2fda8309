//! Training runs: the loop, its logs, its checkpoints.
//!
//! | module | what |
//! |---|---|
//! | [`container`] | the form of a checkpoint's file |
//! | [`log`] | TensorBoard events and JSON lines |

pub mod container;
pub mod log;
