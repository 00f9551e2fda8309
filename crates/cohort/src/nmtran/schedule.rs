//! Dosing records of one patient to primitive events, with the order and the cancellations of
//! PREDPP (NONMEM Users Guide VI, chapter V; NONMEM help, "dose" and "ss dose").

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::event::{Action, Amount, Event, Timeline};

/// Events of one patient beyond which a data file is taken to be wrong.
pub(crate) const MOST_EVENTS: usize = 1_000_000;
/// Infusions that may run at once at steady state.
pub(crate) const MOST_OVERLAPS: f64 = 1000.0;

/// How the drug enters; amounts of the state, after bioavailability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    Bolus {
        amount: f64,
    },
    Infusion {
        rate: f64,
        duration: f64,
    },
    /// AMT = 0, RATE > 0, SS > 0: an infusion since ever that stops at the record.
    Constant {
        rate: f64,
    },
}

/// The SS item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steady {
    No,
    /// SS = 1.
    Replace,
    /// SS = 2.
    Superpose,
}

/// A dosing record with everything evaluated for its patient; times in model time units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Given {
    pub input: usize,
    pub shape: Shape,
    pub lag: f64,
    pub steady: Steady,
    pub interval: f64,
    pub additional: u32,
    /// Length of the cycle that stands for a constant infusion.
    pub constant_period: f64,
}

/// The patient has more events than [`MOST_EVENTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_EVENTS} events in one patient")]
pub(crate) struct TooManyEvents;

#[derive(Debug)]
enum Waiting {
    Act(Action, bool),
    /// Dose `number` of a record with additional doses; the record's own dose is number 0.
    Dose {
        given: Given,
        first_entry: f64,
        number: u32,
    },
}

#[derive(Debug)]
struct Pending {
    time: f64,
    order: u64,
    what: Waiting,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        self.time
            .total_cmp(&other.time)
            .then(self.order.cmp(&other.order))
    }
}

/// Walks through one patient's records in file order.
#[derive(Debug)]
pub(crate) struct Scheduler {
    events: Vec<Event>,
    pending: BinaryHeap<Reverse<Pending>>,
    order: u64,
    start: f64,
}

impl Scheduler {
    pub fn new(start: f64) -> Self {
        Self {
            events: Vec::new(),
            pending: BinaryHeap::new(),
            order: 0,
            start,
        }
    }

    fn push(&mut self, event: Event) -> Result<(), TooManyEvents> {
        if self.events.len() >= MOST_EVENTS {
            return Err(TooManyEvents);
        }
        self.events.push(event);
        Ok(())
    }

    fn wait(&mut self, time: f64, what: Waiting) {
        self.order += 1;
        self.pending.push(Reverse(Pending {
            time,
            order: self.order,
            what,
        }));
    }

    /// Carries out what is due up to and including `time`: PREDPP lets a lagged or additional
    /// dose take effect before a record of the same time.
    pub fn advance(&mut self, time: f64) -> Result<(), TooManyEvents> {
        while self
            .pending
            .peek()
            .is_some_and(|Reverse(next)| next.time <= time)
        {
            let Some(Reverse(due)) = self.pending.pop() else {
                break;
            };
            match due.what {
                Waiting::Act(action, dose) => self.push(Event {
                    time: due.time,
                    action,
                    dose,
                })?,
                Waiting::Dose {
                    given,
                    first_entry,
                    number,
                } => {
                    self.enter(due.time, &given)?;
                    self.wait_for_dose(given, first_entry, number + 1);
                }
            }
        }
        Ok(())
    }

    pub fn record(&mut self, time: f64) -> Result<(), TooManyEvents> {
        self.push(Event::new(time, Action::Record))
    }

    pub fn set_slot(&mut self, time: f64, slot: usize, value: f64) -> Result<(), TooManyEvents> {
        self.push(Event::new(time, Action::SetSlot { slot, value }))
    }

    /// EVID 3: initial state; running infusions, lagged and additional doses are cancelled.
    pub fn reset(&mut self, time: f64) -> Result<(), TooManyEvents> {
        self.pending.clear();
        self.push(Event::new(time, Action::Reset))
    }

    /// EVID 1, or 4 after [`Scheduler::reset`].
    pub fn dose(&mut self, time: f64, given: Given) -> Result<(), TooManyEvents> {
        if given.steady != Steady::No {
            if given.steady == Steady::Replace {
                self.pending.clear();
            }
            self.steady_state(time, &given)?;
        }
        if !matches!(given.shape, Shape::Constant { .. }) {
            self.wait_for_dose(given, time + given.lag, 0);
        }
        self.advance(time)
    }

