//! A figure: one panel, or a grid of them, with one legend.

use super::PlotError;
use super::canvas::{Anchor, Canvas, Svg, TextStyle};
use super::layer::{Layer, Shape};
use super::layout::{Slot, panel, table_height, title_lines};
use super::panel::Panel;
use super::text::{BOLD, coordinate as c, fit, width, wrap};

const GAP: f64 = 14.0;

/// Panels laid out together.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    title: String,
    description: String,
    panels: Vec<Panel>,
    columns: usize,
    panel_size: (f64, f64),
    font: f64,
    legend: bool,
    heights: Vec<f64>,
    beside: (f64, Vec<Vec<String>>),
}

impl Figure {
    /// One panel, 520 by 330, which a page may enlarge by a quarter. `title` is what a screen reader announces; it is not printed.
    pub fn new(title: impl Into<String>, panel: Panel) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            panels: vec![panel],
            columns: 1,
            panel_size: (520.0, 330.0),
            font: 13.0,
            legend: true,
            heights: Vec::new(),
            beside: (0.0, Vec::new()),
        }
    }

    /// Small multiples in rows of `columns`, each 230 by 170.
    pub fn grid(title: impl Into<String>, panels: Vec<Panel>, columns: usize) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            columns: columns.clamp(1, panels.len().max(1)),
            panels,
            panel_size: (230.0, 170.0),
            font: 11.5,
            legend: true,
            heights: Vec::new(),
            beside: (0.0, Vec::new()),
        }
    }

    /// A longer description for screen readers: what the figure shows, in words.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Size of each panel, axes included, without the table under it.
    pub fn panel_size(mut self, width: f64, height: f64) -> Self {
        self.panel_size = (width.clamp(120.0, 4000.0), height.clamp(100.0, 4000.0));
        self
    }

    /// Heights of the panels one by one, in place of [`Self::panel_size`]'s.
    pub(super) fn panel_heights(mut self, heights: Vec<f64>) -> Self {
        self.heights = heights;
        self
    }

    /// Size of the text.
    pub(super) fn font(mut self, size: f64) -> Self {
        self.font = size;
        self
    }

    /// Lines of text right of each panel of a single column, the first of them bold, in a column
    /// of this width. Lines wrap.
    pub(super) fn beside(mut self, width: f64, lines: Vec<Vec<String>>) -> Self {
        self.beside = (width, lines);
        self
    }

    /// Leaves out the legend.
    pub fn without_legend(mut self) -> Self {
        self.legend = false;
        self
    }

    /// The panels.
    pub fn panels(&self) -> &[Panel] {
        &self.panels
    }

    /// Draws all panels into one image.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without panels, `LengthsDiffer`, `Range`.
    pub fn render(&self) -> Result<Svg, PlotError> {
        self.require_panels()?;
        let shared = self.panels.len() > 1;
        let same = |label: fn(&Panel) -> &str| {
            shared
                && self
                    .panels
                    .iter()
                    .all(|panel| label(panel) == label(&self.panels[0]))
        };
        let (shared_x, shared_y) = (same(|p| &p.x.label), same(|p| &p.y.label));
        let outer = shared_x && shared_y;
        let margin = if outer { 1.8 * self.font } else { 0.0 };
        let (w, _) = self.panel_size;
        let columns = self.columns as f64;
        let main = margin + columns * w + (columns - 1.0) * GAP;
        let total = main + self.beside.0;

        let titles = self.title_lines();
        let mut canvas = Canvas::default();
        let mut top = self.draw_legend(&mut canvas, total, margin);
        let start = top;
        for (number, row) in self.panels.chunks(self.columns).enumerate() {
            let first = number * self.columns;
            let heights = (first..first + row.len()).map(|at| self.height(at));
            let h = heights.fold(0.0, f64::max) + self.title_room(titles);
            let table = row
                .iter()
                .map(|p| table_height(p, self.font, w))
                .fold(0.0, f64::max);
            for (index, item) in row.iter().enumerate() {
                let slot = Slot {
                    x: margin + index as f64 * (w + GAP),
                    y: top,
                    width: w,
                    height: h + table_height(item, self.font, w),
                    font: self.font,
                    axis_labels: !outer,
                    title_lines: titles,
                };
                panel(&mut canvas, item, slot, &self.title)?;
                self.draw_beside(&mut canvas, first + index, (main, top));
            }
            top += h + table + if shared { 0.6 * GAP } else { 0.0 };
        }
        if outer {
            let style = TextStyle::new(1.1 * self.font, Anchor::Middle);
            let first = &self.panels[0];
            let size = 1.1 * self.font;
            let label = fit(&first.y.label, size, top - start);
            canvas.text_turned(size, 0.5 * (start + top), &label, style, true);
            let label = fit(&first.x.label, size, total - margin);
            let middle = 0.5 * (margin + main);
            canvas.text(middle, top + 0.9 * self.font, &label, style);
            top += 1.6 * self.font;
        }
        let growth = if shared { 1.0 } else { 1.25 };
        Ok(canvas.finish(&self.title, &self.description, (total, top), growth))
    }

    /// Draws each panel as an image of its own, to be arranged by the page (on a phone, below one
    /// another), and the legend as one more image unless there is none.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_each(&self) -> Result<(Option<Svg>, Vec<Svg>), PlotError> {
        self.require_panels()?;
        let (w, _) = self.panel_size;
        let titles = self.title_lines();
        let mut canvas = Canvas::default();
        let height = self.draw_legend(&mut canvas, 2.0 * w, 0.0);
        let legend = (height > 0.0).then(|| {
            canvas.finish(
                &format!("Legend: {}", self.title),
                "",
                (2.0 * w, height),
                1.0,
            )
        });
        let images = self.panels.iter().enumerate().map(|(at, item)| {
            let mut canvas = Canvas::default();
            let height =
                self.height(at) + self.title_room(titles) + table_height(item, self.font, w);
            let slot = Slot {
                x: 0.0,
                y: 0.0,
                width: w,
                height,
                font: self.font,
                axis_labels: true,
                title_lines: titles,
            };
            panel(&mut canvas, item, slot, &self.title)?;
            let parts = [self.title.as_str(), &item.title, &item.note];
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            Ok(canvas.finish(&parts.join(", "), "", (w, height), 1.25))
        });
        Ok((legend, images.collect::<Result<_, PlotError>>()?))
    }

    /// Room for lines of a title beyond the first.
    fn title_room(&self, lines: usize) -> f64 {
        1.4 * self.font * lines.saturating_sub(1) as f64
    }

    /// Height of one panel, without the table under it.
    fn height(&self, panel: usize) -> f64 {
        let own = self.heights.get(panel).copied();
        own.unwrap_or(self.panel_size.1)
    }

    fn draw_beside(&self, canvas: &mut Canvas, panel: usize, (x, top): (f64, f64)) {
        let (room, lines) = &self.beside;
        let mut y = top + 2.9 * self.font;
        for (index, text) in lines.get(panel).into_iter().flatten().enumerate() {
            let style = TextStyle {
                bold: index == 0,
                ..TextStyle::new(self.font, Anchor::Start)
            };
            let size = if index == 0 {
                BOLD * self.font
            } else {
                self.font
            };
            for line in wrap(text, size, room - 8.0, 3) {
                canvas.text(x + 8.0, y, &line, style);
                y += 1.35 * self.font;
            }
        }
    }

    fn title_lines(&self) -> usize {
        let lines = |panel| title_lines(panel, self.font, self.panel_size.0);
        self.panels.iter().map(lines).max().unwrap_or(1)
    }

    fn require_panels(&self) -> Result<(), PlotError> {
        if self.panels.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "panel",
            });
        }
        Ok(())
    }

    /// Draws the legend at the top and returns its height.
    fn draw_legend(&self, canvas: &mut Canvas, total: f64, margin: f64) -> f64 {
        let mut entries: Vec<&Layer> = Vec::new();
        for layer in self.panels.iter().flat_map(|panel| &panel.layers) {
            if !layer.label.is_empty() && entries.iter().all(|entry| entry.label != layer.label) {
                entries.push(layer);
            }
        }
        if !self.legend || entries.is_empty() {
            return 0.0;
        }
        let (swatch, gap) = (26.0, 16.0);
        let (mut x, mut y) = (margin + 6.0, 1.2 * self.font);
        for entry in entries {
            let room = total - margin - swatch - 24.0;
            let lines = wrap(&entry.label, self.font, room, 2);
            let widest = lines.iter().map(|line| width(line, self.font));
            let length = swatch + 6.0 + widest.fold(0.0, f64::max);
            if x > margin + 6.0 && x + length > total {
                x = margin + 6.0;
                y += 1.5 * self.font;
            }
            draw_swatch(canvas, entry, (x, y - 0.35 * self.font, swatch));
            for (index, line) in lines.iter().enumerate() {
                if index > 0 {
                    // Only a label that is alone in its line wraps.
                    y += 1.25 * self.font;
                }
                let style = TextStyle::new(self.font, Anchor::Start);
                canvas.text(x + swatch + 6.0, y, line, style);
            }
            x += length + gap;
        }
        y + 0.9 * self.font
    }
}

