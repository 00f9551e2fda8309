//! Drawing a forest plot.

use crate::statistics::Estimate;

use super::axis::{Axis, Scale};
use super::canvas::{Anchor, Canvas, TextStyle};
use super::forest::{Forest, ForestRow};
use super::style::{Colour, Marker, Style};
use super::text::{BOLD, coordinate as c, fit, fixed, width, wrap};
use super::{PlotError, Svg};

const FONT: f64 = 13.0;
/// Height of a row of one line, and of every further line.
const ROW: f64 = 24.0;
const LINE: f64 = 1.2 * FONT;
/// Widest label, heading line and cell.
const LABEL: f64 = 210.0;
const HEADING: f64 = 92.0;
const CELL: f64 = 150.0;
/// Space between columns.
const GUTTER: f64 = 12.0;

/// A column of cells.
struct Column {
    heading: Vec<String>,
    width: f64,
    /// Right edge.
    right: f64,
}

/// Everything in place.
struct Layout<'a> {
    forest: &'a Forest,
    total: f64,
    labels: f64,
    before: Vec<Column>,
    after: Vec<Column>,
    numbers: Column,
    /// Left edge and width of the plot.
    plot: (f64, f64),
    /// Middle and height of each row.
    rows: Vec<(f64, f64)>,
    top: f64,
    bottom: f64,
}

fn row_size(row: &ForestRow) -> f64 {
    if row.bold { BOLD * FONT } else { FONT }
}

pub(super) fn draw(forest: &Forest) -> Result<Svg, PlotError> {
    let layout = Layout::of(forest);
    let (left, plot) = layout.plot;
    let scale = axis(forest, plot).resolve(&forest.title, std::iter::empty(), plot, 4.0 * FONT)?;
    let mut canvas = Canvas::default();
    layout.headings(&mut canvas);
    if let Some(share) = scale.share(forest.reference) {
        let x = left + share.clamp(0.0, 1.0) * plot;
        let style = Style::ink().width(1.0).opacity(0.6);
        let height = layout.bottom - layout.top;
        canvas.stroke(
            &format!("M{} {}v{}", c(x), c(layout.top), c(height)),
            &style,
        );
    }
    let heaviest = forest.rows.iter().map(|row| row.weight).fold(0.0, f64::max);
    for (row, place) in forest.rows.iter().zip(&layout.rows) {
        layout.row(&mut canvas, row, *place);
        if let Some(estimate) = row.estimate {
            let half = 7.0 * (row.weight / heaviest.max(1e-300)).clamp(0.12, 1.0).sqrt();
            let place = (left, plot, place.0);
            draw_estimate(&mut canvas, &scale, place, estimate, row.bold, half);
        }
    }
    let bottom = layout.axis(&mut canvas, &scale);
    let size = (layout.total, bottom);
    Ok(canvas.finish(&forest.title, &forest.description, size, 1.15))
}

impl<'a> Layout<'a> {
    fn of(forest: &'a Forest) -> Self {
        let labels = forest
            .rows
            .iter()
            .filter(|row| row.estimate.is_some() || !row.bold);
        let labels = labels
            .map(|row| row.indent + width(&row.label, row_size(row)))
            .fold(60.0, f64::max)
            .min(LABEL);
        let column = |heading: &str, index: usize, cells: fn(&ForestRow) -> &Vec<String>| {
            // A single column may be as wide as its heading; of several the headings wrap.
            let single = forest.before.len() + forest.after.len() == 1;
            let room = if single { CELL } else { HEADING };
            let cells = forest
                .rows
                .iter()
                .filter_map(|row| Some(width(cells(row).get(index)?, row_size(row))));
            let cells = cells.fold(0.0, f64::max).min(CELL);
            let heading = wrap(heading, FONT, room.max(cells), 5);
            let heading_width = heading
                .iter()
                .map(|line| width(line, FONT))
                .fold(0.0, f64::max);
            Column {
                width: heading_width.max(cells),
                heading,
                right: 0.0,
            }
        };
        // Cells may stand in columns without a heading.
        let count = |headings: &[String], cells: fn(&ForestRow) -> &Vec<String>| {
            let cells = forest.rows.iter().map(|row| cells(row).len());
            cells.fold(headings.len(), usize::max)
        };
        let columns = |headings: &[String], cells: fn(&ForestRow) -> &Vec<String>| {
            let heading = |index: usize| headings.get(index).map_or("", String::as_str);
            let all = 0..count(headings, cells);
            all.map(|index| column(heading(index), index, cells))
                .collect::<Vec<_>>()
        };
        let mut before = columns(&forest.before, |row| &row.before);
        let mut after = columns(&forest.after, |row| &row.after);
        let numbers = forest
            .rows
            .iter()
            .map(|row| width(&forest.numbers(row), row_size(row)));
        let numbers = numbers.fold(0.0, f64::max).max(100.0);
        let heading = wrap(&forest.heading(), FONT, numbers.max(120.0), 3);
        let heading_width = heading
            .iter()
            .map(|line| width(line, FONT))
            .fold(0.0, f64::max);
        let mut numbers = Column {
            width: numbers.max(heading_width),
            heading,
            right: 0.0,
        };
        let mut x = labels;
        for column in &mut before {
            x += GUTTER + column.width;
            column.right = x;
        }
        let left = x + GUTTER + 2.0;
        let right: f64 = numbers.width
            + after
                .iter()
                .map(|column| column.width + GUTTER)
                .sum::<f64>();
        let plot =
            (680.0 - left - right - GUTTER).max(if after.is_empty() { 190.0 } else { 240.0 });
        numbers.right = left + plot + GUTTER + numbers.width;
        let mut x = numbers.right;
        for column in &mut after {
            x += GUTTER + column.width;
            column.right = x;
        }
        let headings = before.iter().chain(&after).chain([&numbers]);
        let lines = headings
            .map(|column| column.heading.len())
            .max()
            .unwrap_or(1);
        let top = 1.9 * FONT + LINE * lines.saturating_sub(1) as f64;
        let mut layout = Self {
            forest,
            total: x + 1.0,
            labels,
            before,
            after,
            numbers,
            plot: (left, plot),
            rows: Vec::new(),
            top,
            bottom: top,
        };
        for row in &forest.rows {
            let height = ROW + LINE * (layout.label(row).len().max(1) - 1) as f64;
            layout.rows.push((layout.bottom + 0.5 * height, height));
            layout.bottom += height;
        }
        layout
    }

