//! Event tables that follow NM-TRAN: who got what when, and what was measured.
//!
//! Items: ID TIME AMT RATE EVID CMT DV MDV ADDL II SS, in any order and in capitals or not, and
//! DVID (which observable a row is about). `.`, an empty field and NA are missing; lines that
//! start with `#` and repeated header lines are skipped. A unit may stand behind a name,
//! `TIME (d)`; without one TIME is in the model's time unit and AMT in the input's unit, II goes
//! with TIME, and RATE is AMT per TIME. A missing EVID is 1 where there is an AMT, else 0.
//!
//! Other columns that are named like a covariate or a parameter give its value from their row
//! on: the last value is carried forward, and the first one back to the patient's first record.
//! (NONMEM's own convention differs: there a row's value also holds for the time before it.)
//! Further columns are only carried through to the output.
//!
//! Semantics are those of PREDPP where this page is silent:
//! * records of equal time act in the order of the file; lagged and additional doses of that
//!   time act before all of them;
//! * F, lag, modelled rate and duration are those of the dosing record, also for its
//!   additional doses; an infusion with a given RATE lasts F * AMT / RATE;
//! * EVID 3 and 4 bring the initial state back and cancel running infusions, pending lagged and
//!   additional doses; after them TIME may start again;
//! * SS = 1 cancels the same and puts the patient into steady state; SS = 2 adds the steady state
//!   to the present state; with a lag, steady state is that of the record's time, and the dose
//!   enters a lag later; a constant infusion (AMT = 0) stops at its record.
//!
//! Differences: an ID that comes back after another patient is an error, not a new patient;
//! ADDL < 0, SS = 3, negative CMT and calendar dates are not supported.

mod compartment;
mod layout;
mod observations;
mod predictions;
mod record;
mod remarks;
mod replay;
mod schedule;

pub use observations::{Observation, Observations, Reading, Seen, Word};
pub use replay::Replay;

use std::collections::HashMap;
use std::path::Path;

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Model;

use crate::columns::check_bounds;
use crate::individuals::read_file;
use crate::table::{MOST_FINDINGS, Table, is_missing};
use layout::Layout;
use record::{Kind, Reader, Record};

/// RK4 steps of one patient beyond which TIME is taken to be in another unit.
const MOST_STEPS: f64 = 1e8;

/// An event table, checked against a model.
#[derive(Clone, Debug)]
pub struct Dataset {
    table: Table,
    layout: Layout,
    subjects: Vec<Subject>,
    /// Findings that do not keep the data from being used.
    pub warnings: Diagnostics,
}

/// The consecutive rows of one ID.
#[derive(Clone, Debug)]
struct Subject {
    name: String,
    records: Vec<Record>,
}

impl Dataset {
    /// Reads an event table.
    ///
    /// # Errors
    /// Every finding, with codes `D0xx`, at the field it is about.
    pub fn load(path: &Path, model: &Model) -> Result<Self, Diagnostics> {
        Self::parse(&path.display().to_string(), &read_file(path)?, model)
    }

    /// As [`Dataset::load`], from bytes; `name` is what diagnostics call them.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub fn parse(name: &str, bytes: &[u8], model: &Model) -> Result<Self, Diagnostics> {
        let table = Table::parse(name, bytes)?;
        let mut found = Diagnostics::new();
        let layout = layout::layout(model, &table, &mut found);
        if found.has_errors() {
            return Err(found);
        }
        let subjects = subjects(model, &table, &layout, &mut found);
        let ((table, layout, subjects), warnings) = found.into_result((table, layout, subjects))?;
        Ok(Self {
            table,
            layout,
            subjects,
            warnings,
        })
    }

    /// The IDs, in the order of the file.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(|subject| subject.name.as_str())
    }

    /// Number of records: rows that were not skipped.
    pub fn record_count(&self) -> usize {
        self.subjects
            .iter()
            .map(|subject| subject.records.len())
            .sum()
    }

    /// The numbers of a column (any capitals) by record, as written in the file; `None` where
    /// missing or not a number, or where there is no such column. `dataset.column("DV")`.
    pub fn column(&self, name: &str) -> Vec<Option<f64>> {
        let column = self
            .table
            .header
            .iter()
            .position(|h| h.name.eq_ignore_ascii_case(name));
        let number = |record: &Record| self.table.number(record.row, column?).ok().flatten();
        self.subjects
            .iter()
            .flat_map(|subject| subject.records.iter().map(number))
            .collect()
    }

    /// TIME by record, in the model's time unit.
    pub fn times(&self) -> Vec<f64> {
        let records = self.subjects.iter().flat_map(|subject| &subject.records);
        records.map(|record| record.time).collect()
    }
}

