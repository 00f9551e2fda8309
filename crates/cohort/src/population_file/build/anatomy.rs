//! `[anatomy]` of a population file.

use std::path::Path;

use posology_model::file::reader::{Reader, Section};
use posology_model::file::{Place, Text};
use posology_model::unit::{Unit, UnitSystem};

use super::super::anatomy::Reference;
use super::super::{Anatomy, Part};
use super::covariate;

/// What `[anatomy]` says.
pub(super) struct Written {
    pub reference: Reference,
    arguments: [Text; 3],
    pub place: Place,
}

/// Where `[anatomy]` stands.
pub(super) fn place(reader: &Reader, root: &Section<'_>) -> Place {
    match root.table.get_key_value("anatomy") {
        Some((key, _)) => reader.place(key.span()),
        None => root.place.clone(),
    }
}

pub(super) fn read(reader: &mut Reader, root: &Section<'_>, dir: Option<&Path>) -> Option<Written> {
    let section = reader.section(root, "anatomy", "[anatomy]")?;
    reader.only(
        &section,
        &["method", "reference", "female", "height", "weight"],
    );
    let method = reader.required_text(&section, "method", "`method = \"huisinga-2012\"`");
    let file = reader.required_text(&section, "reference", "`reference = \"data/icrp89.csv\"`");
    let mut argument = |key: &str| {
        let help = "name the covariate";
        reader.required_text(&section, key, help)
    };
    let (female, height, weight) = (argument("female"), argument("height"), argument("weight"));
    let method = method?;
    if method.value != "huisinga-2012" {
        let message = format!("`{}` is no method of anatomy", method.value);
        let finding = method.error("D140", message);
        reader
            .diagnostics
            .push(finding.help("the method is `huisinga-2012`"));
        return None;
    }
    let file = file?;
    let path = dir.unwrap_or(Path::new("")).join(&file.value);
    let reference = match Reference::load(&path) {
        Ok(reference) => reference,
        Err(found) => {
            let place = file.place();
            let located = found
                .into_iter()
                .map(|d| d.also(&place.source, place.span.clone(), "named here"));
            reader.diagnostics.extend(located);
            return None;
        }
    };
    Some(Written {
        reference,
        arguments: [female?, height?, weight?],
        place: section.place,
    })
}

impl Written {
    /// The anatomy, with its covariates found; `None` after an error that was reported.
    pub(super) fn resolve(
        self,
        reader: &mut Reader,
        columns: &[(String, Unit, Place)],
        system: &UnitSystem,
    ) -> Option<Anatomy> {
        let mut found = Vec::new();
        for (text, unit) in self.arguments.iter().zip(["1", "m", "kg"]) {
            found.push(covariate::argument(reader, columns, text, unit, system));
        }
        let [
            Some((female, _)),
            Some((height, metres)),
            Some((weight, kilograms)),
        ] = found[..]
        else {
            return None;
        };
        Some(Anatomy {
            reference: self.reference,
            female,
            height,
            weight,
            scales: (metres, kilograms),
        })
    }

    /// Names and units of what an anatomy gives.
    pub(super) fn parts(&self) -> Vec<(String, &'static str, Part)> {
        let reference = &self.reference;
        let mut out = Vec::new();
        for (i, organ) in reference.organs.iter().enumerate() {
            out.push((format!("M_{}", organ.name), "kg", Part::Mass(i)));
        }
        out.push(("M_rest".into(), "kg", Part::RestMass));
        for (i, organ) in reference.organs.iter().enumerate() {
            if organ.flow.is_some() {
                out.push((format!("Q_{}", organ.name), "L/min", Part::Flow(i)));
            }
        }
        out.push(("Q_rest".into(), "L/min", Part::RestFlow));
        out.push(("CO".into(), "L/min", Part::CardiacOutput));
        out.push(("FFM".into(), "kg", Part::FatFreeMass));
        out.push(("V_plasma".into(), "L", Part::Plasma));
        out.push(("HCT".into(), "1", Part::Haematocrit));
        out
    }
}
