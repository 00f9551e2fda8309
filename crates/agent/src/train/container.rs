//! One file of named sections: the form of a checkpoint.
//!
//! ```text
//! magic (16 bytes)  version (u32)  header length (u32)  header (JSON)  sections  hash (u64)
//! ```
//!
//! Numbers are little-endian. The header names the sections, their lengths in order, and whatever
//! a reader wants to know without reading on. The hash (FNV-1a, 64 bits) covers all before it. A
//! file is written beside its place, made durable, and renamed: its place always has a whole file.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::AgentError;

/// The line breaks show a file that was converted as text.
const MAGIC: &[u8; 16] = b"POSOLOGY AGENT\r\n";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    about: serde_json::Value,
    sections: Vec<Section>,
}

#[derive(Serialize, Deserialize)]
struct Section {
    name: String,
    bytes: u64,
}

/// Sections of bytes and what is said about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    pub about: serde_json::Value,
    sections: Vec<(String, Vec<u8>)>,
}

impl Container {
    pub fn new(about: serde_json::Value) -> Self {
        Self {
            about,
            sections: Vec::new(),
        }
    }

    /// Add a section.
    pub fn push(&mut self, name: &str, bytes: Vec<u8>) {
        self.sections.push((name.to_owned(), bytes));
    }

    /// Add a section of words.
    pub fn push_words(&mut self, name: &str, words: &[u32]) {
        self.push(
            name,
            words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        );
    }

    /// The bytes of a section.
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        let found = self.sections.iter().find(|(known, _)| known == name);
        found.map(|(_, bytes)| bytes.as_slice())
    }

    /// A section of words.
    pub fn words(&self, name: &str) -> Option<Vec<u32>> {
        let bytes = self.section(name)?;
        let (words, rest) = bytes.as_chunks::<4>();
        rest.is_empty()
            .then(|| words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// A section of text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.section(name)?).ok()
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sections = self.sections.iter().map(|(name, bytes)| Section {
            name: name.clone(),
            bytes: bytes.len() as u64,
        });
        let header = Header {
            about: self.about.clone(),
            sections: sections.collect(),
        };
        // values of JSON are always written
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend((header.len() as u32).to_le_bytes());
        out.extend(header);
        for (_, bytes) in &self.sections {
            out.extend_from_slice(bytes);
        }
        let hash = hash(&out);
        out.extend(hash.to_le_bytes());
        out
    }

    /// Read a file's bytes; `Err` says what is wrong with them.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let fixed = MAGIC.len() + 8;
        if !bytes.starts_with(MAGIC) {
            return Err("is not a checkpoint of posology".to_owned());
        }
        if bytes.len() < fixed + 8 {
            return Err("is cut off".to_owned());
        }
        let number = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let version = number(MAGIC.len());
        if version != VERSION {
            return Err(format!(
                "has version {version}; this program reads version {VERSION}"
            ));
        }
        let (body, end) = bytes.split_at(bytes.len() - 8);
        if hash(body).to_le_bytes() != end {
            return Err("is damaged: its hash does not match".to_owned());
        }
        let damaged = || "is damaged: its header does not match".to_owned();
        let header_length = number(MAGIC.len() + 4) as usize;
        let header = body.get(fixed..fixed + header_length).ok_or_else(damaged)?;
        let header: Header = serde_json::from_slice(header).map_err(|_| damaged())?;
        let mut rest = &body[fixed + header_length..];
        let mut sections = Vec::with_capacity(header.sections.len());
        for section in header.sections {
            let length = usize::try_from(section.bytes).map_err(|_| damaged())?;
            let (taken, left) = rest.split_at_checked(length).ok_or_else(damaged)?;
            sections.push((section.name, taken.to_vec()));
            rest = left;
        }
        if !rest.is_empty() {
            return Err(damaged());
        }
        Ok(Self {
            about: header.about,
            sections,
        })
    }

    /// Read a file.
    ///
    /// # Errors
    /// [`AgentError::File`], or [`AgentError::Checkpoint`] where it is another file, another
    /// version, cut off or damaged.
    pub fn read(path: &Path) -> Result<Self, AgentError> {
        let bytes = fs::read(path).map_err(|error| file_error(path, &error))?;
        Self::parse(&bytes).map_err(|cause| AgentError::Checkpoint {
            path: path.display().to_string(),
            cause,
        })
    }

    /// Write the file; what was there before stays until the new one is complete.
    ///
    /// # Errors
    /// [`AgentError::File`].
    pub fn write(&self, path: &Path) -> Result<(), AgentError> {
        write_whole(path, &self.to_bytes())
    }
}

/// Write a file beside its place, make it durable, and rename it.
///
/// # Errors
/// [`AgentError::File`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    let failed = |error: std::io::Error| file_error(path, &error);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // one process writes a folder; a sibling that a killed one left is written over
    let partial: PathBuf = path.with_file_name(format!(".{name}.partial"));
    let mut file = File::create(&partial).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    drop(file);
    fs::rename(&partial, path).map_err(failed)?;
    if cfg!(unix) {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
    }
    Ok(())
}

/// The error of a file operation.
pub fn file_error(path: &Path, error: &dyn std::fmt::Display) -> AgentError {
    AgentError::File {
        path: path.display().to_string(),
        cause: error.to_string(),
    }
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo 1991): against accidents, not against forgery.
pub fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Container {
        let mut container = Container::new(serde_json::json!({"update": 3}));
        container.push("text", "grün".as_bytes().to_vec());
        container.push("empty", Vec::new());
        container.push_words("words", &[1, u32::MAX, f32::NAN.to_bits()]);
        container
    }

    /// Published test vectors of FNV-1a.
    #[test]
    fn hashes() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_file_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.checkpoint");
        sample().write(&path).unwrap();
        sample().write(&path).unwrap();
        let read = Container::read(&path).unwrap();
        assert_eq!(read, sample());
        assert_eq!(read.words("words").unwrap()[1], u32::MAX);
        assert_eq!(
            (read.text("text"), read.section("none")),
            (Some("grün"), None)
        );
        assert_eq!(read.words("text").is_some(), "grün".len().is_multiple_of(4));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let missing = Container::read(&path).unwrap_err();
        assert!(matches!(missing, AgentError::File { .. }));
        fs::write(&path, "name = \"task\"").unwrap();
        let message = Container::read(&path).unwrap_err().to_string();
        assert!(message.contains("not a checkpoint"), "{message}");
        let mut other = sample().to_bytes();
        other[16] = 9;
        assert!(Container::parse(&other).unwrap_err().contains("version 9"));
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        sample().write(&path).unwrap();
        fs::create_dir(folder.path().join(".x.partial")).unwrap();
        assert!(
            Container::new(serde_json::Value::Null)
                .write(&path)
                .is_err()
        );
        assert_eq!(Container::read(&path).unwrap(), sample());
    }

    proptest! {
        /// A single changed byte or a missing end is always seen.
        #[test]
        fn damage_is_seen(at in 0usize..1000, change in 1u8..=255, cut in 1usize..300) {
            let good = sample().to_bytes();
            let mut bytes = good.clone();
            let at = at % bytes.len();
            bytes[at] ^= change;
            prop_assert!(Container::parse(&bytes).is_err());
            let left = good.len().saturating_sub(cut);
            prop_assert!(Container::parse(&good[..left]).is_err());
        }
    }
}
