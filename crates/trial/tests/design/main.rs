//! Trial files: every construct to its exact value, every mistake to its code and line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod constructs;
mod endpoints;
mod malformed;
mod plans;
mod rules;

use std::path::PathBuf;

use posology_model::diagnostic::Diagnostics;
use posology_trial::Trial;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials")
}

/// A trial that uses visits, protocols, allocation, subgroups and several endpoints.
pub const BASE: &str = r#"name = "base"
title = "Two doses"
model = "../models/docetaxel-neutropenia.toml"
horizon = "126 d"
time_unit = "d"

[sources]
label = "a product information"

[virtual]
patients = 100

[visits]
every = "7 d"
missed = 0.03
dropout = "0.0005/d"

[visits.observe.ANC]
every = "7 d"

[protocols.standard]
rules = [
    "ANC < 1.5e9/L on day 1: delay 7 d up to 21 d",
    "grade 4 neutropenia: reduce 25 %; second time: stop",
]
source = "label"

[arms.d75]
regimen = "75 mg/m2 over 1 h every 21 d x 6"
protocol = "standard"

[arms.d100]
regimen = "100 mg/m2 over 1 h every 21 d x 6"
protocol = "standard"

[design]
allocation = "parallel"
ratio = [1, 2]
block = 6
strata = ["ecog1", "AAG > 1.34 g/L"]
accrual = "14 d"

[endpoints.neutropenia]
first_time = "circulating < 0.5[1e9/L]"
unit = "d"

[endpoints.grade4]
toxicity = "neutropenia"
grade = 4
within = "21 d"

[endpoints.intensity]
dose_intensity = "docetaxel"

[subgroups.sex]
title = "sex"
groups = { men = "female < 0.5", women = "female > 0.5" }

[analysis]
control = "d75"
primary = "neutropenia"
"#;

/// Reads a text as the file `base.toml` in the folder of shipped trials.
pub fn read(text: &str) -> Result<Trial, Diagnostics> {
    Trial::parse("base.toml", text, &folder())
}

/// The base trial after replacements, which must all find their text.
pub fn edited(edits: &[(&str, &str)]) -> String {
    let mut text = BASE.to_owned();
    for (old, new) in edits {
        assert!(text.contains(old), "the base trial has no `{old}`");
        text = text.replacen(old, new, 1);
    }
    text
}

/// The base trial with something appended, which must be sound.
pub fn with(more: &str) -> Trial {
    read(&format!("{BASE}{more}")).unwrap_or_else(|found| panic!("{found}"))
}
