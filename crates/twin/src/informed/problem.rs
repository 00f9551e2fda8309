//! The courses of a cohort as tensors: networks, equations and events on one grid of instants.

use burn::tensor::{Device, Tensor, TensorData};
use posology_model::program::Program;

use super::network::{Networks, states};
use super::schedule::Schedule;
use super::tensors::{Leaves, MissingLeaf, evaluate};

/// What does not change while networks are fitted.
#[derive(Clone, Debug)]
pub struct Problem {
    pub program: Program,
    pub schedules: Vec<Schedule>,
    /// `[slot][patient]` before any fit.
    pub slots: Vec<Vec<f64>>,
    /// Slots that are fitted, with the standard deviation of their logarithm.
    pub trainable: Vec<(usize, f64)>,
    /// Start and end of each patient's window.
    pub windows: Vec<[f64; 2]>,
    /// `[patient][state]`
    pub sizes: Vec<Vec<f64>>,
    pub device: Device,
}

/// Instants and what events make of them.
pub struct Grid {
    x: Tensor<3>,
    slope: Tensor<3>,
    size: Tensor<3>,
    time: Tensor<2>,
    tad: Tensor<2>,
    inputs: Vec<Tensor<2>>,
    /// `[patients, 1]` of each slot before its first change.
    slots: Vec<Tensor<2>>,
    changed: Vec<(usize, Tensor<2>)>,
}

/// Networks and equations on a grid.
pub struct Course {
    /// With the states that the networks give; all `[patients, points]`.
    pub leaves: Leaves,
    /// Derivatives by time of these states.
    pub slopes: Vec<Tensor<2>>,
    /// `[patients, 1]` of each state, as the model has it at the start, without boluses.
    pub initial: Vec<Tensor<2>>,
}

impl Problem {
    pub fn patients(&self) -> usize {
        self.schedules.len()
    }

    /// A tensor `[patients, columns]` of `of(patient, column)`.
    pub fn table(&self, columns: usize, of: impl Fn(usize, usize) -> f64) -> Tensor<2> {
        let rows = (0..self.patients()).flat_map(|i| (0..columns).map(move |k| (i, k)));
        let words: Vec<f32> = rows.map(|(i, k)| of(i, k) as f32).collect();
        let words = TensorData::new(words, [self.patients(), columns]);
        Tensor::from_data(words, &self.device)
    }

    /// `times`: `[patient][point]`, the same number for all.
    pub fn grid(&self, times: &[Vec<f64>]) -> Grid {
        let (n, points) = (self.patients(), times.first().map_or(0, Vec::len));
        let program = &self.program;
        let states = program.n_states;
        let width = |i: usize| self.windows[i][1] - self.windows[i][0];
        let at = |of: &dyn Fn(&Schedule, f64, usize) -> f64| {
            self.table(points, |i, k| of(&self.schedules[i], times[i][k], i))
        };
        let changes = |slot: &usize| {
            let of_slot = |s: &Schedule| s.slots.iter().any(|change| change.1 == *slot);
            self.schedules.iter().any(of_slot)
        };
        let changed = (0..program.n_slots).filter(changes).map(|slot| {
            let base = &self.slots[slot];
            (slot, at(&|s, t, i| s.slot(slot, t).unwrap_or(base[i])))
        });
        let x = self.table(points, |i, k| {
            2.0 * (times[i][k] - self.windows[i][0]) / width(i) - 1.0
        });
        Grid {
            x: x.reshape([n, points, 1]),
            slope: self.table(1, |i, _| 2.0 / width(i)).reshape([n, 1, 1]),
            size: self
                .table(states, |i, s| self.sizes[i][s])
                .reshape([n, 1, states]),
            time: at(&|_, t, _| t),
            tad: at(&|s, t, _| s.tad(t)),
            inputs: (0..program.n_inputs)
                .map(|input| at(&|s, t, _| s.rate(input, t)))
                .collect(),
            slots: (0..program.n_slots)
                .map(|slot| self.table(1, |i, _| self.slots[slot][i]))
                .collect(),
            changed: changed.collect(),
        }
    }

    /// `theta`: `[patients, trainable]`, logarithms of what the fitted slots are multiplied by.
    pub fn course(
        &self,
        networks: &Networks,
        theta: Option<&Tensor<2>>,
        grid: &Grid,
    ) -> Result<Course, MissingLeaf> {
        let [n, points] = grid.time.dims();
        let (value, rate) = networks.at(grid.x.clone(), grid.slope.clone());
        let (value, rate) = states(value, rate, grid.size.clone(), &self.program.signed);
        let of_states = |all: Tensor<3>| -> Vec<Tensor<2>> {
            (0..self.program.n_states)
                .map(|s| all.clone().narrow(2, s, 1).reshape([n, points]))
                .collect()
        };
        let mut slots = grid.slots.clone();
        if let Some(theta) = theta {
            for (k, (slot, _)) in self.trainable.iter().enumerate() {
                slots[*slot] = slots[*slot].clone() * theta.clone().narrow(1, k, 1).exp();
            }
        }
        let first = grid.time.clone().narrow(1, 0, 1);
        let mut at_start = Leaves {
            states: Vec::new(),
            slots,
            carried: Vec::new(),
            inputs: Vec::new(),
            time: first.clone(),
            tad: first,
        };
        at_start.carried = evaluate(&self.program.setup, &at_start)?;
        let initial = evaluate(&self.program.init, &at_start)?;
        let mut leaves = Leaves {
            states: of_states(value),
            inputs: grid.inputs.clone(),
            time: grid.time.clone(),
            tad: grid.tad.clone(),
            ..at_start
        };
        if !grid.changed.is_empty() {
            for (slot, values) in &grid.changed {
                leaves.slots[*slot] = values.clone();
            }
            leaves.carried = evaluate(&self.program.setup, &leaves)?;
        }
        Ok(Course {
            leaves,
            slopes: of_states(rate),
            initial,
        })
    }
}
