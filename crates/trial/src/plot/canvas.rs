//! Writing SVG elements.

use std::fmt::Write;

use super::style::Style;
use super::text::{coordinate as c, escape};

/// Face of all text: the reader's own sans-serif.
const FONT: &str = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";

/// A finished drawing: one `<svg>` element, safe to put into HTML. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svg {
    text: String,
    title: String,
    note: String,
    width: u32,
}

impl Svg {
    /// The element.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The title that screen readers announce.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What a reader must know beside the caption, such as how many patients of how many are
    /// drawn; may be empty. [`crate::report::Section`] adds it to the caption.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The same with other markup, to try checks on.
    #[cfg(test)]
    pub(super) fn replaced(&self, text: String) -> Self {
        Self {
            text,
            ..self.clone()
        }
    }

    /// With a sentence for [`Self::note`], after those it has.
    pub(super) fn noted(mut self, note: &str) -> Self {
        if !note.is_empty() && !self.note.is_empty() {
            self.note.push(' ');
        }
        self.note.push_str(note);
        self
    }

    /// Natural width, in CSS pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The drawing as a file of its own.
    pub fn to_file(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n",
            self.text
        )
    }
}

/// Where text is tied to its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Text attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextStyle {
    pub size: f64,
    pub anchor: Anchor,
    pub bold: bool,
    pub faint: bool,
    pub fill: &'static str,
}

impl TextStyle {
    pub(super) fn new(size: f64, anchor: Anchor) -> Self {
        Self {
            size,
            anchor,
            bold: false,
            faint: false,
            fill: "",
        }
    }
}

/// Elements in drawing order.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    body: String,
}

impl Canvas {
    /// `growth`: how far the drawing may be enlarged beyond its natural size.
    pub(super) fn finish(
        self,
        title: &str,
        description: &str,
        (width, height): (f64, f64),
        growth: f64,
    ) -> Svg {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"100%\" \
             role=\"img\" aria-label=\"{2}\" font-family=\"{FONT}\" style=\"max-width:{3}px\">\
             <title>{2}</title>",
            width.ceil(),
            height.ceil(),
            escape(title),
            (growth * width).ceil(),
        );
        if !description.is_empty() {
            let _ = write!(text, "<desc>{}</desc>", escape(description));
        }
        text.push_str(&self.body);
        text.push_str("</svg>");
        Svg {
            text,
            title: title.to_owned(),
            note: String::new(),
            width: width.ceil() as u32,
        }
    }

    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, style: TextStyle) {
        self.text_turned(x, y, text, style, false);
    }

    /// `turned`: reads upwards.
    pub(super) fn text_turned(
        &mut self,
        x: f64,
        y: f64,
        text: &str,
        style: TextStyle,
        turned: bool,
    ) {
        if text.is_empty() {
            return;
        }
        let anchor = match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let turn = if turned {
            format!(" transform=\"rotate(-90 {} {})\"", c(x), c(y))
        } else {
            String::new()
        };
        let fill = if style.fill.is_empty() {
            "currentColor"
        } else {
            style.fill
        };
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{fill}\"{}{}{anchor}{turn}>{}</text>",
            c(x),
            c(y),
            c(style.size),
            if style.bold {
                " font-weight=\"600\""
            } else {
                ""
            },
            if style.faint {
                " fill-opacity=\"0.72\""
            } else {
                ""
            },
            escape(text),
        );
    }

    /// A stroked path.
    pub(super) fn stroke(&mut self, path: &str, style: &Style) {
        if path.is_empty() {
            return;
        }
        let dash = style.dash.pattern().map_or(String::new(), |pattern| {
            format!(" stroke-dasharray=\"{pattern}\"")
        });
        let _ = write!(
            self.body,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
             stroke-linejoin=\"round\"{dash}{}/>",
            style.colour.css(),
            c(style.width),
            opacity("stroke-opacity", style.opacity),
        );
    }

    /// Markers: filled, or stroked if the shape is open, with a light rim if the style asks.
    pub(super) fn markers(&mut self, path: &str, style: &Style) {
        let (open, rim) = (style.marker.is_open(), style.rim);
        if path.is_empty() {
            return;
        }
        if rim {
            let width = if open { 3.4 } else { 2.2 };
            let _ = write!(
                self.body,
                "<path d=\"{path}\" fill=\"none\" stroke=\"#fff\" stroke-width=\"{width}\"/>"
            );
        }
        if open {
            let dash = Default::default();
            let style = Style {
                width: 1.4,
                dash,
                ..*style
            };
            self.stroke(path, &style);
        } else {
            self.fill(path, style.colour.css(), style.opacity);
        }
    }

    /// A filled path.
    pub(super) fn fill(&mut self, path: &str, colour: &str, share: f64) {
        if !path.is_empty() {
            let opacity = opacity("fill-opacity", share);
            let _ = write!(self.body, "<path d=\"{path}\" fill=\"{colour}\"{opacity}/>");
        }
    }

    /// Everything that `draw` adds is cut to a rectangle, and its origin lies `margin` inside the
    /// rectangle's corner. A nested element needs no ids, so drawings can share a page.
    pub(super) fn clipped(
        &mut self,
        (x, y, width, height): (f64, f64, f64, f64),
        margin: f64,
        draw: impl FnOnce(&mut Self),
    ) {
        let (w, h) = (c(width), c(height));
        let _ = write!(
            self.body,
            "<svg x=\"{}\" y=\"{}\" width=\"{w}\" height=\"{h}\" viewBox=\"-{2} -{2} {w} {h}\" \
             overflow=\"hidden\">",
            c(x),
            c(y),
            c(margin),
        );
        draw(self);
        self.body.push_str("</svg>");
    }
}

fn opacity(name: &str, share: f64) -> String {
    if share >= 1.0 {
        return String::new();
    }
    format!(" {name}=\"{:.2}\"", share.max(0.0))
}
