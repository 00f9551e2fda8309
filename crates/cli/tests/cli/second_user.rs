//! The walk-through of the README: a new task from a shipped model by writing one file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Place;

fn repository() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().unwrap()
}

/// The task of the README and the commands below it, word for word.
fn walk_through() -> (String, Vec<Vec<String>>) {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, section) = readme.split_once("### A task of your own").unwrap();
    let (_, text) = section.split_once("```toml\n").unwrap();
    let (task, rest) = text.split_once("```").unwrap();
    let (_, commands) = rest.split_once("```\n").unwrap();
    let (commands, _) = commands.split_once("```").unwrap();
    let words = |line: &str| {
        let line = line.split(" #").next().unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    (task.to_owned(), commands.lines().map(words).collect())
}

/// A folder like the repository's root, in which paths of the README hold.
fn root() -> Place {
    let place = Place::new();
    for name in ["models", "populations"] {
        let (from, to) = (
            repository().join("configs").join(name),
            place.path("configs").join(name),
        );
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(from).unwrap().map(|file| file.unwrap().path()) {
            if file.is_file() {
                fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    let data = repository().join("configs/populations/data");
    fs::create_dir_all(place.path("configs/populations/data")).unwrap();
    for file in fs::read_dir(data).unwrap().map(|file| file.unwrap().path()) {
        let to = place.path("configs/populations/data");
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
    place
}

#[test]
fn the_readme_holds() {
    let place = root();
    let (task, commands) = walk_through();
    assert!(task.lines().count() <= 45, "the task has grown");
    place.write("my-task.toml", &task);
    // the README's own settings, then what makes them end within seconds
    let small = [
        "lanes=32",
        "steps=4",
        "updates=2",
        "hidden=8",
        "encoder=8",
        "minibatches=2",
        "epochs=1",
    ];
    let mut verbs = Vec::new();
    for words in &commands {
        assert_eq!(words[0], "posology", "{words:?}");
        let mut words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        for pair in 0..words.len() {
            if words[pair] == "--patients" {
                words[pair + 1] = "8";
            }
        }
        verbs.push(words[0]);
        if words[0] == "train" {
            words.retain(|word| !word.contains('='));
            words.extend(small);
        }
        if words[0] == "check" {
            words.extend(["--patients", "2"]);
        }
        place.succeed(&words);
    }
    assert_eq!(verbs, ["check", "oracle", "train", "evaluate"]);
    // numbers mean something: more drug is more uptake, and the baseline of the file is played
    let found = place.json(&[
        "oracle",
        "my-task.toml",
        "--patients",
        "16",
        "--baseline",
        "none,most,label",
    ]);
    let rows = found["baselines"]
        .as_array()
        .unwrap_or_else(|| panic!("{found:#}"));
    let worth = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name);
        row.unwrap_or_else(|| panic!("{found:#}"))["mean_return"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(worth("none"), 0.0);
    assert!(worth("label") > 0.0);
}

/// Mistakes that a newcomer makes, and what he is told.
#[test]
fn mistakes_are_explained() {
    let place = root();
    let (task, _) = walk_through();
    let try_it = |from: &str, to: &str, words: &[&str]| {
        assert!(task.contains(from), "the README has no `{from}`");
        place.write("my-task.toml", &task.replacen(from, to, 1));
        let text = place.fail(3, &["oracle", "my-task.toml", "--patients", "2"]);
        for word in words.iter().chain(&["my-task.toml:"]) {
            assert!(text.contains(word), "{to}: no `{word}` in\n{text}");
        }
    };
    // a state that nobody measures
    try_it(
        "\"cumulative_dose / 500",
        "\"liposome / 500",
        &["K011", "not to the policy", "[observe"],
    );
    // a name that does not exist
    try_it(
        "\"cumulative_dose / 500",
        "\"cumulative_doze / 500",
        &["did you mean `cumulative_dose`"],
    );
    // a unit too many, a wrong one, an unknown one
    try_it(
        " / 500[mg/m^2]\"",
        "\"",
        &["must have no unit", "divide by a reference"],
    );
    try_it("500[mg/m^2]", "500[mg]", &["must have no unit"]);
    try_it("unit = \"mg/m^2\"", "unit = \"mgg/m^2\"", &["mgg"]);
    try_it(
        "every = \"28 d\"",
        "every = \"28 mg\"",
        &["the duration must be", "28 mg"],
    );
    // misspelt keys and sections
    try_it("levels =", "level =", &["did you mean `levels`"]);
    try_it(
        "[features.given]",
        "[feature.given]",
        &["did you mean `features`"],
    );
    try_it("horizon =", "horizn =", &["did you mean `horizon`"]);
    // things that the model does not have
    try_it(
        "into = \"liposomal_doxorubicin\"",
        "into = \"doxil\"",
        &["no input `doxil`", "liposomal_doxorubicin"],
    );
    try_it(
        "[observe.total_plasma]",
        "[observe.plasma]",
        &["no observable `plasma`", "total_plasma"],
    );
    try_it(
        "configs/models/liposomal-doxorubicin.toml",
        "configs/models/liposomal.toml",
        &["there is no file", "relative to the task file"],
    );
}
