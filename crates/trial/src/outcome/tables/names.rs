//! Names as data sets of clinical trials need them.

use std::collections::BTreeSet;

/// Names of variables and parameters: at most eight letters and digits, the first a letter, each
/// once.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

/// Longest name.
const LONGEST: usize = 8;

impl Names {
    /// With names that are not to be given again.
    pub fn without(taken: &[&str]) -> Self {
        Self {
            taken: taken.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// A name made of another one.
    pub fn of(&mut self, text: &str) -> String {
        let upper = text.to_ascii_uppercase();
        let mut base: String = upper
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if base.len() > LONGEST {
            base.retain(|c| c != '_');
        }
        if !base.starts_with(|c: char| c.is_ascii_alphabetic()) {
            base.insert(0, 'X');
        }
        base.truncate(LONGEST);
        let mut name = base.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            let suffix = number.to_string();
            let room = LONGEST.saturating_sub(suffix.len());
            name = base.chars().take(room).chain(suffix.chars()).collect();
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_unique() {
        let mut names = Names::without(&["AGE"]);
        let found = [
            "age",
            "dose_intensity",
            "dose_intensity_2",
            "6_weeks",
            "",
            "AAG",
            "os",
        ]
        .map(|text| names.of(text));
        assert_eq!(
            found,
            ["AGE2", "DOSEINTE", "DOSEINT2", "X6_WEEKS", "X", "AAG", "OS"]
        );
    }
}
