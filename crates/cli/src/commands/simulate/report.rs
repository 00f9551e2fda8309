//! What a run says of its patients.

use std::collections::BTreeMap;
use std::fmt::Write;

use posology_cohort::Cohort;
use posology_kernels::simulate::Status;
use posology_sim::run::status_name;
use posology_sim::{OutputPlan, Results, SimError, Transfers};

use super::summary::{GradeCount, Summary, SummaryLine, Timing};
use crate::error::Failure;
use crate::output::statistics::Distribution;
use crate::table::number;
use crate::table::quoted;

/// Values kept for quantiles by time; beyond, they are those of the first patients, who are as
/// good a sample of the population as any.
const MOST_VALUES: usize = 30_000_000;
const CAUSES: [Status; 3] = [Status::NotFinite, Status::Negative, Status::NotSteady];

/// Collected over the parts of a run.
pub struct Collected<'a> {
    outputs: &'a OutputPlan,
    times: &'a [f64],
    /// `[summary][patient]`
    summaries: Vec<Vec<f32>>,
    /// `[column][time][patient]`
    by_time: Vec<Vec<Vec<f32>>>,
    /// Patients that `by_time` still takes.
    room: usize,
    pub patients: usize,
    counts: BTreeMap<&'static str, usize>,
    /// First patient of each cause: label and time reached.
    examples: BTreeMap<&'static str, (String, f64)>,
    pub patient_steps: u64,
    pub transfers: Transfers,
}

impl<'a> Collected<'a> {
    pub fn new(outputs: &'a OutputPlan, times: &'a [f64]) -> Self {
        let columns = outputs.records.len();
        Self {
            outputs,
            times,
            summaries: vec![Vec::new(); outputs.summaries.len()],
            by_time: vec![vec![Vec::new(); times.len()]; columns],
            room: (MOST_VALUES / (columns * times.len()).max(1)).max(1000),
            patients: 0,
            counts: CAUSES
                .iter()
                .chain([&Status::Completed])
                .map(|&s| (status_name(s), 0))
                .collect(),
            examples: BTreeMap::new(),
            patient_steps: 0,
            transfers: Transfers::default(),
        }
    }

    /// Add the patients of one part.
    pub fn add(&mut self, cohort: &Cohort, results: &Results) {
        for (all, new) in self.summaries.iter_mut().zip(&results.summaries) {
            all.extend(new.iter().map(|&value| value as f32));
        }
        let kept = self.room.min(results.patients);
        self.room -= kept;
        for (column, values) in self.by_time.iter_mut().zip(&results.records) {
            for patient in 0..kept {
                let first = results.record_offsets[patient];
                for (k, at) in column.iter_mut().enumerate() {
                    at.push(values[first + k] as f32);
                }
            }
        }
        for (patient, &status) in results.status.iter().enumerate() {
            let name = status_name(status);
            *self.counts.entry(name).or_default() += 1;
            if status != Status::Completed {
                self.examples
                    .entry(name)
                    .or_insert_with(|| (cohort.label(patient), results.time[patient]));
            }
        }
        self.patients += results.patients;
        self.patient_steps += results.patient_steps;
        self.transfers.to_device += results.transfers.to_device;
        self.transfers.to_host += results.transfers.to_host;
    }

    /// Fail if more than a share of `allowed` diverged.
    ///
    /// # Errors
    /// Class numeric, with the causes.
    pub fn refuse_divergence(&self, allowed: f64, unit: &str) -> Result<(), Failure> {
        let completed = self
            .counts
            .get(status_name(Status::Completed))
            .copied()
            .unwrap_or(0);
        let (diverged, total) = (self.patients - completed, self.patients.max(1));
        let share = diverged as f64 / total as f64;
        if share <= allowed {
            return Ok(());
        }
        let cause = |(name, (label, time)): (&&str, &(String, f64))| {
            let count = self.counts.get(name).copied().unwrap_or(0);
            format!(
                "{count} {name} (first: patient {label} at t = {} {unit})",
                number(*time, 5)
            )
        };
        let causes = self
            .examples
            .iter()
            .map(cause)
            .collect::<Vec<_>>()
            .join(", ");
        let (share, allowed) = (100.0 * share, 100.0 * allowed);
        Err(SimError::TooManyDiverged {
            diverged,
            total,
            share,
            allowed,
            causes,
        }
        .into())
    }

    /// The numbers of `summary.json`.
    pub fn summary(&self, timing: Timing) -> Summary {
        let grade_columns: Vec<usize> = self.outputs.grades.iter().map(|(_, at)| *at).collect();
        let columns = self
            .outputs
            .summaries
            .iter()
            .zip(&self.summaries)
            .enumerate();
        let summaries = columns
            .filter(|(i, _)| !grade_columns.contains(i))
            .map(|(_, (column, values))| SummaryLine {
                name: column.name.clone(),
                unit: column.unit.clone(),
                distribution: Distribution::of(values.iter().map(|&v| f64::from(v))),
            })
            .collect();
        let toxicities = self.outputs.grades.iter().map(|(name, at)| {
            let mut grades: BTreeMap<String, usize> = BTreeMap::new();
            for value in self.summaries[*at].iter().filter(|value| !value.is_nan()) {
                *grades.entry(number(f64::from(*value), 3)).or_default() += 1;
            }
            let share = |count: usize| count as f64 / self.patients.max(1) as f64;
            let grades = grades.into_iter().map(|(grade, count)| {
                (
                    grade,
                    GradeCount {
                        count,
                        share: share(count),
                    },
                )
            });
            (name.clone(), grades.collect())
        });
        Summary {
            patients: self.patients,
            status: self.counts.clone(),
            summaries,
            worst_grades: toxicities.collect(),
            patient_steps: self.patient_steps,
            patient_steps_per_second: self.patient_steps as f64
                / timing.device.as_secs_f64().max(1e-9),
            seconds: timing.into(),
            transfers: self.transfers,
        }
    }

    /// `summary.csv`: quantiles of each observable by time.
    pub fn by_time(&self, time_unit: &str) -> String {
        let mut out =
            String::from("observable,unit,time,time_unit,n,mean,p05,p25,median,p75,p95\n");
        for (column, values) in self.outputs.records.iter().zip(&self.by_time) {
            for (time, at) in self.times.iter().zip(values) {
                let found = Distribution::of(at.iter().map(|&value| f64::from(value)));
                let cell =
                    |value: Option<f64>| value.map_or_else(String::new, |value| number(value, 7));
                let cells: Vec<String> = [
                    found.mean,
                    found.p05,
                    found.p25,
                    found.median,
                    found.p75,
                    found.p95,
                ]
                .map(cell)
                .into();
                let (name, unit) = (&column.name, quoted(&column.unit));
                // writing to a string cannot fail
                let _ = writeln!(
                    out,
                    "{name},{unit},{},{time_unit},{},{}",
                    number(*time, 10),
                    found.n,
                    cells.join(",")
                );
            }
        }
        out
    }
}
