//! From a patient's events to the rows of equal steps that the kernel takes.
//!
//! No event ever falls inside a step: each stretch between two events is cut into
//! `ceil(duration / dt)` equal steps, with `dt` from the step schedule by time after the last dose.

use std::collections::HashMap;

use posology_cohort::event::{Action as Cause, Amount, Timeline as Events};
use posology_kernels::timeline::{Action, Repeat, Row, Scaled, Timeline};
use posology_model::model::StepSchedule;

/// Cycles after which the search for a steady state gives up.
const STEADY_CYCLES: u32 = 20_000;
/// Times closer than this share of the step are one instant.
const SAME_INSTANT: f64 = 1e-9;

/// Lower one timeline. `targets`: the state each input feeds. `latches`: (time, accumulator).
pub fn lower(
    events: &Events,
    schedule: &StepSchedule,
    targets: &[usize],
    latches: &[(f64, usize)],
) -> Timeline {
    let start = events
        .events
        .first()
        .map_or(events.start, |event| event.time.min(events.start));
    let mut builder = Builder {
        schedule,
        targets,
        rows: vec![Row {
            actions: vec![Action::Clock { time: start }, Action::Reset],
            ..Row::default()
        }],
        now: start,
        last_dose: start,
        running: HashMap::new(),
    };
    // latches in order of time, merged with the events (a latch sees the state before a dose)
    let mut latches: Vec<(f64, u32)> = latches
        .iter()
        .map(|&(time, at)| (time, at as u32))
        .filter(|(time, _)| *time <= events.end)
        .collect();
    latches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut latches = latches.into_iter().peekable();
    let mut ticks = Ticks::new(events);
    for event in &events.events {
        while let Some((time, at)) = latches.next_if(|(time, _)| *time <= event.time) {
            builder.go_to(time, &mut ticks);
            builder.act(Action::Latch { accumulator: at });
        }
        builder.go_to(event.time, &mut ticks);
        if event.dose {
            let slot = match &event.action {
                Cause::Bolus { amount, .. } | Cause::Rate { change: amount, .. } => amount.slot,
                _ => None,
            };
            let slot = slot.map(|slot| slot as u32);
            builder.act(Action::Dose { slot });
            builder.last_dose = event.time;
        }
        builder.cause(&event.action);
    }
    for (time, at) in latches {
        builder.go_to(time, &mut ticks);
        builder.act(Action::Latch { accumulator: at });
    }
    builder.go_to(events.end, &mut ticks);
    builder.tick_now(&mut ticks);
    Timeline { rows: builder.rows }
}

/// The repeated instants of a timeline that have not been reached yet.
struct Ticks<'a> {
    repeat: Option<&'a posology_cohort::event::Repeat>,
    /// Number of the next tick.
    next: u64,
}

impl<'a> Ticks<'a> {
    fn new(events: &'a Events) -> Self {
        let repeat = events
            .repeat
            .as_ref()
            .filter(|repeat| repeat.every > 0.0 && !repeat.actions.is_empty());
        Self { repeat, next: 0 }
    }

    fn time(&self, number: u64) -> Option<f64> {
        let repeat = self.repeat?;
        let time = repeat.from + number as f64 * repeat.every;
        (time <= repeat.until + SAME_INSTANT * repeat.every).then_some(time)
    }
}

/// What a rate is multiplied by: a row of scales, a slot.
type Factors = (Option<usize>, Option<usize>);

struct Builder<'a> {
    schedule: &'a StepSchedule,
    targets: &'a [usize],
    rows: Vec<Row>,
    now: f64,
    last_dose: f64,
    /// Running infusions: (input, (scale, slot)) -> total rate.
    running: HashMap<(usize, Factors), f64>,
}