fn subjects(
    model: &Model,
    table: &Table,
    layout: &Layout,
    found: &mut Diagnostics,
) -> Vec<Subject> {
    let reader = Reader::new(model, table, layout);
    let mut subjects: Vec<Subject> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let is_comment = |row: usize| {
        layout
            .comment
            .is_some_and(|column| !is_missing(table.rows[row].field(column)))
    };
    for row in (0..table.rows.len()).filter(|&row| !is_comment(row)) {
        if found.len() >= MOST_FINDINGS {
            return subjects;
        }
        let id = table.rows[row].field(layout.id);
        if is_missing(id) {
            let missing = Diagnostic::error("D011", "ID is missing");
            let missing = missing.at(&table.source, table.field_span(row, layout.id));
            found.push(missing.help("every record belongs to a patient"));
            continue;
        }
        if subjects.last().is_none_or(|subject| subject.name != id) {
            if let Some(first) = known.insert(id.to_owned(), row) {
                found.push(
                    Diagnostic::error(
                        "D020",
                        format!("patient `{id}` comes back after another patient"),
                    )
                    .at(&table.source, table.field_span(row, layout.id))
                    .also(
                        &table.source,
                        table.field_span(first, layout.id),
                        "first here",
                    )
                    .help("sort the rows by ID, then TIME; or give another patient another ID"),
                );
            }
            subjects.push(Subject {
                name: id.to_owned(),
                records: Vec::new(),
            });
        }
        if let (Some(record), Some(subject)) = (reader.record(row, found), subjects.last_mut()) {
            subject.records.push(record);
        }
    }
    if subjects.is_empty() && !found.has_errors() {
        found.push(
            Diagnostic::error("D009", "the table has no records")
                .at(&table.source, table.header_span(0))
                .help("give one row per dose or observation"),
        );
    }
    for subject in &mut subjects {
        if found.len() >= MOST_FINDINGS {
            break;
        }
        check_times(model, table, layout, subject, found);
        fill_slots(model, table, layout, subject, found);
    }
    subjects
}

/// TIME must not decrease, but for a reset.
fn check_times(
    model: &Model,
    table: &Table,
    layout: &Layout,
    subject: &Subject,
    found: &mut Diagnostics,
) {
    let finest = model
        .step
        .0
        .iter()
        .map(|piece| piece.dt)
        .fold(f64::INFINITY, f64::min);
    let mut span_told = false;
    let mut begin = subject.records.first().map_or(0.0, |record| record.time);
    for pair in subject.records.windows(2) {
        let (before, record) = (&pair[0], &pair[1]);
        let resets = matches!(record.kind, Kind::Reset | Kind::ResetAndDose(_));
        if record.time < before.time && !resets {
            let back = (before.time - record.time) / layout.time_scale;
            found.push(
                Diagnostic::error(
                    "D021",
                    format!("TIME goes back by {back} in patient `{}`", subject.name),
                )
                .at(&table.source, table.field_span(record.row, layout.time))
                .also(
                    &table.source,
                    table.field_span(before.row, layout.time),
                    "after this",
                )
                .help("sort the rows by TIME; only a reset (EVID 3 or 4) starts the clock again"),
            );
        }
        if record.time < before.time {
            begin = record.time;
        }
        if (record.time - begin) / finest > MOST_STEPS && !span_told {
            span_told = true;
            let message = format!(
                "patient `{}` is followed for {:e} {}, more than {MOST_STEPS:e} steps of the model",
                subject.name,
                record.time - begin,
                model.time_unit
            );
            found.push(
                Diagnostic::error("D023", message)
                    .at(&table.source, table.field_span(record.row, layout.time))
                    .help(format!(
                        "TIME is taken in `{}`; another unit goes into the header, `TIME (d)`",
                        table.header[layout.time]
                            .unit
                            .as_deref()
                            .unwrap_or(model.time_unit.text())
                    )),
            );
        }
    }
}

/// Last value carried forward, first value back.
fn fill_slots(
    model: &Model,
    table: &Table,
    layout: &Layout,
    subject: &mut Subject,
    found: &mut Diagnostics,
) {
    for &at in &layout.slots {
        let mut values: Vec<Option<f64>> = Vec::with_capacity(subject.records.len());
        for record in &subject.records {
            let value = table.number(record.row, at.column).and_then(|number| {
                let Some(value) = number.map(|number| number * at.scale) else {
                    return Ok(None);
                };
                check_bounds(model, table, record.row, at, value)?;
                Ok(Some(value))
            });
            values.push(value.unwrap_or_else(|diagnostic| {
                found.push(diagnostic);
                Some(f64::NAN)
            }));
        }
        let Some(first) = values.iter().flatten().next().copied() else {
            let Some(record) = subject.records.first() else {
                continue;
            };
            let name = model.slot_name(at.slot);
            found.push(
                Diagnostic::error("D011", format!("patient `{}` has no value of `{name}` in any row", subject.name))
                    .at(&table.source, table.field_span(record.row, at.column))
                    .help("give at least one value per patient, or remove the column to use the typical one"),
            );
            continue;
        };
        let mut last = first;
        for (record, value) in subject.records.iter_mut().zip(values) {
            last = value.unwrap_or(last);
            record.slots.push(last);
        }
    }
}

#[cfg(test)]
mod tests;
