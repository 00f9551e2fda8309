//! The simulation kernel in f64 on the host: the same timelines, rows and actions, read plainly.
//!
//! Tests hold the kernel to it; `check` uses it to find the step a tolerance needs.

use posology_model::interpret::{Environment, Interpreter};
use posology_model::program::{Accumulator, Block, NOT_REACHED, Program};
use posology_model::reference::{ReferenceError, Segment};

use crate::timeline::{Action, Row, Scaled, Timeline};

/// Relative change of a state over a cycle below which it counts as steady.
const STEADY_TOLERANCE: f64 = 1e-9;
/// Cycles after which the search gives up.
const STEADY_CYCLES: usize = 100_000;

/// How a row is integrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// The row's own steps, each cut into `refine` parts.
    Rk4 { refine: u32 },
    /// Adaptive, 8th order. Extremes and times within a row are not seen.
    Dop853 { rtol: f64, atol: f64 },
}

/// One patient's path, coherent units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path {
    pub states: Vec<f64>,
    /// One per accumulator; NaN where never reached.
    pub summaries: Vec<f64>,
    /// One per accumulator: by how much the second best of all looks misses an extreme. In single
    /// precision the two may change places where this is small.
    pub runners_up: Vec<f64>,
    /// `[record][output]`
    pub records: Vec<Vec<f64>>,
    /// Where the patient was at each record.
    pub points: Vec<Point>,
    /// Largest absolute value of each state seen at any step.
    pub range: Vec<f64>,
    pub time: f64,
}

/// Everything the rates depend on at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    pub time: f64,
    pub tad: f64,
    pub states: Vec<f64>,
    pub slots: Vec<f64>,
}

/// Take one patient through `timeline`. `slots` and `scales` are his; no error is added to records
/// or measurements.
pub fn simulate(
    program: &Program,
    timeline: &Timeline,
    slots: &[f64],
    scales: &[f64],
    method: Method,
) -> Result<Path, ReferenceError> {
    let mut walker = Walker::new(program, slots, scales, method);
    let mut row = 0;
    let mut passes = 0;
    let mut previous: Vec<f64> = Vec::new();
    let mut last_change = f64::INFINITY;
    while let Some(current) = timeline.rows.get(row) {
        walker.row(current)?;
        row += 1;
        if let Some(repeat) = current.repeat {
            passes += 1;
            let mut again = passes < repeat.passes as usize;
            if repeat.until_steady {
                let now = &walker.y[..program.n_states];
                // what is left to go if the changes go on shrinking as they do
                let changes = now.iter().zip(&previous).filter(|(a, _)| **a != 0.0);
                let change = changes
                    .map(|(a, b)| (a / b - 1.0).abs())
                    .fold(0.0, f64::max);
                let ratio = (change / last_change).min(1.0 - STEADY_TOLERANCE);
                let left = change * (ratio / (1.0 - ratio)).max(1.0);
                let rounding = change <= 16.0 * f64::EPSILON;
                let steady = previous.len() == now.len() && (left <= STEADY_TOLERANCE || rounding);
                last_change = if previous.is_empty() {
                    f64::INFINITY
                } else {
                    change
                };
                previous = now.to_vec();
                again = passes < STEADY_CYCLES && !steady;
            }
            if again {
                row -= repeat.rows as usize;
            } else {
                passes = 0;
                previous.clear();
                last_change = f64::INFINITY;
            }
        }
    }
    Ok(walker.finish())
}

struct Walker<'a> {
    program: &'a Program,
    slots: Vec<f64>,
    scales: &'a [f64],
    method: Method,
    interpreter: Interpreter,
    carried: Vec<f64>,
    inputs: Vec<f64>,
    /// States, then integrals.
    y: Vec<f64>,
    aside: Vec<f64>,
    time: f64,
    tad: f64,
    margin: Vec<f64>,
    path: Path,
}

