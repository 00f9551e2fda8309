//! What forecasts whose outcome is known teach about the next ones: how far to trust the model over
//! the last observation, and how wide intervals have to be.
//!
//! A forecast becomes `share * model + (1 - share) * last observation` on the scale on which
//! residual errors are normal, the combination of Bates and Granger (1969, doi 10.1057/jors.1969.103)
//! with the share that would have made the mean absolute error of other patients least. Its interval
//! keeps its shape and is scaled so that it would have held the wanted share of their observations
//! (conformal prediction: Vovk 2005, doi 10.1007/b106715; Romano 2019, arXiv 1905.03222).

use posology_model::model::ResidualError;

use crate::forecast::Forecast;
use crate::likelihood::{from_normal_scale, to_normal_scale};
use crate::scores::Scored;

/// Shares that are tried: 0, 1/100, ..., 1.
const SHARES: usize = 100;

/// Of one observable.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Calibration {
    /// Of the model in a forecast; the rest is the last observation.
    pub share: f64,
    /// Factor of the widths of intervals.
    pub widening: f64,
    /// What it was learned from.
    pub patients: usize,
    pub observations: usize,
}

/// A forecast whose outcome is known, on the scale of normal errors.
struct Known {
    subject: usize,
    y: f64,
    model: f64,
    carried: f64,
    below: f64,
    above: f64,
}

impl Known {
    fn of(scored: &Scored, error: &ResidualError) -> Option<Self> {
        let at = |value: f64| Some(to_normal_scale(value, error)).filter(|v| v.is_finite());
        let model = at(scored.forecast.median)?;
        Some(Self {
            subject: scored.subject,
            y: at(scored.measured()?)?,
            model,
            carried: at(scored.carried?)?,
            below: model - at(scored.forecast.low)?,
            above: at(scored.forecast.high)? - model,
        })
    }

    fn combined(&self, share: f64) -> f64 {
        share * self.model + (1.0 - share) * self.carried
    }

    /// How many half widths the observation is away.
    fn away(&self, share: f64) -> f64 {
        let apart = self.y - self.combined(share);
        let half = if apart > 0.0 { self.above } else { self.below };
        apart.abs() / half.max(f64::MIN_POSITIVE)
    }
}

impl Calibration {
    /// Learn from forecasts of one observable, sorted by patient. `error` says on which scale;
    /// `level`: share of the intervals. None without a patient that can be used: censored
    /// observations, patients without an earlier one and numbers without a logarithm teach nothing.
    pub fn learn(of: &[Scored], error: &ResidualError, level: f64) -> Option<Self> {
        let known: Vec<Known> = of.iter().filter_map(|s| Known::of(s, error)).collect();
        let patients: Vec<&[Known]> = known.chunk_by(|a, b| a.subject == b.subject).collect();
        if patients.is_empty() {
            return None;
        }
        let loss = |share: f64| -> f64 {
            let one = |own: &&[Known]| {
                let errors = own.iter().map(|k| (k.y - k.combined(share)).abs());
                errors.sum::<f64>() / own.len() as f64
            };
            patients.iter().map(one).sum()
        };
        let shares = (0..=SHARES).map(|k| k as f64 / SHARES as f64);
        let share = shares.min_by(|&a, &b| loss(a).total_cmp(&loss(b)))?;
        let mut away: Vec<f64> = known.iter().map(|k| k.away(share)).collect();
        away.sort_by(f64::total_cmp);
        // one more than there are: the one that comes next
        let rank = (level * (away.len() + 1) as f64).ceil() as usize;
        let widening = away[rank.clamp(1, away.len()) - 1];
        Some(Self {
            share,
            widening,
            patients: patients.len(),
            observations: known.len(),
        })
    }

