//! Simulated data whose equations are known, and forecasts held to them.

use std::ops::Range;

use anyhow::Context as _;
use posology_cohort::Dataset;
use posology_cohort::nmtran::{Observation, Observations, Reading, Replay};
use posology_cohort::philox::{standard_normal, stream};
use posology_kernels::device::Device;
use posology_model::Model;
use posology_twin::correction::{Contribution, contributions};
use posology_twin::forecast::{Cut, split};
use posology_twin::map::{self, MapOptions};
use posology_twin::problem::Problem;
use posology_twin::space::{Population, Space};

pub const MECHANISM: &str = include_str!("../../../../../benches/correction/mechanism.toml");
pub const CORRECTED: &str = include_str!("../../../../../benches/correction/corrected.toml");
pub const TRUTH: &str = include_str!("../../../../../benches/correction/truth.toml");

/// Typical growth, 1/d, and first size, mL, as in the model files.
const TYPICAL: (f64, f64) = (0.06, 10.0);
/// Standard deviations of their logarithms.
pub const OMEGA: (f64, f64) = (0.3, 0.7);
/// Of the residual error, log-normal.
pub const ERROR: f64 = 0.1;
/// Days between observations, and of the last one.
const EVERY: u32 = 10;
pub const UNTIL: u32 = 120;
/// New patients are seen until this day.
pub const SEEN: u32 = 50;

/// Patients that follow `dT/dt = growth T - crowding T^2`.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    pub seed: u64,
    /// 1/mL/d
    pub crowding: f64,
}

impl Course {
    /// Growth and first size of a patient.
    pub fn patient(self, i: u32) -> (f64, f64) {
        let z = |k: u32| standard_normal(self.seed, i, 0, stream::PREDICTIVE, k);
        let (growth, start) = TYPICAL;
        (
            growth * (OMEGA.0 * z(0)).exp(),
            start * (OMEGA.1 * z(1)).exp(),
        )
    }

    /// His size at day `t`, mL: the exact solution.
    pub fn size(self, i: u32, t: f64) -> f64 {
        let (growth, start) = self.patient(i);
        let grown = (growth * t).exp();
        start * grown / (1.0 + self.crowding * start * (grown - 1.0) / growth)
    }

    /// A data file until a day.
    fn csv(self, who: Range<u32>, until: u32) -> String {
        let mut text = String::from("ID,TIME,DV\n");
        for i in who {
            for k in 0..=until / EVERY {
                let t = f64::from(k * EVERY);
                let e = standard_normal(self.seed, i, 1, stream::PREDICTIVE, k);
                text += &format!("{i},{t},{}\n", self.size(i, t) * (ERROR * e).exp());
            }
        }
        text
    }

    pub fn data(
        self,
        model: &Model,
        who: Range<u32>,
        until: u32,
    ) -> anyhow::Result<(Observations, Replay)> {
        let text = self.csv(who, until);
        let dataset = Dataset::parse("simulated.csv", text.as_bytes(), model)?;
        let observations = dataset.observations(model, &Reading::default())?;
        Ok((observations, dataset.replay(model, None)?))
    }
}

/// A model and what is known of its patients.
pub struct Fitted<'a> {
    pub model: &'a Model,
    /// Names of fixed effects, in the order of the population.
    pub fixed: &'a [&'a str],
    pub population: Population,
}

/// Mean absolute errors of natural logarithms.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Errors {
    /// From what was measured.
    pub observed: f64,
    /// From the course without measurement error.
    pub exact: f64,
}

/// Mean errors of forecasts `(patient, time, measured, forecast)`, mL.
pub fn errors(course: Course, forecasts: &[(u32, f64, f64, f64)]) -> Errors {
    let n = forecasts.len().max(1) as f64;
    let mut sum = Errors::default();
    for &(patient, time, measured, forecast) in forecasts {
        let log = forecast.max(1e-300).ln();
        sum.observed += (log - measured.ln()).abs() / n;
        sum.exact += (log - course.size(patient, time).ln()).abs() / n;
    }
    sum
}

