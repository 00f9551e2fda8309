//! A regimen cut at the visits: what each visit of a cycle may give.

use std::collections::BTreeSet;

use posology_cohort::event::{Action, Amount, Event};
use posology_cohort::{Cohort, Regimen};
use posology_model::Model;
use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Origin;

/// Times closer than this share of the interval between visits are one instant.
const SAME_INSTANT: f64 = 1e-9;

/// Doses of one input that are given at the same visits of a cycle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub input: usize,
    /// Visits of the cycle, counted from its start.
    pub visits: BTreeSet<u32>,
    /// Coherent amount given at one such visit, per unit of the patient's factor.
    pub weight: f64,
}

/// One dose event of a visit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    /// Position in the first cycle's events.
    event: usize,
    /// After the visit, model time.
    offset: f64,
    group: usize,
}

/// What a visit may give.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doses {
    /// (time after the visit, event)
    pub doses: Vec<(f64, Event)>,
    /// Rows of the patients' factors.
    pub scales: Vec<Vec<f64>>,
}

/// The cycle of a regimen.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    /// Visits per cycle.
    pub length: u32,
    /// Planned number of cycles; `None`: to the end of the trial.
    pub cycles: Option<u32>,
    pub groups: Vec<Group>,
    /// Slot of each group's level, set by the machine.
    pub slots: Vec<usize>,
    /// No dose is due at later visits.
    pub last_visit: Option<u32>,
    parts: Vec<Part>,
    once: Regimen,
    end: f64,
    origin: Origin,
    events: usize,
}

fn misfit(origin: &Origin, message: impl Into<String>, help: &str) -> Diagnostics {
    origin.place().error("T030", message).help(help).into()
}

impl Cycle {
    /// Cuts `regimen` at visits `every` apart; `None` if it gives no doses.
    ///
    /// # Errors
    /// `T030` where its cycles, or an infusion, do not fit the visits.
    pub fn new(
        model: &Model,
        regimen: &Regimen,
        origin: &Origin,
        every: f64,
        horizon: f64,
    ) -> Result<Option<Self>, Diagnostics> {
        let Some(first) = regimen.series.first() else {
            return Ok(None);
        };
        let same = |a: f64, b: f64| (a - b).abs() <= SAME_INSTANT * every;
        let single = first.every == 0.0;
        let period = if single { horizon } else { first.every };
        let alike = |series: &posology_cohort::regimen::Series| {
            same(series.every, first.every)
                && series.cycles == first.cycles
                && series.until == first.until
        };
        if !regimen.series.iter().all(alike) {
            return Err(misfit(
                origin,
                "the drugs of this regimen have cycles of different length or number",
                "under [visits] all drugs of an arm share one cycle: give them the same `every` and the same number of cycles",
            ));
        }
        let length = (period / every).round().max(1.0);
        if !single && !same(length * every, period) {
            return Err(misfit(
                origin,
                format!(
                    "a cycle of {} visits does not begin at a visit",
                    period / every
                ),
                "make the cycle a multiple of [visits] every, or see patients more often",
            ));
        }
        if let Some(late) = regimen
            .series
            .iter()
            .find(|series| series.start >= period * (1.0 - SAME_INSTANT))
        {
            return Err(misfit(
                origin,
                format!(
                    "a course begins {} after the start, beyond the first cycle",
                    late.start
                ),
                "under [visits] every course begins in the first cycle",
            ));
        }
        let cycles = if single {
            Some(1)
        } else {
            let until =
                |until: f64| ((until - first.start) / first.every + SAME_INSTANT).floor() + 1.0;
            let limit = first.until.map(|limit| until(limit).max(0.0) as u32);
            match (first.cycles, limit) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        };
        let mut once = regimen.clone();
        once.levels.clear();
        for series in &mut once.series {
            series.cycles = Some(1);
            series.until = None;
        }
        let end = period * (1.0 - SAME_INSTANT);
        let mut cycle = Self {
            length: if single { u32::MAX } else { length as u32 },
            cycles,
            groups: Vec::new(),
            slots: Vec::new(),
            last_visit: None,
            parts: Vec::new(),
            once,
            end,
            origin: origin.clone(),
            events: 0,
        };
        let (events, _) = cycle.first_cycle(model, &Cohort::typical(model, 1))?;
        cycle.group(&events, every)?;
        Ok(Some(cycle))
    }

