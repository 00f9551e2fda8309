//! Where a result comes from.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use posology_kernels::device::AdapterDescription;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::Failure;

/// For research: every result says so.
pub const NOTICE: &str = "For research only; not for the treatment of patients.";

/// The program itself.
pub fn program() -> Value {
    let commit = Some(env!("POSOLOGY_COMMIT")).filter(|commit| !commit.is_empty());
    json!({
        "name": "posology",
        "version": env!("CARGO_PKG_VERSION"),
        "commit": commit,
        "modified": commit.map(|_| env!("POSOLOGY_MODIFIED") == "true"),
    })
}

/// Program, device, inputs and date of a run. `step` as text; `files`: (role, path, SHA-256).
pub fn describe(
    device: &AdapterDescription,
    seed: u64,
    step: &str,
    files: &[(&str, &Path, String)],
) -> Value {
    let files: Vec<Value> = files
        .iter()
        .map(|(role, path, hash)| json!({"role": role, "file": path, "sha256": hash}))
        .collect();
    json!({
        "notice": NOTICE,
        "program": program(),
        "date": now(),
        "command": command(),
        "system": {"os": std::env::consts::OS, "architecture": std::env::consts::ARCH},
        "device": {
            "name": device.name,
            "kind": device.kind.name(),
            "backend": device.backend,
            "driver": device.driver,
        },
        "seed": seed,
        "dt": step,
        "files": files,
    })
}

/// The words of the command line.
pub fn command() -> Vec<String> {
    std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// Class I/O.
pub fn hash_file(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    Ok(Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The present time, UTC, as in `2026-01-31T23:59:59Z`.
pub fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    timestamp(seconds)
}

/// Days to a date after Hinnant, "chrono-compatible low-level date algorithms" (`civil_from_days`).
fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against `date -u -d @N`.
    #[test]
    fn dates() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(timestamp(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