    /// Lines of a row's label. A heading may run on to the plot if nothing stands beside it.
    fn label(&self, row: &ForestRow) -> Vec<String> {
        let alone = row.estimate.is_none() && row.before.iter().all(String::is_empty);
        let room = if alone {
            self.plot.0 - GUTTER
        } else {
            self.labels
        };
        wrap(&row.label, row_size(row), room - row.indent + 1.0, 3)
    }

    fn headings(&self, canvas: &mut Canvas) {
        let single = self.before.len() == 1 && self.after.is_empty();
        for column in self.before.iter().chain(&self.after).chain([&self.numbers]) {
            let (x, anchor) = if single && !std::ptr::eq(column, &self.numbers) {
                (column.right - column.width, Anchor::Start)
            } else {
                (column.right, Anchor::End)
            };
            let style = TextStyle {
                faint: true,
                ..TextStyle::new(FONT, anchor)
            };
            let last = self.top - 0.9 * FONT;
            let up = column.heading.len().saturating_sub(1) as f64;
            for (index, text) in column.heading.iter().enumerate() {
                canvas.text(x, last - LINE * (up - index as f64), text, style);
            }
        }
    }

    fn row(&self, canvas: &mut Canvas, row: &ForestRow, (middle, _): (f64, f64)) {
        let base = middle + 0.34 * FONT;
        let size = row_size(row);
        let style = |anchor| TextStyle {
            bold: row.bold,
            ..TextStyle::new(FONT, anchor)
        };
        let label = self.label(row);
        let up = 0.5 * LINE * (label.len().max(1) - 1) as f64;
        for (index, text) in label.iter().enumerate() {
            canvas.text(
                row.indent,
                base - up + LINE * index as f64,
                text,
                style(Anchor::Start),
            );
        }
        let single = self.before.len() == 1 && self.after.is_empty();
        if row.estimate.is_none() && row.before.len() == 1 && !single {
            // A reason in place of numbers may run over all columns.
            let x = self.labels + GUTTER;
            let room = self.numbers.right - x;
            let reason = fit(&row.before[0], size, room);
            canvas.text(x, base, &reason, style(Anchor::Start));
        } else {
            self.cells(canvas, &self.before, (row, &row.before, base), single);
        }
        self.cells(canvas, &self.after, (row, &row.after, base), false);
        let numbers = self.forest.numbers(row);
        canvas.text(self.numbers.right, base, &numbers, style(Anchor::End));
    }

    fn cells(
        &self,
        canvas: &mut Canvas,
        columns: &[Column],
        (row, cells, base): (&ForestRow, &[String], f64),
        left: bool,
    ) {
        for (column, text) in columns.iter().zip(cells) {
            let text = fit(text, row_size(row), column.width + 1.0);
            let (x, anchor) = if left {
                (column.right - column.width, Anchor::Start)
            } else {
                (column.right, Anchor::End)
            };
            let style = TextStyle {
                bold: row.bold,
                ..TextStyle::new(FONT, anchor)
            };
            canvas.text(x, base, &text, style);
        }
    }

