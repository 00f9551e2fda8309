//! `[protocols.NAME]`: dose modifications in the language of protocols.
//!
//! ```text
//! CONDITION [on day N]: ACTION [; second time: ACTION] [; third time: ACTION]
//! CONDITION: grade 4 neutropenia | neutropenia grade 3 or worse | ANC < 1.5e9/L and PSA > PSA_nadir
//! ACTION:    delay [7 d] [up to 21 d] | reduce [docetaxel] 25 % | skip | stop
//! ```

mod actions;
mod conditions;
mod syntax;
pub(super) mod units;

use posology_model::Model;
use posology_model::file::{Place, Text};

use super::reader::{Reader, Section};
use super::seen::Seen;
use super::visit_times::multiple;
use super::{Arm, Protocol, Rule, Visits};

/// What rules are checked against.
pub(super) struct Context<'a> {
    pub model: &'a Model,
    pub visits: &'a Visits,
    /// Model time of a day.
    pub day: f64,
}

pub(super) fn protocols(
    reader: &mut Reader,
    sections: &[(Text, Section<'_>)],
    model: &Model,
    visits: Option<&Visits>,
    seen: Option<&mut Seen>,
) -> Vec<Protocol> {
    let (Some(visits), Some(seen)) = (visits, seen) else {
        return Vec::new();
    };
    let context = Context {
        model,
        visits,
        day: super::lookup::day(model),
    };
    sections
        .iter()
        .filter_map(|(name, section)| protocol(reader, name, section, &context, seen))
        .collect()
}

fn protocol(
    reader: &mut Reader,
    name: &Text,
    section: &Section<'_>,
    context: &Context<'_>,
    seen: &mut Seen,
) -> Option<Protocol> {
    reader.only(section, &["rules", "source"]);
    let texts = reader.texts(section, "rules");
    if !section.table.contains_key("rules") {
        reader.missing(section, "rules", syntax::EXAMPLE);
    } else if texts.is_empty() {
        let finding = section
            .place
            .error("T007", format!("{} has no rules", section.what));
        reader.found.push(finding.help(syntax::EXAMPLE));
    }
    reader.once(&texts, "rule");
    let rules: Vec<Option<Rule>> = texts
        .iter()
        .map(|text| rule(reader, text, context, seen))
        .collect();
    Some(Protocol {
        name: name.value.clone(),
        rules: rules.into_iter().collect::<Option<_>>()?,
        source: reader.words(section, "source"),
    })
}

fn rule(reader: &mut Reader, text: &Text, context: &Context<'_>, seen: &mut Seen) -> Option<Rule> {
    let written = match syntax::parse(&text.value) {
        Ok(written) => written,
        Err(problem) => {
            let place = text.origin.at(problem.span);
            let finding = place.error(problem.code, problem.message);
            reader.found.push(finding.help_if(problem.help));
            return None;
        }
    };
    let before = seen.used.borrow().clone();
    seen.used.borrow_mut().clear();
    let condition = conditions::condition(reader, text, &written.condition, context, seen);
    let used = seen.used.borrow().clone();
    seen.used.borrow_mut().extend(before);
    let actions = actions::actions(reader, text, &written, context);
    let day = match &written.day {
        None => Some(None),
        Some(day) => {
            let place = text.origin.at(day.span.clone());
            on_grid(reader, day.value, &place, context).map(Some)
        }
    };
    if let (Some(Some(day)), Some(at)) = (day, &written.day) {
        let place = text.origin.at(at.span.clone());
        for &position in &used {
            measured_then(reader, day, &place, position, context);
        }
    }
    Some(Rule {
        text: text.value.clone(),
        place: text.place().clone(),
        condition: condition?,
        day: day?,
        actions: actions?,
    })
}

/// A day at which there is a visit.
fn on_grid(reader: &mut Reader, day: u32, place: &Place, context: &Context<'_>) -> Option<u32> {
    if day == 0 {
        let finding = place.error("T020", "a cycle has no day 0");
        reader.found.push(finding.help("its first day is day 1"));
        return None;
    }
    let time = (f64::from(day) - 1.0) * context.day;
    if multiple(time, context.visits.every).is_some() {
        return Some(day);
    }
    let every = context.visits.every / context.day;
    let message = format!(
        "nobody is seen on day {day}: visits are every {}",
        context.visits.every_text
    );
    let near = ((f64::from(day) - 1.0) / every).floor();
    let (before, after) = (near * every + 1.0, (near + 1.0) * every + 1.0);
    let mut finding = place.error("T020", message);
    if before.fract() == 0.0 && after.fract() == 0.0 {
        finding = finding.help(format!("there are visits on day {before} and day {after}"));
    }
    reader
        .found
        .push(finding.help("or see patients more often: `every` of [visits]"));
    None
}

/// A warning if what the rule looks at is not measured on its day in any cycle's first visits.
fn measured_then(
    reader: &mut Reader,
    day: u32,
    place: &Place,
    position: usize,
    context: &Context<'_>,
) {
    let observed = &context.visits.observed[position];
    let visit = multiple((f64::from(day) - 1.0) * context.day, context.visits.every);
    if visit.is_some_and(|visit| visit % observed.every != 0) {
        let message = format!("`{}` is not measured on day {day}", observed.name);
        let finding = place.warning("T028", message);
        reader.found.push(finding.help(format!(
            "the rule sees the last value; measure it more often: `every` of [visits.observe.{}]",
            observed.name
        )));
    }
}

/// What an arm's regimen and its protocol say of each other.
pub(super) fn check_arms(
    reader: &mut Reader,
    arms: &[Arm],
    protocols: &[Protocol],
    model: &Model,
    visits: Option<&Visits>,
) {
    let Some(visits) = visits else { return };
    let day = super::lookup::day(model);
    for arm in arms {
        let (Some(protocol), Some((regimen, origin))) =
            (arm.protocol.and_then(|p| protocols.get(p)), &arm.regimen)
        else {
            continue;
        };
        let cycle = regimen
            .series
            .iter()
            .map(|series| series.every)
            .fold(0.0, f64::max);
        if cycle > 0.0 && multiple(cycle, visits.every).is_none() {
            let message = format!(
                "a cycle of {} d does not begin at a visit: visits are every {}",
                shown(cycle / day),
                visits.every_text
            );
            let finding = origin.place().error("T020", message);
            reader.found.push(
                finding.help("make the cycle a multiple of the visits, or see patients more often"),
            );
            continue;
        }
        for rule in &protocol.rules {
            if let Some(on) = rule.day
                && cycle > 0.0
                && (f64::from(on) - 1.0) * day >= cycle * (1.0 - 1e-9)
            {
                let message = format!(
                    "day {on} is beyond the cycle of arm `{}`, which has {} days",
                    arm.name,
                    shown(cycle / day)
                );
                let finding = rule.place.error("T020", message).also(
                    origin.source(),
                    origin.place().span.clone(),
                    "the cycle",
                );
                reader
                    .found
                    .push(finding.help("the first day of the next cycle is day 1"));
            }
        }
    }
}

fn shown(number: f64) -> String {
    let rounded = (number * 1e6).round() / 1e6;
    format!("{rounded}")
}

/// Position in the visits of a toxicity's measurement.
pub(super) fn measurement_of(model: &Model, visits: &Visits, toxicity: usize) -> Option<usize> {
    let node = model.toxicities.get(toxicity)?.node;
    visits
        .observed
        .iter()
        .position(|observed| model.observables[observed.observable].node == node)
}
