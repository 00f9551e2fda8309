//! The page: head, key figures, sections, provenance, limits.

use std::fmt::Write;

use crate::plot::escape;

use super::section::{Numbering, Section};

const STYLE: &str = include_str!("style.css");

/// Said on every report, whatever the caller adds.
const USE: &str = "This report was made by research software from models of patients. It is not \
    clinical advice, not a medical device, and no evidence that a treatment is safe or works: it \
    must not be used to choose, change or stop anyone's treatment.";

/// A headline number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFigure {
    /// What it is.
    pub label: String,
    /// The number with its unit.
    pub value: String,
    /// Interval or comparison; may be empty.
    pub detail: String,
}

/// A report in the making.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    title: String,
    subtitle: String,
    keys: Vec<KeyFigure>,
    sections: Vec<Section>,
    provenance: Vec<(String, String)>,
    limits: Vec<String>,
    footer: Vec<String>,
}

impl Report {
    /// An empty report.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// One line under the title.
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = subtitle.into();
        self
    }

    /// Adds a headline number.
    pub fn key(
        mut self,
        label: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        self.keys.push(KeyFigure {
            label: label.into(),
            value: value.into(),
            detail: detail.into(),
        });
        self
    }

    /// Adds a section.
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Adds a line to the provenance table: version, commit, device, seed, command, data.
    pub fn provenance(mut self, what: impl Into<String>, value: impl Into<String>) -> Self {
        self.provenance.push((what.into(), value.into()));
        self
    }

    /// Adds a limit of this analysis. The standing statement on use is always there.
    pub fn limit(mut self, limit: impl Into<String>) -> Self {
        self.limits.push(limit.into());
        self
    }

    /// Adds a line to the footer, such as the version and the address of the sources.
    pub fn footer(mut self, line: impl Into<String>) -> Self {
        self.footer.push(line.into());
        self
    }

    /// The whole page, deterministic for the same input.
    pub fn render(&self) -> String {
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; img-src data:\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{0}</h1>\n",
            escape(&self.title)
        );
        if !self.subtitle.is_empty() {
            let _ = writeln!(html, "<p class=\"subtitle\">{}</p>", escape(&self.subtitle));
        }
        html.push_str(
            "<p class=\"use\">Simulation for research; not clinical advice. \
             See <a href=\"#limits\">limits and use</a>.</p>\n",
        );
        self.contents(&mut html);
        html.push_str("</header>\n<main>\n");
        self.key_figures(&mut html);
        let mut numbering = Numbering::default();
        for (index, section) in self.sections.iter().enumerate() {
            html.push_str(&section.html(&format!("s{}", index + 1), &mut numbering));
        }
        self.provenance_table(&mut html);
        html.push_str("<section id=\"limits\"><h2>Limits and use</h2>\n");
        let _ = writeln!(html, "<p class=\"callout\">{USE}</p>");
        if !self.limits.is_empty() {
            let items: String = self
                .limits
                .iter()
                .map(|limit| format!("<li>{}</li>", escape(limit)))
                .collect();
            let _ = writeln!(html, "<ul>{items}</ul>");
        }
        html.push_str("</section>\n</main>\n<footer><p>Made with Posology: research software, no clinical advice.</p>");
        for line in &self.footer {
            let _ = write!(html, "<p>{}</p>", escape(line));
        }
        html.push_str("</footer>\n</body>\n</html>\n");
        html
    }

    fn contents(&self, html: &mut String) {
        if self.sections.len() < 2 {
            return;
        }
        html.push_str("<nav aria-label=\"Contents\"><ul>");
        for (index, section) in self.sections.iter().enumerate() {
            let _ = write!(
                html,
                "<li><a href=\"#s{}\">{}</a></li>",
                index + 1,
                escape(section.title())
            );
        }
        if !self.provenance.is_empty() {
            html.push_str("<li><a href=\"#provenance\">Provenance</a></li>");
        }
        html.push_str("<li><a href=\"#limits\">Limits and use</a></li></ul></nav>\n");
    }

    fn key_figures(&self, html: &mut String) {
        if self.keys.is_empty() {
            return;
        }
        html.push_str("<dl class=\"keys\">");
        for key in &self.keys {
            let _ = write!(
                html,
                "<div><dt>{}</dt><dd class=\"value\">{}</dd><dd class=\"detail\">{}</dd></div>",
                escape(&key.label),
                escape(&key.value),
                escape(&key.detail)
            );
        }
        html.push_str("</dl>\n");
    }

    fn provenance_table(&self, html: &mut String) {
        if self.provenance.is_empty() {
            return;
        }
        html.push_str(
            "<section id=\"provenance\"><h2>Provenance</h2>\n\
             <div class=\"scroll\" tabindex=\"0\"><table class=\"provenance\"><tbody>\n",
        );
        for (what, value) in &self.provenance {
            let (what, value) = (escape(what), escape(value));
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\">{what}</th><td>{value}</td></tr>"
            );
        }
        html.push_str("</tbody></table></div></section>\n");
    }
}
