//! The sections of a model file.

use std::path::Path;

use toml::de::DeValue;

use super::reader::{Reader, Section};
use super::{
    Column, Correlation, Covariate, Derived, Index, Input, ModelFile, Scenario, State, Step, Text,
    Variability, correction, csv, outputs,
};

const KEYS: &[&str] = &[
    "name",
    "title",
    "description",
    "time",
    "dt",
    "sources",
    "covariates",
    "parameters",
    "correlations",
    "derived",
    "inputs",
    "states",
    "observables",
    "toxicities",
    "summaries",
    "balance",
    "correction",
    "scenario",
    "index",
    "tables",
];

pub(super) const UNIT_HELP: &str =
    "every quantity has a unit; `unit = \"1\"` if it is dimensionless";
const SOURCE_HELP: &str = "cite where the number comes from, or say `source = \"calibrated: ...\"` and `calibrated = true`";

/// `complete` is false if the text was not valid TOML, in which case absent sections may only be
/// unreadable and are not reported.
pub(super) fn model(
    reader: &mut Reader,
    root: &Section<'_>,
    dir: Option<&Path>,
    complete: bool,
) -> ModelFile {
    if complete {
        reader.only(root, KEYS);
        for (key, help) in [
            ("name", "name = \"...\", the same as the file's name"),
            ("title", "one line that says what the model is"),
            ("time", "the unit of time, such as time = \"h\""),
            ("dt", "the integration step, such as dt = \"0.25 h\""),
        ] {
            if !root.table.contains_key(key) {
                reader.missing(root, key, help);
            }
        }
    }
    ModelFile {
        start: Some(root.place.clone()),
        name: reader.text(root, "name"),
        title: reader.text(root, "title"),
        description: reader.text(root, "description"),
        time: reader.text(root, "time"),
        steps: steps(reader, root),
        sources: sources(reader, root),
        indices: indices(reader, root),
        covariates: covariates(reader, root),
        columns: columns(reader, root, dir),
        derived: derived(reader, root),
        states: states(reader, root),
        inputs: inputs(reader, root),
        observables: outputs::observables(reader, root),
        toxicities: outputs::toxicities(reader, root),
        summaries: outputs::summaries(reader, root),
        balances: outputs::balances(reader, root),
        correlations: correlations(reader, root),
        correction: correction::correction(reader, root, dir),
        scenario: scenario(reader, root),
    }
}

pub(super) fn description(reader: &mut Reader, section: &Section<'_>) -> String {
    reader
        .text(section, "description")
        .map(|text| text.value)
        .unwrap_or_default()
}

fn steps(reader: &mut Reader, root: &Section<'_>) -> Vec<Step> {
    let Some(value) = root.table.get("dt") else {
        return Vec::new();
    };
    if !value.get_ref().is_array() {
        let Some(dt) = reader.text(root, "dt") else {
            return Vec::new();
        };
        return vec![Step {
            place: dt.place().clone(),
            until: None,
            dt: Some(dt),
        }];
    }
    let mut out = Vec::new();
    for piece in reader.listed(root, "dt", "a piece of `dt`") {
        reader.only(&piece, &["until", "dt"]);
        let until = reader.text(&piece, "until");
        let dt = reader.required_text(&piece, "dt", "such as { until = \"6 h\", dt = \"0.1 h\" }");
        out.push(Step {
            place: piece.place,
            until,
            dt,
        });
    }
    out
}

fn sources(reader: &mut Reader, root: &Section<'_>) -> Vec<(Text, Text)> {
    let Some(section) = reader.section(root, "sources", "[sources]") else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (key, _) in reader.entries(section.table) {
        if let Some(text) = reader.text(&section, &key.value) {
            out.push((key, text));
        }
    }
    out
}

