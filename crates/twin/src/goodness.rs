//! Goodness of fit: predictions of the population and of the individuals, weighted residuals,
//! normalised prediction distribution errors, and visual predictive checks.

use nalgebra::{Cholesky, DMatrix, DVector};
use posology_cohort::nmtran::Seen;
use posology_cohort::philox::{standard_normal, stream};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::drift::Known;
use crate::error::TwinError;
use crate::forecast::quantile;
use crate::likelihood::{from_normal_scale, normal_scale, to_normal_scale};
use crate::map::{Individual, factor};
use crate::population::fisher::linearise;
use crate::problem::Problem;
use crate::space::Population;

/// One observation; coherent units.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Position in `who`.
    pub patient: usize,
    /// Index among the patient's records.
    pub at: usize,
    pub observable: usize,
    pub time: f64,
    pub seen: Seen,
    /// At typical parameters and the patient's covariates.
    pub pred: f64,
    /// At the patient's estimate.
    pub ipred: f64,
    /// (y - ipred) / sd; `None` where censored.
    pub iwres: Option<f64>,
    /// Conditional weighted residual (Hooker 2007).
    pub cwres: Option<f64>,
    /// Normalised prediction distribution error (Brendel 2006).
    pub npde: Option<f64>,
}

/// Percentiles of an observable in a bin of time.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Bin {
    pub observable: usize,
    pub from: f64,
    pub to: f64,
    /// Median time of its observations.
    pub time: f64,
    pub count: usize,
    /// Of the data: 5, 50 and 95 %.
    pub observed: [f64; 3],
    /// Of the simulated data sets: 2.5, 50 and 97.5 % of each of those.
    pub simulated: [[f64; 3]; 3],
}

/// Everything a report shows of a fit.
#[derive(Clone, Debug, Default)]
pub struct Goodness {
    pub rows: Vec<Row>,
    pub bins: Vec<Bin>,
}

/// Most bins of a predictive check.
const BINS: usize = 8;
/// Fewest observations of a bin.
const FEWEST: usize = 10;
const PERCENTILES: [f64; 3] = [0.05, 0.5, 0.95];

/// Look at a fit of patients `who`, with `simulations` simulated data sets.
///
/// # Errors
/// Those of the device.
pub fn goodness(
    problem: &Problem,
    who: &[u32],
    population: &Population,
    individuals: &[Individual],
    simulations: usize,
    seed: u64,
) -> Result<Goodness, TwinError> {
    let populations = std::slice::from_ref(population);
    let none = vec![0; who.len()];
    let typical: Vec<f64> = who.iter().flat_map(|_| population.mu.clone()).collect();
    let (pred, _) = problem.likelihood(who, populations, &none, &typical)?;
    let own: Vec<f64> = individuals.iter().flat_map(|i| i.phi.clone()).collect();
    let (ipred, _) = problem.likelihood(who, populations, &none, &own)?;
    let linear = linearise(problem, who, population, individuals)?;
    let omega = population.covariance();
    let p = population.mu.len();
    let mut out = Goodness::default();
    let mut replicates = Vec::new();
    for (i, &subject) in who.iter().enumerate() {
        let points = &problem.points[subject as usize];
        let simulated = simulate(problem, subject, population, simulations, seed)?;
        let npde = npde(problem, subject, population, &simulated);
        let cwres = conditional(&linear[i], &omega, population, &individuals[i].phi, p);
        let mut uncensored = 0;
        for (k, point) in points.iter().enumerate() {
            let (f, error) = (ipred.of(i)[point.at], population.error(point.observable));
            let (centre, sd) = normal_scale(f, &error);
            let y = point.seen.number();
            let place = to_normal_scale(y, &error);
            let measured = !point.seen.censored() && f.is_finite();
            out.rows.push(Row {
                patient: i,
                at: point.at,
                observable: point.observable,
                time: point.time,
                seen: point.seen,
                pred: pred.of(i)[point.at],
                ipred: f,
                iwres: measured.then(|| (place - centre) / sd),
                cwres: measured
                    .then(|| cwres.as_ref().map(|c| c[uncensored]))
                    .flatten(),
                npde: npde[k],
            });
            uncensored += usize::from(measured);
        }
        replicates.push(simulated);
    }
    out.bins = bins(&out.rows, &replicates);
    Ok(out)
}

