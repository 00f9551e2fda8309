//! Cycles, doses and what modifies them.

use posology_model::diagnostic::Diagnostics;
use posology_model::graph::NodeId;
use posology_model::model::{Distribution, Origin, Scope};

use super::build::Builder;
use super::registers::{Registers, slot};
use super::rules::{Decision, Triggers};
use super::{Course, Cycle};
use crate::design::{Policy, Protocol, Visits};

/// What treatment adds to the machine.
#[derive(Default)]
pub(super) struct Treatment {
    pub course: Course,
    /// (slot that keeps the patient's own value, parameter that varies between occasions)
    pub own: Vec<(usize, usize)>,
    pub dose_slots: Vec<usize>,
}

impl Builder {
    /// Cycles, doses and their modification.
    pub(super) fn treatment(
        &mut self,
        scope: &Scope,
        (protocol, policy): (Option<&Protocol>, Option<&Policy>),
        cycle: Option<&mut Cycle>,
        visits: &Visits,
        count: u32,
    ) -> Result<Treatment, Diagnostics> {
        let mut course = Course::default();
        let Some(cycle) = cycle else {
            return Ok(Treatment::default());
        };
        let time = self.model.time_unit.clone();
        let never = f64::from(count) + 1.0;
        let length = if cycle.length == u32::MAX {
            never
        } else {
            f64::from(cycle.length)
        };
        let (cycle_slot, begun) = self.count("cycle", 0.0);
        let (since_slot, since) = self.count("since_cycle", length);
        let (waited_slot, waited) = self.count("waited", 0.0);
        let (skipped_slot, skipped) = self.count("cycle_skipped", 0.0);
        let (stopped_slot, stopped) = self.count("stopped", 0.0);
        let (reason_slot, reason) = self.count("stop_reason", 0.0);
        let (delays_slot, delays) = self.count("delays", 0.0);
        let (reductions_slot, reductions) = self.count("reductions", 0.0);
        let started_slot = self
            .registers
            .add(&mut self.model, "cycle_start", &time, 0.0);
        let stopped_at_slot = self
            .registers
            .add(&mut self.model, "stopped_at", &time, -1.0);
        let (started_at, stopped_at) = (
            Registers::node(&mut self.model, started_slot),
            Registers::node(&mut self.model, stopped_at_slot),
        );
        let (present, left) = (self.present, self.left);
        let mut nodes = self.nodes();
        let on = nodes.not(stopped);
        let passed = nodes.plus(since, 1.0);
        let due = nodes.at_least(passed, length);
        let remaining = match cycle.cycles {
            Some(most) => nodes.below(begun, f64::from(most) - 0.5),
            None => nodes.number(1.0),
        };
        let decision = nodes.all(&[due, remaining, present, on]);
        let under_way = nodes.at_least(begun, 1.0);
        let decision = Decision {
            at_start: decision,
            present: nodes.both(present, on),
            under_way: nodes.all(&[present, on, under_way]),
            passed,
            waited,
            due,
        };
        let inputs = cycle.inputs();
        let hold = match policy.and_then(|policy| policy.hold.as_ref()) {
            Some((text, origin)) => {
                let typed = self.model.scoped_expression(scope, text, origin)?;
                self.nodes().both(typed.node, decision.at_start)
            }
            None => self.nodes().number(0.0),
        };
        let triggers = match protocol {
            Some(protocol) => self.rules(scope, protocol, visits, &decision, &inputs, hold)?,
            None => Triggers::none(self, &inputs, hold),
        };
        let chosen = self.chosen(scope, policy, &inputs)?;
        let mut nodes = self.nodes();
        // who has had the whole course cannot stop it any more
        let more = nodes.not(due);
        let unfinished = nodes.either(remaining, more);
        let stops = nodes.either(triggers.stop, left);
        let stops = nodes.both(stops, unfinished);
        let stopped_now = nodes.either(stopped, stops);
        let going = nodes.not(stopped_now);
        let waits = nodes.not(triggers.hold);
        let start = nodes.all(&[decision.at_start, going, waits]);
        let first_hold = nodes.below(waited, 0.5);
        let holds = nodes.all(&[decision.at_start, going, triggers.hold]);
        let newly = nodes.both(holds, first_hold);
        let zero = nodes.number(0.0);
        let now = nodes.time();
        let begun_now = nodes.add(begun, start);
        let since_now = nodes.pick(start, zero, passed);
        let waited_more = nodes.add(waited, holds);
        let waited_now = nodes.pick(start, zero, waited_more);
        let skipped_now = nodes.pick(start, triggers.skip_cycle, skipped);
        let dropout = nodes.number(f64::from(super::reason::DROPOUT));
        let because = nodes.pick(triggers.stop, triggers.reason, dropout);
        let newly_stopped = nodes.both(stops, on);
        let reason_now = nodes.pick(newly_stopped, because, reason);
        let stopped_at_now = nodes.pick(newly_stopped, now, stopped_at);
        let started_now = nodes.pick(start, now, started_at);
        let delays_now = nodes.add(delays, newly);
        let reductions_now = nodes.add(reductions, triggers.reduced);
        let started = nodes.at_least(begun_now, 1.0);
        let whole = nodes.not(skipped_now);
        let today = nodes.not(triggers.skip_day);
        let giving = nodes.all(&[present, going, started, whole, today]);
        let mut levels = Vec::new();
        for (&input, &factor) in inputs.iter().zip(&triggers.factors) {
            let (slot, level) = self.count("dose_level", 1.0);
            let level = self.nodes().times(level, factor);
            self.registers.set(slot, level);
            course.levels.push((input, slot));
            levels.push(level);
        }
        let mut totals: Vec<NodeId> = Vec::new();
        for &input in &inputs {
            let (slot, total) = self.count("dose_total", 0.0);
            course.totals.push((input, slot));
            totals.push(total);
        }
        let mut dose_slots = Vec::new();
        for group in &cycle.groups {
            let at = inputs
                .iter()
                .position(|&input| input == group.input)
                .unwrap_or(0);
            let (slot, _) = self.count("give", 0.0);
            let mut nodes = self.nodes();
            let days: Vec<NodeId> = group
                .visits
                .iter()
                .map(|&visit| nodes.is(since_now, f64::from(visit)))
                .collect();
            let day = nodes.any(&days);
            let gives = nodes.both(day, giving);
            let zero = nodes.number(0.0);
            let level = match chosen[at] {
                Some(policy) => nodes.times(levels[at], policy),
                None => levels[at],
            };
            let give = nodes.pick(gives, level, zero);
            let weight = nodes.number(group.weight);
            let given = nodes.times(give, weight);
            totals[at] = nodes.add(totals[at], given);
            self.registers.set(slot, give);
            dose_slots.push(slot);
        }
        for (&(_, slot), &total) in course.totals.iter().zip(&totals) {
            self.registers.set(slot, total);
        }
        for (slot, value) in [
            (cycle_slot, begun_now),
            (since_slot, since_now),
            (waited_slot, waited_now),
            (skipped_slot, skipped_now),
            (stopped_slot, stopped_now),
            (reason_slot, reason_now),
            (stopped_at_slot, stopped_at_now),
            (started_slot, started_now),
            (delays_slot, delays_now),
            (reductions_slot, reductions_now),
        ] {
            self.registers.set(slot, value);
        }
        triggers.reset(self, start);
        let own = self.occasions(start)?;
        cycle.slots.clone_from(&dose_slots);
        let limit = protocol.map_or(Some(0.0), |protocol| {
            super::rules::longest_delay(protocol, visits)
        });
        cycle.last_visit = match (cycle.cycles, limit) {
            // a missed visit shifts what is due
            (Some(most), Some(limit))
                if visits.missed == 0.0
                    && cycle.length != u32::MAX
                    && policy.is_none_or(|policy| policy.hold.is_none()) =>
            {
                Some((f64::from(most) * (f64::from(cycle.length) + limit)) as u32)
            }
            _ => None,
        };
        course.cycle = cycle_slot;
        course.started_at = started_slot;
        course.stopped = stopped_slot;
        course.stopped_at = stopped_at_slot;
        course.reason = reason_slot;
        course.delays = delays_slot;
        course.reductions = reductions_slot;
        Ok(Treatment {
            course,
            own,
            dose_slots,
        })
    }