    /// A forecast with what was learned; as it was where there is no last observation or no number.
    pub fn apply(
        &self,
        forecast: Forecast,
        carried: Option<f64>,
        error: &ResidualError,
    ) -> Forecast {
        let at = |value: f64| to_normal_scale(value, error);
        let model = at(forecast.median);
        let Some(last) = carried.map(at).filter(|last| last.is_finite()) else {
            return forecast;
        };
        if !model.is_finite() {
            return forecast;
        }
        let centre = self.share * model + (1.0 - self.share) * last;
        let moved =
            |value: f64| from_normal_scale(centre + self.widening * (at(value) - model), error);
        Forecast {
            median: from_normal_scale(centre, error),
            low: moved(forecast.low),
            high: moved(forecast.high),
            true_low: moved(forecast.true_low),
            true_high: moved(forecast.true_high),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use posology_cohort::nmtran::Seen;
    use proptest::prelude::*;

    use super::*;

    fn lognormal() -> ResidualError {
        ResidualError {
            lognormal: 0.1,
            ..ResidualError::default()
        }
    }

    fn scored(subject: usize, y: f64, model: f64, carried: f64, half: f64) -> Scored {
        Scored {
            subject,
            time: 1.0,
            observable: 0,
            seen: Seen::Value(y),
            forecast: Forecast {
                median: model,
                low: model / half,
                high: model * half,
                true_low: model,
                true_high: model,
            },
            carried: Some(carried),
        }
    }

    #[test]
    fn the_better_forecaster_gets_the_share() {
        let error = lognormal();
        let learn = |all: &[Scored]| Calibration::learn(all, &error, 0.9).unwrap();
        let model: Vec<_> = (0..30).map(|i| scored(i, 10.0, 10.0, 40.0, 2.0)).collect();
        assert_eq!(learn(&model).share, 1.0);
        let carried: Vec<_> = (0..30).map(|i| scored(i, 40.0, 10.0, 40.0, 2.0)).collect();
        assert_eq!(learn(&carried).share, 0.0);
        // geometric mean of both
        let both: Vec<_> = (0..30).map(|i| scored(i, 20.0, 10.0, 40.0, 2.0)).collect();
        let found = learn(&both);
        assert_eq!(
            (found.share, found.patients, found.observations),
            (0.5, 30, 30)
        );
        let moved = found.apply(both[0].forecast, Some(40.0), &error);
        assert!((moved.median - 20.0).abs() < 1e-9);
        assert_eq!(
            found.apply(both[0].forecast, None, &error),
            both[0].forecast
        );
        assert_eq!(
            found.apply(both[0].forecast, Some(0.0), &error),
            both[0].forecast
        );
        assert!(Calibration::learn(&[], &error, 0.9).is_none());
    }

    proptest! {
        /// The interval of level 90 % holds 90 % of what it was learned from, and no more than the
        /// next larger count, whatever the data.
        #[test]
        fn intervals_hold_what_they_say(
            values in prop::collection::vec((0.1f64..10.0, 0.1f64..10.0, 0.1f64..10.0), 20..80)
        ) {
            let error = lognormal();
            let all: Vec<Scored> = values
                .iter()
                .enumerate()
                .map(|(i, &(y, model, carried))| scored(i, y, model, carried, 1.3))
                .collect();
            let found = Calibration::learn(&all, &error, 0.9).unwrap();
            let inside = |s: &&Scored| {
                let f = found.apply(s.forecast, s.carried, &error);
                let y = s.seen.number();
                y >= f.low * (1.0 - 1e-9) && y <= f.high * (1.0 + 1e-9)
            };
            let n = all.len();
            let held = all.iter().filter(inside).count();
            let wanted = (0.9 * (n + 1) as f64).ceil() as usize;
            prop_assert!(held >= wanted.min(n) && held <= wanted + 1, "{held} of {n}");
            // nothing is worse than the better of both
            let loss = |of: &dyn Fn(&Scored) -> f64| -> f64 {
                all.iter().map(|s| (of(s).ln() - s.seen.number().ln()).abs()).sum()
            };
            let combined = loss(&|s| found.apply(s.forecast, s.carried, &error).median);
            let best = loss(&|s| s.forecast.median).min(loss(&|s| s.carried.unwrap()));
            prop_assert!(combined <= best + 1e-9);
        }
    }
}
