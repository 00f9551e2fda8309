//! The plot area of a panel and the text around it.

use super::axis::Scale;
use super::canvas::{Anchor, Canvas, TextStyle};
use super::draw::Area;
use super::layer::{Layer, Shape};
use super::layout::{Slot, fitted, line};
use super::panel::{Corner, Panel};
use super::style::Style;
use super::text::{BOLD, coordinate as c, fit, thinning, width, wrap};

/// Where the plot area lies.
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub font: f64,
    /// Where the title begins.
    pub header: f64,
    /// Room for the labels of the y axis.
    pub names: f64,
    /// Lines of labels under the x axis.
    pub column_lines: usize,
}

fn axis_style(opacity: f64) -> Style {
    Style {
        width: 1.0,
        opacity,
        ..Style::default()
    }
}

/// Height of this many lines of labels under an axis.
pub(super) fn ticks_height(font: f64, lines: usize) -> f64 {
    match lines.checked_sub(1) {
        None => 0.5 * font,
        Some(more) => 1.9 * font + 1.15 * font * more as f64,
    }
}

impl Frame {
    /// Height of the labels under the x axis.
    pub(super) fn ticks_height(&self) -> f64 {
        ticks_height(self.font, self.column_lines)
    }

    /// Room for the name of one column.
    pub(super) fn column_pitch(&self, scale: &Scale) -> f64 {
        (self.width / (scale.high - scale.low) - 0.4 * self.font).max(8.0)
    }

    pub(super) fn title(&self, canvas: &mut Canvas, panel: &Panel, slot: Slot) {
        let y = self.header + 1.05 * self.font;
        let note_size = 0.92 * self.font;
        let note_text = fit(&panel.note, note_size, 0.7 * self.width);
        let note_width = width(&note_text, note_size);
        let note = TextStyle {
            faint: true,
            ..TextStyle::new(note_size, Anchor::End)
        };
        canvas.text(self.left + self.width, y, &note_text, note);
        let room = self.width - note_width - if panel.note.is_empty() { 0.0 } else { 8.0 };
        let title = TextStyle {
            bold: true,
            ..TextStyle::new(self.font, Anchor::Start)
        };
        // Bold text is a little wider.
        let lines = wrap(
            &panel.title,
            BOLD * self.font,
            room,
            slot.title_lines.max(1),
        );
        for (index, text) in lines.iter().enumerate() {
            let down = index as f64 * 1.25 * self.font;
            canvas.text(self.left, y + down, text, title);
        }
    }

    pub(super) fn y_axis(&self, canvas: &mut Canvas, scale: &Scale) {
        let size = 0.92 * self.font;
        let style = TextStyle::new(size, Anchor::End);
        let (mut grid, mut marks) = (String::new(), String::new());
        let pitch = self.height / (scale.high - scale.low).abs();
        let most = ((pitch / (1.15 * size)) as usize).clamp(1, 4);
        // Rows lower than a line of text are named one by one as room allows.
        let mut free = f64::NEG_INFINITY;
        for tick in &scale.ticks {
            let Some(share) = scale.share(tick.at) else {
                continue;
            };
            let y = self.top + (1.0 - share) * self.height;
            if tick.label.is_empty() {
                if !scale.named {
                    marks.push_str(&format!("M{} {}h-2.5", c(self.left), c(y)));
                }
                continue;
            }
            let mut lines = vec![tick.label.clone()];
            if scale.named {
                if y < free {
                    continue;
                }
                free = y + 1.1 * size;
                lines = wrap(&tick.label, size, self.names + 1.0, most);
            } else {
                grid.push_str(&format!("M{} {}h{}", c(self.left), c(y), c(self.width)));
                marks.push_str(&format!("M{} {}h-4", c(self.left), c(y)));
            }
            let first = y + 0.32 * self.font - 0.575 * size * (lines.len() as f64 - 1.0);
            for (index, text) in lines.iter().enumerate() {
                let y = first + 1.15 * size * index as f64;
                canvas.text(self.left - 0.55 * self.font, y, text, style);
            }
        }
        canvas.stroke(&grid, &axis_style(0.13));
        let axis = format!("M{} {}v{}", c(self.left), c(self.top), c(self.height));
        marks.push_str(&axis);
        canvas.stroke(&marks, &axis_style(0.6));
    }

    pub(super) fn x_axis(&self, canvas: &mut Canvas, scale: &Scale) {
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
        canvas.stroke(&marks, &axis_style(0.6));
        let first = bottom + 1.35 * self.font;
        if scale.named {
            let pitch = self.column_pitch(scale);
            for (x, label) in labels {
                let lines = wrap(label, size, pitch, self.column_lines);
                for (index, text) in lines.iter().enumerate() {
                    let y = first + 1.15 * self.font * index as f64;
                    canvas.text(x, y, text, style);
                }
            }
            return;
        }
        for (x, label) in labels.iter().step_by(thinning(&labels, size, 0.35 * size)) {
            canvas.text(*x, first, label, style);
        }
    }

