//! How sure a population fit is: the expected Fisher information of the model linearised around the
//! individual estimates (Retout and Mentre 2003; Monolix's "linearisation"), and what it says about
//! parameters that the data do not tell apart.
//!
//! Per patient `y ~ N(f + J (eta - eta_hat), V)` with `V = G Omega G' + R`; G and J from the adjoint
//! kernels. Censored observations do not count, and R is taken at the individual predictions.

use nalgebra::{DMatrix, DVector};

use posology_sim::Column;

use crate::error::TwinError;
use crate::likelihood::{normal_scale, to_normal_scale};
use crate::map::Individual;
use crate::problem::{Point, Problem};
use crate::space::{Population, Scale};

const NORMAL_975: f64 = 1.959_963_984_540_054;
/// Relative size of an eigenvalue of the information (in correlations) below which its direction
/// is not identified.
const WEAK: f64 = 1e-4;

/// One line of the table of parameters.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    pub name: String,
    pub kind: Kind,
    /// In `unit`.
    pub value: f64,
    pub unit: String,
    /// Standard error, in `unit`; `None` where the information does not give one.
    pub se: Option<f64>,
    /// Percent.
    pub rse: Option<f64>,
    /// 95 %.
    pub interval: Option<(f64, f64)>,
    /// Of random effects (SD definition), percent.
    pub shrinkage: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Typical,
    Fixed,
    Variance,
    Covariance,
    Error,
}

/// The table, and what it rests on.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Uncertainty {
    pub estimates: Vec<Estimate>,
    /// `[parameter][parameter]` of the estimates on their own scale, row by row.
    pub covariance: Vec<f64>,
    /// Largest over smallest eigenvalue of the information in correlations.
    pub condition: f64,
    /// Groups of parameters that the data do not tell apart.
    pub weak: Vec<Vec<String>>,
}

/// A parameter of the information matrix.
#[derive(Clone, Copy)]
enum Direction {
    Mean(usize),
    Omega(usize, usize),
    Error(usize, usize),
}

/// One patient linearised: rows are his uncensored observations.
pub(crate) struct Linear {
    /// `[row][p + q]`
    pub g: DMatrix<f64>,
    /// Standard deviations of the residual error.
    pub sd: DVector<f64>,
    /// y - f on the scale where the error is normal.
    pub residual: DVector<f64>,
    pub points: Vec<Point>,
    /// f, coherent.
    pub f: Vec<f64>,
}

impl Linear {
    /// Covariance of the residual errors.
    pub fn errors(&self, population: &Population) -> DMatrix<f64> {
        let n = self.points.len();
        DMatrix::from_fn(n, n, |i, j| {
            let (a, b) = (&self.points[i], &self.points[j]);
            let product = self.sd[i] * self.sd[j];
            if i == j {
                product
            } else if a.observable == b.observable {
                product * population.drift(a.observable).correlation(a.time - b.time)
            } else {
                0.0
            }
        })
    }
}

