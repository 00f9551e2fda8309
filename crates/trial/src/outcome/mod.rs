//! What a run leaves behind: the report, the summary, the tables.

mod figures;
mod people;
mod report;
mod sections;
mod summary;
mod swim;
mod tables;

pub(crate) use report::report;
pub(crate) use summary::summary;
pub(crate) use tables::{patients, replay, tables};