    /// The level that a policy chooses for each input, if it decides about it.
    fn chosen(
        &mut self,
        scope: &Scope,
        policy: Option<&Policy>,
        inputs: &[usize],
    ) -> Result<Vec<Option<NodeId>>, Diagnostics> {
        let Some(policy) = policy else {
            return Ok(vec![None; inputs.len()]);
        };
        let mut chosen = Vec::new();
        for input in inputs {
            let level = policy.levels.iter().find(|(known, ..)| known == input);
            chosen.push(match level {
                None => None,
                Some((_, text, origin)) => {
                    let typed = self.model.scoped_expression(scope, text, origin)?;
                    let mut nodes = self.nodes();
                    let (low, high) =
                        (nodes.number(policy.bounds.0), nodes.number(policy.bounds.1));
                    let least = nodes.larger(typed.node, low);
                    Some(nodes.smaller(least, high))
                }
            });
        }
        Ok(chosen)
    }

    /// Parameters that vary between occasions take a new value with every cycle.
    fn occasions(&mut self, start: NodeId) -> Result<Vec<(usize, usize)>, Diagnostics> {
        let mut own = Vec::new();
        for (index, parameter) in self.model.parameters.clone().iter().enumerate() {
            let Some(iov) = parameter.iov else { continue };
            if iov.distribution != Distribution::LogNormal || parameter.bounds.is_some() {
                let origin = Origin::whole(self.model.source.name(), "");
                let message = format!(
                    "parameter `{}` varies between occasions within bounds or not log-normally",
                    parameter.name
                );
                let finding = origin.place().error("T032", message);
                return Err(finding
                    .help("under [visits] a parameter can vary between occasions log-normally and without bounds")
                    .into());
            }
            let unit = parameter.unit.clone();
            let keep = slot(
                &mut self.model,
                &format!("{}_own", parameter.name.replace(['[', ']', ','], "_")),
                &unit,
            );
            let chance = self.chance("occasion_chance");
            let deviation = iov.omega2.sqrt();
            let mut nodes = self.nodes();
            let (mine, present) = (nodes.slot(keep), nodes.slot(index));
            let deviation = nodes.number(deviation);
            let eta = nodes.times(deviation, chance);
            let factor = nodes.exp(eta);
            let drawn = nodes.times(mine, factor);
            let value = nodes.pick(start, drawn, present);
            self.registers.set(index, value);
            own.push((keep, index));
        }
        Ok(own)
    }
}
