//! Definitions with indices, expanded to their elements.

use std::collections::BTreeMap;

use super::index::{Bindings, Indices, LARGEST, Pattern, bad_name};
use crate::diagnostic::{Diagnostics, did_you_mean};
use crate::file::{Place, Text};

/// Families of higher rank do not occur; the limit bounds the expansion of overlapping patterns.
const HIGHEST_RANK: usize = 4;

/// One element and the definition that gives it.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// `amount[liver]`
    pub name: String,
    pub base: String,
    pub flat: usize,
    /// Position in the list of definitions.
    pub definition: usize,
    pub bindings: Bindings,
}

/// A family that the definitions make.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub base: String,
    pub place: Place,
    pub indices: Vec<usize>,
    /// 0 if the definitions failed, which was reported.
    pub size: usize,
    /// Its definitions.
    pub definitions: Vec<usize>,
}

/// Expands the definitions called `names`: families in the order of the file, their elements row
/// by row; a definition of a single element overrides the one of its family.
pub(super) fn expand(
    indices: &Indices,
    names: &[&Text],
    what: &str,
    diagnostics: &mut Diagnostics,
) -> (Vec<Shape>, Vec<Instance>) {
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Vec<(usize, Pattern)>> = BTreeMap::new();
    for (definition, name) in names.iter().enumerate() {
        let Some(pattern) = Pattern::parse(name) else {
            diagnostics.push(bad_name(name, what));
            continue;
        };
        let group = groups.entry(pattern.base.clone()).or_default();
        if group.is_empty() {
            order.push(pattern.base.clone());
        }
        group.push((definition, pattern));
    }
    let (mut shapes, mut instances) = (Vec::new(), Vec::new());
    for base in order {
        let Some(group) = groups.remove(&base) else {
            continue;
        };
        let place = group
            .first()
            .map(|(definition, _)| names[*definition].place().clone());
        let Some(place) = place else { continue };
        let rank = group
            .first()
            .map_or(0, |(_, pattern)| pattern.arguments.len());
        let Some(family) = family_indices(indices, names, &group, rank, diagnostics) else {
            // known by name, so that its users are not reported as well
            let definitions = group.iter().map(|(definition, _)| *definition).collect();
            shapes.push(Shape {
                base,
                place,
                indices: Vec::new(),
                size: 0,
                definitions,
            });
            continue;
        };
        let Some(size) = indices.size(&family) else {
            let message = format!("`{base}` expands to more than {LARGEST} elements");
            diagnostics.push(place.error("M314", message));
            let definitions = group.iter().map(|(definition, _)| *definition).collect();
            shapes.push(Shape {
                base,
                place,
                indices: family,
                size: 0,
                definitions,
            });
            continue;
        };
        let chosen = choose(indices, names, &group, &family, size, diagnostics);
        for (flat, choice) in chosen.into_iter().enumerate() {
            let Some((definition, bindings)) = choice else {
                continue;
            };
            let name = indices.element_name(&base, &family, flat);
            instances.push(Instance {
                name,
                base: base.clone(),
                flat,
                definition,
                bindings,
            });
        }
        let definitions = group.iter().map(|(definition, _)| *definition).collect();
        shapes.push(Shape {
            base,
            place,
            indices: family,
            size,
            definitions,
        });
    }
    if instances.len() > LARGEST {
        let place = shapes.last().map(|shape| shape.place.clone());
        let message = format!("the model has more than {LARGEST} elements of this kind ({what})");
        diagnostics.extend(place.map(|place| place.error("M314", message)));
        instances.clear();
        shapes.iter_mut().for_each(|shape| shape.size = 0);
    }
    (shapes, instances)
}

