//! A peer: a process that computes the same courses, spoken to line by line (benches/peers/README).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// A peer that is ready to run.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    patience: Duration,
    /// What it says of itself.
    pub about: Value,
}

/// What came of starting a peer.
pub enum Started {
    Ready(Peer),
    /// Why it cannot be measured here.
    Unavailable(String),
}

impl Peer {
    /// Start `command` and wait until it is warm.
    pub fn start(mut command: Command, patience: Duration) -> anyhow::Result<Started> {
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let program = Path::new(command.get_program());
                let name = program.file_name().unwrap_or_default().display();
                return Ok(Started::Unavailable(format!(
                    "{name} of --environment: {error} (benches/peers/setup installs it)"
                )));
            }
        };
        let input = child.stdin.take().context("no input")?;
        let output = child.stdout.take().context("no output")?;
        let errors = child.stderr.take().context("no errors")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.starts_with('{') && send.send(line).is_err() {
                    break;
                }
            }
        });
        // the last words, in case it dies
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut last = String::new();
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if !line.trim().is_empty() {
                    last = line;
                }
            }
            let _ = tell.send(last);
        });
        let mut peer = Self {
            child,
            input,
            lines,
            patience,
            about: Value::Null,
        };
        let first = match peer.next() {
            Ok(first) => first,
            Err(error) => {
                let last = told
                    .recv_timeout(Duration::from_secs(1))
                    .unwrap_or_default();
                return Ok(Started::Unavailable(format!("{error}: {last}")));
            }
        };
        if let Some(why) = first["unavailable"].as_str() {
            return Ok(Started::Unavailable(why.to_owned()));
        }
        peer.about = first;
        Ok(Started::Ready(peer))
    }

    fn next(&mut self) -> anyhow::Result<Value> {
        match self.lines.recv_timeout(self.patience) {
            Ok(line) => serde_json::from_str(&line).context("a line that is no JSON"),
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                anyhow::bail!("no answer within {} s", self.patience.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("it ended without an answer"),
        }
    }

    fn ask(&mut self, line: &str) -> anyhow::Result<Value> {
        writeln!(self.input, "{line}")?;
        self.input.flush()?;
        self.next()
    }

    /// One run of all patients, or of the first `few`: seconds and how many there were.
    pub fn run(&mut self, few: Option<usize>, all: usize) -> anyhow::Result<(f64, usize)> {
        let line = few.map_or_else(|| "run".to_owned(), |few| format!("run {few}"));
        let answer = self.ask(&line)?;
        let seconds = answer["seconds"].as_f64().context("no seconds")?;
        let patients = answer["patients"].as_u64().map_or(all, |n| n as usize);
        Ok((seconds, patients))
    }

    /// What the last run gave, `[patient][time][state]`.
    pub fn results(&mut self, path: &Path) -> anyhow::Result<Vec<f64>> {
        self.ask(&format!("results {}", path.display()))?;
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let word = |bytes: &[u8]| bytes.try_into().map_or(f64::NAN, f64::from_le_bytes);
        Ok(bytes.chunks_exact(8).map(word).collect())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "quit");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
