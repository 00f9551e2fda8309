//! Diagnostic codes of tabular tasks and their tables, `K1xx`. A code is never given a second
//! meaning.

/// Every code, ascending, with what it means.
pub const CODES: &[(&str, &str)] = &[
    ("K101", "a table that cannot be read"),
    ("K102", "a header that is not that of the table"),
    ("K103", "a row with more or fewer fields than the header"),
    ("K104", "a field that is not what its column holds"),
    ("K105", "a state or action that does not exist"),
    ("K106", "probabilities that do not sum to one"),
    ("K107", "a row that stands in the table twice"),
    ("K108", "a state, or a state and an action, without a row"),
    ("K109", "a number outside its range"),
    ("K110", "a terminal state that something follows"),
    ("K111", "a word that is none of the choices"),
    ("K112", "a code that is too short to tell all states apart"),
];

/// The one-line meaning of a code of tabular tasks.
pub fn meaning(code: &str) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(known, _)| *known == code)
        .map(|&(_, meaning)| meaning)
}
