//! Who the patients are and what happens to them.
//!
//! * [`philox`]: counter-based random numbers, bit for bit those of the device.
//! * [`event`]: the primitive events a simulation executes, and patient timelines.

pub mod event;
pub mod philox;
