//! Treatment that is decided outside of the trial: what a clinician orders, patient by patient.
//!
//! A trained policy decides in the environment of its task. The trial asks it for the patients of a
//! piece, and turns its orders into events: the arm is then simulated and analysed like any other.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;

use posology_cohort::event::{Action, Amount, Event, Timeline, Timelines};
use posology_cohort::{Cohort, Regimen};
use posology_kernels::device::Device;
use posology_model::Model;
use posology_model::diagnostic::Diagnostics;

/// Times closer than this share of the interval between decisions are one instant.
const SAME_INSTANT: f64 = 1e-9;

/// What can be ordered, the same for all patients. Decisions are taken at 0, `every`, twice `every`
/// and so on (model time).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orders {
    /// Time between decisions, model time.
    pub every: f64,
    /// Decisions of one patient, at most.
    pub decisions: usize,
    /// What a decision gives.
    pub drugs: Vec<OrderedDrug>,
    /// Slots of the covariates that a decision sets.
    pub covariates: Vec<usize>,
}

/// How a drug is given after a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderedDrug {
    /// Index of the model's input.
    pub input: usize,
    /// Times after the decision, model time.
    pub at: Vec<f64>,
    /// Duration of the infusion; none for a bolus.
    pub over: Option<f64>,
}

/// What was ordered for some patients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ordered {
    /// `[patient]` decisions taken; nothing is given after the last, and covariates stay.
    pub decisions: Vec<u32>,
    /// `[patient]` treatment ended before all decisions were taken.
    pub ended: Vec<bool>,
    /// `[drug][decision][patient]` amount that enters the state at each time of the drug.
    pub amounts: Vec<Vec<Vec<f64>>>,
    /// `[covariate][decision][patient]`, coherent units.
    pub values: Vec<Vec<Vec<f64>>>,
}

/// Decides for the arms that say so in the trial file.
pub trait Clinician: Debug + Send + Sync {
    /// What it can order in an arm; `None` if it does not treat that arm.
    fn orders(&self, arm: &str) -> Option<Orders>;

    /// Treats patients (with the slots of the trial's model) in an arm. What a patient gets depends
    /// on his parameters, his id and the seed only.
    ///
    /// # Errors
    /// Whatever keeps it from deciding.
    fn treat(
        &self,
        device: &Device,
        arm: &str,
        patients: &Cohort,
        seed: u64,
    ) -> Result<Ordered, Box<dyn Error + Send + Sync>>;
}

impl Orders {
    /// Times of the decisions, model time.
    pub fn times(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.decisions).map(|decision| decision as f64 * self.every)
    }
}

impl Ordered {
    /// Decisions end when patients leave, and with follow-up.
    pub(super) fn until(&mut self, orders: &Orders, leaves: &[f64], horizon: f64) {
        for ((decisions, ended), leave) in
            self.decisions.iter_mut().zip(&mut self.ended).zip(leaves)
        {
            let end = leave.min(horizon);
            let taken = orders.times().take_while(|&time| time < end).count() as u32;
            // whose decisions outlast his observation was treated to its end
            *ended = *ended && *decisions <= taken;
            *decisions = (*decisions).min(taken);
        }
    }

    /// Amount of a drug at a decision; 0 where none was taken.
    fn amount(&self, drug: usize, decision: usize, patient: usize) -> f64 {
        if decision < self.decisions[patient] as usize {
            self.amounts[drug][decision][patient]
        } else {
            0.0
        }
    }

    /// Events of these orders beside those of `base`. Patients who are given something at the same
    /// decisions share a timeline; how much is a factor of each.
    pub(super) fn timelines(&self, orders: &Orders, base: &Timelines) -> Timelines {
        let mut out = Timelines {
            scales: base.scales.clone(),
            ..Timelines::default()
        };
        let first = out.scales.len();
        let n = self.decisions.len();
        for drug in 0..orders.drugs.len() {
            for decision in 0..orders.decisions {
                let row = (0..n).map(|p| self.amount(drug, decision, p));
                out.scales.push(row.collect());
            }
        }
        let mut known: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
        for p in 0..n {
            let key = self.pattern(orders, base.of_patient[p], p);
            let next = out.timelines.len() as u32;
            let at = *known.entry(key).or_insert(next);
            if at == next {
                let own = &base.timelines[base.of_patient[p] as usize];
                out.timelines.push(self.timeline(orders, own, first, p));
            }
            out.of_patient.push(at);
        }
        out
    }

