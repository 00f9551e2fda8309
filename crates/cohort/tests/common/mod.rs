//! Executes the timelines of `pk.toml` exactly: between events the equations have a closed form.
//! What is tested is the lowering of records to events; no integrator is involved.

use posology_cohort::{Action, Cohort, Dataset, Replay, Timelines};
use posology_model::model::Model;

pub fn model() -> Model {
    let text = include_str!("../pk.toml");
    Model::parse("pk.toml", text, None).unwrap_or_else(|found| panic!("{}", found.render(false)))
}

#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// depot, central, moles
    amounts: [f64; 3],
    /// Running rates of oral, iv, molar, which lead into these states.
    rates: [f64; 3],
}

pub struct Executor<'a> {
    model: &'a Model,
    timelines: &'a Timelines,
    patient: usize,
    slots: Vec<f64>,
}

impl<'a> Executor<'a> {
    pub fn new(
        model: &'a Model,
        cohort: &Cohort,
        timelines: &'a Timelines,
        patient: usize,
    ) -> Self {
        Self {
            model,
            timelines,
            patient,
            slots: cohort.patient(patient),
        }
    }

    fn slot(&self, name: &str) -> f64 {
        self.slots[self.model.slot_index(name).expect("slot")]
    }

    /// depot' = -ka depot + r0; central' = ka depot - k central + r1; moles' = -k moles + r2
    fn advance(&self, state: &mut State, dt: f64) {
        let (ka, k) = (self.slot("KA"), self.slot("CL") / self.slot("V"));
        let ([depot, central, moles], [r0, r1, r2]) = (state.amounts, state.rates);
        let (ea, e) = ((-ka * dt).exp(), (-k * dt).exp());
        state.amounts = [
            depot * ea + r0 / ka * (1.0 - ea),
            central * e + (r0 + r1) / k * (1.0 - e) + (ka * depot - r0) * (e - ea) / (ka - k),
            moles * e + r2 / k * (1.0 - e),
        ];
    }

    fn apply(&self, state: &mut State, action: &Action) {
        match *action {
            Action::Bolus { input, amount } => {
                state.amounts[input] += self.timelines.amount(self.patient, amount)
            }
            Action::Rate { input, change } => {
                state.rates[input] += self.timelines.amount(self.patient, change)
            }
            _ => panic!("not part of a cycle: {action:?}"),
        }
    }

    fn steady(&self, cycle: &[(f64, Vec<Action>)], period: f64) -> State {
        let mut state = State::default();
        for _ in 0..20_000 {
            let before = state.amounts;
            let mut at = 0.0;
            for (offset, actions) in cycle {
                self.advance(&mut state, offset - at);
                at = *offset;
                actions
                    .iter()
                    .for_each(|action| self.apply(&mut state, action));
            }
            self.advance(&mut state, period - at);
            assert!(
                state.rates.iter().all(|rate| rate.abs() < 1e-9),
                "the cycle leaves infusions running"
            );
            state.rates = [0.0; 3];
            let change = before
                .iter()
                .zip(state.amounts)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            if change <= 1e-13 * state.amounts.iter().fold(0.0, |a: f64, b| a.max(*b)) {
                break;
            }
        }
        state
    }

    /// Concentrations (cp, molar_cp) at the records.
    pub fn run(mut self) -> Vec<[f64; 2]> {
        let timeline = self.timelines.timeline(self.patient).expect("timeline");
        let mut state = State::default();
        let mut now = timeline.start;
        let mut out = Vec::new();
        for event in &timeline.events {
            assert!(event.time >= now, "events must not go back: {event:?}");
            assert!(event.time <= timeline.end);
            self.advance(&mut state, event.time - now);
            now = event.time;
            match &event.action {
                Action::Reset => state = State::default(),
                Action::SetSlot { slot, value } => self.slots[*slot] = *value,
                Action::Record => out.push([
                    state.amounts[1] / self.slot("V"),
                    state.amounts[2] / self.slot("V"),
                ]),
                Action::Rule => {}
                Action::SteadyState {
                    superpose,
                    cycle,
                    period,
                } => {
                    let steady = self.steady(cycle, *period);
                    if *superpose {
                        state
                            .amounts
                            .iter_mut()
                            .zip(steady.amounts)
                            .for_each(|(a, b)| *a += b);
                    } else {
                        state = steady;
                    }
                }
                action => self.apply(&mut state, action),
            }
        }
        out
    }
}

/// PRED of every record of an event table, in the order of the file.
pub fn predict(model: &Model, dataset: &Dataset, replay: &Replay) -> Vec<f64> {
    let mut out = vec![f64::NAN; dataset.record_count()];
    for (lane, records) in replay.records.iter().enumerate() {
        let values = Executor::new(model, &replay.cohort, &replay.timelines, lane).run();
        assert_eq!(values.len(), records.len());
        for (&record, value) in records.iter().zip(values) {
            out[record] = value[replay.observables[record]];
        }
    }
    out
}
