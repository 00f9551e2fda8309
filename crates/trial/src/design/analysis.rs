//! How the arms are compared.

use posology_model::Model;
use posology_model::file::Text;
use posology_model::unit::Dimension;

use super::lookup::{known, quantity};
use super::reader::{Reader, Section};
use super::{Class, Endpoint};

/// How arms are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Index of the arm that others are compared with.
    pub control: usize,
    /// Index of the endpoint that the trial is about.
    pub primary: usize,
    /// Indices of further endpoints that are tested, in their order.
    pub secondary: Vec<usize>,
    /// How the secondary endpoints share the level.
    pub multiplicity: Multiplicity,
    /// Two-sided significance level.
    pub alpha: f64,
    /// Times to an event for the win ratio, the most important first; empty without one.
    pub win_ratio: Vec<usize>,
    /// Times at which event-free shares are given, model time.
    pub times: Vec<f64>,
    /// Confidence level.
    pub level: f64,
    /// Bootstrap resamples.
    pub resamples: usize,
}

/// How several tests keep one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplicity {
    /// Holm 1979, Scand J Stat 6:65.
    Holm,
    /// In their order, each at the full level, until one fails.
    FixedSequence,
    /// Every test at the full level.
    None,
}

impl Multiplicity {
    /// As the trial file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holm => "holm",
            Self::FixedSequence => "fixed-sequence",
            Self::None => "none",
        }
    }
}

/// What is known of endpoints when an analysis or a plan names them.
pub(super) struct Endpoints<'a> {
    /// Those that were read without errors.
    pub read: &'a [Endpoint],
    /// Every name in the file.
    pub names: &'a [Text],
}

impl Endpoints<'_> {
    /// Index of an endpoint; a finding if there is none of this name.
    pub fn find(&self, reader: &mut Reader, text: &Text) -> Option<usize> {
        known(reader, text, self.names, "endpoint")?;
        self.read
            .iter()
            .position(|endpoint| endpoint.name == text.value)
    }

    /// As [`Endpoints::find`], and of a class.
    pub fn of_class(
        &self,
        reader: &mut Reader,
        text: &Text,
        class: Class,
        help: &str,
    ) -> Option<usize> {
        let index = self.find(reader, text)?;
        if self.read[index].class() != class {
            let what = match class {
                Class::Time => "a time to an event",
                Class::YesNo => "an endpoint of yes or no",
                Class::Number => "a number",
                Class::Response => "a best response",
            };
            let message = format!("`{}` is not {what}", text.value);
            reader.found.push(text.error("T015", message).help(help));
            return None;
        }
        Some(index)
    }
}

pub(super) fn analysis(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    arms: &[Text],
    endpoints: &Endpoints<'_>,
    horizon: f64,
) -> Option<Analysis> {
    reader.only(
        section,
        &[
            "control",
            "primary",
            "secondary",
            "multiplicity",
            "alpha",
            "win_ratio",
            "times",
            "level",
            "resamples",
        ],
    );
    let control = reader.required_text(section, "control", "the arm that others are compared with");
    let control = control.and_then(|text| known(reader, &text, arms, "arm"));
    let primary = reader.required_text(section, "primary", "the endpoint that the trial is about");
    let primary = primary.and_then(|text| {
        let index = endpoints.find(reader, &text)?;
        Some((index, text))
    });
    let secondary = list(reader, section, "secondary", endpoints, None);
    if let Some((_, text)) = &primary
        && let Some(again) = reader
            .texts(section, "secondary")
            .into_iter()
            .find(|known| known.value == text.value)
    {
        let message = format!("`{}` is the primary endpoint", again.value);
        reader.found.push(again.error("T027", message));
    }
    let multiplicity = reader.choice(
        section,
        "multiplicity",
        &[
            ("holm", Multiplicity::Holm),
            ("fixed-sequence", Multiplicity::FixedSequence),
            ("none", Multiplicity::None),
        ],
    );
    let win_ratio = list(reader, section, "win_ratio", endpoints, Some(Class::Time));
    let mut times = Vec::new();
    for text in reader.texts(section, "times") {
        let Some(time) = quantity(reader, &text, Dimension::TIME, model) else {
            continue;
        };
        if time > 0.0 && time <= horizon {
            times.push(time);
        } else {
            reader
                .found
                .push(text.error("T013", format!("{} is not within follow-up", text.value)));
        }
    }
    let level = reader.number(section, "level");
    if let Some(level) = &level
        && !(level.value > 0.0 && level.value < 1.0)
    {
        let finding = level
            .place
            .error("T013", "a confidence level lies between 0 and 1");
        reader.found.push(finding.help("such as 0.95"));
    }
    let level = level.map_or(0.95, |level| level.value);
    let alpha = share(reader, section, "alpha", 1.0 - level);
    let resamples = reader.count(section, "resamples", (100, 1_000_000), 2000) as usize;
    Some(Analysis {
        control: control?,
        primary: primary?.0,
        secondary,
        multiplicity: multiplicity?,
        // 1 - 0.95 is not 0.05
        alpha: (alpha? * 1e12).round() / 1e12,
        win_ratio,
        times,
        level,
        resamples,
    })
}

/// A number above 0 and below 1.
pub(super) fn share(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    default: f64,
) -> Option<f64> {
    if !section.table.contains_key(key) {
        return Some(default);
    }
    let fits = |value: f64| value > 0.0 && value < 1.0;
    reader.within(section, key, fits, "above 0 and below 1")
}

/// Endpoints under a key, each once.
fn list(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    endpoints: &Endpoints<'_>,
    class: Option<Class>,
) -> Vec<usize> {
    let texts = reader.texts(section, key);
    reader.once(&texts, "endpoint");
    texts
        .iter()
        .filter_map(|text| match class {
            None => endpoints.find(reader, text),
            Some(class) => {
                let help = format!("`{key}` names times to an event, the most important first");
                endpoints.of_class(reader, text, class, &help)
            }
        })
        .collect()
}
