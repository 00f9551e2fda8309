//! The Aalen-Johansen cumulative incidence of one cause.
//!
//! Aalen and Johansen 1978, Scand J Stat 5:141; variance of Greenwood type after Marubini and
//! Valsecchi 1995, Analysing Survival Data from Clinical Trials and Observational Studies,
//! equation 10.12 (the delta method on multinomial counts; Dinse and Larson 1986, Biometrika
//! 73:379): with n at risk, d events of which c are of the cause, survival S and incidence F,
//!
//! Var F(t) = sum over u <= t of (F(t) - F(u))^2 d / (n (n - d)) + S(u-)^2 c (n - c) / n^3
//! - 2 (F(t) - F(u)) S(u-) c / n^2.
//!
//! One minus Kaplan-Meier, with other causes censored, would overstate the incidence.

use serde::{Deserialize, Serialize};

use super::CompetingSample;
use crate::statistics::error::require_level;
use crate::statistics::tails::normal_critical;
use crate::statistics::{Band, Estimate, StatisticsError};

/// The curve at one distinct follow-up time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IncidenceStep {
    /// Time, in the unit of the sample.
    pub time: f64,
    /// Patients at risk just before this time.
    pub at_risk: usize,
    /// Events of the cause at this time.
    pub events: usize,
    /// Events of other causes at this time.
    pub competing: usize,
    /// Patients censored at this time (after its events).
    pub censored: usize,
    /// Probability of an event of the cause up to and including this time.
    pub incidence: f64,
    /// Variance of that probability.
    pub variance: f64,
}

/// Cumulative incidence of one cause in one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CumulativeIncidence {
    name: String,
    cause: u32,
    patients: usize,
    steps: Vec<IncidenceStep>,
    /// Whether nobody is left without an event, so that the curve is known for ever.
    complete: bool,
}

impl CumulativeIncidence {
    /// Fits the curve of `cause`. Events at a time come before censorings at the same time. A
    /// cause that nobody had gives a curve of zeros.
    pub fn fit(sample: &CompetingSample, cause: u32) -> Self {
        let (times, causes) = (sample.times(), sample.causes());
        let mut order: Vec<usize> = (0..sample.len()).collect();
        order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
        let mut steps = Vec::new();
        let (mut at_risk, mut survival, mut incidence) = (sample.len(), 1.0, 0.0);
        // Variance = incidence^2 a - 2 incidence b + c, with sums over the times so far.
        let (mut a, mut b, mut c) = (0.0, 0.0, 0.0);
        for tied in order.chunk_by(|&i, &j| times[i] == times[j]) {
            let events = tied.iter().filter(|&&i| causes[i] == cause).count();
            let censored = tied.iter().filter(|&&i| causes[i] == 0).count();
            let (n, of_cause) = (at_risk as f64, events as f64);
            let all = (tied.len() - censored) as f64;
            incidence += survival * of_cause / n;
            // Nobody is left when all have an event, and these terms no longer count.
            let greenwood = if all < n { all / (n * (n - all)) } else { 0.0 };
            let joint = survival * of_cause / (n * n);
            a += greenwood;
            b += incidence * greenwood + joint;
            c += incidence * incidence * greenwood
                + 2.0 * incidence * joint
                + survival * survival * of_cause * (n - of_cause) / (n * n * n);
            survival *= (n - all) / n;
            steps.push(IncidenceStep {
                time: times[tied[0]],
                at_risk,
                events,
                competing: tied.len() - censored - events,
                censored,
                incidence,
                variance: (incidence * (incidence * a - 2.0 * b) + c).max(0.0),
            });
            at_risk -= tied.len();
        }
        Self {
            name: sample.name().to_owned(),
            cause,
            patients: sample.len(),
            steps,
            complete: survival == 0.0,
        }
    }

    /// Name of the group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of the cause.
    pub fn cause(&self) -> u32 {
        self.cause
    }

    /// Patients at the start.
    pub fn patients(&self) -> usize {
        self.patients
    }

    /// One entry per distinct time, ascending; never empty.
    pub fn steps(&self) -> &[IncidenceStep] {
        &self.steps
    }

    /// Longest follow-up.
    pub fn last_time(&self) -> f64 {
        self.steps.last().map_or(0.0, |step| step.time)
    }

    /// Patients whose follow-up reaches at least `time`.
    pub fn at_risk(&self, time: f64) -> usize {
        let next = self.steps.partition_point(|step| step.time < time);
        self.steps.get(next).map_or(0, |step| step.at_risk)
    }

    /// Probability of an event of the cause up to `time`; `None` beyond the last follow-up unless
    /// every patient has had an event by then.
    pub fn incidence(&self, time: f64) -> Option<f64> {
        let known = time >= 0.0 && (time <= self.last_time() || self.complete);
        known.then(|| self.last_step(time).map_or(0.0, |step| step.incidence))
    }

    /// Probability of an event of the cause up to `time` with its pointwise interval.
    ///
    /// # Errors
    /// [`StatisticsError::Level`].
    pub fn incidence_interval(
        &self,
        time: f64,
        band: Band,
        level: f64,
    ) -> Result<Option<Estimate>, StatisticsError> {
        require_level(level)?;
        let Some(value) = self.incidence(time) else {
            return Ok(None);
        };
        let z = normal_critical(level);
        let (low, high) = self
            .last_step(time)
            .map_or((0.0, 0.0), |step| limits(step, band, z));
        Ok(Some(Estimate {
            value,
            low,
            high,
            level,
        }))
    }

    /// Pointwise limits `(low, high)` after each step of [`Self::steps`]: symmetric on
    /// log(-log F) with [`Band::LogLog`], as R's survfit does, or on F itself. Where the incidence
    /// is zero or one both limits equal it.
    ///
    /// # Errors
    /// [`StatisticsError::Level`].
    pub fn band(&self, band: Band, level: f64) -> Result<Vec<(f64, f64)>, StatisticsError> {
        require_level(level)?;
        let z = normal_critical(level);
        Ok(self
            .steps
            .iter()
            .map(|step| limits(step, band, z))
            .collect())
    }

    fn last_step(&self, time: f64) -> Option<&IncidenceStep> {
        let count = self.steps.partition_point(|step| step.time <= time);
        count.checked_sub(1).map(|last| &self.steps[last])
    }
}

fn limits(step: &IncidenceStep, band: Band, z: f64) -> (f64, f64) {
    let (value, error) = (step.incidence, step.variance.sqrt());
    // Rounding can leave a full incidence a little short of one.
    if value <= 0.0 || value >= 1.0 - 1e-12 {
        return (value, value);
    }
    match band {
        Band::Plain => ((value - z * error).max(0.0), (value + z * error).min(1.0)),
        Band::LogLog => {
            let theta = z * error / (value * value.ln().abs());
            (value.powf(theta.exp()), value.powf((-theta).exp()))
        }
    }
}
