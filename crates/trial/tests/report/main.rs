//! What a run leaves behind for statisticians and readers: tables with ADaM names and the report, of
//! small trials on two shipped models.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ordered;
mod page;
mod tables;

use std::path::PathBuf;
use std::sync::OnceLock;

use posology_kernels::device::{Device, open};
use posology_trial::run::{ArmResult, NoStore};
use posology_trial::{Progress, RunSettings, Table, Trial, TrialOutcome, TrialResult};

/// Randomised, stratified, with a protocol, dropout and missed visits.
const NEUTROPENIA: &str = r#"name = "neutropenia"
title = "Two doses < three"
question = "Is the lower dose safer?"
model = "../models/docetaxel-neutropenia.toml"
seed = 11
horizon = "126 d"
time_unit = "d"
limits = ["A test."]

[sources]
label = "a product information"

[virtual]
title = "virtual patients"
patients = 60
population = "../populations/metastatic-breast.toml"

[visits]
every = "7 d"
missed = 0.05
dropout = "0.002/d"
[visits.observe.ANC]

[protocols.standard]
rules = [
    "ANC < 1.5e9/L on day 1: delay 7 d up to 14 d",
    "grade 4 neutropenia: reduce 25 %; second time: stop",
]
source = "label"

[arms.d75]
title = "75 mg/m2"
regimen = "75 mg/m2 over 1 h every 21 d x 5"
protocol = "standard"
[arms.d100]
title = "100 mg/m2"
regimen = "100 mg/m2 over 1 h every 21 d x 5"
protocol = "standard"

[design]
allocation = "parallel"
ratio = [1, 2]
block = 6
strata = ["AAG > 1 g/L"]

[endpoints.grade4]
title = "First grade 4 neutropenia"
first_time = "circulating < 0.5[1e9/L]"
unit = "d"
[endpoints.deep]
title = "Very deep neutropenia"
first_time = "circulating < 0.1[1e9/L]"
unit = "d"
[endpoints.either]
title = "Either"
earliest = ["grade4", "deep"]
unit = "d"
[endpoints.limiting]
title = "Grade 4 in the first cycle"
toxicity = "neutropenia"
grade = 4
within = "21 d"
[endpoints.nadir]
title = "Lowest count"
min = "circulating"
unit = "1e9/L"
[endpoints.intensity]
title = "Dose intensity"
dose_intensity = "docetaxel"
unit = "%"
[endpoints.stay]
title = "Time on treatment"
time_on_treatment = true
unit = "d"

[subgroups.fitness]
title = "performance status"
groups = { "fit" = "ecog1 < 0.5", "less fit" = "ecog1 > 0.5", "nobody" = "AAG <= 0 g/L" }

[analysis]
control = "d75"
primary = "grade4"
secondary = ["limiting", "nadir"]
win_ratio = ["deep", "grade4"]
times = ["42 d"]
level = 0.95

[context]
question = "Which dose goes into the next trial?"
context_of_use = "To choose between two doses beside a product information."
influence = "Medium: one argument among several."
consequence = "Low: nobody is treated on this."

[[validation]]
quantity = "Grade 4 in the first cycle"
published = 0.5
low = 0.0
high = 1.0
endpoint = "limiting"
arm = "d100"
statistic = "rate"
source = "label"
"#;

/// Everybody through every arm, with scans, survival and two drugs.
const RESPONSES: &str = r#"name = "responses"
title = "One drug or two"
model = "../models/bruno-tgi.toml"
seed = 12
horizon = "52 wk"
time_unit = "wk"

[virtual]
title = "virtual women"
patients = 40

[visits]
every = "3 wk"
dropout = "0.005/wk"
[visits.observe.size]
every = "6 wk"

[arms.doc]
title = "Docetaxel"
regimen = "docetaxel: 100 mg/m2 every 3 wk x 6"
[arms.both]
title = "Docetaxel, capecitabine"
regimen = """docetaxel: 75 mg/m2 every 21 d x 6;
capecitabine: 1250 mg/m2 on days 1-14 every 21 d x 6;
capecitabine: 1250 mg/m2 from 12 h on days 1-14 every 21 d x 6"""

[endpoints.response]
title = "Best response"
response = "size"
[endpoints.progression]
title = "Progression"
progression = "size"
unit = "mo"
[endpoints.death]
title = "Death"
drawn = "os_time"
time = "6 wk"
unit = "mo"
[endpoints.pfs]
title = "Progression-free survival"
earliest = ["progression", "death"]
unit = "mo"

[analysis]
control = "doc"
primary = "pfs"
secondary = ["death"]
"#;

pub struct Case {
    pub trial: Trial,
    pub result: TrialResult,
    pub outcome: TrialOutcome,
}

impl Case {
    pub fn table(&self, name: &str) -> &Table {
        let mut tables = self.outcome.tables.iter();
        tables
            .find(|table| table.name == name)
            .unwrap_or_else(|| panic!("no table {name}"))
    }
}

/// When a patient of an arm died, model time; infinite if he did not.
pub fn died(case: &Case, arm: &ArmResult, k: usize) -> f64 {
    let death = case.trial.endpoints.iter().position(|e| e.name == "death");
    let Some(e) = death.filter(|&e| arm.events[e][k]) else {
        return f64::INFINITY;
    };
    arm.values[e][k] * case.trial.model.units.scale(&case.trial.endpoints[e].unit)
}

pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| open(Some("software")).expect("the software adapter"))
}

pub fn settings() -> RunSettings {
    RunSettings {
        provenance: vec![("Version".into(), "test".into())],
        ..RunSettings::default()
    }
}

fn run(name: &str, text: &str) -> Case {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let trial = Trial::parse(name, text, &folder).unwrap_or_else(|found| panic!("{name}: {found}"));
    let mut quiet = |_: &Progress| true;
    let result = trial
        .simulate(device(), &settings(), &mut NoStore, &mut quiet)
        .expect("a run")
        .expect("all of it");
    let outcome = trial.outcome(&result, &settings()).expect("an outcome");
    Case {
        trial,
        result,
        outcome,
    }
}

pub fn neutropenia() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| run("neutropenia.toml", NEUTROPENIA))
}

pub fn responses() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| run("responses.toml", RESPONSES))
}

pub fn both() -> [&'static Case; 2] {
    [neutropenia(), responses()]
}
