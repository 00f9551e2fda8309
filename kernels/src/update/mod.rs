//! Kernels of an update of the policy.

pub mod adam;
