//! What happens to a patient, as functions of time: infusion rates, slots that change, time after dose.

use posology_cohort::{Action, Timelines};
use posology_model::Model;

use super::InformedError;

/// One patient's course without jumps of states after its start.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    pub start: f64,
    /// (state, amount) of boluses at the start.
    pub given: Vec<(usize, f64)>,
    /// (time, input, change of its rate)
    rates: Vec<(f64, usize, f64)>,
    /// (time, slot, new value)
    pub slots: Vec<(f64, usize, f64)>,
    doses: Vec<f64>,
}

impl Schedule {
    /// Refuses what a smooth function of time cannot follow.
    pub fn of(model: &Model, timelines: &Timelines, patient: usize) -> Result<Self, InformedError> {
        let refused = |time, what| InformedError::Event {
            patient,
            time,
            what,
        };
        let at = timelines.of_patient.get(patient).copied();
        let timeline = at.and_then(|at| timelines.timelines.get(at as usize));
        let Some(timeline) = timeline else {
            return Err(refused(0.0, "no timeline"));
        };
        let first = timeline.events.first().map(|event| event.time);
        let start = timeline.start.min(first.unwrap_or(timeline.start));
        let mut found = Self {
            start,
            ..Self::default()
        };
        if let Some(repeat) = &timeline.repeat
            && repeat.actions.iter().any(|a| *a != Action::Record)
        {
            return Err(refused(repeat.from, "repeated actions"));
        }
        for event in &timeline.events {
            let time = event.time;
            if event.dose {
                found.doses.push(time);
            }
            match &event.action {
                Action::Bolus { amount, .. } | Action::Rate { change: amount, .. }
                    if amount.slot.is_some() =>
                {
                    return Err(refused(time, "a dose that a rule decides"));
                }
                Action::Bolus { input, amount } if time <= start => {
                    let state = model.inputs.get(*input).map(|input| input.into);
                    let amount = timelines.amount(patient, *amount);
                    found.given.extend(state.map(|state| (state, amount)));
                }
                Action::Bolus { .. } => return Err(refused(time, "a bolus")),
                Action::Rate { input, change } => {
                    let change = timelines.amount(patient, *change);
                    found.rates.push((time, *input, change));
                }
                Action::SetSlot { slot, value } => found.slots.push((time, *slot, *value)),
                Action::Record => {}
                Action::Reset if time <= start => {}
                Action::Reset => return Err(refused(time, "a reset")),
                Action::Rule | Action::Observe { .. } => return Err(refused(time, "a protocol")),
                Action::SteadyState { .. } => return Err(refused(time, "a steady state (SS)")),
            }
        }
        Ok(found)
    }

    /// Running rate of `input`; at an event, the one after it.
    pub fn rate(&self, input: usize, time: f64) -> f64 {
        let changes = self.rates.iter().filter(|r| r.0 <= time && r.1 == input);
        changes.map(|r| r.2).sum()
    }

    /// What `slot` holds if it changed before.
    pub fn slot(&self, slot: usize, time: f64) -> Option<f64> {
        let mut changes = self.slots.iter().filter(|s| s.0 <= time && s.1 == slot);
        changes.next_back().map(|s| s.2)
    }

    /// Time after the last dose, or after the start.
    pub fn tad(&self, time: f64) -> f64 {
        let last = self.doses.iter().rev().find(|dose| **dose <= time);
        time - last.copied().unwrap_or(self.start)
    }
}
