//! Many small minimisations in lockstep: every round evaluates one trial point of each.
//!
//! BFGS with a backtracking line search (Nocedal and Wright 2006, algorithm 6.1), of limited memory
//! where the dimension asks for it (their algorithm 7.4). Values come from
//! kernels in f32, so a decrease below their rounding is none, and a search that rounding stops has
//! converged as far as it can.

use std::collections::VecDeque;

use nalgebra::{DMatrix, DVector};

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Largest component of the gradient.
    pub gradient: f64,
    /// Rounds of evaluations.
    pub rounds: usize,
    /// Longest first step.
    pub reach: f64,
    /// Steps whose curvature is remembered; none: all, in a dense matrix.
    pub memory: Option<usize>,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            gradient: 2e-3,
            rounds: 120,
            reach: 1.0,
            memory: None,
        }
    }
}

/// Where one minimisation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    pub x: Vec<f64>,
    pub value: f64,
    pub gradient: Vec<f64>,
    pub converged: bool,
}

/// Relative size of rounding in a value.
const ROUNDING: f64 = 1e-6;
const SUFFICIENT: f64 = 1e-4;
const MOST_HALVINGS: usize = 14;

/// What is known of the inverse of the second derivatives.
enum Inverse {
    Dense(DMatrix<f64>),
    /// Steps and the changes of the gradient along them, the latest last.
    Limited(VecDeque<(DVector<f64>, DVector<f64>)>, usize),
}

impl Inverse {
    fn identity(n: usize, memory: Option<usize>) -> Self {
        match memory {
            None => Self::Dense(DMatrix::identity(n, n)),
            Some(most) => Self::Limited(VecDeque::new(), most.max(1)),
        }
    }

    fn times(&self, gradient: &DVector<f64>) -> DVector<f64> {
        let (pairs, mut q) = match self {
            Self::Dense(matrix) => return matrix * gradient,
            Self::Limited(pairs, _) => (pairs, gradient.clone()),
        };
        let shares: Vec<f64> = pairs
            .iter()
            .rev()
            .map(|(step, change)| {
                let share = step.dot(&q) / step.dot(change);
                q.axpy(-share, change, 1.0);
                share
            })
            .collect();
        if let Some((step, change)) = pairs.back() {
            q *= step.dot(change) / change.norm_squared();
        }
        for ((step, change), share) in pairs.iter().zip(shares.into_iter().rev()) {
            let more = share - change.dot(&q) / step.dot(change);
            q.axpy(more, step, 1.0);
        }
        q
    }

    /// `first`: nothing is known yet, so the matrix takes the curvature along this step.
    fn update(&mut self, step: &DVector<f64>, change: &DVector<f64>, first: bool) {
        let curvature = step.dot(change);
        match self {
            Self::Dense(matrix) => {
                let n = step.len();
                if first {
                    *matrix = DMatrix::identity(n, n) * (curvature / change.norm_squared());
                }
                let along = &*matrix * change;
                let both = 1.0 + change.dot(&along) / curvature;
                matrix.ger(both / curvature, step, step, 1.0);
                matrix.ger(-1.0 / curvature, &along, step, 1.0);
                matrix.ger(-1.0 / curvature, step, &along, 1.0);
            }
            Self::Limited(pairs, most) => {
                if pairs.len() == *most {
                    pairs.pop_front();
                }
                pairs.push_back((step.clone(), change.clone()));
            }
        }
    }
}

struct Search {
    x: DVector<f64>,
    value: f64,
    gradient: DVector<f64>,
    inverse: Inverse,
    direction: DVector<f64>,
    length: f64,
    halvings: usize,
    fresh: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Going,
    Converged,
    Stuck,
}

