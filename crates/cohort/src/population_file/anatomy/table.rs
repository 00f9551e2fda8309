//! The table of the reference man and woman.

use std::path::Path;

use posology_model::diagnostic::{Diagnostic, Diagnostics};

use super::{Organ, Reference, Scaling};
use crate::individuals::read_file;
use crate::table::{Table, is_missing};

/// Columns of the table.
const COLUMNS: [&str; 9] = [
    "item",
    "scaling",
    "unit",
    "man",
    "woman",
    "flow_man",
    "flow_woman",
    "part_of",
    "flow_into",
];
/// What the table says of the whole body, and the unit it says it in.
const WHOLE: [(&str, &str); 5] = [
    ("height", "m"),
    ("weight", "kg"),
    ("cardiac_output", "L/min"),
    ("plasma", "L"),
    ("erythrocytes", "L"),
];

struct Reading<'a> {
    table: &'a Table,
    columns: Vec<usize>,
    found: Diagnostics,
}

impl Reading<'_> {
    fn error(&mut self, row: usize, column: usize, message: impl Into<String>) {
        let span = self.table.field_span(row, self.columns[column]);
        let finding = Diagnostic::error("D141", message);
        self.found.push(finding.at(&self.table.source, span));
    }

    fn field(&self, row: usize, column: usize) -> &str {
        self.table
            .rows
            .get(row)
            .map_or("", |fields| fields.field(self.columns[column]))
    }

    fn name(&self, row: usize, column: usize) -> Option<String> {
        let field = self.field(row, column);
        (!is_missing(field)).then(|| field.to_owned())
    }

    /// The values of the man and the woman, both at least zero.
    fn pair(&mut self, row: usize, first: usize) -> Option<[f64; 2]> {
        let mut out = [0.0; 2];
        for (i, slot) in out.iter_mut().enumerate() {
            match self.table.number(row, self.columns[first + i]) {
                Ok(Some(value)) if value >= 0.0 => *slot = value,
                Ok(Some(_)) => {
                    self.error(row, first + i, "a mass or flow cannot be negative");
                    return None;
                }
                Ok(None) => return None,
                Err(finding) => {
                    self.found.push(finding);
                    return None;
                }
            }
        }
        Some(out)
    }
}

pub(super) fn load(path: &Path) -> Result<Reference, Diagnostics> {
    let bytes = read_file(path)?;
    let table = Table::parse(&path.display().to_string(), &bytes)?;
    let mut columns = Vec::new();
    for name in COLUMNS {
        match table.header.iter().position(|header| header.name == name) {
            Some(at) => columns.push(at),
            None => {
                let message = format!("the table of organs has no column `{name}`");
                return Err(Diagnostic::error("D141", message)
                    .at(&table.source, table.header_span(0))
                    .help(format!("its columns are: {}", COLUMNS.join(", ")))
                    .into());
            }
        }
    }
    let mut reading = Reading {
        table: &table,
        columns,
        found: Diagnostics::new(),
    };
    let mut whole: [Option<[f64; 2]>; 5] = [None; 5];
    let mut organs: Vec<Organ> = Vec::new();
    for row in 0..table.rows.len() {
        let item = reading.field(row, 0).to_owned();
        let values = reading.pair(row, 3);
        if let Some(at) = WHOLE.iter().position(|(name, _)| *name == item) {
            whole[at] = values;
            if reading.field(row, 2) != WHOLE[at].1 {
                reading.error(row, 2, format!("`{item}` is in {}", WHOLE[at].1));
            }
            continue;
        }
        if let Some(organ) = organ(&mut reading, row, item, values) {
            organs.push(organ);
        }
    }
    let known: Vec<String> = organs.iter().map(|organ| organ.name.clone()).collect();
    // an organ that was reported is not missed again
    let complete = reading.found.is_empty();
    for organ in organs.iter().filter(|_| complete) {
        for other in organ.part_of.iter().chain(&organ.flow_into) {
            if !known.contains(other) {
                let message = format!(
                    "`{}` belongs to `{other}`, which the table lacks",
                    organ.name
                );
                let finding = Diagnostic::error("D141", message);
                let at = table.header_span(0);
                reading.found.push(finding.at(&table.source, at));
            }
        }
    }
    for ((name, unit), value) in WHOLE.iter().zip(&whole) {
        if value.is_none_or(|pair| pair.iter().any(|v| *v <= 0.0)) {
            let message =
                format!("the table of organs has no row `{name}` ({unit}) for both sexes");
            let finding = Diagnostic::error("D141", message);
            let at = table.header_span(0);
            reading.found.push(finding.at(&table.source, at));
        }
    }
    let [
        Some(height),
        Some(weight),
        Some(cardiac_output),
        Some(plasma),
        Some(erythrocytes),
    ] = whole
    else {
        return Err(reading.found);
    };
    let reference = Reference {
        organs,
        height,
        weight,
        cardiac_output,
        plasma,
        erythrocytes,
    };
    use super::Sex::{Female, Male};
    if [Male, Female]
        .iter()
        .any(|&sex| reference.rest(sex) < 0.0 || reference.rest_flow(sex) < -1e-12)
    {
        let message =
            "the organs weigh more than the body, or receive more than the cardiac output";
        let finding = Diagnostic::error("D141", message);
        let at = table.header_span(0);
        reading.found.push(finding.at(&table.source, at).help(
            "an organ that another one contains names it in `part_of`; a flow that drains into \
             another organ's names it in `flow_into`",
        ));
    }
    if reading.found.has_errors() {
        Err(reading.found)
    } else {
        Ok(reference)
    }
}

fn organ(
    reading: &mut Reading<'_>,
    row: usize,
    name: String,
    values: Option<[f64; 2]>,
) -> Option<Organ> {
    if !posology_model::expr::is_identifier(&name) {
        reading.error(row, 0, format!("`{name}` is not a name"));
        return None;
    }
    let scaling = match reading.field(row, 1) {
        "adipose" => Scaling::Adipose,
        "skin" => Scaling::Skin,
        "constant" => Scaling::Constant,
        "lean" => Scaling::Lean,
        other => {
            let message =
                format!("`{other}` is no way to scale an organ: adipose, skin, constant or lean");
            reading.error(row, 1, message);
            return None;
        }
    };
    let per_kg = match reading.field(row, 2) {
        "g" => 1000.0,
        "kg" => 1.0,
        _ => {
            reading.error(row, 2, "masses of organs are in g or kg");
            return None;
        }
    };
    let Some(mass) = values else {
        reading.error(row, 3, format!("`{name}` has no mass for both sexes"));
        return None;
    };
    let flow = reading
        .pair(row, 5)
        .map(|pair| pair.map(|percent| percent / 100.0));
    Some(Organ {
        name,
        scaling,
        mass: mass.map(|value| value / per_kg),
        flow,
        part_of: reading.name(row, 7),
        flow_into: reading.name(row, 8),
    })
}
