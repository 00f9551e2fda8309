//! The sections that say what is read off a model.

use super::reader::{Reader, Section};
use super::sections::{UNIT_HELP, description};
use super::{Balance, ErrorModel, Observable, Summary, SummaryVerb, Toxicity};

pub(super) fn observables(reader: &mut Reader, root: &Section<'_>) -> Vec<Observable> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "observables", "observable") {
        reader.only(&section, &["expr", "unit", "error", "description"]);
        let error = reader.section(&section, "error", &format!("`error` of {}", section.what));
        let error = error.map(|section| {
            reader.only(&section, &["proportional", "additive", "lognormal", "lloq"]);
            ErrorModel {
                proportional: reader.number(&section, "proportional"),
                additive: reader.text_or_number(&section, "additive"),
                lognormal: reader.number(&section, "lognormal"),
                lloq: reader.text_or_number(&section, "lloq"),
                place: section.place,
            }
        });
        out.push(Observable {
            name,
            unit: reader.text(&section, "unit"),
            expr: reader.required_text(&section, "expr", ""),
            error,
            description: description(reader, &section),
        });
    }
    out
}

pub(super) fn toxicities(reader: &mut Reader, root: &Section<'_>) -> Vec<Toxicity> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "toxicities", "toxicity") {
        reader.only(
            &section,
            &[
                "expr",
                "unit",
                "below",
                "above",
                "grades",
                "source",
                "description",
            ],
        );
        description(reader, &section);
        for key in ["grades", "source"] {
            if !section.table.contains_key(key) {
                let help = match key {
                    "grades" => "the grade of each threshold, such as grades = [2, 3, 4]",
                    _ => "such as source = \"CTCAE v5\"",
                };
                reader.missing(&section, key, help);
            }
        }
        out.push(Toxicity {
            name,
            expr: reader.required_text(&section, "expr", ""),
            unit: reader.text(&section, "unit"),
            below: reader.texts(&section, "below"),
            above: reader.texts(&section, "above"),
            grades: reader.numbers(&section, "grades"),
            source: reader.text(&section, "source"),
        });
    }
    out
}

pub(super) fn summaries(reader: &mut Reader, root: &Section<'_>) -> Vec<Summary> {
    use SummaryVerb as Verb;
    const VERBS: &[(&str, SummaryVerb)] = &[
        ("min", Verb::Min),
        ("max", Verb::Max),
        ("integral", Verb::Integral),
        ("time_above", Verb::TimeAbove),
        ("time_below", Verb::TimeBelow),
        ("first_time", Verb::FirstTime),
        ("last", Verb::Last),
        ("at", Verb::At),
    ];
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "summaries", "summary") {
        let mut keys: Vec<&str> = VERBS.iter().map(|(key, _)| *key).collect();
        keys.extend(["threshold", "time", "unit", "description"]);
        reader.only(&section, &keys);
        description(reader, &section);
        let present = VERBS
            .iter()
            .filter(|(key, _)| section.table.contains_key(*key));
        let verbs: Vec<_> = present.collect();
        if verbs.len() != 1 {
            let message = format!("{} must say exactly one thing to keep", section.what);
            let names: Vec<&str> = VERBS.iter().map(|(key, _)| *key).collect();
            let finding = section.place.error("M009", message);
            reader
                .diagnostics
                .push(finding.help(format!("one of {}", names.join(", "))));
        }
        let verb = match verbs.as_slice() {
            [(key, verb)] => reader.text(&section, key).map(|text| (*verb, text)),
            _ => None,
        };
        let threshold = reader.text_or_number(&section, "threshold");
        let time = reader.text_or_number(&section, "time");
        for (key, value, needed) in [
            (
                "threshold",
                &threshold,
                [Verb::TimeAbove, Verb::TimeBelow].as_slice(),
            ),
            ("time", &time, [Verb::At].as_slice()),
        ] {
            let Some((kind, _)) = &verb else { continue };
            let wanted = needed.contains(kind);
            if wanted && !section.table.contains_key(key) {
                reader.missing(&section, key, "");
            } else if let (false, Some(text)) = (wanted, value) {
                let message = format!("{} has no use for `{key}`", section.what);
                reader.diagnostics.push(text.error("M009", message));
            }
        }
        let unit = reader.required_text(&section, "unit", UNIT_HELP);
        out.push(Summary {
            name,
            unit,
            verb,
            threshold,
            time,
        });
    }
    out
}

pub(super) fn balances(reader: &mut Reader, root: &Section<'_>) -> Vec<Balance> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "balance", "balance") {
        reader.only(&section, &["total", "gain"]);
        out.push(Balance {
            name,
            total: reader.required_text(&section, "total", ""),
            gain: reader.text_or_number(&section, "gain"),
        });
    }
    out
}
