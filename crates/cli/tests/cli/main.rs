//! The program end to end, on the software adapter.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adaptation;
mod check;
mod compare;
mod correction;
mod failures;
mod fit;
mod fit_data;
mod forecast;
mod information;
mod learned;
mod population;
mod records;
mod second_user;
mod simulate;
mod studies;
mod training;
mod trials;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt8Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;

/// One compartment, so that everything has a closed form.
const TINY: &str = r#"
name = "tiny"
title = "One compartment"
time = "h"
dt = "0.1 h"

[covariates]
WT = { unit = "kg", reference = 70 }

[parameters]
CL = { value = 5, unit = "L/h", source = "made up for this test", iiv = { cv = 0.3 }, bounds = [0.5, 50] }
V  = { value = 20, unit = "L", source = "made up for this test", iiv = { cv = 0.2 } }

[inputs.drug]
into = "central"
unit = "mg"

[states.central]
unit = "mg"
rate = "-CL/V*central"

[observables.conc]
expr = "central/V"
unit = "mg/L"
error = { proportional = 0.1 }

[toxicities.high]
expr = "central/V"
unit = "mg/L"
above = ["1 mg/L", "5 mg/L"]
grades = [1, 2]
source = "made up for this test"

[summaries]
peak = { max = "central/V", unit = "mg/L" }
auc = { integral = "central/V", unit = "mg*h/L" }
low = { first_time = "central/V < 0.01[mg/L]", unit = "h" }

[balance.drug]
total = "central"
gain = "-CL/V*central"

[scenario]
regimen = "100 mg"
duration = "24 h"
"#;

/// A folder of one test, with the tiny model in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("tiny.toml", TINY);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posology"));
        command
            .args(["--device", "software"])
            .args(arguments)
            .current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a run that must succeed.
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}\n{}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// The JSON document of a run that must succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        let out = self.succeed(&[&["--json"], arguments].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}\n{out}"))
    }

    /// Standard error of a run that must end with this code and print nothing else.
    fn fail(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stderr}");
        stderr
    }

    /// The error document of a run that must end with this code.
    fn json_error(&self, code: i32, arguments: &[&str]) -> Value {
        let stderr = self.fail(code, &[&["--json"], arguments].concat());
        let all: Value =
            serde_json::from_str(&stderr).unwrap_or_else(|error| panic!("{error}\n{stderr}"));
        assert_eq!(all["error"]["exit_code"], code);
        all["error"].clone()
    }

    /// Names in the folder, but for the model.
    fn entries(&self) -> Vec<String> {
        entries(self.0.path())
            .into_iter()
            .filter(|name| name != "tiny.toml")
            .collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A Parquet file, read back; nulls are NaN.
struct Table {
    schema: SchemaRef,
    numbers: HashMap<String, Vec<f64>>,
    texts: HashMap<String, Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
        let schema = reader.schema().clone();
        let mut table = Self {
            schema,
            numbers: HashMap::new(),
            texts: HashMap::new(),
        };
        for batch in reader.build().unwrap() {
            table.append(&batch.unwrap());
        }
        table
    }

    fn append(&mut self, batch: &RecordBatch) {
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            let name = field.name().clone();
            if let Some(texts) = column.as_string_opt::<i32>() {
                self.texts
                    .entry(name)
                    .or_default()
                    .extend(texts.iter().flatten().map(str::to_owned));
                continue;
            }
            let value = |row: usize| match column.data_type() {
                _ if column.is_null(row) => f64::NAN,
                DataType::Float32 => f64::from(column.as_primitive::<Float32Type>().value(row)),
                DataType::Float64 => column.as_primitive::<Float64Type>().value(row),
                DataType::UInt32 => f64::from(column.as_primitive::<UInt32Type>().value(row)),
                DataType::Boolean => f64::from(u8::from(column.as_boolean().value(row))),
                DataType::UInt8 => f64::from(column.as_primitive::<UInt8Type>().value(row)),
                other => panic!("{name}: {other}"),
            };
            self.numbers
                .entry(name.clone())
                .or_default()
                .extend((0..column.len()).map(value));
        }
    }

    fn unit(&self, column: &str) -> &str {
        self.schema
            .field_with_name(column)
            .unwrap()
            .metadata()
            .get("unit")
            .map_or("", |unit| unit.as_str())
    }
}

impl std::ops::Index<&str> for Table {
    type Output = Vec<f64>;

    fn index(&self, column: &str) -> &Vec<f64> {
        self.numbers
            .get(column)
            .unwrap_or_else(|| panic!("no column {column} in {:?}", self.schema))
    }
}
