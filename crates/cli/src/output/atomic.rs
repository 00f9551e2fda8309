//! Output that appears at once or not at all.
//!
//! A result folder is assembled in a temporary sibling and renamed when it is complete, so a
//! failed or interrupted run leaves what was there before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::TempDir;

use crate::context;
use crate::error::{Class, Failure};

/// A result folder under construction; removed unless [`Staging::commit`] succeeds.
pub struct Staging {
    target: PathBuf,
    folder: TempDir,
}

impl Staging {
    /// Begin the folder that will be `target`.
    ///
    /// # Errors
    /// Class usage if `target` is there, not empty, and not to be overwritten, or is a file;
    /// class I/O.
    pub fn begin(target: &Path, overwrite: bool) -> Result<Self, Failure> {
        if target.file_name().is_none() {
            return Err(Failure::usage(format!(
                "`{}` cannot be an output folder",
                target.display()
            ))
            .help("name a folder that is to be created"));
        }
        if target.exists() && !target.is_dir() {
            return Err(Failure::usage(format!(
                "the output folder {} is a file",
                target.display()
            )));
        }
        if !overwrite && occupied(target) {
            return Err(Failure::usage(format!(
                "the output folder {} is not empty",
                target.display()
            ))
            .help("choose another folder, or add --overwrite to replace it"));
        }
        let parent = parent(target);
        fs::create_dir_all(&parent).map_err(|error| Failure::io("create", &parent, &error))?;
        let folder = sibling(&prefix(target, "partial"), 0o777)
            .tempdir_in(&parent)
            .map_err(|error| Failure::io("create a folder in", &parent, &error))?;
        context::stage(Some(folder.path().to_owned()));
        Ok(Self {
            target: target.to_owned(),
            folder,
        })
    }

    /// Create a file of the folder (and a folder in it, in `pieces/x`); hand it back to [`sync`] when it is written.
    ///
    /// # Errors
    /// Class I/O.
    pub fn create(&self, name: &str) -> Result<File, Failure> {
        let path = self.folder.path().join(name);
        if let Some(folder) = path.parent().filter(|_| name.contains('/')) {
            std::fs::create_dir_all(folder).map_err(|e| Failure::io("create", folder, &e))?;
        }
        File::create(&path).map_err(|error| Failure::io("create", &path, &error))
    }

    /// Write a whole file.
    ///
    /// # Errors
    /// Class I/O.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let mut file = self.create(name)?;
        let outcome = file.write_all(bytes).and_then(|()| file.sync_all());
        outcome.map_err(|error| Failure::io("write", &self.target.join(name), &error))
    }

    /// Write a JSON file.
    ///
    /// # Errors
    /// Class I/O.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        self.write(name, &json_bytes(value)?)
    }

    /// Put the folder in its place.
    ///
    /// # Errors
    /// Class I/O; what was there before is then there again.
    pub fn commit(self) -> Result<(), Failure> {
        let target = &self.target;
        let failed = |error: io::Error| Failure::io("finish", target, &error);
        let parent = parent(target);
        sync_folder(self.folder.path()).map_err(failed)?;
        let mut replaced = None;
        if occupied(target) {
            // an empty folder of a free name, which the old results then take
            let aside = sibling(&prefix(target, "old"), 0o777)
                .tempdir_in(&parent)
                .map_err(failed)?;
            fs::rename(target, aside.path()).map_err(failed)?;
            replaced = Some(aside);
        } else if target.is_dir() {
            fs::remove_dir(target).map_err(failed)?;
        }
        if let Err(error) = fs::rename(self.folder.path(), target) {
            if let Some(aside) = replaced {
                fs::rename(aside.keep(), target).map_err(failed)?;
            }
            return Err(failed(error));
        }
        sync_folder(&parent).map_err(failed)?;
        match replaced {
            Some(aside) => aside.close().map_err(failed),
            None => Ok(()),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        context::stage(None);
    }
}

/// Write one file through a temporary sibling.
///
/// # Errors
/// Class I/O; what was there before is then still there.
#[allow(dead_code, reason = "for commands that write a single file")]
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("write", path, &error);
    let parent = parent(path);
    fs::create_dir_all(&parent).map_err(failed)?;
    let mut file = sibling(&prefix(path, "partial"), 0o666)
        .tempfile_in(&parent)
        .map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(&parent).map_err(failed)
}

/// JSON as it is written to files: indented, with a line break at the end.
///
/// # Errors
/// Class I/O for values that JSON cannot hold.
pub fn json_bytes(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::new(Class::Io, error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn occupied(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// What the names of temporary siblings of `path` begin with.
fn prefix(path: &Path, what: &str) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    format!(".{name}.{what}-")
}

/// Temporary names with `prefix`; the usual permissions (`mode` less the umask), because the
/// temporary thing becomes the result.
fn sibling(prefix: &str, mode: u32) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Make the entries of a folder durable, where the system knows such a thing.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_that_is_not_committed_never_was() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::begin(&root.path().join("a/b"), false).unwrap();
        staging.write("x", b"1").unwrap();
        assert!(!root.path().join("a/b").exists());
        drop(staging);
        assert!(entries(&root.path().join("a")).is_empty());
    }

    #[test]
    fn a_folder_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        fs::create_dir(&target).unwrap();
        let empty = Staging::begin(&target, false).unwrap();
        empty.write("old", b"1").unwrap();
        empty.commit().unwrap();
        assert!(Staging::begin(&target, false).is_err());
        let again = Staging::begin(&target, true).unwrap();
        again.write("new", b"2").unwrap();
        assert_eq!(entries(&target), ["old"]);
        again.commit().unwrap();
        assert_eq!(entries(&target), ["new"]);
        assert_eq!(entries(root.path()), ["out"]);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/x.json");
        write_file(&path, b"1").unwrap();
        write_file(&path, b"22").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"22");
        assert_eq!(entries(&root.path().join("deep")), ["x.json"]);
    }
}
