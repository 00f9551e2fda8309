//! High-accuracy integration on the host, in f64: fixed-step RK4 and adaptive DOP853.

use std::cell::RefCell;

use ode_solvers::{DVector, Dop853, OutputType, System};

use crate::interpret::{Environment, Interpreter};
use crate::program::Program;

/// Step-size control of the adaptive solver: its authors' defaults (Hairer, Norsett and Wanner 1993).
const SAFETY: f64 = 0.9;
const SMALLEST_CHANGE: f64 = 0.333;
const LARGEST_CHANGE: f64 = 6.0;
const MOST_STEPS: u32 = 1_000_000;

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
        let [mut k, mut sum, mut stage] = std::mem::take(&mut interpreter.stages);
        sum.clear();
        sum.resize(y.len(), 0.0);
        stage.clear();
        stage.extend_from_slice(y);
        let stages = [
            (0.0, 0.5, 1.0),
            (0.5, 0.5, 2.0),
            (0.5, 1.0, 2.0),
            (1.0, 0.0, 1.0),
        ];
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
        interpreter.stages = [k, sum, stage];
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
        let system = Adaptive {
            segment: self,
            duration,
            scratch: RefCell::default(),
        };
        // Time is a state of its own: ode_solvers 0.6 evaluates the twelfth stage at the start of the
        // step (its c12 is 0, not 1), which costs rates that depend on time all but two orders.
        let start = DVector::from_iterator(y.len() + 1, y.iter().copied().chain([duration]));
        // The solver's dense output extrapolates its last point; the sparse one ends at the end.
        // Its stiffness detector is off: a decayed PK tail looks stiff to it and is not.
        let mut solver = Dop853::from_param(
            system,
            0.0,
            duration,
            duration,
            start,
            rtol,
            atol,
            SAFETY,
            0.0,
            SMALLEST_CHANGE,
            LARGEST_CHANGE,
            duration,
            0.0,
            MOST_STEPS,
            u32::MAX,
            OutputType::Sparse,
        );
        solver.integrate().map_err(|error| ReferenceError {
            from: self.time,
            to: self.time + duration,
            cause: error.to_string(),
        })?;
        if let Some(last) = solver.y_out().last() {
            let states = y.len();
            y.copy_from_slice(&last.as_slice()[..states]);
        }
        Ok(())
    }
}

struct Adaptive<'a> {
    segment: &'a Segment<'a>,
    /// Where the last state, which is time, starts: an absolute tolerance has no grip there.
    duration: f64,
    scratch: RefCell<(Interpreter, Vec<f64>)>,
}

impl System<f64, DVector<f64>> for Adaptive<'_> {
    fn system(&self, _: f64, y: &DVector<f64>, dy: &mut DVector<f64>) {
        let (interpreter, out) = &mut *self.scratch.borrow_mut();
        let (states, time) = y.as_slice().split_at(y.len() - 1);
        let offset = time[0] - self.duration;
        self.segment.rates(interpreter, offset, states, out);
        let (rates, clock) = dy.as_mut_slice().split_at_mut(states.len());
        rates.copy_from_slice(out);
        clock[0] = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Graph, Unary};
    use crate::program::{Equations, Request};

    /// Logistic growth has a closed form; the adaptive solver must meet it over a long time.
    #[test]
    fn the_adaptive_solver_meets_the_logistic_curve() {
        let mut g = Graph::new();
        let (x, k, capacity, one) = (
            g.state(0),
            g.constant(0.05),
            g.constant(1e4),
            g.constant(1.0),
        );
        let filled = g.div(x, capacity);
        let room = g.sub(one, filled);
        let growth = g.mul(k, x);
        let rate = g.mul(growth, room);
        let start = g.constant(10.0);
        let equations = Equations {
            graph: &g,
            init: &[start],
            rates: &[rate],
            signed: &[false],
            n_slots: 0,
            n_inputs: 0,
        };
        let program = Program::lower(&equations, &Request::default());
        let segment = Segment {
            program: &program,
            carried: &[],
            inputs: &[],
            time: 0.0,
            tad: 0.0,
        };
        let mut y = [10.0];
        segment.dop853(&mut y, 400.0, 1e-11, 1e-11).unwrap();
        let grown = (0.05f64 * 400.0).exp();
        let exact = 1e4 * 10.0 * grown / (1e4 + 10.0 * (grown - 1.0));
        assert!((y[0] / exact - 1.0).abs() < 1e-9, "{} vs {exact}", y[0]);
    }

    /// Rates that depend on time: x' = exp(-a t) - b x in closed form, at a tolerance that takes more
    /// than the allowed steps if one stage of the method sees the wrong time.
    #[test]
    fn the_adaptive_solver_keeps_its_order_when_rates_depend_on_time() {
        let (a, b) = (0.004f64, 0.25f64);
        let mut g = Graph::new();
        let (x, t, fall, loss) = (g.state(0), g.time(), g.constant(-a), g.constant(b));
        let exponent = g.mul(fall, t);
        let drive = g.unary(Unary::Exp, exponent);
        let lost = g.mul(loss, x);
        let rate = g.sub(drive, lost);
        let start = g.constant(0.0);
        let equations = Equations {
            graph: &g,
            init: &[start],
            rates: &[rate],
            signed: &[false],
            n_slots: 0,
            n_inputs: 0,
        };
        let program = Program::lower(&equations, &Request::default());
        let segment = Segment {
            program: &program,
            carried: &[],
            inputs: &[],
            time: 0.0,
            tad: 0.0,
        };
        let mut y = [0.0];
        segment.dop853(&mut y, 1000.0, 1e-12, 1e-20).unwrap();
        let exact = ((-a * 1000.0).exp() - (-b * 1000.0).exp()) / (b - a);
        assert!((y[0] / exact - 1.0).abs() < 1e-11, "{} vs {exact}", y[0]);
    }

    /// Fourth order: halving the step divides the error by sixteen.
    #[test]
    fn rk4_converges_with_order_four() {
        let mut g = Graph::new();
        let (x, t) = (g.state(0), g.time());
        let decay = g.neg(x);
        let rate = g.mul(decay, t);
        let one = g.constant(1.0);
        let equations = Equations {
            graph: &g,
            init: &[one],
            rates: &[rate],
            signed: &[false],
            n_slots: 0,
            n_inputs: 0,
        };
        let program = Program::lower(&equations, &Request::default());
        let segment = Segment {
            program: &program,
            carried: &[],
            inputs: &[],
            time: 0.0,
            tad: 0.0,
        };
        let exact = (-2.0f64).exp();
        let errors: Vec<f64> = [8usize, 16, 32, 64]
            .iter()
            .map(|&n| {
                let (mut y, h) = ([1.0], 2.0 / n as f64);
                let mut interpreter = Interpreter::default();
                for k in 0..n {
                    segment.rk4_step(&mut interpreter, &mut y, k as f64 * h, h);
                }
                (y[0] - exact).abs()
            })
            .collect();
        for pair in errors.windows(2) {
            let slope = (pair[0] / pair[1]).log2();
            assert!((slope - 4.0).abs() < 0.2, "slope {slope}");
        }
    }
}