impl<'a> Walker<'a> {
    fn new(program: &'a Program, slots: &[f64], scales: &'a [f64], method: Method) -> Self {
        let start = |accumulator: &Accumulator| match accumulator {
            Accumulator::Min(_) => f64::INFINITY,
            Accumulator::Max(_) => f64::NEG_INFINITY,
            Accumulator::FirstTime(_) | Accumulator::Latch(_) => f64::from(NOT_REACHED),
            _ => 0.0,
        };
        let mut walker = Self {
            program,
            slots: slots.to_vec(),
            scales,
            method,
            interpreter: Interpreter::default(),
            carried: Vec::new(),
            inputs: vec![0.0; program.n_inputs],
            y: vec![0.0; program.n_integrated()],
            aside: Vec::new(),
            time: 0.0,
            tad: 0.0,
            margin: vec![0.0; program.accumulators.len()],
            path: Path {
                summaries: program.accumulators.iter().map(start).collect(),
                runners_up: vec![f64::INFINITY; program.accumulators.len()],
                range: vec![0.0; program.n_integrated()],
                ..Path::default()
            },
        };
        walker.settle();
        walker
    }

    fn settle(&mut self) {
        let environment = Environment {
            slots: &self.slots,
            ..Environment::default()
        };
        self.interpreter
            .run(&self.program.setup, &environment, &mut self.carried);
    }

    fn evaluate(&mut self, block: &Block) -> Vec<f64> {
        let environment = Environment {
            states: &self.y,
            slots: &self.slots,
            carried: &self.carried,
            inputs: &self.inputs,
            time: self.time,
            tad: self.tad,
            ..Environment::default()
        };
        let mut out = Vec::new();
        self.interpreter.run(block, &environment, &mut out);
        out
    }

    fn scaled(&self, amount: Scaled) -> f64 {
        let level = amount.slot.map_or(1.0, |slot| self.slots[slot as usize]);
        amount.value * amount.scale.map_or(1.0, |row| self.scales[row as usize]) * level
    }

    fn row(&mut self, row: &Row) -> Result<(), ReferenceError> {
        for action in &row.actions {
            self.act(*action);
        }
        if !row.frozen_clock {
            self.accumulate(0.0);
        }
        match self.method {
            Method::Rk4 { refine } => {
                let h = row.h / f64::from(refine);
                for _ in 0..u64::from(row.steps) * u64::from(refine) {
                    let segment = Segment {
                        program: self.program,
                        carried: &self.carried,
                        inputs: &self.inputs,
                        time: self.time,
                        tad: self.tad,
                    };
                    segment.rk4_step(&mut self.interpreter, &mut self.y, 0.0, h);
                    self.advance(h, row.frozen_clock);
                }
            }
            Method::Dop853 { rtol, atol } => {
                let duration = row.h * f64::from(row.steps);
                let segment = Segment {
                    program: self.program,
                    carried: &self.carried,
                    inputs: &self.inputs,
                    time: self.time,
                    tad: self.tad,
                };
                segment.dop853(&mut self.y, duration, rtol, atol)?;
                self.advance(duration, row.frozen_clock);
            }
        }
        Ok(())
    }

    fn advance(&mut self, h: f64, frozen_clock: bool) {
        self.tad += h;
        for (range, value) in self.path.range.iter_mut().zip(&self.y) {
            *range = range.max(value.abs());
        }
        if !frozen_clock {
            self.time += h;
            self.accumulate(h);
        }
    }

