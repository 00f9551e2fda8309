//! The adjoint in f64 on the host: everything is kept, nothing is taken again.
//!
//! Tests hold the kernels to it, and hold it to differences of [`crate::reference`].

use posology_model::graph::{apply_binary, apply_unary};
use posology_model::program::{Accumulator, Block, Kind, Program};

use super::reverse::{Bars, Reverse};
use super::{AdjointError, AdjointPlan, differentiable};
use crate::timeline::{Action, Scaled, Timeline};

/// Adjoints of one patient's results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatientSeeds {
    pub states: Vec<f64>,
    pub summaries: Vec<f64>,
    /// `[record][output]`
    pub records: Vec<Vec<f64>>,
}

/// One patient's gradient; see [`super::Gradient`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatientGradient {
    pub slots: Vec<f64>,
    pub scales: Vec<f64>,
    pub initial: Vec<f64>,
    pub durations: Vec<f64>,
    pub amounts: Vec<f64>,
}

/// What the walk back needs of an instant.
#[derive(Clone, Debug, Default)]
struct Instant {
    /// States, then integrals.
    y: Vec<f64>,
    slots: Vec<f64>,
    inputs: Vec<f64>,
    time: f64,
    tad: f64,
}

#[derive(Clone, Copy, Debug)]
enum Moment {
    Act {
        action: Action,
        number: usize,
    },
    /// Summaries are looked at, `h` after the last look (0 after actions).
    Look {
        h: f64,
    },
    /// A step of the row begins.
    Step {
        row: usize,
        h: f64,
    },
}

/// The gradient of `sum(seeds * results)` of one patient.
pub fn gradient(
    plan: &AdjointPlan,
    timeline: &Timeline,
    slots: &[f64],
    scales: &[f64],
    seeds: &PatientSeeds,
) -> Result<PatientGradient, AdjointError> {
    let timeline = differentiable(std::slice::from_ref(timeline))?.remove(0);
    let program = plan.program();
    let mut walk = Walk {
        program,
        now: Instant {
            y: vec![0.0; program.n_integrated()],
            slots: slots.to_vec(),
            inputs: vec![0.0; program.n_inputs],
            ..Instant::default()
        },
        scales,
        path: Vec::new(),
    };
    let mut number = 0;
    for (row, source) in timeline.rows.iter().enumerate() {
        for &action in &source.actions {
            walk.keep(Moment::Act { action, number });
            walk.act(action);
            number += 1;
        }
        walk.keep(Moment::Look { h: 0.0 });
        for _ in 0..source.steps {
            walk.keep(Moment::Step { row, h: source.h });
            walk.step(source.h);
            walk.keep(Moment::Look { h: source.h });
        }
    }
    let mut back = Back {
        plan,
        scales,
        bars: vec![0.0; program.n_integrated()],
        extra: vec![0.0; program.n_integrated()],
        inputs: vec![0.0; program.n_inputs],
        clock: [0.0; 2],
        extra_clock: [0.0; 2],
        h_bar: 0.0,
        summaries: seeds.summaries.clone(),
        decided: walk.decided(),
        gradient: PatientGradient {
            slots: vec![0.0; program.n_slots],
            scales: vec![0.0; scales.len()],
            initial: vec![0.0; program.n_states],
            durations: vec![0.0; timeline.rows.len()],
            amounts: vec![0.0; number],
        },
    };
    back.bars[..program.n_states].copy_from_slice(&seeds.states);
    for (k, accumulator) in program.accumulators.iter().enumerate() {
        if let Accumulator::Integral(j) = accumulator {
            back.bars[program.n_states + *j as usize] += seeds.summaries[k];
        }
    }
    let mut records = seeds.records.iter().rev();
    for (index, (at, moment)) in walk.path.iter().enumerate().rev() {
        match *moment {
            Moment::Act { action, number } => {
                if matches!(action, Action::Record)
                    && let Some(seeds) = records.next()
                {
                    back.through(&plan.record, at, seeds);
                }
                back.act(at, action, number);
            }
            Moment::Look { h } => {
                let before = (h > 0.0).then(|| &walk.path[index - 1].0);
                back.look(at, before, h, index);
            }
            Moment::Step { row, h } => {
                let share = f64::from(timeline.rows[row].steps);
                back.step(at, h);
                back.gradient.durations[row] += std::mem::take(&mut back.h_bar) / share;
            }
        }
    }
    Ok(back.gradient)
}

