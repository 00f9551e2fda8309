//! The model library: where it is, and which file a name means.

use std::path::{Path, PathBuf};

use posology_model::diagnostic::did_you_mean;

use crate::error::{Class, Failure};

const LIBRARY: &str = "configs/models";

/// Folders of the library, nearest first: under the working directory, beside the program (or
/// above it), and in the sources it was built from.
pub fn folders() -> Vec<PathBuf> {
    let mut out = vec![PathBuf::from(LIBRARY)];
    if let Ok(program) = std::env::current_exe() {
        out.extend(program.ancestors().skip(1).map(|folder| folder.join(LIBRARY)));
    }
    out.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(LIBRARY));
    let mut seen = Vec::new();
    out.retain(|folder| match folder.canonicalize() {
        Ok(real) if real.is_dir() && !seen.contains(&real) => {
            seen.push(real);
            true
        }
        _ => false,
    });
    out
}

/// Names and files, by name; a name that comes twice is the nearer one.
pub fn list() -> Vec<(String, PathBuf)> {
    let mut out: Vec<(String, PathBuf)> = Vec::new();
    for folder in folders() {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let is_model = path.extension().is_some_and(|extension| extension == "toml");
            if let Some(name) = stem.filter(|name| is_model && !out.iter().any(|(known, _)| known == name)) {
                out.push((name.to_owned(), path.clone()));
            }
        }
    }
    out.sort();
    out
}

/// The file that the user means: a path, or a name of the library.
///
/// # Errors
/// Class model, with the closest name.
pub fn find(model: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(model);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let known = list();
    if let Some((_, path)) = known.iter().find(|(name, _)| name == model) {
        return Ok(path.clone());
    }
    let names = known.iter().map(|(name, _)| name.as_str());
    let stem = model.strip_suffix(".toml").unwrap_or(model);
    let help = did_you_mean(stem, names)
        .unwrap_or_else(|| "`posology models` lists the library; a model file is given by its path".to_owned());
    Err(Failure::new(Class::Model, format!("there is no model `{model}`")).help(help))
}
