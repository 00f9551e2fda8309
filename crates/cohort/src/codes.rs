//! Every diagnostic code of this crate, with its meaning. Codes are never reused.

/// Code and one-line meaning: `D` data files and populations, `R` regimens and sampling times.
pub const CODES: &[(&str, &str)] = &[
    ("D001", "the file is not UTF-8 text"),
    ("D002", "an empty file, or no header line"),
    ("D003", "a row with more or fewer fields than the header"),
    ("D004", "two columns for the same thing"),
    ("D005", "a file that cannot be read"),
    ("D006", "a required column is missing"),
    ("D007", "a unit in the header that is not a unit"),
    ("D008", "a unit that measures something else"),
    ("D009", "a table without rows"),
    ("D010", "a field that is not a finite number"),
    ("D011", "a value that is missing"),
    ("D012", "an item that is not one of its codes"),
    ("D013", "a column name that fits several quantities"),
    ("D014", "a column of an unknown name"),
    ("D015", "a value outside the bounds of its parameter"),
    ("D020", "an ID that comes back after another patient"),
    ("D021", "time that goes back without a reset"),
    ("D022", "calendar dates and times of day"),
    ("D023", "a patient who is followed for too many steps"),
    ("D030", "an EVID that does not exist"),
    ("D031", "a dose without a positive amount"),
    ("D032", "a RATE that does not exist"),
    ("D033", "ADDL and II that do not fit"),
    ("D034", "SS that does not exist or lacks its interval"),
    ("D035", "a compartment that does not exist"),
    ("D036", "a dose without an input, or with several"),
    ("D037", "a modelled rate or duration that the model lacks"),
    ("D038", "a dose item on a record that is not a dose"),
    ("D039", "an observable that does not exist"),
    (
        "D040",
        "bioavailability, lag, rate or duration that cannot be",
    ),
    ("D041", "too many events in one patient"),
    ("D042", "too many overlapping infusions at steady state"),
    ("D050", "a patient without individual parameters"),
    ("D051", "a patient who comes twice"),
    ("D060", "correlations that contradict each other"),
    ("D061", "bounds that draws do not meet"),
    ("D062", "too many patients"),
    ("D070", "an observation that its error model excludes"),
    ("D071", "data without an observation"),
    ("D072", "patients without an observation"),
    ("D073", "patients with one observation"),
    ("D074", "patients of whom every observation is censored"),
    ("D075", "observations before time zero"),
    ("D076", "observations of one quantity at one time"),
    ("D077", "a measurement on a record that is no observation"),
    ("D105", "a name that is not an identifier"),
    ("D106", "one name for two things"),
    ("D107", "a citation without a source"),
    ("D109", "a population without covariates, or with too many"),
    (
        "D110",
        "a covariate without a distribution, or with several",
    ),
    ("D111", "a distribution without the parameters it needs"),
    ("D112", "a parameter of a distribution outside its range"),
    ("D113", "bounds that are none, or that leave nothing"),
    ("D114", "categories that do not fit"),
    (
        "D115",
        "a covariate that has no categories, or bounds on one that has",
    ),
    ("D116", "cases that are not the values of their covariate"),
    ("D117", "an unknown or malformed unit"),
    ("D118", "an unknown covariate"),
    ("D119", "a covariate that measures something else"),
    ("D120", "a correlation of things that cannot be correlated"),
    ("D121", "a correlation without a value, or outside -1 to 1"),
    ("D122", "a correlation that comes twice"),
    (
        "D123",
        "correlations of covariates that contradict each other",
    ),
    ("D130", "covariates that need each other"),
    ("D131", "a covariate that depends on time"),
    ("D132", "an unknown equation, or one without its arguments"),
    ("D140", "an unknown method of anatomy"),
    (
        "D141",
        "a table of organs that no anatomy can be computed from",
    ),
    ("D150", "a column that the data file lacks"),
    (
        "D151",
        "an unknown rule for missing values, or one that lacks its value",
    ),
    ("D152", "a column without a data file"),
    ("D153", "more patients than the data file has"),
    (
        "D154",
        "bounds of a computed covariate that draws do not meet",
    ),
    ("D155", "a value for which a mixture has no case"),
    (
        "D156",
        "a covariate or parameter whose unit does not fit the model",
    ),
    ("D157", "a column for a parameter that the model lacks"),
    ("D160", "uncertainty of a parameter that the model lacks"),
    ("D161", "uncertain parameters outside their bounds"),
    ("R001", "a text that does not follow the grammar"),
    ("R002", "an unknown input"),
    ("R003", "an input that is not named"),
    ("R004", "a unit that measures something else, or none"),
    ("R005", "a covariate that the model lacks"),
    ("R006", "a number outside its range"),
    ("R007", "clauses that exclude or need each other"),
    ("R008", "a unit that is not known, or not of time"),
    ("R009", "a covariate that is dosed like an input"),
    ("R010", "days or times that do not fit their cycle"),
    ("R011", "a patient whose covariates give no dose"),
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

    /// Every code in the sources is in the table, and every code in the table is used.
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
                    for (i, _) in text.match_indices("\"D").chain(text.match_indices("\"R")) {
                        let code: String = text[i + 1..].chars().take(4).collect();
                        if code.len() == 4 && code[1..].bytes().all(|b| b.is_ascii_digit()) {
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
