//! Reports: one HTML file that needs nothing else, readable on a phone and on paper.
//!
//! A [`Report`] is a list of [`Section`]s of text, [`Table`]s and figures. Every string is
//! escaped; drawings enter only as [`crate::plot::Svg`], which only the plot module makes. The
//! page forbids itself all network access, follows the reader's light or dark setting, and always
//! ends with "Limits and use". Output depends on the input alone: no clock, no random ids.
//!
//! ```
//! use posology_trial::report::{Cell, Column, Report, Section, Table};
//! use posology_trial::statistics::Estimate;
//!
//! let ratio = Estimate { value: 0.225, low: 0.096, high: 0.532, level: 0.95 };
//! let table = Table::new("Effect of the adaptive schedule")
//!     .column(Column::text("Endpoint"))
//!     .column(Column::number("Hazard ratio (95 % CI)", ""))
//!     .row(vec![Cell::text("Time to progression"), Cell::estimate(&ratio, 2)]);
//! let html = Report::new("Abiraterone, replayed")
//!     .section(Section::new("Results").paragraph("32 patients.").table(table))
//!     .provenance("Seed", "7")
//!     .limit("The model knows two kinds of cell only.")
//!     .render();
//! assert!(html.contains("0.23 (0.10 to 0.53)"));
//! ```

mod baseline;
mod credibility;
mod format;
#[cfg(test)]
mod gallery;
mod page;
mod section;
mod table;
#[cfg(test)]
mod tests;
mod toxicity;

pub use baseline::{Characteristic, baseline_table};
pub use credibility::{Credibility, Grade, Graded, Uncertainty, Validation, Verification};
pub use format::{estimate, number, p_value, percent, significant, time_estimate};
pub use page::{KeyFigure, Report};
pub use section::Section;
pub use table::{Cell, Column, Table};
pub use toxicity::toxicity_table;
