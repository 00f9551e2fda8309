//! Shared by this crate's tests: the device, models and problems.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::Path;
use std::sync::OnceLock;

use posology_cohort::Dataset;
use posology_cohort::nmtran::Reading;
use posology_kernels::device::{self, Device};
use posology_model::Model;
use posology_twin::problem::Problem;
use posology_twin::space::{Population, Space};

/// The software adapter, opened once per binary.
pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| device::open(Some("software")).expect("a software adapter"))
}

pub fn parse(text: &str) -> Model {
    Model::parse("test.toml", text, None).unwrap_or_else(|found| panic!("{found}"))
}

pub fn shipped(name: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    Model::load(&folder.join(format!("{name}.toml"))).unwrap_or_else(|found| panic!("{found}"))
}

/// The fit of a data file, as text.
pub fn problem(model: &Model, data: &[u8], fixed: &[&str]) -> (Problem, Population) {
    let dataset = Dataset::parse("data.csv", data, model).unwrap_or_else(|f| panic!("{f}"));
    let observations = dataset
        .observations(model, &Reading::default())
        .unwrap_or_else(|f| panic!("{f}"));
    let replay = dataset
        .replay(model, None)
        .unwrap_or_else(|f| panic!("{f}"));
    let (space, population) = Space::new(model, fixed).expect("space");
    let problem =
        Problem::new(device(), model, &replay, &observations, space, None).expect("problem");
    (problem, population)
}

/// A straight line per patient.
pub const LINE: &str = r#"
name = "line"
title = "A straight line with random intercept and slope"
time = "d"
dt = "1 d"
[parameters]
base  = { value = 40, unit = "1", source = "test", iiv = { sd = 10, distribution = "normal" } }
slope = { value = -0.2, unit = "1/d", source = "test", iiv = { sd = 1, distribution = "normal" } }
[states.size]
unit = "1"
init = "base"
rate = "slope"
signed = true
[observables.SIZE]
expr = "size"
unit = "1"
error = { additive = "5" }
"#;