    /// The axis and what lies on its sides; returns the bottom edge.
    fn axis(&self, canvas: &mut Canvas, scale: &Scale) -> f64 {
        let ((left, plot), top) = (self.plot, self.bottom);
        let mut marks = format!("M{} {}h{}", c(left), c(top), c(plot));
        let mut free = f64::NEG_INFINITY;
        let size = 0.92 * FONT;
        for tick in &scale.ticks {
            let Some(share) = scale.share(tick.at) else {
                continue;
            };
            let (x, half) = (left + share * plot, 0.5 * width(&tick.label, size));
            marks.push_str(&format!("M{} {}v4", c(x), c(top)));
            if !tick.label.is_empty() && x - half > free {
                let style = TextStyle::new(size, Anchor::Middle);
                canvas.text(x, top + 1.35 * FONT, &tick.label, style);
                free = x + half + 5.0;
            }
        }
        let style = Style::ink().width(1.0).opacity(0.6);
        canvas.stroke(&marks, &style);
        let mut bottom = top + 1.9 * FONT;
        let (Some((less, more)), Some(share)) =
            (&self.forest.favours, scale.share(self.forest.reference))
        else {
            return bottom;
        };
        let x = left + share.clamp(0.0, 1.0) * plot;
        let style = |anchor| TextStyle {
            faint: true,
            ..TextStyle::new(size, anchor)
        };
        let sides = [
            (x - 8.0, x - 8.0, Anchor::End, format!("\u{2190} {less}")),
            (
                x + 8.0,
                self.total - x - 8.0,
                Anchor::Start,
                format!("{more} \u{2192}"),
            ),
        ];
        let mut lines = 1;
        for (at, room, anchor, text) in sides {
            let parts = wrap(&text, size, room, 3);
            lines = lines.max(parts.len());
            for (index, part) in parts.iter().enumerate() {
                let y = bottom + 0.9 * FONT + LINE * index as f64;
                canvas.text(at, y, part, style(anchor));
            }
        }
        bottom += 1.5 * FONT + LINE * (lines - 1) as f64;
        bottom
    }
}

fn axis(forest: &Forest, plot: f64) -> Axis {
    let (low, high) = forest.range();
    if forest.logarithmic {
        let axis = Axis::new(&forest.effect).log().range(low, high);
        return axis.ticks(ratio_ticks(low, high, (plot / (2.8 * FONT)) as usize));
    }
    Axis::new(&forest.effect).range(low, high)
}

/// The densest of a few sets of round ratios with at most `most` ticks in the range.
fn ratio_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let sets: [&[u32]; 4] = [&[1, 2, 3, 5, 7], &[1, 2, 5], &[1, 3], &[1]];
    let ticks = |digits: &[u32]| -> Vec<(f64, String)> {
        let decades = -3..=3;
        decades
            .flat_map(|exponent: i32| digits.iter().map(move |digit| (exponent, *digit)))
            .map(|(exponent, digit)| {
                let at = f64::from(digit) * 10f64.powi(exponent);
                (at, fixed(at, (-exponent).max(0) as usize))
            })
            .filter(|(at, _)| (low..=high).contains(at))
            .collect()
    };
    let fitting = sets
        .iter()
        .map(|digits| ticks(digits))
        .find(|ticks| ticks.len() <= most);
    fitting.unwrap_or_else(|| ticks(&[1]))
}

/// Interval with arrowheads where it leaves the axis, and a marker or a diamond.
fn draw_estimate(
    canvas: &mut Canvas,
    scale: &Scale,
    (left, plot, y): (f64, f64, f64),
    estimate: Estimate,
    overall: bool,
    half: f64,
) {
    let share = |value: f64, beyond: f64| scale.share(value).unwrap_or(beyond);
    let at = |share: f64| left + share.clamp(0.0, 1.0) * plot;
    let (low, middle, high) = (
        share(estimate.low, -1.0),
        share(estimate.value, f64::NAN),
        share(estimate.high, 2.0),
    );
    if !middle.is_finite() {
        return;
    }
    let style = Style::ink().width(1.5);
    if overall {
        let (a, b, m) = (at(low), at(high), at(middle));
        let path = format!(
            "M{} {y}L{} {}L{} {y}L{} {}z",
            c(a),
            c(m),
            c(y - 7.0),
            c(b),
            c(m),
            c(y + 7.0),
            y = c(y)
        );
        canvas.fill(&path, Colour::Vermilion.css(), 1.0);
    } else {
        canvas.stroke(&format!("M{} {}H{}", c(at(low)), c(y), c(at(high))), &style);
    }
    if low < 0.0 {
        let path = format!("M{} {}l-6 4.5l6 4.5", c(left + 6.0), c(y - 4.5));
        canvas.stroke(&path, &style);
    }
    if high > 1.0 {
        let path = format!("M{} {}l6 4.5l-6 4.5", c(left + plot - 6.0), c(y - 4.5));
        canvas.stroke(&path, &style);
    }
    if !overall && (0.0..=1.0).contains(&middle) {
        let marker = format!("M{} {}{}", c(at(middle)), c(y), Marker::Square.path(half));
        canvas.fill(&marker, Colour::Blue.css(), 1.0);
    }
}
