//! Tables of index values in a CSV file beside the model.
//!
//! The first columns hold index values (one per index of the table), every other column is a
//! parameter family; its header is a name with a unit: `Q (L/h)`. Cells in double quotes may hold
//! commas. Lines that begin with `#` are comments.

use std::path::Path;

use super::reader::{Reader, Section};
use super::{Column, Number, Origin, Text};
use crate::diagnostic::{Source, did_you_mean};

const LONGEST: u64 = 4 << 20;

/// The columns of the file that `section` names.
pub(super) fn columns(
    reader: &mut Reader,
    section: &Section<'_>,
    indices: &[Text],
    dir: Option<&Path>,
) -> Vec<Column> {
    let Some(file) = reader.text(section, "file") else {
        return Vec::new();
    };
    let source = match open(&file, dir) {
        Ok(source) => source,
        Err(reason) => {
            let message = format!("the table `{}` cannot be read: {reason}", file.value);
            let finding = file.error("M005", message);
            reader
                .diagnostics
                .push(finding.help("the path is relative to the model file"));
            return Vec::new();
        }
    };
    let rows = rows(&source);
    let Some((header, body)) = rows.split_first() else {
        reader
            .diagnostics
            .push(file.error("M008", "the table is empty"));
        return Vec::new();
    };
    let mut out = headers(reader, section, indices, header);
    for row in body {
        if row.len() != header.len() {
            let place = row.first().unwrap_or(&header[0]).place();
            let message = format!(
                "this row has {} cells, the header has {}",
                row.len(),
                header.len()
            );
            reader.diagnostics.push(place.error("M008", message));
        }
        let (key, cells) = row.split_at(indices.len().min(row.len()));
        for (i, column) in out.iter_mut().enumerate() {
            let Some(cell) = cells.get(i) else {
                column.values.push((key.to_vec(), None));
                continue;
            };
            let value = cell
                .value
                .parse::<f64>()
                .ok()
                .filter(|value| value.is_finite());
            if value.is_none() {
                let message = format!("`{}` is not a number", cell.value);
                reader.diagnostics.push(cell.error("M008", message));
            }
            let number = value.map(|value| Number {
                value,
                place: cell.place().clone(),
            });
            column.values.push((key.to_vec(), number));
        }
    }
    out
}

pub(super) fn open(file: &Text, dir: Option<&Path>) -> Result<Source, String> {
    let dir = dir.ok_or("the model was not read from a file")?;
    let path = dir.join(&file.value);
    let about = std::fs::metadata(&path).map_err(|e| e.to_string())?;
    if about.is_dir() {
        return Err("it is a folder".into());
    }
    // a device has no end
    if !about.is_file() || about.len() > LONGEST {
        return Err("it is no file, or longer than 4 MiB".into());
    }
    let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
    Ok(Source::new(path.display().to_string(), text))
}

/// One empty column per header cell after the index columns.
fn headers(
    reader: &mut Reader,
    section: &Section<'_>,
    indices: &[Text],
    header: &[Text],
) -> Vec<Column> {
    for (i, index) in indices.iter().enumerate() {
        let Some(cell) = header.get(i) else {
            let place = header[0].place();
            let message = format!("the table has no column for the index `{}`", index.value);
            reader.diagnostics.push(place.error("M008", message));
            continue;
        };
        if cell.value != index.value {
            let message = format!(
                "column {} must be `{}`, found `{}`",
                i + 1,
                index.value,
                cell.value
            );
            reader.diagnostics.push(cell.error("M008", message));
        }
    }
    let cells: Vec<&Text> = header.iter().skip(indices.len()).collect();
    cells
        .iter()
        .map(|cell| {
            let (name, unit) = name_and_unit(cell);
            if unit.is_none() {
                let message = format!("column `{}` has no unit", cell.value);
                let finding = cell.error("M003", message);
                reader
                    .diagnostics
                    .push(finding.help("write the unit in the header: `Q (L/h)`"));
            }
            Column {
                source: source_of(reader, section, &name, &cells),
                name,
                indices: indices.to_vec(),
                unit,
                values: Vec::new(),
                iiv: None,
                iov: None,
                bounds: None,
                calibrated: false,
                description: String::new(),
            }
        })
        .collect()
}

/// `source = "..."` for the whole table, or `source = { Q = "...", V = "..." }` by column.
fn source_of(
    reader: &mut Reader,
    section: &Section<'_>,
    name: &Text,
    cells: &[&Text],
) -> Option<Text> {
    let Some(value) = section.table.get("source") else {
        reader.missing(
            section,
            "source",
            "of the whole table, or { COLUMN = \"...\" }",
        );
        return None;
    };
    if !value.get_ref().is_table() {
        return reader.text(section, "source");
    }
    let inner = reader.section(section, "source", "`source`")?;
    let names: Vec<String> = cells
        .iter()
        .map(|cell| name_and_unit(cell).0.value)
        .collect();
    for (key, _) in reader.entries(inner.table) {
        if !names.contains(&key.value) {
            let finding = key.error("M002", format!("the table has no column `{}`", key.value));
            let help = did_you_mean(&key.value, names.iter().map(String::as_str));
            reader.diagnostics.push(finding.help_if(help));
        }
    }
    reader.required_text(&inner, &name.value, "every column has a source")
}

/// `Q (L/h)`
fn name_and_unit(cell: &Text) -> (Text, Option<Text>) {
    let part = |from: usize, to: usize| {
        let raw = &cell.value[from..to];
        let lead = raw.len() - raw.trim_start().len();
        let trimmed = raw.trim();
        let start = from + lead;
        Text {
            value: trimmed.to_owned(),
            origin: cell.origin.part(start..start + trimmed.len()),
        }
    };
    match (cell.value.find('('), cell.value.rfind(')')) {
        (Some(open), Some(close)) if open < close => (part(0, open), Some(part(open + 1, close))),
        _ => (part(0, cell.value.len()), None),
    }
}

pub(super) fn rows(source: &Source) -> Vec<Vec<Text>> {
    let text = source.text();
    let mut out = Vec::new();
    let mut start = usize::from(text.starts_with('\u{feff}')) * '\u{feff}'.len_utf8();
    for line in text[start..].split_inclusive('\n') {
        let trimmed = line.trim_end_matches(['\n', '\r']);
        if !trimmed.trim().is_empty() && !trimmed.starts_with('#') {
            out.push(cells(source, start, trimmed));
        }
        start += line.len();
    }
    out
}

fn cells(source: &Source, line_start: usize, line: &str) -> Vec<Text> {
    let mut out = Vec::new();
    let (mut from, mut quoted) = (0, false);
    let ends = line.char_indices().filter_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ',' && !quoted).then_some(at)
    });
    for to in ends.chain([line.len()]).collect::<Vec<_>>() {
        let raw = line.get(from..to).unwrap_or_default();
        let lead = raw.len() - raw.trim_start().len();
        let trimmed = raw.trim();
        let begin = line_start + from + lead;
        let inner = trimmed.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        let value = inner.map_or_else(|| trimmed.to_owned(), |inner| inner.replace("\"\"", "\""));
        let origin = Origin::within(source, begin..begin + trimmed.len(), &value);
        out.push(Text { value, origin });
        from = to + 1;
    }
    out
}
