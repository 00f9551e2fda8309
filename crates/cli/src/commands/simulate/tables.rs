//! The Parquet tables of a run.

use std::path::Path;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use posology_cohort::Cohort;
use posology_sim::run::status_name;
use posology_sim::{OutputPlan, Results};

use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::output::parquet::{TableWriter, doubles, field, grades, id_field, ids, singles, texts};
use crate::scenario::Scenario;

/// Rows handed to the writer at a time.
const ROWS: usize = 1 << 16;

/// `trajectories.parquet` and `patients.parquet`, written part by part.
pub struct Tables<'a> {
    scenario: &'a Scenario,
    outputs: &'a OutputPlan,
    times: &'a [f64],
    trajectories: Option<TableWriter>,
    patients: TableWriter,
}

impl<'a> Tables<'a> {
    /// Begin the tables in an output folder.
    ///
    /// # Errors
    /// Class I/O.
    pub fn begin(
        scenario: &'a Scenario,
        outputs: &'a OutputPlan,
        times: &'a [f64],
        named: bool,
        (staging, out): (&Staging, &Path),
    ) -> Result<Self, Failure> {
        let about = [
            ("model", scenario.model.name.as_str()),
            ("model_sha256", scenario.hash.as_str()),
            ("posology_version", env!("CARGO_PKG_VERSION")),
        ];
        let begin = |name: &str, fields| {
            TableWriter::new(staging.create(name)?, out.join(name), fields, &about)
        };
        let model = &scenario.model;
        let time = |name| field(name, DataType::Float64, Some(model.time_unit.text()));

        let mut fields = vec![id_field(named), time("TIME")];
        fields.extend(
            outputs
                .records
                .iter()
                .map(|c| field(&c.name, DataType::Float32, Some(&c.unit))),
        );
        let recorded = !times.is_empty() && !outputs.records.is_empty();
        let trajectories = if recorded {
            Some(begin("trajectories.parquet", fields)?)
        } else {
            None
        };

        let mut fields = vec![id_field(named)];
        fields.extend((0..model.slot_count()).map(|slot| {
            field(
                model.slot_name(slot),
                DataType::Float64,
                Some(model.slot_unit(slot).text()),
            )
        }));
        for (i, column) in outputs.summaries.iter().enumerate() {
            let kind = if is_grade(outputs, i) {
                DataType::UInt8
            } else {
                DataType::Float32
            };
            fields.push(field(&column.name, kind, Some(&column.unit)));
        }
        fields.push(field("STATUS", DataType::Utf8, None));
        fields.push(time("TIME_REACHED"));
        let patients = begin("patients.parquet", fields)?;
        Ok(Self {
            scenario,
            outputs,
            times,
            trajectories,
            patients,
        })
    }

    /// Add the patients of one part.
    ///
    /// # Errors
    /// Class I/O.
    pub fn append(&mut self, cohort: &Cohort, results: &Results) -> Result<(), Failure> {
        if let Some(writer) = &mut self.trajectories {
            let times = self.times.len();
            let step = (ROWS / times).max(1);
            for first in (0..cohort.len()).step_by(step) {
                let last = (first + step).min(cohort.len());
                let rows = results.record_offsets[first]..results.record_offsets[last];
                let mut columns = vec![
                    ids(cohort, first, last, times),
                    doubles((first..last).flat_map(|_| self.times.iter().copied())),
                ];
                columns.extend(
                    results
                        .records
                        .iter()
                        .map(|c| singles(c[rows.clone()].iter().copied())),
                );
                writer.append(columns)?;
            }
        }
        for first in (0..cohort.len()).step_by(ROWS) {
            let last = (first + ROWS).min(cohort.len());
            let columns = self.patient_columns(cohort, results, first, last);
            self.patients.append(columns)?;
        }
        Ok(())
    }

    fn patient_columns(
        &self,
        cohort: &Cohort,
        results: &Results,
        first: usize,
        last: usize,
    ) -> Vec<ArrayRef> {
        let model = &self.scenario.model;
        let mut columns = vec![ids(cohort, first, last, 1)];
        columns.extend(cohort.slots.iter().enumerate().map(|(slot, row)| {
            let scale = model.units.scale(model.slot_unit(slot));
            doubles(row[first..last].iter().map(|value| value / scale))
        }));
        columns.extend(results.summaries.iter().enumerate().map(|(i, row)| {
            let values = row[first..last].iter().copied();
            if is_grade(self.outputs, i) {
                grades(values)
            } else {
                singles(values)
            }
        }));
        columns.push(texts(
            results.status[first..last]
                .iter()
                .map(|&status| status_name(status)),
        ));
        columns.push(doubles(results.time[first..last].iter().copied()));
        columns
    }

    /// Finish the tables; returns their names.
    ///
    /// # Errors
    /// Class I/O.
    pub fn close(self) -> Result<Vec<&'static str>, Failure> {
        let mut names = Vec::new();
        if let Some(writer) = self.trajectories {
            writer.close()?;
            names.push("trajectories.parquet");
        }
        self.patients.close()?;
        names.push("patients.parquet");
        Ok(names)
    }
}

fn is_grade(outputs: &OutputPlan, summary: usize) -> bool {
    outputs.grades.iter().any(|(_, at)| *at == summary)
}
