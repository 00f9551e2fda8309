//! From an arm to its machine.

use posology_model::Model;
use posology_model::diagnostic::Diagnostics;
use posology_model::graph::NodeId;
use posology_model::model::{Distribution, Origin, Scope};
use posology_model::program::Noise;
use posology_model::unit::Unit;
use posology_sim::RuleSet;
use posology_sim::outputs::noise;
use statrs::distribution::{ContinuousCDF, Normal};

use super::nodes::Nodes;
use super::registers::{Registers, slot};
use super::rules::{Decision, Triggers};
use super::{Course, Cycle, Machine, Seen};
use crate::Trial;
use crate::design::{Arm, Policy, Protocol, Visits};

/// Stands for a value that has not been measured yet in a minimum.
const UNSEEN: f64 = 1e30;

/// A measured observable while the machine is built: its values after this visit.
pub(super) struct Measured {
    pub name: String,
    pub unit: Unit,
    /// The model's node of what is measured.
    pub of: NodeId,
    pub fresh: NodeId,
    pub value: NodeId,
    pub baseline: NodeId,
    pub nadir: NodeId,
}

/// What the parts of the machine share.
pub(super) struct Builder {
    pub model: Model,
    pub registers: Registers,
    pub observe: Vec<(usize, NodeId, Option<Noise>)>,
    /// The patient is here and measured.
    pub present: NodeId,
    /// He has left the trial.
    pub left: NodeId,
    pub measured: Vec<Measured>,
}

pub(super) fn machine(trial: &Trial, arm: &Arm, visits: &Visits) -> Result<Machine, Diagnostics> {
    let mut builder = Builder::new(trial.model.clone());
    let leaves = builder.attendance(visits);
    let seen = builder.measure(visits);
    let scope = builder.scope();
    let mut cycle = match &arm.regimen {
        Some((regimen, origin)) => {
            Cycle::new(&trial.model, regimen, origin, visits.every, trial.horizon)?
        }
        None => None,
    };
    let protocol = arm.protocol.and_then(|index| trial.protocols.get(index));
    let count = (trial.horizon / visits.every * (1.0 + 1e-12)).floor() as u32 + 1;
    let (course, own, dose_slots) = builder.treatment(
        &scope,
        (protocol, arm.policy.as_ref()),
        cycle.as_mut(),
        visits,
        count,
    )?;
    builder.covariates(&scope, arm, visits)?;
    let rules = RuleSet {
        set: builder.registers.next,
        observe: builder.observe,
        dose_slots,
    };
    Ok(Machine {
        model: builder.model,
        rules,
        seen,
        course,
        cycle,
        visits: count,
        every: visits.every,
        starts: builder.registers.starts,
        leaves,
        own,
        levels: arm
            .regimen
            .as_ref()
            .map_or_else(Vec::new, |(regimen, _)| regimen.levels.clone()),
    })
}

impl Builder {
    fn new(mut model: Model) -> Self {
        let zero = model.graph.constant(0.0);
        Self {
            model,
            registers: Registers::new(),
            observe: Vec::new(),
            present: zero,
            left: zero,
            measured: Vec::new(),
        }
    }

