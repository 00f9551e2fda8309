//! High-accuracy integration on the host, in f64: fixed-step RK4 and adaptive DOP853.

use std::cell::RefCell;

use ode_solvers::{DVector, Dop853, System};

use crate::interpret::{Environment, Interpreter};
use crate::program::Program;

/// The right-hand side of one patient between two events.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub program: &'a Program,
    pub carried: &'a [f64],
    pub inputs: &'a [f64],
    /// Time at the start, and time after dose at the start.
    pub time: f64,
    pub tad: f64,
}

/// The adaptive solver gave up.
#[derive(Debug, thiserror::Error)]
#[error(
    "the adaptive solver failed between t = {from} and t = {to}: {cause}; the model may be stiff \
     or leave its domain there"
)]
pub struct ReferenceError {
    pub from: f64,
    pub to: f64,
    pub cause: String,
}

impl Segment<'_> {
    fn rates(&self, i: &mut Interpreter, offset: f64, y: &[f64], out: &mut Vec<f64>) {
        let environment = Environment {
            states: y,
            carried: self.carried,
            inputs: self.inputs,
            time: self.time + offset,
            tad: self.tad + offset,
            ..Environment::default()
        };
        i.run(&self.program.rates, &environment, out);
    }

    /// One classical Runge-Kutta step of length `h` from `offset` after the segment's start.
    /// `y` holds states, then integrals.
    pub fn rk4_step(&self, interpreter: &mut Interpreter, y: &mut [f64], offset: f64, h: f64) {
        let mut k = Vec::with_capacity(y.len());
        let mut sum = vec![0.0; y.len()];
        let mut stage = y.to_vec();
        let stages = [(0.0, 0.5, 1.0), (0.5, 0.5, 2.0), (0.5, 1.0, 2.0), (1.0, 0.0, 1.0)];
        for (node, advance, weight) in stages {
            self.rates(interpreter, offset + node * h, &stage, &mut k);
            for s in 0..y.len() {
                sum[s] += weight * k[s];
                stage[s] = y[s] + advance * h * k[s];
            }
        }
        for s in 0..y.len() {
            y[s] += h / 6.0 * sum[s];
        }
    }

    /// Integrate over `duration` with the 8th-order adaptive solver at relative tolerance `rtol`;
    /// `atol` applies to every state.
    pub fn dop853(
        &self,
        y: &mut [f64],
        duration: f64,
        rtol: f64,
        atol: f64,
    ) -> Result<(), ReferenceError> {
        if duration <= 0.0 {
            return Ok(());
        }
        let system = Adaptive { segment: self, scratch: RefCell::default() };
        let start = DVector::from_column_slice(y);
        let mut solver = Dop853::new(system, 0.0, duration, duration, start, rtol, atol);
        solver.integrate().map_err(|error| ReferenceError {
            from: self.time,
            to: self.time + duration,
            cause: error.to_string(),
        })?;
        if let Some(last) = solver.y_out().last() {
            y.copy_from_slice(last.as_slice());
        }
        Ok(())
    }
}

struct Adaptive<'a> {
    segment: &'a Segment<'a>,
    scratch: RefCell<(Interpreter, Vec<f64>)>,
}

impl System<f64, DVector<f64>> for Adaptive<'_> {
    fn system(&self, x: f64, y: &DVector<f64>, dy: &mut DVector<f64>) {
        let (interpreter, out) = &mut *self.scratch.borrow_mut();
        self.segment.rates(interpreter, x, y.as_slice(), out);
        dy.copy_from_slice(out);
    }
}
