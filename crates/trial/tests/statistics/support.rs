//! Reading golden files and measuring how far results are from them.

use posology_trial::statistics::*;
use serde_json::Value;

pub fn survival_data() -> Value {
    serde_json::from_str(include_str!("../golden/survival.json")).unwrap()
}

pub fn survival_r() -> Value {
    serde_json::from_str(include_str!("../golden/survival_r.json")).unwrap()
}

pub fn comparisons() -> Value {
    serde_json::from_str(include_str!("../golden/comparisons.json")).unwrap()
}

pub fn comparisons_r() -> Value {
    serde_json::from_str(include_str!("../golden/comparisons_r.json")).unwrap()
}

/// Numbers of an array; null becomes NaN. A lone number counts as an array of one.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_f64().unwrap_or(f64::NAN))
            .collect(),
        single => vec![single.as_f64().unwrap_or(f64::NAN)],
    }
}

#[track_caller]
pub fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("not a number: {value}"))
}

pub fn labels(value: &Value) -> Vec<u32> {
    numbers(value).iter().map(|label| *label as u32).collect()
}

pub fn flags(value: &Value) -> Vec<bool> {
    let items = value.as_array().unwrap();
    items.iter().map(|item| item.as_bool().unwrap()).collect()
}

#[track_caller]
pub fn close(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    let error = (ours - theirs).abs() / theirs.abs().max(1e-3);
    assert!(
        error <= tolerance,
        "{what}: {ours} against {theirs}, relative error {error:.1e}"
    );
}

/// The patients of a data set with columns `times` and `events`.
pub fn sample(data: &Value, name: &str) -> SurvivalSample {
    SurvivalSample::new(name, numbers(&data["times"]), flags(&data["events"])).unwrap()
}

pub fn covariate(data: &Value, column: &str) -> Covariate {
    Covariate {
        name: column.to_owned(),
        values: numbers(&data[column]),
    }
}

/// Compares with a package, and prints the worst relative error (`--nocapture`).
pub struct Against {
    what: &'static str,
    tolerance: f64,
    worst: f64,
}

impl Against {
    pub fn new(what: &'static str, tolerance: f64) -> Self {
        Self {
            what,
            tolerance,
            worst: 0.0,
        }
    }

    /// Relative error, absolute where the package says zero.
    #[track_caller]
    pub fn check(&mut self, ours: f64, theirs: f64, where_: &str) {
        let scale = if theirs.abs() < 1e-12 {
            1.0
        } else {
            theirs.abs()
        };
        let error = (ours - theirs).abs() / scale;
        assert!(
            error <= self.tolerance,
            "{}, {where_}: {ours} against {theirs}, relative error {error:.1e}",
            self.what
        );
        self.worst = self.worst.max(error);
    }
}

impl Drop for Against {
    fn drop(&mut self) {
        println!("{}: worst relative error {:.1e}", self.what, self.worst);
    }
}

/// The result is this error, and its message says what to do.
macro_rules! refused {
    ($result:expr, $pattern:pat) => {
        match $result {
            Err(error @ $pattern) => assert!(error.to_string().contains(';'), "no remedy: {error}"),
            other => panic!("{other:?}"),
        }
    };
}

pub(crate) use refused;
