//! Population files with mistakes: the code, the place and the help of each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use posology_cohort::population_file::Population;
use posology_model::Diagnostics;
use posology_model::model::Model;

const HEAD: &str = "name = \"test\"\n[sources]\nx = \"made up for this test\"\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/populations")
}

fn read(text: &str) -> Result<Population, Diagnostics> {
    Population::parse("test.toml", &format!("{HEAD}{text}"), Some(&folder()))
}

/// One finding of this code, whose span begins with `at`, and whose help contains `help`.
fn expect(text: &str, code: &str, at: &str, help: &str) {
    let found = match read(text) {
        Ok(_) => panic!("no error in\n{text}"),
        Err(found) => found,
    };
    check(&found, code, at, help, text);
}

fn check(found: &Diagnostics, code: &str, at: &str, help: &str, text: &str) {
    let shown = found.render(false);
    let first = found
        .iter()
        .next()
        .unwrap_or_else(|| panic!("nothing found in\n{text}"));
    assert_eq!(first.code, code, "{shown}");
    let label = first
        .primary
        .as_ref()
        .unwrap_or_else(|| panic!("no place\n{shown}"));
    let place = &label.source.text()[label.span.start..];
    assert!(
        place.starts_with(at),
        "expected to point at `{at}`\n{shown}"
    );
    assert!(first.line().unwrap() >= 1 && first.column().unwrap() >= 1);
    let all = first.help.join(" ");
    assert!(all.contains(help), "help: `{all}`\n{shown}");
    assert_eq!(found.iter().count(), 1, "{shown}");
}

const OK: &str = "normal = { mean = 1, sd = 1 }, source = \"x\"";

fn covariate(body: &str) -> String {
    format!("[covariates]\nA = {{ {body} }}\n")
}

#[test]
fn structure() {
    expect("[covariates\n", "M001", "\n", "");
    expect(
        &covariate(&format!("unit = \"1\", {OK}, sorce = \"x\"")),
        "M002",
        "sorce",
        "source",
    );
    expect(&covariate("unit = \"1\", fixed = 1"), "M003", "A", "cite");
    expect(&covariate(OK), "M003", "A", "unit = \"1\"");
    expect(
        &covariate("unit = \"1\", fixed = \"one\", source = \"x\""),
        "M004",
        "\"one\"",
        "",
    );
    expect(
        "[colour]\n[covariates]\nA = { unit = \"1\", fixed = 1, source = \"x\" }\n",
        "M002",
        "colour",
        "known",
    );
    expect("", "D109", "", "[covariates]");
    expect(
        &format!("[covariates]\n\"a b\" = {{ unit = \"1\", {OK} }}\n"),
        "D105",
        "\"a b\"",
        "letters",
    );
    // a word with a meaning of its own in expressions
    expect(
        &format!("[covariates]\nt = {{ unit = \"1\", {OK} }}\n"),
        "M303",
        "t =",
        "",
    );
    expect(
        &covariate("unit = \"1\", fixed = 1, source = \"y\""),
        "D107",
        "\"y\"",
        "add it there",
    );
    expect(
        &covariate("unit = \"1\", fixed = inf, source = \"x\""),
        "M401",
        "inf",
        "",
    );
}

#[test]
fn units() {
    expect(
        &covariate(&format!("unit = \"kgs\", {OK}")),
        "D117",
        "kgs",
        "kg",
    );
    expect(
        &covariate(&format!("unit = \"mL/mn\", {OK}")),
        "D117",
        "mn",
        "did you mean",
    );
    let wrong = format!(
        "[covariates]\nA = {{ unit = \"kg\", {OK} }}\nB = {{ unit = \"m\", expr = \"A * 2\" }}\n"
    );
    expect(&wrong, "M204", "A * 2", "");
}

