//! Endpoints that name other endpoints, once all are known.

use posology_model::file::Text;

use super::{Class, EndpointKind, Unresolved};
use crate::design::Endpoint;
use crate::design::lookup::known;
use crate::design::reader::Reader;

/// Resolves `until` and `earliest`.
pub(in crate::design) fn finish(
    reader: &mut Reader,
    read: Vec<Unresolved>,
    names: &[Text],
) -> Vec<Endpoint> {
    let order: Vec<String> = read
        .iter()
        .map(|unresolved| unresolved.endpoint.name.clone())
        .collect();
    let classes: Vec<Class> = read
        .iter()
        .map(|unresolved| unresolved.endpoint.class())
        .collect();
    // events that show while simulating
    let events: Vec<bool> = read
        .iter()
        .map(|unresolved| unresolved.endpoint.kind.margin().is_some())
        .collect();
    // index of an endpoint that was read without errors
    let find = |reader: &mut Reader, text: &Text| {
        known(reader, text, names, "endpoint")?;
        order.iter().position(|name| *name == text.value)
    };
    let not_a_time = |reader: &mut Reader, text: &Text, help: &str| {
        let message = format!("`{}` is not a time to an event", text.value);
        reader.found.push(text.error("T015", message).help(help));
    };
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut out = Vec::new();
    let mut texts = Vec::new();
    for unresolved in read {
        let mut endpoint = unresolved.endpoint;
        let mut own = Vec::new();
        for text in &unresolved.earliest {
            let Some(index) = find(reader, text) else {
                continue;
            };
            if classes[index] == Class::Time {
                own.push(index);
            } else {
                not_a_time(reader, text, "`earliest` names times to an event");
            }
        }
        if let Some(text) = &unresolved.until
            && let Some(index) = find(reader, text)
        {
            endpoint.until = Some(index).filter(|&index| events[index]);
            if classes[index] != Class::Time {
                not_a_time(reader, text, "`until` names an endpoint with `first_time`");
            } else if !events[index] {
                let message = format!(
                    "`{}` is known only after the simulation, nothing can be accumulated until then",
                    text.value
                );
                reader.found.push(
                    text.error("T015", message)
                        .help("`until` names an endpoint with `first_time` or `hazard`"),
                );
            }
        }
        if let EndpointKind::Earliest(parts) = &mut endpoint.kind {
            parts.clone_from(&own);
        }
        parts.push(own);
        texts.push(unresolved.name);
        out.push(endpoint);
    }
    circles(reader, &parts, &texts);
    out
}

/// Composite endpoints that contain themselves.
fn circles(reader: &mut Reader, parts: &[Vec<usize>], names: &[Text]) {
    // an endpoint is sound once all its parts are; what never becomes sound stands in a circle
    let mut sound = vec![false; parts.len()];
    loop {
        let mut changed = false;
        for index in 0..parts.len() {
            if !sound[index] && parts[index].iter().all(|&part| sound[part]) {
                sound[index] = true;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for (index, name) in names.iter().enumerate() {
        if !sound[index] {
            let message = format!("the endpoint `{}` is made of itself", name.value);
            reader.found.push(
                name.error("T026", message)
                    .help("`earliest` names other endpoints, and these must not lead back"),
            );
        }
    }
}
