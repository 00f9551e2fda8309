//! What is said of a trial as a whole.

use posology_model::diagnostic::Diagnostics;
use posology_model::file::Text;

use super::reader::{Reader, Section};
use super::seen::Seen;
use super::{Arm, Endpoint, Trial, Visits};

/// What a trial cannot be without.
pub(super) fn none_is_empty(
    reader: &mut Reader,
    root: &Section<'_>,
    arms: usize,
    endpoints: usize,
) {
    let mut empty = |what: &str, help: &str| {
        reader.found.push(
            root.place
                .error("T007", format!("the trial has no {what}"))
                .help(help),
        );
    };
    if arms == 0 {
        empty("arms", "give at least one: `[arms.NAME]` with a `regimen`");
    }
    if endpoints == 0 {
        empty(
            "endpoints",
            "give at least one: `[endpoints.NAME]` with `first_time` and `unit`",
        );
    }
    if !root.table.contains_key("individuals") && !root.table.contains_key("virtual") {
        empty(
            "patients",
            "give `[virtual]` with `patients`, or `[individuals]` with a `file`",
        );
    }
}

pub(super) fn positive(reader: &mut Reader, root: &Section<'_>, horizon: f64) -> bool {
    if horizon <= 0.0
        && let Some(text) = reader.text(root, "horizon")
    {
        reader
            .found
            .push(text.error("T013", "the horizon must be positive"));
    }
    horizon > 0.0
}

/// Warnings about what nothing refers to.
pub(super) fn unused(
    reader: &mut Reader,
    protocols: &[Text],
    arms: &[Arm],
    visits: &Visits,
    seen: &Seen,
    endpoints: &[Endpoint],
    section: Option<&Section<'_>>,
) {
    for (index, name) in protocols.iter().enumerate() {
        if !arms.iter().any(|arm| arm.protocol == Some(index)) {
            let message = format!("no arm follows the protocol `{}`", name.value);
            reader.found.push(
                name.place()
                    .warning("T025", message)
                    .help(format!("write `protocol = \"{}\"` in an arm", name.value)),
            );
        }
    }
    let used = seen.used.borrow();
    let names = section.map_or_else(Vec::new, |section| {
        reader.named(section, "observe", "observation")
    });
    for (position, observed) in visits.observed.iter().enumerate() {
        let shown = endpoints
            .iter()
            .any(|endpoint| endpoint.kind.observed() == Some(position));
        if !shown
            && !used.contains(&position)
            && let Some((name, _)) = names.iter().find(|(name, _)| name.value == observed.name)
        {
            let message = format!("no rule and no endpoint uses `{}`", name.value);
            reader.found.push(name.place().warning("T025", message));
        }
    }
}

/// Every arm that is followed at visits can be compiled.
pub(super) fn arms_fit_visits(trial: &Trial) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Some(visits) = &trial.visits {
        for arm in &trial.arms {
            if let Err(problems) = crate::protocol::Machine::new(trial, arm, visits) {
                found.extend(problems);
            }
        }
    }
    found
}