    fn act(&mut self, action: Action) {
        let n_states = self.program.n_states;
        match action {
            Action::Clock { time } => self.time = time,
            Action::Reset => self.reset(),
            Action::Bolus { state, amount } => self.y[state as usize] += self.scaled(amount),
            Action::SetRate { input, rate } => self.inputs[input as usize] = self.scaled(rate),
            Action::AddRate { input, rate } => self.inputs[input as usize] += self.scaled(rate),
            Action::SetSlot { slot, value } => {
                self.slots[slot as usize] = value;
                self.settle();
            }
            Action::Record => {
                let outputs = self.evaluate(&self.program.record);
                self.path.records.push(outputs);
                self.path.points.push(Point {
                    time: self.time,
                    tad: self.tad,
                    states: self.y[..n_states].to_vec(),
                    slots: self.slots.clone(),
                });
            }
            Action::Rule => {
                let decided = self.evaluate(&self.program.rule);
                for (&slot, value) in self.program.rule_slots.iter().zip(decided) {
                    self.slots[slot] = value;
                }
                self.settle();
            }
            Action::Latch { accumulator } => {
                let k = accumulator as usize;
                if let Some(Accumulator::Latch(i)) = self.program.accumulators.get(k) {
                    let v = self.evaluate(&self.program.monitor);
                    self.path.summaries[k] = v[*i as usize];
                }
            }
            Action::Observe { .. } => {
                let seen = self.evaluate(&self.program.observe);
                for (&slot, value) in self.program.observe_slots.iter().zip(seen) {
                    self.slots[slot] = value;
                }
                self.settle();
            }
            Action::Dose { slot } => {
                if slot.is_none_or(|slot| self.slots[slot as usize] > 0.0) {
                    self.tad = 0.0;
                }
            }
            Action::BeginSteadyState => {
                self.aside = self.y.clone();
                self.reset();
            }
            Action::EndSteadyState { superpose } => {
                let start = self.evaluate(&self.program.init);
                for s in 0..n_states {
                    if superpose {
                        self.y[s] += self.aside[s] - start[s];
                    }
                }
                self.y[n_states..].copy_from_slice(&self.aside[n_states..]);
            }
        }
    }

    fn reset(&mut self) {
        let start = self.evaluate(&self.program.init);
        self.y[..self.program.n_states].copy_from_slice(&start);
        self.inputs.fill(0.0);
        for (range, value) in self.path.range.iter_mut().zip(&self.y) {
            *range = range.max(value.abs());
        }
    }

    fn accumulate(&mut self, h: f64) {
        let v = self.evaluate(&self.program.monitor);
        for (k, accumulator) in self.program.accumulators.iter().enumerate() {
            let before = self.margin[k];
            let total = &mut self.path.summaries[k];
            match *accumulator {
                Accumulator::Min(i) | Accumulator::Max(i) => {
                    let now = v[i as usize];
                    let better = match accumulator {
                        Accumulator::Min(_) => now < *total,
                        _ => now > *total,
                    };
                    // equal looks are one look, before and after what happens at a time
                    let behind = (now - *total).abs();
                    let second = &mut self.path.runners_up[k];
                    if better {
                        *second = behind;
                        *total = now;
                    } else if behind > 0.0 {
                        *second = second.min(behind);
                    }
                }
                Accumulator::TimeWhile(i) => {
                    let now = v[i as usize];
                    *total += if (before > 0.0) != (now > 0.0) {
                        h * before.max(now) / (now - before).abs()
                    } else if now > 0.0 {
                        h
                    } else {
                        0.0
                    };
                    self.margin[k] = now;
                }
                Accumulator::FirstTime(i) => {
                    let now = v[i as usize];
                    if *total == f64::from(NOT_REACHED) && now > 0.0 {
                        let back = if before > 0.0 || now <= before {
                            0.0
                        } else {
                            h * (now / (now - before)).min(1.0)
                        };
                        *total = self.time - back;
                    }
                    self.margin[k] = now;
                }
                Accumulator::Last(i) => *total = v[i as usize],
                Accumulator::Latch(_) | Accumulator::Integral(_) | Accumulator::Grade { .. } => {}
            }
        }
    }

    fn finish(mut self) -> Path {
        let n_states = self.program.n_states;
        for (k, accumulator) in self.program.accumulators.iter().enumerate() {
            match accumulator {
                Accumulator::Integral(j) => {
                    self.path.summaries[k] = self.y[n_states + *j as usize];
                }
                Accumulator::Grade {
                    of,
                    below,
                    thresholds,
                    grades,
                } => {
                    let worst = self.path.summaries[*of as usize];
                    let passed = |t: &u64| {
                        let t = f64::from_bits(*t);
                        if *below { worst < t } else { worst > t }
                    };
                    let grade = thresholds.iter().zip(grades).rfind(|(t, _)| passed(t));
                    self.path.summaries[k] = grade.map_or(0.0, |(_, grade)| f64::from(*grade));
                }
                _ if self.path.summaries[k] == f64::from(NOT_REACHED) => {
                    self.path.summaries[k] = f64::NAN;
                }
                _ => {}
            }
        }
        self.path.states = self.y[..n_states].to_vec();
        self.path.time = self.time;
        self.path
    }
}
