//! Predictions for real patients under the treatment they really had.

use posology_cohort::Cohort;
use posology_cohort::event::{Action, Timeline, Timelines};
use posology_kernels::simulate::Status;
use posology_sim::outputs::column;
use posology_sim::run::run as simulate;
use posology_sim::{Column, OutputPlan, RuleSet, Simulation};

use super::{Stage, TrialError};
use crate::design::{Measurement, ReplayData};
use crate::statistics::{Estimate, mean_interval, root_mean_square_error};

/// Points of a drawn curve.
const CURVE: usize = 240;
/// Instants at which two schedules are compared.
const INSTANTS: usize = 2000;

/// Predictions against measurements.
#[derive(Clone, Debug)]
pub struct ReplayResult {
    /// As in the individuals.
    pub patients: Vec<ReplayPatient>,
    /// Mean over patients of the root mean square error, with Student's interval.
    pub rmse: Estimate,
    /// Real schedules beside those of an arm.
    pub schedules: Vec<Schedule>,
}

/// One patient.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayPatient {
    /// Name in the data.
    pub name: String,
    /// Group in the data.
    pub group: String,
    /// As measured.
    pub records: Vec<Measurement>,
    /// One prediction per record.
    pub predicted: Vec<f64>,
    /// Root mean square of prediction minus measurement.
    pub rmse: f64,
    /// Prediction over time: (model time, value).
    pub curve: Vec<(f64, f64)>,
}

/// The real schedule of one patient and what an arm would have done to the same patient over the
/// same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Name in the data.
    pub name: String,
    /// Index of the arm.
    pub arm: usize,
    /// Length of the record from the start of treatment, model time.
    pub duration: f64,
    /// Share of that time on drug in reality.
    pub real: f64,
    /// Share of that time on drug in the arm.
    pub arm_share: f64,
    /// Share of that time in which both are on or both are off.
    pub agreement: f64,
}

impl ReplayPatient {
    /// Stretches of time on drug, until the last record.
    pub fn on(&self) -> Vec<(f64, f64)> {
        let mut spans: Vec<(f64, f64)> = Vec::new();
        for pair in self.records.windows(2) {
            if pair[0].exposure > 0.0 {
                match spans.last_mut() {
                    Some(last) if last.1 == pair[0].time => last.1 = pair[1].time,
                    _ => spans.push((pair[0].time, pair[1].time)),
                }
            }
        }
        spans
    }
}

pub(super) fn run(
    stage: &mut Stage<'_, '_>,
    data: &ReplayData,
    entering: Option<&Cohort>,
) -> Result<ReplayResult, TrialError> {
    let trial = stage.trial;
    let model = &trial.model;
    let observable = &model.observables[data.observable];
    let mut outputs = OutputPlan::none();
    outputs.record(
        column(model, &observable.name, &observable.unit),
        observable.node,
        None,
    );
    let rules = RuleSet::default();
    let cohort = &data.events.cohort;
    let label = data.title.clone();
    let of = |timelines: &Timelines, stage: &mut Stage<'_, '_>| {
        let simulation = Simulation {
            model,
            cohort,
            timelines,
            outputs: &outputs,
            rules: &rules,
        };
        let (options, device) = (stage.options(), stage.device);
        simulate(device, &simulation, &options, |done, total| {
            stage.report(&label, done, total)
        })
    };
    let at_records = of(&data.events.timelines, stage)?;
    let grid = curve_grid(&data.events.timelines);
    let mut drawn = data.events.timelines.clone();
    for timeline in &mut drawn.timelines {
        timeline
            .events
            .retain(|event| event.action != Action::Record);
    }
    let over_time = of(&drawn.with_records(&grid), stage)?;

    let names = cohort.names.clone().unwrap_or_default();
    let mut patients: Vec<Option<ReplayPatient>> = vec![None; data.records.len()];
    for (lane, &patient) in data.patient_of_lane.iter().enumerate() {
        let rows = at_records.record_offsets[lane]..at_records.record_offsets[lane + 1];
        let raw = &at_records.records[0][rows];
        let largest = raw.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let scale = if data.divide_by_maximum { largest } else { 1.0 };
        let records = data.records[patient].clone();
        let predicted: Vec<f64> = raw.iter().map(|value| value / scale).collect();
        let observed: Vec<f64> = records.iter().map(|record| record.observed).collect();
        let last = records.last().map_or(0.0, |record| record.time);
        let begin = over_time.record_offsets[lane];
        let values = &over_time.records[0][begin..over_time.record_offsets[lane + 1]];
        let curve = grid
            .iter()
            .zip(values)
            .filter(|(time, _)| **time <= last)
            .map(|(&time, value)| (time, value / scale));
        patients[patient] = Some(ReplayPatient {
            name: names[lane].clone(),
            group: data.groups[patient].clone(),
            rmse: root_mean_square_error(&observed, &predicted)?,
            curve: curve.collect(),
            records,
            predicted,
        });
    }
    let patients: Vec<ReplayPatient> = patients.into_iter().flatten().collect();
    let errors: Vec<f64> = patients.iter().map(|patient| patient.rmse).collect();
    let rmse = mean_interval("RMSE", &errors, trial.analysis.level)?;
    let schedules = schedules(stage, data, &patients, entering)?;
    stage.step += 1;
    Ok(ReplayResult {
        patients,
        rmse,
        schedules,
    })
}