#[test]
fn distributions() {
    let case = |body: &str, code: &str, at: &str, help: &str| {
        expect(
            &covariate(&format!("unit = \"1\", {body}, source = \"x\"")),
            code,
            at,
            help,
        );
    };
    case("description = \"none\"", "D110", "A", "exactly one of");
    case("fixed = 1, bernoulli = 0.5", "D110", "A", "exactly one of");
    case("normal = {}", "D111", "normal", "mean and sd");
    case("normal = { mean = 1 }", "D111", "normal", "mean and sd");
    case(
        "normal = { mean = 1, sd = 1, cv = 1 }",
        "D111",
        "normal",
        "mean and cv",
    );
    case(
        "lognormal = { median = 1 }",
        "D111",
        "lognormal",
        "median and cv",
    );
    case("uniform = { low = 1 }", "D111", "uniform", "low and high");
    case("exponential = { rate = 2 }", "D111", "exponential", "mean");
    case("normal = { mean = 1, sd = 0 }", "D112", "0 }", "");
    case("normal = { mean = 1, sd = -2 }", "D112", "-2", "");
    case("lognormal = { mean = -1, sd = 2 }", "D112", "-1", "");
    case("uniform = { low = 2, high = 1 }", "D112", "2", "");
    case("exponential = { mean = 0 }", "D112", "0", "");
    case("bernoulli = 1.5", "D112", "1.5", "");
    case(
        "lognormal = { median = 3, range = [5, 1], n = 10 }",
        "D112",
        "[5",
        "",
    );
    case(
        "lognormal = { median = 3, range = [-1, 5], n = 10 }",
        "D112",
        "[-1",
        "",
    );
    case(
        "lognormal = { median = 3, range = [1, 5], n = 1 }",
        "D112",
        "1 }",
        "",
    );
    case("categories = { a = 0.5, b = 0.4 }", "D114", "{ a", "");
    case("categories = { a = 1.5, b = -0.5 }", "D112", "1.5", "");
    case("categories = {}", "D114", "{}", "");
    case(
        "normal = { mean = 1, sd = 1 }, bounds = [2, 1]",
        "D113",
        "[2",
        "inf",
    );
    case(
        "normal = { mean = 1, sd = 1 }, bounds = [2]",
        "D113",
        "[2",
        "inf",
    );
    case(
        "normal = { mean = 1, sd = 1 }, bounds = [50, 60]",
        "D113",
        "[50",
        "",
    );
    case(
        "lognormal = { median = 1, cv = 1 }, bounds = [-5, 0]",
        "D113",
        "[-5",
        "",
    );
    case("bernoulli = 0.5, bounds = [0, 1]", "D115", "A", "");
}

#[test]
fn mixtures() {
    let case = |body: &str, code: &str, at: &str, help: &str| {
        let text = format!(
            "[covariates]\n\
             F = {{ unit = \"1\", bernoulli = 0.5, source = \"x\" }}\n\
             S = {{ unit = \"1\", categories = {{ lung = 0.5, skin = 0.5 }}, source = \"x\" }}\n\
             Z = {{ unit = \"1\", {OK} }}\n\
             A = {{ unit = \"1\", {body}, source = \"x\" }}\n"
        );
        expect(&text, code, at, help);
    };
    case("by = \"F\"", "M003", "A", "when");
    case("by = \"G\", when.0.fixed = 1", "D118", "\"G\"", "");
    case("by = \"Z\", when.0.fixed = 1", "D115", "\"Z\"", "bernoulli");
    case("by = \"A\", when.0.fixed = 1", "D130", "\"A\"", "");
    case("by = \"F\", when.0.fixed = 1", "D116", "\"F\"", "when.1");
    case(
        "by = \"F\", when.0.fixed = 1, when.2.fixed = 1",
        "D116",
        "2",
        "0, 1",
    );
    case(
        "by = \"S\", when.lung.fixed = 1, when.brain.fixed = 1",
        "D116",
        "brain",
        "lung, skin",
    );
    case(
        "by = \"S\", when.lung.fixed = 1, when.skin = {}",
        "D110",
        "skin",
        "exactly one of",
    );
    case(
        "by = \"S\", when.lung.fixed = 1, when.skin.normal = {}",
        "D111",
        "normal",
        "mean and sd",
    );
}

