//! Arms: a regimen, and a rule that decides at visits.

use posology_cohort::Regimen;
use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, did_you_mean};
use posology_model::expr;
use posology_model::file::Text;
use posology_model::unit::Dimension;
use posology_sim::RuleSet;

use super::patients::keep;
use super::reader::{Reader, Section};
use super::replay::covariate;
use super::seen::{Seen, names};
use super::visit_times::multiple;
use super::{Arm, DecisionRule, Visits};

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
    let rule = inner.and_then(|inner| rule(reader, &inner, model, context));
    let protocol = reader.text(section, "protocol").and_then(|text| {
        if regimen_text.is_empty() {
            let message = format!("{} has no `regimen` for a protocol to modify", section.what);
            reader.found.push(text.error("T009", message));
        }
        super::lookup::known(reader, &text, context.protocols, "protocol")
    });
    let policy = reader.text(section, "policy").and_then(|text| {
        if regimen_text.is_empty() {
            let message = format!("{} has no `regimen` for a policy to dose", section.what);
            reader.found.push(text.error("T009", message));
        }
        super::policy::policy(
            reader,
            &text,
            model,
            context.seen.as_deref_mut(),
            context.dir,
        )
    });
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
        source: reader.words(section, "source"),
    })
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
