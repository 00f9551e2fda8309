//! Delimited text with the place of every field, for messages that point at it.

use std::ops::Range;

use csv::{ByteRecord, ReaderBuilder};
use posology_model::diagnostic::{Diagnostic, Diagnostics, Source};

/// Findings shown for one file; a file of the wrong kind would give one for every field.
pub(crate) const MOST_FINDINGS: usize = 100;

/// A header cell such as `WT (kg)`: text as written, name and unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    /// As written.
    pub text: String,
    /// Without the unit.
    pub name: String,
    /// Text in parentheses or brackets behind the name.
    pub unit: Option<String>,
}

impl Header {
    fn parse(cell: &str) -> Self {
        let text = cell.trim().to_owned();
        let split = |open: char, close: char| -> Option<(String, String)> {
            let inner = text.strip_suffix(close)?;
            let at = inner.find(open)?;
            let (name, unit) = (inner[..at].trim(), inner[at + open.len_utf8()..].trim());
            (!name.is_empty() && !unit.is_empty()).then(|| (name.to_owned(), unit.to_owned()))
        };
        match split('(', ')').or_else(|| split('[', ']')) {
            Some((name, unit)) => Self {
                text,
                name,
                unit: Some(unit),
            },
            None => Self {
                name: text.clone(),
                text,
                unit: None,
            },
        }
    }
}

/// A row of the file.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    fields: csv::StringRecord,
    /// Byte offset of the row in the source.
    start: usize,
}

impl Row {
    /// Field `column`, without surrounding blanks; empty if there is none.
    pub fn field(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or("").trim()
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter()
    }
}

/// The file: header and rows that hold data.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub source: Source,
    pub header: Vec<Header>,
    pub rows: Vec<Row>,
    delimiter: u8,
    header_start: usize,
}

/// `.`, an empty field and NA mean that there is no value.
pub(crate) fn is_missing(field: &str) -> bool {
    matches!(field, "" | "." | "NA" | "na" | "N/A")
}

impl Table {
    /// Reads comma-, semicolon- or tab-separated text. Lines that start with `#`, rows without
    /// any value, and repetitions of the header are left out; `#ID,TIME` is a header too.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let source = Source::new(name, String::from_utf8_lossy(bytes));
                let at = error.valid_up_to();
                return Err(Diagnostic::error("D001", "the file is not UTF-8 text")
                    .at(&source, at..at + 1)
                    .label(format!("byte 0x{:02x} begins no character", bytes[at]))
                    .help("save the table as CSV with the encoding UTF-8")
                    .into());
            }
        };
        let source = Source::new(name, text);
        let header_start = header_offset(text).ok_or_else(|| {
            Diagnostics::from(
                Diagnostic::error("D002", "the file is empty")
                    .at(&source, 0..0)
                    .help("the first line names the columns, such as ID,TIME,AMT,DV"),
            )
        })?;
        let first_line = text[header_start..].lines().next().unwrap_or_default();
        let delimiter = delimiter_of(first_line);
        let mut table = Self {
            source,
            header: Vec::new(),
            rows: Vec::new(),
            delimiter,
            header_start,
        };
        table.read(text)?;
        Ok(table)
    }

    fn read(&mut self, text: &str) -> Result<(), Diagnostics> {
        let mut found = Diagnostics::new();
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .comment(Some(b'#'))
            .from_reader(&text.as_bytes()[self.header_start..]);
        let mut record = ByteRecord::new();
        let mut repeated: Option<csv::StringRecord> = None;
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let start = self.header_start + record.position().map_or(0, |p| p.byte() as usize);
            // the reader reports the place before the comment lines and blank lines it skips
            let start = data_offset(text, start);
            // fields of valid UTF-8 text, split at ASCII bytes
            let Ok(fields) = csv::StringRecord::from_byte_record(record.clone()) else {
                continue;
            };
            let Some(header) = &repeated else {
                self.header = fields.iter().map(Header::parse).collect();
                self.header_start = start;
                repeated = Some(fields);
                continue;
            };
            let same = |(a, b): (&str, &str)| a.trim().eq_ignore_ascii_case(b.trim());
            if fields.iter().all(|field| field.trim().is_empty())
                || (fields.len() == header.len() && fields.iter().zip(header.iter()).all(same))
            {
                continue;
            }
            if fields.len() != self.header.len() && found.len() < MOST_FINDINGS {
                let message = format!(
                    "the row has {} fields, the header has {}",
                    fields.len(),
                    self.header.len()
                );
                found.push(Diagnostic::error("D003", message).at(&self.source, line_span(text, start)).help(
                    "a field that contains the separator must be in double quotes; a missing value is `.` or empty",
                ));
            }
            self.rows.push(Row { fields, start });
        }
        self.check_header(&mut found);
        if found.has_errors() {
            Err(found)
        } else {
            Ok(())
        }
    }

    fn check_header(&self, found: &mut Diagnostics) {
        if !self.header.is_empty() && self.header.iter().all(|h| h.name.parse::<f64>().is_ok()) {
            found.push(
                Diagnostic::error("D002", "the file has no header line")
                    .at(
                        &self.source,
                        line_span(self.source.text(), self.header_start),
                    )
                    .label("these are numbers")
                    .help("the first line names the columns, such as ID,TIME,AMT,DV"),
            );
        }
        for (column, header) in self.header.iter().enumerate() {
            let twin = self.header[..column].iter().position(|other| {
                !header.name.is_empty() && other.name.eq_ignore_ascii_case(&header.name)
            });
            if let Some(twin) = twin.filter(|_| found.len() < MOST_FINDINGS) {
                found.push(
                    Diagnostic::error("D004", format!("the column `{}` comes twice", header.name))
                        .at(&self.source, self.header_span(column))
                        .also(&self.source, self.header_span(twin), "first here")
                        .help("names of columns do not distinguish capitals; rename or remove one"),
                );
            }
        }
    }

    /// Where a header cell is.
    pub fn header_span(&self, column: usize) -> Range<usize> {
        field_span(
            self.source.text(),
            self.header_start,
            column,
            self.delimiter,
        )
    }

    /// Where a field is.
    pub fn field_span(&self, row: usize, column: usize) -> Range<usize> {
        let start = self.rows.get(row).map_or(0, |row| row.start);
        field_span(self.source.text(), start, column, self.delimiter)
    }

    /// Where a row is.
    pub fn row_span(&self, row: usize) -> Range<usize> {
        line_span(
            self.source.text(),
            self.rows.get(row).map_or(0, |row| row.start),
        )
    }

    /// The finite number in a field, `None` where the value is missing.
    ///
    /// # Errors
    /// A diagnostic `D010` for anything else.
    pub fn number(&self, row: usize, column: usize) -> Result<Option<f64>, Diagnostic> {
        let field = self.rows.get(row).map_or("", |row| row.field(column));
        if is_missing(field) {
            return Ok(None);
        }
        match field.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => {
                let name = &self
                    .header
                    .get(column)
                    .map_or("", |header| header.name.as_str());
                let shown: String = field.chars().take(40).collect();
                let message = format!("`{shown}` in column `{name}` is not a finite number");
                let comma = field.replace(',', ".").parse::<f64>().is_ok();
                let help = if comma && field.contains(',') {
                    "write the decimal point as `.`"
                } else {
                    "a missing value is `.` or empty"
                };
                Err(Diagnostic::error("D010", message)
                    .at(&self.source, self.field_span(row, column))
                    .help(help))
            }
        }
    }
}