    /// The events of the first cycle, the same for all patients but for their factors.
    fn first_cycle(
        &self,
        model: &Model,
        cohort: &Cohort,
    ) -> Result<(Vec<Event>, Vec<Vec<f64>>), Diagnostics> {
        let lines = self.once.timelines(model, cohort, self.end, &self.origin)?;
        let [line] = &lines.timelines[..] else {
            let finding: Diagnostic = self.origin.place().error(
                "T031",
                "lag or duration of these doses differ between patients",
            );
            return Err(finding
                .help("doses under [visits] are given at the same times after a visit to all: give the infusion a length (`over 1 h`)")
                .into());
        };
        Ok((line.events.clone(), lines.scales))
    }

    fn group(&mut self, events: &[Event], every: f64) -> Result<(), Diagnostics> {
        // equal doses at several visits of the cycle are one event of the visit
        let mut kinds: Vec<(f64, usize, Amount, bool, BTreeSet<u32>, usize)> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let (input, amount, bolus) = match event.action {
                Action::Bolus { input, amount } => (input, amount, true),
                Action::Rate { input, change } => (input, change, false),
                _ => continue,
            };
            let visit = ((event.time / every + SAME_INSTANT).floor()).max(0.0);
            let offset = (event.time - visit * every).max(0.0);
            let known = kinds.iter_mut().find(|(at, of, value, is_bolus, ..)| {
                (at - offset).abs() <= SAME_INSTANT * every
                    && *of == input
                    && *is_bolus == bolus
                    && *value == amount
            });
            match known {
                Some((.., visits, _)) => {
                    visits.insert(visit as u32);
                }
                None => {
                    let visits = BTreeSet::from([visit as u32]);
                    kinds.push((offset, input, amount, bolus, visits, index));
                }
            }
        }
        let mut open: Vec<f64> = Vec::new();
        for (offset, input, amount, bolus, visits, index) in kinds {
            let known = self
                .groups
                .iter()
                .position(|group| group.input == input && group.visits == visits);
            let group = known.unwrap_or_else(|| {
                self.groups.push(Group {
                    input,
                    visits,
                    weight: 0.0,
                });
                open.push(0.0);
                self.groups.len() - 1
            });
            if bolus {
                self.groups[group].weight += amount.value;
            } else {
                open[group] += amount.value;
                // a rate that stops at `offset` gave so much
                self.groups[group].weight -= amount.value * offset;
            }
            self.parts.push(Part {
                event: index,
                offset,
                group,
            });
        }
        let largest = events.iter().filter_map(|event| match event.action {
            Action::Rate { change, .. } => Some(change.value.abs()),
            _ => None,
        });
        let largest = largest.fold(0.0, f64::max);
        if open.iter().any(|rest| rest.abs() > 1e-9 * largest) {
            return Err(misfit(
                &self.origin,
                "an infusion does not end before the next visit",
                "shorten the infusion or lengthen [visits] every",
            ));
        }
        self.parts.sort_by(|a, b| a.offset.total_cmp(&b.offset));
        self.events = events.len();
        Ok(())
    }

    /// The doses of one visit: (time after it, event), and the rows of factors.
    ///
    /// # Errors
    /// As [`posology_cohort::Regimen::timelines`]; `T031` where doses differ in time.
    pub fn doses(&self, model: &Model, cohort: &Cohort) -> Result<Doses, Diagnostics> {
        let (events, scales) = self.first_cycle(model, cohort)?;
        debug_assert_eq!(events.len(), self.events);
        let levelled = |amount: Amount, group: usize| Amount {
            slot: self.slots.get(group).copied(),
            ..amount
        };
        let doses = self
            .parts
            .iter()
            .filter_map(|part| {
                let event = events.get(part.event)?;
                let action = match event.action {
                    Action::Bolus { input, amount } => Action::Bolus {
                        input,
                        amount: levelled(amount, part.group),
                    },
                    Action::Rate { input, change } => Action::Rate {
                        input,
                        change: levelled(change, part.group),
                    },
                    ref other => other.clone(),
                };
                Some((
                    part.offset,
                    Event {
                        action,
                        ..event.clone()
                    },
                ))
            })
            .collect();
        Ok(Doses { doses, scales })
    }

    /// Planned amount of an input over one cycle, in the units of [`Group::weight`].
    pub fn planned(&self, input: usize) -> f64 {
        self.groups
            .iter()
            .filter(|group| group.input == input)
            .map(|group| group.weight * group.visits.len() as f64)
            .sum()
    }

    /// Inputs that are given, ascending.
    pub fn inputs(&self) -> Vec<usize> {
        let inputs: BTreeSet<usize> = self.groups.iter().map(|group| group.input).collect();
        inputs.into_iter().collect()
    }
}