/// Values of all operations of a block at an instant.
fn values(block: &Block, at: &Instant, y: &[f64], carried: &[f64], shift: f64) -> Vec<f64> {
    let mut v: Vec<f64> = Vec::with_capacity(block.ops.len());
    for op in &block.ops {
        let (a, b, c) = (op.a as usize, op.b as usize, op.c as usize);
        v.push(match op.kind {
            Kind::Const => f64::from_bits(op.bits),
            Kind::State => y[a],
            Kind::Slot => at.slots[a],
            Kind::Carry => carried[a],
            Kind::Input => at.inputs[a],
            Kind::Seed => 0.0,
            Kind::Time => at.time + shift,
            Kind::Tad => at.tad + shift,
            Kind::Unary(op) => apply_unary(op, v[a]),
            Kind::Binary(op) => apply_binary(op, v[a], v[b]),
            Kind::Select if v[a] != 0.0 => v[b],
            Kind::Select => v[c],
        });
    }
    v
}

fn outputs(block: &Block, v: &[f64]) -> Vec<f64> {
    block.outputs.iter().map(|&o| v[o as usize]).collect()
}

fn carried(program: &Program, at: &Instant) -> Vec<f64> {
    let setup = &program.setup;
    outputs(setup, &values(setup, at, &at.y, &[], 0.0))
}

fn evaluate(program: &Program, block: &Block, at: &Instant, y: &[f64], shift: f64) -> Vec<f64> {
    outputs(block, &values(block, at, y, &carried(program, at), shift))
}

const NODES: [f64; 4] = [0.0, 0.5, 0.5, 1.0];
const WEIGHTS: [f64; 4] = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];

/// What the four stages are evaluated at, and their slopes.
fn stages(program: &Program, at: &Instant, h: f64) -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut found: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for node in NODES {
        let moved =
            |(s, y): (usize, &f64)| y + found.last().map_or(0.0, |(_, slope)| node * h * slope[s]);
        let stage: Vec<f64> = at.y.iter().enumerate().map(moved).collect();
        let slope = evaluate(program, &program.rates, at, &stage, node * h);
        found.push((stage, slope));
    }
    found
}

struct Walk<'a> {
    program: &'a Program,
    now: Instant,
    scales: &'a [f64],
    path: Vec<(Instant, Moment)>,
}

impl Walk<'_> {
    fn keep(&mut self, moment: Moment) {
        self.path.push((self.now.clone(), moment));
    }

    fn scaled(&self, amount: Scaled) -> f64 {
        amount.value * amount.scale.map_or(1.0, |row| self.scales[row as usize])
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Clock { time } => self.now.time = time,
            Action::Reset => {
                let start = evaluate(
                    self.program,
                    &self.program.init,
                    &self.now,
                    &self.now.y,
                    0.0,
                );
                self.now.y[..self.program.n_states].copy_from_slice(&start);
                self.now.inputs.fill(0.0);
            }
            Action::Bolus { state, amount } => {
                self.now.y[state as usize] += self.scaled(amount);
            }
            Action::SetRate { input, rate } => self.now.inputs[input as usize] = self.scaled(rate),
            Action::AddRate { input, rate } => self.now.inputs[input as usize] += self.scaled(rate),
            Action::SetSlot { slot, value } => self.now.slots[slot as usize] = value,
            Action::Dose { .. } => self.now.tad = 0.0,
            _ => {}
        }
    }

    fn step(&mut self, h: f64) {
        let stages = stages(self.program, &self.now, h);
        for (weight, (_, slope)) in WEIGHTS.iter().zip(&stages) {
            for (y, slope) in self.now.y.iter_mut().zip(slope) {
                *y += weight * h * slope;
            }
        }
        self.now.time += h;
        self.now.tad += h;
    }

    /// The moment that decided each extreme, first time or last value.
    fn decided(&self) -> Vec<usize> {
        let program = self.program;
        let watched: Vec<Option<(usize, f64)>> = vec![None; program.accumulators.len()];
        let mut best = watched;
        for (index, (at, moment)) in self.path.iter().enumerate() {
            if !matches!(moment, Moment::Look { .. }) {
                continue;
            }
            let v = evaluate(program, &program.monitor, at, &at.y, 0.0);
            for (k, accumulator) in program.accumulators.iter().enumerate() {
                let (value, better): (f64, fn(f64, f64) -> bool) = match accumulator {
                    Accumulator::Min(i) => (v[*i as usize], |new, old| new < old),
                    Accumulator::Max(i) => (v[*i as usize], |new, old| new > old),
                    Accumulator::Last(i) => (v[*i as usize], |_, _| true),
                    Accumulator::FirstTime(i) if v[*i as usize] > 0.0 => {
                        (v[*i as usize], |_, _| false)
                    }
                    _ => continue,
                };
                if best[k].is_none_or(|(_, old)| better(value, old)) {
                    best[k] = Some((index, value));
                }
            }
        }
        let place = |found: Option<(usize, f64)>| found.map_or(usize::MAX, |(index, _)| index);
        best.into_iter().map(place).collect()
    }
}

