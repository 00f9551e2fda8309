//! The libraries of models and trials: where they are, and which file a name means.

use std::path::{Path, PathBuf};

use posology_model::diagnostic::did_you_mean;

use crate::error::{Class, Failure};

/// TOML files in one folder of `configs`.
pub struct Library {
    folder: &'static str,
    /// What a file of it is, in messages.
    what: &'static str,
}

pub const MODELS: Library = Library {
    folder: "configs/models",
    what: "model",
};
pub const TRIALS: Library = Library {
    folder: "configs/trials",
    what: "trial",
};

pub const POPULATIONS: Library = Library {
    folder: "configs/populations",
    what: "population",
};

pub const TASKS: Library = Library {
    folder: "configs/tasks",
    what: "task",
};

impl Library {
    /// Folders of the library, nearest first: under the working directory, beside the program (or
    /// above it), and in the sources it was built from.
    fn folders(&self) -> Vec<PathBuf> {
        let mut out = vec![PathBuf::from(self.folder)];
        if let Ok(program) = std::env::current_exe() {
            out.extend(
                program
                    .ancestors()
                    .skip(1)
                    .map(|above| above.join(self.folder)),
            );
        }
        out.push(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../..")
                .join(self.folder),
        );
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
    pub fn list(&self) -> Vec<(String, PathBuf)> {
        let mut out: Vec<(String, PathBuf)> = Vec::new();
        for folder in self.folders() {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                let is_toml = path
                    .extension()
                    .is_some_and(|extension| extension == "toml");
                if let Some(name) =
                    stem.filter(|name| is_toml && !out.iter().any(|(known, _)| known == name))
                {
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
    pub fn find(&self, wanted: &str) -> Result<PathBuf, Failure> {
        let path = Path::new(wanted);
        if path.is_file() {
            return Ok(path.to_owned());
        }
        let known = self.list();
        if let Some((_, path)) = known.iter().find(|(name, _)| name == wanted) {
            return Ok(path.clone());
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        let stem = wanted.strip_suffix(".toml").unwrap_or(wanted);
        let (what, folder) = (self.what, self.folder);
        let help =
            did_you_mean(stem, names.iter().copied()).unwrap_or_else(|| match names.as_slice() {
                [] => format!("no folder {folder} was found; give the path of a {what} file"),
                names => format!(
                    "give the path of a {what} file, or one of: {}",
                    names.join(", ")
                ),
            });
        Err(Failure::new(Class::Model, format!("there is no {what} `{wanted}`")).help(help))
    }
}
