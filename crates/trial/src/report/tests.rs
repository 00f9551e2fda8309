//! Reports are self-contained, escaped and honest about their use.

use proptest::prelude::*;

use super::*;
use crate::plot::{Axis, Figure, Panel, Style};

fn everything(text: &str) -> String {
    let panel =
        Panel::new(text)
            .x(Axis::new(text))
            .line(text, &[0.0, 1.0], &[0.0, 1.0], Style::series(0));
    let single = Figure::new(text, panel.clone()).render();
    let grid = Figure::grid(text, vec![panel.clone(), panel], 2).render_each();
    let table = Table::new(text)
        .column(Column::text(text))
        .column(Column::number(text, text))
        .row(vec![Cell::text(text), Cell::text(text)])
        .row(vec![Cell::text(text)])
        .note(text);
    let section = Section::new(text)
        .paragraph(text)
        .subheading(text)
        .callout(text)
        .list(vec![text.to_owned()])
        .table(table)
        .figure(single.unwrap_or_else(|e| unreachable!("{e}")), text)
        .figure_grid(grid.unwrap_or_else(|e| unreachable!("{e}")), text);
    Report::new(text)
        .subtitle(text)
        .key(text, text, text)
        .section(section.clone())
        .section(section)
        .provenance(text, text)
        .limit(text)
        .render()
}

#[test]
fn a_report_needs_nothing_else_and_says_what_it_is_for() {
    let html = everything("Adaptive");
    assert_eq!(html, everything("Adaptive"));
    for forbidden in [
        "<script", "src=", "url(", "@import", "<link", "<iframe", "<img",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    // The only address is the name of the SVG vocabulary, which is never fetched.
    let addresses = html.matches("http://").count() + html.matches("https://").count();
    assert_eq!(
        addresses,
        html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count()
    );
    assert!(html.contains("default-src 'none'"));
    assert!(html.contains("Table 2.") && html.contains("Figure 4."));
    let bare = Report::new("Nothing").render();
    assert!(bare.contains("<h2>Limits and use</h2>") && bare.contains("not clinical advice"));
}

/// Tags without the values of their attributes, but for text in drawings: long labels wrap into
/// more lines than short ones. Text between tags must hold no mark of markup.
fn skeleton(html: &str) -> Vec<String> {
    let body = html.split_once("</style>").map_or(html, |(_, body)| body);
    let mut tags = Vec::new();
    for part in body.split('<').skip(1) {
        let (tag, text) = part
            .split_once('>')
            .unwrap_or_else(|| unreachable!("unclosed: {part}"));
        assert!(!text.contains('>'), "stray mark: {part}");
        let names: Vec<&str> = tag.split('"').step_by(2).collect();
        if !matches!(names[0].split(' ').next(), Some("text" | "/text")) {
            tags.push(names.join("\""));
        }
    }
    tags
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() })]

    #[test]
    fn no_text_becomes_markup(text in "\\PC{0,12}[<>&\"'=/ a-z]{1,20}") {
        prop_assume!(!text.trim().is_empty());
        let (plain, odd) = (everything("x"), everything(&text));
        prop_assert_eq!(skeleton(&plain), skeleton(&odd));
        // Every ampersand begins a reference.
        for part in odd.split('&').skip(1) {
            let known = ["lt;", "gt;", "amp;", "quot;", "#39;"];
            prop_assert!(known.iter().any(|reference| part.starts_with(reference)), "&{}", part);
        }
    }
}
