//! Cases that are made here: good files with a line deleted, a value replaced, or the end cut off.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::program::{NO_ADAPTER, all, faults, findings, root, run};

/// Exit codes of the program.
const USAGE: i32 = 2;
const MODEL: i32 = 3;
const DATA: i32 = 4;
const DEVICE: i32 = 6;

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
    "\"\"",
    "-1",
    "1e999",
    "nan",
    "\"µ§\"",
    "[]",
    "{ }",
    "\"1/0\"",
    "true",
    "\"((((x\"",
    "2024-02-30",
    "\"1 mg\"",
];

fn shipped() -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = fs::read_dir(root().join("configs/models"))
        .expect("the library")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name")
                .to_owned();
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
            out.push(Generated {
                name: name.clone(),
                bytes: bytes.into_bytes(),
                command,
                what,
                refusal: MODEL,
            });
        };
        for (i, line) in lines
            .iter()
            .enumerate()
            .filter(|(i, line)| i % 3 == at % 3 && !line.trim().is_empty())
        {
            let rest = lines
                .iter()
                .enumerate()
                .filter(|(k, _)| *k != i)
                .map(|(_, line)| *line);
            add(
                rest.collect::<Vec<_>>().join("\n"),
                format!("line {} deleted", i + 1),
            );
            let Some(equals) = line.find('=') else {
                continue;
            };
            let value = VALUES[(i / 3 + at) % VALUES.len()];
            let replaced = format!("{} {value}", &line[..=equals]);
            let all = lines
                .iter()
                .enumerate()
                .map(|(k, line)| if k == i { replaced.as_str() } else { line });
            add(
                all.collect::<Vec<_>>().join("\n"),
                format!("line {}: {replaced}", i + 1),
            );
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
        let command = vec![
            "simulate",
            "docetaxel-neutropenia",
            "--data",
            "{file}",
            "--out",
            "{out}",
        ];
        let bytes = (lines.join("\n") + "\n").into_bytes();
        worse.push(Generated {
            name: "table.csv".into(),
            bytes,
            command,
            what,
            refusal: DATA,
        });
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
        let mut arguments: Vec<String> = one
            .command
            .iter()
            .map(|part| part.replace("{file}", &path))
            .collect();
        arguments.extend(["--device".to_owned(), NO_ADAPTER.to_owned()]);
        let ended = run(&arguments);
        let mut complaints = faults(&ended);
        match ended.code {
            // nothing wrong with it, or no duration is left in it
            Some(DEVICE | USAGE) => {}
            Some(code) if code == one.refusal || code == DATA => {
                refused.fetch_add(1, Ordering::Relaxed);
                let found = findings(&ended.stderr);
                if !found
                    .iter()
                    .any(|(_, file, line)| file == &path && *line > 0)
                {
                    complaints.push("no line of the file is named".to_owned());
                }
            }
            code => complaints.push(format!("exit code {code:?}")),
        }
        let named =
            |complaint| format!("{}, {}: {complaint}\n{}", one.name, one.what, ended.stderr);
        complaints.into_iter().map(named).collect()
    });
    let refused = refused.into_inner();
    assert!(
        refused >= least,
        "only {refused} of {} were refused",
        worse.len()
    );
}
