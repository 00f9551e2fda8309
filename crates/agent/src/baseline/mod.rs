//! What a learned policy is compared with: simple rules, and the best that is known for a patient.
//!
//! | module | what |
//! |---|---|
//! | [`host`] | a model on the host in f64, one patient at a time |
//! | [`rules`] | rules that need no learning |
//! | [`course`] | a patient's course under a rule, until it ends |
//! | [`exact`] | exact values and optima of tabular processes |
//! | [`tabular`] | policies of a tabular process and networks, each with its exact value |
//! | [`threshold`] | for each patient the threshold of treatment that serves him best |

pub mod course;
pub mod exact;
pub mod host;
pub mod rules;
pub mod tabular;
pub mod threshold;
