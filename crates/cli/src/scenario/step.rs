//! Steps as text: `0.1 h`, or `0.05 h until 6 h; 0.25 h until 48 h; 1 h`.

use posology_model::Model;
use posology_model::diagnostic::Diagnostic;
use posology_model::model::{StepPiece, StepSchedule};
use serde_json::{Value, json};

use super::{IntoFailure, argument, positive_time};
use crate::error::Failure;
use crate::table::number;

/// Reads `--dt`.
///
/// # Errors
/// Class usage: `U005` for what is not a time, `U007` for a schedule that is not one.
pub fn parse(model: &Model, text: &str) -> Result<StepSchedule, Failure> {
    let parts: Vec<&str> = text
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let refuse = |message: &str| {
        let finding = Diagnostic::error("U007", message).at(&argument(text), 0..text.len());
        finding
            .help("such as `0.1 h`, or `0.05 h until 6 h; 0.25 h until 48 h; 1 h`")
            .into_failure()
    };
    let mut pieces: Vec<StepPiece> = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let (dt, until) = match part.split_once("until") {
            Some((dt, until)) => (dt.trim(), Some(positive_time(model, "--dt", until.trim())?)),
            None => (*part, None),
        };
        if until.is_none() != (i + 1 == parts.len()) {
            return Err(refuse(
                "every step but the last holds until some time after the dose",
            ));
        }
        if until
            .zip(pieces.last().and_then(|piece| piece.until))
            .is_some_and(|(now, before)| now <= before)
        {
            return Err(refuse("the times of a schedule must ascend"));
        }
        pieces.push(StepPiece {
            until,
            dt: positive_time(model, "--dt", dt)?,
        });
    }
    if pieces.is_empty() {
        return Err(refuse("there is no step"));
    }
    Ok(StepSchedule(pieces))
}

/// The text that `parse` reads back.
pub fn text(schedule: &StepSchedule, unit: &str) -> String {
    let piece = |piece: &StepPiece| match piece.until {
        Some(until) => format!(
            "{} {unit} until {} {unit}",
            number(piece.dt, 6),
            number(until, 6)
        ),
        None => format!("{} {unit}", number(piece.dt, 6)),
    };
    schedule.0.iter().map(piece).collect::<Vec<_>>().join("; ")
}

/// For JSON, in the model's time unit.
pub fn value(schedule: &StepSchedule) -> Value {
    schedule
        .0
        .iter()
        .map(|piece| json!({"until": piece.until, "dt": piece.dt}))
        .collect()
}
