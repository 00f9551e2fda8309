//! `dt`: the step of the integration, where a trial needs another than its model has.

use posology_model::Model;
use posology_model::file::Text;
use posology_model::model::{StepPiece, StepSchedule};
use posology_model::unit::Dimension;

use super::lookup::quantity;
use super::reader::{Reader, Section};

/// `dt = "0.05 h"`, or `[ { until = "2 h", dt = "0.01 h" }, { dt = "0.1 h" } ]` (time after dose).
pub(super) fn schedule(
    reader: &mut Reader,
    root: &Section<'_>,
    model: &Model,
) -> Option<StepSchedule> {
    let value = root.table.get("dt")?;
    if value.get_ref().as_str().is_some() {
        let text = reader.text(root, "dt")?;
        return Some(StepSchedule::constant(step(reader, &text, model)?));
    }
    let sections = reader.tables(root, "dt", "step");
    let mut pieces = Vec::new();
    let mut before = 0.0;
    let last = sections.len().saturating_sub(1);
    for (index, section) in sections.iter().enumerate() {
        reader.only(section, &["until", "dt"]);
        let dt = reader
            .required_text(section, "dt", "such as \"0.05 h\"")
            .and_then(|text| step(reader, &text, model));
        let until = reader.text(section, "until");
        if until.is_none() != (index == last) {
            let message = if index == last {
                "the last step has no end: leave its `until` out"
            } else {
                "a step before the last needs `until`"
            };
            reader.found.push(section.place.error("T013", message));
        }
        let until = match until {
            None => None,
            Some(text) => {
                let time = quantity(reader, &text, Dimension::TIME, model)?;
                if time <= before {
                    let message = "the steps must follow each other in time";
                    reader.found.push(text.error("T013", message));
                }
                before = time;
                Some(time)
            }
        };
        pieces.push(StepPiece { until, dt: dt? });
    }
    (!pieces.is_empty()).then_some(StepSchedule(pieces))
}

fn step(reader: &mut Reader, text: &Text, model: &Model) -> Option<f64> {
    let dt = quantity(reader, text, Dimension::TIME, model)?;
    if dt > 0.0 {
        return Some(dt);
    }
    let finding = text.error("T013", "a step must be positive");
    reader.found.push(finding.help("such as \"0.05 h\""));
    None
}
