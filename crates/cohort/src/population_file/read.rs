//! What a population file says, before names mean anything.

mod continuous;

use posology_model::file::reader::{Reader, Section, Value};
use posology_model::file::{Number, Place, Text};

use super::distribution::Distribution;

/// The kinds of value, each a key of a covariate.
const KINDS: &[&str] = &[
    "normal",
    "lognormal",
    "uniform",
    "exponential",
    "bernoulli",
    "categories",
    "fixed",
    "expr",
    "equation",
    "column",
    "by",
];
const COVARIATE_KEYS: &[&str] = &[
    "unit",
    "description",
    "source",
    "calibrated",
    "bounds",
    "published",
    "when",
    "from",
    "missing",
    "reference",
];
/// Shares of categories may miss one by this much, as written decimals do.
const SUM_SLACK: f64 = 1e-6;

/// A distribution and the labels of its categories.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub place: Place,
    pub distribution: Distribution,
    pub labels: Vec<Label>,
}

/// A category: as written, where, and its value.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub text: Text,
    pub value: f64,
    pub numeric: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Drawn(Drawn),
    /// By the value of a categorical covariate.
    By {
        covariate: Text,
        when: Vec<(Text, Option<Drawn>)>,
    },
    Expression(Text),
    Equation {
        name: Text,
        from: Vec<(Text, Text)>,
        place: Place,
    },
    /// A column of the data file.
    Column(Column),
}

/// A column of the data file and what a missing value means.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: Text,
    pub missing: Option<Text>,
    pub reference: Option<Number>,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(super) struct Covariate {
    pub name: Text,
    pub unit: Option<Text>,
    pub kind: Option<Kind>,
    pub bounds: Option<(Place, Vec<Number>)>,
    pub source: Option<Text>,
    pub calibrated: bool,
    pub description: String,
    pub published: Vec<(String, f64)>,
    pub published_source: String,
}

pub(super) fn covariates(reader: &mut Reader, root: &Section<'_>) -> Vec<Covariate> {
    let sections = reader.named(root, "covariates", "covariate");
    sections
        .into_iter()
        .map(|(name, section)| covariate(reader, name, &section))
        .collect()
}

fn covariate(reader: &mut Reader, name: Text, section: &Section<'_>) -> Covariate {
    reader.only(section, &[COVARIATE_KEYS, KINDS].concat());
    let unit = reader.required_text(section, "unit", "`unit = \"1\"` if it is a plain number");
    let kind = kind(reader, section);
    let needs_source = !matches!(kind, Some(Kind::Expression(_) | Kind::Equation { .. }));
    let source = if needs_source {
        let help = "cite where the numbers are from, or say how they were chosen and add \
                    `calibrated = true`";
        reader.required_text(section, "source", help)
    } else {
        reader.text(section, "source")
    };
    let (published, published_source) = published(reader, section);
    Covariate {
        name,
        unit,
        kind,
        bounds: reader.numbers(section, "bounds"),
        source,
        calibrated: reader.flag(section, "calibrated").unwrap_or(false),
        description: reader
            .text(section, "description")
            .map(|text| text.value)
            .unwrap_or_default(),
        published,
        published_source,
    }
}

/// Figures of a publication that the check compares with.
fn published(reader: &mut Reader, section: &Section<'_>) -> (Vec<(String, f64)>, String) {
    let Some(inner) = reader.section(section, "published", "`published`") else {
        return (Vec::new(), String::new());
    };
    const FIGURES: &[&str] = &["mean", "sd", "median", "low", "high"];
    reader.only(&inner, &[FIGURES, &["source"]].concat());
    let mut out = Vec::new();
    for key in FIGURES {
        if let Some(number) = reader.number(&inner, key) {
            out.push(((*key).to_owned(), number.value));
        }
    }
    let source = reader.required_text(&inner, "source", "cite where the figures are from");
    (out, source.map(|text| text.value).unwrap_or_default())
}

fn kind(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    let present: Vec<&str> = KINDS
        .iter()
        .copied()
        .filter(|kind| section.table.contains_key(*kind))
        .collect();
    let [only] = present[..] else {
        let message = if present.is_empty() {
            format!("{} has no distribution", section.what)
        } else {
            format!(
                "{} is given by {} at once",
                section.what,
                present.join(" and ")
            )
        };
        let finding = section.place.error("D110", message);
        reader
            .diagnostics
            .push(finding.help(format!("give exactly one of: {}", KINDS.join(", "))));
        return None;
    };
    match only {
        "expr" => reader.text(section, "expr").map(Kind::Expression),
        "equation" => {
            let from = pairs(reader, section, "from");
            let name = reader.text(section, "equation")?;
            let place = section.place.clone();
            Some(Kind::Equation { name, from, place })
        }
        "column" => column(reader, section).map(Kind::Column),
        "by" => {
            let covariate = reader.text(section, "by")?;
            if !section.table.contains_key("when") {
                reader.missing(
                    section,
                    "when",
                    "give a distribution for each value: `when.0 = { normal = { mean = 1, sd = 0.1 } }`",
                );
                return None;
            }
            let levels = reader.named(section, "when", "case");
            let when = levels
                .into_iter()
                .map(|(level, inner)| {
                    let drawn = distribution(reader, &inner);
                    (level, drawn)
                })
                .collect();
            Some(Kind::By { covariate, when })
        }
        key => drawn(reader, section, key).map(Kind::Drawn),
    }
}

