//! One file per command.

pub mod adaptation;
pub mod check;
pub mod devices;
pub mod fine_tune;
pub mod fit;
pub mod forecast;
pub mod models;
pub mod oracle;
pub mod population;
pub mod simulate;
pub mod train;
pub mod trial;