    /// What tells the timelines of two patients apart.
    fn pattern(&self, orders: &Orders, base: u32, p: usize) -> Vec<u64> {
        let mut key = vec![u64::from(base), u64::from(self.decisions[p])];
        for drug in 0..orders.drugs.len() {
            let given = |decision| u64::from(self.amount(drug, decision, p) > 0.0);
            key.extend((0..orders.decisions).map(given));
        }
        let taken = self.decisions[p] as usize;
        for values in &self.values {
            key.extend(values.iter().take(taken).map(|row| row[p].to_bits()));
        }
        key
    }

    /// `first` is the row of factors of the first drug's first decision.
    fn timeline(&self, orders: &Orders, base: &Timeline, first: usize, p: usize) -> Timeline {
        let mut events = base.events.clone();
        let taken = self.decisions[p] as usize;
        for (decision, time) in orders.times().enumerate().take(taken) {
            // a decision at a visit happens at that very instant
            let near = |event: &&Event| (event.time - time).abs() <= SAME_INSTANT * orders.every;
            let time = base
                .events
                .iter()
                .find(near)
                .map_or(time, |event| event.time);
            for (values, &slot) in self.values.iter().zip(&orders.covariates) {
                let value = values[decision][p];
                if decision == 0 || values[decision - 1][p] != value {
                    events.push(Event::new(time, Action::SetSlot { slot, value }));
                }
            }
            for (k, drug) in orders.drugs.iter().enumerate() {
                if self.amount(k, decision, p) <= 0.0 {
                    continue;
                }
                let scale = Some(first + k * orders.decisions + decision);
                let (input, slot) = (drug.input, None);
                for at in &drug.at {
                    let from = time + at;
                    let Some(over) = drug.over else {
                        let value = 1.0;
                        let amount = Amount { value, scale, slot };
                        events.push(Event::dose(from, Action::Bolus { input, amount }));
                        continue;
                    };
                    let value = 1.0 / over;
                    let change = Amount { value, scale, slot };
                    events.push(Event::dose(from, Action::Rate { input, change }));
                    let change = change.negated();
                    events.push(Event::new(from + over, Action::Rate { input, change }));
                }
            }
        }
        // stable: the visit measures before the decision that it serves
        events.sort_by(|a, b| a.time.total_cmp(&b.time));
        events.retain(|event| event.time <= base.end);
        Timeline {
            events,
            ..base.clone()
        }
    }

    /// `[drug][patient * decisions + decision]` amounts given each time, in the input's unit.
    ///
    /// # Errors
    /// Patients to whom the model gives no dose.
    pub(super) fn given(
        &self,
        orders: &Orders,
        model: &Model,
        people: &Cohort,
        refuse: impl Fn(String) -> Diagnostics,
    ) -> Result<Vec<Vec<f64>>, Diagnostics> {
        let mut out = Vec::new();
        for (k, drug) in orders.drugs.iter().enumerate() {
            let entering = posology_cohort::regimen::entering(model, people, drug.input);
            let entering = entering.map_err(&refuse)?;
            let unit = model.units.scale(&model.inputs[drug.input].unit);
            let row = entering.iter().enumerate().flat_map(|(p, entering)| {
                let per = entering * unit;
                (0..orders.decisions).map(move |decision| match self.amount(k, decision, p) {
                    amount if amount > 0.0 => amount / per,
                    _ => 0.0,
                })
            });
            out.push(row.collect());
        }
        Ok(out)
    }
}

/// Cycles that a regimen plans until `horizon` (model time).
pub(super) fn cycles(regimen: &Regimen, horizon: f64) -> f64 {
    let Some(first) = regimen.series.first() else {
        return 1.0;
    };
    match first.cycles {
        Some(cycles) => f64::from(cycles),
        None if first.every > 0.0 => {
            let until = first.until.map_or(horizon, |until| until.min(horizon));
            ((until - first.start) / first.every * (1.0 - SAME_INSTANT))
                .max(0.0)
                .floor()
                + 1.0
        }
        None => 1.0,
    }
}
