//! From checked records to the timelines that a simulation runs.

use std::collections::HashMap;
use std::ops::Range;

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Model;
use rayon::prelude::*;

use super::record::{Dose, Kind, Rate, Record};
use super::schedule::{Given, MOST_OVERLAPS, Scheduler, Shape, Steady, TooManyEvents};
use super::{Dataset, Subject};
use crate::dosing::{DoseFault, DoseRule};
use crate::event::{Timeline, Timelines};
use crate::population::Cohort;
use crate::table::MOST_FINDINGS;

/// What to simulate for a [`Dataset`].
///
/// A *lane* is what the engine calls a patient: a subject of the data, or the part of a subject
/// that follows a reset at which TIME starts again. Nothing is carried over such a reset but
/// covariates, so the parts are independent.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// One row per lane; names are the IDs.
    pub cohort: Cohort,
    /// One entry per lane, amounts per lane (no scales).
    pub timelines: Timelines,
    /// `[lane][k]`: the record (index in file order, skipped rows not counted) that the lane's
    /// `k`-th [`crate::event::Action::Record`] belongs to.
    pub records: Vec<Vec<usize>>,
    /// For each record the index of the observable that PRED is.
    pub observables: Vec<usize>,
    /// For each lane the index of its subject.
    pub subject_of_lane: Vec<usize>,
}

/// The parts of a subject between resets at which the clock starts again.
fn lanes(subject: &Subject) -> Vec<Range<usize>> {
    let records = &subject.records;
    let restarts = (1..records.len()).filter(|&i| records[i].time < records[i - 1].time);
    let mut starts: Vec<usize> = std::iter::once(0).chain(restarts).collect();
    starts.push(records.len());
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

impl Dataset {
    /// Timelines for the typical patient, or for the individuals in `base` (matched by name, or
    /// by order if they have no names); columns of the data override either.
    ///
    /// # Errors
    /// `D050` where `base` lacks a subject, `D040` for a lag, bioavailability, modelled rate or
    /// duration that cannot be, `D041` and `D042` for too many events or overlapping infusions.
    pub fn replay(&self, model: &Model, base: Option<&Cohort>) -> Result<Replay, Diagnostics> {
        let base_rows = base.map(|base| self.match_subjects(base)).transpose()?;
        let rules = DoseRule::all(model);
        let mut offset = 0;
        let mut work: Vec<(usize, usize, Range<usize>)> = Vec::new();
        for (s, subject) in self.subjects.iter().enumerate() {
            work.extend(lanes(subject).into_iter().map(|lane| (s, offset, lane)));
            offset += subject.records.len();
        }
        let typical = model.typical_slots();
        let done: Vec<Result<(Timeline, Vec<f64>), Diagnostic>> = work
            .par_iter()
            .map(|(s, _, lane)| {
                let slots = match (base, &base_rows) {
                    (Some(base), Some(rows)) => base.patient(rows[*s]),
                    _ => typical.clone(),
                };
                let walk = Walk {
                    dataset: self,
                    model,
                    rules: &rules,
                };
                walk.lane(&self.subjects[*s].records[lane.clone()], slots)
            })
            .collect();
        let mut found = Diagnostics::new();
        let mut out = Replay {
            cohort: Cohort {
                slots: vec![Vec::new(); model.slot_count()],
                ..Cohort::default()
            },
            timelines: Timelines::default(),
            records: Vec::new(),
            observables: self
                .subjects
                .iter()
                .flat_map(|s| s.records.iter().map(|r| r.observable))
                .collect(),
            subject_of_lane: Vec::new(),
        };
        let mut names = Vec::new();
        for ((s, first, lane), result) in work.into_iter().zip(done) {
            let index = out.subject_of_lane.len() as u32;
            match result {
                Ok((timeline, slots)) => {
                    out.timelines.timelines.push(timeline);
                    out.timelines.of_patient.push(index);
                    out.records
                        .push((first + lane.start..first + lane.end).collect());
                    out.subject_of_lane.push(s);
                    out.cohort.ids.push(index);
                    names.push(self.subjects[s].name.clone());
                    out.cohort
                        .slots
                        .iter_mut()
                        .zip(slots)
                        .for_each(|(row, value)| row.push(value));
                }
                Err(diagnostic) if found.len() < MOST_FINDINGS => found.push(diagnostic),
                Err(_) => {}
            }
        }
        out.cohort.names = Some(names);
        out.timelines = out.timelines.share_equal();
        if found.has_errors() {
            Err(found)
        } else {
            Ok(out)
        }
    }

    /// The row of `base` for each subject.
    fn match_subjects(&self, base: &Cohort) -> Result<Vec<usize>, Diagnostics> {
        let at = |subject: &Subject| {
            let row = subject.records.first().map_or(0, |record| record.row);
            self.table.field_span(row, self.layout.id)
        };
        let Some(names) = &base.names else {
            if base.len() == self.subjects.len() {
                return Ok((0..base.len()).collect());
            }
            let message = format!(
                "{} individuals for {} patients",
                base.len(),
                self.subjects.len()
            );
            return Err(Diagnostic::error("D050", message)
                .at(&self.table.source, self.table.header_span(self.layout.id))
                .help("give the individual parameters an ID column")
                .into());
        };
        // `1` and `1.0` are the same patient
        let key = |name: &str| {
            name.parse::<f64>()
                .map_or_else(|_| name.to_owned(), |n| n.to_string())
        };
        let rows: HashMap<String, usize> = names
            .iter()
            .enumerate()
            .map(|(row, name)| (key(name), row))
            .collect();
        let mut found = Diagnostics::new();
        let mut out = Vec::new();
        for subject in &self.subjects {
            match rows.get(&key(&subject.name)) {
                Some(&row) => out.push(row),
                None if found.len() < MOST_FINDINGS => found.push(
                    Diagnostic::error(
                        "D050",
                        format!("no individual parameters for patient `{}`", subject.name),
                    )
                    .at(&self.table.source, at(subject))
                    .help(
                        "add the patient to the individual parameters, or remove it from the data",
                    ),
                ),
                None => {}
            }
        }
        if found.has_errors() {
            Err(found)
        } else {
            Ok(out)
        }
    }
}

/// One lane's way through its records.
struct Walk<'a> {
    dataset: &'a Dataset,
    model: &'a Model,
    rules: &'a [DoseRule],
}

