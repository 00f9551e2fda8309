//! Malformed input, through the program: its diagnostic, its exit code, no panic, nothing left.
//!
//! The cases are rows of `tests/malformed/expected.toml`; more are generated here from every
//! shipped model and from a good event table. Every command names an adapter that does not exist,
//! so a command that opened the device before it had read its inputs would end with another code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

const NO_ADAPTER: &str = "an adapter that does not exist";
/// Exit codes of the program.
const USAGE: i32 = 2;
const MODEL: i32 = 3;
const DATA: i32 = 4;
const DEVICE: i32 = 6;
/// No input may keep the program busy for longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const THREADS: usize = 2;

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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn expected() -> Expected {
    let text = fs::read_to_string(corpus().join("expected.toml")).expect("the table of cases");
    toml::from_str(&text).unwrap_or_else(|error| panic!("expected.toml: {error}"))
}

fn cases() -> Vec<Case> {
    let Expected { models, data, trials, command_lines } = expected();
    let folders: [(&str, Vec<Row>, &[&str]); 4] = [
        ("models", models, &["simulate", "{file}", "--out", "{out}"]),
        ("data", data, &["simulate", "docetaxel-neutropenia", "--data", "{file}", "--out", "{out}"]),
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

/// How a run of the program ended.
struct Ended {
    code: Option<i32>,
    stderr: String,
    /// What it left beside its input and its messages.
    left: Vec<String>,
}

/// Runs the program in a folder of its own, in which `{out}` would be made.
fn run(arguments: &[String]) -> Ended {
    let place = TempDir::new().expect("a folder");
    let messages = tempfile::NamedTempFile::new().expect("a file");
    let out = place.path().join("out");
    let arguments = arguments.iter().map(|argument| argument.replace("{out}", &out.display().to_string()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_posology"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(messages.reopen().expect("a second handle"))
        .spawn()
        .expect("the program");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a state") {
            break Some(status);
        }
        if begun.elapsed() > PATIENCE {
            child.kill().expect("an end");
            child.wait().expect("an end");
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let entries = fs::read_dir(place.path()).expect("the folder");
    Ended {
        code: status.and_then(|status| status.code()),
        stderr: String::from_utf8_lossy(&fs::read(messages.path()).expect("messages")).into_owned(),
        left: entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect(),
    }
}

/// What no input may do.
fn faults(ended: &Ended) -> Vec<String> {
    let mut out = Vec::new();
    match ended.code {
        None => out.push("it did not end by itself".to_owned()),
        Some(0) => out.push("it succeeded".to_owned()),
        Some(_) => {}
    }
    if ended.stderr.contains("panicked") || ended.stderr.contains("RUST_BACKTRACE") {
        out.push("it panicked".to_owned());
    }
    if ended.stderr.trim().is_empty() {
        out.push("it said nothing".to_owned());
    }
    if !ended.left.is_empty() {
        out.push(format!("it left {:?}", ended.left));
    }
    out
}

/// Code, place and line of every error that is shown.
fn findings(stderr: &str) -> Vec<(String, String, usize)> {
    let mut out = Vec::new();
    let mut lines = stderr.lines().peekable();
    while let Some(line) = lines.next() {
        let code = line.strip_prefix("error[").and_then(|rest| rest.split_once(']'));
        let place = lines.peek().and_then(|next| next.trim_start().strip_prefix("--> "));
        if let (Some((code, _)), Some(place)) = (code, place) {
            let mut parts = place.rsplitn(3, ':');
            let (_column, line, file) = (parts.next(), parts.next(), parts.next());
            let line = line.and_then(|line| line.parse().ok()).unwrap_or(0);
            out.push((code.to_owned(), file.unwrap_or_default().to_owned(), line));
        }
    }
    out
}

/// Every item through `check`, two at a time; panics with all complaints.
fn all<T: Sync>(items: &[T], check: impl Fn(&T) -> Vec<String> + Sync) {
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = check(item);
                    complaints.lock().unwrap().extend(found);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), items.len(), complaints.join("\n"));
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
            let place = case.row.place.as_deref().map_or_else(|| case.file.display().to_string(), filled);
            let is_it = |(found, file, line): &(String, String, usize)| {
                found == code && file.ends_with(&place) && Some(*line) == case.row.line
            };
            if !findings(&ended.stderr).iter().any(is_it) {
                complaints.push(format!("no {code} at {place}:{}", case.row.line.unwrap_or(0)));
            }
        }
        if let Some(message) = &case.row.message
            && !ended.stderr.contains(message)
        {
            complaints.push(format!("it does not say: {message}"));
        }
        let named = |complaint| format!("{} ({}): {complaint}\n{}", case.file.display(), case.row.why, ended.stderr);
        complaints.into_iter().map(named).collect()
    });
}