#[test]
fn expressions_and_equations() {
    let case = |body: &str, code: &str, at: &str, help: &str| {
        let text = format!(
            "[covariates]\nHT = {{ unit = \"m\", {OK} }}\nWT = {{ unit = \"kg\", {OK} }}\nA = {{ {body} }}\n"
        );
        expect(&text, code, at, help);
    };
    case("unit = \"kg\", expr = \"WTT * 2\"", "M301", "WTT", "WT");
    case("unit = \"kg\", expr = \"WT + HT\"", "M203", "HT", "");
    case("unit = \"kg\", expr = \"WT *\"", "M101", "\"", "");
    case(
        "unit = \"kg\", expr = \"WT * t / 1[d]\"",
        "D131",
        "\"WT",
        "other covariates",
    );
    case("unit = \"kg\", expr = \"A * 2\"", "D130", "A", "");
    case(
        "unit = \"m^2\", equation = \"bsa\", from = {}",
        "D132",
        "\"bsa\"",
        "known",
    );
    case(
        "unit = \"m^2\", equation = \"body-surface-area\", from = { height = \"HT\" }",
        "D132",
        "A",
        "weight",
    );
    case(
        "unit = \"m^2\", equation = \"body-surface-area\", from = { height = \"HT\", weight = \"WT\", age = \"HT\" }",
        "D132",
        "age",
        "height, weight",
    );
    case(
        "unit = \"m^2\", equation = \"body-surface-area\", from = { height = \"WT\", weight = \"WT\" }",
        "D119",
        "\"WT\"",
        "",
    );
    case(
        "unit = \"m\", equation = \"body-surface-area\", from = { height = \"HT\", weight = \"WT\" }",
        "D119",
        "\"body-surface-area\"",
        "",
    );
    let cycle = "[covariates]\nA = { unit = \"1\", expr = \"B + 1\" }\nB = { unit = \"1\", expr = \"C\" }\nC = { unit = \"1\", expr = \"A\" }\n";
    expect(cycle, "D130", "A", "");
}

#[test]
fn correlations() {
    let case = |lines: &str, code: &str, at: &str, help: &str| {
        let text = format!(
            "[covariates]\nA = {{ unit = \"1\", {OK} }}\nB = {{ unit = \"1\", {OK} }}\nC = {{ unit = \"1\", {OK} }}\n\
             F = {{ unit = \"1\", bernoulli = 0.5, source = \"x\" }}\n\
             M = {{ unit = \"1\", by = \"F\", when.0.fixed = 1, when.1.fixed = 2, source = \"x\" }}\n\
             D = {{ unit = \"1\", expr = \"A + 1\" }}\n{lines}"
        );
        expect(&text, code, at, help);
    };
    let one = |a: &str, b: &str, value: &str| {
        format!("[[correlations]]\nbetween = [\"{a}\", \"{b}\"]\n{value}\nsource = \"x\"\n")
    };
    case(&one("A", "BB", "value = 0.5"), "D120", "\"BB\"", "B");
    case(&one("A", "D", "value = 0.5"), "D120", "\"D\"", "");
    case(&one("A", "A", "value = 0.5"), "D120", "[\"A\"", "");
    case(
        &one("F", "M", "value = 0.5"),
        "D120",
        "[\"F\"",
        "another covariate",
    );
    case(&one("A", "B", "value = 1.5"), "D121", "1.5", "");
    case(&one("A", "B", ""), "D121", "[[corr", "spearman");
    case(
        &one("A", "B", "value = 0.1\nspearman = 0.1"),
        "D121",
        "[[corr",
        "ranks",
    );
    let twice = one("A", "B", "value = 0.5") + &one("B", "A", "value = 0.5");
    case(&twice, "D122", "[\"B\"", "");
    let singular = one("A", "B", "value = 1");
    case(&singular, "D123", "[\"A\"", "B");
    let contradiction = one("A", "B", "value = 0.9")
        + &one("B", "C", "value = 0.9")
        + &one("A", "C", "value = -0.9");
    case(&contradiction, "D123", "[\"A\"", "not positive definite");
}