/// What a model says of new patients after day [`SEEN`], from their estimates until then, or from
/// other estimates `[patient][p]`.
pub fn forecast(
    device: &Device,
    fitted: &Fitted<'_>,
    course: Course,
    who: Range<u32>,
    estimates: Option<Vec<f64>>,
) -> anyhow::Result<Errors> {
    let model = fitted.model;
    let (all, replay) = course.data(model, who.clone(), UNTIL)?;
    let (seen, hidden) = split(&all, Cut::After(f64::from(SEEN)));
    let (space, _) = Space::new(model, fitted.fixed)?;
    let problem = Problem::new(device, model, &replay, &seen, space, None)?;
    let patients: Vec<u32> = (0..problem.engine.subjects() as u32).collect();
    let populations = [fitted.population.clone()];
    let of = vec![0; patients.len()];
    let phi = match estimates {
        Some(phi) => phi,
        None => {
            let options = MapOptions::default();
            let found = map::estimate(&problem, &patients, &populations, &of, &options)?;
            found.into_iter().flat_map(|one| one.phi).collect()
        }
    };
    let f = problem
        .engine
        .predict(&patients, &problem.values(&populations, &of, &phi))?;
    let millilitre = millilitre(model)?;
    let one = |o: &Observation| {
        let forecast = f.of(o.subject)[o.record - f.offsets[o.subject]] / millilitre;
        let patient = who.start + o.subject as u32;
        (patient, o.time, o.seen.number() / millilitre, forecast)
    };
    Ok(errors(course, &hidden.iter().map(one).collect::<Vec<_>>()))
}

/// Coherent units per millilitre.
pub fn millilitre(model: &Model) -> anyhow::Result<f64> {
    let observable = model.observables.first().context("no observable")?;
    Ok(model.units.scale(&observable.unit))
}

/// What a correction with `weights` learned, at every state that patients `who` visit on a day.
pub struct Learned {
    /// Share of the variance of the missing rate that is explained; none where none is missing.
    pub r_squared: Option<f64>,
    /// Largest correction relative to the mechanism's rate.
    pub largest_share: f64,
}

pub fn learned(
    trainable: &Model,
    weights: &[f64],
    course: Course,
    who: Range<u32>,
) -> anyhow::Result<Learned> {
    let correction = trainable.correction.as_ref().context("no correction")?;
    let growth = trainable.slot_index("growth").context("no growth")?;
    let millilitre = millilitre(trainable)?;
    let per_day = trainable.parameters[growth].value / TYPICAL.0;
    let (mut places, mut missing) = (Vec::new(), Vec::new());
    for i in who {
        let mut slots: Vec<f64> = trainable.parameters.iter().map(|p| p.value).collect();
        slots[growth] = course.patient(i).0 * per_day;
        for (&slot, &weight) in correction.weights.iter().zip(weights) {
            slots[slot] = weight;
        }
        for day in 0..=UNTIL {
            let size = course.size(i, f64::from(day));
            places.push((slots.clone(), vec![size * millilitre], f64::from(day)));
            missing.push(-course.crowding * size * size);
        }
    }
    let found: Vec<Contribution> = contributions(trainable, &places)
        .into_iter()
        .flatten()
        .collect();
    let share = |c: &Contribution| (c.correction / c.mechanism).abs();
    let largest_share = found.iter().map(share).fold(0.0, f64::max);
    let mean = missing.iter().sum::<f64>() / missing.len() as f64;
    let total: f64 = missing.iter().map(|m| (m - mean).powi(2)).sum();
    let apart = |(m, c): (&f64, &Contribution)| (m - c.correction / millilitre / per_day).powi(2);
    let left: f64 = missing.iter().zip(&found).map(apart).sum();
    Ok(Learned {
        r_squared: (total > 0.0).then(|| 1.0 - left / total),
        largest_share,
    })
}
