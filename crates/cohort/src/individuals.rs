//! Individual parameters and covariates from a table.

use std::collections::HashMap;
use std::path::Path;

use posology_model::diagnostic::{Diagnostic, Diagnostics, Source};
use posology_model::model::Model;

use crate::columns::{SlotColumn, check_bounds, slot_column, suggest_slot};
use crate::population::Cohort;
use crate::table::{MOST_FINDINGS, Table, is_missing};

/// Reads a file.
///
/// # Errors
/// `D005` with the system's reason.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Diagnostics> {
    std::fs::read(path).map_err(|error| {
        let name = path.display().to_string();
        Diagnostic::error("D005", format!("cannot read {name}: {error}"))
            .at(&Source::new(&name, ""), 0..0)
            .help("check the path and the permissions")
            .into()
    })
}

impl Cohort {
    /// Reads one patient per row. Columns are named after parameters and covariates (capitals do
    /// not matter) and are in their declared units, or in the unit behind the name, `CL (mL/h)`.
    /// A column `ID` names the patients. What has no column is typical for every patient.
    ///
    /// # Errors
    /// Every finding: unreadable files and numbers, unknown columns (`D014`), missing values
    /// (`D011`), values outside a parameter's bounds (`D015`), an ID that comes twice (`D051`).
    pub fn from_csv(model: &Model, path: &Path) -> Result<Self, Diagnostics> {
        Self::parse_csv(model, &path.display().to_string(), &read_file(path)?)
    }

    /// As [`Cohort::from_csv`], from bytes; `name` is what diagnostics call them.
    ///
    /// # Errors
    /// As [`Cohort::from_csv`].
    pub fn parse_csv(model: &Model, name: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let table = Table::parse(name, bytes)?;
        let mut found = Diagnostics::new();
        let (id, columns) = classify(model, &table, &mut found);
        if table.rows.is_empty() {
            found.push(
                Diagnostic::error("D009", "the table has no rows")
                    .at(&table.source, table.header_span(0))
                    .help("give one row per patient"),
            );
        }
        let mut cohort = Self::typical(model, table.rows.len());
        for row in 0..table.rows.len() {
            for &at in &columns {
                if found.len() >= MOST_FINDINGS {
                    return Err(found);
                }
                match value(model, &table, row, at) {
                    Ok(value) => cohort.slots[at.slot][row] = value,
                    Err(diagnostic) => found.push(diagnostic),
                }
            }
        }
        cohort.names = id.map(|id| names(&table, id, &mut found));
        if found.has_errors() {
            Err(found)
        } else {
            Ok(cohort)
        }
    }
}

fn classify(
    model: &Model,
    table: &Table,
    found: &mut Diagnostics,
) -> (Option<usize>, Vec<SlotColumn>) {
    let mut id = None;
    let mut columns: Vec<SlotColumn> = Vec::new();
    for (column, header) in table.header.iter().enumerate() {
        match slot_column(model, table, column) {
            Ok(Some(new)) => {
                // `CL` and `cl (mL/h)` are different headers, but one slot
                if let Some(twin) = columns.iter().find(|other| other.slot == new.slot) {
                    let message = format!("two columns give `{}`", model.slot_name(new.slot));
                    found.push(
                        Diagnostic::error("D004", message)
                            .at(&table.source, table.header_span(column))
                            .also(&table.source, table.header_span(twin.column), "first here"),
                    );
                }
                columns.push(new);
            }
            Ok(None) if header.name.eq_ignore_ascii_case("ID") => id = Some(column),
            Ok(None) if header.name.is_empty() => {}
            Ok(None) => {
                let message = format!(
                    "`{}` is neither a parameter nor a covariate of {}",
                    header.name, model.name
                );
                let suggestion = suggest_slot(model, &header.name);
                found.push(
                    Diagnostic::error("D014", message)
                        .at(&table.source, table.header_span(column))
                        .help(
                            suggestion
                                .unwrap_or_else(|| "remove the column, or correct its name".into()),
                        ),
                );
            }
            Err(diagnostic) => found.push(diagnostic),
        }
    }
    (id, columns)
}

fn value(model: &Model, table: &Table, row: usize, at: SlotColumn) -> Result<f64, Diagnostic> {
    let Some(number) = table.number(row, at.column)? else {
        let message = format!("the value of `{}` is missing", model.slot_name(at.slot));
        return Err(Diagnostic::error("D011", message)
            .at(&table.source, table.field_span(row, at.column))
            .help("give every patient a value, or remove the column to use the typical one"));
    };
    let value = number * at.scale;
    if !value.is_finite() {
        let message = format!("this `{}` is too large", model.slot_name(at.slot));
        return Err(
            Diagnostic::error("D010", message).at(&table.source, table.field_span(row, at.column))
        );
    }
    check_bounds(model, table, row, at, value)?;
    Ok(value)
}

fn names(table: &Table, id: usize, found: &mut Diagnostics) -> Vec<String> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (row, fields) in table.rows.iter().enumerate() {
        if found.len() >= MOST_FINDINGS {
            break;
        }
        let name = fields.field(id);
        if is_missing(name) {
            let missing = Diagnostic::error("D011", "the ID is missing");
            found.push(missing.at(&table.source, table.field_span(row, id)));
        } else if let Some(&twin) = first.get(name) {
            found.push(
                Diagnostic::error("D051", format!("patient `{name}` comes twice"))
                    .at(&table.source, table.field_span(row, id))
                    .also(&table.source, table.field_span(twin, id), "first here")
                    .help("give one row per patient"),
            );
        } else {
            first.insert(name, row);
        }
    }
    table
        .rows
        .iter()
        .map(|row| row.field(id).to_owned())
        .collect()
}