#[test]
fn a_contradiction_names_those_it_is_about() {
    let text = format!(
        "[covariates]\nX = {{ unit = \"1\", {OK} }}\nA = {{ unit = \"1\", {OK} }}\nB = {{ unit = \"1\", {OK} }}\nC = {{ unit = \"1\", {OK} }}\n\
         [[correlations]]\nbetween = [\"A\", \"B\"]\nvalue = 0.9\nsource = \"x\"\n\
         [[correlations]]\nbetween = [\"B\", \"C\"]\nvalue = 0.9\nsource = \"x\"\n\
         [[correlations]]\nbetween = [\"A\", \"C\"]\nvalue = -0.9\nsource = \"x\"\n"
    );
    let found = read(&text).unwrap_err();
    let message = &found.iter().next().unwrap().message;
    assert_eq!(
        message,
        "the correlations between A, B, C contradict each other"
    );
}

#[test]
fn anatomy() {
    let case = |lines: &str, code: &str, at: &str, help: &str| {
        let text = format!(
            "[covariates]\nF = {{ unit = \"1\", bernoulli = 0.5, source = \"x\" }}\nHT = {{ unit = \"m\", {OK} }}\nWT = {{ unit = \"kg\", {OK} }}\n[anatomy]\n{lines}"
        );
        expect(&text, code, at, help);
    };
    let with = |method: &str, reference: &str, height: &str| {
        format!(
            "method = \"{method}\"\nreference = \"{reference}\"\nfemale = \"F\"\nheight = \"{height}\"\nweight = \"WT\"\n"
        )
    };
    case(
        &with("willmann", "data/icrp89.csv", "HT"),
        "D140",
        "\"willmann\"",
        "huisinga-2012",
    );
    case(
        &with("huisinga-2012", "data/nothing.csv", "HT"),
        "D005",
        "",
        "check the path",
    );
    case(
        &with("huisinga-2012", "data/icrp89.csv", "H"),
        "D118",
        "\"H\"",
        "HT",
    );
    case(
        &with("huisinga-2012", "data/icrp89.csv", "WT"),
        "D119",
        "\"WT\"",
        "",
    );
    case(
        "method = \"huisinga-2012\"\nreference = \"data/icrp89.csv\"\nfemale = \"F\"\nheight = \"HT\"\n",
        "M003",
        "anatomy",
        "name the covariate",
    );
    let clash = with("huisinga-2012", "data/icrp89.csv", "HT")
        + "[covariates.M_liver]\nunit = \"kg\"\nfixed = 1\nsource = \"x\"\n";
    case(&clash, "D106", "M_liver", "rename");
}

