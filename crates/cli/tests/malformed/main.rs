//! Malformed input, through the program: its diagnostic, its exit code, no panic, nothing left.
//!
//! The cases are rows of `tests/malformed/expected.toml`; more are generated here from every
//! shipped model and from a good event table. Every command names an adapter that does not exist,
//! so a command that opened the device before it had read its inputs would end with another code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod generated;
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use program::{NO_ADAPTER, all, faults, findings, root, run};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    models: Vec<Row>,
    data: Vec<Row>,
    trials: Vec<Row>,
    command_lines: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    file: Option<String>,
    command: Option<Vec<String>>,
    exit: i32,
    code: Option<String>,
    message: Option<String>,
    /// Where the finding is, if not in `file`.
    place: Option<String>,
    line: Option<usize>,
    why: String,
}

struct Case {
    row: Row,
    file: PathBuf,
    command: Vec<String>,
}

fn corpus() -> PathBuf {
    root().join("tests/malformed")
}

fn expected() -> Expected {
    let text = fs::read_to_string(corpus().join("expected.toml")).expect("the table of cases");
    toml::from_str(&text).unwrap_or_else(|error| panic!("expected.toml: {error}"))
}

fn cases() -> Vec<Case> {
    let Expected {
        models,
        data,
        trials,
        command_lines,
    } = expected();
    let folders: [(&str, Vec<Row>, &[&str]); 4] = [
        ("models", models, &["simulate", "{file}", "--out", "{out}"]),
        (
            "data",
            data,
            &[
                "simulate",
                "docetaxel-neutropenia",
                "--data",
                "{file}",
                "--out",
                "{out}",
            ],
        ),
        ("trials", trials, &["trial", "{file}", "--out", "{out}"]),
        ("", command_lines, &[]),
    ];
    let of_folder = |(folder, rows, usual): (&str, Vec<Row>, &[&str])| {
        let usual: Vec<String> = usual.iter().map(|&part| part.to_owned()).collect();
        let folder = corpus().join(folder);
        rows.into_iter()
            .map(|row| Case {
                file: folder.join(row.file.as_deref().unwrap_or_default()),
                command: row.command.clone().unwrap_or_else(|| usual.clone()),
                row,
            })
            .collect::<Vec<_>>()
    };
    folders.into_iter().flat_map(of_folder).collect()
}

#[test]
fn each_row_gives_its_diagnostic() {
    let cases = cases();
    all(&cases, |case| {
        let filled = |text: &str| {
            let text = text.replace("{file}", &case.file.display().to_string());
            text.replace("{corpus}", &corpus().display().to_string())
        };
        let mut arguments: Vec<String> = case.command.iter().map(|part| filled(part)).collect();
        arguments.extend(["--device".to_owned(), NO_ADAPTER.to_owned()]);
        let ended = run(&arguments);
        let mut complaints = faults(&ended);
        if ended.code != Some(case.row.exit) {
            complaints.push(format!("exit code {:?}, not {}", ended.code, case.row.exit));
        }
        if let Some(code) = &case.row.code {
            let place = case
                .row
                .place
                .as_deref()
                .map_or_else(|| case.file.display().to_string(), filled);
            let is_it = |(found, file, line): &(String, String, usize)| {
                found == code && file.ends_with(&place) && Some(*line) == case.row.line
            };
            if !findings(&ended.stderr).iter().any(is_it) {
                complaints.push(format!(
                    "no {code} at {place}:{}",
                    case.row.line.unwrap_or(0)
                ));
            }
        }
        if let Some(message) = &case.row.message
            && !ended.stderr.contains(message)
        {
            complaints.push(format!("it does not say: {message}"));
        }
        let named = |complaint| {
            format!(
                "{} ({}): {complaint}\n{}",
                case.file.display(),
                case.row.why,
                ended.stderr
            )
        };
        complaints.into_iter().map(named).collect()
    });
}

/// The same findings for a program that reads them.
#[test]
fn json_names_the_same_code_and_exit() {
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.row.code.is_some())
        .collect();
    let some: Vec<&Case> = cases.iter().step_by(4).collect();
    all(&some, |case| {
        let file = case.file.display().to_string();
        let filled = |part: &String| {
            part.replace("{file}", &file)
                .replace("{corpus}", &corpus().display().to_string())
        };
        let mut arguments: Vec<String> = case.command.iter().map(filled).collect();
        arguments.extend([
            "--json".to_owned(),
            "--device".to_owned(),
            NO_ADAPTER.to_owned(),
        ]);
        let ended = run(&arguments);
        let mut complaints = faults(&ended);
        let value: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap_or_default();
        let error = &value["error"];
        let codes: Vec<&str> = error["diagnostics"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|d| d["code"].as_str())
            .collect();
        let code = case.row.code.as_deref().unwrap_or_default();
        if error["exit_code"] != case.row.exit || !codes.contains(&code) {
            complaints.push(format!("{code} and {} are not in {value:#}", case.row.exit));
        }
        complaints
            .into_iter()
            .map(|complaint| format!("{file} ({}): {complaint}", case.row.why))
            .collect()
    });
}

/// A file without a row is not tested; a row without a file tests nothing.
#[test]
fn the_table_and_the_folders_agree() {
    let rows = expected();
    assert!(rows.models.len() >= 20 && rows.data.len() >= 20 && rows.trials.len() >= 20);
    for (folder, rows, ending) in [
        ("models", &rows.models, "toml"),
        ("data", &rows.data, "csv"),
        ("trials", &rows.trials, "toml"),
    ] {
        let listed: BTreeSet<String> = rows.iter().filter_map(|row| row.file.clone()).collect();
        assert_eq!(
            listed.len(),
            rows.len(),
            "{folder}: a row without a file, or two of one file"
        );
        let files = fs::read_dir(corpus().join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path());
        let files = files.filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == ending)
        });
        let there: BTreeSet<String> = files
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        assert_eq!(listed, there, "{folder}");
        for row in rows {
            assert!(
                row.code.is_some() && row.line.is_some() && !row.why.is_empty(),
                "{row:?}"
            );
        }
    }
}
