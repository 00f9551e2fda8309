//! What is simulated for an arm: its model, its outputs, its treatment.

use posology_cohort::event::Timelines;
use posology_cohort::{Cohort, Regimen};
use posology_model::Model;
use posology_model::graph::NodeId;
use posology_model::model::Direction;
use posology_model::program::AccumulatorRequest;
use posology_sim::outputs::column;
use posology_sim::{Column, OutputPlan, RuleSet};

use super::clinician::{Clinician, Ordered, Orders};
use super::{Stage, TrialError};
use crate::Trial;
use crate::design::{Arm, Endpoint, EndpointKind};
use crate::protocol::Machine;

/// An arm, ready to be simulated for any part of the cohort.
#[derive(Clone, Debug)]
pub(super) struct ArmPlan<'t> {
    pub trial: &'t Trial,
    pub arm: &'t Arm,
    pub machine: Option<Machine>,
    pub model: Model,
    pub rules: RuleSet,
    /// What a clinician can order, where one decides.
    pub orders: Option<Orders>,
    /// Endpoints that the device keeps, until the end of follow-up.
    pub direct: Vec<usize>,
}

/// Positions of what the outputs of a run hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Endpoint of each of the first summaries.
    pub endpoints: Vec<usize>,
    /// (worst, grade) of each toxicity.
    pub toxicities: Vec<(usize, usize)>,
    /// cycles, delays, reductions, started, stopped at, stopped, reason, then totals per input.
    pub course: Vec<usize>,
    /// Records: (seen, fresh) of each observed, then levels.
    pub seen: Vec<(usize, usize)>,
    pub level: Option<usize>,
}

fn raw(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        unit: "1".to_owned(),
        scale: 1.0,
    }
}

impl<'t> ArmPlan<'t> {
    pub fn new(
        trial: &'t Trial,
        arm: &'t Arm,
        clinician: Option<&dyn Clinician>,
    ) -> Result<Self, TrialError> {
        let orders = match &arm.trained {
            Some(policy) => {
                let orders = clinician.and_then(|clinician| clinician.orders(&arm.name));
                Some(orders.ok_or_else(|| TrialError::Clinician {
                    arm: arm.name.clone(),
                    cause: format!("nobody decides by the policy {}", policy.file).into(),
                })?)
            }
            None => None,
        };
        let machine = match &trial.visits {
            Some(visits) => Some(Machine::new(trial, arm, visits)?),
            None => None,
        };
        let (model, rules) = match &machine {
            Some(machine) => (machine.model.clone(), machine.rules.clone()),
            None => (trial.model.clone(), super::arms::rules(arm)),
        };
        let direct = (0..trial.endpoints.len())
            .filter(|&e| {
                let endpoint = &trial.endpoints[e];
                endpoint.until.is_none() && request(endpoint, &trial.model).is_some()
            })
            .collect();
        Ok(Self {
            trial,
            arm,
            machine,
            model,
            rules,
            orders,
            direct,
        })
    }

    /// Outputs for the endpoints `chosen`; with everything else that is kept of a patient if `all`.
    /// The model returned is the one whose graph the outputs belong to.
    pub fn outputs(&self, chosen: &[usize], all: bool) -> (Model, OutputPlan, Layout) {
        let mut outputs = OutputPlan::none();
        let mut layout = Layout::default();
        let mut model = self.model.clone();
        for &e in chosen {
            let endpoint = &self.trial.endpoints[e];
            if let Some((wanted, time)) = request(endpoint, &model) {
                let shown = column(&model, &endpoint.name, &endpoint.unit);
                let at = outputs.summary(shown, wanted);
                layout.endpoints.push(e);
                outputs.latches.extend(time.map(|time| (time, at)));
            }
        }
        if !all {
            return (model, outputs, layout);
        }
        let before = outputs.grades.len();
        outputs.all_toxicities(&model);
        // the worst value stands before its grade
        layout.toxicities = outputs.grades[before..]
            .iter()
            .map(|(_, at)| (at - 1, *at))
            .collect();
        let Some(machine) = &self.machine else {
            return (model, outputs, layout);
        };
        let course = &machine.course;
        let mut keep = |outputs: &mut OutputPlan, slot: usize| {
            let node = model.graph.slot(slot);
            outputs.summary(raw("register"), AccumulatorRequest::Last(node))
        };
        if machine.cycle.is_some() {
            for slot in [
                course.cycle,
                course.delays,
                course.reductions,
                course.started_at,
                course.stopped_at,
                course.stopped,
                course.reason,
            ] {
                layout.course.push(keep(&mut outputs, slot));
            }
            for &(_, slot) in &course.totals {
                layout.course.push(keep(&mut outputs, slot));
            }
        }
        let record = |outputs: &mut OutputPlan, column: Column, node: NodeId| {
            outputs.record(column, node, None);
            outputs.records.len() - 1
        };
        for (k, seen) in machine.seen.iter().enumerate() {
            let observed = self
                .trial
                .visits
                .as_ref()
                .and_then(|visits| visits.observed.get(k));
            let Some(observed) = observed else { continue };
            let unit = model.observables[observed.observable].unit.clone();
            let shown = column(&model, &observed.name, &unit);
            let (value, fresh) = (model.graph.slot(seen.value), model.graph.slot(seen.fresh));
            let value = record(&mut outputs, shown, value);
            let fresh = record(&mut outputs, raw("fresh"), fresh);
            layout.seen.push((value, fresh));
        }
        let mut level = model.graph.constant(0.0);
        for &slot in &machine.rules.dose_slots {
            let give = model.graph.slot(slot);
            level = model
                .graph
                .binary(posology_model::graph::Binary::Max, level, give);
        }
        layout.level = Some(record(&mut outputs, raw("level"), level));
        (model, outputs, layout)
    }

