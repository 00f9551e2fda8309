//! Sections and what they hold.

use std::fmt::Write;

use crate::plot::{Svg, escape};

use super::table::Table;

/// Drawings wider than this scroll sideways on a phone instead of shrinking until unreadable.
const WIDE: u32 = 560;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Paragraph(String),
    Subheading(String),
    Note(String),
    List(Vec<String>),
    Table(Table),
    Figure {
        drawings: Vec<Svg>,
        legend: Option<Svg>,
        grid: bool,
        caption: String,
    },
}

/// A titled part of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    title: String,
    blocks: Vec<Block>,
}

/// Running numbers of tables and figures.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    tables: usize,
    figures: usize,
}

impl Section {
    /// An empty section.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    /// Adds a paragraph of plain text.
    pub fn paragraph(self, text: impl Into<String>) -> Self {
        self.block(Block::Paragraph(text.into()))
    }

    /// Adds a smaller heading.
    pub fn subheading(self, text: impl Into<String>) -> Self {
        self.block(Block::Subheading(text.into()))
    }

    /// Adds a paragraph that stands out, such as a warning.
    pub fn callout(self, text: impl Into<String>) -> Self {
        self.block(Block::Note(text.into()))
    }

    /// Adds a list.
    pub fn list(self, items: Vec<String>) -> Self {
        self.block(Block::List(items))
    }

    /// Adds a table; tables are numbered through the report.
    pub fn table(self, table: Table) -> Self {
        self.block(Block::Table(table))
    }

    /// Adds a drawing; figures are numbered through the report.
    pub fn figure(self, drawing: Svg, caption: impl Into<String>) -> Self {
        let caption = caption.into();
        self.block(Block::Figure {
            drawings: vec![drawing],
            legend: None,
            grid: false,
            caption,
        })
    }

    /// Adds small drawings side by side, as many as fit the screen (see
    /// [`crate::plot::Figure::render_each`]).
    pub fn figure_grid(
        self,
        (legend, drawings): (Option<Svg>, Vec<Svg>),
        caption: impl Into<String>,
    ) -> Self {
        self.block(Block::Figure {
            drawings,
            legend,
            grid: true,
            caption: caption.into(),
        })
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn html(&self, id: &str, numbering: &mut Numbering) -> String {
        let mut html = format!("<section id=\"{id}\"><h2>{}</h2>\n", escape(&self.title));
        for block in &self.blocks {
            block.html(&mut html, numbering);
        }
        html.push_str("</section>\n");
        html
    }

    fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

impl Block {
    fn html(&self, html: &mut String, numbering: &mut Numbering) {
        let _ = match self {
            Self::Paragraph(text) => writeln!(html, "<p>{}</p>", escape(text)),
            Self::Subheading(text) => writeln!(html, "<h3>{}</h3>", escape(text)),
            Self::Note(text) => writeln!(html, "<p class=\"callout\">{}</p>", escape(text)),
            Self::List(items) => {
                let items: String = items
                    .iter()
                    .map(|item| format!("<li>{}</li>", escape(item)))
                    .collect();
                writeln!(html, "<ul>{items}</ul>")
            }
            Self::Table(table) => {
                numbering.tables += 1;
                writeln!(html, "{}", table.html(numbering.tables))
            }
            Self::Figure {
                drawings,
                legend,
                grid,
                caption,
            } => {
                numbering.figures += 1;
                html.push_str("<figure>");
                if let Some(legend) = legend {
                    let _ = write!(html, "<div class=\"legend\">{}</div>", legend.as_str());
                }
                let wide = !grid && drawings.iter().any(|drawing| drawing.width() > WIDE);
                html.push_str(match (grid, wide) {
                    (true, _) => "<div class=\"grid\">",
                    (false, true) => "<div class=\"scroll wide\" tabindex=\"0\">",
                    (false, false) => "<div>",
                });
                for drawing in drawings {
                    html.push_str(drawing.as_str());
                    html.push('\n');
                }
                let _ = write!(
                    html,
                    "</div><figcaption><b>Figure {}.</b> {}",
                    numbering.figures,
                    escape(caption)
                );
                let mut notes: Vec<&str> = drawings.iter().map(Svg::note).collect();
                notes.dedup();
                for note in notes.into_iter().filter(|note| !note.is_empty()) {
                    let _ = write!(html, " {}", escape(note));
                }
                writeln!(html, "</figcaption></figure>")
            }
        };
    }
}
