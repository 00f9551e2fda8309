//! Peers of the throughput comparison written in Rust: `posology-peers PEER CASE.json`. Speaks one
//! JSON document a line, see ../README.md.

mod case;
mod diffsol_peer;
mod models;
#[cfg(feature = "pharmsol")]
mod pharmsol_peer;

use case::Case;
use models::{Chain, Lu177Psma, Model, SensitiveResistant, TwelveState};
use serde_json::{json, Value};
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

/// A peer, ready to simulate.
pub trait Run: Sync {
    fn case(&self) -> &Case;
    fn method(&self) -> String;
    fn note(&self) -> &'static str;
    /// The first `patients` patients: [patient][time][state].
    fn run(&self, patients: usize) -> Result<Vec<f64>, String>;
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, peer, path] = &arguments[..] else {
        eprintln!("usage: posology-peers diffsol|pharmsol CASE.json");
        std::process::exit(2);
    };
    let started = Instant::now();
    match prepare(peer, Path::new(path)) {
        Ok(ready) => serve(peer, ready.as_ref(), started),
        Err(why) => answer(&json!({ "unavailable": why })),
    }
}

fn answer(document: &Value) {
    let mut out = std::io::stdout().lock();
    // A reader who went away is the end of input a moment later.
    let _ = writeln!(out, "{document}").and_then(|()| out.flush());
}

fn prepare(peer: &str, path: &Path) -> Result<Box<dyn Run>, String> {
    match case::model_of(path)?.as_str() {
        "twelve-state" => of_model::<TwelveState>(peer, path),
        "sensitive-resistant" => of_model::<SensitiveResistant>(peer, path),
        "lu177-psma-siebinga" => of_model::<Lu177Psma>(peer, path),
        "chain-20" => of_model::<Chain<20>>(peer, path),
        "chain-40" => of_model::<Chain<40>>(peer, path),
        other => Err(format!("no model {other} here")),
    }
}

fn of_model<M: Model>(peer: &str, path: &Path) -> Result<Box<dyn Run>, String> {
    let case = Case::read::<M>(path)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(case.threads)
        .build_global()
        .map_err(|e| e.to_string())?;
    let run: Box<dyn Run> = match peer {
        "diffsol" => Box::new(diffsol_peer::Diffsol::<M>::new(case)),
        #[cfg(feature = "pharmsol")]
        "pharmsol" => Box::new(pharmsol_peer::Pharmsol::<M>::new(case)?),
        other => return Err(format!("no peer {other} in this build")),
    };
    // Warms up threads and caches; an error shows itself here rather than in a timed run.
    run.run(run.case().patients.min(64))?;
    Ok(run)
}

/// The version of a dependency, from the lock file it was built with.
fn locked_version(name: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines();
    let mut newest = "unknown".to_owned();
    while let Some(line) = lines.next() {
        if line == format!("name = \"{name}\"") {
            if let Some(version) = lines.next().and_then(|l| l.strip_prefix("version = ")) {
                newest = version.trim_matches('"').to_owned();
            }
        }
    }
    newest
}

fn serve(peer: &str, run: &dyn Run, started: Instant) {
    answer(&json!({
        "ready": true,
        "peer": peer,
        "versions": { peer: locked_version(peer) },
        "precision": "f64",
        "method": run.method(),
        "device": "cpu",
        "threads": rayon::current_num_threads(),
        "setup_seconds": started.elapsed().as_secs_f64(),
        "note": run.note(),
    }));
    let mut outputs = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match word {
            "run" => {
                let all = run.case().patients;
                let some = rest
                    .trim()
                    .parse::<usize>()
                    .ok()
                    .map(|count| count.min(all));
                let before = Instant::now();
                match run.run(some.unwrap_or(all)) {
                    Ok(found) => {
                        let seconds = before.elapsed().as_secs_f64();
                        outputs = found;
                        match some {
                            Some(count) => {
                                answer(&json!({ "seconds": seconds, "patients": count }))
                            }
                            None => answer(&json!({ "seconds": seconds })),
                        }
                    }
                    Err(why) => answer(&json!({ "error": why })),
                }
            }
            "results" => match std::fs::write(rest, run.case().in_file_order(&outputs)) {
                Ok(()) => answer(&json!({ "written": outputs.len() })),
                Err(why) => answer(&json!({ "error": format!("{rest}: {why}") })),
            },
            "quit" => return,
            "" => {}
            other => answer(&json!({ "error": format!("no command {other}") })),
        }
    }
}