impl Walk<'_> {
    /// The timeline, and the slots at its start.
    fn lane(
        &self,
        records: &[Record],
        mut slots: Vec<f64>,
    ) -> Result<(Timeline, Vec<f64>), Diagnostic> {
        let Some(first) = records.first() else {
            return Ok((Timeline::default(), slots));
        };
        let columns = &self.dataset.layout.slots;
        for (at, &value) in columns.iter().zip(&first.slots) {
            slots[at.slot] = value;
        }
        let initial = slots.clone();
        let mut scheduler = Scheduler::new(first.time);
        for record in records {
            self.step(&mut scheduler, record, &mut slots)?;
        }
        let end = records.last().map_or(first.time, |record| record.time);
        Ok((scheduler.finish(end), initial))
    }

    fn step(
        &self,
        scheduler: &mut Scheduler,
        record: &Record,
        slots: &mut [f64],
    ) -> Result<(), Diagnostic> {
        let time = record.time;
        let many = |_: TooManyEvents| {
            self.error(record, "D041", "the patient has too many events".into())
                .help("check ADDL and II: the interval may be in another unit than meant")
        };
        scheduler.advance(time).map_err(many)?;
        for (at, &value) in self.dataset.layout.slots.iter().zip(&record.slots) {
            if slots[at.slot] != value {
                slots[at.slot] = value;
                scheduler.set_slot(time, at.slot, value).map_err(many)?;
            }
        }
        if matches!(record.kind, Kind::Reset | Kind::ResetAndDose(_)) {
            scheduler.reset(time).map_err(many)?;
        }
        if let Kind::Dose(dose) | Kind::ResetAndDose(dose) = &record.kind {
            let given = self.given(record, dose, slots)?;
            scheduler.dose(time, given).map_err(many)?;
        }
        scheduler.record(time).map_err(many)
    }

    fn error(&self, record: &Record, code: &'static str, message: String) -> Diagnostic {
        let table = &self.dataset.table;
        Diagnostic::error(code, message).at(&table.source, table.row_span(record.row))
    }

    /// Evaluates F, lag, rate and duration for this patient and record.
    fn given(&self, record: &Record, dose: &Dose, slots: &[f64]) -> Result<Given, Diagnostic> {
        let input = &self.model.inputs[dose.input];
        let fault = |fault: DoseFault| {
            let help = "the value follows from the parameters and columns of this record";
            self.error(record, "D040", fault.to_string()).help(help)
        };
        let values = self.rules[dose.input]
            .evaluate(input, slots, record.time)
            .map_err(fault)?;
        let amount = dose.amount * values.amount_scale * values.bioavailability;
        let infusion = |rate: f64| match dose.amount {
            0.0 => Shape::Constant { rate },
            _ => Shape::Infusion {
                rate,
                duration: amount / rate,
            },
        };
        let shape = match dose.rate {
            Rate::Bolus => Shape::Bolus { amount },
            Rate::Given(rate) => infusion(rate * values.amount_scale),
            Rate::Modelled => infusion(
                values.rate(input).map_err(fault)?.unwrap_or(f64::NAN) * values.amount_scale,
            ),
            Rate::ModelledDuration => {
                let duration = values.duration(input).map_err(fault)?.unwrap_or(f64::NAN);
                Shape::Infusion {
                    rate: amount / duration,
                    duration,
                }
            }
        };
        let sound = match shape {
            Shape::Bolus { amount } => amount.is_finite(),
            Shape::Infusion { rate, duration } => {
                rate.is_finite() && duration.is_finite() && duration >= 0.0
            }
            Shape::Constant { rate } => rate.is_finite(),
        };
        if !sound {
            return Err(self
                .error(
                    record,
                    "D040",
                    "the dose is not a finite amount and rate".into(),
                )
                .help("check AMT, RATE and the parameters of this record"));
        }
        if let Shape::Infusion { duration, .. } = shape
            && dose.steady != Steady::No
            && (values.lag + duration) / dose.interval > MOST_OVERLAPS
        {
            let message = format!("more than {MOST_OVERLAPS} infusions overlap at steady state");
            return Err(self
                .error(record, "D042", message)
                .help("check RATE and II, and their units"));
        }
        if dose.steady != Steady::No
            && dose.interval > 0.0
            && values.lag / dose.interval > MOST_OVERLAPS
        {
            let message = format!("the lag spans more than {MOST_OVERLAPS} intervals");
            return Err(self
                .error(record, "D042", message)
                .help("check II and its unit"));
        }
        // nothing enters: an infusion of no length would never switch off again in order
        let shape = match shape {
            Shape::Infusion { duration: 0.0, .. } => Shape::Bolus { amount: 0.0 },
            other => other,
        };
        Ok(Given {
            input: dose.input,
            shape,
            lag: values.lag,
            steady: dose.steady,
            interval: dose.interval,
            additional: dose.additional,
            constant_period: self.week(),
        })
    }

    /// A week in model time units: the cycle of a constant infusion at steady state.
    fn week(&self) -> f64 {
        posology_model::unit::Unit::parse("wk").map_or(1.0, |week| self.model.units.scale(&week))
    }
}
