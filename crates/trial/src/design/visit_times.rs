//! `[visits]`: when patients are seen and what is measured.

use posology_model::Model;
use posology_model::diagnostic::did_you_mean;
use posology_model::file::Text;
use posology_model::unit::Dimension;

use super::lookup::quantity;
use super::reader::{Reader, Section};
use super::{Observed, Visits};

/// Visits of one patient, beyond which a number is taken for a slip.
const MOST_VISITS: f64 = 100_000.0;
/// Times closer than this share of the interval are one instant.
const SAME_INSTANT: f64 = 1e-9;

/// How many intervals `time` is, if it is a whole number of them.
pub(super) fn multiple(time: f64, every: f64) -> Option<u32> {
    let count = time / every;
    let whole = count.round();
    let fits = (count - whole).abs() <= SAME_INSTANT * whole.max(1.0);
    (fits && whole >= 0.0 && whole <= f64::from(u32::MAX)).then_some(whole as u32)
}

pub(super) fn visits(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    horizon: f64,
) -> Option<Visits> {
    reader.only(section, &["every", "missed", "dropout", "observe"]);
    let text = reader.required_text(section, "every", "time between visits, such as \"7 d\"");
    let every = text.as_ref().and_then(|text| {
        let every = quantity(reader, text, Dimension::TIME, model)?;
        if every > 0.0 && every <= horizon && horizon / every <= MOST_VISITS {
            return Some(every);
        }
        let message = format!("visits every {} do not fit follow-up", text.value);
        let finding = text.error("T013", message);
        reader.found.push(finding.help(
            "the interval must be positive, at most the horizon, and give at most 100,000 visits",
        ));
        None
    });
    let share = |share: f64| (0.0..1.0).contains(&share);
    let missed = match section.table.contains_key("missed") {
        true => reader.within(section, "missed", share, "a probability from 0 to below 1"),
        false => Some(0.0),
    };
    let dropout = match reader.text(section, "dropout") {
        Some(text) => {
            let hazard = quantity(reader, &text, Dimension::NONE.per(Dimension::TIME), model);
            if hazard.is_some_and(|hazard| hazard < 0.0) {
                let finding = text.error("T013", "a hazard cannot be negative");
                reader.found.push(finding.help("such as \"0.0005/d\""));
            }
            hazard
        }
        None => Some(0.0),
    };
    let mut observed = Vec::new();
    let named = reader.named(section, "observe", "observation");
    for (name, inner) in &named {
        observed.extend(observation(reader, name, inner, model, every));
    }
    if observed.len() < named.len() {
        // what else could be said of rules would only repeat it
        return None;
    }
    Some(Visits {
        every: every?,
        every_text: text?.value,
        missed: missed?,
        dropout: dropout?,
        observed,
    })
}

fn observation(
    reader: &mut Reader,
    name: &Text,
    section: &Section<'_>,
    model: &Model,
    grid: Option<f64>,
) -> Option<Observed> {
    reader.only(section, &["every", "error", "lloq"]);
    let observable = observable(reader, name, model);
    let every = match reader.text(section, "every") {
        None => Some(1),
        Some(text) => quantity(reader, &text, Dimension::TIME, model).and_then(|time| {
            let grid = grid?;
            let count = multiple(time, grid).filter(|&count| count > 0);
            if count.is_none() {
                let message = format!(
                    "`{}` would be measured every {}, when there is no visit",
                    name.value, text.value
                );
                reader.found.push(
                    text.error("T020", message)
                        .help("make it a multiple of `every` of [visits]"),
                );
            }
            count
        }),
    };
    let error = reader.flag(section, "error");
    let limit = reader.text(section, "lloq");
    let index = observable?;
    let known = model.observables.get(index)?;
    if error == Some(true) && known.error.is_none() {
        let message = format!("`{}` has no residual error in {}", name.value, model.name);
        reader.found.push(
            section
                .place
                .warning("T028", message)
                .help("it is measured exactly"),
        );
    }
    let error = error.unwrap_or(true);
    let lloq = match limit {
        Some(text) => {
            let limit = quantity(reader, &text, known.unit.dimension(), model)?;
            if limit <= 0.0 {
                let message = "a limit of quantification must be positive";
                reader.found.push(text.error("T013", message));
            }
            Some(limit)
        }
        None => known
            .error
            .filter(|_| error)
            .and_then(|residual| residual.lloq),
    };
    Some(Observed {
        observable: index,
        name: name.value.clone(),
        every: every?,
        error,
        lloq,
    })
}

/// Index of an observable of the model.
pub(super) fn observable(reader: &mut Reader, name: &Text, model: &Model) -> Option<usize> {
    let names = || {
        model
            .observables
            .iter()
            .map(|observable| observable.name.as_str())
    };
    let found = names().position(|known| known == name.value);
    if found.is_none() {
        let help = did_you_mean(&name.value, names())
            .unwrap_or_else(|| format!("observables: {}", names().collect::<Vec<_>>().join(", ")));
        let message = format!("{} has no observable `{}`", model.name, name.value);
        reader.found.push(name.error("T010", message).help(help));
    }
    found
}

/// Position in the visits of an observable that an endpoint looks at.
pub(super) fn measured(
    reader: &mut Reader,
    name: &Text,
    model: &Model,
    visits: Option<&Visits>,
) -> Option<usize> {
    let index = observable(reader, name, model)?;
    let found = visits?
        .observed
        .iter()
        .position(|observed| observed.observable == index);
    if found.is_none() {
        let message = format!("`{}` is not measured at visits", name.value);
        reader.found.push(
            name.error("T010", message)
                .help(format!("add [visits.observe.{}]", name.value)),
        );
    }
    found
}
