//! One covariate of a population.

use std::collections::BTreeMap;

use posology_model::diagnostic::did_you_mean;
use posology_model::file::reader::Reader;
use posology_model::file::{Place, Text};
use posology_model::model::Model;
use posology_model::unit::{Unit, UnitSystem};

use super::super::distribution::Distribution;
use super::super::equations::Equation;
use super::super::read::{self, Drawn, Kind, Label};
use super::super::{Covariate, How, formula, normal};

/// Share of a distribution that bounds must leave.
const SMALLEST_MASS: f64 = 1e-6;

/// What a covariate may refer to.
pub(super) struct Context<'a> {
    /// Names, units and places of all covariates, anatomy included.
    pub columns: &'a [(String, Unit, Place)],
    pub written: &'a [read::Covariate],
    pub sources: &'a BTreeMap<String, String>,
    pub units: &'a UnitSystem,
}

pub(super) fn unit(reader: &mut Reader, text: &Text) -> Option<Unit> {
    match Unit::parse(&text.value) {
        Ok(unit) => Some(unit),
        Err(error) => {
            let place = text.origin.at(error.span.clone());
            let finding = place.error("D117", error.message).help_if(error.help);
            reader.diagnostics.push(finding);
            None
        }
    }
}

/// Finds a covariate that must measure what `unit` does, and the factor to that unit.
pub(super) fn argument(
    reader: &mut Reader,
    columns: &[(String, Unit, Place)],
    text: &Text,
    unit: &str,
    system: &UnitSystem,
) -> Option<(usize, f64)> {
    let Some(at) = columns.iter().position(|(name, ..)| *name == text.value) else {
        let names = || columns.iter().map(|(name, ..)| name.as_str());
        let message = format!("there is no covariate `{}`", text.value);
        let finding = text.error("D118", message);
        reader
            .diagnostics
            .push(finding.help_if(did_you_mean(&text.value, names())));
        return None;
    };
    let wanted = Unit::parse(unit).ok()?;
    let own = &columns[at].1;
    if own.dimension() != wanted.dimension() {
        let message = format!(
            "`{}` is {}, here {} is needed",
            text.value,
            system.describe(own.dimension()),
            system.describe(wanted.dimension())
        );
        reader.diagnostics.push(text.error("D119", message));
        return None;
    }
    Some((at, system.scale(own) / system.scale(&wanted)))
}

/// `None` after an error that was reported.
pub(super) fn build(
    reader: &mut Reader,
    context: &Context<'_>,
    names: &mut Model,
    (i, written, unit): (usize, &read::Covariate, Option<&Unit>),
    data_column: &mut usize,
) -> Option<Covariate> {
    let source = super::citation(reader, written.source.as_ref(), context.sources);
    let bounds = bounds(reader, written);
    let kind = written.kind.as_ref();
    if matches!(kind, Some(Kind::Column(_))) {
        *data_column += 1;
    }
    let unit = unit?;
    let mut labels = Vec::new();
    let (how, own_source) = match kind? {
        Kind::Drawn(drawn) => {
            labels = words(&drawn.labels);
            (How::Drawn(drawn.distribution.clone()), None)
        }
        Kind::By { covariate, when } => (mixture(reader, context, i, covariate, when)?, None),
        Kind::Expression(text) => match formula::compile(names, text, unit) {
            Ok(formula) => (How::Expression(formula), Some("computed")),
            Err(found) => {
                reader.diagnostics.extend(found);
                return None;
            }
        },
        Kind::Equation { name, from, place } => {
            let (equation, how) = equation(reader, context, (name, from, place), unit)?;
            (how, Some(equation.source()))
        }
        Kind::Column(_) => (How::Data(*data_column - 1), None),
    };
    if let Some(limits) = bounds {
        check_bounds(reader, written, &how, limits)?;
    }
    if has_categories(written) && written.bounds.is_some() {
        let message = "a covariate with categories has no bounds";
        reader.diagnostics.push(written.name.error("D115", message));
        return None;
    }
    Some(Covariate {
        name: written.name.value.clone(),
        unit: unit.clone(),
        how,
        bounds,
        source: match own_source {
            Some(own) if source.is_empty() => own.to_owned(),
            _ => source,
        },
        calibrated: written.calibrated,
        description: written.description.clone(),
        labels,
        published: written.published.clone(),
        published_source: if written.published_source.is_empty() {
            String::new()
        } else {
            context
                .sources
                .get(&written.published_source)
                .unwrap_or(&written.published_source)
                .clone()
        },
        place: written.name.place().clone(),
    })
}

