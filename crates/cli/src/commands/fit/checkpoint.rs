//! What an interrupted fit leaves beside its folder, and what it belongs to.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::study::Study;
use crate::args::{FitArgs, Method};
use crate::error::{Class, Failure};
use crate::output::atomic::{json_bytes, write_file};
use crate::output::provenance;

#[derive(Serialize, Deserialize)]
struct Checkpoint<S> {
    model: String,
    data: String,
    options: Value,
    state: S,
}

/// The checkpoint of one command; without `--out` there is none.
pub struct Keeper {
    path: Option<PathBuf>,
    model: String,
    data: String,
    options: Value,
}

impl Keeper {
    /// `options`: everything else that the numbers depend on.
    ///
    /// # Errors
    /// Class input/output; class usage where an interrupted fit would be lost.
    pub fn new(study: &Study, args: &FitArgs, options: Value) -> Result<Self, Failure> {
        // patients alone are soon estimated again
        let out = args.out.as_deref().filter(|_| args.method != Method::Map);
        let path = out.map(beside);
        if let Some(path) = path.as_deref().filter(|path| path.exists())
            && !args.resume
            && !args.overwrite
        {
            return Err(
                Failure::usage(format!("{} holds an interrupted fit", path.display()))
                    .help("--resume goes on with it, --overwrite begins anew"),
            );
        }
        Ok(Self {
            path,
            model: study.scenario.hash.clone(),
            data: provenance::hash_file(&args.data.data)?,
            options,
        })
    }

    /// The state to go on from, if `resume`.
    ///
    /// # Errors
    /// Classes input/output and data.
    pub fn read<S: DeserializeOwned>(&self, resume: bool) -> Result<Option<S>, Failure> {
        let Some(path) = self.path.as_deref().filter(|_| resume) else {
            return Ok(None);
        };
        let bytes = fs::read(path).map_err(|error| {
            Failure::io("read", path, &error).help("without a checkpoint, start without --resume")
        })?;
        let wrong = |why: String, help: &str| {
            Failure::new(Class::Data, format!("{}{why}", path.display())).help(help)
        };
        let other = |what: &Checkpoint<Value>| {
            what.model != self.model || what.data != self.data || what.options != self.options
        };
        let damaged = |error: serde_json::Error| {
            wrong(
                format!(": {error}"),
                "the checkpoint is damaged: start with --overwrite",
            )
        };
        let found: Checkpoint<Value> = serde_json::from_slice(&bytes).map_err(damaged)?;
        if other(&found) {
            return Err(wrong(
                " belongs to another fit".to_owned(),
                "the model file, the data and the options must be those it began with",
            ));
        }
        serde_json::from_value(found.state)
            .map(Some)
            .map_err(damaged)
    }

    /// # Errors
    /// Class input/output.
    pub fn save<S: Serialize>(&self, state: &S) -> Result<(), Failure> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let checkpoint = Checkpoint {
            model: self.model.clone(),
            data: self.data.clone(),
            options: self.options.clone(),
            state,
        };
        write_file(path, &json_bytes(&checkpoint)?)
    }

    /// What is said of an interruption, after [`Self::save`]. `done`: such as `12 of 500 iterations`.
    pub fn interrupted(&self, done: &str) -> Failure {
        let kept = self.path.as_ref();
        let kept = kept.map_or_else(String::new, |p| format!("; {} holds it", p.display()));
        let failure = Failure::new(
            Class::Interrupted,
            format!("interrupted after {done}{kept}"),
        );
        match &self.path {
            Some(_) => failure.help("the same command with --resume goes on"),
            None => failure,
        }
    }

    /// The results are there: what they were made from is no longer needed.
    pub fn remove(&self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Beside the folder, which appears only when it is complete.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".checkpoint.json");
    out.with_file_name(name)
}
