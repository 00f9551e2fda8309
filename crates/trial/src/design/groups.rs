//! `[design]` and `[subgroups]`: how patients come to their arms, and how they are divided.

use posology_model::Model;
use posology_model::expr;
use posology_model::file::Text;
use posology_model::unit::Dimension;

use super::lookup::quantity;
use super::reader::{Reader, Section};
use super::seen::Seen;
use super::{Allocation, Split, Subgroups};

/// Strata multiply; each combination needs its own blocks.
const MOST_STRATA: usize = 10;

pub(super) fn allocation(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &mut Model,
    arms: usize,
    horizon: f64,
) -> Option<Allocation> {
    reader.only(
        section,
        &["allocation", "ratio", "block", "strata", "accrual"],
    );
    let every_arm = reader.choice(
        section,
        "allocation",
        &[("every-arm", true), ("parallel", false)],
    )?;
    if every_arm {
        for key in ["ratio", "block", "strata"] {
            if let Some((place, _)) = section.table.get_key_value(key) {
                let place = reader.place(place.span());
                let message = format!("`{key}` needs `allocation = \"parallel\"`");
                reader.found.push(
                    place
                        .error("T009", message)
                        .help("without it every virtual patient goes through every arm"),
                );
            }
        }
    }
    let ratio = ratio(reader, section, arms);
    let block = ratio
        .as_ref()
        .and_then(|ratio| block(reader, section, ratio));
    let strata = reader.texts(section, "strata");
    reader.once(&strata, "stratum");
    if let Some(text) = strata.get(MOST_STRATA) {
        let message = format!("more than {MOST_STRATA} strata leave blocks that never fill");
        reader.found.push(text.error("T023", message));
    }
    let strata = splits(reader, &strata, model);
    let accrual = match reader.text(section, "accrual") {
        None => Some(0.0),
        Some(text) => quantity(reader, &text, Dimension::TIME, model).filter(|&time| {
            let fits = (0.0..horizon).contains(&time);
            if !fits {
                let message = format!("patients cannot enter over {}", text.value);
                reader.found.push(
                    text.error("T013", message)
                        .help("accrual is not negative and ends before the horizon"),
                );
            }
            fits
        }),
    };
    Some(Allocation {
        every_arm,
        ratio: ratio?,
        block: block?,
        strata: strata?,
        accrual: accrual?,
    })
}

fn ratio(reader: &mut Reader, section: &Section<'_>, arms: usize) -> Option<Vec<u32>> {
    if !section.table.contains_key("ratio") {
        return Some(vec![1; arms]);
    }
    let place = section
        .table
        .get("ratio")
        .map_or_else(|| section.place.clone(), |value| reader.place(value.span()));
    let numbers = reader.numbers(section, "ratio");
    let mut out = Vec::new();
    for number in &numbers {
        if number.value.fract() == 0.0 && (1.0..=100.0).contains(&number.value) {
            out.push(number.value as u32);
        } else {
            let message = "a ratio is made of whole numbers from 1 to 100";
            reader.found.push(number.place.error("T023", message));
        }
    }
    if numbers.len() != arms {
        let message = format!("`ratio` has {} numbers for {arms} arms", numbers.len());
        reader.found.push(
            place
                .error("T023", message)
                .help("one number for each arm, in the order of the file"),
        );
        return None;
    }
    (out.len() == arms).then_some(out)
}

fn block(reader: &mut Reader, section: &Section<'_>, ratio: &[u32]) -> Option<u32> {
    let sum: u32 = ratio.iter().sum();
    let Some(number) = reader.number(section, "block") else {
        return (!section.table.contains_key("block")).then_some(sum.max(1));
    };
    let whole = number.value.fract() == 0.0 && number.value >= 1.0 && number.value <= 10_000.0;
    if whole && sum > 0 && (number.value as u32).is_multiple_of(sum) {
        return Some(number.value as u32);
    }
    let parts: Vec<String> = ratio.iter().map(u32::to_string).collect();
    let message = format!(
        "a block of {} cannot hold the ratio {}",
        number.value,
        parts.join(":")
    );
    reader.found.push(
        number
            .place
            .error("T023", message)
            .help(format!("a multiple of {sum}, such as {}", 2 * sum)),
    );
    None
}

/// Conditions on covariates, compiled into the model's graph.
fn splits(reader: &mut Reader, texts: &[Text], model: &mut Model) -> Option<Vec<Split>> {
    let mut seen = Seen::at_start(model);
    let found: Vec<Option<Split>> = texts
        .iter()
        .map(|text| split(reader, text, &mut seen))
        .collect();
    model.graph = seen.into_graph();
    found.into_iter().collect()
}

fn split(reader: &mut Reader, text: &Text, seen: &mut Seen) -> Option<Split> {
    let compiled = match seen.condition(&text.value, &text.origin) {
        Ok(compiled) => compiled,
        Err(found) => {
            reader.found.extend(found);
            return None;
        }
    };
    if compiled.dynamic {
        let message = "what divides patients is known before treatment, this changes over time";
        reader.found.push(text.error("T024", message));
        return None;
    }
    // a covariate that is 0 or 1 is its own condition
    let flag = expr::parse(&compiled.text).is_ok_and(|tree| tree.as_name().is_some())
        && compiled.dimension == Dimension::NONE;
    if !compiled.condition && !flag {
        let message = "a condition is needed here, this is a number";
        reader.found.push(text.error("T024", message).help(
            "compare a covariate: \"AGE >= 65 yr\"; a covariate that is 0 or 1 can stand alone",
        ));
        return None;
    }
    Some(Split {
        text: text.value.clone(),
        node: compiled.node,
    })
}

pub(super) fn subgroups(
    reader: &mut Reader,
    sections: &[(Text, Section<'_>)],
    model: &mut Model,
) -> Vec<Subgroups> {
    let mut out = Vec::new();
    for (name, section) in sections {
        reader.only(section, &["title", "groups"]);
        let title = reader.words(section, "title");
        let pairs = reader.pairs(section, "groups");
        if !section.table.contains_key("groups") {
            let help = "such as `groups = { \"below 65\" = \"AGE < 65 yr\", \"65 and above\" = \"AGE >= 65 yr\" }`";
            reader.missing(section, "groups", help);
        } else if pairs.len() < 2 {
            let message = format!("{} has fewer than two groups", section.what);
            reader.found.push(
                section
                    .place
                    .error("T007", message)
                    .help("name the patients on both sides of the boundary"),
            );
        }
        let (names, texts): (Vec<Text>, Vec<Text>) = pairs.into_iter().unzip();
        reader.once(&texts, "condition");
        let Some(splits) = splits(reader, &texts, model) else {
            continue;
        };
        out.push(Subgroups {
            name: name.value.clone(),
            title: if title.is_empty() {
                name.value.clone()
            } else {
                title
            },
            groups: names
                .into_iter()
                .map(|name| name.value)
                .zip(splits)
                .collect(),
        });
    }
    out
}
