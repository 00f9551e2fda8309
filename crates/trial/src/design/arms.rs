//! Arms: a regimen, and a rule that decides at visits.

use posology_cohort::Regimen;
use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, did_you_mean};
use posology_model::expr::{self, Expr, ExprKind, Span};
use posology_model::file::Text;
use posology_model::unit::Dimension;
use posology_sim::RuleSet;

use super::patients::keep;
use super::reader::{Reader, Section};
use super::replay::covariate;
use super::{Arm, DecisionRule};

/// Decisions of one patient, beyond which a number is taken for a slip.
const MOST_DECISIONS: f64 = 1e6;

pub(super) fn arm(
    reader: &mut Reader,
    name: &Text,
    section: &Section<'_>,
    model: &mut Model,
    horizon: f64,
) -> Option<Arm> {
    reader.only(
        section,
        &["title", "description", "regimen", "rule", "source"],
    );
    let title = reader.words(section, "title");
    let regimen = reader.text(section, "regimen");
    let inner = reader.section(section, "rule");
    if regimen.is_none() && inner.is_none() {
        let finding = section
            .place
            .error("T007", format!("{} does nothing", section.what));
        reader.found.push(finding.help(
            "give it a `regimen`, such as \"175 mg/m2 over 3 h every 21 d x 6\", or a `rule`",
        ));
    }
    let regimen_text = regimen
        .as_ref()
        .map_or_else(String::new, |text| text.value.clone());
    let regimen = regimen.and_then(|text| {
        let parsed = keep(reader, Regimen::parse(model, &text.value, &text.origin))?;
        Some((parsed, text.origin))
    });
    let rule = inner.and_then(|inner| rule(reader, &inner, model, horizon));
    Some(Arm {
        name: name.value.clone(),
        title: if title.is_empty() {
            name.value.clone()
        } else {
            title
        },
        description: reader.words(section, "description"),
        regimen,
        regimen_text,
        rule,
        protocol: None,
        source: reader.words(section, "source"),
    })
}

fn rule(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &mut Model,
    horizon: f64,
) -> Option<DecisionRule> {
    reader.only(section, &["every", "set"]);
    let every = reader.required_text(
        section,
        "every",
        "time between visits, such as `every = \"28 d\"`",
    );
    let interval = every
        .as_ref()
        .and_then(|text| super::parse::quantity(reader, text, Dimension::TIME, model));
    if let (Some(interval), Some(every)) = (interval, &every) {
        let decisions = horizon / interval;
        if interval <= 0.0 || interval > horizon || decisions > MOST_DECISIONS {
            let message = format!("visits every {} do not fit follow-up", every.value);
            let finding = every.error("T013", message);
            reader.found.push(finding.help("the interval must be positive, at most the horizon, and give at most a million visits"));
        }
    }
    let mut set = RuleSet::default();
    let mut text = Vec::new();
    if !section.table.contains_key("set") {
        reader.missing(
            section,
            "set",
            "what the rule decides: `set.COVARIATE = \"expression\"`",
        );
    }
    for (name, value) in reader.pairs(section, "set") {
        let slot = covariate(reader, &name, model);
        only_observed(reader, &value, model);
        let Some(slot) = slot else { continue };
        let unit = model.slot_unit(slot).clone();
        if let Some(node) = keep(
            reader,
            model.expression_in(&value.value, &unit, &value.origin),
        ) {
            set.set.push((slot, node));
            text.push((name.value, value.value));
        }
    }
    Some(DecisionRule {
        every: interval?,
        every_text: every?.value,
        set,
        text,
    })
}

/// A doctor does not see hidden states: a rule may use covariates, and derived quantities that an
/// observable shows.
fn only_observed(reader: &mut Reader, value: &Text, model: &Model) {
    // what does not parse is reported when it is compiled
    let Ok(tree) = expr::parse(&value.value) else {
        return;
    };
    let mut seen = vec!["t", "pi"];
    seen.extend(
        model
            .covariates
            .iter()
            .map(|covariate| covariate.name.as_str()),
    );
    let shown = |node| {
        model
            .observables
            .iter()
            .any(|observable| observable.node == node)
    };
    seen.extend(
        model
            .derived
            .iter()
            .filter(|derived| shown(derived.node))
            .map(|derived| derived.name.as_str()),
    );
    seen.extend(
        model
            .states
            .iter()
            .enumerate()
            .filter_map(|(index, state)| {
                let mut graph = model.graph.clone();
                shown(graph.state(index)).then_some(state.name.as_str())
            }),
    );
    let mut used = Vec::new();
    names(&tree, &mut used);
    let mut found = Diagnostics::new();
    for (name, span) in used {
        let hidden = model.states.iter().any(|state| base(&state.name) == name)
            || model
                .parameters
                .iter()
                .any(|parameter| base(&parameter.name) == name)
            || model
                .derived
                .iter()
                .any(|derived| base(&derived.name) == name);
        if hidden && !seen.contains(&name) {
            let place = value.origin.at(span);
            found.push(
                place
                    .error(
                        "T011",
                        format!("a rule cannot use `{name}`: nobody observes it at a visit"),
                    )
                    .help_if(did_you_mean(name, seen.iter().copied()))
                    .help(format!("a rule may use: {}", seen.join(", "))),
            );
        }
    }
    reader.found.extend(found);
}

/// `amount` of `amount[liver]`.
fn base(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

fn names<'a>(tree: &'a Expr, out: &mut Vec<(&'a str, Span)>) {
    match &tree.kind {
        ExprKind::Number { .. } => {}
        ExprKind::Name { name, .. } => out.push((name, tree.span.clone())),
        ExprKind::Unary(_, inner) => names(inner, out),
        ExprKind::Chain { first, rest } => {
            names(first, out);
            rest.iter().for_each(|(_, next)| names(next, out));
        }
        ExprKind::Power(base, exponent) => {
            names(base, out);
            names(exponent, out);
        }
        ExprKind::Call { arguments, .. } => {
            arguments.iter().for_each(|argument| names(argument, out))
        }
        ExprKind::Sum { body, .. } => names(body, out),
    }
}