fn indices(reader: &mut Reader, root: &Section<'_>) -> Vec<Index> {
    let Some(section) = reader.section(root, "index", "[index]") else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (name, value) in reader.entries(section.table) {
        let (elements, same_as) = if value.get_ref().is_str() {
            (Vec::new(), reader.text(&section, &name.value))
        } else {
            let elements = reader.texts(&section, &name.value);
            (
                elements.map(|(_, elements)| elements).unwrap_or_default(),
                None,
            )
        };
        out.push(Index {
            name,
            elements,
            same_as,
        });
    }
    out
}

fn covariates(reader: &mut Reader, root: &Section<'_>) -> Vec<Covariate> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "covariates", "covariate") {
        reader.only(&section, &["unit", "reference", "description", "source"]);
        out.push(Covariate {
            name,
            unit: reader.required_text(&section, "unit", UNIT_HELP),
            reference: reader.required_number(&section, "reference"),
            source: reader.text(&section, "source"),
            description: description(reader, &section),
        });
    }
    out
}

fn columns(reader: &mut Reader, root: &Section<'_>, dir: Option<&Path>) -> Vec<Column> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "parameters", "parameter") {
        let keys = [
            "value",
            "unit",
            "source",
            "description",
            "calibrated",
            "bounds",
            "iiv",
            "iov",
        ];
        reader.only(&section, &keys);
        let mut column = column(reader, name, Vec::new(), &section);
        column
            .values
            .push((Vec::new(), reader.required_number(&section, "value")));
        if column.source.is_none() && !section.table.contains_key("source") {
            reader.missing(&section, "source", SOURCE_HELP);
        }
        out.push(column);
    }
    for (name, section) in reader.named(root, "tables", "table") {
        let indices = split(&name);
        if section.table.contains_key("file") {
            out.extend(csv::columns(reader, &section, &indices, dir));
        }
        for (column_name, value) in reader.entries(section.table) {
            if section.table.contains_key("file")
                && ["file", "source", "description"].contains(&column_name.value.as_str())
            {
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                let message = format!("column `{}` must be a table", column_name.value);
                let finding = reader.place(value.span()).error("M004", message);
                reader.diagnostics.push(
                    finding.help("such as Q = { unit = \"L/h\", liver = 90, source = \"...\" }"),
                );
                continue;
            };
            let what = format!("column `{}`", column_name.value);
            let place = column_name.place().clone();
            let section = Section { table, place, what };
            let mut column = column(reader, column_name, indices.clone(), &section);
            if column.source.is_none() && !section.table.contains_key("source") {
                reader.missing(&section, "source", SOURCE_HELP);
            }
            let meta = [
                "unit",
                "source",
                "description",
                "calibrated",
                "bounds",
                "iiv",
                "iov",
            ];
            for (key, _) in reader.entries(table) {
                if !meta.contains(&key.value.as_str()) {
                    let number = reader.number(&section, &key.value);
                    column.values.push((split(&key), number));
                }
            }
            out.push(column);
        }
    }
    out.sort_by(|a, b| {
        // parameters and tables in the order of the file; columns of a CSV stay together
        let key = |c: &Column| {
            let place = c.indices.first().unwrap_or(&c.name).place();
            place.span.start
        };
        key(a).cmp(&key(b))
    });
    out
}

/// `liver,hot` as two texts.
pub(super) fn split(text: &Text) -> Vec<Text> {
    let mut out = Vec::new();
    let mut start = 0;
    for part in text.value.split(',') {
        let lead = part.len() - part.trim_start().len();
        let trimmed = part.trim();
        let from = start + lead;
        out.push(Text {
            value: trimmed.to_owned(),
            origin: text.origin.part(from..from + trimmed.len()),
        });
        start += part.len() + 1;
    }
    out
}

