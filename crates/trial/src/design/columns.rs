//! Columns of a published table under the names that the model uses, so that data files stay as
//! their authors wrote them.

use std::fmt::Write;
use std::path::Path;

use posology_model::diagnostic::{Diagnostic, Diagnostics, Source, did_you_mean};
use posology_model::file::Text;

/// No table of a trial needs more.
const LONGEST: u64 = 256 << 20;

/// A table as read, fields as text.
pub(super) struct Columns {
    source: Source,
    header: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    fields: csv::StringRecord,
    line: usize,
    start: usize,
}

impl Columns {
    /// Reads the file that `file` names.
    pub fn load(file: &Text, dir: &Path) -> Result<Self, Diagnostics> {
        let path = dir.join(&file.value);
        let unreadable = |reason: String| {
            let message = format!("the file `{}` cannot be read: {reason}", file.value);
            Diagnostics::from(
                file.error("T005", message)
                    .help("the path is relative to the trial file"),
            )
        };
        let size = std::fs::metadata(&path)
            .map_err(|error| unreadable(error.to_string()))?
            .len();
        if size > LONGEST {
            return Err(unreadable("it is longer than 256 MiB".into()));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let source = Source::new(path.display().to_string(), text);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut out = Self {
            source,
            header: Vec::new(),
            rows: Vec::new(),
        };
        let mut fields = csv::StringRecord::new();
        while reader
            .read_record(&mut fields)
            .map_err(|error| unreadable(error.to_string()))?
        {
            let place = fields
                .position()
                .map_or((0, 0), |p| (p.line() as usize, p.byte() as usize));
            if out.header.is_empty() {
                out.header = fields.iter().map(str::to_owned).collect();
            } else {
                out.rows.push(Row {
                    fields: fields.clone(),
                    line: place.0,
                    start: place.1,
                });
            }
        }
        if out.rows.is_empty() {
            return Err(unreadable("it has no rows".into()));
        }
        Ok(out)
    }

    /// Position of the column that `name` names.
    pub fn column(&self, name: &Text) -> Result<usize, Diagnostic> {
        self.header
            .iter()
            .position(|header| *header == name.value)
            .ok_or_else(|| {
                let message = format!("`{}` has no column `{}`", self.source.name(), name.value);
                let help = did_you_mean(&name.value, self.header.iter().map(String::as_str));
                name.error("T008", message)
                    .help(help.unwrap_or_else(|| format!("columns: {}", self.header.join(", "))))
            })
    }

    /// The whole column as text.
    pub fn texts(&self, column: usize) -> Vec<String> {
        self.rows
            .iter()
            .map(|row| row.fields.get(column).unwrap_or_default().to_owned())
            .collect()
    }

    /// The whole column as finite numbers.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>, Diagnostics> {
        let mut found = Diagnostics::new();
        let mut values = Vec::with_capacity(self.rows.len());
        for (index, row) in self.rows.iter().enumerate() {
            let field = row.fields.get(column).unwrap_or_default();
            match field.parse::<f64>().ok().filter(|value| value.is_finite()) {
                Some(value) => values.push(value),
                None => found.push(self.field_error(index, column, "a finite number")),
            }
        }
        if found.has_errors() {
            Err(found)
        } else {
            Ok(values)
        }
    }

    /// A finding about one field.
    pub fn field_error(&self, row: usize, column: usize, wanted: &str) -> Diagnostic {
        let heading = self.header.get(column).map_or("", String::as_str);
        let (start, field) = self.rows.get(row).map_or((0, ""), |row| {
            (row.start, row.fields.get(column).unwrap_or_default())
        });
        let line = self.source.text().get(start..).unwrap_or_default();
        // the reader may report the place of a comment line before the row
        let skipped: usize = line
            .split_inclusive('\n')
            .take_while(|line| line.starts_with('#') || line.trim().is_empty())
            .map(str::len)
            .sum();
        let begin = start + skipped;
        let length = line
            .get(skipped..)
            .and_then(|rest| rest.lines().next())
            .map_or(0, str::len);
        Diagnostic::error(
            "T018",
            format!("`{field}` in column `{heading}` is not {wanted}"),
        )
        .at(&self.source, begin..begin + length)
        .help("correct the field, or remove the row")
    }

    /// The file's name, for messages.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Some columns under other names, as text with every row on its own line of the file.
    pub fn renamed(&self, columns: &[(String, usize)]) -> String {
        let mut out = String::new();
        let mut line = 1;
        let header: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        out.push_str(&header.join(","));
        out.push('\n');
        line += 1;
        for row in &self.rows {
            while line < row.line {
                out.push('\n');
                line += 1;
            }
            for (k, (_, column)) in columns.iter().enumerate() {
                let field = row.fields.get(*column).unwrap_or_default();
                let comma = if k > 0 { "," } else { "" };
                let quoted = field.contains([',', '"', '\n']);
                let _ = match quoted {
                    true => write!(out, "{comma}\"{}\"", field.replace('"', "\"\"")),
                    false => write!(out, "{comma}{field}"),
                };
            }
            out.push('\n');
            line += 1;
        }
        out
    }
}
