//! Arms: a regimen, and a rule that decides at visits.

use posology_cohort::Regimen;
use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, did_you_mean};
use posology_model::expr;
use posology_model::file::Text;
use posology_model::unit::Dimension;
use posology_sim::RuleSet;

use super::patients::keep;
use super::policy::Named;
use super::reader::{Reader, Section};
use super::replay::covariate;
use super::seen::{Seen, names};
use super::visit_times::multiple;
use super::{Arm, DecisionRule, Policy, TrainedPolicy, Visits};

/// Decisions of one patient, beyond which a number is taken for a slip.
const MOST_DECISIONS: f64 = 1e6;

/// What arms are read against.
pub(super) struct Context<'a> {
    pub horizon: f64,
    pub visits: Option<&'a Visits>,
    /// What a rule sees at visits.
    pub seen: Option<&'a mut Seen>,
    /// Names of every protocol of the file.
    pub protocols: &'a [Text],
    /// Where the trial file lies.
    pub dir: &'a std::path::Path,
}

pub(super) fn arm(
    reader: &mut Reader,
    name: &Text,
    section: &Section<'_>,
    model: &mut Model,
    context: &mut Context<'_>,
) -> Option<Arm> {
    reader.only(
        section,
        &[
            "title",
            "description",
            "regimen",
            "rule",
            "protocol",
            "policy",
            "source",
        ],
    );
    let title = reader.words(section, "title");
    let regimen = reader.text(section, "regimen");
    let inner = reader.section(section, "rule");
    let (policy, trained) = policies(reader, section, model, context);
    if regimen.is_none() && inner.is_none() && trained.is_none() {
        let finding = section
            .place
            .error("T007", format!("{} does nothing", section.what));
        reader.found.push(finding.help(
            "give it a `regimen`, such as \"175 mg/m2 over 3 h every 21 d x 6\", a `rule` or a trained `policy`",
        ));
    }
    let regimen_text = regimen
        .as_ref()
        .map_or_else(String::new, |text| text.value.clone());
    let regimen = regimen.and_then(|text| {
        let parsed = keep(reader, Regimen::parse(model, &text.value, &text.origin))?;
        Some((parsed, text.origin))
    });
    let rule = inner.and_then(|inner| rule(reader, &inner, model, context));
    let protocol = reader.text(section, "protocol").and_then(|text| {
        if regimen_text.is_empty() {
            let message = format!("{} has no `regimen` for a protocol to modify", section.what);
            reader.found.push(text.error("T009", message));
        }
        super::lookup::known(reader, &text, context.protocols, "protocol")
    });
    if policy.is_some()
        && regimen_text.is_empty()
        && let Some(text) = reader.text(section, "policy")
    {
        let message = format!("{} has no `regimen` for a policy to dose", section.what);
        reader.found.push(text.error("T009", message));
    }
    if trained.is_some() && (protocol.is_some() || rule.is_some()) {
        let message = format!("{} is treated by a trained policy alone", section.what);
        let finding = section.place.error("T009", message);
        reader.found.push(finding.help(
            "leave out `protocol` and `rule`; rules of safety belong into the policy's task, as its shield",
        ));
    }
    if let (Some(_), Some(visits)) = (&trained, context.visits) {
        unmoved(reader, section, model, visits);
    }
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
        protocol,
        policy,
        trained,
        source: reader.words(section, "source"),
    })
}

/// The policy of an arm: a file of its own, or a checkpoint.
fn policies(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    context: &mut Context<'_>,
) -> (Option<Policy>, Option<TrainedPolicy>) {
    let written = section.table.get("policy").map(toml::Spanned::get_ref);
    if matches!(written, Some(toml::de::DeValue::Table(_))) {
        let inner = reader.section(section, "policy");
        let keys = ["checkpoint", "draws", "title"];
        let trained =
            inner.and_then(|inner| super::policy::trained(reader, &inner, &keys, context.dir));
        return (None, trained);
    }
    let Some(text) = reader.text(section, "policy") else {
        return (None, None);
    };
    let seen = context.seen.as_deref_mut();
    match super::policy::policy(reader, &text, model, seen, context.dir) {
        Some(Named::Expressions(policy)) => (Some(policy), None),
        Some(Named::Trained(policy)) => (None, Some(policy)),
        None => (None, None),
    }
}

/// Episodes of a task know no occasions: in the other arms parameters vary from cycle to cycle.
fn unmoved(reader: &mut Reader, section: &Section<'_>, model: &Model, visits: &Visits) {
    let varying = model.parameters.iter().filter(|p| p.iov.is_some());
    let names: Vec<&str> = varying.map(|p| p.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let message = format!(
        "{} does not vary {} between occasions, as arms dosed at visits every {} do",
        section.what,
        names.join(", "),
        visits.every_text
    );
    let finding = section.place.warning("T032", message);
    reader
        .found
        .push(finding.help("say so in `limits`: patients of this arm keep their own values"));
}

fn rule(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &mut Model,
    context: &mut Context<'_>,
) -> Option<DecisionRule> {
    let horizon = context.horizon;
    reader.only(section, &["every", "set"]);
    let every = reader.required_text(
        section,
        "every",
        "time between visits, such as `every = \"28 d\"`",
    );
    let interval = every
        .as_ref()
        .and_then(|text| super::lookup::quantity(reader, text, Dimension::TIME, model));
    if let (Some(interval), Some(every)) = (interval, &every) {
        let decisions = horizon / interval;
        if interval <= 0.0 || interval > horizon || decisions > MOST_DECISIONS {
            let message = format!("visits every {} do not fit follow-up", every.value);
            let finding = every.error("T013", message);
            reader.found.push(finding.help("the interval must be positive, at most the horizon, and give at most a million visits"));
        } else if let Some(visits) = context.visits
            && multiple(interval, visits.every).is_none()
        {
            let message = format!(
                "a decision every {} falls between visits, which are every {}",
                every.value, visits.every_text
            );
            let finding = every.error("T020", message);
            reader
                .found
                .push(finding.help("make it a multiple of `every` of [visits]"));
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
        if let Some(seen) = context.seen.as_deref_mut() {
            if let Some(slot) = slot {
                at_visits(reader, &value, slot, model, seen);
                text.push((name.value, value.value));
            }
            continue;
        }
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

/// A decision that is taken at visits, from what was measured there.
fn at_visits(reader: &mut Reader, value: &Text, slot: usize, model: &Model, seen: &mut Seen) {
    let Some(compiled) = keep(reader, seen.expression(value)) else {
        return;
    };
    let unit = model.slot_unit(slot);
    let zero = value.value.trim() == "0";
    if compiled.condition || (compiled.dimension != unit.dimension() && !zero) {
        let found = if compiled.condition {
            "a condition".to_owned()
        } else {
            model.units.describe(compiled.dimension)
        };
        let message = format!(
            "`{}` is {}, the expression is {found}",
            model.slot_name(slot),
            model.units.describe(unit.dimension())
        );
        reader.found.push(value.error("T014", message));
    }
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
