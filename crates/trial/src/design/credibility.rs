//! `[context]` and `[[validation]]`: what a prediction is for, and what it is held against.

use posology_model::file::Text;

use super::Class;
use super::analysis::Endpoints;
use super::lookup::{cited, known};
use super::reader::{Reader, Section};

/// What the model is used for, in the order of ASME V&V 40.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredibilityContext {
    /// The question of interest.
    pub question: String,
    /// The context of use.
    pub context_of_use: String,
    /// How much the decision rests on the model.
    pub influence: String,
    /// What a wrong decision would lead to.
    pub consequence: String,
}

/// A published number, and the endpoint that predicts it.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// What was published.
    pub quantity: String,
    /// In `unit`.
    pub published: f64,
    /// Interval or range of the published number, if there is one.
    pub range: Option<(f64, f64)>,
    /// As written; empty if the endpoint's own.
    pub unit: String,
    /// Index of the endpoint.
    pub endpoint: usize,
    /// Index of the arm.
    pub arm: usize,
    /// What is taken of the endpoint in the arm.
    pub statistic: Statistic,
    /// The citation.
    pub source: String,
    /// A remark for readers.
    pub note: String,
}

/// A number that describes an endpoint in an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Median (Kaplan-Meier for a time to an event).
    Median,
    /// Arithmetic mean.
    Mean,
    /// Share of patients in whom it happens (response: complete or partial).
    Rate,
}

impl Statistic {
    /// As the trial file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::Mean => "mean",
            Self::Rate => "rate",
        }
    }
}

pub(super) fn context(reader: &mut Reader, section: &Section<'_>) -> Option<CredibilityContext> {
    reader.only(
        section,
        &["question", "context_of_use", "influence", "consequence"],
    );
    let mut words = |key: &str, help: &str| {
        reader
            .required_text(section, key, help)
            .map(|text| text.value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let question = words("question", "what is to be decided");
    let context_of_use = words("context_of_use", "what the model is used for, and what not");
    let influence = words("influence", "how much the decision rests on the model");
    let consequence = words("consequence", "what a wrong decision would lead to");
    Some(CredibilityContext {
        question: question?,
        context_of_use: context_of_use?,
        influence: influence?,
        consequence: consequence?,
    })
}

pub(super) fn validation(
    reader: &mut Reader,
    root: &Section<'_>,
    arms: &[Text],
    endpoints: &Endpoints<'_>,
    sources: &std::collections::BTreeMap<String, String>,
) -> Vec<Validation> {
    let sections = reader.tables(root, "validation", "validation");
    sections
        .iter()
        .filter_map(|section| {
            cited(reader, section, sources);
            entry(reader, section, arms, endpoints)
        })
        .collect()
}

fn entry(
    reader: &mut Reader,
    section: &Section<'_>,
    arms: &[Text],
    endpoints: &Endpoints<'_>,
) -> Option<Validation> {
    reader.only(
        section,
        &[
            "quantity",
            "published",
            "low",
            "high",
            "unit",
            "endpoint",
            "arm",
            "statistic",
            "source",
            "note",
        ],
    );
    let quantity = reader.required_text(section, "quantity", "what was published, in words");
    if !section.table.contains_key("published") {
        reader.missing(section, "published", "the published number");
    }
    let published = reader.number(section, "published");
    let (low, high) = (
        reader.number(section, "low"),
        reader.number(section, "high"),
    );
    let range = match (&low, &high) {
        (Some(low), Some(high)) => {
            if low.value > high.value {
                let message = "`low` is above `high`";
                reader.found.push(low.place.error("T013", message));
            }
            Some((low.value, high.value))
        }
        (Some(one), None) | (None, Some(one)) => {
            let message = "`low` and `high` go together";
            reader.found.push(one.place.error("T009", message));
            None
        }
        (None, None) => None,
    };
    let endpoint = reader
        .required_text(section, "endpoint", "the endpoint that predicts it")
        .and_then(|text| Some((endpoints.find(reader, &text)?, text)));
    let arm = reader
        .required_text(section, "arm", "the arm in which it is predicted")
        .and_then(|text| known(reader, &text, arms, "arm"));
    if !section.table.contains_key("statistic") {
        reader.missing(section, "statistic", "\"median\", \"mean\" or \"rate\"");
    }
    let statistic = reader.choice(
        section,
        "statistic",
        &[
            ("median", Statistic::Median),
            ("mean", Statistic::Mean),
            ("rate", Statistic::Rate),
        ],
    );
    if let (Some((index, text)), Some(statistic)) = (&endpoint, statistic) {
        let class = endpoints.read[*index].class();
        let happens = matches!(class, Class::YesNo | Class::Response);
        let wrong = happens != (statistic == Statistic::Rate)
            || (class == Class::Time && statistic == Statistic::Mean);
        if wrong {
            let message = format!("`{}` has no {}", text.value, statistic.name());
            let help = match class {
                Class::Time => "a time to an event has a \"median\"",
                Class::Number => "a number has a \"median\" and a \"mean\"",
                _ => "what happens or not has a \"rate\"",
            };
            reader.found.push(text.error("T015", message).help(help));
        }
    }
    let unit = reader.text(section, "unit");
    if let (Some(text), Some((index, _))) = (&unit, &endpoint) {
        let own = &endpoints.read[*index].unit;
        match posology_model::unit::Unit::parse(&text.value) {
            Ok(unit) if unit.dimension() == own.dimension() => {}
            Ok(unit) => {
                let message = format!("the endpoint is in `{own}`, `{unit}` is something else");
                reader.found.push(text.error("T014", message));
            }
            Err(error) => {
                let place = text.origin.at(error.span.clone());
                reader
                    .found
                    .push(place.error("T014", error.message).help_if(error.help));
            }
        }
    }
    if !section.table.contains_key("source") {
        let finding = section
            .place
            .error("T016", format!("{} has no `source`", section.what));
        reader
            .found
            .push(finding.help("a published number needs its citation"));
    }
    Some(Validation {
        quantity: quantity?.value,
        published: published?.value,
        range,
        unit: unit.map_or_else(String::new, |unit| unit.value),
        endpoint: endpoint?.0,
        arm: arm?,
        statistic: statistic?,
        source: reader.words(section, "source"),
        note: reader.words(section, "note"),
    })
}