/// Simulated measurements of a patient's observations, `[simulation][observation]`.
fn simulate(
    problem: &Problem,
    subject: u32,
    population: &Population,
    simulations: usize,
    seed: u64,
) -> Result<Vec<Vec<f64>>, TwinError> {
    let p = population.mu.len();
    let l = factor(population.covariance());
    let mut phis = Vec::with_capacity(simulations * p);
    for s in 0..simulations {
        let z = DVector::from_fn(p, |k, _| {
            standard_normal(seed, subject, s as u32, stream::PREDICTIVE, k as u32)
        });
        let eta = &l * z;
        phis.extend((0..p).map(|k| population.mu[k] + eta[k]));
    }
    let populations = std::slice::from_ref(population);
    let values = problem.values(populations, &vec![0; simulations], &phis);
    let f = problem
        .engine
        .predict(&vec![subject; simulations], &values)?;
    let points = &problem.points[subject as usize];
    Ok((0..simulations)
        .map(|s| {
            // the drift of each observable as it was at the last observation
            let mut last: Vec<Option<Known>> = vec![None; population.errors.len()];
            let one = |(k, point): (usize, &crate::problem::Point)| {
                let o = point.observable;
                let (error, drift) = (population.error(o), population.drift(o));
                let normal = |index: usize| {
                    standard_normal(seed, subject, s as u32, stream::PREDICTIVE, index as u32)
                };
                let mut z = normal(p + k);
                if !drift.is_none() {
                    let given = drift.given(last[o], point.time);
                    let mean = given.shift + given.drift * z;
                    last[o] = Some(Known {
                        at: point.time,
                        mean,
                        variance: 0.0,
                    });
                    z = mean + drift.white.sqrt() * normal(p + points.len() + k);
                }
                let (centre, sd) = normal_scale(f.of(s)[point.at], &error);
                from_normal_scale(centre + sd * z, &error)
            };
            points.iter().enumerate().map(one).collect()
        })
        .collect())
}

/// Residuals of one patient decorrelated with the marginal covariance of the linearised model; `None`
/// where nothing was measured, or where it is singular.
fn conditional(
    linear: &crate::population::fisher::Linear,
    omega: &DMatrix<f64>,
    population: &Population,
    phi: &[f64],
    p: usize,
) -> Option<DVector<f64>> {
    // every observation is censored
    if linear.residual.is_empty() {
        return None;
    }
    let g = linear.g.columns(0, p);
    let eta = DVector::from_fn(p, |k, _| phi[k] - population.mu[k]);
    // y - (f - G eta)
    let residual = &linear.residual + g * eta;
    let v = g * omega * g.transpose() + linear.errors(population);
    // the symmetric root, as PsN and Hooker use it
    let eigen = v.symmetric_eigen();
    if eigen.eigenvalues.iter().any(|&e| e <= 0.0) {
        return None;
    }
    let root = eigen.eigenvalues.map(|e| 1.0 / e.sqrt());
    let q = &eigen.eigenvectors;
    Some(q * DMatrix::from_diagonal(&root) * q.transpose() * residual)
}

