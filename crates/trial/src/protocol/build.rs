//! From an arm to its machine.

use posology_model::Model;
use posology_model::diagnostic::Diagnostics;
use posology_model::graph::NodeId;
use posology_model::model::{Origin, Scope};
use posology_model::program::Noise;
use posology_model::unit::Unit;
use posology_sim::RuleSet;
use posology_sim::outputs::noise;
use statrs::distribution::{ContinuousCDF, Normal};

use super::nodes::Nodes;
use super::registers::{Registers, slot};
use super::treatment::Treatment;
use super::{Cycle, Machine, Seen};
use crate::Trial;
use crate::design::{Arm, Visits};

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
    // a trained policy's doses are not those of the regimen
    let regimen = arm.regimen.as_ref().filter(|_| arm.trained.is_none());
    let mut cycle = match regimen {
        Some((regimen, origin)) => {
            Cycle::new(&trial.model, regimen, origin, visits.every, trial.horizon)?
        }
        None => None,
    };
    let protocol = arm.protocol.and_then(|index| trial.protocols.get(index));
    let count = (trial.horizon / visits.every * (1.0 + 1e-12)).floor() as u32 + 1;
    let Treatment {
        course,
        own,
        dose_slots,
    } = builder.treatment(
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
        levels: regimen.map_or_else(Vec::new, |(regimen, _)| regimen.levels.clone()),
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
