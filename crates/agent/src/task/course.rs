//! The strongest course of a task, for what `posology simulate` also looks at before it runs:
//! whether the step is stable, and how far below zero a state may fall.

use posology_cohort::event::{Action as Cause, Amount, Event, Timeline as Events};
use posology_cohort::{Cohort, Timelines};
use posology_model::interpret::{Environment, Interpreter};
use posology_sim::SimError;
use posology_sim::outputs::{OutputPlan, RuleSet};
use posology_sim::run::{Simulation, state_floors};
use posology_sim::step::refuse_unstable;

use super::Task;
use crate::error::AgentError;

/// Patients that are looked at: the typical one and a drawn one, each with the most that may be
/// given and with nothing.
const DRAWN: usize = 1;
/// Steps of a course that are looked at.
const MOST_STEPS: u64 = 4_000;

impl Task {
    /// Lowest value of each state. The first call also sees that the step is stable along the
    /// strongest course.
    ///
    /// # Errors
    /// [`SimError::UnstableStep`], as of `posology simulate`.
    pub fn floors(&self) -> Result<Vec<f32>, AgentError> {
        if let Some(known) = self.looked_at.get() {
            return Ok(known.clone());
        }
        let found = self.look()?;
        Ok(self.looked_at.get_or_init(|| found).clone())
    }

    fn look(&self) -> Result<Vec<f32>, SimError> {
        let mut cohort = Cohort::typical(&self.model, 1);
        if !self.typical
            && let Ok(drawn) = Cohort::sample(&self.model, DRAWN, 0, 0)
        {
            for (row, more) in cohort.slots.iter_mut().zip(drawn.slots) {
                row.extend(more);
            }
            cohort.ids = (0..=DRAWN as u32).collect();
        }
        let patients = cohort.len();
        let both: Vec<usize> = (0..patients).chain(0..patients).collect();
        let mut cohort = cohort.select(&both);
        let mut timelines = Vec::with_capacity(both.len());
        for p in 0..both.len() {
            let given = p < patients;
            let (slots, events) = self.course(&cohort.patient(p), given);
            for (row, value) in cohort.slots.iter_mut().zip(slots) {
                row[p] = value;
            }
            timelines.push(events);
        }
        let timelines = Timelines {
            of_patient: (0..both.len() as u32).collect(),
            timelines,
            scales: Vec::new(),
        };
        let simulation = Simulation {
            model: &self.model,
            cohort: &cohort,
            timelines: &timelines,
            outputs: &OutputPlan::none(),
            rules: &RuleSet::default(),
        };
        refuse_unstable(&simulation, &self.model.step, both.len())?;
        state_floors(&simulation, &self.model.step)
    }

    /// A patient's slots, covariates that actions set included, and the events of his course with
    /// the largest or the least level of every action.
    fn course(&self, own: &[f64], most: bool) -> (Vec<f64>, Events) {
        let mut slots = own.to_vec();
        slots.resize(self.program.n_slots, 0.0);
        for factor in &self.parts.factors {
            let levels = (0..factor.levels.len()).map(|level| factor.value(level));
            let largest = levels.fold(f64::from_bits(factor.largest), f64::max);
            slots[factor.slot] = if most {
                largest
            } else {
                factor.value(factor.least())
            };
        }
        let environment = Environment {
            slots: &slots,
            ..Environment::default()
        };
        let mut given = Vec::new();
        Interpreter::default().run(&self.parts.act, &environment, &mut given);
        for (&slot, value) in self.parts.act_slots.iter().zip(given) {
            slots[slot] = value;
        }
        let steps = self.interval.step_count().max(1);
        let intervals = (MOST_STEPS / steps).clamp(1, self.spec.horizon.max(1) as u64);
        let mut events = Vec::new();
        for interval in 0..intervals {
            let begin = interval as f64 * self.every;
            for drug in &self.doses {
                let dose = slots[drug.slot];
                if dose <= 0.0 || !dose.is_finite() {
                    continue;
                }
                let input = drug.input;
                for &at in &drug.at {
                    let at = begin + at;
                    match drug.over {
                        Some(over) => {
                            let change = Amount::fixed(dose / over);
                            events.push(Event::dose(at, Cause::Rate { input, change }));
                            let change = change.negated();
                            events.push(Event::new(at + over, Cause::Rate { input, change }));
                        }
                        None => {
                            let amount = Amount::fixed(dose);
                            events.push(Event::dose(at, Cause::Bolus { input, amount }));
                        }
                    }
                }
            }
        }
        events.sort_by(|a, b| a.time.total_cmp(&b.time));
        let events = Events {
            events,
            start: 0.0,
            end: intervals as f64 * self.every,
            repeat: None,
        };
        slots.truncate(own.len());
        (slots, events)
    }
}
