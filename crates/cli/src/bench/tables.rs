//! The tables of a report.

use crate::table::number;

use super::population::PopulationFigures;
use super::synthetic::BuildRow;
use super::throughput::ModelFigures;

/// A table with its title.
pub struct Section {
    pub title: &'static str,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Section {
    /// As a part of a page.
    pub fn markdown(&self) -> String {
        let mut out = format!("\n## {}\n\n| {} |\n", self.title, self.header.join(" | "));
        out += &format!("|{}\n", "---|".repeat(self.header.len()));
        for row in &self.rows {
            out += &format!("| {} |\n", row.join(" | "));
        }
        out
    }
}

/// What is timed.
pub fn models(models: &[ModelFigures]) -> Section {
    let row = |m: &ModelFigures| {
        vec![
            m.name.clone(),
            m.states.to_string(),
            m.list_length.to_string(),
            m.operations.to_string(),
            m.operations_per_step.to_string(),
            if m.stages_unrolled {
                "unrolled"
            } else {
                "looped"
            }
            .to_owned(),
            seconds(m.build_seconds),
        ]
    };
    Section {
        title: "Models",
        header: vec![
            "model",
            "states",
            "list",
            "operations",
            "per step",
            "stages",
            "kernel build",
        ],
        rows: models.iter().map(row).collect(),
    }
}

/// Throughput on the device.
pub fn device_rows(models: &[ModelFigures]) -> Section {
    let mut rows = Vec::new();
    for model in models {
        for row in &model.rows {
            let times = &row.times;
            rows.push(vec![
                model.name.clone(),
                times.patients.to_string(),
                times.steps.to_string(),
                number(row.patient_steps_per_second, 3),
                number(row.kernel_patient_steps_per_second, 3),
                number(row.operations_per_second, 3),
                format!("{} %", number(100.0 * row.share_of_peak, 3)),
                seconds(times.seconds.median),
                format!(
                    "{} - {}",
                    seconds(times.seconds.min),
                    seconds(times.seconds.max)
                ),
                bytes(times.bytes_to_device),
                bytes(times.bytes_to_host),
                number(times.error, 2),
            ]);
        }
        for patients in &model.left_out {
            let mut row = vec![
                model.name.clone(),
                patients.to_string(),
                "left out: too slow here".to_owned(),
            ];
            row.resize(12, String::new());
            rows.push(row);
        }
    }
    Section {
        title: "On the device",
        header: vec![
            "model",
            "patients",
            "steps",
            "patient-steps/s",
            "kernel only",
            "operations/s",
            "of peak",
            "median",
            "spread",
            "up",
            "down",
            "error",
        ],
        rows,
    }
}

/// Throughput of native loops.
pub fn native_rows(models: &[ModelFigures]) -> Section {
    let mut rows = Vec::new();
    for model in models {
        for row in &model.native {
            rows.push(vec![
                model.name.clone(),
                row.variant.to_owned(),
                row.threads.to_string(),
                row.lanes.to_string(),
                number(row.patient_steps_per_second, 3),
                row.patients.to_string(),
                seconds(row.seconds.median),
                format!(
                    "{} - {}",
                    seconds(row.seconds.min),
                    seconds(row.seconds.max)
                ),
                number(row.error, 2),
            ]);
        }
    }
    Section {
        title: "Native, the same equations",
        header: vec![
            "model",
            "variant",
            "threads",
            "lanes",
            "patient-steps/s",
            "patients",
            "median",
            "spread",
            "error",
        ],
        rows,
    }
}

/// Kernel build times.
pub fn builds(builds: &[BuildRow]) -> Section {
    let row = |b: &BuildRow| {
        vec![
            b.operations.to_string(),
            if b.unrolled { "unrolled" } else { "looped" }.to_owned(),
            seconds(b.build_seconds),
            seconds(b.seconds.median),
            number(b.patient_steps_per_second, 3),
        ]
    };
    Section {
        title: "Kernel build time (12 states; run: 4096 patients, 100 steps)",
        header: vec!["operations", "stages", "build", "run", "patient-steps/s"],
        rows: builds.iter().map(row).collect(),
    }
}

/// Large trial arms.
pub fn populations(runs: &[PopulationFigures]) -> Section {
    let row = |p: &PopulationFigures| {
        vec![
            p.patients.to_string(),
            p.years.to_string(),
            seconds(p.sampling_seconds),
            seconds(p.simulation_seconds),
            number(p.patient_steps as f64 / p.simulation_seconds, 3),
            p.peak_memory_bytes
                .map_or_else(|| "unknown".to_owned(), bytes),
            bytes(p.bytes_to_device),
            bytes(p.bytes_to_host),
            number(p.mean_days_on, 4),
            format!("{} %", number(100.0 * p.share_progressed, 3)),
        ]
    };
    Section {
        title: "Virtual men under the adaptive rule (daily decisions, daily steps)",
        header: vec![
            "men",
            "years",
            "sampling",
            "simulation",
            "patient-steps/s",
            "peak memory",
            "up",
            "down",
            "days on drug",
            "progressed",
        ],
        rows: runs.iter().map(row).collect(),
    }
}

pub fn seconds(value: f64) -> String {
    if value < 1.0 {
        format!("{} ms", number(1e3 * value, 3))
    } else {
        format!("{} s", number(value, 3))
    }
}

/// Bytes in binary units.
pub fn bytes(count: u64) -> String {
    crate::commands::devices::bytes(count)
}