#[test]
fn tables_of_organs() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(self::folder().join("data/icrp89.csv")).unwrap();
    let text = format!(
        "{HEAD}[covariates]\nF = {{ unit = \"1\", bernoulli = 0.5, source = \"x\" }}\nHT = {{ unit = \"m\", {OK} }}\nWT = {{ unit = \"kg\", {OK} }}\n\
         [anatomy]\nmethod = \"huisinga-2012\"\nreference = \"organs.csv\"\nfemale = \"F\"\nheight = \"HT\"\nweight = \"WT\"\n"
    );
    let case = |from: &str, to: &str, at: &str| {
        assert!(good.contains(from));
        std::fs::write(folder.path().join("organs.csv"), good.replacen(from, to, 1)).unwrap();
        let found = Population::parse("test.toml", &text, Some(folder.path())).unwrap_err();
        check(&found, "D141", at, "", &text);
    };
    case("item,scaling", "item,scalling", "item");
    case("liver,lean,g", "liver,fat,g", "fat");
    case("liver,lean,g", "liver,lean,L", "L");
    case("height,,m", "height,,cm", "cm");
    case("heart,lean,g,330,250", "heart,lean,g,-330,250", "-330");
    case("heart,lean,g,330,250", "heart,lean,g,,250", ",250");
    case("muscle,lean,g,29000", "muscle,lean,g,39000", "item");
    case(
        "active_marrow,lean,g,1170,900,3,3,skeleton",
        "active_marrow,lean,g,1170,900,3,3,bones",
        "item",
    );
    case("weight,,kg,73,60", "weights,lean,kg,73,60", "item");
    std::fs::write(folder.path().join("organs.csv"), good).unwrap();
    Population::parse("test.toml", &text, Some(folder.path())).unwrap();
}

#[test]
fn what_draws_cannot_meet() {
    let model = |text: &str| Model::parse("m.toml", text, None).unwrap();
    let covariates =
        "[covariates]\nHT = { unit = \"m\", normal = { mean = 1.7, sd = 0.1 }, source = \"x\" }\n";
    let outside = format!("{covariates}D = {{ unit = \"m\", expr = \"2*HT\", bounds = [0, 1] }}\n");
    let found = read(&outside).unwrap().covariates(3, 1, 0).unwrap_err();
    check(&found, "D154", "D =", "widen", &outside);
    let population = read(covariates).unwrap();
    let found = population.covariates(usize::MAX, 1, 0).unwrap_err();
    assert_eq!(found.iter().next().unwrap().code, "D062");
    let other = model(
        "name = \"m\"\ntitle = \"m\"\ntime = \"h\"\ndt = \"1 h\"\n[covariates]\nHT = { unit = \"kg\", reference = 70 }\n\
         [states.s]\nunit = \"kg\"\nrate = \"HT/1[h]\"\n",
    );
    let found = population.sample(&other, 3, 1, 0).unwrap_err();
    check(&found, "D156", "HT", "rename", covariates);
    let uncertain =
        format!("{covariates}[uncertainty.m.parameters]\nCL = {{ rse = 0.1, source = \"x\" }}\n");
    let found = read(&uncertain).unwrap().uncertainty(&other).unwrap_err();
    check(&found, "D160", "CL", "", &uncertain);
    expect(
        &format!("{covariates}[uncertainty.m.parameters]\nCL = {{ rse = -0.1, source = \"x\" }}\n"),
        "D112",
        "-0.1",
        "",
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]

    /// Whatever is cut out of or put into a shipped file, the answer is a population or findings
    /// with known codes and places, never a panic.
    #[test]
    fn damaged_files_are_refused_with_findings(
        which in 0usize..4,
        at in 0.0f64..1.0,
        cut in 0usize..40,
        put in "[ -~\n]{0,6}",
    ) {
        let name = ["mcrpc", "metastatic-breast", "reference-adults", "liposome-solid-tumour"][which];
        let text = std::fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary((at * text.len() as f64) as usize);
        let end = boundary((start + cut).min(text.len())).max(start);
        let damaged = format!("{}{put}{}", &text[..start], &text[end..]);
        match Population::parse("damaged.toml", &damaged, Some(&folder())) {
            Ok(population) => {
                // sound enough to be drawn, or refused with a finding
                if let Err(found) = population.covariates(20, 1, 0) {
                    assert!(found.has_errors());
                }
            }
            Err(found) => {
                assert!(found.has_errors());
                for finding in &found {
                    let known = posology_cohort::codes::meaning(finding.code)
                        .or_else(|| posology_model::diagnostic::meaning(finding.code));
                    assert!(known.is_some(), "{}", finding.code);
                    assert!(finding.primary.is_some(), "{found}");
                }
            }
        }
    }
}