impl Builder<'_> {
    /// Add an action at the present instant.
    fn act(&mut self, action: Action) {
        match self.rows.last_mut() {
            // a row that steps or ends a group is closed: an instant after it is a new row
            Some(row) if row.steps == 0 && row.repeat.is_none() => row.actions.push(action),
            _ => self.rows.push(Row {
                actions: vec![action],
                ..Row::default()
            }),
        }
    }

    fn same(&self, a: f64, b: f64) -> bool {
        let dt = self.schedule.at(self.now - self.last_dose);
        (a - b).abs() <= SAME_INSTANT * dt.max(f64::MIN_POSITIVE)
    }

    /// Integrate to `time`, stopping at the ticks before it.
    fn go_to(&mut self, time: f64, ticks: &mut Ticks<'_>) {
        while let (Some(tick), Some(repeat)) = (ticks.time(ticks.next), ticks.repeat) {
            // a tick at the very time of an event comes after it
            if tick >= time || self.same(tick, time) {
                break;
            }
            self.steps_to(tick);
            // whole intervals before `time`, as one repeated row where the step does not change
            let whole = ((time - tick) / repeat.every + SAME_INSTANT).floor() as u64;
            let left = ticks.time(ticks.next + whole).map_or_else(
                || {
                    ((repeat.until - tick) / repeat.every + SAME_INSTANT)
                        .floor()
                        .max(0.0) as u64
                },
                |_| whole,
            );
            let uniform = self.uniform_step(tick, tick + left as f64 * repeat.every);
            if left > 1
                && let Some(dt) = uniform
            {
                let (steps, h) = equal_steps(repeat.every, dt);
                let actions = repeat
                    .actions
                    .iter()
                    .flat_map(|cause| self.lowered(cause))
                    .collect();
                let passes = u32::try_from(left).unwrap_or(u32::MAX);
                self.rows.push(Row {
                    actions,
                    steps,
                    h,
                    repeat: Some(Repeat {
                        rows: 1,
                        passes,
                        until_steady: false,
                    }),
                    frozen_clock: false,
                });
                self.now = tick + left as f64 * repeat.every;
                ticks.next += left;
            } else {
                for cause in &repeat.actions {
                    self.cause(cause);
                }
                ticks.next += 1;
            }
        }
        self.steps_to(time);
    }

    /// Execute a tick that falls on the present instant.
    fn tick_now(&mut self, ticks: &mut Ticks<'_>) {
        if let (Some(tick), Some(repeat)) = (ticks.time(ticks.next), ticks.repeat)
            && self.same(tick, self.now)
        {
            for cause in &repeat.actions {
                self.cause(cause);
            }
            ticks.next += 1;
        }
    }

    /// The one step size that holds from `from` to `to`, if the schedule does not change between.
    fn uniform_step(&self, from: f64, to: f64) -> Option<f64> {
        let (first, last) = (from - self.last_dose, to - self.last_dose);
        let changes = self.schedule.0.iter().filter_map(|piece| piece.until);
        let crossed = changes
            .into_iter()
            .any(|until| until > first && until < last);
        (!crossed).then(|| self.schedule.at(first))
    }

    /// Step rows to `time`, cut where the schedule changes.
    fn steps_to(&mut self, time: f64) {
        while self.now < time && !self.same(self.now, time) {
            let tad = self.now - self.last_dose;
            let dt = self.schedule.at(tad);
            let change = self
                .schedule
                .0
                .iter()
                .filter_map(|piece| piece.until)
                .find(|until| *until > tad * (1.0 + 1e-12) + SAME_INSTANT * dt);
            let stop = change.map_or(time, |until| time.min(self.last_dose + until));
            let (steps, h) = equal_steps(stop - self.now, dt);
            match self.rows.last_mut() {
                Some(row) if row.steps == 0 && row.repeat.is_none() => {
                    row.steps = steps;
                    row.h = h;
                }
                _ => self.rows.push(Row {
                    steps,
                    h,
                    ..Row::default()
                }),
            }
            self.now = stop;
        }
        self.now = time.max(self.now);
    }

    fn lowered(&mut self, cause: &Cause) -> Vec<Action> {
        match cause {
            Cause::Bolus { input, amount } => {
                let state = self.targets[*input] as u32;
                vec![Action::Bolus {
                    state,
                    amount: scaled(*amount),
                }]
            }
            Cause::Rate { input, change } => self.change_rate(*input, *change),
            Cause::Reset => {
                self.running.clear();
                vec![Action::Reset]
            }
            Cause::SetSlot { slot, value } => vec![Action::SetSlot {
                slot: *slot as u32,
                value: *value,
            }],
            Cause::Record => vec![Action::Record],
            Cause::Rule => vec![Action::Rule],
            Cause::Observe { number } => vec![Action::Observe { number: *number }],
            Cause::SteadyState { .. } => Vec::new(),
        }
    }

    fn cause(&mut self, cause: &Cause) {
        if let Cause::SteadyState {
            superpose,
            cycle,
            period,
        } = cause
        {
            self.steady_state(*superpose, cycle, *period);
            return;
        }
        for action in self.lowered(cause) {
            self.act(action);
        }
    }

    /// Totals are kept in f64 here, so that a stopped infusion is exactly zero on the device.
    fn change_rate(&mut self, input: usize, change: Amount) -> Vec<Action> {
        let factors = (change.scale, change.slot);
        let total = self.running.entry((input, factors)).or_insert(0.0);
        let largest = total.abs().max(change.value.abs());
        *total += change.value;
        if total.abs() <= 1e-12 * largest {
            self.running.remove(&(input, factors));
        }
        self.running_rate(input)
    }

    /// Actions that set the running rate of an input from the totals.
    fn running_rate(&self, input: usize) -> Vec<Action> {
        let mut parts: Vec<(Factors, f64)> = self
            .running
            .iter()
            .filter(|((of, _), _)| *of == input)
            .map(|((_, factors), total)| (*factors, *total))
            .collect();
        parts.sort_by_key(|(factors, _)| *factors);
        let input = input as u32;
        let Some((&(factors, value), others)) = parts.split_first() else {
            let rate = Scaled::default();
            return vec![Action::SetRate { input, rate }];
        };
        let rate = |(scale, slot): Factors, value| scaled(Amount { value, scale, slot });
        let mut actions = vec![Action::SetRate {
            input,
            rate: rate(factors, value),
        }];
        actions.extend(others.iter().map(|&(factors, value)| Action::AddRate {
            input,
            rate: rate(factors, value),
        }));
        actions
    }

    /// The group of rows that is repeated until nothing changes any more.
    fn steady_state(&mut self, superpose: bool, cycle: &[(f64, Vec<Cause>)], period: f64) {
        let kept = std::mem::take(&mut self.running);
        self.act(Action::BeginSteadyState);
        let (now, last_dose) = (self.now, self.last_dose);
        let before = self.rows.len();
        self.rows.push(Row {
            actions: vec![Action::Dose { slot: None }],
            ..Row::default()
        });
        (self.now, self.last_dose) = (0.0, 0.0);
        for (offset, causes) in cycle {
            self.steps_to(*offset);
            for cause in causes {
                self.cause(cause);
            }
        }
        self.steps_to(period);
        let rows = self.rows.len() - before;
        for row in &mut self.rows[before..] {
            row.frozen_clock = true;
        }
        if let Some(last) = self.rows.last_mut() {
            last.repeat = Some(Repeat {
                rows: rows as u32,
                passes: STEADY_CYCLES,
                until_steady: true,
            });
        }
        (self.now, self.last_dose) = (now, last_dose);
        self.running = if superpose { kept } else { HashMap::new() };
        self.act(Action::EndSteadyState { superpose });
        let inputs: Vec<usize> = (0..self.targets.len()).collect();
        for input in inputs {
            for action in self.running_rate(input) {
                self.act(action);
            }
        }
    }
}

fn scaled(amount: Amount) -> Scaled {
    Scaled {
        value: amount.value,
        scale: amount.scale.map(|scale| scale as u32),
        slot: amount.slot.map(|slot| slot as u32),
    }
}

/// `ceil(duration / dt)` equal steps; a duration that is a multiple of `dt` up to rounding is not cut further.
fn equal_steps(duration: f64, dt: f64) -> (u32, f64) {
    let steps = (duration / dt * (1.0 - 1e-12))
        .ceil()
        .clamp(1.0, f64::from(u32::MAX));
    (steps as u32, duration / steps)
}
