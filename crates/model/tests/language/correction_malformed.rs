//! Mistakes in `[correction]` and in the file of its weights: each with its code and its place.

use super::correction::{Folder, MECHANISM, SECTION};
use super::malformed::finds;
use posology_model::Model;

/// Switched off: nothing to read from disk.
fn plain() -> String {
    SECTION.replace("weights = \"w.csv\"\n", "")
}

#[track_caller]
fn swap(code: &str, from: &str, to: &str) {
    let section = plain();
    assert!(section.contains(from), "{from}");
    finds(
        code,
        &format!("{MECHANISM}{}", section.replacen(from, to, 1)),
    );
}

#[test]
fn structure() {
    swap("M002", "width = 5", "§units = 5");
    swap(
        "M002",
        "form = \"relative\"",
        "form = \"relative\", §unit = \"1\"",
    );
    swap("M004", "width = 5", "width = §\"5\"");
    swap("M004", "inputs = [", "inputs = §1 # [");
    swap("M003", "[correction]\ninputs = [", "[§correction]\n# [");
    swap("M003", "x = { scale = \"0.05 1/d\",", "§x = {");
    swap(
        "M003",
        "x = { scale = \"0.05 1/d\", form = \"relative\" }",
        "§x = { scale = \"1 1/d\" }",
    );
    let section = plain();
    let (before, _) = section.split_once("[correction.rates]").expect("rates");
    let before = before.replacen("[correction]", "[§correction]", 1);
    finds("M003", &format!("{MECHANISM}{before}"));
    finds("M402", &format!("{MECHANISM}{before}[correction.rates]\n"));
}

#[test]
fn settings() {
    for (key, value) in [("width = ", "5"), ("layers = ", "2"), ("latents = ", "1")] {
        let from = format!("{key}{value}");
        for bad in ["-1", "2.5", "65"] {
            swap("M402", &from, &format!("{key}§{bad}"));
        }
        swap("M401", &from, &format!("{key}§inf"));
    }
    swap("M402", "width = 5", "width = §0");
    swap("M402", "layers = 2", "layers = §5");
    swap("M402", "layers = 2", "layers = 2\nseed = §-3");
    swap("M011", "layers = 2", "layers = 2\nactivation = §\"relu\"");
    let nothing =
        plain()
            .replace("latents = 1\n", "")
            .replacen("inputs = [", "inputs = §[] # [", 1);
    finds("M402", &format!("{MECHANISM}{nothing}"));
}

#[test]
fn inputs() {
    swap("M204", "\"x/K\"", "\"§x\"");
    swap("M301", "\"x/K\"", "\"x/§k\"");
    swap("M101", "\"x/K\"", "\"x/§\"");
    swap("M105", "\"x/K\"", "\"§x > K\"");
    // an input of a drug is no quantity of a rate, and the network's own names none of the file's
    swap("M301", "\"x/K\"", "\"§drug/K\"");
    swap("M301", "\"x/K\"", "\"§nn_z1\"");
}

#[test]
fn rates() {
    swap("M301", "x = {", "§xx = {");
    swap("M301", "x = {", "§effect = {");
    swap("M301", "\"a[organ]\"", "§\"a[r]\"");
    swap("M006", "x = {", "§\"x-\" = {");
    swap(
        "M302",
        "\"a[organ]\"",
        "\"a[p]\" = { scale = \"1 1/d\", form = \"relative\" }\n§\"a[organ]\"",
    );
    swap("M011", "\"relative\"", "§\"absolut\"");
    swap("M204", "\"0.05 1/d\"", "§\"0.05 mg/d\"");
    swap("M204", "\"2 ug/h\"", "§\"2 ug\"");
    swap("M204", "\"0.5 ug\"", "§\"0.5 h\"");
    swap("M201", "\"2 ug/h\"", "\"2 §uf/h\"");
    swap("M402", "\"0.05 1/d\"", "§\"-0.05 1/d\"");
    swap("M402", "\"0.5 ug\"", "§\"0 ug\"");
    swap(
        "M003",
        "y = { scale = \"2 ug/h\", form = \"absolute\", floor = \"0.5 ug\" }",
        "§y = { scale = \"2 ug/h\", form = \"absolute\" }",
    );
    // neither a signed state nor a relative correction has a use for a floor
    swap(
        "M009",
        "s = { scale = \"1 mg/d\", form = \"absolute\"",
        "s = { scale = \"1 mg/d\", form = \"absolute\", floor = §\"1 mg\"",
    );
    swap(
        "M009",
        "form = \"relative\"",
        "form = \"relative\", floor = §\"1 mg\"",
    );
}

