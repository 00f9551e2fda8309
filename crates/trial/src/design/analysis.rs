//! How the arms are compared.

use posology_model::Model;
use posology_model::file::Text;
use posology_model::unit::Dimension;

use super::parse::{known, quantity};
use super::reader::{Reader, Section};
use super::{Analysis, Endpoint};

pub(super) fn analysis(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    arms: &[Text],
    endpoints: &[Endpoint],
    names: &[Text],
    horizon: f64,
) -> Option<Analysis> {
    reader.only(
        section,
        &["control", "primary", "times", "level", "resamples"],
    );
    let control = reader.required_text(section, "control", "the arm that others are compared with");
    let control = control.and_then(|text| known(reader, &text, arms, "arm"));
    let primary = reader.required_text(section, "primary", "the endpoint that the trial is about");
    let primary = primary.and_then(|text| {
        known(reader, &text, names, "endpoint")?;
        let index = endpoints
            .iter()
            .position(|endpoint| endpoint.name == text.value)?;
        if !endpoints[index].is_time() {
            let message = format!(
                "the primary endpoint `{}` is not a time to an event",
                text.value
            );
            reader.found.push(
                text.error("T015", message)
                    .help("choose one with `first_time`"),
            );
        }
        Some(index)
    });
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
    let resamples = reader.count(section, "resamples", (100, 1_000_000), 2000) as usize;
    Some(Analysis {
        control: control?,
        primary: primary?,
        times,
        level: level.map_or(0.95, |level| level.value),
        resamples,
    })
}