/// Offset of the first line that is not blank and not a comment. A comment line that names both
/// ID and TIME is a header (`#ID,TIME,...`); its `#` is skipped.
fn header_offset(text: &str) -> Option<usize> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let Some(comment) = trimmed.strip_prefix('#') else {
            if trimmed.is_empty() {
                offset += line.len();
                continue;
            }
            return Some(offset);
        };
        let names = |wanted: &str| {
            comment
                .split([',', ';', '\t'])
                .any(|cell| Header::parse(cell).name.eq_ignore_ascii_case(wanted))
        };
        if names("ID") && names("TIME") {
            return Some(offset + line.find('#').map_or(0, |at| at + 1));
        }
        offset += line.len();
    }
    None
}

/// Skips blank lines and comment lines from `start`.
fn data_offset(text: &str, start: usize) -> usize {
    let mut offset = start;
    for line in text
        .get(start..)
        .unwrap_or_default()
        .split_inclusive(['\n', '\r'])
    {
        if !(line.starts_with('#') || line.trim_matches(['\n', '\r']).is_empty()) {
            break;
        }
        offset += line.len();
    }
    offset
}

/// The separator that cuts the header line into the most cells; a comma where none does.
fn delimiter_of(line: &str) -> u8 {
    let count = |delimiter: u8| line.bytes().filter(|&byte| byte == delimiter).count();
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&delimiter| count(delimiter))
        .unwrap_or(b',')
}

fn line_span(text: &str, start: usize) -> Range<usize> {
    let line = text
        .get(start..)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default();
    start..start + line.len()
}

/// The bytes of field `column` of the row at `start`, honouring double quotes.
fn field_span(text: &str, start: usize, column: usize, delimiter: u8) -> Range<usize> {
    let bytes = text.as_bytes();
    let (mut field_start, mut field, mut quoted, mut at) = (start, 0, false, start);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            byte if byte == delimiter && !quoted => {
                if field == column {
                    break;
                }
                field += 1;
                field_start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if field < column {
        return at..at; // the row is too short: its end
    }
    let cell = text.get(field_start..at).unwrap_or_default();
    let lead = cell.len() - cell.trim_start().len();
    field_start + lead..field_start + lead + cell.trim().len()
}

#[cfg(test)]
mod tests;
