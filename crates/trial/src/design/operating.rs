//! `[operating]`: replicate trials.

use posology_model::file::Text;

use super::lookup::known;
use super::reader::{Reader, Section};

/// How often the trial is repeated to learn how it performs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operating {
    /// Replicate trials.
    pub replicates: usize,
    /// Patients of each, over all arms.
    pub patients: usize,
    /// For the type I error: every arm receives what this arm (its index) receives.
    pub null: Option<usize>,
}

pub(super) fn operating(
    reader: &mut Reader,
    section: &Section<'_>,
    arms: &[Text],
) -> Option<Operating> {
    reader.only(section, &["replicates", "patients", "null"]);
    for (key, help) in [
        ("replicates", "how many trials, such as `replicates = 1000`"),
        (
            "patients",
            "patients of each trial, such as `patients = 300`",
        ),
    ] {
        if !section.table.contains_key(key) {
            reader.missing(section, key, help);
        }
    }
    let replicates = reader.count(section, "replicates", (10, 10_000_000), 10) as usize;
    let least = (2 * arms.len() as u64).max(2);
    let patients = reader.count(section, "patients", (least, 10_000_000), least) as usize;
    let null = match reader.section(section, "null") {
        None => None,
        Some(inner) => {
            reader.only(&inner, &["arm"]);
            let arm = reader.required_text(&inner, "arm", "the arm that all receive")?;
            Some(known(reader, &arm, arms, "arm")?)
        }
    };
    Some(Operating {
        replicates,
        patients,
        null,
    })
}
