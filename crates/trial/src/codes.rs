//! Every diagnostic code of trial files, with its meaning. Codes are never reused.

/// Code and one-line meaning.
pub const CODES: &[(&str, &str)] = &[
    ("T001", "the text is not valid TOML"),
    ("T002", "a key that the format does not have"),
    ("T003", "a required key is missing"),
    ("T004", "a value of the wrong type"),
    ("T005", "a file that cannot be read"),
    (
        "T006",
        "a name that is not an identifier, or differs from its file's name",
    ),
    ("T007", "a trial without arms, endpoints or patients"),
    ("T008", "a column that the data lack"),
    (
        "T009",
        "keys that exclude each other, or of which exactly one is needed",
    ),
    (
        "T010",
        "an arm, endpoint, group or observable that does not exist",
    ),
    ("T011", "a rule that uses what is not observed"),
    (
        "T012",
        "a rule, a baseline or an exposure of what is not a covariate",
    ),
    ("T013", "a number outside its range"),
    ("T014", "a quantity or unit of the wrong dimension"),
    ("T015", "an endpoint of another kind than is needed"),
    ("T016", "a source that is not cited, or is missing"),
    ("T017", "patients of two files that do not match"),
    ("T018", "a field that is not a number of its column"),
    ("T019", "a rule of a protocol that cannot be read"),
    ("T020", "a visit that never comes"),
    ("T021", "what needs visits, in a trial without"),
    ("T022", "a delay that is not decided when a cycle is due"),
    (
        "T023",
        "a ratio, blocks or strata that do not fit the trial",
    ),
    (
        "T024",
        "patients divided by what is not known before treatment",
    ),
    ("T025", "what nothing in the trial uses"),
    ("T026", "an endpoint that is made of itself"),
    ("T027", "the same thing twice"),
    (
        "T028",
        "a measurement that is not made as the trial file suggests",
    ),
    (
        "T030",
        "a regimen whose cycles or infusions do not fit the visits",
    ),
    (
        "T031",
        "doses at visits that differ in time between patients",
    ),
    (
        "T032",
        "variability between occasions that visits cannot draw",
    ),
    ("T033", "a trained policy that does not fit the trial"),
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

    /// The table and the code cannot drift apart.
    #[test]
    fn every_code_is_listed_and_used() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
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
                    for (i, _) in text.match_indices("\"T0") {
                        used.insert(text[i + 1..].chars().take(4).collect::<String>());
                    }
                }
            }
        }
        let listed: BTreeSet<String> = CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
        assert_eq!(listed, used);
    }
}