impl Search {
    fn aim(&mut self, stop: &Stop) {
        let largest = self.gradient.amax();
        if largest <= stop.gradient {
            self.state = State::Converged;
            return;
        }
        self.direction = -self.inverse.times(&self.gradient);
        if self.direction.dot(&self.gradient) >= 0.0 {
            self.steepest(stop);
        }
        let long = self.direction.norm();
        self.length = if self.fresh && long > stop.reach {
            stop.reach / long
        } else {
            (4.0 * stop.reach / long).min(1.0)
        };
        self.halvings = 0;
    }

    fn steepest(&mut self, stop: &Stop) {
        self.inverse = Inverse::identity(self.x.len(), stop.memory);
        self.direction = -self.gradient.clone();
        self.fresh = true;
    }

    fn trial(&self) -> DVector<f64> {
        &self.x + self.length * &self.direction
    }

    /// Take or shorten the step to the trial point.
    fn judge(&mut self, value: f64, gradient: &[f64], stop: &Stop) {
        let slope = self.direction.dot(&self.gradient);
        let rounding = ROUNDING * (1.0 + self.value.abs());
        let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
        let enough = self.value + SUFFICIENT * self.length * slope + rounding;
        if finite && value <= enough {
            let gradient = DVector::from_column_slice(gradient);
            let step = self.length * &self.direction;
            let change = &gradient - &self.gradient;
            let gained = self.value - value;
            self.update(&step, &change);
            self.x += step;
            self.value = value;
            self.gradient = gradient;
            let flat = gained.abs() <= rounding && -slope * self.length <= 4.0 * rounding;
            if flat {
                self.state = State::Converged;
                return;
            }
            self.aim(stop);
            return;
        }
        self.halvings += 1;
        if self.halvings <= MOST_HALVINGS {
            // the minimum of the parabola through both values, within bounds
            let better = if finite {
                let over = value - self.value - self.length * slope;
                (-0.5 * slope * self.length / over).clamp(0.1, 0.5)
            } else {
                0.2
            };
            self.length *= better;
        } else if self.fresh {
            // not even downhill: rounding is all that is left
            self.state = if self.gradient.amax() <= 50.0 * stop.gradient {
                State::Converged
            } else {
                State::Stuck
            };
        } else {
            self.steepest(stop);
            self.length = (stop.reach / self.direction.norm()).min(1.0);
            self.halvings = 0;
        }
    }

    fn update(&mut self, step: &DVector<f64>, change: &DVector<f64>) {
        let curvature = step.dot(change);
        if curvature <= 1e-10 * step.norm() * change.norm() {
            return;
        }
        self.inverse.update(step, change, self.fresh);
        self.fresh = false;
    }
}

