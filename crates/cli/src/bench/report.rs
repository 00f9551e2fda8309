//! The figures of a run: JSON, tables for a terminal and for Markdown.

use posology_kernels::device::Device;
use posology_kernels::probe::Limits;
use serde::Serialize;
use serde_json::Value;

use crate::output::provenance;
use crate::table::{self, number};

use super::machine::Machine;
use super::population::PopulationFigures;
use super::synthetic::BuildRow;
use super::tables::{self, Section, bytes};
use super::throughput::{ModelFigures, STANDARD};

/// How the figures are meant; part of every output.
const NOTES: [&str; 7] = [
    "Patient-steps per second are those of the median of all repeats, with upload, launch and download; every repeat ends with results on the host. The first run of a kernel is not counted.",
    "Operations: arithmetic of the rates times four stages, plus 19 per state for stages, sum and compensated update. A division, exponential or logarithm counts as one operation.",
    "Share of peak: operations per second over twice the multiply-adds per second that the same adapter reached in this run.",
    "Kernel only: the difference to runs of the same patients without a step.",
    "Scaled error: largest difference from the f64 reference over 16 patients, divided by the range of the state.",
    "Build times are cold: each program has constants that no shader cache has seen.",
    "Native variants use the same machine in the same run; those in lanes take 16 patients together on every core, with the widest vector instructions of the CPU.",
];

/// The comparison that the project asks of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Standard {
    pub model: String,
    pub patients: usize,
    pub steps: u32,
    pub patient_steps_per_second: f64,
    /// Over the hand-written scalar loop on one thread.
    pub times_scalar_loop: f64,
    /// Over the hand-written loop in lanes on all threads.
    pub times_lanes_loop: f64,
}

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub program: Value,
    pub date: String,
    pub command: Vec<String>,
    pub machine: Machine,
    pub adapter: Value,
    pub multiply_adds_per_second: f64,
    pub bytes_per_second: f64,
    /// The adapter's compiler would cancel the compensation: see `Rk4Options::guard_compensation`.
    pub compensation_guarded: bool,
    pub quick: bool,
    pub notes: Vec<&'static str>,
    pub standard: Option<Standard>,
    pub models: Vec<ModelFigures>,
    pub builds: Vec<BuildRow>,
    pub population: Vec<PopulationFigures>,
}

impl Report {
    pub fn new(device: &Device, limits: Limits, compensation_guarded: bool, quick: bool) -> Self {
        Self {
            program: provenance::program(),
            date: provenance::now(),
            command: std::env::args_os()
                .map(|text| text.to_string_lossy().into_owned())
                .collect(),
            machine: Machine::here(),
            adapter: crate::commands::devices::describe(&device.description),
            multiply_adds_per_second: limits.multiply_adds,
            bytes_per_second: limits.bandwidth,
            compensation_guarded,
            quick,
            notes: NOTES.to_vec(),
            standard: None,
            models: Vec::new(),
            builds: Vec::new(),
            population: Vec::new(),
        }
    }

    /// Fill in the standard comparison, if this run has it.
    pub fn compare(&mut self) {
        let Some(model) = self.models.iter().find(|model| {
            model
                .native
                .iter()
                .any(|row| row.variant.starts_with("hand"))
        }) else {
            return;
        };
        let native = |lanes: bool| {
            let row = model
                .native
                .iter()
                .find(|row| row.variant.starts_with("hand") && (row.lanes > 1) == lanes);
            row.map_or(f64::NAN, |row| row.patient_steps_per_second)
        };
        let row = model
            .rows
            .iter()
            .find(|row| (row.times.patients, row.times.steps) == STANDARD);
        self.standard = row.map(|row| Standard {
            model: model.name.clone(),
            patients: row.times.patients,
            steps: row.times.steps,
            patient_steps_per_second: row.patient_steps_per_second,
            times_scalar_loop: row.patient_steps_per_second / native(false),
            times_lanes_loop: row.patient_steps_per_second / native(true),
        });
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = self.heading();
        for section in self.sections() {
            out.push_str(&format!("\n{}\n", section.title));
            out.push_str(&table::render(&section.header, &section.rows));
        }
        out
    }

    /// For a page.
    pub fn markdown(&self) -> String {
        let heading = self.heading();
        let mut out = String::from("# Engine benchmark\n\n");
        for line in heading.lines() {
            out.push_str(&format!("- {line}\n"));
        }
        for section in self.sections() {
            out.push_str(&section.markdown());
        }
        out.push_str("\n## How to read this\n\n");
        for note in &self.notes {
            out.push_str(&format!("- {note}\n"));
        }
        out
    }

    fn heading(&self) -> String {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or("unknown").to_owned();
        let mut out = format!(
            "adapter: {} ({}, {}), {} multiply-adds/s, {}/s memory\n",
            text(&self.adapter, "name"),
            text(&self.adapter, "kind"),
            text(&self.adapter, "driver"),
            number(self.multiply_adds_per_second, 3),
            bytes(self.bytes_per_second as u64),
        );
        let machine = &self.machine;
        out.push_str(&format!(
            "machine: {}, {} threads, {} memory, load {} at the start\n",
            machine.cpu.as_deref().unwrap_or("unknown CPU"),
            machine.threads,
            machine
                .memory_bytes
                .map_or_else(|| "unknown".to_owned(), bytes),
            machine
                .load
                .map_or_else(|| "unknown".to_owned(), |load| number(load, 3)),
        ));
        let commit = text(&self.program, "commit");
        out.push_str(&format!(
            "commit {}, {}{}\n",
            &commit[..commit.len().min(12)],
            self.date,
            if self.quick { ", quick" } else { "" }
        ));
        if let Some(standard) = &self.standard {
            out.push_str(&format!(
                "standard ({}, {} patients, {} steps): {} patient-steps/s, {} times the scalar loop, {} times all threads in lanes\n",
                standard.model,
                standard.patients,
                standard.steps,
                number(standard.patient_steps_per_second, 3),
                number(standard.times_scalar_loop, 3),
                number(standard.times_lanes_loop, 3),
            ));
        }
        out
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        if !self.models.is_empty() {
            sections.push(tables::models(&self.models));
            sections.push(tables::device_rows(&self.models));
            sections.push(tables::native_rows(&self.models));
        }
        if !self.builds.is_empty() {
            sections.push(tables::builds(&self.builds));
        }
        if !self.population.is_empty() {
            sections.push(tables::populations(&self.population));
        }
        sections
    }
}
