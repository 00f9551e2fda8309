//! Comma-separated tables with the place of every field, for messages that point at it.

use std::ops::Range;
use std::path::Path;

use posology_model::diagnostic::{Diagnostics, Source};
use posology_model::file::{Place, Text};

/// Findings shown for one table; a table of the wrong kind would give one for every field.
const MOST_FINDINGS: usize = 50;

/// A table: a header line, then rows of as many fields. No quotes; `#` begins a comment line.
pub(super) struct Sheet {
    pub source: Source,
    pub header: Vec<String>,
    header_span: Range<usize>,
    pub rows: Vec<Row>,
}

/// A row: where it and its fields stand.
pub(super) struct Row {
    pub span: Range<usize>,
    fields: Vec<Range<usize>>,
}

impl Sheet {
    /// Reads the file that `name` names, as seen from `folder`.
    pub fn read(name: &Text, folder: Option<&Path>, found: &mut Diagnostics) -> Option<Self> {
        let path = folder.map_or_else(|| Path::new(&name.value).into(), |f| f.join(&name.value));
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&Source::new(path.display().to_string(), text), found),
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", path.display());
                let help = "paths are relative to the task file";
                found.push(name.error("K101", message).help(help));
                None
            }
        }
    }

    pub fn parse(source: &Source, found: &mut Diagnostics) -> Option<Self> {
        let mut lines = lines(source.text());
        let Some(first) = lines.next() else {
            let place = Place::new(source, 0..0);
            found.push(place.error("K101", "the table is empty"));
            return None;
        };
        let cells = fields(source.text(), first.clone());
        let header: Vec<String> = cells
            .iter()
            .map(|cell| source.text()[cell.clone()].to_owned())
            .collect();
        let mut rows = Vec::new();
        for span in lines {
            let fields = fields(source.text(), span.clone());
            if fields.len() == header.len() {
                rows.push(Row { span, fields });
                continue;
            }
            let message = format!(
                "the row has {} fields, the header {}",
                fields.len(),
                header.len()
            );
            report(found, Place::new(source, span).error("K103", message));
        }
        Some(Self {
            source: source.clone(),
            header,
            header_span: first,
            rows,
        })
    }

    pub fn header_place(&self) -> Place {
        Place::new(&self.source, self.header_span.clone())
    }

    pub fn place(&self, row: &Row) -> Place {
        Place::new(&self.source, row.span.clone())
    }

    pub fn field<'a>(&'a self, row: &Row, column: usize) -> &'a str {
        &self.source.text()[row.fields[column].clone()]
    }

    pub fn field_place(&self, row: &Row, column: usize) -> Place {
        Place::new(&self.source, row.fields[column].clone())
    }

    /// A whole number below `below`: `K104` where it is none, `K105` where it is too large.
    pub fn index(
        &self,
        row: &Row,
        column: usize,
        below: usize,
        found: &mut Diagnostics,
    ) -> Option<usize> {
        let what = &self.header[column];
        match self.field(row, column).parse::<usize>() {
            Ok(index) if index < below => Some(index),
            Ok(index) => {
                let message = format!("{what} {index} does not exist");
                let help = format!("they are numbered 0 to {}", below - 1);
                let place = self.field_place(row, column);
                report(found, place.error("K105", message).help(help));
                None
            }
            Err(_) => {
                let message = format!("`{}` is no {what}", self.field(row, column));
                let help = "a whole number, from 0";
                let place = self.field_place(row, column);
                report(found, place.error("K104", message).help(help));
                None
            }
        }
    }

    /// A finite number, or `K104`.
    pub fn number(&self, row: &Row, column: usize, found: &mut Diagnostics) -> Option<f64> {
        let text = self.field(row, column);
        let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
        if number.is_none() {
            let message = format!("`{text}` is not a finite number");
            let place = self.field_place(row, column);
            report(found, place.error("K104", message));
        }
        number
    }

    /// `next:weight next:weight ...`, each next below `below`: probabilities in the order of the
    /// field. A column `counts` holds whole numbers, which are divided by their sum; a column
    /// `probabilities` must sum to one.
    pub fn distribution(
        &self,
        row: &Row,
        column: usize,
        below: usize,
        found: &mut Diagnostics,
    ) -> Option<Vec<(usize, f64)>> {
        let counts = self.header[column] == "counts";
        let text = self.field(row, column);
        let start = row.fields[column].start;
        let mut out: Vec<(usize, f64)> = Vec::new();
        for word in text.split_ascii_whitespace() {
            let at = start + (word.as_ptr() as usize - text.as_ptr() as usize);
            let place = Place::new(&self.source, at..at + word.len());
            let weight = |text: &str| {
                if counts {
                    text.parse::<u32>().ok().map(f64::from)
                } else {
                    text.parse::<f64>().ok().filter(|p| p.is_finite())
                }
            };
            let pair = word
                .split_once(':')
                .and_then(|(index, text)| Some((index.parse::<usize>().ok()?, weight(text)?)))
                .filter(|&(_, weight)| weight > 0.0);
            let Some((index, weight)) = pair else {
                let message = format!("`{word}` is not a number and its weight");
                let help = if counts {
                    "such as `17:3`: number 17, three times"
                } else {
                    "such as `17:0.25`: number 17, with a quarter of the probability"
                };
                report(found, place.error("K104", message).help(help));
                return None;
            };
            if index >= below {
                let message = format!("number {index} does not exist");
                let help = format!("they are numbered 0 to {}", below - 1);
                report(found, place.error("K105", message).help(help));
                return None;
            }
            if out.iter().any(|&(known, _)| known == index) {
                let message = format!("number {index} stands here twice");
                report(found, place.error("K107", message));
                return None;
            }
            out.push((index, weight));
        }
        let total: f64 = out.iter().map(|&(_, weight)| weight).sum();
        if out.is_empty() || (!counts && (total - 1.0).abs() > 1e-9) {
            let message = format!("the probabilities sum to {total}");
            let help = "write exact probabilities, or whole numbers in a column `counts`";
            let place = self.field_place(row, column);
            report(found, place.error("K106", message).help(help));
            return None;
        }
        out.iter_mut().for_each(|(_, weight)| *weight /= total);
        Some(out)
    }

    /// That the header is `fixed`, then `counts` or `probabilities`.
    pub fn expect_distribution(&self, fixed: &[&str], found: &mut Diagnostics) -> bool {
        let n = fixed.len();
        let last = self.header.get(n).map(String::as_str);
        let fits = self.header.len() == n + 1
            && self.header[..n] == *fixed
            && matches!(last, Some("counts" | "probabilities"));
        if !fits {
            let wanted: String = fixed.iter().map(|name| format!("{name},")).collect();
            let message = format!("the header is not `{wanted}counts` or `{wanted}probabilities`");
            found.push(self.header_place().error("K102", message));
        }
        fits
    }
}

/// Adds a finding, unless there are many already.
pub(super) fn report(found: &mut Diagnostics, finding: posology_model::Diagnostic) {
    if found.len() < MOST_FINDINGS {
        found.push(finding);
    }
}

/// Lines with content, without line ends and comments.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let begin = start;
        start += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let used = !content.trim().is_empty() && !content.starts_with('#');
        used.then(|| begin..begin + content.len())
    })
}

/// The fields of a line, without surrounding blanks.
fn fields(text: &str, line: Range<usize>) -> Vec<Range<usize>> {
    let mut start = line.start;
    let mut out = Vec::new();
    for field in text[line].split(',') {
        let blank = field.len() - field.trim_start().len();
        let begin = start + blank;
        out.push(begin..begin + field.trim().len());
        start += field.len() + 1;
    }
    out
}
