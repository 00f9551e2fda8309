//! A patient's timeline as the device reads it: rows of equal steps, with actions between them.
//!
//! A row executes its actions, then takes `steps` steps of length `h`. Rows can be repeated as a
//! group, so that a treatment of any length occupies a few rows, and a steady state is a group
//! repeated until it no longer changes. Patients with the same events share one timeline.

use bytemuck::{Pod, Zeroable};

/// What happens at an instant. Values are in coherent units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// The time is now this (a timeline need not start at zero).
    Clock { time: f64 },
    /// Initial states, infusions off, `tad` undefined (as at the start).
    Reset,
    /// Add an amount to a state.
    Bolus { state: u32, amount: Scaled },
    /// Set the running infusion rate of an input.
    SetRate { input: u32, rate: Scaled },
    /// Add to the running infusion rate of an input.
    AddRate { input: u32, rate: Scaled },
    /// A parameter or covariate changes.
    SetSlot { slot: u32, value: f64 },
    /// Store the outputs of the record block.
    Record,
    /// Evaluate the rule block into its slots.
    Rule,
    /// Measure: the observe block, with its errors, into its slots. `number` counts the visits of
    /// a patient; a measurement error depends on it and on the patient only.
    Observe { number: u32 },
    /// Store the value of the `Latch` accumulator with this index.
    Latch { accumulator: u32 },
    /// A dose was given: time after dose starts again, if `slot` is positive or absent.
    Dose { slot: Option<u32> },
    /// Keep the present state aside and start from initial states, as a steady state is sought.
    BeginSteadyState,
    /// End of the search; `superpose` adds the steady state to what was kept (SS = 2).
    EndSteadyState { superpose: bool },
}

/// A value, multiplied by the patient's entry in a scale row and by a slot where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scaled {
    pub value: f64,
    /// Row of the patient's scales (body surface area, a Calvert dose, ...).
    pub scale: Option<u32>,
    /// Slot whose present value (a dose level that a rule sets) multiplies; one of the program's
    /// `dose_slots`.
    pub slot: Option<u32>,
}

/// How the group of rows that ends with this row is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Rows in the group, this one included.
    pub rows: u32,
    /// Passes through the group (an upper limit if `until_steady`).
    pub passes: u32,
    /// Stop when a pass leaves every state as it was.
    pub until_steady: bool,
}

/// Actions, then equal steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub actions: Vec<Action>,
    pub steps: u32,
    /// Step length, model time.
    pub h: f64,
    pub repeat: Option<Repeat>,
    /// Time stands still and nothing is accumulated (the search for a steady state).
    pub frozen_clock: bool,
}

/// The rows of one timeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    pub rows: Vec<Row>,
}

impl Timeline {
    /// Records stored on one pass through the timeline.
    pub fn record_count(&self) -> usize {
        self.weighted(|row| {
            row.actions
                .iter()
                .filter(|a| matches!(a, Action::Record))
                .count()
        })
    }

    /// Steps taken on one pass through the timeline; groups repeated until steady count once.
    pub fn step_count(&self) -> u64 {
        self.weighted(|row| row.steps as usize) as u64
    }

    /// Loop iterations of the kernel on one pass, a step counting `per_step`.
    pub(crate) fn iteration_count(&self, per_step: u32) -> u64 {
        let per_step = per_step as usize;
        self.weighted(|row| {
            row.actions.len() + 4 + row.steps as usize * per_step + row.steps as usize / 16
        }) as u64
    }

    fn weighted(&self, weight: impl Fn(&Row) -> usize) -> usize {
        let mut total = 0;
        for (i, row) in self.rows.iter().enumerate() {
            total += weight(row);
            if let Some(repeat) = row.repeat.filter(|repeat| !repeat.until_steady) {
                let first = (i + 1).saturating_sub(repeat.rows as usize);
                let group: usize = self.rows[first..=i].iter().map(&weight).sum();
                total += group * repeat.passes.saturating_sub(1) as usize;
            }
        }
        total
    }

    /// Whether any rows are repeated or stop the clock.
    pub(crate) fn repeats(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.repeat.is_some() || row.frozen_clock)
    }

    /// Whether the patient scales any dose.
    pub(crate) fn scales(&self) -> bool {
        let scaled = |action: &Action| match action {
            Action::Bolus { amount: by, .. }
            | Action::SetRate { rate: by, .. }
            | Action::AddRate { rate: by, .. } => by.scale.is_some(),
            _ => false,
        };
        let actions = self.rows.iter().flat_map(|row| &row.actions);
        actions.into_iter().any(scaled)
    }

    /// Whether any row searches a steady state.
    pub fn seeks_steady_state(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.repeat.is_some_and(|repeat| repeat.until_steady))
    }
}

pub(crate) const ROW_WORDS: u32 = 8;
pub(crate) const ACTION_WORDS: u32 = 4;
pub(crate) const NO_SCALE: u32 = u32::MAX;
/// The upper half of an action's index holds a slot plus one, or zero.
pub(crate) const SLOT_SHIFT: u32 = 16;
pub(crate) const FLAG_UNTIL_STEADY: u32 = 1;
pub(crate) const FLAG_FROZEN_CLOCK: u32 = 2;
/// Beside a row's steps: the row after it follows at once, and nothing happens between them.
pub(crate) const STEPS_JOINED: u32 = 1 << 31;

