//! The log partial likelihood with Efron's ties, and its derivatives.

use super::Covariate;
use crate::statistics::linear::{dot, mirror};
use crate::statistics::{StatisticsError, SurvivalSample};

/// Standardised covariates and patients in the order in which the likelihood visits them.
pub(super) struct Design {
    pub(super) rows: Vec<Vec<f64>>,
    pub(super) scales: Vec<f64>,
    /// Stratum by stratum, latest time first.
    order: Vec<usize>,
    /// Start in `order` of each set of patients with one stratum and one time, and whether a new
    /// stratum begins there.
    sets: Vec<(usize, bool)>,
    pub(super) events: Vec<bool>,
}

/// Log partial likelihood, its gradient and the negative of its Hessian.
pub(super) struct Evaluation {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    pub(super) information: Vec<Vec<f64>>,
}

impl Design {
    pub(super) fn new(
        sample: &SurvivalSample,
        covariates: &[Covariate],
        strata: Option<&[u32]>,
    ) -> Result<Self, StatisticsError> {
        let n = sample.len();
        let mut scales = Vec::with_capacity(covariates.len());
        let mut rows = vec![Vec::with_capacity(covariates.len()); n];
        for covariate in covariates {
            let centre = covariate.values.iter().sum::<f64>() / n as f64;
            let squares: f64 = covariate.values.iter().map(|x| (x - centre).powi(2)).sum();
            let scale = (squares / n as f64).sqrt();
            if scale <= 1e-14 * centre.abs() || scale == 0.0 {
                let covariate = covariate.name.clone();
                return Err(StatisticsError::NotEstimable { covariate });
            }
            scales.push(scale);
            for (row, value) in rows.iter_mut().zip(&covariate.values) {
                row.push((value - centre) / scale);
            }
        }
        let stratum = |i: usize| strata.map_or(0, |labels| labels[i]);
        let time = |i: usize| sample.times()[i];
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| {
            stratum(a)
                .cmp(&stratum(b))
                .then(time(b).total_cmp(&time(a)))
        });
        let mut sets = Vec::new();
        for (position, &i) in order.iter().enumerate() {
            let before = position.checked_sub(1).map(|p| order[p]);
            let new_stratum = before.is_none_or(|b| stratum(b) != stratum(i));
            if new_stratum || before.is_none_or(|b| time(b) != time(i)) {
                sets.push((position, new_stratum));
            }
        }
        Ok(Self {
            rows,
            scales,
            order,
            sets,
            events: sample.events().to_vec(),
        })
    }

    /// Calls `visit` at every time with an event, latest first within each stratum.
    pub(super) fn walk(&self, beta: &[f64], mut visit: impl FnMut(&EventTime)) {
        let mut risk = Moments::new(beta.len());
        let mut dying = Moments::new(beta.len());
        for (index, &(start, new_stratum)) in self.sets.iter().enumerate() {
            if new_stratum {
                risk.clear();
            }
            dying.clear();
            let end = self
                .sets
                .get(index + 1)
                .map_or(self.order.len(), |next| next.0);
            let tied = &self.order[start..end];
            let mut events = 0;
            for &patient in tied {
                let row = &self.rows[patient];
                let weight = dot(row, beta).exp();
                risk.add(row, weight);
                if self.events[patient] {
                    dying.add(row, weight);
                    events += 1;
                }
            }
            if events > 0 {
                visit(&EventTime {
                    tied,
                    events,
                    risk: &risk,
                    dying: &dying,
                });
            }
        }
    }

    pub(super) fn evaluate(&self, beta: &[f64]) -> Evaluation {
        let p = beta.len();
        let mut result = Evaluation {
            value: 0.0,
            gradient: vec![0.0; p],
            information: vec![vec![0.0; p]; p],
        };
        self.walk(beta, |time| {
            for row in self.dying_rows(time) {
                result.value += dot(row, beta);
                for (gradient, x) in result.gradient.iter_mut().zip(row) {
                    *gradient += x;
                }
            }
            for removed in 0..time.events {
                let share = removed as f64 / time.events as f64;
                result.value -= time.weight(share).ln();
                for j in 0..p {
                    let mean_j = time.mean(share, j);
                    result.gradient[j] -= mean_j;
                    for k in 0..=j {
                        let spread = time.second(share, j, k) - mean_j * time.mean(share, k);
                        result.information[j][k] += spread;
                    }
                }
            }
        });
        mirror(&mut result.information);
        result
    }

    /// Covariates of the patients with the event at `time`.
    pub(super) fn dying_rows<'a>(
        &'a self,
        time: &'a EventTime,
    ) -> impl Iterator<Item = &'a Vec<f64>> {
        time.tied
            .iter()
            .filter(|&&patient| self.events[patient])
            .map(|&patient| &self.rows[patient])
    }
}

/// The risk set at one time with events. Efron: the tied deaths leave it in equal parts, so that
/// its moments depend on the `share` of them that has left.
pub(super) struct EventTime<'a> {
    /// Patients of the stratum whose follow-up ends now.
    pub(super) tied: &'a [usize],
    pub(super) events: usize,
    risk: &'a Moments,
    dying: &'a Moments,
}

impl EventTime<'_> {
    fn weight(&self, share: f64) -> f64 {
        self.risk.weight - share * self.dying.weight
    }

    /// Weighted mean of covariate `j`.
    pub(super) fn mean(&self, share: f64, j: usize) -> f64 {
        (self.risk.first[j] - share * self.dying.first[j]) / self.weight(share)
    }

    /// Weighted mean of the product of covariates `j` and `k`, for k <= j.
    pub(super) fn second(&self, share: f64, j: usize, k: usize) -> f64 {
        (self.risk.second[j][k] - share * self.dying.second[j][k]) / self.weight(share)
    }
}

/// Sums of exp(eta), x exp(eta) and x x' exp(eta) (lower triangle).
struct Moments {
    weight: f64,
    first: Vec<f64>,
    second: Vec<Vec<f64>>,
}

impl Moments {
    fn new(p: usize) -> Self {
        Self {
            weight: 0.0,
            first: vec![0.0; p],
            second: vec![vec![0.0; p]; p],
        }
    }

    fn clear(&mut self) {
        self.weight = 0.0;
        self.first.fill(0.0);
        self.second.iter_mut().for_each(|row| row.fill(0.0));
    }

    fn add(&mut self, row: &[f64], weight: f64) {
        self.weight += weight;
        for (j, &x) in row.iter().enumerate() {
            self.first[j] += weight * x;
            for (k, &y) in row.iter().enumerate().take(j + 1) {
                self.second[j][k] += weight * x * y;
            }
        }
    }
}
