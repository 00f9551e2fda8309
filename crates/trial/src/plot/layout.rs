//! Placing a panel's axes, labels and table around its plot area.

use super::PlotError;
use super::axis::Scale;
use super::canvas::{Anchor, Canvas, TextStyle};
use super::draw::{Area, layer};
use super::frame::{Frame, ticks_height};
use super::free;
use super::panel::{Corner, Panel};
use super::risk_table::RiskTable;
use super::text::{fit, width, wrap};

/// Where and how to draw a panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub font: f64,
    pub axis_labels: bool,
    /// Lines that the title may take, the same for panels side by side.
    pub title_lines: usize,
}

/// Height of the table under the x axis of a panel of this width.
pub(super) fn table_height(panel: &Panel, font: f64, width: f64) -> f64 {
    RiskTable::of(panel, font, width).map_or(0.0, |table| table.height())
}

/// Lines that the title of a panel of this width needs, at most two.
pub(super) fn title_lines(panel: &Panel, font: f64, slot: f64) -> usize {
    let note = width(&panel.note, 0.92 * font);
    let room = (0.76 * slot - note).max(40.0);
    wrap(&panel.title, super::text::BOLD * font, room, 2).len()
}

/// Share of a panel that the names of rows may take.
const NAMES: f64 = 0.36;

/// Height that a row needs for the longest of the names, at most four lines.
pub(super) fn row_height<S: AsRef<str>>(names: &[S], font: f64, slot: f64) -> f64 {
    let size = 0.92 * font;
    let lines = names
        .iter()
        .map(|name| wrap(name.as_ref(), size, NAMES * slot, 4).len());
    1.15 * size * lines.max().unwrap_or(1) as f64 + 0.5 * font
}

/// Height of a line of text.
pub(super) fn line(font: f64) -> f64 {
    1.4 * font
}

/// Lines of a named tick at most.
const NAME_LINES: usize = 4;

/// What one pass of measuring found out for the next.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Needs {
    /// Lines under the x axis.
    column_lines: usize,
    /// Room right of the plot area.
    right: f64,
    /// Room for text between title and plot area.
    band: f64,
}

/// A panel with everything in place.
struct Measured<'a> {
    panel: &'a Panel,
    slot: Slot,
    frame: Frame,
    x: Scale,
    y: Scale,
    x_label: Vec<String>,
    y_label: Vec<String>,
    ticks_width: f64,
    table: Option<RiskTable<'a>>,
    needs: Needs,
}

/// Draws the panel with everything around it.
pub(super) fn panel(
    canvas: &mut Canvas,
    panel: &Panel,
    slot: Slot,
    plot: &str,
) -> Result<(), PlotError> {
    let name = if panel.title.is_empty() {
        plot
    } else {
        &panel.title
    };
    for layer in &panel.layers {
        if let Some((first, second)) = layer.mismatch() {
            return Err(PlotError::LengthsDiffer {
                plot: name.to_owned(),
                series: layer.label.clone(),
                first,
                second,
            });
        }
    }
    let needs = Needs {
        column_lines: usize::from(!panel.x.is_bare()),
        right: 1.1 * slot.font,
        band: 0.0,
    };
    let mut measured = Measured::of(panel, slot, name, needs)?;
    // The width of labels depends on the ticks, and these on the room: twice is enough.
    for _ in 0..2 {
        let needs = measured.needed();
        if needs == measured.needs {
            break;
        }
        measured = Measured::of(panel, slot, name, needs)?;
    }
    let mut corner = None;
    if let Some((wanted, lines)) = &panel.inset {
        corner = measured.free_corner(*wanted, lines);
        if corner.is_none() {
            let band = lines.len() as f64 * line(0.92 * slot.font) + 2.0;
            let needs = Needs {
                band,
                ..measured.needs
            };
            measured = Measured::of(panel, slot, name, needs)?;
        }
    }
    measured.draw(canvas, corner);
    Ok(())
}

impl<'a> Measured<'a> {
    fn of(panel: &'a Panel, slot: Slot, name: &str, needs: Needs) -> Result<Self, PlotError> {
        let font = slot.font;
        let label = |text: &str, room: f64| {
            if slot.axis_labels {
                wrap(text, font, room, 2)
            } else {
                Vec::new()
            }
        };
        let header = if panel.title.is_empty() && panel.note.is_empty() {
            0.6 * font
        } else {
            1.75 * font + line(font) * (slot.title_lines.max(1) - 1) as f64
        };
        let top = header + needs.band;
        let x_label = label(&panel.x.label, 0.95 * slot.width);
        let table = RiskTable::of(panel, font, slot.width);
        let ticks = ticks_height(font, needs.column_lines);
        let below = table.as_ref().map_or(0.0, RiskTable::height);
        let bottom = ticks + 1.3 * font * x_label.len() as f64 + 0.2 * font + below;
        let height = (slot.height - top - bottom).max(20.0);
        // Beside the axis and its ticks only, clear of the label below.
        let y_label = label(&panel.y.label, top + height + ticks);
        let ys = panel.layers.iter().flat_map(|layer| layer.ys());
        let y = panel.y.resolve(name, ys, height, 3.4 * font)?;

        let size = 0.92 * font;
        let names = y.ticks.iter().map(|tick| width(&tick.label, size));
        let mut ticks_width = names.fold(0.0, f64::max);
        if y.named {
            ticks_width = ticks_width.min(NAMES * slot.width);
        }
        let left = (ticks_width + 0.7 * font + 1.4 * font * y_label.len() as f64)
            .max(table.as_ref().map_or(0.0, RiskTable::left_margin));
        let right = needs
            .right
            .max(table.as_ref().map_or(0.0, RiskTable::right_margin));
        let width = (slot.width - left - right).max(20.0);
        let xs = panel.layers.iter().flat_map(|layer| layer.xs());
        let x = panel.x.resolve(name, xs, width, 4.6 * font)?;
        let frame = Frame {
            left: slot.x + left,
            top: slot.y + top,
            width,
            height,
            font,
            header: slot.y,
            names: ticks_width,
            column_lines: needs.column_lines,
        };
        Ok(Self {
            panel,
            slot,
            frame,
            x,
            y,
            x_label,
            y_label,
            ticks_width,
            table,
            needs,
        })
    }