fn column(reader: &mut Reader, name: Text, indices: Vec<Text>, section: &Section<'_>) -> Column {
    Column {
        name,
        indices,
        unit: reader.required_text(section, "unit", UNIT_HELP),
        values: Vec::new(),
        iiv: variability(reader, section, "iiv"),
        iov: variability(reader, section, "iov"),
        bounds: reader.numbers(section, "bounds"),
        source: reader.text(section, "source"),
        calibrated: reader.flag(section, "calibrated").unwrap_or(false),
        description: description(reader, section),
    }
}

fn variability(reader: &mut Reader, section: &Section<'_>, key: &str) -> Option<Variability> {
    let what = format!("`{key}` of {}", section.what);
    let section = reader.section(section, key, &what)?;
    reader.only(&section, &["cv", "omega2", "sd", "distribution"]);
    Some(Variability {
        cv: reader.number(&section, "cv"),
        omega2: reader.number(&section, "omega2"),
        sd: reader.number(&section, "sd"),
        distribution: reader.text(&section, "distribution"),
        place: section.place,
    })
}

fn derived(reader: &mut Reader, root: &Section<'_>) -> Vec<Derived> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "derived", "derived quantity") {
        reader.only(&section, &["expr", "unit", "description"]);
        out.push(Derived {
            name,
            unit: reader.required_text(&section, "unit", UNIT_HELP),
            expr: reader.required_text(&section, "expr", ""),
            description: description(reader, &section),
        });
    }
    out
}

fn states(reader: &mut Reader, root: &Section<'_>) -> Vec<State> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "states", "state") {
        reader.only(&section, &["unit", "init", "rate", "signed", "description"]);
        out.push(State {
            name,
            unit: reader.required_text(&section, "unit", UNIT_HELP),
            init: reader.text_or_number(&section, "init"),
            rate: {
                if !section.table.contains_key("rate") {
                    reader.missing(
                        &section,
                        "rate",
                        "the time derivative, such as rate = \"0\"",
                    );
                }
                reader.text_or_number(&section, "rate")
            },
            signed: reader.flag(&section, "signed").unwrap_or(false),
            description: description(reader, &section),
        });
    }
    out
}

fn inputs(reader: &mut Reader, root: &Section<'_>) -> Vec<Input> {
    let mut out = Vec::new();
    for (name, section) in reader.named(root, "inputs", "input") {
        let keys = [
            "into",
            "unit",
            "bioavailability",
            "lag",
            "rate",
            "duration",
            "molar_mass",
            "description",
        ];
        reader.only(&section, &keys);
        out.push(Input {
            name,
            into: reader.required_text(&section, "into", "the state that receives the drug"),
            unit: reader.required_text(&section, "unit", UNIT_HELP),
            bioavailability: reader.text_or_number(&section, "bioavailability"),
            lag: reader.text_or_number(&section, "lag"),
            rate: reader.text_or_number(&section, "rate"),
            duration: reader.text_or_number(&section, "duration"),
            molar_mass: reader.text_or_number(&section, "molar_mass"),
            description: description(reader, &section),
        });
    }
    out
}

fn correlations(reader: &mut Reader, root: &Section<'_>) -> Vec<Correlation> {
    if !root.table.contains_key("correlations") {
        return Vec::new();
    }
    let mut out = Vec::new();
    for section in reader.listed(root, "correlations", "a correlation") {
        reader.only(&section, &["between", "value"]);
        if !section.table.contains_key("between") {
            reader.missing(&section, "between", "such as between = [\"CL\", \"V1\"]");
        }
        out.push(Correlation {
            between: reader.texts(&section, "between"),
            value: reader.required_number(&section, "value"),
            place: section.place,
        });
    }
    out
}

fn scenario(reader: &mut Reader, root: &Section<'_>) -> Option<Scenario> {
    let section = reader.section(root, "scenario", "[scenario]")?;
    reader.only(&section, &["regimen", "duration"]);
    Some(Scenario {
        regimen: reader.text(&section, "regimen"),
        duration: reader.required_text(&section, "duration", "such as duration = \"63 d\""),
    })
}