/// The same findings for a program that reads them.
#[test]
fn json_names_the_same_code_and_exit() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.row.code.is_some()).collect();
    let some: Vec<&Case> = cases.iter().step_by(4).collect();
    all(&some, |case| {
        let file = case.file.display().to_string();
        let filled = |part: &String| part.replace("{file}", &file).replace("{corpus}", &corpus().display().to_string());
        let mut arguments: Vec<String> = case.command.iter().map(filled).collect();
        arguments.extend(["--json".to_owned(), "--device".to_owned(), NO_ADAPTER.to_owned()]);
        let ended = run(&arguments);
        let mut complaints = faults(&ended);
        let value: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap_or_default();
        let error = &value["error"];
        let codes: Vec<&str> = error["diagnostics"].as_array().into_iter().flatten().filter_map(|d| d["code"].as_str()).collect();
        let code = case.row.code.as_deref().unwrap_or_default();
        if error["exit_code"] != case.row.exit || !codes.contains(&code) {
            complaints.push(format!("{code} and {} are not in {value:#}", case.row.exit));
        }
        complaints.into_iter().map(|complaint| format!("{file} ({}): {complaint}", case.row.why)).collect()
    });
}

/// A file without a row is not tested; a row without a file tests nothing.
#[test]
fn the_table_and_the_folders_agree() {
    let rows = expected();
    assert!(rows.models.len() >= 20 && rows.data.len() >= 20 && rows.trials.len() >= 20);
    for (folder, rows, ending) in [("models", &rows.models, "toml"), ("data", &rows.data, "csv"), ("trials", &rows.trials, "toml")] {
        let listed: BTreeSet<String> = rows.iter().filter_map(|row| row.file.clone()).collect();
        assert_eq!(listed.len(), rows.len(), "{folder}: a row without a file, or two of one file");
        let files = fs::read_dir(corpus().join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == ending));
        let there: BTreeSet<String> = files.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        assert_eq!(listed, there, "{folder}");
        for row in rows {
            assert!(row.code.is_some() && row.line.is_some() && !row.why.is_empty(), "{row:?}");
        }
    }
}

// ---- generated ----------------------------------------------------------------------------------

/// A file that was made worse, its command (with `{file}`) and what was done.
struct Generated {
    name: String,
    bytes: Vec<u8>,
    command: Vec<&'static str>,
    what: String,
    /// The program may find nothing wrong, and then asks for the adapter.
    refusal: i32,
}

/// What stands after the `=` of a line.
const VALUES: [&str; 12] = [
    "\"\"", "-1", "1e999", "nan", "\"µ§\"", "[]", "{ }", "\"1/0\"", "true", "\"((((x\"", "2024-02-30", "\"1 mg\"",
];

fn shipped() -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = fs::read_dir(root().join("configs/models"))
        .expect("the library")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            (name, fs::read_to_string(&path).expect("a model"))
        })
        .collect();
    out.sort();
    assert!(out.len() >= 15);
    out
}