fn curve_grid(timelines: &Timelines) -> Vec<f64> {
    let end = timelines.end();
    (0..=4 * CURVE)
        .map(|k| end * k as f64 / (4 * CURVE) as f64)
        .collect()
}

/// Real schedules beside those of the arms they are compared with.
fn schedules(
    stage: &mut Stage<'_, '_>,
    data: &ReplayData,
    patients: &[ReplayPatient],
    entering: Option<&Cohort>,
) -> Result<Vec<Schedule>, TrialError> {
    let trial = stage.trial;
    let (Some(slot), Some(entering)) = (data.exposure, entering) else {
        return Ok(Vec::new());
    };
    let start = trial
        .individuals
        .as_ref()
        .and_then(|individuals| individuals.start.as_ref());
    let begin = |p: usize| start.map_or(0.0, |start| start.times[p]);
    let mut out = Vec::new();
    for (group, arm) in &data.compare {
        let chosen: Vec<usize> = (0..patients.len())
            .filter(|&p| patients[p].group == *group)
            .collect();
        let cohort = entering.select(&chosen);
        let last = |p: usize| {
            patients[p]
                .records
                .last()
                .map_or(0.0, |record| record.time - begin(p))
        };
        let end = chosen.iter().map(|&p| last(p)).fold(0.0, f64::max);
        if chosen.is_empty() || end <= 0.0 {
            continue;
        }
        // the middle of each stretch, so that no instant coincides with a decision
        let instants: Vec<f64> = (0..INSTANTS)
            .map(|k| end * (k as f64 + 0.5) / INSTANTS as f64)
            .collect();
        let timelines =
            super::arms::timelines(trial, &trial.arms[*arm], &cohort, end)?.with_records(&instants);
        let mut model = trial.model.clone();
        let node = model.graph.slot(slot);
        let mut outputs = OutputPlan::none();
        outputs.record(
            Column {
                name: "exposure".into(),
                unit: "1".into(),
                scale: 1.0,
            },
            node,
            None,
        );
        let rules = super::arms::rules(&trial.arms[*arm]);
        let simulation = Simulation {
            model: &model,
            cohort: &cohort,
            timelines: &timelines,
            outputs: &outputs,
            rules: &rules,
        };
        let label = format!(
            "{}, schedule of the arm {}",
            data.title, trial.arms[*arm].title
        );
        let (options, device) = (stage.options(), stage.device);
        let results = simulate(device, &simulation, &options, |done, total| {
            stage.report(&label, done, total)
        })?;
        for (k, &p) in chosen.iter().enumerate() {
            if results.status[k] != Status::Completed {
                continue;
            }
            let values =
                &results.records[0][results.record_offsets[k]..results.record_offsets[k + 1]];
            out.push(compare(&patients[p], *arm, begin(p), &instants, values));
        }
    }
    Ok(out)
}

/// Instants count from the start of the arm, which is at `begin` of the record.
fn compare(
    patient: &ReplayPatient,
    arm: usize,
    begin: f64,
    instants: &[f64],
    arm_on: &[f64],
) -> Schedule {
    let duration = patient
        .records
        .last()
        .map_or(0.0, |record| record.time - begin);
    let (mut seen, mut real, mut decided, mut same) = (0.0, 0.0, 0.0, 0.0);
    for (&time, &on) in instants
        .iter()
        .zip(arm_on)
        .filter(|(time, _)| **time < duration)
    {
        let at = patient
            .records
            .partition_point(|record| record.time - begin <= time);
        let was = at
            .checked_sub(1)
            .is_some_and(|at| patient.records[at].exposure > 0.0);
        let would = on > 0.0;
        seen += 1.0;
        real += f64::from(u8::from(was));
        decided += f64::from(u8::from(would));
        same += f64::from(u8::from(was == would));
    }
    let share = |count: f64| if seen > 0.0 { count / seen } else { f64::NAN };
    Schedule {
        name: patient.name.clone(),
        arm,
        duration,
        real: share(real),
        arm_share: share(decided),
        agreement: share(same),
    }
}

/// A timeline without anything in it.
pub(super) fn empty(patients: usize, end: f64) -> Timelines {
    Timelines::shared(patients, Timeline::new(Vec::new(), end))
}
