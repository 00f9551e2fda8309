//! Tables of results with units, for whoever writes files.

use serde::Serialize;

/// A table: columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// Name of the file without its ending.
    pub name: String,
    /// Columns of equal length.
    pub columns: Vec<Column>,
}

/// A named column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Unique in the table.
    pub name: String,
    /// Unit of numbers; empty for text and flags.
    pub unit: String,
    /// What the numbers are.
    pub description: String,
    /// One value per row.
    pub values: Values,
}

/// Values of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    /// Names and codes.
    Text(Vec<String>),
    /// Numbers; NaN where there is none.
    Number(Vec<f64>),
    /// Yes or no.
    Flag(Vec<bool>),
}

impl Values {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Flag(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    /// An empty table.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            columns: Vec::new(),
        }
    }

    /// Adds a column.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        unit: impl Into<String>,
        description: impl Into<String>,
        values: Values,
    ) {
        let (name, unit, description) = (name.into(), unit.into(), description.into());
        self.columns.push(Column {
            name,
            unit,
            description,
            values,
        });
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The numbers of the column of this name.
    pub fn numbers(&self, name: &str) -> Option<&[f64]> {
        match &self.column(name)?.values {
            Values::Number(values) => Some(values),
            _ => None,
        }
    }

    /// The texts of the column of this name.
    pub fn texts(&self, name: &str) -> Option<&[String]> {
        match &self.column(name)?.values {
            Values::Text(values) => Some(values),
            _ => None,
        }
    }

    /// The flags of the column of this name.
    pub fn flags(&self, name: &str) -> Option<&[bool]> {
        match &self.column(name)?.values {
            Values::Flag(values) => Some(values),
            _ => None,
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