    /// The room that the labels under the x axis turn out to need.
    fn needed(&self) -> Needs {
        let size = 0.92 * self.slot.font;
        if self.x.named {
            let pitch = self.frame.column_pitch(&self.x);
            let lines = self
                .x
                .ticks
                .iter()
                .map(|tick| wrap(&tick.label, size, pitch, NAME_LINES).len());
            return Needs {
                column_lines: lines.max().unwrap_or(1).max(1),
                ..self.needs
            };
        }
        // A label under the end of the axis stays inside the slot.
        let beyond = self.x.ticks.iter().filter_map(|tick| {
            let share = self.x.share(tick.at)?;
            Some(0.5 * width(&tick.label, size) - (1.0 - share) * self.frame.width)
        });
        let area = self.area();
        let texts = self.frame.label_boxes(&area, &self.panel.layers);
        let texts = texts.map(|(_, _, right, _)| right - self.frame.left - self.frame.width);
        Needs {
            right: beyond.chain(texts).fold(self.needs.right, f64::max).ceil(),
            ..self.needs
        }
    }

    fn area(&self) -> Area<'_> {
        Area {
            x: &self.x,
            y: &self.y,
            width: self.frame.width,
            height: self.frame.height,
        }
    }

    /// The wanted corner, or another, in which these lines cover no data.
    fn free_corner(&self, wanted: Corner, lines: &[String]) -> Option<Corner> {
        use Corner::{BottomLeft, BottomRight, TopLeft, TopRight};
        let area = self.area();
        let candidates = [wanted, TopRight, TopLeft, BottomLeft, BottomRight];
        candidates.into_iter().find(|corner| {
            let (left, top, right, bottom) = self.frame.inset_box(*corner, lines);
            let (x, y) = (self.frame.left, self.frame.top);
            let inside =
                right - left + 12.0 <= self.frame.width && bottom - top + 8.0 <= self.frame.height;
            let room = (
                left - x - 4.0,
                top - y - 4.0,
                right - x + 4.0,
                bottom - y + 4.0,
            );
            inside && free::is_free(&area, &self.panel.layers, room)
        })
    }

    /// `corner`: where the inset goes; above the plot area if nowhere inside.
    fn draw(&self, canvas: &mut Canvas, corner: Option<Corner>) {
        let (frame, panel, slot) = (&self.frame, self.panel, self.slot);
        let font = slot.font;
        frame.title(canvas, panel, slot);
        frame.y_axis(canvas, &self.y);
        frame.x_axis(canvas, &self.x);
        let style = TextStyle::new(font, Anchor::Middle);
        // A label longer than the axis stays inside the panel.
        let within = |middle: f64, label: &str, start: f64, length: f64| {
            let half = (0.5 * width(label, font)).min(0.5 * length);
            middle.clamp(start + half, start + length - half)
        };
        let below = frame.top + frame.height + frame.ticks_height();
        let count = self.y_label.len() as f64;
        for (index, label) in self.y_label.iter().enumerate() {
            let back = count - 1.0 - index as f64;
            let at = frame.left - self.ticks_width - 1.2 * font - 1.3 * font * back;
            let middle = frame.top + 0.5 * frame.height;
            let reach = below - slot.y;
            let middle = within(middle, label, slot.y, reach);
            canvas.text_turned(at, middle, label, style, true);
        }
        for (index, label) in self.x_label.iter().enumerate() {
            let y = below + 0.9 * font + 1.3 * font * index as f64;
            let middle = frame.left + 0.5 * frame.width;
            let middle = within(middle, label, slot.x, slot.width);
            canvas.text(middle, y, label, style);
        }
        let area = self.area();
        // Room for line widths and markers at the edges of the range.
        let margin = 4.0;
        let cut = (
            frame.left - margin,
            frame.top - margin,
            frame.width + 2.0 * margin,
            frame.height + 2.0 * margin,
        );
        canvas.clipped(cut, margin, |canvas| {
            for item in &panel.layers {
                layer(canvas, &area, item);
            }
        });
        frame.labels(canvas, &area, &panel.layers, slot);
        if panel.layers.is_empty() {
            let style = TextStyle {
                faint: true,
                ..style
            };
            let (x, y) = (
                frame.left + 0.5 * frame.width,
                frame.top + 0.5 * frame.height,
            );
            canvas.text(x, y, "no data", style);
        }
        if let Some((_, lines)) = &panel.inset {
            match corner {
                Some(corner) => frame.inset(canvas, corner, lines),
                None => frame.band(canvas, lines, self.needs.band),
            }
        }
        if let Some(table) = &self.table {
            let below = below + 1.3 * font * self.x_label.len() as f64 + 0.2 * font;
            table.draw(canvas, &self.x, (slot.x, frame.left, frame.width, below));
        }
    }
}

/// Shortens a list of lines so that each fits.
pub(super) fn fitted(lines: &[String], size: f64, room: f64) -> Vec<String> {
    lines.iter().map(|line| fit(line, size, room)).collect()
}
