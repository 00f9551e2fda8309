//! Parquet tables whose columns carry their units.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use ::parquet::schema::types::ColumnPath;
use arrow_array::{
    ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, UInt8Array, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use posology_cohort::Cohort;

use crate::error::Failure;

/// Rows of a row group: what the writer holds in memory.
const GROUP_ROWS: usize = 1 << 18;

/// A column: its name, type, and unit in the field metadata (key `unit`), if it measures anything.
pub fn field(name: &str, kind: DataType, unit: Option<&str>) -> Field {
    let metadata = unit.map(|unit| ("unit".to_owned(), unit.to_owned()));
    Field::new(name, kind, true).with_metadata(metadata.into_iter().collect::<HashMap<_, _>>())
}

/// The column that says whose row it is: names of real patients, else numbers.
pub fn id_field(named: bool) -> Field {
    let kind = if named {
        DataType::Utf8
    } else {
        DataType::UInt32
    };
    Field::new("ID", kind, false)
}

/// IDs of patients `first..last` of a cohort, each `times` times.
pub fn ids(cohort: &Cohort, first: usize, last: usize, times: usize) -> ArrayRef {
    let repeated = (first..last).flat_map(|patient| std::iter::repeat_n(patient, times));
    match &cohort.names {
        Some(names) => Arc::new(StringArray::from_iter_values(
            repeated.map(|p| names[p].as_str()),
        )),
        None => Arc::new(UInt32Array::from_iter_values(
            repeated.map(|p| cohort.ids[p]),
        )),
    }
}

/// Values from the device, null where there is none (not a number).
pub fn singles(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float32Array::from_iter(
        values.map(|v| (!v.is_nan()).then_some(v as f32)),
    ))
}

/// Values from the host.
pub fn doubles(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// Grades, null where there is none.
pub fn grades(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(UInt8Array::from_iter(
        values.map(|v| (!v.is_nan()).then_some(v as u8)),
    ))
}

/// Texts.
pub fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A table that is written piece by piece.
pub struct TableWriter {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    /// What the user will know the file by.
    path: PathBuf,
}

impl TableWriter {
    /// Begin a table in `file`.
    ///
    /// # Errors
    /// Class I/O.
    pub fn new(
        file: File,
        path: PathBuf,
        fields: Vec<Field>,
        about: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let about: HashMap<String, String> = about
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, about));
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS));
        for field in schema.fields() {
            // values of the device hardly ever repeat: a dictionary of them only costs
            if *field.data_type() == DataType::Float32 {
                let column = ColumnPath::from(field.name().as_str());
                properties = properties.set_column_dictionary_enabled(column, false);
            }
        }
        let properties = properties.build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|error| Failure::io("write", &path, &error))?;
        Ok(Self {
            writer,
            schema,
            path,
        })
    }

    /// Add rows, one array per field.
    ///
    /// # Errors
    /// Class I/O.
    pub fn append(&mut self, columns: Vec<ArrayRef>) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::io("write", &self.path, error);
        let batch =
            RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| failed(&error))?;
        self.writer.write(&batch).map_err(|error| failed(&error))
    }

    /// Finish the file and make it durable.
    ///
    /// # Errors
    /// Class I/O.
    pub fn close(self) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::io("write", &self.path, error);
        let file = self.writer.into_inner().map_err(|error| failed(&error))?;
        file.sync_all().map_err(|error| failed(&error))
    }
}
