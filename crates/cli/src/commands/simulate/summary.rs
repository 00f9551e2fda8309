//! `summary.json`, and the same for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use posology_sim::Transfers;
use serde::Serialize;

use crate::output::statistics::Distribution;
use crate::table::{self, number};

/// Where the time went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Opening the device and judging the step.
    pub preparation: Duration,
    /// Integration: kernel build, transfers, and the kernel itself.
    pub device: Duration,
    /// Sampling patients, lowering their events, writing files.
    pub host: Duration,
}

#[derive(Clone, Debug, Serialize)]
pub struct Seconds {
    preparation: f64,
    device: f64,
    host: f64,
}

impl From<Timing> for Seconds {
    fn from(timing: Timing) -> Self {
        Self {
            preparation: timing.preparation.as_secs_f64(),
            device: timing.device.as_secs_f64(),
            host: timing.host.as_secs_f64(),
        }
    }
}

/// `summary.json`
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub patients: usize,
    /// Patients by how their integration ended.
    pub status: BTreeMap<&'static str, usize>,
    pub summaries: Vec<SummaryLine>,
    /// Patients by the worst grade they had.
    pub worst_grades: BTreeMap<String, BTreeMap<String, GradeCount>>,
    pub patient_steps: u64,
    pub patient_steps_per_second: f64,
    pub seconds: Seconds,
    pub transfers: Transfers,
}

#[derive(Clone, Debug, Serialize)]
pub struct SummaryLine {
    pub name: String,
    pub unit: String,
    #[serde(flatten)]
    pub distribution: Distribution,
}

#[derive(Clone, Debug, Serialize)]
pub struct GradeCount {
    pub count: usize,
    pub share: f64,
}

impl Summary {
    /// For a terminal.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let value =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| number(value, 4));
        let rows: Vec<Vec<String>> = self
            .summaries
            .iter()
            .map(|line| {
                let d = &line.distribution;
                let numbers = [d.median, d.p05, d.p95, d.min, d.max].map(value);
                let missing = if d.missing > 0 {
                    d.missing.to_string()
                } else {
                    String::new()
                };
                [
                    vec![line.name.clone(), line.unit.clone()],
                    numbers.into(),
                    vec![missing],
                ]
                .concat()
            })
            .collect();
        if !rows.is_empty() {
            let header = [
                "summary", "unit", "median", "5 %", "95 %", "min", "max", "without",
            ];
            out.push_str(&table::render(&header, &rows));
            out.push('\n');
        }
        for (name, grades) in &self.worst_grades {
            let parts = grades
                .iter()
                .map(|(grade, c)| format!("grade {grade}: {} %", number(100.0 * c.share, 3)));
            let _ = writeln!(
                out,
                "{name}, worst {}",
                parts.collect::<Vec<_>>().join(", ")
            );
        }
        let status = self.status.iter().filter(|(_, count)| **count > 0);
        let status = status
            .map(|(name, count)| format!("{count} {name}"))
            .collect::<Vec<_>>()
            .join(", ");
        let _ = writeln!(out, "patients: {status}");
        out
    }

    /// Speed, for a terminal.
    pub fn speed(&self, device: &str) -> String {
        format!(
            "{} patient-steps in {} s ({} per second, kernel build included) on {device}",
            number(self.patient_steps as f64, 4),
            number(self.seconds.device, 3),
            number(self.patient_steps_per_second, 3),
        )
    }
}
