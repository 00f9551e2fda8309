//! Protocol arms on the device.
//!
//! A patient under a protocol is a small machine: a visit measures him, rules look at what was
//! measured, and a dose is given, delayed, reduced or left out. The machine's registers are further
//! slots of the patient, one rule block computes their next values at every visit, and every dose
//! that the regimen may give at a visit is multiplied by a register, so a whole arm is one timeline
//! and one launch, whatever happens to each patient.
//!
//! | register | what |
//! |---|---|
//! | `seen`, `fresh` | last measured value of an observable; whether it was measured at this visit |
//! | `cycle`, `since`, `waited` | cycles begun, visits since the last began, visits it waits |
//! | `level` | dose level of each input, relative to the regimen |
//! | `give` | what the doses of this visit are multiplied by |
//! | `stopped`, `reason` | treatment has ended, and why |

mod build;
mod cycle;
mod nodes;
mod registers;
mod rules;
#[cfg(test)]
mod tests;
mod treatment;

use posology_cohort::event::{Action, Event, Timeline};
use posology_cohort::{Cohort, Timelines};
use posology_model::Model;
use posology_model::diagnostic::Diagnostics;
use posology_sim::RuleSet;

pub(crate) use self::cycle::Cycle;
use self::cycle::Doses;
use crate::Trial;
use crate::design::{Arm, Visits};

/// Why treatment ended, as the register holds it.
pub mod reason {
    /// It did not, or every planned cycle was given.
    pub const NONE: u32 = 0;
    /// The patient left the trial.
    pub const DROPOUT: u32 = 1;
    /// Code of the protocol's first rule; the others follow.
    pub const FIRST_RULE: u32 = 2;
    /// What the code of a first rule means under a trained policy, which has none.
    pub const ENDED: &str = "the policy's treatment ended, by its task";
}

/// Slots of what is measured of one observable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    /// Last measured value, coherent.
    pub value: usize,
    /// 1 if it was measured at this visit.
    pub fresh: usize,
}

/// Slots of the course of treatment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Course {
    pub cycle: usize,
    /// Model time of the last start of a cycle.
    pub started_at: usize,
    pub stopped: usize,
    /// Model time; negative if it has not been stopped.
    pub stopped_at: usize,
    pub reason: usize,
    pub delays: usize,
    pub reductions: usize,
    /// Relative dose level per input of the model that is given.
    pub levels: Vec<(usize, usize)>,
    /// Sum of relative doses per input, in units of [`Cycle::weights`].
    pub totals: Vec<(usize, usize)>,
}

/// An arm's protocol, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The model with the registers as further covariates.
    pub model: Model,
    pub rules: RuleSet,
    pub seen: Vec<Seen>,
    pub course: Course,
    pub cycle: Option<Cycle>,
    /// Visits until the horizon.
    pub visits: u32,
    /// Between visits, model time.
    pub every: f64,
    /// (slot, value at the start), the same for all.
    starts: Vec<(usize, f64)>,
    /// Slot of the time at which the patient leaves.
    leaves: Option<usize>,
    /// (slot that keeps the patient's own value, parameter that varies between occasions)
    own: Vec<(usize, usize)>,
    levels: Vec<posology_cohort::regimen::Level>,
}

impl Machine {
    /// Compiles an arm.
    ///
    /// # Errors
    /// Rules that the model refuses, regimens that do not fit the visits.
    pub fn new(trial: &Trial, arm: &Arm, visits: &Visits) -> Result<Self, Diagnostics> {
        build::machine(trial, arm, visits)
    }

    /// The cohort with its registers; `leaves` are the times at which patients leave (model time).
    pub fn cohort(&self, cohort: &Cohort, leaves: &[f64]) -> Cohort {
        let n = cohort.len();
        let mut slots = cohort.slots.clone();
        slots.resize(self.model.slot_count(), Vec::new());
        for &(slot, value) in &self.starts {
            slots[slot] = vec![value; n];
        }
        for &(keep, parameter) in &self.own {
            slots[keep] = slots[parameter].clone();
        }
        if let Some(slot) = self.leaves {
            slots[slot] = leaves.to_vec();
        }
        Cohort {
            slots,
            ..cohort.clone()
        }
    }

    /// Times of the visits, model time.
    pub fn visit_times(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.visits).map(|visit| f64::from(visit) * self.every)
    }

    /// The timelines of a cohort (as [`Machine::cohort`] gives it) until `end`; a record at every
    /// visit if `record`.
    ///
    /// # Errors
    /// `T031` where lag or duration of a dose differ between patients, and what regimens say.
    pub fn timelines(
        &self,
        cohort: &Cohort,
        end: f64,
        record: bool,
    ) -> Result<Timelines, Diagnostics> {
        let Doses { doses, scales } = match &self.cycle {
            Some(cycle) => cycle.doses(&self.model, cohort)?,
            None => Doses::default(),
        };
        let last = self.cycle.as_ref().and_then(|cycle| cycle.last_visit);
        let mut events: Vec<Event> = Vec::new();
        for level in &self.levels {
            let set = Action::SetSlot {
                slot: level.slot,
                value: level.value,
            };
            events.push(Event::new(level.time, set));
        }
        for number in 0..self.visits {
            let time = f64::from(number) * self.every;
            if time > end {
                break;
            }
            events.push(Event::new(time, Action::Observe { number }));
            events.push(Event::new(time, Action::Rule));
            if record {
                events.push(Event::new(time, Action::Record));
            }
            if last.is_none_or(|last| number <= last) {
                let window = doses.iter().map(|(offset, event)| Event {
                    time: time + offset,
                    ..event.clone()
                });
                events.extend(window);
            }
        }
        // stable: levels of a time come first, then the visit, then its doses
        events.sort_by(|a, b| a.time.total_cmp(&b.time));
        events.retain(|event| event.time <= end);
        let mut timelines = Timelines::shared(cohort.len(), Timeline::new(events, end));
        timelines.scales = scales;
        Ok(timelines)
    }
}
