//! Dose modifications as nodes.

use posology_model::diagnostic::Diagnostics;
use posology_model::graph::{Binary, NodeId};
use posology_model::model::{Direction, Scope};

use super::build::Builder;
use super::nodes::Nodes;
use super::reason;
use crate::design::{Action, Condition, Protocol, Rule, Visits};

/// Where a patient stands when rules are looked at.
pub(super) struct Decision {
    /// The next cycle could begin now.
    pub at_start: NodeId,
    /// He is here and on treatment.
    pub present: NodeId,
    /// As `present`, and a cycle has begun.
    pub under_way: NodeId,
    /// Visits since the cycle began, this one included.
    pub passed: NodeId,
    /// Visits that the next cycle has waited.
    pub waited: NodeId,
    /// The next cycle is due.
    pub due: NodeId,
}

/// What the rules of a protocol ask for at a visit.
pub(super) struct Triggers {
    pub stop: NodeId,
    /// Code of the first rule that stops.
    pub reason: NodeId,
    pub hold: NodeId,
    pub skip_cycle: NodeId,
    pub skip_day: NodeId,
    /// 1 if any dose is reduced.
    pub reduced: NodeId,
    /// Per input.
    pub factors: Vec<NodeId>,
    /// (slot, value at this visit) of what is remembered until the next cycle begins.
    memory: Vec<(usize, NodeId)>,
    /// (slot, number, whether it happens with the start only)
    counts: Vec<(usize, NodeId, NodeId, bool)>,
}