struct Back<'a> {
    plan: &'a AdjointPlan,
    scales: &'a [f64],
    /// Adjoints of states and integrals as the walk stands.
    bars: Vec<f64>,
    /// What crossings pass to the start of the step they lie in.
    extra: Vec<f64>,
    inputs: Vec<f64>,
    clock: [f64; 2],
    extra_clock: [f64; 2],
    h_bar: f64,
    summaries: Vec<f64>,
    decided: Vec<usize>,
    gradient: PatientGradient,
}

impl Back<'_> {
    /// Adjoints of a block's leaves at an instant; those of carried values go on to the slots.
    fn leaves(
        &mut self,
        reverse: &Reverse,
        at: &Instant,
        y: &[f64],
        shift: f64,
        seeds: &[f64],
    ) -> Bars {
        let program = self.plan.program();
        let carried = carried(program, at);
        let mut bars = Bars {
            states: vec![0.0; at.y.len()],
            slots: vec![0.0; at.slots.len()],
            carried: vec![0.0; carried.len()],
            inputs: vec![0.0; at.inputs.len()],
            clock: [0.0; 2],
        };
        let v = values(&reverse.block, at, y, &carried, shift);
        reverse.on_host(&v, seeds, &mut bars);
        let seeds = std::mem::take(&mut bars.carried);
        let v = values(&program.setup, at, &at.y, &[], 0.0);
        self.plan.setup.on_host(&v, &seeds, &mut bars);
        for (total, bar) in self.gradient.slots.iter_mut().zip(&bars.slots) {
            *total += bar;
        }
        for (total, bar) in self.inputs.iter_mut().zip(&bars.inputs) {
            *total += bar;
        }
        bars
    }

    fn through(&mut self, reverse: &Reverse, at: &Instant, seeds: &[f64]) {
        let bars = self.leaves(reverse, at, &at.y, 0.0, seeds);
        for (total, bar) in self.bars.iter_mut().zip(&bars.states) {
            *total += bar;
        }
        self.clock[0] += bars.clock[0];
        self.clock[1] += bars.clock[1];
    }

    fn act(&mut self, at: &Instant, action: Action, number: usize) {
        let plan = self.plan;
        let n_states = plan.program().n_states;
        let (mut given, mut amount) = (0.0, None);
        match action {
            Action::Clock { .. } => self.clock[0] = 0.0,
            Action::Dose { .. } => self.clock[1] = 0.0,
            Action::Reset => {
                let seeds = self.bars[..n_states].to_vec();
                for (total, bar) in self.gradient.initial.iter_mut().zip(&seeds) {
                    *total += bar;
                }
                self.bars[..n_states].fill(0.0);
                self.inputs.fill(0.0);
                self.leaves(&plan.init, at, &at.y, 0.0, &seeds);
            }
            Action::Bolus { state, amount: a } => {
                given = self.bars[state as usize];
                amount = Some(a);
            }
            Action::SetRate { input, rate } => {
                given = std::mem::take(&mut self.inputs[input as usize]);
                amount = Some(rate);
            }
            Action::AddRate { input, rate } => {
                given = self.inputs[input as usize];
                amount = Some(rate);
            }
            Action::SetSlot { slot, .. } => {
                given = std::mem::take(&mut self.gradient.slots[slot as usize]);
            }
            Action::Latch { accumulator } => {
                let k = accumulator as usize;
                if let Some(Accumulator::Latch(i)) = plan.program().accumulators.get(k) {
                    let mut seeds = vec![0.0; plan.program().monitor.outputs.len()];
                    seeds[*i as usize] = std::mem::take(&mut self.summaries[k]);
                    self.through(&plan.monitor, at, &seeds);
                }
            }
            _ => {}
        }
        let mut factor = 1.0;
        if let Some(Scaled {
            value,
            scale: Some(row),
            ..
        }) = amount
        {
            factor = self.scales[row as usize];
            self.gradient.scales[row as usize] += given * value;
        }
        self.gradient.amounts[number] += given * factor;
    }

    fn look(&mut self, at: &Instant, before: Option<&Instant>, h: f64, index: usize) {
        let plan = self.plan;
        let program = plan.program();
        let now = evaluate(program, &program.monitor, at, &at.y, 0.0);
        let then = before.map(|at| evaluate(program, &program.monitor, at, &at.y, 0.0));
        let mut seeds = vec![0.0; now.len()];
        let mut seeds_before = vec![0.0; now.len()];
        for (k, accumulator) in program.accumulators.iter().enumerate() {
            let bar = self.summaries[k];
            let decides = self.decided[k] == index;
            match *accumulator {
                Accumulator::Min(i) | Accumulator::Max(i) | Accumulator::Last(i) if decides => {
                    seeds[i as usize] += bar;
                }
                Accumulator::TimeWhile(i) => {
                    let i = i as usize;
                    let Some(b) = then.as_ref().map(|then| then[i]) else {
                        continue;
                    };
                    let m = now[i];
                    if (b > 0.0) == (m > 0.0) {
                        self.h_bar += if m > 0.0 { bar } else { 0.0 };
                        continue;
                    }
                    let square = (m - b) * (m - b);
                    let sign = if b > 0.0 { 1.0 } else { -1.0 };
                    seeds[i] += bar * h * sign * b / square;
                    seeds_before[i] -= bar * h * sign * m / square;
                    self.h_bar += bar * b.max(m) / (m - b).abs();
                }
                Accumulator::FirstTime(i) if decides => {
                    let i = i as usize;
                    self.clock[0] += bar;
                    let Some(b) = then.as_ref().map(|then| then[i]).filter(|b| *b <= 0.0) else {
                        continue;
                    };
                    let m = now[i];
                    let square = (m - b) * (m - b);
                    seeds[i] += bar * h * b / square;
                    seeds_before[i] -= bar * h * m / square;
                    self.h_bar -= bar * m / (m - b);
                }
                _ => {}
            }
        }
        self.through(&plan.monitor, at, &seeds);
        if let Some(before) = before {
            let bars = self.leaves(&plan.monitor, before, &before.y, 0.0, &seeds_before);
            self.extra = bars.states;
            self.extra_clock = bars.clock;
        }
    }

    fn step(&mut self, at: &Instant, h: f64) {
        let plan = self.plan;
        let stages = stages(plan.program(), at, h);
        let mut total = std::mem::replace(&mut self.extra, vec![0.0; self.bars.len()]);
        let mut stage_bar = vec![0.0; self.bars.len()];
        self.h_bar += self.clock[0] + self.clock[1];
        for k in (0..4).rev() {
            // of the stage after this one
            let reach = NODES.get(k + 1).copied().unwrap_or(0.0);
            let per_step: Vec<f64> = self
                .bars
                .iter()
                .zip(&stage_bar)
                .map(|(bar, next)| WEIGHTS[k] * bar + reach * next)
                .collect();
            let (stage, slope) = &stages[k];
            self.h_bar += per_step.iter().zip(slope).map(|(p, s)| p * s).sum::<f64>();
            let seeds: Vec<f64> = per_step.iter().map(|p| h * p).collect();
            let bars = self.leaves(&plan.rates, at, stage, NODES[k] * h, &seeds);
            stage_bar = bars.states;
            for (total, bar) in total.iter_mut().zip(&stage_bar) {
                *total += bar;
            }
            self.h_bar += NODES[k] * (bars.clock[0] + bars.clock[1]);
            self.clock[0] += bars.clock[0];
            self.clock[1] += bars.clock[1];
        }
        for (bar, total) in self.bars.iter_mut().zip(&total) {
            *bar += total;
        }
        let extra = std::mem::take(&mut self.extra_clock);
        self.clock[0] += extra[0];
        self.clock[1] += extra[1];
    }
}
