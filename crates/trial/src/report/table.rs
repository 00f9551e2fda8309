//! Tables with units and intervals.

use std::fmt::Write;

use crate::plot::escape;
use crate::statistics::{Estimate, TimeEstimate};

use super::format;

/// A column: heading, unit and alignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    heading: String,
    unit: String,
    numeric: bool,
}

impl Column {
    /// Text, aligned left.
    pub fn text(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            unit: String::new(),
            numeric: false,
        }
    }

    /// Numbers, aligned right; the unit (may be empty) stands under the heading.
    pub fn number(heading: impl Into<String>, unit: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            unit: unit.into(),
            numeric: true,
        }
    }
}

/// A formatted cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    strong: bool,
}

impl Cell {
    /// Any text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            strong: false,
        }
    }

    /// The same, set in bold on a wash.
    pub fn strong(mut self) -> Self {
        self.strong = true;
        self
    }

    /// No value.
    pub fn missing() -> Self {
        Self::text(format::MISSING)
    }

    /// A number with fixed digits after the point.
    pub fn number(value: f64, decimals: usize) -> Self {
        Self::text(format::number(value, decimals))
    }

    /// A whole number.
    pub fn count(count: usize) -> Self {
        Self::text(format::number(count as f64, 0))
    }

    /// "7 (43.8 %)".
    pub fn share(count: usize, total: usize) -> Self {
        if total == 0 {
            return Self::missing();
        }
        let share = format::percent(count as f64 / total as f64, 1);
        Self::text(format!("{} ({share})", format::number(count as f64, 0)))
    }

    /// "0.23 (0.10 to 0.53)".
    pub fn estimate(estimate: &Estimate, decimals: usize) -> Self {
        Self::text(format::estimate(estimate, decimals))
    }

    /// A proportion and its interval, in percent: "43.8 (19.8 to 70.1)".
    pub fn percent_estimate(estimate: &Estimate, decimals: usize) -> Self {
        Self::text(format::estimate(
            &Estimate {
                value: 100.0 * estimate.value,
                low: 100.0 * estimate.low,
                high: 100.0 * estimate.high,
                level: estimate.level,
            },
            decimals,
        ))
    }

    /// A median or other time, with "not reached" where follow-up ended first.
    pub fn time(estimate: &TimeEstimate, decimals: usize) -> Self {
        Self::text(format::time_estimate(estimate, decimals))
    }

    /// A p value.
    pub fn p_value(p: f64) -> Self {
        Self::text(format::p_value(p))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    Cells(Vec<Cell>),
    /// A row under a heading.
    Member(Vec<Cell>),
    /// A heading over the rows that follow.
    Group(String),
}

/// A table. The first cell of each row is its heading. Rows are padded or cut to the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    notes: Vec<String>,
    grouping: bool,
}

impl Table {
    /// An empty table.
    pub fn new(caption: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            columns: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
            grouping: false,
        }
    }

    /// Adds a column.
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// Adds a row.
    pub fn row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push(if self.grouping {
            Row::Member(cells)
        } else {
            Row::Cells(cells)
        });
        self
    }

    /// Adds a heading over the rows that follow.
    pub fn group(mut self, heading: impl Into<String>) -> Self {
        self.rows.push(Row::Group(heading.into()));
        self.grouping = true;
        self
    }

    /// Rows from here on belong to no heading.
    pub fn end_group(mut self) -> Self {
        self.grouping = false;
        self
    }

    /// Adds a note under the table, such as the method of an interval.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(super) fn html(&self, number: usize) -> String {
        let mut html = String::from("<div class=\"table\"><div class=\"scroll\" tabindex=\"0\">");
        let _ = write!(
            html,
            "<table><caption><b>Table {number}.</b> {}</caption><thead><tr>",
            escape(&self.caption)
        );
        let class = |column: &Column, strong: bool| match (column.numeric, strong) {
            (true, true) => " class=\"n strong\"",
            (true, false) => " class=\"n\"",
            (false, true) => " class=\"strong\"",
            (false, false) => "",
        };
        for column in &self.columns {
            let _ = write!(
                html,
                "<th scope=\"col\"{}>{}",
                class(column, false),
                escape(&column.heading)
            );
            if !column.unit.is_empty() {
                let _ = write!(html, "<span class=\"unit\">{}</span>", escape(&column.unit));
            }
            html.push_str("</th>");
        }
        html.push_str("</tr></thead><tbody>\n");
        for row in &self.rows {
            let (cells, open) = match row {
                Row::Cells(cells) => (cells, "<tr>"),
                Row::Member(cells) => (cells, "<tr class=\"member\">"),
                Row::Group(heading) => {
                    let _ = writeln!(
                        html,
                        "<tr class=\"group\"><th colspan=\"{}\" scope=\"colgroup\">{}</th></tr>",
                        self.columns.len().max(1),
                        escape(heading)
                    );
                    continue;
                }
            };
            html.push_str(open);
            for (index, column) in self.columns.iter().enumerate() {
                let cell = cells.get(index);
                let text = cell.map_or(format::MISSING, |cell| cell.text.as_str());
                let (open, close) = if index == 0 {
                    ("th scope=\"row\"", "th")
                } else {
                    ("td", "td")
                };
                let class = class(column, cell.is_some_and(|cell| cell.strong));
                let _ = write!(html, "<{open}{class}>{}</{close}>", escape(text));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>");
        for note in &self.notes {
            let _ = write!(html, "<p class=\"note\">{}</p>", escape(note));
        }
        html.push_str("</div>\n");
        html
    }
}
