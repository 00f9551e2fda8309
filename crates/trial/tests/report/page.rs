//! The page: well formed, self-contained, every section once.

use std::path::PathBuf;

use posology_trial::{Progress, RunSettings, Trial};

use crate::{Case, both, device, neutropenia, responses, settings};

/// Opening tags that have no end.
const VOID: [&str; 5] = ["meta", "br", "img", "hr", "link"];

/// Walks over the tags; gives the text outside them and outside styles.
fn text_of(html: &str) -> String {
    let mut open: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        if open.last().is_none_or(|tag| tag != "style") {
            text.push_str(&rest[..at]);
            text.push('\n');
        }
        rest = &rest[at..];
        let end = rest.find('>').expect("a tag that ends");
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') || tag.ends_with('/') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            assert_eq!(last.as_deref(), Some(name.trim()), "before {:.60}", rest);
            continue;
        }
        let name = tag.split_whitespace().next().unwrap().to_owned();
        if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    text
}

fn headings(case: &Case) -> Vec<String> {
    let html = &case.outcome.report_html;
    let starts = html.match_indices("<h2>");
    starts
        .map(|(at, _)| {
            let rest = &html[at + 4..];
            rest[..rest.find("</h2>").unwrap()].to_owned()
        })
        .collect()
}

/// Words that only a number gone wrong, or a value nobody wrote out, leaves behind.
fn wrong_words(html: &str) -> Vec<String> {
    let text = text_of(html);
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let mut wrong: Vec<String> = words
        .filter(|word| ["NaN", "Some", "Ok", "Err", "Estimate"].contains(word))
        .map(str::to_owned)
        .collect();
    let numbers = text.split_whitespace();
    let infinite = numbers.filter(|word| ["inf", "-inf", "(inf", "inf)"].contains(word));
    wrong.extend(infinite.map(str::to_owned));
    // coordinates too
    if html.contains("NaN") {
        wrong.push("NaN".to_owned());
    }
    wrong
}

#[test]
fn tags_balance_and_no_number_has_gone_wrong() {
    for case in both() {
        let html = &case.outcome.report_html;
        let wrong = wrong_words(html);
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    // what a file says is text and no markup
    assert!(
        neutropenia()
            .outcome
            .report_html
            .contains("<h1>Two doses &lt; three</h1>")
    );
}

#[test]
fn every_shipped_trial_has_a_sound_page_and_tables() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut seen = 0;
    for path in files.filter(|path| path.extension().is_some_and(|e| e == "toml")) {
        let trial = Trial::load(&path).unwrap_or_else(|found| panic!("{found}"));
        // trained policies are played by the program
        if trial.arms.iter().any(|arm| arm.trained.is_some()) {
            continue;
        }
        let few = RunSettings {
            patients: Some(80),
            ..settings()
        };
        let outcome = trial
            .run(device(), &few, &mut |_: &Progress| true)
            .unwrap_or_else(|error| panic!("{}: {error}", trial.name));
        let wrong = wrong_words(&outcome.report_html);
        assert!(wrong.is_empty(), "{}: {wrong:?}", trial.name);
        assert!(outcome.report_html.len() < 2_000_000, "{}", trial.name);
        for table in &outcome.tables {
            let columns = table.columns.iter();
            assert!(columns.map(|c| c.values.len()).all(|n| n == table.len()));
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen} trials");
}

#[test]
fn the_page_needs_nothing_else() {
    for case in both() {
        let html = &case.outcome.report_html;
        for wrong in [
            "<script", "<img", "<iframe", "<link", "src=", "@import", "url(",
        ] {
            assert!(!html.contains(wrong), "{wrong}");
        }
        for (at, _) in html.match_indices("http") {
            let rest = &html[at..];
            let known = ["http://www.w3.org/", "http-equiv"];
            assert!(
                known.iter().any(|known| rest.starts_with(known)),
                "{:.60}",
                rest
            );
        }
        assert!(html.len() < 4_000_000, "{} bytes", html.len());
    }
}

#[test]
fn every_section_that_applies_is_there_once_and_in_order() {
    let all = [
        "Design",
        "Patients",
        "Times to an event",
        "Effects within patients",
        "Responses and other events that happen or not",
        "Drug exposure and other endpoints",
        "Treatment as given",
        "Toxicity",
        "Measurements over time",
        "Subgroups: who benefits less, who is harmed more",
        "Tests and multiplicity",
        "Sensitivity",
        "The model and what is calibrated",
        "Credibility of the model",
        "Provenance",
        "Limits and use",
    ];
    let without = |leave: &[&str]| -> Vec<String> {
        let kept = all.iter().filter(|title| !leave.contains(title));
        kept.map(|title| (*title).to_owned()).collect()
    };
    assert_eq!(
        headings(neutropenia()),
        without(&["Effects within patients"])
    );
    let leave = [
        "Drug exposure and other endpoints",
        "Toxicity",
        "Subgroups: who benefits less, who is harmed more",
    ];
    assert_eq!(headings(responses()), without(&leave));
}

#[test]
fn the_page_says_what_was_asked_and_done() {
    let html = &neutropenia().outcome.report_html;
    for wanted in [
        "Is the lower dose safer?",
        "ANC &lt; 1.5e9/L on day 1: delay 7 d up to 14 d",
        "grade 4 neutropenia: reduce 25 %; second time: stop",
        "randomised 1:2 in permuted blocks of 6, within strata by AAG &gt; 1 g/L",
        "Which dose goes into the next trial?",
        "medium influence and low consequence make level 2 of 5",
        "within the published 0 to 1",
        "a product information",
        "Flow of patients",
        "Characteristics at baseline",
        "Women with metastatic breast cancer",
        "interaction p ",
        "adjusted by Holm",
        "Win ratio",
        "Smallest detectable effect",
        "not clinical advice",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    let html = &responses().outcome.report_html;
    for wanted in [
        "Best change of size",
        "Course of size",
        "Which event came first",
        "Treatment of single patients",
        "McNemar",
        "same random numbers",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
}

#[test]
fn a_waterfall_has_its_rate_beside_it() {
    let case = responses();
    let html = &case.outcome.report_html;
    let rates = &case.result.analyses[0].rates[0];
    let at = html.find("Best change of size").unwrap();
    let drawing = &html[at..at + html[at..].find("</figure>").unwrap()];
    for arm in &rates.arms {
        let share = format!("{:.1}", 100.0 * arm.rate.value);
        assert!(drawing.contains(&share), "{share}");
        let low = format!("{:.1}", 100.0 * arm.rate.low);
        assert!(drawing.contains(&low), "{low}");
    }
}

#[test]
fn the_same_result_gives_the_same_bytes() {
    let case = neutropenia();
    let again = case
        .trial
        .outcome(&case.result, &crate::settings())
        .unwrap();
    assert_eq!(case.outcome.report_html, again.report_html);
    assert_eq!(
        format!("{:?}", case.outcome.tables),
        format!("{:?}", again.tables)
    );
}
