//! Drawings are well formed, deterministic, escaped and small.

use proptest::prelude::*;

use super::*;
use crate::statistics::{Estimate, KaplanMeier, SurvivalSample};

fn curve(name: &str) -> KaplanMeier {
    let events = vec![true, false, true, true, false];
    let sample = SurvivalSample::new(name, vec![1.0, 2.0, 3.0, 3.0, 7.5], events);
    KaplanMeier::fit(&sample.unwrap_or_else(|error| unreachable!("{error}")))
}

/// Checks that tags nest and attributes are quoted; returns the number of elements.
fn elements(svg: &str) -> usize {
    let (mut open, mut count) = (Vec::new(), 0);
    for part in svg.split('<').skip(1) {
        let (tag, text) = part
            .split_once('>')
            .unwrap_or_else(|| unreachable!("unclosed: {part}"));
        assert!(!text.contains('>'), "stray >: {part}");
        assert_eq!(tag.matches('"').count() % 2, 0, "unbalanced quotes: {tag}");
        let name = tag
            .split([' ', '/'])
            .find(|name| !name.is_empty())
            .unwrap_or("");
        let known = ["svg", "title", "desc", "path", "text"];
        assert!(known.contains(&name), "unknown element {name}");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{svg}");
        } else {
            count += 1;
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    count
}

fn everything(text: &str) -> Vec<Svg> {
    let (x, y) = (
        [0.0, 1.0, 2.0, f64::NAN, 3.0],
        [1.0, 4.0, 2.0, 5.0, f64::INFINITY],
    );
    let style = Style::series(1);
    let panel = Panel::new(text)
        .note(text)
        .x(Axis::new(text))
        .y(Axis::new(text))
        .spans(text, &[(0.5, 1.0)], Style::wash())
        .ribbon("ribbon", &x, &y, &y, style)
        .line("line", &x, &y, style.with_marker())
        .step("step", &x, &y, style)
        .points("points", &x, &y, style)
        .errors("errors", &x, &y, &y, style)
        .censorings("censorings", &x, &y, style)
        .bars("bars", &[0.0, 1.0, 2.0], &[3.0, 4.0], style)
        .level("level", 2.0, style)
        .moment("moment", 2.0, style)
        .inset(Corner::BottomLeft, vec![text.to_owned()]);
    let grid = Figure::grid(text, vec![panel.clone(), panel.clone(), panel.clone()], 2);
    let km = curve(text);
    let estimate = Estimate {
        value: 0.5,
        low: 0.001,
        high: f64::INFINITY,
        level: 0.95,
    };
    let forest = Forest::ratios(text, text)
        .detail(text)
        .favours(text, text)
        .row(ForestRow::heading(text))
        .row(ForestRow::new(text, text, estimate).weight(3.0))
        .row(ForestRow::missing(text, text))
        .row(ForestRow::new(text, text, estimate).overall());
    let survival = SurvivalFigure::new(text, text, text)
        .curve(&km)
        .inset(vec![text.to_owned()]);
    let results = [
        Figure::new(text, panel).description(text).render(),
        grid.render(),
        survival.render(),
        forest.description(text).render(),
    ];
    let mut drawings: Vec<Svg> = results
        .into_iter()
        .map(|result| result.unwrap_or_else(|e| unreachable!("{e}")))
        .collect();
    let (legend, each) = grid.render_each().unwrap_or_else(|e| unreachable!("{e}"));
    drawings.extend(legend);
    drawings.extend(each);
    drawings
}

#[test]
fn drawings_are_well_formed_labelled_and_repeatable() {
    let (first, second) = (everything("Dose (mg)"), everything("Dose (mg)"));
    assert_eq!(first, second);
    for svg in &first {
        assert!(elements(svg.as_str()) > 3);
        assert!(svg.as_str().contains("role=\"img\" aria-label=\""));
        assert!(svg.as_str().contains("<title>") && svg.as_str().contains("viewBox=\"0 0 "));
        assert!(!svg.as_str().contains("NaN") && !svg.as_str().contains("inf"));
        for forbidden in [" id=", "href", "url(", "<script", "<style"] {
            assert!(!svg.as_str().contains(forbidden), "{forbidden}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() })]

    #[test]
    fn no_text_becomes_markup(text in "[<>&\"'/a-z\u{0}-\u{20}é漢]{1,24}") {
        for svg in everything(&text) {
            elements(svg.as_str());
            for part in svg.as_str().split('&').skip(1) {
                let known = ["lt;", "gt;", "amp;", "quot;", "#39;"];
                prop_assert!(known.iter().any(|reference| part.starts_with(reference)));
            }
        }
    }

    #[test]
    fn any_numbers_draw(values in prop::collection::vec(any::<f64>(), 0..40), log in any::<bool>()) {
        let axis = || if log { Axis::new("a").log() } else { Axis::new("a") };
        let panel = Panel::new("p").x(axis()).y(axis())
            .line("l", &values, &values, Style::series(0))
            .step("s", &values, &values, Style::series(1));
        match Figure::new("f", panel).render() {
            Ok(svg) => { elements(svg.as_str()); }
            // Spans near the largest number overflow, and are refused.
            Err(PlotError::Range { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn a_survival_figure_counts_patients_at_risk() {
    // Five patients; ticks every 2: before 2 one has the event, at 4 only the last remains.
    let km = curve("Arm");
    let svg = SurvivalFigure::new("t", "Months", "Free")
        .curve(&km)
        .every(2.0)
        .render();
    let svg = svg.unwrap_or_else(|error| unreachable!("{error}"));
    let cells: Vec<&str> = svg
        .as_str()
        .split('>')
        .filter_map(|part| part.split_once(")<"))
        .map(|(cell, _)| cell)
        .collect();
    assert_eq!(
        cells,
        [
            "At risk (censored so far",
            "5 (0",
            "4 (0",
            "1 (1",
            "1 (1",
            "0 (2"
        ]
    );
}

#[test]
fn large_curves_stay_small() {
    let times: Vec<f64> = (1..=20_000).map(|i| f64::from(i) * 0.003).collect();
    let sample = SurvivalSample::new("Arm", times, vec![true; 20_000]);
    let km = KaplanMeier::fit(&sample.unwrap_or_else(|error| unreachable!("{error}")));
    let svg = SurvivalFigure::new("t", "Months", "Free")
        .curve(&km)
        .render();
    let svg = svg.unwrap_or_else(|error| unreachable!("{error}"));
    assert!(svg.as_str().len() < 20_000, "{}", svg.as_str().len());
}

#[test]
fn bad_data_are_named() {
    let uneven = Panel::new("PSA").line("observed", &[1.0, 2.0], &[1.0], Style::default());
    assert_eq!(
        Figure::new("f", uneven).render(),
        Err(PlotError::LengthsDiffer {
            plot: "PSA".to_owned(),
            series: "observed".to_owned(),
            first: 2,
            second: 1
        })
    );
    let reversed = Panel::new("").x(Axis::new("Months").range(5.0, 1.0));
    assert!(matches!(
        Figure::new("f", reversed).render(),
        Err(PlotError::Range { .. })
    ));
    let zero = Panel::new("").y(Axis::new("Patients").log().range(0.0, 1.0));
    assert!(matches!(
        Figure::new("f", zero).render(),
        Err(PlotError::Range { .. })
    ));
    assert!(matches!(
        Figure::grid("f", vec![], 3).render(),
        Err(PlotError::Empty { .. })
    ));
    assert!(matches!(
        SurvivalFigure::new("f", "", "").render(),
        Err(PlotError::Empty { .. })
    ));
    assert!(matches!(
        Forest::ratios("f", "").render(),
        Err(PlotError::Empty { .. })
    ));
}
