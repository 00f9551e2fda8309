//! What a user should know about his observations: findings that do not keep them from being used.

use std::collections::HashMap;

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Model;

use super::Dataset;
use super::observations::{Columns, Observation};
use super::record::Kind;

impl Dataset {
    /// Numbers in DV of records that are no observation. Zero is usual there.
    pub(super) fn remark_unused(&self, columns: &Columns, found: &mut Diagnostics) {
        let number = |row: usize, column: usize| {
            let value = self.table.number(row, column);
            value.ok().flatten().unwrap_or(0.0)
        };
        let unused = |row: usize| {
            columns.mdv.is_none_or(|mdv| number(row, mdv) == 0.0) && number(row, columns.dv) != 0.0
        };
        let records = self.subjects.iter().flat_map(|s| &s.records);
        let rows: Vec<usize> = records
            .filter(|r| {
                let event = !matches!(r.kind, Kind::Observation);
                event || columns.evid.is_some_and(|evid| number(r.row, evid) != 0.0)
            })
            .map(|r| r.row)
            .filter(|&row| unused(row))
            .collect();
        if let Some(&first) = rows.first() {
            let message = format!(
                "{} records hold a number in DV and are no observations",
                rows.len()
            );
            found.push(
                Diagnostic::warning("D077", message)
                    .at(
                        &self.table.source,
                        self.table.field_span(first, columns.dv),
                    )
                    .help("a dose and a measurement of one time are two rows; what is meant to be unused has MDV 1"),
            );
        }
    }

    /// What a user should know about his data.
    pub(super) fn remark(
        &self,
        model: &Model,
        dv: usize,
        all: &[Observation],
        found: &mut Diagnostics,
    ) {
        let n = self.subjects.len();
        let (mut count, mut measured) = (vec![0usize; n], vec![0usize; n]);
        let mut early: Vec<usize> = Vec::new();
        let mut twice: Vec<usize> = Vec::new();
        let mut last: HashMap<(usize, usize), f64> = HashMap::new();
        for o in all {
            count[o.subject] += 1;
            measured[o.subject] += usize::from(!o.seen.censored());
            if o.time < 0.0 && early.last() != Some(&o.subject) {
                early.push(o.subject);
            }
            if last.insert((o.subject, o.observable), o.time) == Some(o.time) {
                twice.push(o.record);
            }
        }
        let name = |s: usize| self.subjects[s].name.as_str();
        let some = |list: &[usize]| {
            let shown: Vec<&str> = list.iter().take(5).map(|&s| name(s)).collect();
            let more = if list.len() > 5 { ", ..." } else { "" };
            format!("{}{more}", shown.join(", "))
        };
        let rows: Vec<usize> = self
            .subjects
            .iter()
            .flat_map(|s| s.records.iter().map(|r| r.row))
            .collect();
        let mut warn = |code, message: String, row: Option<usize>, help: &str| {
            let span = row.map_or(self.table.header_span(dv), |r| self.table.row_span(r));
            let finding = Diagnostic::warning(code, message);
            found.push(finding.at(&self.table.source, span).help(help));
        };
        let which = |p: &dyn Fn(usize) -> bool| (0..n).filter(|&s| p(s)).collect::<Vec<_>>();
        let none = which(&|s| count[s] == 0);
        if !none.is_empty() {
            warn(
                "D072",
                format!(
                    "{} patients have no observation: {}",
                    none.len(),
                    some(&none)
                ),
                None,
                "they stay in the tables with their population prediction, and do not count in the fit",
            );
        }
        let single = which(&|s| count[s] == 1);
        if !single.is_empty() {
            warn(
                "D073",
                format!(
                    "{} patients have one observation: {}",
                    single.len(),
                    some(&single)
                ),
                None,
                "they are used; their estimates stay close to the population",
            );
        }
        let censored = which(&|s| count[s] > 0 && measured[s] == 0);
        if !censored.is_empty() {
            warn(
                "D074",
                format!(
                    "every observation of {} patients is censored: {}",
                    censored.len(),
                    some(&censored)
                ),
                None,
                "they are used, with the probability of lying beyond the limit",
            );
        }
        if !early.is_empty() {
            warn(
                "D075",
                format!(
                    "{} patients have observations before time zero: {}",
                    early.len(),
                    some(&early)
                ),
                None,
                "each patient's course begins with his first record, at the initial state of the model",
            );
        }
        if let Some(&first) = twice.first() {
            let observable = all
                .iter()
                .find(|o| o.record == first)
                .map_or("", |o| model.observables[o.observable].name.as_str());
            warn(
                "D076",
                format!(
                    "{} observations repeat the time of the one before (here `{observable}`)",
                    twice.len()
                ),
                rows.get(first).copied(),
                "both are used, as replicates; remove one if it was entered twice",
            );
        }
    }
}
