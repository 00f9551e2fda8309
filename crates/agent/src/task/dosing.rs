//! From actions to the doses and steps of one decision interval.

use posology_cohort::event::{Action as Cause, Amount, Event, Timeline as Events};
use posology_kernels::timeline::{Action, Timeline};
use posology_model::Model;
use posology_sim::rows;

/// A drug's doses within an interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Doses {
    /// Index of the model's input.
    pub input: usize,
    /// Slot of the amount: coherent units of the state that the input feeds.
    pub slot: usize,
    /// Times within the interval, model time unit.
    pub at: Vec<f64>,
    /// Duration of the infusion; none for a bolus.
    pub over: Option<f64>,
}

/// The rows of one interval of length `every`.
pub(super) fn interval(model: &Model, doses: &[Doses], every: f64) -> Timeline {
    let mut events = Vec::new();
    for drug in doses {
        for &time in &drug.at {
            let amount = |value| Amount {
                value,
                scale: None,
                slot: Some(drug.slot),
            };
            let input = drug.input;
            match drug.over {
                Some(over) => {
                    let change = amount(1.0 / over);
                    events.push(Event::dose(time, Cause::Rate { input, change }));
                    let change = change.negated();
                    events.push(Event::new(time + over, Cause::Rate { input, change }));
                }
                None => {
                    let amount = amount(1.0);
                    events.push(Event::dose(time, Cause::Bolus { input, amount }));
                }
            }
        }
    }
    events.sort_by(|a, b| a.time.total_cmp(&b.time));
    let events = Events {
        events,
        start: 0.0,
        end: every,
        repeat: None,
    };
    let targets: Vec<usize> = model.inputs.iter().map(|input| input.into).collect();
    let mut timeline = rows::lower(&events, &model.step, &targets, &[]);
    // an interval begins wherever the one before it ended
    for row in &mut timeline.rows {
        row.actions
            .retain(|action| !matches!(action, Action::Clock { .. } | Action::Reset));
    }
    timeline
}