/// Device codes of the actions.
pub(crate) mod code {
    pub const RESET: u32 = 0;
    pub const BOLUS: u32 = 1;
    pub const SET_RATE: u32 = 2;
    pub const ADD_RATE: u32 = 3;
    pub const SET_SLOT: u32 = 4;
    pub const RECORD: u32 = 5;
    pub const RULE: u32 = 6;
    pub const LATCH: u32 = 7;
    pub const DOSE: u32 = 8;
    pub const BEGIN_STEADY_STATE: u32 = 9;
    pub const END_STEADY_STATE: u32 = 10;
    pub const NOTHING: u32 = 11;
    pub const CLOCK: u32 = 12;
    pub const OBSERVE: u32 = 13;
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct PackedRow {
    first_action: u32,
    end_action: u32,
    steps: u32,
    h: f32,
    repeat_rows: u32,
    passes: u32,
    flags: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct PackedAction {
    code: u32,
    index: u32,
    value: f32,
    scale: u32,
}

/// Timelines in compressed rows, as uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// `timelines + 1` row offsets.
    pub offsets: Vec<u32>,
    pub rows: Vec<u32>,
    pub actions: Vec<u32>,
}

impl Packed {
    /// Mark rows that another without actions follows at once ([`STEPS_JOINED`]).
    pub(crate) fn join(&mut self) {
        let rows: &mut [PackedRow] = bytemuck::cast_slice_mut(&mut self.rows);
        for span in self.offsets.windows(2) {
            let rows = &mut rows[span[0] as usize..span[1] as usize];
            for k in 1..rows.len() {
                if rows[k].first_action == rows[k].end_action && rows[k - 1].repeat_rows == 0 {
                    rows[k - 1].steps |= STEPS_JOINED;
                }
            }
        }
    }
}

/// Pack `timelines` for the device.
pub fn pack(timelines: &[Timeline]) -> Packed {
    let mut packed = Packed {
        offsets: vec![0],
        ..Packed::default()
    };
    let (mut rows, mut actions): (Vec<PackedRow>, Vec<PackedAction>) = (Vec::new(), Vec::new());
    for timeline in timelines {
        for row in &timeline.rows {
            let first_action = actions.len() as u32;
            actions.extend(row.actions.iter().map(pack_action));
            let mut flags = 0;
            if row.repeat.is_some_and(|repeat| repeat.until_steady) {
                flags |= FLAG_UNTIL_STEADY;
            }
            if row.frozen_clock {
                flags |= FLAG_FROZEN_CLOCK;
            }
            rows.push(PackedRow {
                first_action,
                end_action: actions.len() as u32,
                steps: row.steps,
                h: row.h as f32,
                repeat_rows: row.repeat.map_or(0, |repeat| repeat.rows),
                passes: row.repeat.map_or(0, |repeat| repeat.passes),
                flags,
                unused: 0,
            });
        }
        packed.offsets.push(rows.len() as u32);
    }
    packed.rows = bytemuck::cast_slice(&rows).to_vec();
    packed.actions = bytemuck::cast_slice(&actions).to_vec();
    packed
}

fn pack_action(action: &Action) -> PackedAction {
    let plain = |code| PackedAction {
        code,
        index: 0,
        value: 0.0,
        scale: NO_SCALE,
    };
    let scaled = |code, index, scaled: Scaled| PackedAction {
        code,
        index: index | slot_word(scaled.slot),
        value: scaled.value as f32,
        scale: scaled.scale.unwrap_or(NO_SCALE),
    };
    match *action {
        Action::Clock { time } => scaled(
            code::CLOCK,
            0,
            Scaled {
                value: time,
                ..Scaled::default()
            },
        ),
        Action::Reset => plain(code::RESET),
        Action::Bolus { state, amount } => scaled(code::BOLUS, state, amount),
        Action::SetRate { input, rate } => scaled(code::SET_RATE, input, rate),
        Action::AddRate { input, rate } => scaled(code::ADD_RATE, input, rate),
        Action::SetSlot { slot, value } => {
            let value = value as f32;
            PackedAction {
                index: slot,
                value,
                ..plain(code::SET_SLOT)
            }
        }
        Action::Record => plain(code::RECORD),
        Action::Rule => plain(code::RULE),
        Action::Latch { accumulator } => PackedAction {
            index: accumulator,
            ..plain(code::LATCH)
        },
        Action::Observe { number } => PackedAction {
            index: number,
            ..plain(code::OBSERVE)
        },
        Action::Dose { slot } => PackedAction {
            index: slot_word(slot),
            ..plain(code::DOSE)
        },
        Action::BeginSteadyState => plain(code::BEGIN_STEADY_STATE),
        Action::EndSteadyState { superpose } => PackedAction {
            index: u32::from(superpose),
            ..plain(code::END_STEADY_STATE)
        },
    }
}

fn slot_word(slot: Option<u32>) -> u32 {
    slot.map_or(0, |slot| (slot + 1) << SLOT_SHIFT)
}
