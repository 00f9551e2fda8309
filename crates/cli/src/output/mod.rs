//! What a command leaves behind: nothing, or all of it.

pub mod atomic;
pub mod parquet;
pub mod provenance;
pub mod statistics;