/// Minimise from each of `starts`. `evaluate(which, points)` gives, for the searches `which` at
/// their `points` (`[which][dim]`), values `[which]` and gradients `[which][dim]`.
///
/// # Errors
/// Those of `evaluate`.
pub fn minimise<E>(
    starts: &[Vec<f64>],
    stop: &Stop,
    mut evaluate: impl FnMut(&[usize], &[f64]) -> Result<(Vec<f64>, Vec<f64>), E>,
) -> Result<Vec<Minimum>, E> {
    let dim = starts.first().map_or(0, Vec::len);
    let everyone: Vec<usize> = (0..starts.len()).collect();
    let (values, gradients) = evaluate(&everyone, &starts.concat())?;
    let mut all: Vec<Search> = starts
        .iter()
        .enumerate()
        .map(|(i, start)| {
            let mut search = Search {
                x: DVector::from_column_slice(start),
                value: values[i],
                gradient: DVector::from_column_slice(&gradients[i * dim..(i + 1) * dim]),
                inverse: Inverse::identity(dim, stop.memory),
                direction: DVector::zeros(dim),
                length: 0.0,
                halvings: 0,
                fresh: true,
                state: State::Going,
            };
            if search.value.is_finite() && search.gradient.iter().all(|g| g.is_finite()) {
                search.aim(stop);
            } else {
                search.state = State::Stuck;
            }
            search
        })
        .collect();
    for _ in 0..stop.rounds {
        let going: Vec<usize> = (0..all.len())
            .filter(|&i| all[i].state == State::Going)
            .collect();
        if going.is_empty() {
            break;
        }
        let points: Vec<f64> = going
            .iter()
            .flat_map(|&i| all[i].trial().data.as_vec().clone())
            .collect();
        let (values, gradients) = evaluate(&going, &points)?;
        for (k, &i) in going.iter().enumerate() {
            all[i].judge(values[k], &gradients[k * dim..(k + 1) * dim], stop);
        }
    }
    let done = |search: Search| Minimum {
        x: search.x.data.as_vec().clone(),
        value: search.value,
        converged: search.state == State::Converged,
        gradient: search.gradient.data.as_vec().clone(),
    };
    Ok(all.into_iter().map(done).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock valleys of several curvatures, all at once.
    #[test]
    fn valleys_are_followed_to_their_end() {
        for memory in [None, Some(5)] {
            valleys(memory);
        }
    }

    fn valleys(memory: Option<usize>) {
        let steepness = [1.0, 10.0, 100.0];
        let starts = vec![vec![-1.2, 1.0]; 3];
        let stop = Stop {
            gradient: 1e-6,
            rounds: 500,
            reach: 1.0,
            memory,
        };
        let found = minimise(&starts, &stop, |which, points| {
            let mut values = Vec::new();
            let mut gradients = Vec::new();
            for (k, &i) in which.iter().enumerate() {
                let (x, y, c) = (points[2 * k], points[2 * k + 1], steepness[i]);
                values.push((1.0 - x).powi(2) + c * (y - x * x).powi(2));
                gradients.push(-2.0 * (1.0 - x) - 4.0 * c * x * (y - x * x));
                gradients.push(2.0 * c * (y - x * x));
            }
            Ok::<_, ()>((values, gradients))
        })
        .unwrap();
        for (minimum, c) in found.iter().zip(steepness) {
            let apart = (minimum.x[0] - 1.0).abs().max((minimum.x[1] - 1.0).abs());
            assert!(apart < 2e-2, "{c}: {minimum:?}");
        }
    }

    /// On a quadratic function of few variables a memory that is never full knows what the dense
    /// matrix knows, so both take the same steps.
    #[test]
    fn a_long_memory_is_the_dense_matrix() {
        let trace = |memory| {
            let stop = Stop {
                gradient: 1e-9,
                rounds: 6,
                reach: 10.0,
                memory,
            };
            let mut seen: Vec<f64> = Vec::new();
            minimise(&[vec![1.0, -2.0, 3.0]], &stop, |_, x| {
                seen.extend_from_slice(x);
                let curvature = [1.0, 4.0, 0.5];
                let gradient: Vec<f64> = x.iter().zip(curvature).map(|(x, c)| c * x).collect();
                let value = 0.5 * x.iter().zip(&gradient).map(|(x, g)| x * g).sum::<f64>();
                Ok::<_, ()>((vec![value], gradient))
            })
            .unwrap();
            seen
        };
        let (dense, limited) = (trace(None), trace(Some(10)));
        assert_eq!(dense.len(), limited.len());
        // the limited one begins from the curvature of the latest step, the dense one of the first
        for (a, b) in dense.iter().zip(&limited).take(9) {
            assert!((a - b).abs() < 1e-9, "{dense:?} {limited:?}");
        }
        let end = |x: &[f64]| x[x.len() - 3..].iter().map(|x| x.abs()).fold(0.0, f64::max);
        assert!(
            end(&dense) < 0.3 && end(&limited) < 0.3,
            "{dense:?} {limited:?}"
        );
    }

    #[test]
    fn a_start_without_a_value_is_reported() {
        let found = minimise(&[vec![0.0]], &Stop::default(), |_, _| {
            Ok::<_, ()>((vec![f64::INFINITY], vec![0.0]))
        })
        .unwrap();
        assert!(!found[0].converged);
    }
}
