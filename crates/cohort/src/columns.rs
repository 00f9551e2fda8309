//! Columns that give a model's parameters and covariates, and units in header cells.

use posology_model::diagnostic::{Diagnostic, did_you_mean};
use posology_model::model::Model;
use posology_model::unit::Unit;

use crate::table::Table;

/// A column whose values go into a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SlotColumn {
    pub column: usize,
    pub slot: usize,
    /// Coherent value per value in the column.
    pub scale: f64,
}

/// The slot a column names: exactly, or but for capitals; `None` if it names none.
///
/// # Errors
/// `D013` if the name fits several slots, `D007` and `D008` for a unit that does not fit.
pub(crate) fn slot_column(
    model: &Model,
    table: &Table,
    column: usize,
) -> Result<Option<SlotColumn>, Diagnostic> {
    let Some(header) = table
        .header
        .get(column)
        .filter(|header| !header.name.is_empty())
    else {
        return Ok(None);
    };
    // the whole cell first: `Q[liver]` is a name, not a quantity in livers
    let whole = find_slot(model, table, column, &header.text)?;
    let (slot, unit) = match whole {
        Some(slot) => (slot, None),
        None => match find_slot(model, table, column, &header.name)? {
            Some(slot) => (slot, header.unit.as_deref()),
            None => return Ok(None),
        },
    };
    let declared = model.slot_unit(slot);
    let scale = match unit {
        Some(_) => header_scale(model, table, column, declared, model.slot_name(slot))?,
        None => model.units.scale(declared),
    };
    Ok(Some(SlotColumn {
        column,
        slot,
        scale,
    }))
}

fn find_slot(
    model: &Model,
    table: &Table,
    column: usize,
    name: &str,
) -> Result<Option<usize>, Diagnostic> {
    if let Some(slot) = model.slot_index(name) {
        return Ok(Some(slot));
    }
    let fits = |slot: &usize| model.slot_name(*slot).eq_ignore_ascii_case(name);
    let slots: Vec<usize> = (0..model.slot_count()).filter(fits).collect();
    match slots[..] {
        [] => Ok(None),
        [slot] => Ok(Some(slot)),
        _ => {
            let names: Vec<&str> = slots.iter().map(|&slot| model.slot_name(slot)).collect();
            let message = format!("the column `{name}` may mean {}", names.join(" or "));
            Err(Diagnostic::error("D013", message)
                .at(&table.source, table.header_span(column))
                .help("these names differ only in capitals; write the one that is meant exactly"))
        }
    }
}

/// Coherent value per value in the unit of a header cell, which must measure the same as
/// `declared`, the unit of `what`; without a unit in the cell, the scale of `declared`.
///
/// # Errors
/// `D007` for an unknown unit, `D008` for one of another dimension.
pub(crate) fn header_scale(
    model: &Model,
    table: &Table,
    column: usize,
    declared: &Unit,
    what: &str,
) -> Result<f64, Diagnostic> {
    let Some(unit) = header_unit(table, column)? else {
        return Ok(model.units.scale(declared));
    };
    if unit.dimension() != declared.dimension() {
        let message = format!(
            "the unit `{unit}` is {}, but `{what}` is in `{declared}`, {}",
            model.units.describe(unit.dimension()),
            model.units.describe(declared.dimension())
        );
        return Err(Diagnostic::error("D008", message)
            .at(&table.source, table.header_span(column))
            .help(format!(
                "give a unit that converts to `{declared}`, or remove the unit"
            )));
    }
    Ok(model.units.scale(&unit))
}

/// The unit in a header cell.
///
/// # Errors
/// `D007` if it is not a unit.
pub(crate) fn header_unit(table: &Table, column: usize) -> Result<Option<Unit>, Diagnostic> {
    let Some(text) = table
        .header
        .get(column)
        .and_then(|header| header.unit.as_deref())
    else {
        return Ok(None);
    };
    Unit::parse(text).map(Some).map_err(|error| {
        Diagnostic::error(
            "D007",
            format!("`{text}` in the header is not a unit: {error}"),
        )
        .at(&table.source, table.header_span(column))
        .help(
            error
                .help
                .unwrap_or_else(|| "units are written like `h`, `mg`, `mL/min` or `1e9/L`".into()),
        )
    })
}

/// "did you mean ...?" among the names of parameters and covariates.
pub(crate) fn suggest_slot(model: &Model, name: &str) -> Option<String> {
    did_you_mean(
        name,
        (0..model.slot_count()).map(|slot| model.slot_name(slot)),
    )
}

/// A slot value that no patient can have: outside the bounds of its parameter.
///
/// # Errors
/// `D015` with both bounds in the parameter's unit.
pub(crate) fn check_bounds(
    model: &Model,
    table: &Table,
    row: usize,
    at: SlotColumn,
    value: f64,
) -> Result<(), Diagnostic> {
    let Some(parameter) = model.parameters.get(at.slot) else {
        return Ok(());
    };
    let Some((low, high)) = parameter.bounds else {
        return Ok(());
    };
    let slack = 1e-9 * low.abs().min(high.abs());
    if value >= low - slack && value <= high + slack {
        return Ok(());
    }
    let scale = model.units.scale(&parameter.unit);
    let message = format!("this {} is outside its bounds", parameter.name);
    Err(Diagnostic::error("D015", message)
        .at(&table.source, table.field_span(row, at.column))
        .help(format!(
            "the model allows {} to {} {}",
            low / scale,
            high / scale,
            parameter.unit
        )))
}