#[test]
fn sizes() {
    let many = ["\"x/K\""; 300].join(", ");
    let section = plain()
        .replace("width = 5", "width = 64")
        .replace("layers = 2", "layers = 4");
    let section = section.replace("\"x/K\"", &many);
    let section = section.replacen("[correction]", "[§correction]", 1);
    finds("M314", &format!("{MECHANISM}{section}"));
}

#[test]
fn names_of_the_network_are_taken() {
    for name in ["nn_z1", "nn_w3_5_5", "nn_b1_2"] {
        let parameter =
            format!("§{name} = {{ value = 1, unit = \"1/d\", source = \"made up\" }}\ng =");
        let mechanism = MECHANISM.replacen("g =", &parameter, 1);
        finds("M302", &format!("{mechanism}{}", plain()));
    }
    // what this network does not use is free
    let other = "nn_w9_1_1 = { value = 1, unit = \"1/d\", source = \"made up\" }\ng =";
    super::model(&format!(
        "{}{}",
        MECHANISM.replacen("g =", other, 1),
        plain()
    ));
}

/// The one finding about weights that `edit` makes of good ones: code, file, line and column.
#[track_caller]
fn weights(edit: impl Fn(&str) -> String) -> (&'static str, String, (usize, usize)) {
    let folder = Folder::new();
    let start = super::model(&format!("{MECHANISM}{}", plain()));
    let correction = start.correction.expect("correction");
    let good = correction.weights_csv(&vec![0.5; correction.network.weight_count()]);
    folder.write("w.csv", &edit(&good));
    let text = format!("{MECHANISM}{SECTION}");
    let findings = [Model::parse, Model::parse_trainable]
        .map(|read| read("test.toml", &text, Some(&folder.0)).expect_err("a mistake"));
    assert_eq!(findings[0], findings[1]);
    let all: Vec<_> = findings[0].iter().collect();
    assert_eq!(all.len(), 1, "{}", findings[0]);
    let file = all[0].file().unwrap_or_default();
    let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
    (
        all[0].code,
        name.to_owned(),
        all[0].position().unwrap_or_default(),
    )
}

#[test]
fn files_of_weights() {
    let csv = |code, line, column| (code, "w.csv".to_owned(), (line, column));
    let toml = |code| {
        let line = format!("{MECHANISM}{SECTION}")
            .lines()
            .position(|l| l.starts_with("weights"));
        (
            code,
            "test.toml".to_owned(),
            (line.expect("weights") + 1, 11),
        )
    };
    assert_eq!(
        weights(|good| good.replace("weight,", "name,")),
        csv("M008", 1, 1)
    );
    assert_eq!(weights(|_| String::new()), toml("M008"));
    assert_eq!(
        weights(|good| good.replacen("0.5", "half", 1)),
        csv("M008", 2, 11)
    );
    assert_eq!(
        weights(|good| good.replacen("0.5", "NaN", 1)),
        csv("M008", 2, 11)
    );
    assert_eq!(
        weights(|good| good.replacen("0.5", "0.5,1", 1)),
        csv("M008", 2, 1)
    );
    assert_eq!(
        weights(|good| good.replacen("0.5", "1e36", 1)),
        csv("M402", 2, 11)
    );
    assert_eq!(
        weights(|good| good.replace("nn_w1_1_2", "nn_w1_1_1")),
        csv("M302", 3, 1)
    );
    assert_eq!(
        weights(|good| good.replace("nn_b3_5,0.5\n", "")),
        toml("M316")
    );
    // those of a wider network: one finding, at the first that has no place
    let wider = |good: &str| good.replace("nn_b1_5,", "nn_w1_6_1,1\nnn_w1_6_2,1\nnn_b1_5,");
    assert_eq!(weights(wider), csv("M316", 26, 1));
}

#[test]
fn a_file_that_is_not_there() {
    let section = SECTION.replace("\"w.csv\"", "§\"w.csv\"");
    finds("M005", &format!("{MECHANISM}{section}"));
    let folder = Folder::new();
    let text = format!("{MECHANISM}{SECTION}");
    let findings = Model::parse("test.toml", &text, Some(&folder.0)).expect_err("no file");
    let all: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(all, ["M005"], "{findings}");
    assert!(findings.to_string().contains("relative to the model file"));
}
