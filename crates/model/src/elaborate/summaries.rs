//! Numbers per patient that are accumulated while integrating.

use super::Builder;
use super::evaluate::{Body, Type};
use super::index::Bindings;
use crate::file::{self, Place, SummaryVerb, Text};
use crate::graph::NodeId;
use crate::model::{Summary, SummaryKind};
use crate::unit::{Dimension, Unit, parse_quantity};

impl Builder {
    pub(super) fn summaries(&mut self, summaries: &[file::Summary]) {
        let names: Vec<&Text> = summaries.iter().map(|s| &s.name).collect();
        let (_, instances) = self.expand(&names, "a summary");
        let bodies: Vec<_> = summaries
            .iter()
            .map(|s| self.body(s.verb.as_ref().map(|(_, text)| text)))
            .collect();
        let units = self.units(summaries.iter().map(|s| s.unit.as_ref()));
        for instance in &instances {
            let written = &summaries[instance.definition];
            let Some(body) = &bodies[instance.definition] else {
                continue;
            };
            let Some((verb, _)) = &written.verb else {
                continue;
            };
            let declared = units[instance.definition].as_ref();
            let kind = self.summary(
                written,
                *verb,
                body,
                &instance.bindings,
                &instance.name,
                declared,
            );
            let (Some(kind), Some((unit, _))) = (kind, declared) else {
                continue;
            };
            let name = instance.name.clone();
            self.model.summaries.push(Summary {
                name,
                unit: unit.clone(),
                kind,
            });
        }
    }

    fn summary(
        &mut self,
        written: &file::Summary,
        verb: SummaryVerb,
        body: &Body,
        bindings: &Bindings,
        name: &str,
        declared: Option<&(Unit, Place)>,
    ) -> Option<SummaryKind> {
        let what = format!("summary `{name}`");
        let place = declared.map(|(_, place)| place);
        let unit = declared.map(|(unit, _)| unit.dimension());
        let time = Dimension::TIME;
        if matches!(
            verb,
            SummaryVerb::TimeAbove | SummaryVerb::TimeBelow | SummaryVerb::FirstTime
        ) && let (Some(unit), Some(place)) = (unit, place)
            && unit != time
        {
            let system = &self.symbols.system;
            let message = format!("{what} is a time, its unit is {}", system.describe(unit));
            self.report(place.error("M204", message));
        }
        if verb == SummaryVerb::FirstTime {
            let mut evaluator = self.evaluator(&body.origin, None);
            evaluator.bindings.clone_from(bindings);
            let value = evaluator.margin(&body.tree, true);
            return (value.of != Type::Failed)
                .then_some(SummaryKind::FirstTime { margin: value.node });
        }
        if matches!(verb, SummaryVerb::TimeAbove | SummaryVerb::TimeBelow) {
            let (node, dimension) = self.evaluate_as(body, bindings, None, None, &what, None)?;
            let threshold = self.threshold(written.threshold.as_ref()?, bindings, dimension)?;
            let margin = match verb {
                SummaryVerb::TimeAbove => self.graph.sub(node, threshold),
                _ => self.graph.sub(threshold, node),
            };
            return Some(SummaryKind::TimeAbove { margin });
        }
        let wanted = match verb {
            SummaryVerb::Integral => unit.map(|unit| unit.per(time)),
            _ => unit,
        };
        let what = match verb {
            SummaryVerb::Integral => format!("what {what} integrates"),
            _ => what,
        };
        let (node, _) = self.evaluate_as(body, bindings, None, wanted, &what, place)?;
        Some(match verb {
            SummaryVerb::Min => SummaryKind::Min(node),
            SummaryVerb::Max => SummaryKind::Max(node),
            SummaryVerb::Integral => SummaryKind::Integral(node),
            SummaryVerb::At => {
                let text = written.time.as_ref()?;
                let at = self.quantity(text, time, "`time`")?;
                if at < 0.0 {
                    self.report(text.error("M402", "`time` cannot be negative"));
                }
                SummaryKind::At { node, time: at }
            }
            _ => SummaryKind::Last(node),
        })
    }

    /// A threshold is a quantity, or else an expression.
    fn threshold(
        &mut self,
        text: &Text,
        bindings: &Bindings,
        dimension: Dimension,
    ) -> Option<NodeId> {
        if text
            .value
            .trim_start()
            .starts_with(|c: char| c.is_ascii_digit())
            && parse_quantity(&text.value).is_ok()
        {
            let value = self.quantity(text, dimension, "the threshold")?;
            return Some(self.graph.constant(value));
        }
        let body = self.body(Some(text))?;
        let wanted = Some(dimension);
        self.evaluate_as(&body, bindings, None, wanted, "the threshold", None)
            .map(|(node, _)| node)
    }
}