/// The index of every position, from the definitions of one family.
fn family_indices(
    indices: &Indices,
    names: &[&Text],
    group: &[(usize, Pattern)],
    rank: usize,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<usize>> {
    let mut family: Vec<Option<usize>> = vec![None; rank];
    let mut sound = true;
    for (definition, pattern) in group {
        let name = names[*definition];
        if pattern.arguments.len() != rank || rank > HIGHEST_RANK {
            let message = if rank > HIGHEST_RANK {
                format!("a family has at most {HIGHEST_RANK} indices")
            } else {
                format!(
                    "`{}` is defined with and without this number of indices",
                    pattern.base
                )
            };
            diagnostics.push(name.error("M307", message));
            return None;
        }
        for (position, word) in pattern.arguments.iter().enumerate() {
            let Some(index) = indices.find(&word.text) else {
                continue;
            };
            let place = name.origin.at(word.span.clone());
            if pattern.arguments[..position].contains(word) {
                let message = format!("`{}` runs twice in one name", word.text);
                let help = "give the index a second name: [index] other = \"index\"";
                diagnostics.push(place.error("M302", message).help(help));
                sound = false;
            }
            match family[position] {
                None => family[position] = Some(index),
                Some(known) if indices.0[known].root == indices.0[index].root => {}
                Some(known) => {
                    let known = &indices.0[known].name;
                    let message = format!("`{}` runs over `{known}` here", pattern.base);
                    diagnostics.push(place.error("M307", message));
                    sound = false;
                }
            }
        }
    }
    for (definition, pattern) in group {
        for (position, word) in pattern.arguments.iter().enumerate() {
            if indices.find(&word.text).is_some() {
                continue;
            }
            let homes: Vec<usize> = match family[position] {
                Some(index) => vec![index],
                None => (0..indices.0.len())
                    .filter(|&i| indices.0[i].root == i)
                    .collect(),
            };
            let mut holding = homes
                .iter()
                .copied()
                .filter(|&i| indices.element(i, &word.text).is_some());
            let (first, second) = (holding.next(), holding.next());
            let place = names[*definition].origin.at(word.span.clone());
            match (first, second) {
                (Some(index), None) => family[position] = Some(index),
                (None, _) => {
                    let message = format!("`{}` is not an index or an element of one", word.text);
                    let elements = homes.iter().flat_map(|&i| indices.0[i].elements.iter());
                    let known = elements.chain(indices.0.iter().map(|index| &index.name));
                    let help = did_you_mean(&word.text, known.map(String::as_str));
                    diagnostics.push(place.error("M306", message).help_if(help));
                    sound = false;
                }
                (Some(_), Some(_)) => {
                    let message = format!("`{}` is an element of more than one index", word.text);
                    let help = "define the family with an index first, then single elements";
                    diagnostics.push(place.error("M306", message).help(help));
                    sound = false;
                }
            }
        }
    }
    sound
        .then(|| family.into_iter().flatten().collect())
        .filter(|f: &Vec<usize>| f.len() == rank)
}

type Choice = Option<(usize, Bindings)>;

/// The most specific definition of every element.
fn choose(
    indices: &Indices,
    names: &[&Text],
    group: &[(usize, Pattern)],
    family: &[usize],
    size: usize,
    diagnostics: &mut Diagnostics,
) -> Vec<Choice> {
    let mut chosen: Vec<Choice> = vec![None; size];
    for (definition, pattern) in group {
        // positions that run, with the index under the name used in this definition
        let mut running: Vec<(usize, usize)> = Vec::new();
        let mut elements = vec![0; family.len()];
        for (position, word) in pattern.arguments.iter().enumerate() {
            match indices.find(&word.text) {
                Some(index) => running.push((position, index)),
                None => {
                    let element = indices.element(family[position], &word.text);
                    elements[position] = element.unwrap_or(0);
                }
            }
        }
        let own: Vec<usize> = running.iter().map(|&(_, index)| index).collect();
        let Some(count) = indices.size(&own) else {
            continue;
        };
        for flat in 0..count {
            let values = indices.unflat(&own, flat);
            let mut bindings = Bindings::with_capacity(own.len());
            for (&(position, index), value) in running.iter().zip(values) {
                elements[position] = value;
                bindings.push((index, value));
            }
            let slot = &mut chosen[indices.flat(family, &elements)];
            match slot {
                Some((other, known)) if known.len() == bindings.len() => {
                    let message = format!("`{}` is defined twice", names[*definition].value);
                    let first = names[*other].place();
                    diagnostics.push(names[*definition].error("M302", message).also(
                        &first.source,
                        first.span.clone(),
                        "first defined here",
                    ));
                    break;
                }
                Some((_, known)) if known.len() < bindings.len() => {}
                _ => *slot = Some((*definition, bindings)),
            }
        }
    }
    chosen
}