    pub fn nodes(&mut self) -> Nodes<'_> {
        Nodes(&mut self.model.graph)
    }

    pub fn count(&mut self, name: &str, start: f64) -> (usize, NodeId) {
        let slot = self.registers.count(&mut self.model, name, start);
        (slot, Registers::node(&mut self.model, slot))
    }

    /// A standard normal number, drawn anew at every visit.
    pub fn chance(&mut self, name: &str) -> NodeId {
        let (slot, node) = self.count(name, 0.0);
        let zero = self.model.graph.constant(0.0);
        let unit = Noise {
            additive: 1f64.to_bits(),
            proportional: 0,
            lognormal: 0,
        };
        self.observe.push((slot, zero, Some(unit)));
        node
    }

    /// Who is there. Returns the slot of the time at which the patient leaves.
    fn attendance(&mut self, visits: &Visits) -> Option<usize> {
        let (visit, before) = self.count("visit_number", -1.0);
        let now = self.nodes().plus(before, 1.0);
        self.registers.set(visit, now);
        let later = self.nodes().at_least(now, 1.0);
        let missed = if visits.missed > 0.0 {
            let chance = self.chance("visit_chance");
            let mut nodes = self.nodes();
            let unlucky = nodes.below(chance, Normal::standard().inverse_cdf(visits.missed));
            nodes.both(unlucky, later)
        } else {
            self.nodes().number(0.0)
        };
        let leaves = (visits.dropout > 0.0).then(|| {
            let time = self.model.time_unit.clone();
            let slot = slot(&mut self.model, "leaves_at", &time);
            let mut nodes = self.nodes();
            let (now, end) = (nodes.time(), nodes.slot(slot));
            self.left = nodes.not_before(now, end);
            slot
        });
        let left = self.left;
        let mut nodes = self.nodes();
        let absent = nodes.either(missed, left);
        self.present = nodes.not(absent);
        leaves
    }

    fn measure(&mut self, visits: &Visits) -> Vec<Seen> {
        let mut seen = Vec::new();
        for observed in &visits.observed {
            let observable = self.model.observables[observed.observable].clone();
            let (name, unit) = (&observed.name, &observable.unit);
            let raw = self
                .registers
                .add(&mut self.model, &format!("{name}_raw"), unit, 0.0);
            let error = observable.error.filter(|_| observed.error);
            self.observe
                .push((raw, observable.node, error.as_ref().map(noise)));
            let (wait, waits) = self.count(&format!("{name}_wait"), 0.0);
            let add = |this: &mut Self, what: &str, start: f64| {
                let slot =
                    this.registers
                        .add(&mut this.model, &format!("{name}_{what}"), unit, start);
                (slot, Registers::node(&mut this.model, slot))
            };
            let (value, value_before) = add(self, "seen", 0.0);
            let (baseline, baseline_before) = add(self, "first", UNSEEN);
            let (nadir, nadir_before) = add(self, "lowest", UNSEEN);
            let (fresh, _) = self.count(&format!("{name}_fresh"), 0.0);
            let present = self.present;
            let mut nodes = self.nodes();
            let due = nodes.below(waits, 0.5);
            let again = nodes.number(f64::from(observed.every) - 1.0);
            let less = nodes.plus(waits, -1.0);
            let waits_next = nodes.pick(due, again, less);
            let fresh_now = nodes.both(due, present);
            let mut measured = nodes.slot(raw);
            if let Some(lloq) = observed.lloq {
                let limit = nodes.number(lloq);
                measured = nodes.larger(measured, limit);
            }
            let value_now = nodes.pick(fresh_now, measured, value_before);
            let unseen = nodes.above(baseline_before, 0.5 * UNSEEN);
            let first = nodes.both(unseen, fresh_now);
            let baseline_now = nodes.pick(first, measured, baseline_before);
            let lower = nodes.smaller(nadir_before, measured);
            let nadir_now = nodes.pick(fresh_now, lower, nadir_before);
            self.registers.set(wait, waits_next);
            self.registers.set(value, value_now);
            self.registers.set(fresh, fresh_now);
            self.registers.set(baseline, baseline_now);
            self.registers.set(nadir, nadir_now);
            seen.push(Seen { value, fresh });
            self.measured.push(Measured {
                name: name.clone(),
                unit: unit.clone(),
                of: observable.node,
                fresh: fresh_now,
                value: value_now,
                baseline: baseline_now,
                nadir: nadir_now,
            });
        }
        seen
    }

    /// What rules may use: measured values and covariates.
    fn scope(&mut self) -> Scope {
        let mut names: Vec<(String, Unit, NodeId)> = Vec::new();
        for m in &self.measured {
            names.push((m.name.clone(), m.unit.clone(), m.value));
            names.push((format!("{}_baseline", m.name), m.unit.clone(), m.baseline));
            names.push((format!("{}_nadir", m.name), m.unit.clone(), m.nadir));
        }
        let first = self.model.parameters.len();
        for (index, covariate) in self.model.covariates.clone().iter().enumerate() {
            let node = self.model.graph.slot(first + index);
            names.push((covariate.name.clone(), covariate.unit.clone(), node));
        }
        let names = names
            .iter()
            .map(|(name, unit, node)| (name.as_str(), unit.clone(), *node));
        self.model.scope_of(names)
    }

    /// Cycles, doses and their modification.
    fn treatment(
        &mut self,
        scope: &Scope,
        (protocol, policy): (Option<&Protocol>, Option<&Policy>),
        cycle: Option<&mut Cycle>,
        visits: &Visits,
        count: u32,
    ) -> Result<(Course, Vec<(usize, usize)>, Vec<usize>), Diagnostics> {
        let mut course = Course::default();
        let Some(cycle) = cycle else {
            return Ok((course, Vec::new(), Vec::new()));
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
        let mut triggers = match protocol {
            Some(protocol) => self.rules(scope, protocol, visits, &decision, &inputs)?,
            None => Triggers::none(self, &inputs),
        };
        if let Some((text, origin)) = policy.and_then(|policy| policy.hold.as_ref()) {
            let typed = self.model.scoped_expression(scope, text, origin)?;
            let mut nodes = self.nodes();
            let waits = nodes.both(typed.node, decision.at_start);
            triggers.hold = nodes.either(triggers.hold, waits);
        }
        let chosen = self.chosen(scope, policy, &inputs)?;
        let mut nodes = self.nodes();
        let stops = nodes.either(triggers.stop, left);
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
        Ok((course, own, dose_slots))
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

    /// The arm's own rule: new values of covariates.
    fn covariates(&mut self, scope: &Scope, arm: &Arm, visits: &Visits) -> Result<(), Diagnostics> {
        let Some(rule) = &arm.rule else { return Ok(()) };
        let every = (rule.every / visits.every).round().max(1.0);
        let (wait, waits) = self.count("rule_wait", 0.0);
        let mut nodes = self.nodes();
        let due = nodes.below(waits, 0.5);
        let again = nodes.number(every - 1.0);
        let less = nodes.plus(waits, -1.0);
        let next = nodes.pick(due, again, less);
        self.registers.set(wait, next);
        for (name, text) in &rule.text {
            let Some(slot) = self.model.slot_index(name) else {
                continue;
            };
            let origin = Origin::whole(&format!("rule of arm {}", arm.name), text);
            let typed = self.model.scoped_expression(scope, text, &origin)?;
            let present = self.present;
            let mut nodes = self.nodes();
            let decides = nodes.both(due, present);
            let before = nodes.slot(slot);
            let value = nodes.pick(decides, typed.node, before);
            self.registers.set(slot, value);
        }
        Ok(())
    }
}