fn has_categories(written: &read::Covariate) -> bool {
    match &written.kind {
        Some(Kind::Drawn(drawn)) => drawn.distribution.is_categorical(),
        Some(Kind::By { when, .. }) => when
            .iter()
            .flat_map(|(_, drawn)| drawn)
            .any(|drawn| drawn.distribution.is_categorical()),
        _ => false,
    }
}

fn words(labels: &[Label]) -> Vec<(String, f64)> {
    labels
        .iter()
        .filter(|label| !label.numeric)
        .map(|label| (label.text.value.clone(), label.value))
        .collect()
}

fn bounds(reader: &mut Reader, written: &read::Covariate) -> Option<(f64, f64)> {
    let (place, numbers) = written.bounds.as_ref()?;
    match numbers[..] {
        [ref low, ref high] if low.value < high.value => Some((low.value, high.value)),
        _ => {
            let finding = place.error("D113", "bounds are two numbers, ascending");
            reader
                .diagnostics
                .push(finding.help("`bounds = [0, 10]`; `inf` for an open end"));
            None
        }
    }
}

/// Bounds that leave next to nothing of a distribution.
fn check_bounds(
    reader: &mut Reader,
    written: &read::Covariate,
    how: &How,
    bounds: (f64, f64),
) -> Option<()> {
    let distributions: Vec<&Distribution> = match how {
        How::Drawn(distribution) => vec![distribution],
        How::Mixture { levels, .. } => levels.iter().map(|(_, d)| d).collect(),
        _ => Vec::new(),
    };
    for distribution in distributions {
        let limits = distribution.limits(Some(bounds));
        let mass = normal::mass(limits);
        if !distribution.is_categorical() && (mass.is_nan() || mass < SMALLEST_MASS) {
            let place = written.bounds.as_ref().map(|(place, _)| place)?;
            let message = format!(
                "the bounds of `{}` leave next to nothing of: {}",
                written.name.value,
                distribution.describe()
            );
            reader.diagnostics.push(place.error("D113", message));
            return None;
        }
    }
    Some(())
}

fn equation(
    reader: &mut Reader,
    context: &Context<'_>,
    (name, from, place): (&Text, &[(Text, Text)], &Place),
    unit: &Unit,
) -> Option<(Equation, How)> {
    let known = Equation::ALL;
    let Some(equation) = known.into_iter().find(|e| e.name() == name.value) else {
        let names = known.map(Equation::name);
        let message = format!("there is no equation `{}`", name.value);
        let help = did_you_mean(&name.value, names)
            .unwrap_or_else(|| format!("known: {}", names.join(", ")));
        reader
            .diagnostics
            .push(name.error("D132", message).help(help));
        return None;
    };
    let wanted = equation.arguments();
    let keys: Vec<&str> = wanted.iter().map(|argument| argument.key).collect();
    let unknown = from
        .iter()
        .find(|(key, _)| !keys.contains(&key.value.as_str()));
    if let Some((key, _)) = unknown {
        let message = format!("{} has no argument `{}`", equation.name(), key.value);
        let help = format!("its arguments: {}", keys.join(", "));
        reader
            .diagnostics
            .push(key.error("D132", message).help(help));
        return None;
    }
    let mut arguments = Vec::new();
    for argument in wanted {
        let Some((_, text)) = from.iter().find(|(key, _)| key.value == argument.key) else {
            let message = format!("{} needs `{}`", equation.name(), argument.key);
            let help = format!(
                "`from = {{ {} = \"NAME\", ... }}`",
                keys.join(" = \"NAME\", ")
            );
            reader
                .diagnostics
                .push(place.error("D132", message).help(help));
            return None;
        };
        let found = self::argument(reader, context.columns, text, argument.unit, context.units);
        arguments.push(found?);
    }
    let result = Unit::parse(equation.result()).ok()?;
    if result.dimension() != unit.dimension() {
        let message = format!(
            "{} gives {}, the covariate is {}",
            equation.name(),
            context.units.describe(result.dimension()),
            context.units.describe(unit.dimension())
        );
        reader.diagnostics.push(name.error("D119", message));
        return None;
    }
    let scale = context.units.scale(&result) / context.units.scale(unit);
    let how = How::Equation {
        equation,
        arguments,
        scale,
    };
    Some((equation, how))
}

