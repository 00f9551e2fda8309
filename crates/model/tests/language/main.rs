//! The model language, from text to model: what it accepts, what it says about mistakes.

// a test fails by panicking
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod correction;
mod correction_malformed;
mod families;
mod later;
mod malformed;
mod properties;

use posology_model::{Diagnostics, Model};

/// A small model that has nothing to complain about.
pub const BASE: &str = r#"
name = "base"
title = "One compartment"
time = "h"
dt = "0.1 h"
[parameters]
k = { value = 1, unit = "1/h", source = "made up" }
V = { value = 2, unit = "L", source = "made up" }
[derived]
c = { expr = "x / V", unit = "mg/L" }
[states.x]
unit = "mg"
rate = "-k*x"
[observables.C]
expr = "c"
"#;

pub fn parse(text: &str) -> Result<Model, Diagnostics> {
    Model::parse("test.toml", text, None)
}

pub fn model(text: &str) -> Model {
    parse(text).unwrap_or_else(|findings| panic!("{findings}\n{text}"))
}

/// Value of a state's rate, an observable, a derived quantity or a summary's node at `states`.
pub fn value(model: &Model, node: posology_model::graph::NodeId, states: &[f64]) -> f64 {
    use posology_model::interpret::{Environment, evaluate};
    let slots = model.typical_slots();
    let inputs = vec![0.0; model.inputs.len()];
    let environment = Environment {
        states,
        slots: &slots,
        inputs: &inputs,
        ..Default::default()
    };
    evaluate(&model.graph, &[node], &environment)[0]
}

#[test]
fn the_base_model_has_no_findings() {
    let m = model(BASE);
    assert!(m.warnings.is_empty(), "{}", m.warnings);
    assert_eq!(m.observables[0].unit.text(), "mg/L");
    assert_eq!(value(&m, m.observables[0].node, &[10.0]), 5.0);
}

#[test]
fn warnings_do_not_stop_a_model() {
    let text = BASE.replace(
        "[derived]",
        "[sources]\nsmith = \"Smith 2001\"\nidle = \"Idle 1999\"\n[derived]",
    );
    let text = text.replace(
        "V = {",
        "w = { value = 1, unit = \"1\", source = \"smiht\" }\nV = {",
    );
    let text = text.replace(
        "\"1/h\", source = \"made up\"",
        "\"1/h\", source = \"smith\"",
    );
    let m = model(&text);
    let codes: Vec<&str> = m.warnings.iter().map(|w| w.code).collect();
    assert_eq!(codes, ["M313", "M312", "M311"], "{}", m.warnings);
    assert_eq!(m.parameters[0].source, "Smith 2001");
}

#[test]
fn a_file_on_disk_carries_its_models_name() {
    let dir = std::env::temp_dir().join(format!("posology-language-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("folder");
    let path = dir.join("base.toml");
    std::fs::write(&path, BASE).expect("write");
    assert_eq!(Model::load(&path).expect("model").name, "base");
    let other = dir.join("other.toml");
    std::fs::write(&other, BASE).expect("write");
    let findings = Model::load(&other).expect_err("name");
    let finding = findings.iter().next().expect("finding");
    assert_eq!((finding.code, finding.position()), ("M007", Some((2, 8))));
    let findings = Model::load(&dir.join("absent.toml")).expect_err("absent");
    assert_eq!(findings.iter().next().map(|d| d.code), Some("M005"));
    std::fs::remove_dir_all(&dir).expect("clean");
}
