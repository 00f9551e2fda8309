//! The program as a user runs it, and what no input may do to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const NO_ADAPTER: &str = "an adapter that does not exist";
/// No input may keep the program busy for longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const THREADS: usize = 2;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository")
}

/// How a run of the program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
    /// What it left beside its input and its messages.
    pub left: Vec<String>,
}

/// Runs the program in a folder of its own, in which `{out}` would be made.
pub fn run(arguments: &[String]) -> Ended {
    let place = TempDir::new().expect("a folder");
    let messages = tempfile::NamedTempFile::new().expect("a file");
    let out = place.path().join("out");
    let arguments = arguments
        .iter()
        .map(|argument| argument.replace("{out}", &out.display().to_string()));
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
        left: entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect(),
    }
}

/// What no input may do.
pub fn faults(ended: &Ended) -> Vec<String> {
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
pub fn findings(stderr: &str) -> Vec<(String, String, usize)> {
    let mut out = Vec::new();
    let mut lines = stderr.lines().peekable();
    while let Some(line) = lines.next() {
        let code = line
            .strip_prefix("error[")
            .and_then(|rest| rest.split_once(']'));
        let place = lines
            .peek()
            .and_then(|next| next.trim_start().strip_prefix("--> "));
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
pub fn all<T: Sync>(items: &[T], check: impl Fn(&T) -> Vec<String> + Sync) {
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
    assert!(
        complaints.is_empty(),
        "{} of {}:\n{}",
        complaints.len(),
        items.len(),
        complaints.join("\n")
    );
}
