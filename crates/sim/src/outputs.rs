//! Which outputs a run keeps, and the units they are reported in.

use posology_model::Model;
use posology_model::graph::NodeId;
use posology_model::model::{Direction, ResidualError, SummaryKind};
use posology_model::program::{AccumulatorRequest, Equations, Noise, Program, Request};

/// One output: a name, the unit it is shown in, and coherent units per shown unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub unit: String,
    /// A coherent value is divided by this.
    pub scale: f64,
}

/// A decision rule: new values of slots, evaluated at `Rule` events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    /// (slot, expression)
    pub set: Vec<(usize, NodeId)>,
    /// (slot, what it is a measurement of, its error), at `Observe` events.
    pub observe: Vec<(usize, NodeId, Option<Noise>)>,
    /// Slots that doses are multiplied by.
    pub dose_slots: Vec<usize>,
}

/// The outputs of a run.
#[derive(Clone, Debug, Default)]
pub struct OutputPlan {
    /// Stored at every record.
    pub records: Vec<Column>,
    /// One number per patient.
    pub summaries: Vec<Column>,
    /// (time, summary): values kept at a given time.
    pub latches: Vec<(f64, usize)>,
    /// Position in `summaries` of each toxicity's worst grade, with its name.
    pub grades: Vec<(String, usize)>,
    request: Request,
}

impl OutputPlan {
    /// Nothing but final states.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every observable at record times (with residual error as further columns `*_obs` where
    /// `observed`), every summary, and the worst value and grade of every toxicity.
    pub fn of_model(model: &Model, observed: bool) -> Self {
        let mut plan = Self::default();
        plan.all_observables(model, observed);
        plan.all_summaries(model);
        plan.all_toxicities(model);
        plan
    }

    /// Add an expression stored at record times.
    pub fn record(&mut self, column: Column, node: NodeId, noise: Option<Noise>) {
        self.records.push(column);
        self.request.records.push((node, noise));
    }

    /// Add an accumulated number; returns its position.
    pub fn summary(&mut self, column: Column, request: AccumulatorRequest) -> usize {
        self.summaries.push(column);
        self.request.accumulators.push(request);
        self.summaries.len() - 1
    }

    /// Every state at record times.
    pub fn all_states(&mut self, model: &mut Model) {
        for i in 0..model.states.len() {
            let node = model.graph.state(i);
            let state = &model.states[i];
            let column = column(model, &state.name, &state.unit);
            self.record(column, node, None);
        }
    }

    /// Every observable at record times.
    pub fn all_observables(&mut self, model: &Model, observed: bool) {
        for observable in &model.observables {
            let shown = column(model, &observable.name, &observable.unit);
            self.record(shown.clone(), observable.node, None);
            if let Some(error) = observable.error.filter(|_| observed) {
                let name = format!("{}_obs", observable.name);
                self.record(
                    Column { name, ..shown },
                    observable.node,
                    Some(noise(&error)),
                );
            }
        }
    }

    /// Every summary that the model declares.
    pub fn all_summaries(&mut self, model: &Model) {
        for summary in &model.summaries {
            let request = match summary.kind {
                SummaryKind::Min(node) => AccumulatorRequest::Min(node),
                SummaryKind::Max(node) => AccumulatorRequest::Max(node),
                SummaryKind::Integral(node) => AccumulatorRequest::Integral(node),
                SummaryKind::TimeAbove { margin } => AccumulatorRequest::TimeWhile(margin),
                SummaryKind::FirstTime { margin } => AccumulatorRequest::FirstTime(margin),
                SummaryKind::Last(node) => AccumulatorRequest::Last(node),
                SummaryKind::At { node, .. } => AccumulatorRequest::Latch(node),
            };
            let at = self.summary(column(model, &summary.name, &summary.unit), request);
            if let SummaryKind::At { time, .. } = summary.kind {
                self.latches.push((time, at));
            }
        }
    }

    /// The worst value and the worst grade of every toxicity that the model declares.
    pub fn all_toxicities(&mut self, model: &Model) {
        for toxicity in &model.toxicities {
            let below = toxicity.direction == Direction::Below;
            let worst = if below {
                AccumulatorRequest::Min(toxicity.node)
            } else {
                AccumulatorRequest::Max(toxicity.node)
            };
            let name = format!("{}_worst", toxicity.name);
            let of = self.summary(
                Column {
                    name,
                    ..column(model, "", &toxicity.unit)
                },
                worst,
            );
            let grade = AccumulatorRequest::Grade {
                of,
                below,
                thresholds: toxicity.thresholds.clone(),
                grades: toxicity.grades.clone(),
            };
            let shown = Column {
                name: format!("{}_grade", toxicity.name),
                unit: "1".to_owned(),
                scale: 1.0,
            };
            let at = self.summary(shown, grade);
            self.grades.push((toxicity.name.clone(), at));
        }
    }

    /// Lower the model for this plan.
    pub fn program(&self, model: &Model, rules: &RuleSet, varying: bool) -> Program {
        let init: Vec<NodeId> = model.states.iter().map(|state| state.init).collect();
        let rates: Vec<NodeId> = model.states.iter().map(|state| state.rate).collect();
        let signed: Vec<bool> = model.states.iter().map(|state| state.signed).collect();
        let equations = Equations {
            graph: &model.graph,
            init: &init,
            rates: &rates,
            signed: &signed,
            n_slots: model.slot_count(),
            n_inputs: model.inputs.len(),
        };
        let request = Request {
            rules: rules.set.clone(),
            observations: rules.observe.clone(),
            dose_slots: rules.dose_slots.clone(),
            varying,
            ..self.request.clone()
        };
        Program::lower(&equations, &request)
    }
}

/// A column for a quantity of the model shown in `unit`.
pub fn column(model: &Model, name: &str, unit: &posology_model::unit::Unit) -> Column {
    Column {
        name: name.to_owned(),
        unit: unit.text().to_owned(),
        scale: model.units.scale(unit),
    }
}

/// The error of a measurement as programs hold it.
pub fn noise(error: &ResidualError) -> Noise {
    Noise {
        additive: error.additive.to_bits(),
        proportional: error.proportional.to_bits(),
        lognormal: error.lognormal.to_bits(),
    }
}
