//! The section `[correction]` and the file of its weights.

use std::path::Path;

use super::reader::{Reader, Section};
use super::{CorrectedRate, Correction, Number, Text, Weights, csv};

pub(super) fn correction(
    reader: &mut Reader,
    root: &Section<'_>,
    dir: Option<&Path>,
) -> Option<Correction> {
    let section = reader.section(root, "correction", "[correction]")?;
    let keys = [
        "inputs",
        "width",
        "layers",
        "activation",
        "latents",
        "weights",
        "seed",
        "rates",
    ];
    reader.only(&section, &keys);
    for (key, help) in [
        ("inputs", "such as inputs = [\"tumour / K\"]"),
        (
            "rates",
            "such as [correction.rates] tumour = { scale = \"0.05 1/d\", form = \"relative\" }",
        ),
    ] {
        if !section.table.contains_key(key) {
            reader.missing(&section, key, help);
        }
    }
    Some(Correction {
        inputs: reader.texts(&section, "inputs"),
        width: reader.number(&section, "width"),
        layers: reader.number(&section, "layers"),
        activation: reader.text(&section, "activation"),
        latents: reader.number(&section, "latents"),
        weights: weights(reader, &section, dir),
        seed: reader.number(&section, "seed"),
        rates: rates(reader, &section),
        place: section.place,
    })
}

fn rates(reader: &mut Reader, section: &Section<'_>) -> Vec<CorrectedRate> {
    let mut out = Vec::new();
    for (name, section) in reader.named(section, "rates", "the correction of") {
        reader.only(&section, &["scale", "form", "floor"]);
        out.push(CorrectedRate {
            name,
            scale: reader.required_text(&section, "scale", "the bound of the correction"),
            form: reader.required_text(&section, "form", "\"relative\" or \"absolute\""),
            floor: reader.text_or_number(&section, "floor"),
        });
    }
    out
}

/// The rows of `weight,value`; `rows` is none if the file cannot be read.
fn weights(reader: &mut Reader, section: &Section<'_>, dir: Option<&Path>) -> Option<Weights> {
    let file = reader.text(section, "weights")?;
    let path = dir.map(|dir| dir.join(&file.value)).unwrap_or_default();
    let found = match csv::open(&file, dir) {
        Ok(source) => csv::rows(&source),
        Err(reason) => {
            let message = format!("the weights `{}` cannot be read: {reason}", file.value);
            let help = "the path is relative to the model file; a correction without `weights` is \
                        switched off until it is trained";
            reader
                .diagnostics
                .push(file.error("M005", message).help(help));
            return Some(Weights {
                file,
                path,
                rows: None,
            });
        }
    };
    let mut sound = true;
    let mut refuse = |reader: &mut Reader, cell: &Text, message: String| {
        sound = false;
        reader.diagnostics.push(cell.error("M008", message));
    };
    let Some((header, body)) = found.split_first() else {
        refuse(reader, &file, "the file of the weights is empty".into());
        return Some(Weights {
            file,
            path,
            rows: None,
        });
    };
    let titles: Vec<&str> = header.iter().map(|cell| cell.value.as_str()).collect();
    if titles != ["weight", "value"] {
        let message = format!(
            "the header must be `weight,value`, found `{}`",
            titles.join(",")
        );
        refuse(reader, &header[0], message);
    }
    let mut rows = Vec::with_capacity(body.len());
    for row in body {
        let [name, cell] = row.as_slice() else {
            let message = format!(
                "a row is a weight and its value, this one has {}",
                row.len()
            );
            refuse(reader, &row[0], message);
            continue;
        };
        let value = cell.value.parse::<f64>().ok().filter(|v| v.is_finite());
        match value {
            Some(value) => {
                let place = cell.place().clone();
                rows.push((name.clone(), Number { value, place }));
            }
            None => refuse(reader, cell, format!("`{}` is not a number", cell.value)),
        }
    }
    Some(Weights {
        file,
        path,
        rows: sound.then_some(rows),
    })
}
