//! The product-limit survival curve.
//!
//! Kaplan and Meier 1958, J Am Stat Assoc 53:457; Greenwood's variance; median interval after
//! Brookmeyer and Crowley 1982, Biometrics 38:29, read off the log-log band.

use serde::{Deserialize, Serialize};

use super::error::require_level;
use super::tails::normal_critical;
use super::{Estimate, StatisticsError, SurvivalSample, TimeEstimate};

/// Survival probabilities closer than this to a quantile count as equal to it (a product of
/// fractions rarely hits 1/2 exactly).
const SAME_PROBABILITY: f64 = 1e-9;

/// Transformation on which the pointwise confidence band is symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Band {
    /// log(-log S): stays within 0 and 1; the usual choice.
    #[default]
    LogLog,
    /// S itself, clipped to 0 and 1.
    Plain,
}

/// The curve at one distinct follow-up time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Time, in the unit of the sample.
    pub time: f64,
    /// Patients at risk just before this time.
    pub at_risk: usize,
    /// Events at this time.
    pub events: usize,
    /// Patients censored at this time (after its events).
    pub censored: usize,
    /// Survival probability just after this time.
    pub survival: f64,
    /// Greenwood's sum d / (n (n - d)) up to this time; infinite once survival is zero.
    greenwood: f64,
}

impl Step {
    /// Greenwood's variance of the survival probability; `None` where survival is zero.
    pub fn variance(&self) -> Option<f64> {
        self.greenwood
            .is_finite()
            .then_some(self.survival * self.survival * self.greenwood)
    }

    pub(super) fn hazard_variance(&self) -> f64 {
        let (at_risk, events) = (self.at_risk as f64, self.events as f64);
        if self.events == self.at_risk {
            0.0
        } else {
            events / (at_risk * (at_risk - events))
        }
    }
}

/// The fitted curve of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KaplanMeier {
    name: String,
    patients: usize,
    steps: Vec<Step>,
}

impl KaplanMeier {
    /// Fits the curve. Events at a time come before censorings at the same time.
    pub fn fit(sample: &SurvivalSample) -> Self {
        let mut order: Vec<usize> = (0..sample.len()).collect();
        order.sort_by(|&a, &b| sample.times()[a].total_cmp(&sample.times()[b]));
        let mut steps: Vec<Step> = Vec::new();
        let (mut at_risk, mut survival, mut greenwood) = (sample.len(), 1.0, 0.0);
        let mut rest = order.as_slice();
        while let Some(&first) = rest.first() {
            let time = sample.times()[first];
            let tied = rest
                .iter()
                .take_while(|&&i| sample.times()[i] == time)
                .count();
            let (here, later) = rest.split_at(tied);
            rest = later;
            let events = here.iter().filter(|&&i| sample.events()[i]).count();
            if events > 0 {
                let (n, d) = (at_risk as f64, events as f64);
                survival *= (n - d) / n;
                greenwood += if events == at_risk {
                    f64::INFINITY
                } else {
                    d / (n * (n - d))
                };
            }
            steps.push(Step {
                time,
                at_risk,
                events,
                censored: tied - events,
                survival,
                greenwood,
            });
            at_risk -= tied;
        }
        Self {
            name: sample.name().to_owned(),
            patients: sample.len(),
            steps,
        }
    }

    /// Name of the group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Patients at the start.
    pub fn patients(&self) -> usize {
        self.patients
    }

    /// Events in all.
    pub fn events(&self) -> usize {
        self.steps.iter().map(|step| step.events).sum()
    }

