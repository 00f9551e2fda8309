//! Every code of this crate, with its meaning. Codes are never reused.

/// Code and one-line meaning. `M0` structure of a file, `M1` expressions, `M2` units,
/// `M3` names and semantics, `M4` numbers.
pub const CODES: &[(&str, &str)] = &[
    ("M001", "the text is not valid TOML"),
    ("M002", "a key that the format does not have"),
    ("M003", "a required key is missing"),
    ("M004", "a value of the wrong type"),
    ("M005", "a file cannot be read"),
    ("M006", "a name that is not an identifier"),
    ("M007", "the model's name differs from its file's name"),
    ("M008", "a malformed table of index values (CSV)"),
    (
        "M009",
        "keys that exclude each other, or of which exactly one is needed",
    ),
    ("M010", "a text is longer than any model needs"),
    ("M011", "a word that the key does not know"),
    ("M101", "an expression does not follow the grammar"),
    ("M102", "an expression is nested too deeply or too long"),
    ("M103", "an unknown function"),
    ("M104", "a function with the wrong number of arguments"),
    (
        "M105",
        "a condition where a number is needed, or the reverse",
    ),
    ("M106", "a comparison of a comparison"),
    ("M107", "a condition that has no crossing"),
    ("M201", "an unknown unit"),
    ("M202", "a malformed unit or quantity"),
    ("M203", "two operands of different dimensions"),
    (
        "M204",
        "an expression whose dimension is not the declared one",
    ),
    ("M205", "a function of a dimensional argument"),
    ("M206", "a power that has no dimension"),
    ("M207", "an input whose unit does not fit its state"),
    ("M208", "a unit that is not a unit of time"),
    ("M301", "an unknown name"),
    ("M302", "one name for two things"),
    ("M303", "a reserved name"),
    ("M304", "definitions that need each other"),
    (
        "M305",
        "a state or the time where only constants of the patient are allowed",
    ),
    ("M306", "an unknown index or index element"),
    ("M307", "a family with the wrong indices"),
    ("M308", "an index that nothing runs over"),
    ("M309", "an element without a value"),
    ("M310", "a model without states"),
    ("M311", "a source that is not cited"),
    ("M312", "a citation that resembles a source"),
    ("M313", "a parameter that nothing uses"),
    ("M314", "a model that expands beyond the limits"),
    ("M315", "a correlation of quantities that do not vary"),
    ("M316", "weights that do not fit the correction"),
    ("M401", "a number that is not finite"),
    ("M402", "a number outside its range"),
    ("M403", "a value outside its bounds"),
    ("M404", "a variability that cannot be"),
    ("M405", "correlations that contradict each other"),
    ("M406", "grades or thresholds out of order"),
    ("M407", "a step schedule out of order"),
];

/// The one-line meaning of a code of this crate.
pub fn meaning(code: &str) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(known, _)| *known == code)
        .map(|&(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_ordered() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(meaning("M301"), Some("an unknown name"));
    }

    /// The table and the code cannot drift apart: every code in the sources is in the table, and
    /// every code in the table is used.
    #[test]
    fn every_code_is_listed_and_used() {
        let mut used = BTreeSet::new();
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("source folder") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("codes.rs")
                {
                    let text = std::fs::read_to_string(&path).expect("source");
                    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                    for (i, _) in text.match_indices("\"M") {
                        let code: String = text[i + 1..].chars().take(4).collect();
                        if code[1..].bytes().all(|b| b.is_ascii_digit()) && code.len() == 4 {
                            used.insert(code);
                        }
                    }
                }
            }
        }
        let listed: BTreeSet<String> = CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
        assert_eq!(listed, used);
    }
}