    /// The cohort as the arm takes it.
    pub fn cohort(&self, cohort: &Cohort, leaves: &[f64]) -> Cohort {
        match &self.machine {
            Some(machine) => machine.cohort(cohort, leaves),
            None => cohort.clone(),
        }
    }

    /// What a clinician orders for patients, who leave at `leaves` (model time).
    pub fn ordered(
        &self,
        stage: &Stage<'_, '_>,
        people: &Cohort,
        leaves: &[f64],
    ) -> Result<Option<Ordered>, TrialError> {
        let (Some(orders), Some(clinician)) = (&self.orders, &stage.settings.clinician) else {
            return Ok(None);
        };
        let treated = clinician.treat(stage.device, &self.arm.name, people, stage.seed);
        let mut ordered = treated.map_err(|cause| TrialError::Clinician {
            arm: self.arm.name.clone(),
            cause,
        })?;
        ordered.until(orders, leaves, self.trial.horizon);
        Ok(Some(ordered))
    }

    /// What happens to a cohort (as [`ArmPlan::cohort`] gives it) until the end of follow-up.
    pub fn timelines(
        &self,
        cohort: &Cohort,
        record: bool,
        ordered: Option<&Ordered>,
    ) -> Result<Timelines, TrialError> {
        let end = self.trial.horizon;
        let timelines = match &self.machine {
            Some(machine) => machine.timelines(cohort, end, record)?,
            None => super::arms::timelines(self.trial, self.arm, cohort, end)?,
        };
        Ok(match (&self.orders, ordered) {
            (Some(orders), Some(ordered)) => ordered.timelines(orders, &timelines),
            _ => timelines,
        })
    }

    /// The regimen of the arm.
    pub fn regimen(&self) -> Option<&Regimen> {
        self.arm.regimen.as_ref().map(|(regimen, _)| regimen)
    }
}

/// What the device accumulates for an endpoint, and when it is latched.
fn request(endpoint: &Endpoint, model: &Model) -> Option<(AccumulatorRequest, Option<f64>)> {
    Some(match &endpoint.kind {
        EndpointKind::FirstTime(margin) | EndpointKind::Hazard { margin, .. } => {
            (AccumulatorRequest::FirstTime(*margin), None)
        }
        EndpointKind::Integral(node) | EndpointKind::Mean(node) => {
            (AccumulatorRequest::Integral(*node), None)
        }
        EndpointKind::Last(node) => (AccumulatorRequest::Last(*node), None),
        EndpointKind::Min(node) => (AccumulatorRequest::Min(*node), None),
        EndpointKind::Max(node) => (AccumulatorRequest::Max(*node), None),
        EndpointKind::At { node, time } | EndpointKind::Drawn { node, time } => {
            (AccumulatorRequest::Latch(*node), Some(*time))
        }
        EndpointKind::Toxicity { toxicity, node, .. } => {
            match model.toxicities.get(*toxicity)?.direction {
                Direction::Below => (AccumulatorRequest::Min(*node), None),
                Direction::Above => (AccumulatorRequest::Max(*node), None),
            }
        }
        _ => return None,
    })
}