impl Triggers {
    /// Nothing but what is held for another reason.
    pub fn none(builder: &mut Builder, inputs: &[usize], hold: NodeId) -> Self {
        let mut nodes = builder.nodes();
        let (no, one) = (nodes.number(0.0), nodes.number(1.0));
        Self {
            stop: no,
            reason: no,
            hold,
            skip_cycle: no,
            skip_day: no,
            reduced: no,
            factors: vec![one; inputs.len()],
            memory: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// A cycle begins: what was remembered is forgotten.
    pub fn reset(self, builder: &mut Builder, start: NodeId) {
        for (slot, value) in self.memory {
            let mut nodes = builder.nodes();
            let zero = nodes.number(0.0);
            let next = nodes.pick(start, zero, value);
            builder.registers.set(slot, next);
        }
        for (slot, count, happened, with_start) in self.counts {
            let mut nodes = builder.nodes();
            let happened = if with_start {
                nodes.both(happened, start)
            } else {
                happened
            };
            let next = nodes.add(count, happened);
            builder.registers.set(slot, next);
        }
    }

    fn stop(&mut self, nodes: &mut Nodes<'_>, when: NodeId, rule: usize) {
        let code = nodes.number(f64::from(reason::FIRST_RULE) + rule as f64);
        self.reason = nodes.pick(self.stop, self.reason, code);
        self.stop = nodes.either(self.stop, when);
    }

    fn reduce(&mut self, nodes: &mut Nodes<'_>, when: NodeId, share: f64, at: &[bool]) {
        let (one, less) = (nodes.number(1.0), nodes.number(1.0 - share));
        let factor = nodes.pick(when, less, one);
        for (known, &affected) in self.factors.iter_mut().zip(at) {
            if affected {
                *known = nodes.times(*known, factor);
            }
        }
        self.reduced = nodes.either(self.reduced, when);
    }
}

/// Visits that every cycle can wait at most; `None` if for ever.
pub(super) fn longest_delay(protocol: &Protocol, visits: &Visits) -> Option<f64> {
    let mut longest = 0.0f64;
    for action in protocol.rules.iter().flat_map(|rule| &rule.actions) {
        match action {
            Action::Delay { limit: None } => return None,
            Action::Delay { limit: Some(limit) } => {
                longest = longest.max((limit / visits.every).floor());
            }
            _ => {}
        }
    }
    Some(longest)
}

impl Builder {
    /// The rules of a protocol, beside what a policy `hold`s.
    pub(super) fn rules(
        &mut self,
        scope: &Scope,
        protocol: &Protocol,
        visits: &Visits,
        decision: &Decision,
        inputs: &[usize],
        hold: NodeId,
    ) -> Result<Triggers, Diagnostics> {
        let mut triggers = Triggers::none(self, inputs, hold);
        for (number, rule) in protocol.rules.iter().enumerate() {
            self.rule(scope, rule, number, visits, decision, inputs, &mut triggers)?;
        }
        // a reduction that goes with the start of a cycle waits with it
        let mut nodes = self.nodes();
        let waits = nodes.both(triggers.hold, decision.at_start);
        let goes = nodes.not(waits);
        let one = nodes.number(1.0);
        for factor in &mut triggers.factors {
            *factor = nodes.pick(goes, *factor, one);
        }
        triggers.reduced = nodes.both(triggers.reduced, goes);
        Ok(triggers)
    }

    /// The condition at this visit.
    fn holds(&mut self, scope: &Scope, condition: &Condition) -> Result<NodeId, Diagnostics> {
        match condition {
            Condition::Measured { text, origin } => {
                let typed = self.model.scoped_expression(scope, text, origin)?;
                Ok(typed.node)
            }
            Condition::Grade { toxicity, grade } => {
                let toxicity = self.model.toxicities[*toxicity].clone();
                let measured = self.measured.iter().find(|m| m.of == toxicity.node);
                let (value, fresh) = match measured {
                    Some(measured) => (measured.value, measured.fresh),
                    // refused when the file is read
                    None => return Ok(self.nodes().number(0.0)),
                };
                let at = toxicity.grades.iter().position(|known| known >= grade);
                let Some(&threshold) = at.and_then(|at| toxicity.thresholds.get(at)) else {
                    return Ok(self.nodes().number(0.0));
                };
                let compare = match toxicity.direction {
                    Direction::Below => Binary::Lt,
                    Direction::Above => Binary::Gt,
                };
                let graph = &mut self.model.graph;
                let threshold = graph.constant(threshold);
                let passed = graph.binary(compare, value, threshold);
                Ok(self.nodes().both(passed, fresh))
            }
        }
    }

    fn rule(
        &mut self,
        scope: &Scope,
        rule: &Rule,
        number: usize,
        visits: &Visits,
        decision: &Decision,
        inputs: &[usize],
        triggers: &mut Triggers,
    ) -> Result<(), Diagnostics> {
        let condition = self.holds(scope, &rule.condition)?;
        // how often it has happened, if that matters
        let counted = (rule.actions.len() > 1).then(|| self.count("times", 0.0));
        // (holds now, for what ends treatment; holds now, for what goes with the next cycle)
        let (at_once, at_start, day_visit) = match rule.day {
            None => {
                let (slot, before) = self.count("met", 0.0);
                let mut nodes = self.nodes();
                let here = nodes.both(condition, decision.present);
                let met = nodes.either(before, here);
                triggers.memory.push((slot, met));
                let at_start = nodes.both(met, decision.at_start);
                let at_once = nodes.both(met, decision.under_way);
                (at_once, at_start, None)
            }
            Some(1) => {
                let here = self.nodes().both(condition, decision.at_start);
                (here, here, None)
            }
            Some(day) => {
                let visit = self.visit_of_day(day, visits);
                let mut nodes = self.nodes();
                let on_day = nodes.is(decision.passed, visit);
                let within = nodes.not(decision.due);
                let here = nodes.all(&[condition, decision.under_way, on_day, within]);
                (here, here, Some(here))
            }
        };
        let last = rule.actions.len().saturating_sub(1);
        let mut happened = self.nodes().number(0.0);
        let mut with_start = false;
        for (k, action) in rule.actions.iter().enumerate() {
            let mut nodes = self.nodes();
            let turn = match counted {
                None => nodes.number(1.0),
                Some((_, count)) if k == last => nodes.at_least(count, k as f64),
                Some((_, count)) => nodes.is(count, k as f64),
            };
            let now = nodes.both(at_once, turn);
            let start = nodes.both(at_start, turn);
            match action {
                Action::Stop => {
                    triggers.stop(&mut nodes, now, number);
                    happened = nodes.either(happened, now);
                }
                Action::Delay { limit } => {
                    if let Some(limit) = limit {
                        let most = (limit / visits.every + 1e-9).floor();
                        let spent = nodes.at_least(decision.waited, most);
                        let beyond = nodes.both(start, spent);
                        triggers.stop(&mut nodes, beyond, number);
                    }
                    triggers.hold = nodes.either(triggers.hold, start);
                    let first = nodes.below(decision.waited, 0.5);
                    let begins = nodes.both(start, first);
                    happened = nodes.either(happened, begins);
                }
                Action::Skip => {
                    match day_visit {
                        Some(_) => triggers.skip_day = nodes.either(triggers.skip_day, now),
                        None => {
                            triggers.skip_cycle = nodes.either(triggers.skip_cycle, start);
                            with_start = true;
                        }
                    }
                    happened = nodes.either(happened, start);
                }
                Action::Reduce { share, input } => {
                    let at: Vec<bool> = inputs
                        .iter()
                        .map(|known| input.is_none_or(|wanted| wanted == *known))
                        .collect();
                    triggers.reduce(&mut nodes, start, *share, &at);
                    happened = nodes.either(happened, start);
                    with_start = day_visit.is_none();
                }
            }
        }
        if let Some((slot, count)) = counted {
            triggers.counts.push((slot, count, happened, with_start));
        }
        Ok(())
    }

    /// Visits from the start of a cycle to its day `day` (the first day is 1).
    fn visit_of_day(&self, day: u32, visits: &Visits) -> f64 {
        let a_day = posology_model::unit::Unit::parse("d")
            .map_or(1.0, |unit| self.model.units.scale(&unit));
        (f64::from(day.saturating_sub(1)) * a_day / visits.every).round()
    }
}
