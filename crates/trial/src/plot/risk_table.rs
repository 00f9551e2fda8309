//! The table under the x axis, its columns aligned with the axis.

use super::axis::Scale;
use super::canvas::{Anchor, Canvas, TextStyle};
use super::panel::{Panel, RiskRow};
use super::text::{BOLD, coordinate as c, fit, thinning, width};

/// Length of the line sample before a row's label.
const SAMPLE: f64 = 20.0;

/// A measured table.
pub(super) struct RiskTable<'a> {
    heading: &'a str,
    rows: &'a [RiskRow],
    size: f64,
    /// Labels too long to stand left of the axis stand above their numbers.
    stacked: bool,
}

impl<'a> RiskTable<'a> {
    /// The table of a panel that is `available` wide, if it has one.
    pub(super) fn of(panel: &'a Panel, font: f64, available: f64) -> Option<Self> {
        let (heading, rows) = panel.table.as_ref()?;
        let mut table = Self {
            heading,
            rows,
            size: 0.88 * font,
            stacked: false,
        };
        table.stacked = table.beside() > 0.3 * available;
        Some(table)
    }

    /// Height, with the gap above.
    pub(super) fn height(&self) -> f64 {
        let lines = self.rows.len() * if self.stacked { 2 } else { 1 } + 1;
        lines as f64 * self.line() + 0.5 * self.size
    }

    /// Room needed left of the axis.
    pub(super) fn left_margin(&self) -> f64 {
        if self.stacked {
            self.half_widest(|row| row.cells.first()) + 2.0
        } else {
            self.beside()
        }
    }

    /// Room needed right of the axis.
    pub(super) fn right_margin(&self) -> f64 {
        self.half_widest(|row| row.cells.last()) + 2.0
    }

    /// Draws the table below `top`; the axis begins at `left` and is `plot` wide.
    pub(super) fn draw(
        &self,
        canvas: &mut Canvas,
        scale: &Scale,
        (start, left, plot, top): (f64, f64, f64, f64),
    ) {
        let size = self.size;
        let start = start + 4.0;
        let mut y = top + self.line();
        let faint = TextStyle {
            faint: true,
            ..TextStyle::new(size, Anchor::Start)
        };
        canvas.text(
            start,
            y,
            &fit(self.heading, size, left + plot - start),
            faint,
        );
        for row in self.rows {
            y += self.line();
            let cells: Vec<(f64, &str)> = row
                .cells
                .iter()
                .filter_map(|(at, text)| {
                    let inside = |share: &f64| (-1e-9..=1.0 + 1e-9).contains(share);
                    let share = scale.share(*at).filter(inside)?;
                    Some((left + share * plot, text.as_str()))
                })
                .collect();
            let room = if self.stacked {
                left + plot - start
            } else {
                left - start - cells.first().map_or(0.0, |cell| 0.5 * width(cell.1, size))
            };
            canvas.stroke(
                &format!("M{} {}h{}", c(start), c(y - 0.33 * size), c(SAMPLE)),
                &row.style,
            );
            let bold = TextStyle {
                bold: true,
                ..TextStyle::new(size, Anchor::Start)
            };
            let label = fit(&row.label, BOLD * size, room - SAMPLE - 6.0);
            canvas.text(start + SAMPLE + 6.0, y, &label, bold);
            if self.stacked {
                y += self.line();
            }
            for (x, text) in cells.iter().step_by(thinning(&cells, size, 0.6 * size)) {
                canvas.text(*x, y, text, TextStyle::new(size, Anchor::Middle));
            }
        }
    }

    fn line(&self) -> f64 {
        1.45 * self.size
    }

    /// Room for labels left of the axis.
    fn beside(&self) -> f64 {
        let labels = self
            .rows
            .iter()
            .map(|row| width(&row.label, BOLD * self.size));
        labels.fold(0.0, f64::max) + self.half_widest(|row| row.cells.first()) + SAMPLE + 16.0
    }

    /// Half the widest cell of one column.
    fn half_widest(&self, cell: fn(&RiskRow) -> Option<&(f64, String)>) -> f64 {
        let cells = self.rows.iter().filter_map(cell);
        cells
            .map(|cell| 0.5 * width(&cell.1, self.size))
            .fold(0.0, f64::max)
    }
}
