//! What was measured: DV of the observation records, for fitting.
//!
//! An observation is a record with EVID 0 and MDV 0 (or neither column) that has a DV. `CENS` follows
//! Monolix and nlmixr2: 1 says that the value lies below DV, -1 that it lies above. Clinical tables
//! also hold words, such as NOT EVALUABLE; what they mean is declared ([`Word`]), and a word that is
//! not declared is an error.

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Model;

use super::Dataset;
use super::record::{Kind, Record};
use crate::columns::header_scale;
use crate::table::{MOST_FINDINGS, is_missing};

/// What was seen of a quantity; coherent units.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "value")]
pub enum Seen {
    Value(f64),
    /// Left-censored: somewhere below.
    Below(f64),
    /// Right-censored: somewhere above.
    Above(f64),
}

impl Seen {
    /// The number that stands in the data: the value, or the limit.
    pub fn number(self) -> f64 {
        match self {
            Seen::Value(v) | Seen::Below(v) | Seen::Above(v) => v,
        }
    }

    pub fn censored(self) -> bool {
        !matches!(self, Seen::Value(_))
    }
}

/// One observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Index of the record in the file, skipped rows not counted.
    pub record: usize,
    /// Index of the patient.
    pub subject: usize,
    /// Model time unit.
    pub time: f64,
    /// Index of the model's observable.
    pub observable: usize,
    pub seen: Seen,
}

/// What a word in DV means.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Compared without regard to capitals.
    pub text: String,
    /// `None`: nothing was measured. Else left-censored below this, in the unit of DV.
    pub below: Option<f64>,
}

/// How observations are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub words: Vec<Word>,
    /// Values at or below this, in the unit of DV, are left-censored there.
    pub lloq: Option<f64>,
}

/// The observations of a data file, and what became of the rest.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    pub observations: Vec<Observation>,
    /// Observation records without a value: MDV 1, a missing DV, or a word that says so.
    pub missing: usize,
    /// Findings that do not keep the data from being used.
    pub warnings: Diagnostics,
}

impl Dataset {
    /// Reads DV.
    ///
    /// # Errors
    /// `D006` without a DV column, `D010` for words that `reading` does not know, `D012` for a CENS
    /// that is not -1, 0 or 1, `D070` for a value that its error model excludes (zero or negative
    /// with a log-normal error), `D071` where nothing is left, `D008` for a unit that is not that of
    /// the observable.
    pub fn observations(
        &self,
        model: &Model,
        reading: &Reading,
    ) -> Result<Observations, Diagnostics> {
        let mut found = Diagnostics::new();
        let column = |name: &str| {
            let is = |h: &crate::table::Header| h.name.eq_ignore_ascii_case(name);
            self.table.header.iter().position(is)
        };
        let Some(dv) = column("DV") else {
            let end = self.table.header.len().saturating_sub(1);
            return Err(Diagnostic::error("D006", "the column `DV` is missing")
                .at(
                    &self.table.source,
                    self.table.header_span(0).start..self.table.header_span(end).end,
                )
                .help("a fit needs what was measured: one number per observation record")
                .into());
        };
        let columns = Columns {
            dv,
            cens: column("CENS"),
            evid: self.layout.evid,
            mdv: self.layout.mdv,
            scales: self.scales(model, dv, &mut found),
        };
        let mut out = Observations::default();
        let mut record = 0;
        for (subject, of) in self.subjects.iter().enumerate() {
            for r in &of.records {
                if found.len() >= MOST_FINDINGS {
                    break;
                }
                match self.seen(model, r, &columns, reading) {
                    Ok(Some(Some(seen))) => out.observations.push(Observation {
                        record,
                        subject,
                        time: r.time,
                        observable: r.observable,
                        seen,
                    }),
                    Ok(Some(None)) => out.missing += 1,
                    Ok(None) => {}
                    Err(diagnostic) => found.push(diagnostic),
                }
                record += 1;
            }
        }
        if found.has_errors() {
            return Err(found);
        }
        if out.observations.is_empty() {
            found.push(
                Diagnostic::error("D071", "the data hold no observation")
                    .at(&self.table.source, self.table.header_span(dv))
                    .help("an observation is a record with EVID 0, MDV 0 and a number in DV"),
            );
            return Err(found);
        }
        self.remark(model, dv, &out.observations, &mut found);
        self.remark_unused(&columns, &mut found);
        out.warnings = found;
        Ok(out)
    }