/// Prediction distribution errors of a patient's observations; `None` where censored, or where there
/// are too few simulations to decorrelate so many observations.
fn npde(
    problem: &Problem,
    subject: u32,
    population: &Population,
    simulated: &[Vec<f64>],
) -> Vec<Option<f64>> {
    let points = &problem.points[subject as usize];
    let mut out = vec![None; points.len()];
    let which: Vec<usize> = (0..points.len())
        .filter(|&k| !points[k].seen.censored())
        .collect();
    let scale = |k: usize, y: f64| to_normal_scale(y, &population.error(points[k].observable));
    let row = |y: &dyn Fn(usize) -> f64| {
        DVector::from_fn(which.len(), |i, _| scale(which[i], y(which[i])))
    };
    let rows: Vec<DVector<f64>> = simulated
        .iter()
        .map(|s| row(&|k| s[k]))
        .filter(|r| r.iter().all(|v| v.is_finite()))
        .collect();
    let (n, m) = (rows.len(), which.len());
    if m == 0 || n < 10 * m {
        return out;
    }
    let mean = rows.iter().fold(DVector::zeros(m), |sum, r| sum + r) / n as f64;
    let mut covariance = DMatrix::zeros(m, m);
    for r in &rows {
        let d = r - &mean;
        covariance += &d * d.transpose() / (n - 1) as f64;
    }
    let Some(cholesky) = Cholesky::new(covariance) else {
        return out;
    };
    let l = cholesky.unpack();
    let apart = |r: &DVector<f64>| l.solve_lower_triangular(&(r - &mean));
    let Some(seen) = apart(&row(&|k| points[k].seen.number())) else {
        return out;
    };
    let mut below = vec![0usize; m];
    for r in &rows {
        if let Some(d) = apart(r) {
            for i in 0..m {
                below[i] += usize::from(d[i] < seen[i]);
            }
        }
    }
    let Ok(normal) = Normal::new(0.0, 1.0) else {
        return out;
    };
    for (i, &k) in which.iter().enumerate() {
        // as the R package npde: at the edges half a simulation inside
        let share = (below[i] as f64).clamp(0.5, n as f64 - 0.5) / n as f64;
        out[k] = Some(normal.inverse_cdf(share));
    }
    out
}

/// Percentiles by bins of equal counts.
fn bins(rows: &[Row], replicates: &[Vec<Vec<f64>>]) -> Vec<Bin> {
    let most = rows.iter().map(|r| r.observable).max().map_or(0, |m| m + 1);
    let mut out = Vec::new();
    // place of a row among its patient's observations
    let mut place = vec![0usize; rows.len()];
    for i in 1..rows.len() {
        place[i] = if rows[i].patient == rows[i - 1].patient {
            place[i - 1] + 1
        } else {
            0
        };
    }
    for observable in 0..most {
        let mut of: Vec<usize> = (0..rows.len())
            .filter(|&i| rows[i].observable == observable && !rows[i].seen.censored())
            .collect();
        of.sort_by(|&a, &b| rows[a].time.total_cmp(&rows[b].time));
        let count = (of.len() / FEWEST).clamp(1, BINS);
        let size = of.len().div_ceil(count).max(1);
        let mut first = 0;
        while first < of.len() {
            let mut last = (first + size).min(of.len());
            // equal times stay together
            while last < of.len() && rows[of[last]].time == rows[of[last - 1]].time {
                last += 1;
            }
            let own = &of[first..last];
            let percentiles = |mut values: Vec<f64>| {
                values.retain(|v| v.is_finite());
                values.sort_by(f64::total_cmp);
                PERCENTILES.map(|share| quantile(&values, share))
            };
            let observed = percentiles(own.iter().map(|&i| rows[i].seen.number()).collect());
            let simulations = replicates.first().map_or(0, Vec::len);
            let each: Vec<[f64; 3]> = (0..simulations)
                .map(|s| {
                    let value = |&i: &usize| replicates[rows[i].patient][s][place[i]];
                    percentiles(own.iter().map(value).collect())
                })
                .collect();
            let simulated = [0, 1, 2].map(|k| {
                let mut values: Vec<f64> = each.iter().map(|e| e[k]).collect();
                values.sort_by(f64::total_cmp);
                [0.025, 0.5, 0.975].map(|share| quantile(&values, share))
            });
            let times: Vec<f64> = own.iter().map(|&i| rows[i].time).collect();
            out.push(Bin {
                observable,
                from: times[0],
                to: times[times.len() - 1],
                time: quantile(&times, 0.5),
                count: own.len(),
                observed,
                simulated,
            });
            first = last;
        }
    }
    out
}
