//! `[sequential]`: interim analyses.

use super::analysis::share;
use super::reader::{Reader, Section};

/// Kinds of boundaries; whether they have a `shape`; whether they spend, as futility must.
const KINDS: [(&str, bool, bool); 7] = [
    ("obrien-fleming", false, false),
    ("pocock", false, false),
    ("wang-tsiatis", true, false),
    ("lan-demets-of", false, true),
    ("lan-demets-pocock", false, true),
    ("lan-demets-power", true, true),
    ("hwang-shih-decani", true, true),
];
const MOST_LOOKS: u64 = 50;

/// A group-sequential design.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    /// Family of boundaries, such as `obrien-fleming`.
    pub kind: String,
    /// Parameter of the family, if it has one.
    pub shape: Option<f64>,
    /// Information fraction of each look, ascending; the last is 1.
    pub looks: Vec<f64>,
    /// Significance level of the whole trial, both sides together.
    pub alpha: f64,
    /// 1 or 2.
    pub sides: u8,
    /// Non-binding futility boundary.
    pub futility: Option<Futility>,
}

/// A futility boundary by spending of the type II error.
#[derive(Clone, Debug, PartialEq)]
pub struct Futility {
    /// Family of boundaries, one that spends.
    pub kind: String,
    /// Parameter of the family, if it has one.
    pub shape: Option<f64>,
    /// Power of the trial if the boundary is followed.
    pub power: f64,
}

pub(super) fn sequential(
    reader: &mut Reader,
    section: &Section<'_>,
    alpha: f64,
) -> Option<Sequential> {
    reader.only(
        section,
        &["kind", "shape", "looks", "alpha", "sides", "futility"],
    );
    let family = family(reader, section, false);
    let looks = looks(reader, section);
    let alpha = share(reader, section, "alpha", alpha);
    let sides = reader.count(section, "sides", (1, 2), 2) as u8;
    let futility = match reader.section(section, "futility") {
        None => None,
        Some(inner) => {
            reader.only(&inner, &["kind", "shape", "power"]);
            if sides != 1 {
                let message = "a futility boundary needs a one-sided test";
                reader
                    .found
                    .push(inner.place.error("T009", message).help("write `sides = 1`"));
            }
            let family = self::family(reader, &inner, true);
            let power = share(reader, &inner, "power", 0.8);
            let (kind, shape) = family?;
            Some(Futility {
                kind,
                shape,
                power: power?,
            })
        }
    };
    let (kind, shape) = family?;
    Some(Sequential {
        kind,
        shape,
        looks: looks?,
        alpha: alpha?,
        sides,
        futility,
    })
}

fn family(
    reader: &mut Reader,
    section: &Section<'_>,
    spends: bool,
) -> Option<(String, Option<f64>)> {
    if !section.table.contains_key("kind") {
        reader.missing(
            section,
            "kind",
            "such as \"obrien-fleming\" or \"lan-demets-of\"",
        );
        return None;
    }
    let known: Vec<(&str, &(&str, bool, bool))> = KINDS
        .iter()
        .filter(|kind| kind.2 || !spends)
        .map(|kind| (kind.0, kind))
        .collect();
    let &(name, shaped, _) = reader.choice(section, "kind", &known)?;
    let shape = reader.number(section, "shape");
    if shaped && !section.table.contains_key("shape") {
        let help = format!("the parameter of `{name}`");
        reader.missing(section, "shape", &help);
        return None;
    }
    if let (false, Some(shape)) = (shaped, &shape) {
        let message = format!("`{name}` has no `shape`");
        reader.found.push(shape.place.error("T009", message));
    }
    Some((name.to_owned(), shape.map(|shape| shape.value)))
}

/// A number of looks, equally spaced, or their information fractions.
fn looks(reader: &mut Reader, section: &Section<'_>) -> Option<Vec<f64>> {
    let Some(value) = section.table.get("looks") else {
        reader.missing(
            section,
            "looks",
            "how many, or the information fraction of each: `looks = [0.5, 1]`",
        );
        return None;
    };
    if !value.get_ref().is_array() {
        let count = reader.count(section, "looks", (1, MOST_LOOKS), 1);
        return Some((1..=count).map(|k| k as f64 / count as f64).collect());
    }
    let place = reader.place(value.span());
    let numbers = reader.numbers(section, "looks");
    let looks: Vec<f64> = numbers.iter().map(|number| number.value).collect();
    let ascending = looks.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = looks.first().is_some_and(|&first| first > 0.0)
        && looks.last() == Some(&1.0)
        && looks.len() <= MOST_LOOKS as usize;
    if !(ascending && fits) {
        let message = "looks are information fractions that rise to 1";
        reader.found.push(
            place
                .error("T013", message)
                .help("such as `looks = [0.5, 0.75, 1]`"),
        );
        return None;
    }
    Some(looks)
}