/// A sample of a layer's look, centred on `y`.
fn draw_swatch(canvas: &mut Canvas, layer: &Layer, (x, y, length): (f64, f64, f64)) {
    let style = &layer.style;
    let line = format!("M{} {}h{}", c(x), c(y), c(length));
    let middle = format!("M{} {}", c(x + 0.5 * length), c(y));
    let block = format!("M{} {}h{}v10h-{}z", c(x), c(y - 5.0), c(length), c(length));
    let marker = format!("{middle}{}", style.marker.path(style.radius.max(3.0)));
    match &layer.shape {
        Shape::Spans { .. } | Shape::Ribbon { .. } | Shape::Bars { .. } | Shape::Blocks { .. } => {
            canvas.fill(&block, style.colour.css(), style.opacity);
        }
        Shape::Points { .. } => canvas.markers(&marker, style),
        Shape::Labels { .. } => {}
        Shape::Errors { .. } | Shape::Censorings { .. } | Shape::Moment { .. } => {
            canvas.stroke(
                &format!("M{} {}v14", c(x + 0.5 * length), c(y - 7.0)),
                style,
            );
        }
        Shape::Line { .. } | Shape::Step { .. } | Shape::Level { .. } | Shape::Intervals { .. } => {
            canvas.stroke(&line, style);
            if style.marked {
                canvas.markers(&marker, style);
            }
        }
    }
}
