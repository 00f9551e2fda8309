//! Arms that begin when a patient's own treatment began.

use posology_model::Model;
use posology_model::graph::NodeId;

use super::patients::keep;
use super::reader::{Reader, Section};
use super::replay::{ReplayData, covariate};

/// Each patient's arms begin at the first record at which a covariate is above zero, in the state
/// that the model gives him then.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The covariate, as the file writes it.
    pub when: String,
    /// Slot and the expression whose value at that time it takes.
    pub carry: Vec<(usize, NodeId)>,
    /// Slot and expression as written.
    pub text: Vec<(String, String)>,
    /// `[patient]` model time of that record.
    pub times: Vec<f64>,
}

pub(super) fn start(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &mut Model,
    replay: Option<&ReplayData>,
) -> Option<Start> {
    reader.only(section, &["when", "carry"]);
    let when = reader.required_text(
        section,
        "when",
        "the covariate whose first positive record is the start",
    )?;
    let slot = covariate(reader, &when, model)?;
    let Some(replay) = replay else {
        let finding = section
            .place
            .error("T009", "a start needs the patients' treatment");
        reader
            .found
            .push(finding.help("give [replay], a file with one row per record"));
        return None;
    };
    if replay.exposure != Some(slot) {
        let message = format!("`{}` is not the exposure of [replay]", when.value);
        reader.found.push(
            when.error("T010", message)
                .help("the start is the first record with this exposure"),
        );
        return None;
    }
    let mut carry = Vec::new();
    let mut text = Vec::new();
    if !section.table.contains_key("carry") {
        reader.missing(
            section,
            "carry",
            "what the patient takes along: `carry = { S0 = \"S\" }`",
        );
    }
    for (name, value) in reader.pairs(section, "carry") {
        let Some(slot) = model.slot_index(&name.value) else {
            let names: Vec<String> = (0..model.slot_count())
                .map(|slot| model.slot_name(slot).to_owned())
                .collect();
            let help = posology_model::diagnostic::did_you_mean(
                &name.value,
                names.iter().map(String::as_str),
            );
            let message = format!(
                "`{}` is neither a parameter nor a covariate of {}",
                name.value, model.name
            );
            reader.found.push(name.error("T012", message).help_if(help));
            continue;
        };
        let unit = model.slot_unit(slot).clone();
        if let Some(node) = keep(
            reader,
            model.expression_in(&value.value, &unit, &value.origin),
        ) {
            carry.push((slot, node));
            text.push((name.value, value.value));
        }
    }
    let mut times = Vec::new();
    for records in &replay.records {
        match records.iter().find(|record| record.exposure > 0.0) {
            Some(record) => times.push(record.time),
            None => {
                let message = format!(
                    "a patient of `{}` never has `{}` above zero",
                    replay.file, when.value
                );
                reader.found.push(when.error("T017", message));
                return None;
            }
        }
    }
    Some(Start {
        when: when.value,
        carry,
        text,
        times,
    })
}
