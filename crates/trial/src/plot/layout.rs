//! Placing a panel's axes, labels and table around its plot area.

use super::PlotError;
use super::axis::Scale;
use super::canvas::{Anchor, Canvas, TextStyle};
use super::draw::{Area, layer};
use super::panel::{Corner, Panel};
use super::risk_table::RiskTable;
use super::style::Style;
use super::text::{BOLD, coordinate as c, fit, thinning, width};

/// Where and how to draw a panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub font: f64,
    pub axis_labels: bool,
}

/// Height of the table under the x axis of a panel of this width.
pub(super) fn table_height(panel: &Panel, font: f64, width: f64) -> f64 {
    RiskTable::of(panel, font, width).map_or(0.0, |table| table.height())
}

fn line(font: f64) -> f64 {
    1.4 * font
}

/// Draws the panel with everything around it.
pub(super) fn panel(
    canvas: &mut Canvas,
    panel: &Panel,
    slot: Slot,
    plot: &str,
) -> Result<(), PlotError> {
    let font = slot.font;
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
    let labelled = |label: &str| slot.axis_labels && !label.is_empty();
    let top = if panel.title.is_empty() && panel.note.is_empty() {
        0.6
    } else {
        1.75
    } * font;
    let label_height = if labelled(&panel.x.label) {
        1.5 * font
    } else {
        0.0
    };
    let table = RiskTable::of(panel, font, slot.width);
    let bottom = 1.9 * font + label_height + table.as_ref().map_or(0.0, RiskTable::height);
    let height = (slot.height - top - bottom).max(20.0);
    let ys = panel.layers.iter().flat_map(|layer| layer.ys());
    let y = panel.y.resolve(name, ys, height, 3.4 * font)?;

    let ticks_width = y
        .ticks
        .iter()
        .map(|tick| width(&tick.label, 0.92 * font))
        .fold(0.0, f64::max);
    let label_width = if labelled(&panel.y.label) {
        1.5 * font
    } else {
        0.0
    };
    let left = (ticks_width + 0.7 * font + label_width)
        .max(table.as_ref().map_or(0.0, RiskTable::left_margin));
    let right = (1.1 * font).max(table.as_ref().map_or(0.0, RiskTable::right_margin));
    let width = (slot.width - left - right).max(20.0);
    let xs = panel.layers.iter().flat_map(|layer| layer.xs());
    let x = panel.x.resolve(name, xs, width, 4.6 * font)?;

    let frame = Frame {
        left: slot.x + left,
        top: slot.y + top,
        width,
        height,
        font,
    };
    frame.title(canvas, panel, slot);
    frame.y_axis(canvas, &y);
    if labelled(&panel.y.label) {
        let style = TextStyle::new(font, Anchor::Middle);
        let (at, middle) = (
            frame.left - ticks_width - 1.2 * font,
            frame.top + 0.5 * height,
        );
        let label = fit(&panel.y.label, font, slot.height);
        // A label longer than the axis stays inside the panel.
        let half = 0.5 * super::text::width(&label, font);
        let middle = middle.clamp(
            slot.y + half.min(0.5 * slot.height),
            slot.y + slot.height - half.min(0.5 * slot.height),
        );
        canvas.text_turned(at, middle, &label, style, true);
    }
    frame.x_axis(canvas, &x);
    if labelled(&panel.x.label) {
        let style = TextStyle::new(font, Anchor::Middle);
        let label = fit(&panel.x.label, font, slot.width);
        let y = frame.top + height + 1.9 * font + 0.9 * font;
        canvas.text(frame.left + 0.5 * width, y, &label, style);
    }
    let area = Area {
        x: &x,
        y: &y,
        width,
        height,
    };
    // Room for line widths and markers at the edges of the range.
    let margin = 4.0;
    let cut = (
        frame.left - margin,
        frame.top - margin,
        width + 2.0 * margin,
        height + 2.0 * margin,
    );
    canvas.clipped(cut, margin, |canvas| {
        for item in &panel.layers {
            layer(canvas, &area, item);
        }
    });
    if panel.layers.is_empty() {
        let style = TextStyle {
            faint: true,
            ..TextStyle::new(font, Anchor::Middle)
        };
        canvas.text(
            frame.left + 0.5 * width,
            frame.top + 0.5 * height,
            "no data",
            style,
        );
    }
    frame.inset(canvas, panel);
    if let Some(table) = table {
        let below = frame.top + height + 1.9 * font + label_height;
        table.draw(canvas, &x, (slot.x, frame.left, width, below));
    }
    Ok(())
}

struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    font: f64,
}

impl Frame {
    fn title(&self, canvas: &mut Canvas, panel: &Panel, slot: Slot) {
        let y = slot.y + 1.05 * self.font;
        let note_size = 0.92 * self.font;
        let note_width = width(&panel.note, note_size);
        let note = TextStyle {
            faint: true,
            ..TextStyle::new(note_size, Anchor::End)
        };
        canvas.text(self.left + self.width, y, &panel.note, note);
        let room = self.width - note_width - if panel.note.is_empty() { 0.0 } else { 8.0 };
        let title = TextStyle {
            bold: true,
            ..TextStyle::new(self.font, Anchor::Start)
        };
        // Bold text is a little wider.
        canvas.text(
            self.left,
            y,
            &fit(&panel.title, BOLD * self.font, room),
            title,
        );
    }

    fn y_axis(&self, canvas: &mut Canvas, scale: &Scale) {
        let style = TextStyle::new(0.92 * self.font, Anchor::End);
        let (mut grid, mut marks) = (String::new(), String::new());
        for tick in &scale.ticks {
            let Some(share) = scale.share(tick.at) else {
                continue;
            };
            let y = self.top + (1.0 - share) * self.height;
            if tick.label.is_empty() {
                marks.push_str(&format!("M{} {}h-2.5", c(self.left), c(y)));
                continue;
            }
            grid.push_str(&format!("M{} {}h{}", c(self.left), c(y), c(self.width)));
            marks.push_str(&format!("M{} {}h-4", c(self.left), c(y)));
            canvas.text(
                self.left - 0.55 * self.font,
                y + 0.32 * self.font,
                &tick.label,
                style,
            );
        }
        canvas.stroke(
            &grid,
            &Style {
                width: 1.0,
                opacity: 0.13,
                ..Style::default()
            },
        );
        marks.push_str(&format!(
            "M{} {}v{}",
            c(self.left),
            c(self.top),
            c(self.height)
        ));
        canvas.stroke(
            &marks,
            &Style {
                width: 1.0,
                opacity: 0.6,
                ..Style::default()
            },
        );
    }

    fn x_axis(&self, canvas: &mut Canvas, scale: &Scale) {
        let size = 0.92 * self.font;
        let style = TextStyle::new(size, Anchor::Middle);
        let bottom = self.top + self.height;
        let mut marks = format!("M{} {}h{}", c(self.left), c(bottom), c(self.width));
        let mut labels = Vec::new();
        for tick in &scale.ticks {
            let Some(share) = scale.share(tick.at) else {
                continue;
            };
            let x = self.left + share * self.width;
            let length = if tick.label.is_empty() { 2.5 } else { 4.0 };
            marks.push_str(&format!("M{} {}v{}", c(x), c(bottom), c(length)));
            if !tick.label.is_empty() {
                labels.push((x, tick.label.as_str()));
            }
        }
        canvas.stroke(
            &marks,
            &Style {
                width: 1.0,
                opacity: 0.6,
                ..Style::default()
            },
        );
        for (x, label) in labels.iter().step_by(thinning(&labels, size, 0.35 * size)) {
            canvas.text(*x, bottom + 1.35 * self.font, label, style);
        }
    }

    fn inset(&self, canvas: &mut Canvas, panel: &Panel) {
        let Some((corner, lines)) = &panel.inset else {
            return;
        };
        let size = 0.92 * self.font;
        let total = lines.len() as f64 * line(size);
        let (x, anchor) = match corner {
            Corner::TopRight | Corner::BottomRight => (self.left + self.width - 6.0, Anchor::End),
            Corner::TopLeft | Corner::BottomLeft => (self.left + 8.0, Anchor::Start),
        };
        let first = match corner {
            Corner::TopRight | Corner::TopLeft => self.top + 1.1 * size,
            Corner::BottomLeft | Corner::BottomRight => self.top + self.height - total + 0.6 * size,
        };
        for (index, text) in lines.iter().enumerate() {
            let text = fit(text, size, self.width - 16.0);
            canvas.text(
                x,
                first + index as f64 * line(size),
                &text,
                TextStyle::new(size, anchor),
            );
        }
    }
}