/// A column of the data file.
pub(super) fn column(reader: &mut Reader, section: &Section<'_>) -> Option<Column> {
    let name = reader.required_text(section, "column", "name a column of the data file")?;
    Some(Column {
        name,
        missing: reader.text(section, "missing"),
        reference: reader.number(section, "reference"),
        place: section.place.clone(),
    })
}

/// The distribution of one case of a mixture.
fn distribution(reader: &mut Reader, section: &Section<'_>) -> Option<Drawn> {
    let allowed = &KINDS[..7];
    reader.only(section, allowed);
    let present: Vec<&str> = allowed
        .iter()
        .copied()
        .filter(|kind| section.table.contains_key(*kind))
        .collect();
    let [only] = present[..] else {
        let message = format!("{} needs exactly one distribution", section.what);
        let finding = section.place.error("D110", message);
        reader
            .diagnostics
            .push(finding.help(format!("give exactly one of: {}", allowed.join(", "))));
        return None;
    };
    drawn(reader, section, only)
}

/// Strings by key.
fn pairs(reader: &mut Reader, section: &Section<'_>, key: &str) -> Vec<(Text, Text)> {
    let Some(inner) = reader.section(section, key, &format!("`{key}`")) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (name, _) in reader.entries(inner.table) {
        if let Some(text) = reader.text(&inner, &name.value) {
            out.push((name, text));
        }
    }
    out
}

fn drawn(reader: &mut Reader, section: &Section<'_>, key: &str) -> Option<Drawn> {
    let value = section.table.get(key)?;
    let place = reader.place(value.span());
    let (distribution, labels) = match key {
        "fixed" => (
            Distribution::Fixed(reader.number(section, "fixed")?.value),
            Vec::new(),
        ),
        "bernoulli" => {
            let share = reader.number(section, "bernoulli")?;
            let inside = (0.0..=1.0).contains(&share.value);
            inside.then_some(()).or_else(|| {
                let message = "a probability lies between 0 and 1";
                reader.diagnostics.push(share.place.error("D112", message));
                None
            })?;
            let shares = vec![1.0 - share.value, share.value];
            let values = vec![0.0, 1.0];
            (Distribution::Categories { values, shares }, Vec::new())
        }
        "categories" => categories(reader, section, value)?,
        _ => (continuous::read(reader, section, key)?, Vec::new()),
    };
    Some(Drawn {
        place,
        distribution,
        labels,
    })
}

fn categories(
    reader: &mut Reader,
    section: &Section<'_>,
    value: Value<'_>,
) -> Option<(Distribution, Vec<Label>)> {
    let inner = reader.section(section, "categories", "`categories`")?;
    let mut found = Vec::new();
    for (name, _) in reader.entries(inner.table) {
        let share = reader.number(&inner, &name.value)?;
        if !(0.0..=1.0).contains(&share.value) {
            let message = "a probability lies between 0 and 1";
            reader.diagnostics.push(share.place.error("D112", message));
            return None;
        }
        found.push((name, share.value));
    }
    let total: f64 = found.iter().map(|(_, share)| share).sum();
    if found.is_empty() || (total - 1.0).abs() > SUM_SLACK {
        let message = format!("the shares of the categories sum to {total}, not to 1");
        let finding = reader.place(value.span()).error("D114", message);
        reader.diagnostics.push(finding);
        return None;
    }
    let number = |text: &Text| text.value.parse::<f64>().ok().filter(|v| v.is_finite());
    let numeric = found.iter().all(|(name, _)| number(name).is_some());
    if numeric {
        found.sort_by(|(a, _), (b, _)| {
            number(a)
                .partial_cmp(&number(b))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    let labels: Vec<Label> = found
        .iter()
        .enumerate()
        .map(|(i, (text, _))| Label {
            text: text.clone(),
            value: number(text).filter(|_| numeric).unwrap_or(i as f64),
            numeric,
        })
        .collect();
    let values = labels.iter().map(|label| label.value).collect();
    let shares = found.iter().map(|(_, share)| share / total).collect();
    Some((Distribution::Categories { values, shares }, labels))
}
