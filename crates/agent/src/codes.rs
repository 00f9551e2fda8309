//! Diagnostic codes of task files. A code is never given a second meaning.

/// Every code, ascending, with what it means.
pub const CODES: &[(&str, &str)] = &[
    ("K001", "a model or population that cannot be used"),
    ("K002", "a value in the wrong unit"),
    ("K003", "a name that is taken"),
    ("K004", "an action that is neither a dose nor a covariate"),
    ("K005", "levels or a largest dose that cannot be"),
    (
        "K006",
        "an input, covariate or observable that cannot be used",
    ),
    ("K007", "a time that does not fit the decisions"),
    ("K008", "a number outside its range"),
    ("K010", "a condition is needed"),
    ("K011", "a quantity that the policy cannot see"),
    ("K012", "a condition on patients that hardly anyone fits"),
    ("K013", "a look-ahead that cannot be"),
];

/// The one-line meaning of a code of this crate.
pub fn meaning(code: &str) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(known, _)| *known == code)
        .map(|&(_, meaning)| meaning)
}
