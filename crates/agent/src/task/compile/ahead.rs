//! What is drawn and what is looked at ahead: weights, hazards, the look-ahead shield.

use posology_kernels::environment::{Foreseen, Hazard};
use posology_model::file::Text;
use posology_model::graph::NodeId;
use posology_model::program::AccumulatorRequest;
use posology_model::unit::{Dimension, Unit};
use posology_sim::outputs::{Column, OutputPlan, RuleSet};

use super::super::read::{self, TaskFile, WatchKind};
use super::super::{LookAhead, Parts};
use super::Compiler;

impl Compiler<'_> {
    /// A weight that is drawn for every episode: from where to where, and its slot. The policy sees
    /// where it lies, from -1 to 1.
    pub(super) fn drawn_weight(
        &mut self,
        name: &Text,
        range: &read::DrawnWeight,
        features: &mut Vec<(String, NodeId)>,
    ) -> Option<((f64, f64), Option<usize>)> {
        let (from, to) = (range.from.as_ref()?.value, range.to.as_ref()?.value);
        let at = range.at.as_ref().map(|at| at.value);
        let inside = at.is_none_or(|at| (from..=to).contains(&at));
        if !(from < to && from.is_finite() && to.is_finite() && inside) {
            let message = "a weight is drawn `from` a number `to` a larger one; `at` lies between";
            self.found.push(range.place.error("K008", message));
            return None;
        }
        let register = format!("{}_weight", name.value);
        let slot = self.register(name, &register, &Unit::one(), "drawn weight")?;
        let graph = &mut self.model.graph;
        let (value, middle) = (graph.slot(slot), graph.constant(0.5 * (from + to)));
        let half = graph.constant(0.5 * (to - from));
        let centred = graph.sub(value, middle);
        let node = graph.div(centred, half);
        features.push((format!("weight of {}", name.value), node));
        let weight = at.map_or((from, to), |at| (at, at));
        Some((weight, Some(slot)))
    }

    /// An end that is drawn: its integral over an interval is watched.
    pub(super) fn hazard(
        &mut self,
        name: &Text,
        text: &Text,
        truncates: bool,
        parts: &mut Parts,
        plan: &mut OutputPlan,
    ) -> Option<()> {
        let typed = self.typed(text, false)?;
        if !typed.dimension.times(Dimension::TIME).is_none() {
            let found = self.model.units.describe(typed.dimension);
            let finding = text.error("K002", format!("a hazard is per time, it is in {found}"));
            self.found
                .push(finding.help("such as `0.1[1/d] * max(0, SLD/SLD0 - 1)`"));
            return None;
        }
        let one = Unit::one();
        let register = format!("{}_hazard", name.value);
        let slot = self.register(name, &register, &one, "over the last interval")?;
        let now = format!("{}_now", name.value);
        let struck = self.register(name, &now, &one, "whether it has just struck")?;
        let column = Column {
            name: register,
            unit: one.text().to_owned(),
            scale: 1.0,
        };
        plan.summary(column, AccumulatorRequest::Integral(typed.node));
        parts.watch_slots.push(slot);
        parts.hazards.push(Hazard {
            slot,
            struck,
            truncates,
        });
        Some(())
    }

    /// The shields that look ahead: one program for all of them.
    pub(super) fn look_ahead(&mut self, file: &TaskFile, rules: &RuleSet) -> Option<LookAhead> {
        let mut plan = OutputPlan::none();
        let mut foreseen = Vec::new();
        let mut oracles = Vec::new();
        for (factor, (_, action)) in file.actions.iter().enumerate() {
            let Some(look) = &action.look_ahead else {
                continue;
            };
            if action.levels.is_none() {
                let message = "a look-ahead forbids levels, and this action is a fraction";
                self.found.push(look.place.error("K013", message));
                continue;
            }
            foreseen.extend(self.foreseen(factor, look, &mut plan));
            oracles.push(match look.twin.as_ref().map(|text| text.value.as_str()) {
                None | Some("typical") => false,
                Some("oracle") => true,
                Some(_) => {
                    let message = "the twin is `typical` or `oracle`";
                    self.found.push(look.place.error("K013", message));
                    false
                }
            });
        }
        if foreseen.is_empty() {
            return None;
        }
        if oracles.windows(2).any(|pair| pair[0] != pair[1]) {
            let looks = file
                .actions
                .iter()
                .filter_map(|(_, a)| a.look_ahead.as_ref());
            for look in looks.take(1) {
                let message = "all look-aheads of a task ask the same twin";
                self.found.push(look.place.error("K013", message));
            }
        }
        let twin = RuleSet {
            dose_slots: rules.dose_slots.clone(),
            ..RuleSet::default()
        };
        Some(LookAhead {
            program: plan.program(&self.model, &twin, true),
            rules: foreseen,
            oracle: oracles.contains(&true),
        })
    }

    fn foreseen(
        &mut self,
        factor: usize,
        look: &read::LookAhead,
        plan: &mut OutputPlan,
    ) -> Option<Foreseen> {
        let (Some((kind, text)), Some(within), Some(limit)) =
            (&look.kind, &look.within, &look.limit)
        else {
            return None;
        };
        let within_time = self.duration(within)?;
        let intervals = (within_time / self.every).round();
        if intervals < 1.0 || (intervals * self.every / within_time - 1.0).abs() > 1e-9 {
            let finding = within.error("K007", "a look-ahead ends at a decision");
            self.found
                .push(finding.help("a multiple of `every` of [decisions]"));
            return None;
        }
        let (request, dimension) = self.watched(*kind, text)?;
        let limit = self.quantity(limit, dimension, "the limit")?;
        let column = Column {
            name: "foreseen".to_owned(),
            unit: self.model.units.coherent_unit(dimension).text().to_owned(),
            scale: 1.0,
        };
        Some(Foreseen {
            factor,
            accumulator: plan.summary(column, request),
            intervals: intervals as u32,
            limit: limit.to_bits(),
            below: *kind == WatchKind::Min,
        })
    }

    /// What is accumulated of an expression, and its dimension.
    pub(super) fn watched(
        &mut self,
        kind: WatchKind,
        text: &Text,
    ) -> Option<(AccumulatorRequest, Dimension)> {
        let time = Dimension::TIME;
        match kind {
            WatchKind::Min | WatchKind::Max | WatchKind::Integral => {
                let typed = self.typed(text, false)?;
                let (node, own) = (typed.node, typed.dimension);
                Some(match kind {
                    WatchKind::Min => (AccumulatorRequest::Min(node), own),
                    WatchKind::Max => (AccumulatorRequest::Max(node), own),
                    _ => (AccumulatorRequest::Integral(node), own.times(time)),
                })
            }
            WatchKind::TimeWhile | WatchKind::FirstTime => {
                let margin = self.model.condition(&text.value, &text.origin);
                let margin = self.take(margin)?;
                Some(match kind {
                    WatchKind::TimeWhile => (AccumulatorRequest::TimeWhile(margin), time),
                    _ => (AccumulatorRequest::FirstTime(margin), time),
                })
            }
        }
    }
}