    /// One entry per distinct time, ascending; never empty.
    pub fn steps(&self) -> &[Step] {
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

    /// Patients censored up to and including `time`.
    pub fn censored(&self, time: f64) -> usize {
        self.upto(time).iter().map(|step| step.censored).sum()
    }

    /// Events up to and including `time`.
    pub fn events_until(&self, time: f64) -> usize {
        self.upto(time).iter().map(|step| step.events).sum()
    }

    /// Survival probability at `time`; `None` beyond the last follow-up unless the curve has
    /// reached zero.
    pub fn survival(&self, time: f64) -> Option<f64> {
        let Some(step) = self.upto(time).last() else {
            return (time >= 0.0).then_some(1.0);
        };
        (time <= self.last_time() || step.survival == 0.0).then_some(step.survival)
    }

    /// Survival probability at `time` with its pointwise interval.
    ///
    /// # Errors
    /// [`StatisticsError::Level`].
    pub fn survival_interval(
        &self,
        time: f64,
        band: Band,
        level: f64,
    ) -> Result<Option<Estimate>, StatisticsError> {
        require_level(level)?;
        let Some(value) = self.survival(time) else {
            return Ok(None);
        };
        let index = self.upto(time).len();
        let (low, high) = match index.checked_sub(1) {
            Some(last) => self.band(band, level)?[last],
            None => (1.0, 1.0),
        };
        Ok(Some(Estimate {
            value,
            low,
            high,
            level,
        }))
    }

    /// Pointwise limits `(low, high)` after each step of [`Self::steps`].
    ///
    /// The limits are 1 before the first event. Where survival is zero the variance is undefined:
    /// the lower limit is 0 and the upper one keeps its last value.
    ///
    /// # Errors
    /// [`StatisticsError::Level`].
    pub fn band(&self, band: Band, level: f64) -> Result<Vec<(f64, f64)>, StatisticsError> {
        require_level(level)?;
        let z = normal_critical(level);
        let mut previous = (1.0, 1.0);
        let limits = self.steps.iter().map(|step| {
            let (s, error) = (step.survival, step.greenwood.sqrt());
            previous = if s >= 1.0 {
                (1.0, 1.0)
            } else if s <= 0.0 {
                (0.0, previous.1)
            } else {
                match band {
                    Band::Plain => ((s - z * s * error).max(0.0), (s + z * s * error).min(1.0)),
                    Band::LogLog => {
                        let theta = z * error / s.ln().abs();
                        (s.powf(theta.exp()), s.powf((-theta).exp()))
                    }
                }
            };
            previous
        });
        Ok(limits.collect())
    }

    /// Time by which a share `p` of patients has had the event, with the interval on which the
    /// pointwise band includes `1 - p`.
    ///
    /// Where the curve runs exactly at `1 - p` the midpoint of that stretch is taken, as in R and
    /// SAS. A part that follow-up does not reach is `None`.
    ///
    /// # Errors
    /// [`StatisticsError::Level`], or [`StatisticsError::Probability`] unless 0 < p < 1.
    pub fn quantile(
        &self,
        p: f64,
        band: Band,
        level: f64,
    ) -> Result<TimeEstimate, StatisticsError> {
        if !(p > 0.0 && p < 1.0) {
            return Err(StatisticsError::Probability { value: p });
        }
        let target = 1.0 - p;
        let limits = self.band(band, level)?;
        Ok(TimeEstimate {
            value: self.crossing(target, |index| self.steps[index].survival),
            low: self.crossing(target, |index| limits[index].0),
            high: self.crossing(target, |index| limits[index].1),
            level,
        })
    }

    /// The median time, see [`Self::quantile`].
    ///
    /// # Errors
    /// [`StatisticsError::Level`].
    pub fn median(&self, band: Band, level: f64) -> Result<TimeEstimate, StatisticsError> {
        self.quantile(0.5, band, level)
    }

    fn upto(&self, time: f64) -> &[Step] {
        &self.steps[..self.steps.partition_point(|step| step.time <= time)]
    }

    /// First time at which a non-increasing step function reaches `target`.
    fn crossing(&self, target: f64, value: impl Fn(usize) -> f64) -> Option<f64> {
        let first = (0..self.steps.len()).find(|&i| value(i) <= target + SAME_PROBABILITY)?;
        let start = self.steps[first].time;
        if value(first) < target - SAME_PROBABILITY {
            return Some(start);
        }
        let next = (first..self.steps.len()).find(|&i| value(i) < target - SAME_PROBABILITY);
        let end = next.map_or(self.last_time(), |index| self.steps[index].time);
        Some(0.5 * (start + end))
    }
}
