//! Policies: one network gives actions, expectations of the critics and beliefs.
//!
//! | module | what |
//! |---|---|
//! | [`shape`] | sizes of the network and where its weights lie in the one vector of parameters |
//! | [`initial`] | the weights that training starts with |
//! | [`act`] | inference of a rollout, one launch per decision |
//! | [`network`] | whole sequences for learning, with gradients |
//! | [`plain`] | the same in plain tensor operations, for comparison |
//! | [`reference`](mod@reference) | the same in f64 on the host, for tests |

pub mod act;
pub mod initial;
pub mod network;
pub mod plain;
pub mod reference;
pub mod shape;

pub use self::act::{Actor, Draw};
pub use self::network::PolicyNetwork;
pub use self::shape::{NetworkOptions, NetworkShape, Offsets};