/// Every third line deleted, every third value replaced, and the file cut off at twelve places; the
/// lines begin elsewhere in each model, so that each kind of line is met in some of them.
fn worse_models() -> Vec<Generated> {
    let mut out = Vec::new();
    for (at, (name, text)) in shipped().into_iter().enumerate() {
        let lines: Vec<&str> = text.lines().collect();
        let mut add = |bytes: String, what: String| {
            let command = vec!["simulate", "{file}", "--patients", "1", "--out", "{out}"];
            out.push(Generated { name: name.clone(), bytes: bytes.into_bytes(), command, what, refusal: MODEL });
        };
        for (i, line) in lines.iter().enumerate().filter(|(i, line)| i % 3 == at % 3 && !line.trim().is_empty()) {
            let rest = lines.iter().enumerate().filter(|(k, _)| *k != i).map(|(_, line)| *line);
            add(rest.collect::<Vec<_>>().join("\n"), format!("line {} deleted", i + 1));
            let Some(equals) = line.find('=') else { continue };
            let value = VALUES[(i / 3 + at) % VALUES.len()];
            let replaced = format!("{} {value}", &line[..=equals]);
            let all = lines.iter().enumerate().map(|(k, line)| if k == i { replaced.as_str() } else { line });
            add(all.collect::<Vec<_>>().join("\n"), format!("line {}: {replaced}", i + 1));
        }
        for part in 0..12 {
            let mut end = text.len() * part / 12;
            while !text.is_char_boundary(end) {
                end += 1;
            }
            add(text[..end].to_owned(), format!("cut off after {end} bytes"));
        }
    }
    out
}

#[test]
fn shipped_models_made_worse() {
    let worse = worse_models();
    assert!((300..2000).contains(&worse.len()), "{}", worse.len());
    refused_or_accepted(&worse, 200);
}

const TABLE: [&str; 5] = [
    "ID,TIME,AMT,RATE,EVID,CMT,DV,MDV,ADDL,II,SS,BSA",
    "1,0,180,180,1,docetaxel,.,1,1,504,0,1.8",
    "1,24,.,.,0,ANC,4.8,0,.,.,.,1.8",
    "2,0,150,150,1,docetaxel,.,1,0,0,0,1.6",
    "2,24,.,.,0,ANC,3.1,0,.,.,.,1.6",
];
const FIELDS: [&str; 8] = ["", "-1", "-2", "1e999", "nan", "µ", "\"", "1;5"];

/// Every field of a good table replaced, every line deleted.
#[test]
fn an_event_table_made_worse() {
    let mut worse = Vec::new();
    let mut add = |lines: Vec<String>, what: String| {
        let command = vec!["simulate", "docetaxel-neutropenia", "--data", "{file}", "--out", "{out}"];
        let bytes = (lines.join("\n") + "\n").into_bytes();
        worse.push(Generated { name: "table.csv".into(), bytes, command, what, refusal: DATA });
    };
    let table: Vec<String> = TABLE.iter().map(|&line| line.to_owned()).collect();
    for (i, line) in TABLE.iter().enumerate() {
        let mut without = table.clone();
        without.remove(i);
        add(without, format!("line {} deleted", i + 1));
        let fields: Vec<&str> = line.split(',').collect();
        for k in 0..fields.len() {
            for step in 0..4 {
                let value = FIELDS[(i + k + 2 * step) % FIELDS.len()];
                let mut fields = fields.clone();
                fields[k] = value;
                let mut changed = table.clone();
                changed[i] = fields.join(",");
                add(changed, format!("line {}, field {}: {value}", i + 1, k + 1));
            }
        }
    }
    refused_or_accepted(&worse, 80);
}

/// Each is refused with findings in the file, or accepted; at least `most` are refused.
fn refused_or_accepted(worse: &[Generated], least: usize) {
    let refused = AtomicUsize::new(0);
    all(worse, |one| {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join(&one.name);
        fs::write(&path, &one.bytes).expect("a file");
        let path = path.display().to_string();
        let mut arguments: Vec<String> = one.command.iter().map(|part| part.replace("{file}", &path)).collect();
        arguments.extend(["--device".to_owned(), NO_ADAPTER.to_owned()]);
        let ended = run(&arguments);
        let mut complaints = faults(&ended);
        match ended.code {
            // nothing wrong with it, or no duration is left in it
            Some(DEVICE | USAGE) => {}
            Some(code) if code == one.refusal || code == DATA => {
                refused.fetch_add(1, Ordering::Relaxed);
                let found = findings(&ended.stderr);
                if !found.iter().any(|(_, file, line)| file == &path && *line > 0) {
                    complaints.push("no line of the file is named".to_owned());
                }
            }
            code => complaints.push(format!("exit code {code:?}")),
        }
        let named = |complaint| format!("{}, {}: {complaint}\n{}", one.name, one.what, ended.stderr);
        complaints.into_iter().map(named).collect()
    });
    let refused = refused.into_inner();
    assert!(refused >= least, "only {refused} of {} were refused", worse.len());
}