fn mixture(
    reader: &mut Reader,
    context: &Context<'_>,
    own: usize,
    by: &Text,
    when: &[(Text, Option<Drawn>)],
) -> Option<How> {
    let (at, _) = argument(reader, context.columns, by, "1", context.units)?;
    if at == own {
        let finding = by.error("D130", format!("`{}` depends on itself", by.value));
        reader.diagnostics.push(finding);
        return None;
    }
    let chooser = context.written.get(at).and_then(|c| c.kind.as_ref());
    // values that the chooser can have; unknown for columns and expressions
    let known: Option<Vec<(String, f64)>> = match chooser {
        Some(Kind::Drawn(drawn)) if drawn.distribution.is_categorical() => Some(levels(drawn)),
        Some(Kind::By { when, .. })
            if when
                .iter()
                .flat_map(|(_, drawn)| drawn)
                .all(|drawn| drawn.distribution.is_categorical()) =>
        {
            Some(
                when.iter()
                    .flat_map(|(_, drawn)| drawn)
                    .flat_map(levels)
                    .collect(),
            )
        }
        Some(Kind::Drawn(_) | Kind::By { .. }) => {
            let message = format!("`{}` has no categories", by.value);
            let help = "`by` names a covariate with `categories`, `bernoulli` or `fixed`";
            reader
                .diagnostics
                .push(by.error("D115", message).help(help));
            return None;
        }
        _ => None,
    };
    let mut out: Vec<(f64, Distribution)> = Vec::new();
    let mut sound = true;
    for (level, drawn) in when {
        let number = level.value.parse::<f64>().ok().filter(|v| v.is_finite());
        let value = match &known {
            Some(known) => known
                .iter()
                .find(|(label, value)| *label == level.value || Some(*value) == number)
                .map(|(_, value)| *value),
            None => number,
        };
        let Some(value) = value else {
            let message = format!("`{}` is no value of `{}`", level.value, by.value);
            let names: Vec<String> = known
                .iter()
                .flatten()
                .map(|(label, _)| label.clone())
                .collect();
            let help = if names.is_empty() {
                "the values are numbers".to_owned()
            } else {
                format!("its values: {}", names.join(", "))
            };
            reader
                .diagnostics
                .push(level.error("D116", message).help(help));
            sound = false;
            continue;
        };
        let Some(drawn) = drawn else {
            sound = false;
            continue;
        };
        if drawn.labels.iter().any(|label| !label.numeric) {
            let finding = drawn
                .place
                .error("D114", "categories of a case must be numbers");
            reader.diagnostics.push(finding);
            sound = false;
        }
        out.push((value, drawn.distribution.clone()));
    }
    for (label, value) in known.iter().flatten() {
        if !when.is_empty() && sound && !out.iter().any(|(level, _)| level == value) {
            let message = format!("no distribution for `{}` = {label}", by.value);
            let finding = by.error("D116", message);
            reader
                .diagnostics
                .push(finding.help(format!("add `when.{label}`")));
            sound = false;
        }
    }
    if out.is_empty() && sound {
        let finding = by.error("D116", "`when` gives no distribution");
        reader.diagnostics.push(finding);
        sound = false;
    }
    sound.then_some(How::Mixture {
        by: at,
        levels: out,
    })
}

/// Labels and values of a categorical distribution.
fn levels(drawn: &Drawn) -> Vec<(String, f64)> {
    if drawn.labels.is_empty() {
        let levels = drawn.distribution.levels();
        return levels.iter().map(|(v, _)| (v.to_string(), *v)).collect();
    }
    drawn
        .labels
        .iter()
        .map(|label| (label.text.value.clone(), label.value))
        .collect()
}
