//! Text stays inside the drawing and apart from other text, whatever the data.

use proptest::prelude::*;

use super::samples::{self, Size};
use super::text::{BOLD, width};
use super::*;

/// Where a text stands.
#[derive(Debug)]
struct Placed {
    text: String,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    rest.split_once('"').map(|(value, _)| value)
}

fn number(tag: &str, name: &str) -> f64 {
    attribute(tag, name).unwrap().parse().unwrap()
}

fn plain(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Width and height of the drawing, and its texts.
fn texts(svg: &Svg) -> ((f64, f64), Vec<Placed>) {
    let svg = svg.as_str();
    let sides: Vec<f64> = attribute(svg, "viewBox")
        .unwrap()
        .split(' ')
        .map(|side| side.parse().unwrap())
        .collect();
    let mut placed = Vec::new();
    for part in svg.split("<text").skip(1) {
        let (tag, rest) = part.split_once('>').unwrap();
        let text = plain(rest.split_once('<').unwrap().0);
        let (x, y, size) = (number(tag, "x"), number(tag, "y"), number(tag, "font-size"));
        let bold = if tag.contains("font-weight") {
            BOLD
        } else {
            1.0
        };
        let wide = width(&text, bold * size);
        let before = match attribute(tag, "text-anchor") {
            None => 0.0,
            Some("middle") => 0.5 * wide,
            Some("end") => wide,
            Some(other) => unreachable!("{other}"),
        };
        // Ascent and descent of digits and most letters.
        let (up, down) = (0.72 * size, 0.18 * size);
        placed.push(if tag.contains("rotate(-90") {
            let (left, right) = (x - up, x + down);
            let (top, bottom) = (y + before - wide, y + before);
            Placed {
                text,
                left,
                top,
                right,
                bottom,
            }
        } else {
            let (left, right) = (x - before, x - before + wide);
            let (top, bottom) = (y - up, y + down);
            Placed {
                text,
                left,
                top,
                right,
                bottom,
            }
        });
    }
    ((sides[2], sides[3]), placed)
}

/// What is wrong with the placement of texts.
fn faults(svg: &Svg) -> Vec<String> {
    let ((wide, high), texts) = texts(svg);
    let mut faults = Vec::new();
    for (index, a) in texts.iter().enumerate() {
        if a.left < -1.0 || a.top < -1.0 || a.right > wide + 1.0 || a.bottom > high + 1.0 {
            faults.push(format!("{}: outside {wide} by {high}: {a:?}", svg.title()));
        }
        for b in &texts[index + 1..] {
            let across = a.right.min(b.right) - a.left.max(b.left);
            let down = a.bottom.min(b.bottom) - a.top.max(b.top);
            if across > 1.0 && down > 1.0 {
                faults.push(format!("{}: {a:?} covers {b:?}", svg.title()));
            }
        }
    }
    faults
}

fn check(size: Size) {
    for (name, svg) in samples::all(size) {
        let faults = faults(&svg);
        assert!(faults.is_empty(), "{name}, {size:?}: {faults:#?}");
        assert!(svg.as_str().contains("<title>"), "{name}");
        for path in svg.as_str().split(" d=\"").skip(1) {
            let path = path.split('"').next().unwrap();
            assert!(
                !path.contains("NaN") && !path.contains("inf"),
                "{name}: {path}"
            );
        }
    }
}

#[test]
fn the_check_finds_what_it_should() {
    let overlapping = Forest::ratios("f", "Ratio").row(ForestRow::missing("x", "y"));
    let good = overlapping.render().unwrap();
    assert!(faults(&good).is_empty(), "{:?}", faults(&good));
    let panel = Panel::new("A").labels(&[0.0], &[0.0], vec!["shown".to_owned()]);
    let svg = Figure::new("t", panel).render().unwrap();
    let (_, placed) = texts(&svg);
    assert!(placed.iter().any(|text| text.text == "shown"));
    // The same drawing with every text moved onto one spot, and one with a text moved out.
    let moved = |to: &str| {
        let parts: Vec<&str> = svg.as_str().split(" x=\"").collect();
        let parts =
            parts
                .iter()
                .enumerate()
                .map(|(index, part)| match (index, part.split_once('"')) {
                    (1.., Some((_, rest))) => format!(" x=\"{to}\"{rest}"),
                    _ => (*part).to_owned(),
                });
        parts.collect::<String>()
    };
    let out = svg.replaced(moved("5000"));
    assert!(faults(&out).iter().any(|fault| fault.contains("outside")));
    let piled = svg.replaced(moved("50").replace(" y=\"", " y=\"100\" data-y=\""));
    assert!(faults(&piled).iter().any(|fault| fault.contains("covers")));
}

#[test]
fn usual_figures_keep_their_texts_apart() {
    for arms in 1..=4 {
        for patients in [1, 7, 120] {
            check(Size {
                arms,
                patients,
                long: false,
            });
        }
    }
}

#[test]
fn long_names_and_many_arms_keep_their_texts_apart() {
    for arms in [1, 2, 3, 4, 8] {
        for patients in [1, 300] {
            check(Size {
                arms,
                patients,
                long: true,
            });
        }
    }
}

#[test]
fn large_trials_stay_small_and_say_what_is_left_out() {
    let size = Size {
        arms: 2,
        patients: 50_000,
        long: false,
    };
    for (name, svg) in samples::all(size) {
        assert!(
            svg.as_str().len() < 300_000,
            "{name}: {}",
            svg.as_str().len()
        );
    }
    let svg = samples::waterfall(size).render().unwrap();
    assert!(svg.note().starts_with("200 of "), "{}", svg.note());
    assert!(
        samples::swimmer(size)
            .render()
            .unwrap()
            .note()
            .contains("48 of 100,000 patients")
    );
    assert!(
        samples::spider(size)
            .render()
            .unwrap()
            .note()
            .contains("120 of 100,000 patients")
    );
    assert!(
        samples::scatter(size)
            .render()
            .unwrap()
            .note()
            .contains("3,000 of 100,000 patients")
    );
    assert_eq!(
        samples::waterfall(Size {
            patients: 30,
            ..size
        })
        .render()
        .unwrap()
        .note(),
        ""
    );
}

#[test]
fn a_waterfall_always_carries_its_rate() {
    for arms in [1, 3] {
        let svg = samples::waterfall(Size {
            arms,
            ..Size::USUAL
        })
        .render()
        .unwrap();
        let (_, texts) = texts(&svg);
        let count = |start: &str| {
            texts
                .iter()
                .filter(|text| text.text.starts_with(start))
                .count()
        };
        assert_eq!(count("Objective response"), arms);
        assert_eq!(count("95\u{a0}% CI"), arms);
    }
}

#[test]
fn a_flow_diagram_adds_up_or_is_refused() {
    let flow = samples::flow(Size::USUAL);
    assert_eq!(flow.entered(), Ok(240));
    let (_, placed) = texts(&flow.render().unwrap());
    let lines: Vec<&str> = placed.iter().map(|text| text.text.as_str()).collect();
    // 120 allocated, 2 not started, 65 stopped early, 12 ongoing, 1 left out.
    for line in [
        "Received treatment: 118",
        "Completed: 41",
        "Stopped early: 65",
        "Analysed: 119",
    ] {
        assert!(lines.contains(&line), "{line} {lines:?}");
    }
    let arm = |allocated| FlowArm {
        allocated,
        ..FlowArm::default()
    };
    let flow = |excluded, allocation, arms| {
        let excluded = vec![("too old".to_owned(), excluded)];
        Flow::new("f", ("sampled", 10), excluded, allocation, arms).render()
    };
    assert!(flow(2, Allocation::Randomised, vec![arm(4), arm(4)]).is_ok());
    assert!(flow(2, Allocation::EveryArm, vec![arm(8), arm(8)]).is_ok());
    for bad in [
        flow(2, Allocation::Randomised, vec![arm(8), arm(8)]),
        flow(2, Allocation::EveryArm, vec![arm(8), arm(7)]),
        flow(11, Allocation::Randomised, vec![arm(0)]),
        flow(
            2,
            Allocation::EveryArm,
            vec![FlowArm {
                ongoing: 9,
                ..arm(8)
            }],
        ),
    ] {
        assert!(matches!(bad, Err(PlotError::Counts { .. })), "{bad:?}");
    }
}

#[test]
fn an_inset_never_covers_a_curve() {
    // A curve that is everywhere leaves no room inside: the text goes above the plot.
    let x: Vec<f64> = (0..40).map(f64::from).collect();
    let y: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
    let zigzag = Panel::new("")
        .line("", &x, &y, Style::series(0))
        .inset(Corner::TopRight, vec!["hazard ratio 0.71".to_owned()]);
    let place = |panel: Panel| {
        let svg = Figure::new("t", panel).render().unwrap();
        let (_, placed) = texts(&svg);
        placed
            .into_iter()
            .find(|text| text.text.starts_with("hazard"))
            .unwrap()
    };
    let plot_top = |panel: &Panel| {
        let svg = Figure::new("t", panel.clone()).render().unwrap();
        // The clipped plot area is the nested drawing; its edge has a margin of 4.
        let nested = svg.as_str().split("<svg").nth(2).unwrap().to_owned();
        number(&nested, "y") + 4.0
    };
    let top = plot_top(&zigzag);
    assert!(place(zigzag).bottom < top);
    let falling = Panel::new("")
        .line("", &[0.0, 1.0], &[1.0, 0.0], Style::series(0))
        .inset(Corner::TopLeft, vec!["hazard ratio 0.71".to_owned()]);
    let top = plot_top(&falling);
    let inset = place(falling);
    assert!(inset.top > top && inset.left > 300.0, "{inset:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() })]

    #[test]
    fn names_of_any_length_stay_inside(
        name in "[A-Za-z0-9µ/%+ -]{0,90}",
        heading in "\\PC{0,60}",
        value in -3.0f64..3.0,
        width in 0.0f64..9.0,
    ) {
        let estimate = statistics_estimate(value, width);
        let drawings = [
            Forest::ratios("f", &heading)
                .columns(vec![name.clone(), heading.clone()], vec![name.clone()])
                .favours(&name, &heading)
                .row(ForestRow::new(&name, "", estimate).cells(vec!["10/120".into(), "9/118".into()], vec!["0.61".into()]))
                .row(ForestRow::heading(&heading))
                .row(ForestRow::new(&heading, "", estimate).cells(vec!["1/2".into()], vec![]).overall())
                .render(),
            Distributions::new("d", &heading, vec![(name.clone(), vec![1.0, 2.0, 4.0]), (heading.clone(), vec![2.0])]).render(),
            Toxicity::new("t", vec![(name.clone(), 3), (heading.clone(), 0)], vec![
                ToxicityRow { name: heading.clone(), grades: vec![[1, 1, 1, 0, 0], [0; 5]] },
                ToxicityRow { name: name.clone(), grades: vec![[0, 1, 0, 0, 0], [0; 5]] },
            ]).and_then(|toxicity| toxicity.figure()),
            Figure::new("p", Panel::new(&name).note(&heading).x(Axis::new(&heading)).y(Axis::new(&name))
                .line(&name, &[0.0, 1e5], &[0.0, value], Style::series(0))
                .step(&heading, &[0.0, 1e5], &[0.0, value], Style::series(1))
                .inset(Corner::TopRight, vec![name.clone(), heading.clone()])).render(),
        ];
        for drawing in drawings {
            let drawing = drawing.unwrap();
            let faults = faults(&drawing);
            prop_assert!(faults.is_empty(), "{:#?}", faults);
        }
    }
}

fn statistics_estimate(value: f64, width: f64) -> crate::statistics::Estimate {
    crate::statistics::Estimate {
        value: value.exp(),
        low: (value - width).exp(),
        high: (value + width).exp(),
        level: 0.95,
    }
}