/// Linearise `who` around `individuals`.
pub(crate) fn linearise(
    problem: &Problem,
    who: &[u32],
    population: &Population,
    individuals: &[Individual],
) -> Result<Vec<Linear>, TwinError> {
    let populations = std::slice::from_ref(population);
    let groups = vec![0; who.len()];
    let phis: Vec<f64> = individuals.iter().flat_map(|i| i.phi.clone()).collect();
    let values = problem.values(populations, &groups, &phis);
    let (predictions, jacobian) = problem.engine.jacobian(who, &values)?;
    let width = problem.width();
    let one = |(job, &subject): (usize, &u32)| {
        let f = predictions.of(job);
        let points: Vec<Point> = problem.points[subject as usize]
            .iter()
            .filter(|p| !p.seen.censored() && f[p.at].is_finite())
            .copied()
            .collect();
        let entries: Vec<_> = problem
            .space
            .random
            .iter()
            .chain(&problem.space.fixed)
            .collect();
        let phi: Vec<f64> = individuals[job]
            .phi
            .iter()
            .chain(&population.fixed)
            .copied()
            .collect();
        let n = points.len();
        let mut linear = Linear {
            g: DMatrix::zeros(n, width),
            sd: DVector::zeros(n),
            residual: DVector::zeros(n),
            f: points.iter().map(|p| f[p.at]).collect(),
            points,
        };
        for (row, point) in linear.points.iter().enumerate() {
            let error = population.error(point.observable);
            let (centre, sd) = normal_scale(f[point.at], &error);
            let logarithmic = error.lognormal > 0.0;
            let y = point.seen.number();
            linear.sd[row] = sd;
            linear.residual[row] = to_normal_scale(y, &error) - centre;
            let to_scale = if logarithmic { 1.0 / f[point.at] } else { 1.0 };
            let first = (predictions.offsets[job] + point.at) * width;
            for k in 0..width {
                linear.g[(row, k)] =
                    to_scale * jacobian[first + k] * entries[k].scale.slope(phi[k]);
            }
        }
        linear
    };
    Ok(who.iter().enumerate().map(one).collect())
}

/// The table of a fitted population.
///
/// # Errors
/// Those of the device.
pub fn uncertainty(
    problem: &Problem,
    who: &[u32],
    population: &Population,
    individuals: &[Individual],
    observables: &[Column],
) -> Result<Uncertainty, TwinError> {
    let linear = linearise(problem, who, population, individuals)?;
    let directions = directions(problem, population, &linear);
    let d = directions.len();
    let mut information = DMatrix::zeros(d, d);
    for patient in &linear {
        information += one_patient(problem, population, patient, &directions);
    }
    let names = names(problem, &directions, observables);
    let (covariance, condition, weak) = invert(&information, &names);
    let estimates = directions
        .iter()
        .enumerate()
        .map(|(i, &direction)| {
            let variance = covariance.as_ref().map(|c| c[(i, i)]);
            let se = variance
                .filter(|v| v.is_finite() && *v >= 0.0)
                .map(f64::sqrt);
            line(
                problem,
                population,
                individuals,
                direction,
                names[i].clone(),
                se,
                observables,
            )
        })
        .collect();
    Ok(Uncertainty {
        estimates,
        covariance: covariance
            .map(|c| c.data.as_vec().clone())
            .unwrap_or_default(),
        condition,
        weak,
    })
}

fn directions(problem: &Problem, population: &Population, linear: &[Linear]) -> Vec<Direction> {
    let space = &problem.space;
    let p = space.random.len();
    let mut out = Vec::new();
    out.extend((0..p).filter(|&i| !space.held[i]).map(Direction::Mean));
    out.extend((0..space.fixed.len()).map(|j| Direction::Mean(p + j)));
    for i in 0..p {
        for j in 0..=i {
            let held = space.held_omega[i] || space.held_omega[j];
            if space.pattern[i * p + j] && !held {
                out.push(Direction::Omega(i, j));
            }
        }
    }
    for (o, error) in population.errors.iter().enumerate() {
        let mut points = linear.iter().flat_map(|l| &l.points);
        if !space.errors[o] || !points.any(|point| point.observable == o) {
            continue;
        }
        let parts = (0..3).filter(|&part| error[part] > 0.0);
        out.extend(parts.map(|part| Direction::Error(o, part)));
    }
    out
}

