//! What each column of an event table is.

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Model;

use crate::columns::{SlotColumn, header_scale, header_unit, slot_column, suggest_slot};
use crate::table::Table;

/// Columns by their role; indices into the header.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layout {
    pub id: usize,
    pub time: usize,
    pub amt: Option<usize>,
    pub rate: Option<usize>,
    pub evid: Option<usize>,
    pub cmt: Option<usize>,
    pub mdv: Option<usize>,
    pub addl: Option<usize>,
    pub ii: Option<usize>,
    pub ss: Option<usize>,
    pub dvid: Option<usize>,
    /// `C`: a row with anything in it is a comment.
    pub comment: Option<usize>,
    pub slots: Vec<SlotColumn>,
    /// Model time per TIME.
    pub time_scale: f64,
    /// Model time per II.
    pub ii_scale: f64,
    /// Coherent amount per AMT, for each input; `None` where the unit of AMT does not fit it.
    pub amt_scale: Vec<Option<f64>>,
    /// Coherent rate per RATE, for each input.
    pub rate_scale: Vec<Option<f64>>,
}

/// Reads the header.
///
/// # Errors
/// Pushed to `found`: missing ID or TIME (`D006`), dates (`D022`), units (`D007`, `D008`),
/// ambiguous names (`D013`); the result is then unusable.
pub(crate) fn layout(model: &Model, table: &Table, found: &mut Diagnostics) -> Layout {
    let mut out = Layout::default();
    let (mut id, mut time) = (None, None);
    for (column, header) in table.header.iter().enumerate() {
        let upper = header.name.to_ascii_uppercase();
        match upper.as_str() {
            "ID" => id = Some(column),
            "TIME" => time = Some(column),
            "AMT" => out.amt = Some(column),
            "RATE" => out.rate = Some(column),
            "EVID" => out.evid = Some(column),
            "CMT" => out.cmt = Some(column),
            "MDV" => out.mdv = Some(column),
            "ADDL" => out.addl = Some(column),
            "II" => out.ii = Some(column),
            "SS" => out.ss = Some(column),
            "DVID" => out.dvid = Some(column),
            "DV" | "" => {}
            "C" if column == 0 && is_comment_column(model, table) => out.comment = Some(column),
            "DATE" | "DAT1" | "DAT2" | "DAT3" => found.push(
                Diagnostic::error("D022", format!("calendar dates (`{}`) are not read", header.name))
                    .at(&table.source, table.header_span(column))
                    .help("give the time since the patient's first record in TIME, and remove this column"),
            ),
            _ => match slot_column(model, table, column) {
                Ok(Some(slot)) => out.slots.push(slot),
                Ok(None) => {
                    // carried through; a name that is nearly a covariate may be a slip
                    if let Some(suggestion) = suggest_slot(model, &header.name) {
                        let message = format!("the column `{}` is carried through, not used", header.name);
                        found.push(
                            Diagnostic::warning("D014", message)
                                .at(&table.source, table.header_span(column))
                                .help(suggestion),
                        );
                    }
                }
                Err(diagnostic) => found.push(diagnostic),
            },
        }
    }
    for (name, column) in [("ID", id), ("TIME", time)] {
        if column.is_none() {
            let names: Vec<&str> = table
                .header
                .iter()
                .map(|header| header.name.as_str())
                .collect();
            found.push(
                Diagnostic::error("D006", format!("the column `{name}` is missing"))
                    .at(
                        &table.source,
                        table.header_span(0).start..table.header_span(names.len()).end,
                    )
                    .help_if(posology_model::diagnostic::did_you_mean(name, names)),
            );
        }
    }
    (out.id, out.time) = (id.unwrap_or(0), time.unwrap_or(0));
    scales(model, table, &mut out, found);
    out
}

/// A first column `C` holds comment marks unless the model has a quantity of that name.
fn is_comment_column(model: &Model, table: &Table) -> bool {
    model.slot_index("C").is_none()
        && model.slot_index("c").is_none()
        && table
            .rows
            .iter()
            .all(|row| row.field(0).parse::<f64>().is_err())
}

/// Unit conversions: those written in the header; else TIME is in the model's time unit, AMT in
/// the input's unit, II as TIME, RATE as AMT per TIME.
fn scales(model: &Model, table: &Table, out: &mut Layout, found: &mut Diagnostics) {
    let mut scale = |column: usize, what: &str| {
        header_scale(model, table, column, &model.time_unit, what).unwrap_or_else(|diagnostic| {
            found.push(diagnostic);
            1.0
        })
    };
    out.time_scale = scale(out.time, "TIME");
    let written = |column: &usize| table.header.get(*column).is_some_and(|h| h.unit.is_some());
    out.ii_scale = out
        .ii
        .filter(written)
        .map_or(out.time_scale, |ii| scale(ii, "II"));
    let mut unit = |column: Option<usize>| {
        column.and_then(|column| {
            header_unit(table, column).unwrap_or_else(|diagnostic| {
                found.push(diagnostic);
                None
            })
        })
    };
    let (amt_unit, rate_unit) = (unit(out.amt), unit(out.rate));
    for input in &model.inputs {
        let declared = input.unit.dimension();
        let amt = match &amt_unit {
            None => Some(model.units.scale(&input.unit)),
            Some(unit) => (unit.dimension() == declared).then(|| model.units.scale(unit)),
        };
        let rate = match &rate_unit {
            None => amt.map(|amt| amt / out.time_scale),
            Some(unit) => {
                let fits = unit.dimension() == declared.per(posology_model::unit::Dimension::TIME);
                fits.then(|| model.units.scale(unit))
            }
        };
        out.amt_scale.push(amt);
        out.rate_scale.push(rate);
    }
}