    /// Left, top, right and bottom of an inset.
    pub(super) fn inset_box(&self, corner: Corner, lines: &[String]) -> (f64, f64, f64, f64) {
        let size = 0.92 * self.font;
        let wide = lines
            .iter()
            .map(|text| width(text, size))
            .fold(0.0, f64::max);
        let high = lines.len() as f64 * line(size);
        let left = match corner {
            Corner::TopRight | Corner::BottomRight => self.left + self.width - 6.0 - wide,
            Corner::TopLeft | Corner::BottomLeft => self.left + 8.0,
        };
        let top = match corner {
            Corner::TopRight | Corner::TopLeft => self.top + 2.0,
            Corner::BottomLeft | Corner::BottomRight => self.top + self.height - high - 4.0,
        };
        (left, top, left + wide, top + high)
    }

    pub(super) fn inset(&self, canvas: &mut Canvas, corner: Corner, lines: &[String]) {
        let size = 0.92 * self.font;
        let (left, top, right, _) = self.inset_box(corner, lines);
        let (x, anchor) = match corner {
            Corner::TopRight | Corner::BottomRight => (right, Anchor::End),
            Corner::TopLeft | Corner::BottomLeft => (left, Anchor::Start),
        };
        for (index, text) in fitted(lines, size, self.width - 12.0).iter().enumerate() {
            let y = top + 1.05 * size + index as f64 * line(size);
            canvas.text(x, y, text, TextStyle::new(size, anchor));
        }
    }

    /// Lines of text above the plot area, in a band of this height.
    pub(super) fn band(&self, canvas: &mut Canvas, lines: &[String], height: f64) {
        let size = 0.92 * self.font;
        let x = self.left + self.width;
        for (index, text) in fitted(lines, size, self.width).iter().enumerate() {
            let y = self.top - height + 0.7 * size + index as f64 * line(size);
            canvas.text(x, y, text, TextStyle::new(size, Anchor::End));
        }
    }

    /// Where the texts at points would stand: left, top, right and bottom.
    pub(super) fn label_boxes<'a>(
        &'a self,
        area: &'a Area<'a>,
        layers: &'a [Layer],
    ) -> impl Iterator<Item = (f64, f64, f64, f64)> + 'a {
        self.label_texts(area, layers).map(|(room, _)| room)
    }

    fn label_texts<'a>(
        &'a self,
        area: &'a Area<'a>,
        layers: &'a [Layer],
    ) -> impl Iterator<Item = ((f64, f64, f64, f64), &'a str)> + 'a {
        let size = self.label_size();
        let layers = layers.iter().filter_map(|layer| match &layer.shape {
            Shape::Labels {
                x,
                y,
                texts,
                shift,
                anchor,
            } => Some((x.iter().zip(y).zip(texts), shift, anchor)),
            _ => None,
        });
        layers.flat_map(move |(texts, shift, anchor)| {
            texts.filter_map(move |((&x, &y), text)| {
                let (x, y) = (area.across(x)?, area.up(y)?);
                let wide = width(text, size);
                let (x, base) = (self.left + x + shift.0, self.top + y + shift.1);
                let left = match anchor {
                    Anchor::Start => x,
                    Anchor::Middle => x - 0.5 * wide,
                    Anchor::End => x - wide,
                };
                Some((
                    (left, base - 0.8 * size, left + wide, base + 0.2 * size),
                    text.as_str(),
                ))
            })
        })
    }

    fn label_size(&self) -> f64 {
        0.85 * self.font
    }

    /// The texts at points, each inside the slot and clear of those before.
    pub(super) fn labels(&self, canvas: &mut Canvas, area: &Area, layers: &[Layer], slot: Slot) {
        let size = self.label_size();
        let mut taken: Vec<(f64, f64, f64, f64)> = Vec::new();
        for ((left, top, right, bottom), text) in self.label_texts(area, layers) {
            let left = left.min(slot.x + slot.width - (right - left)).max(slot.x);
            let (right, down) = (left + width(text, size), (slot.y - top).max(0.0));
            let (top, bottom) = (top + down, bottom + down);
            let overlaps = |other: &(f64, f64, f64, f64)| {
                left < other.2 + 2.0 && other.0 < right + 2.0 && top < other.3 && other.1 < bottom
            };
            if !taken.iter().any(overlaps) {
                let style = TextStyle::new(size, Anchor::Start);
                canvas.text(left, bottom - 0.2 * size, text, style);
                taken.push((left, top, right, bottom));
            }
        }
    }
}
