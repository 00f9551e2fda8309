//! Integrators: each a file, each a single step over a model's rates.

pub mod rk4;