fn one_patient(
    problem: &Problem,
    population: &Population,
    patient: &Linear,
    directions: &[Direction],
) -> DMatrix<f64> {
    let (n, d, p) = (
        patient.points.len(),
        directions.len(),
        problem.space.random.len(),
    );
    if n == 0 {
        return DMatrix::zeros(d, d);
    }
    let random = patient.g.columns(0, p);
    let v = random * population.covariance() * random.transpose() + patient.errors(population);
    let Some(inverse) = v.clone().try_inverse() else {
        return DMatrix::zeros(d, d);
    };
    // V^-1 dV/dtheta, and V^-1 dE/dtheta
    let mut spreads: Vec<Option<DMatrix<f64>>> = Vec::with_capacity(d);
    for &direction in directions {
        spreads.push(match direction {
            Direction::Mean(_) => None,
            Direction::Omega(i, j) => {
                let (a, b) = (patient.g.column(i), patient.g.column(j));
                let outer = if i == j {
                    a * a.transpose()
                } else {
                    a * b.transpose() + b * a.transpose()
                };
                Some(&inverse * outer)
            }
            Direction::Error(o, part) => {
                let value = population.errors[o][part];
                // relative change of a row's standard deviation
                let slope = |row: usize| {
                    if patient.points[row].observable != o {
                        return 0.0;
                    }
                    let part = if part == 1 {
                        value * patient.f[row].powi(2)
                    } else {
                        value
                    };
                    part / patient.sd[row].powi(2)
                };
                let errors = patient.errors(population);
                let change = DMatrix::from_fn(n, n, |i, j| errors[(i, j)] * (slope(i) + slope(j)));
                Some(&inverse * change)
            }
        });
    }
    let mut out = DMatrix::zeros(d, d);
    for a in 0..d {
        for b in 0..=a {
            let value = match (directions[a], directions[b], &spreads[a], &spreads[b]) {
                (Direction::Mean(i), Direction::Mean(j), ..) => {
                    (patient.g.column(i).transpose() * &inverse * patient.g.column(j))[(0, 0)]
                }
                (_, _, Some(x), Some(y)) => 0.5 * (x * y).trace(),
                _ => 0.0,
            };
            out[(a, b)] = value;
            out[(b, a)] = value;
        }
    }
    out
}

/// Inverse of the information, its condition, and directions that it does not see.
fn invert(
    information: &DMatrix<f64>,
    names: &[String],
) -> (Option<DMatrix<f64>>, f64, Vec<Vec<String>>) {
    let d = information.nrows();
    if d == 0 {
        return (None, 1.0, Vec::new());
    }
    let scale = DVector::from_fn(d, |i, _| {
        let diagonal = information[(i, i)];
        if diagonal > 0.0 { diagonal.sqrt() } else { 1.0 }
    });
    let scaled = DMatrix::from_fn(d, d, |i, j| information[(i, j)] / (scale[i] * scale[j]));
    if scaled.iter().any(|v| !v.is_finite()) {
        return (None, f64::INFINITY, vec![names.to_vec()]);
    }
    let eigen = scaled.symmetric_eigen();
    let largest = eigen.eigenvalues.max();
    let smallest = eigen.eigenvalues.min();
    let mut weak = Vec::new();
    for k in 0..d {
        if eigen.eigenvalues[k] < WEAK * largest {
            let vector = eigen.eigenvectors.column(k);
            let most = vector.amax();
            let those = (0..d).filter(|&i| vector[i].abs() > 0.3 * most);
            weak.push(those.map(|i| names[i].clone()).collect());
        }
    }
    let condition = if smallest > 0.0 {
        largest / smallest
    } else {
        f64::INFINITY
    };
    if smallest <= 1e-12 * largest {
        return (None, condition, weak);
    }
    let inverse = eigen.eigenvalues.map(|v| 1.0 / v);
    let unscaled =
        &eigen.eigenvectors * DMatrix::from_diagonal(&inverse) * eigen.eigenvectors.transpose();
    let covariance = DMatrix::from_fn(d, d, |i, j| unscaled[(i, j)] / (scale[i] * scale[j]));
    (Some(covariance), condition, weak)
}