    fn wait_for_dose(&mut self, given: Given, first_entry: f64, number: u32) {
        if number <= given.additional {
            let entry = first_entry + f64::from(number) * given.interval;
            self.wait(
                entry,
                Waiting::Dose {
                    given,
                    first_entry,
                    number,
                },
            );
        }
    }

    fn enter(&mut self, time: f64, given: &Given) -> Result<(), TooManyEvents> {
        let input = given.input;
        match given.shape {
            Shape::Bolus { amount } => {
                let amount = Amount::fixed(amount);
                self.push(Event::dose(time, Action::Bolus { input, amount }))
            }
            Shape::Infusion { rate, duration } => {
                let change = Amount::fixed(rate);
                self.wait(time + duration, stop(input, rate));
                self.push(Event::dose(time, Action::Rate { input, change }))
            }
            Shape::Constant { .. } => Ok(()),
        }
    }

    /// Steady state at the record, and the implied earlier doses that are not over by then.
    fn steady_state(&mut self, time: f64, given: &Given) -> Result<(), TooManyEvents> {
        let (cycle, period) = cycle_of(given);
        let superpose = given.steady == Steady::Superpose;
        self.push(Event::dose(
            time,
            Action::SteadyState {
                superpose,
                cycle,
                period,
            },
        ))?;
        let input = given.input;
        // implied dose k was given k intervals ago and entered, or enters, a lag later
        let mut k = 1.0;
        loop {
            let since_record = given.lag - k * given.interval;
            let lasts = match given.shape {
                Shape::Infusion { duration, .. } => duration,
                Shape::Bolus { .. } => 0.0,
                Shape::Constant { .. } => return Ok(()),
            };
            let over = if lasts > 0.0 {
                since_record + lasts <= 0.0
            } else {
                since_record < 0.0
            };
            if over || k > MOST_OVERLAPS {
                return Ok(());
            }
            match given.shape {
                Shape::Infusion { rate, .. } if since_record < 0.0 => {
                    self.wait(time + since_record + lasts, stop(input, rate));
                    let change = Amount::fixed(rate);
                    self.push(Event::new(time, Action::Rate { input, change }))?;
                }
                _ => {
                    let single = Given {
                        additional: 0,
                        ..*given
                    };
                    self.wait_for_dose(single, time + since_record, 0);
                }
            }
            k += 1.0;
        }
    }

    /// The timeline up to the last record; what would happen later is left out.
    pub fn finish(self, end: f64) -> Timeline {
        Timeline {
            events: self.events,
            start: self.start,
            end,
            repeat: None,
        }
    }
}

fn stop(input: usize, rate: f64) -> Waiting {
    Waiting::Act(
        Action::Rate {
            input,
            change: Amount::fixed(-rate),
        },
        false,
    )
}

/// The cycle of implied doses as it looks from the record's time: a lagged dose enters later
/// in the cycle, an infusion may run over the cycle's end.
fn cycle_of(given: &Given) -> (Vec<(f64, Vec<Action>)>, f64) {
    let input = given.input;
    let rate_change = |rate: f64| Action::Rate {
        input,
        change: Amount::fixed(rate),
    };
    let period = given.interval;
    match given.shape {
        Shape::Bolus { amount } => {
            let bolus = Action::Bolus {
                input,
                amount: Amount::fixed(amount),
            };
            (vec![(given.lag % period, vec![bolus])], period)
        }
        Shape::Constant { rate } => {
            let period = given.constant_period;
            (
                vec![
                    (0.0, vec![rate_change(rate)]),
                    (period, vec![rate_change(-rate)]),
                ],
                period,
            )
        }
        Shape::Infusion { rate, duration } => {
            let start = given.lag % period;
            let stop = (start + duration) % period;
            // infusions of earlier cycles that still run when the cycle begins
            let running = ((start + duration) / period).ceil() - 1.0;
            let mut changes = vec![(0.0, running), (start, 1.0)];
            let mut left = running + 1.0;
            if stop > 0.0 {
                changes.push((stop, -1.0));
                left -= 1.0;
            }
            changes.push((period, -left));
            changes.retain(|&(_, count)| count != 0.0);
            changes.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut cycle: Vec<(f64, Vec<Action>)> = Vec::new();
            for (offset, count) in changes {
                match cycle.last_mut().filter(|(at, _)| *at == offset) {
                    Some((_, actions)) => actions.push(rate_change(count * rate)),
                    None => cycle.push((offset, vec![rate_change(count * rate)])),
                }
            }
            (cycle, period)
        }
    }
}

#[cfg(test)]
mod tests;
