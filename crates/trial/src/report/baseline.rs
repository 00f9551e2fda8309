//! The table of baseline characteristics.

use super::format;
use super::table::{Cell, Column, Table};

/// One characteristic, already summarised in each arm.
#[derive(Debug, Clone, PartialEq)]
pub enum Characteristic {
    /// A number.
    Number {
        /// Name.
        name: String,
        /// Unit; may be empty.
        unit: String,
        /// Digits after the point.
        decimals: usize,
        /// Lower quartile, median and upper quartile in each arm.
        quartiles: Vec<[f64; 3]>,
    },
    /// A property that patients have or not.
    Share {
        /// Name.
        name: String,
        /// Patients with it in each arm.
        counts: Vec<usize>,
    },
    /// A property with several levels.
    Levels {
        /// Name.
        name: String,
        /// Each level and the patients on it in each arm.
        levels: Vec<(String, Vec<usize>)>,
    },
}

/// Who the patients are, by arm: median with quartiles, number with percentage.
pub fn baseline_table(
    caption: impl Into<String>,
    arms: &[(String, usize)],
    characteristics: &[Characteristic],
) -> Table {
    let mut table = Table::new(caption).column(Column::text("Characteristic"));
    for (name, patients) in arms {
        table = table.column(Column::number(
            name,
            format!("n = {}", format::number(*patients as f64, 0)),
        ));
    }
    let shares = |counts: &[usize]| -> Vec<Cell> {
        let counts = counts.iter().zip(arms);
        counts
            .map(|(count, (_, patients))| Cell::share(*count, *patients))
            .collect()
    };
    for characteristic in characteristics {
        match characteristic {
            Characteristic::Number {
                name,
                unit,
                decimals,
                quartiles,
            } => {
                let name = if unit.is_empty() {
                    name.clone()
                } else {
                    format!("{name}, {unit}")
                };
                let mut cells = vec![Cell::text(name)];
                cells.extend(quartiles.iter().map(|[low, middle, high]| {
                    let show = |value: f64| format::number(value, *decimals);
                    Cell::text(format!(
                        "{} ({} to {})",
                        show(*middle),
                        show(*low),
                        show(*high)
                    ))
                }));
                table = table.row(cells);
            }
            Characteristic::Share { name, counts } => {
                let mut cells = vec![Cell::text(name)];
                cells.extend(shares(counts));
                table = table.row(cells);
            }
            Characteristic::Levels { name, levels } => {
                table = table.group(name);
                for (level, counts) in levels {
                    let mut cells = vec![Cell::text(level)];
                    cells.extend(shares(counts));
                    table = table.row(cells);
                }
                table = table.end_group();
            }
        }
    }
    table.note("Median (lower to upper quartile), or patients (%).")
}
