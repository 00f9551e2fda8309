//! Indices, families and the elements they expand to.

use crate::diagnostic::{Diagnostics, did_you_mean};
use crate::expr::{Word, is_identifier};
use crate::file::{Index, Text};

/// Most elements that one family, or the states of one model, may expand to.
pub const LARGEST: usize = 20_000;

/// An index and its elements.
#[derive(Clone, Debug)]
pub(crate) struct IndexSet {
    pub name: String,
    pub elements: Vec<String>,
    /// The index whose elements these are: itself, or the one it is another name of.
    pub root: usize,
}

/// Running indices of a family or a sum: (index, element).
pub(crate) type Bindings = Vec<(usize, usize)>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Indices(pub Vec<IndexSet>);

impl Indices {
    pub fn read(file: &[Index], diagnostics: &mut Diagnostics) -> Self {
        let mut out = Self::default();
        for index in file {
            let name = &index.name.value;
            if !is_identifier(name) {
                diagnostics.push(bad_name(&index.name, "an index"));
                continue;
            }
            if index.same_as.is_none() && index.elements.is_empty() {
                let message = format!("the index `{name}` has no elements");
                diagnostics.push(index.name.error("M306", message));
            }
            let mut elements: Vec<String> = Vec::new();
            for element in &index.elements {
                if !is_identifier(&element.value) {
                    diagnostics.push(bad_name(element, "an index element"));
                } else if elements.contains(&element.value) {
                    let message = format!("the element `{}` is listed twice", element.value);
                    diagnostics.push(element.error("M302", message));
                } else if file.iter().any(|other| other.name.value == element.value) {
                    let message = format!("`{}` is an index and an element", element.value);
                    diagnostics.push(element.error("M302", message));
                } else {
                    elements.push(element.value.clone());
                }
                if elements.len() > LARGEST {
                    let message = format!("an index may have {LARGEST} elements");
                    diagnostics.push(index.name.error("M314", message));
                    break;
                }
            }
            let root = out.0.len();
            out.0.push(IndexSet {
                name: name.clone(),
                elements,
                root,
            });
        }
        for index in file {
            let (Some(id), Some(other)) = (out.find(&index.name.value), &index.same_as) else {
                continue;
            };
            // a second name of a second name would need an order; one step is enough
            match out
                .find(&other.value)
                .filter(|&o| o != id && !out.0[o].elements.is_empty())
            {
                Some(root) => {
                    out.0[id].elements = out.0[root].elements.clone();
                    out.0[id].root = root;
                }
                None => {
                    let message = format!("`{}` is not an index with elements", other.value);
                    let names = out.0.iter().map(|index| index.name.as_str());
                    diagnostics.push(
                        other
                            .error("M306", message)
                            .help_if(did_you_mean(&other.value, names)),
                    );
                }
            }
        }
        out
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|index| index.name == name)
    }

    pub fn element(&self, index: usize, name: &str) -> Option<usize> {
        self.0[index]
            .elements
            .iter()
            .position(|element| element == name)
    }

    /// Number of elements of a family over `indices`, if it is not too large.
    pub fn size(&self, indices: &[usize]) -> Option<usize> {
        indices
            .iter()
            .try_fold(1usize, |size, &index| {
                size.checked_mul(self.0[index].elements.len())
            })
            .filter(|&size| size <= LARGEST)
    }

    /// Position of an element in a family, row by row.
    pub fn flat(&self, indices: &[usize], elements: &[usize]) -> usize {
        let pairs = indices.iter().zip(elements);
        pairs.fold(0, |flat, (&index, &element)| {
            flat * self.0[index].elements.len() + element
        })
    }

    /// The inverse of [`Self::flat`].
    pub fn unflat(&self, indices: &[usize], mut flat: usize) -> Vec<usize> {
        let mut out = vec![0; indices.len()];
        for (slot, &index) in out.iter_mut().zip(indices).rev() {
            let n = self.0[index].elements.len().max(1);
            *slot = flat % n;
            flat /= n;
        }
        out
    }

    /// `amount[liver,hot]`
    pub fn element_name(&self, base: &str, indices: &[usize], flat: usize) -> String {
        if indices.is_empty() {
            return base.to_owned();
        }
        let elements = self.unflat(indices, flat);
        let names: Vec<&str> = indices
            .iter()
            .zip(elements)
            .map(|(&index, element)| self.0[index].elements[element].as_str())
            .collect();
        format!("{base}[{}]", names.join(","))
    }

    pub fn names(&self, indices: &[usize]) -> String {
        let names: Vec<&str> = indices.iter().map(|&i| self.0[i].name.as_str()).collect();
        names.join(",")
    }
}

pub(super) fn bad_name(text: &Text, what: &str) -> crate::Diagnostic {
    text.error("M006", format!("`{}` is not a name for {what}", text.value))
        .help("names are letters, digits and `_`, and begin with a letter")
}

/// A key that defines something: `name`, `name[index]`, `name[element]`.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub base: String,
    pub arguments: Vec<Word>,
}

impl Pattern {
    /// Spans of the arguments are bytes of `text`.
    pub fn parse(text: &Text) -> Option<Self> {
        let value = text.value.trim_end();
        let (base, inside) = match value.split_once('[') {
            None => (value, None),
            Some((base, rest)) => (base, Some(rest.strip_suffix(']')?)),
        };
        if !is_identifier(base) {
            return None;
        }
        let mut arguments = Vec::new();
        let mut start = base.len() + 1;
        for part in inside.into_iter().flat_map(|inside| inside.split(',')) {
            let word = part.trim();
            if !is_identifier(word) {
                return None;
            }
            let from = start + part.len() - part.trim_start().len();
            arguments.push(Word {
                text: word.to_owned(),
                span: from..from + word.len(),
            });
            start += part.len() + 1;
        }
        Some(Self {
            base: base.to_owned(),
            arguments,
        })
    }
}