    /// Coherent value per DV, for each observable.
    fn scales(&self, model: &Model, dv: usize, found: &mut Diagnostics) -> Vec<f64> {
        let of = |observable: &posology_model::model::Observable| {
            if self.table.header[dv].unit.is_none() {
                return Ok(model.units.scale(&observable.unit));
            }
            header_scale(model, &self.table, dv, &observable.unit, "DV")
        };
        let used = |i: usize| {
            let mut records = self.subjects.iter().flat_map(|s| &s.records);
            records.any(|r| r.observable == i && matches!(r.kind, Kind::Observation))
        };
        let mut scales = Vec::new();
        for (i, observable) in model.observables.iter().enumerate() {
            scales.push(match of(observable) {
                Ok(scale) => scale,
                Err(diagnostic) => {
                    if used(i) {
                        found.push(diagnostic);
                    }
                    f64::NAN
                }
            });
        }
        scales
    }

    /// What a record shows: `None` if it is no observation, `Some(None)` if nothing was measured.
    fn seen(
        &self,
        model: &Model,
        record: &Record,
        columns: &Columns,
        reading: &Reading,
    ) -> Result<Option<Option<Seen>>, Diagnostic> {
        let table = &self.table;
        let number = |column: Option<usize>| match column {
            Some(column) => Ok(table.number(record.row, column)?.unwrap_or(0.0)),
            None => Ok(0.0),
        };
        // EVID 2 is a time at which only a prediction is wanted
        if !matches!(record.kind, Kind::Observation) || number(columns.evid)? != 0.0 {
            return Ok(None);
        }
        if number(columns.mdv)? != 0.0 {
            return Ok(Some(None));
        }
        let text = table.rows[record.row].field(columns.dv);
        if is_missing(text) {
            return Ok(Some(None));
        }
        let scale = columns.scales[record.observable];
        let observable = &model.observables[record.observable];
        let logarithmic = observable.error.is_some_and(|e| e.lognormal > 0.0);
        let excluded = |shown: f64| {
            let message = format!(
                "DV is {shown}, but `{}` has a log-normal error",
                observable.name
            );
            Diagnostic::error("D070", message)
                .at(&table.source, table.field_span(record.row, columns.dv))
                .help(
                    "values below the limit of quantification are given with --lloq LIMIT, CENS = 1 \
                     and the limit in DV, or `lloq` in the model's error; limits are positive",
                )
        };
        let word = |w: &&Word| w.text.trim().eq_ignore_ascii_case(text.trim());
        if let Some(word) = reading.words.iter().find(word) {
            return match word.below {
                Some(limit) if logarithmic && limit <= 0.0 => Err(excluded(limit)),
                limit => Ok(Some(limit.map(|limit| Seen::Below(limit * scale)))),
            };
        }
        let value = table.number(record.row, columns.dv).map_err(|fault| {
            fault.help(
                "a word in DV is declared with --missing TEXT (nothing was measured) or --below \
                 \"TEXT=LIMIT\" (left-censored)",
            )
        })?;
        let Some(value) = value else {
            return Ok(Some(None));
        };
        let cens = number(columns.cens)?;
        let mut seen = if cens == 1.0 {
            Seen::Below(value * scale)
        } else if cens == -1.0 {
            Seen::Above(value * scale)
        } else if cens == 0.0 {
            Seen::Value(value * scale)
        } else {
            let message = format!("CENS is {cens}, but can only be -1, 0 or 1");
            let at = columns.cens.unwrap_or(columns.dv);
            return Err(Diagnostic::error("D012", message)
                .at(&table.source, table.field_span(record.row, at))
                .help("1: the value is below DV; -1: above DV; 0: DV is the value"));
        };
        let limit = reading.lloq.map(|limit| limit * scale);
        let limit = limit.or(observable.error.and_then(|error| error.lloq));
        if let (Seen::Value(v), Some(limit)) = (seen, limit)
            && v <= limit
        {
            seen = Seen::Below(limit);
        }
        if logarithmic && seen.number() <= 0.0 {
            return Err(excluded(value));
        }
        Ok(Some(Some(seen)))
    }
}

/// Columns of an observation.
pub(super) struct Columns {
    pub(super) dv: usize,
    cens: Option<usize>,
    pub(super) evid: Option<usize>,
    pub(super) mdv: Option<usize>,
    /// Coherent value per DV, by observable.
    scales: Vec<f64>,
}
