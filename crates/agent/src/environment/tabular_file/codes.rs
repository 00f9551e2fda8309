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

#[cfg(test)]
mod tests {
    use super::*;

    /// The table and the sources cannot drift apart.
    #[test]
    fn every_code_is_listed_and_used() {
        let sources = [
            include_str!("mod.rs"),
            include_str!("gains.rs"),
            include_str!("sheet.rs"),
            include_str!("tables.rs"),
        ]
        .concat();
        let mut used: Vec<&str> = sources
            .match_indices("\"K1")
            .map(|(i, _)| &sources[i + 1..i + 5])
            .collect();
        used.sort_unstable();
        used.dedup();
        let listed: Vec<&str> = CODES.iter().map(|&(code, _)| code).collect();
        assert_eq!(listed, used);
        assert_eq!(
            meaning("K106"),
            Some("probabilities that do not sum to one")
        );
    }
}
