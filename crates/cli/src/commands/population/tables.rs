//! The patients as Parquet and CSV.

use std::fmt::Write;
use std::path::Path;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field};
use posology_cohort::Cohort;
use posology_cohort::population_file::{Column, Covariates, Drawn, Population};
use posology_model::model::Model;

use crate::error::Failure;
use crate::output::atomic::Staging;
use crate::output::parquet::{TableWriter, doubles, field, id_field, ids};
use crate::output::provenance;
use crate::table::quoted;

/// Rows that are written at once.
const ROWS: usize = 1 << 17;

/// What was drawn.
pub struct Cohorts<'a> {
    pub population: &'a Population,
    pub covariates: &'a Covariates,
    /// With a model: its patients.
    pub model: Option<(&'a Model, &'a Drawn)>,
}

/// A column to write: name, unit, values and the factor from them to the unit.
struct Written<'a> {
    name: &'a str,
    unit: &'a str,
    values: &'a [f64],
    scale: f64,
}

impl<'a> Cohorts<'a> {
    /// The model's slots in their declared units, if there is a model.
    fn slots(&self) -> Vec<Written<'a>> {
        let Some((model, drawn)) = self.model else {
            return Vec::new();
        };
        let slot = |(i, values): (usize, &'a Vec<f64>)| Written {
            name: model.slot_name(i),
            unit: model.slot_unit(i).text(),
            values,
            scale: model.units.scale(model.slot_unit(i)),
        };
        drawn.cohort.slots.iter().enumerate().map(slot).collect()
    }

    /// Covariates that are not slots of the model.
    fn covariates(&self) -> Vec<Written<'a>> {
        let columns: &[Column] = match self.model {
            Some((_, drawn)) => &drawn.extra,
            None => &self.covariates.columns,
        };
        let covariate = |column: &'a Column| Written {
            name: &column.name,
            unit: column.unit.text(),
            values: &column.values,
            scale: 1.0,
        };
        columns.iter().map(covariate).collect()
    }

    /// Write `cohort.parquet`: the model's slots, then the population's other covariates.
    ///
    /// # Errors
    /// Class I/O.
    pub fn parquet(&self, staging: &Staging, out: &Path) -> Result<(), Failure> {
        let cohort = Cohort {
            ids: self.covariates.ids.clone(),
            names: self.covariates.names.clone(),
            slots: Vec::new(),
        };
        let columns: Vec<Written<'_>> = self.slots().into_iter().chain(self.covariates()).collect();
        let mut fields: Vec<Field> = vec![id_field(cohort.names.is_some())];
        fields.extend(
            columns
                .iter()
                .map(|column| field(column.name, DataType::Float64, Some(column.unit))),
        );
        let about = [
            ("population", self.population.name.as_str()),
            ("model", self.model.map_or("", |(model, _)| &model.name)),
            ("notice", provenance::NOTICE),
        ];
        let name = "cohort.parquet";
        let mut writer = TableWriter::new(staging.create(name)?, out.join(name), fields, &about)?;
        for first in (0..cohort.len()).step_by(ROWS) {
            let last = cohort.len().min(first + ROWS);
            let mut arrays: Vec<ArrayRef> = vec![ids(&cohort, first, last, 1)];
            arrays.extend(columns.iter().map(|column| {
                let values = column.values[first..last].iter();
                doubles(values.map(|value| value / column.scale))
            }));
            writer.append(arrays)?;
        }
        writer.close()
    }

    /// `cohort.csv`: what the model reads, or every covariate without one. Units stand in the
    /// header.
    pub fn csv(&self) -> String {
        let columns = match self.model {
            Some(_) => self.slots(),
            None => self.covariates(),
        };
        let mut out = String::from("ID");
        for column in &columns {
            // a unit of 1 is none; quotes guard a comma in a name such as `A[x,y]`
            let cell = match column.unit {
                "1" => column.name.to_owned(),
                unit => format!("{} ({unit})", column.name),
            };
            out.push(',');
            out.push_str(&quoted(&cell));
        }
        out.push('\n');
        for patient in 0..self.covariates.ids.len() {
            let names = self.covariates.names.as_ref();
            match names.and_then(|names| names.get(patient)) {
                Some(name) => out.push_str(&quoted(name)),
                None => {
                    let _ = write!(out, "{}", self.covariates.ids[patient]);
                }
            }
            for column in &columns {
                let _ = write!(out, ",{}", column.values[patient] / column.scale);
            }
            out.push('\n');
        }
        out
    }
}