fn names(problem: &Problem, directions: &[Direction], observables: &[Column]) -> Vec<String> {
    let space = &problem.space;
    let p = space.random.len();
    let name = |direction: &Direction| match *direction {
        Direction::Mean(k) if k < p => space.random[k].name.clone(),
        Direction::Mean(k) => space.fixed[k - p].name.clone(),
        Direction::Omega(i, j) if i == j => format!("omega2({})", space.random[i].name),
        Direction::Omega(i, j) => {
            format!("omega({},{})", space.random[j].name, space.random[i].name)
        }
        Direction::Error(o, part) => {
            let part = ["additive", "proportional", "lognormal"][part];
            format!("{part}({})", observables[o].name)
        }
    };
    directions.iter().map(name).collect()
}

fn line(
    problem: &Problem,
    population: &Population,
    individuals: &[Individual],
    direction: Direction,
    name: String,
    se: Option<f64>,
    observables: &[Column],
) -> Estimate {
    let space = &problem.space;
    let p = space.random.len();
    let symmetric = |value: f64, se: f64| (value - NORMAL_975 * se, value + NORMAL_975 * se);
    // positive quantities keep their sign
    let positive = |value: f64, se: f64| {
        let reach = (NORMAL_975 * se / value).exp();
        (value / reach, value * reach)
    };
    let (kind, value, unit, se, interval, shrinkage) = match direction {
        Direction::Mean(k) => {
            let (entry, phi) = if k < p {
                (&space.random[k], population.mu[k])
            } else {
                (&space.fixed[k - p], population.fixed[k - p])
            };
            let show = |phi: f64| entry.scale.value(phi) / entry.shown;
            let interval = se.map(|se| {
                let (a, b) = (show(phi - NORMAL_975 * se), show(phi + NORMAL_975 * se));
                (a.min(b), a.max(b))
            });
            let slope = (entry.scale.slope(phi) / entry.shown).abs();
            let kind = if k < p { Kind::Typical } else { Kind::Fixed };
            let unit = entry.unit.clone();
            (
                kind,
                show(phi),
                unit,
                se.map(|se| se * slope),
                interval,
                None,
            )
        }
        Direction::Omega(i, j) => {
            let value = population.omega[i * p + j];
            // variances of normal parameters carry their unit
            let shown = |k: usize| match space.random[k].scale {
                Scale::Identity => space.random[k].shown,
                _ => 1.0,
            };
            let scale = shown(i) * shown(j);
            let (value, se) = (value / scale, se.map(|se| se / scale));
            let (kind, interval, shrinkage) = if i == j {
                let phis: Vec<f64> = individuals.iter().map(|x| x.phi[i]).collect();
                let n = phis.len().max(2) as f64;
                let mean = phis.iter().sum::<f64>() / n;
                let spread = phis.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
                let shrinkage = 100.0 * (1.0 - (spread / population.omega[i * p + i]).sqrt());
                (
                    Kind::Variance,
                    se.map(|se| positive(value, se)),
                    Some(shrinkage),
                )
            } else {
                (Kind::Covariance, se.map(|se| symmetric(value, se)), None)
            };
            // variances of normal parameters carry their unit, twice
            let unit = match (space.random[i].scale, i == j) {
                (Scale::Identity, true) if space.random[i].unit != "1" => {
                    format!("({})^2", space.random[i].unit)
                }
                _ => "1".to_owned(),
            };
            (kind, value, unit, se, interval, shrinkage)
        }
        Direction::Error(o, part) => {
            let shown = if part == 0 { observables[o].scale } else { 1.0 };
            let value = population.errors[o][part] / shown;
            let se = se.map(|se| se / shown);
            let unit = if part == 0 {
                observables[o].unit.clone()
            } else {
                "1".to_owned()
            };
            let interval = se.map(|se| positive(value, se));
            (Kind::Error, value, unit, se, interval, None)
        }
    };
    Estimate {
        name,
        kind,
        value,
        unit,
        rse: se.map(|se| 100.0 * se / value.abs()),
        se,
        interval,
        shrinkage,
    }
}
