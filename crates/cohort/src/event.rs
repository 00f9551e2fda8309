//! Primitive events and patient timelines: what a simulation executes.
//!
//! Times are in the model's time unit, amounts in coherent units (those of the state they
//! enter), already multiplied by bioavailability. Everything clinical (records, regimens)
//! is lowered to these few actions, so an engine needs to know nothing of dosing.

/// An amount or a rate, the same for every patient of the timeline or proportional to a
/// per-patient factor (body surface, weight, clearance).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// Coherent units; multiplied by the patient's entry of row `scale`, if there is one.
    pub value: f64,
    /// Row of [`Timelines::scales`].
    pub scale: Option<usize>,
    /// Slot whose value at the time multiplies: a dose level that a rule decides. A dose of level
    /// zero is not given and does not restart time after dose.
    pub slot: Option<usize>,
}

impl Amount {
    /// An amount that is the same for every patient.
    pub const fn fixed(value: f64) -> Self {
        Self {
            value,
            scale: None,
            slot: None,
        }
    }

    /// The same size with the opposite sign: the stop of an infusion.
    pub const fn negated(self) -> Self {
        Self {
            value: -self.value,
            scale: self.scale,
            slot: self.slot,
        }
    }
}

/// What happens at an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Adds an amount to the state that the input feeds.
    Bolus { input: usize, amount: Amount },
    /// Adds to the running infusion rate of an input; negative where an infusion stops.
    Rate { input: usize, change: Amount },
    /// States return to their initial values (from the current slots), infusions stop.
    Reset,
    /// A covariate, or a parameter that varies over time, takes a new value.
    SetSlot { slot: usize, value: f64 },
    /// Outputs are stored here.
    Record,
    /// The decision rule is evaluated here.
    Rule,
    /// Visit `number`: what is observed is measured here, with its error.
    Observe { number: u32 },
    /// The patient is put into the periodic steady state of `cycle`.
    SteadyState {
        /// `false` (SS = 1): the steady state replaces every state, and running infusions stop.
        /// `true` (SS = 2): what the steady state adds to the initial state is added to the
        /// present state, and running infusions continue.
        superpose: bool,
        /// Actions ([`Action::Bolus`] and [`Action::Rate`] only) at offsets from the start of
        /// the cycle, ascending, in `0..=period`. No infusion runs before the first. The rate
        /// changes of one cycle add up to zero, so an infusion that lasts over the end of the
        /// cycle is switched off at `period` and on again at 0.
        cycle: Vec<(f64, Vec<Action>)>,
        /// The cycle is repeated from the initial state until the state at its end no longer
        /// changes; that state (before the next cycle's actions) is the result, with the
        /// rates of the cycle switched off.
        period: f64,
    },
}

/// An action at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Model time unit.
    pub time: f64,
    pub action: Action,
    /// A dose starts here: time after dose and the step schedule start again from zero.
    pub dose: bool,
}

impl Event {
    /// An event that is not the start of a dose.
    pub const fn new(time: f64, action: Action) -> Self {
        Self {
            time,
            action,
            dose: false,
        }
    }

    /// The start of a dose.
    pub const fn dose(time: f64, action: Action) -> Self {
        Self {
            time,
            action,
            dose: true,
        }
    }
}

/// Actions at `from`, `from + every`, ... up to and including `until`, beside the listed events.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    pub every: f64,
    pub actions: Vec<Action>,
    pub from: f64,
    pub until: f64,
}

/// The events of a patient, by time; at equal times in the order of execution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    pub events: Vec<Event>,
    /// The simulation starts here (or at the first event, if that is earlier).
    pub start: f64,
    /// The simulation ends here; no event lies later.
    pub end: f64,
    /// At equal times, the repeated actions come after the listed events.
    pub repeat: Option<Repeat>,
}

/// Timelines of a cohort. Patients with equal events share one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timelines {
    /// Index into `timelines` for each patient.
    pub of_patient: Vec<u32>,
    pub timelines: Vec<Timeline>,
    /// `[scale][patient]`: factors of [`Amount::scale`].
    pub scales: Vec<Vec<f64>>,
}
